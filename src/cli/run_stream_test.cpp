#include "cli/run_stream.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <deque>
#include <vector>

namespace mayfly::cli {
namespace {

net::SseEvent durable(std::string name, int number, JsonObject body = {}) {
  body["number"] = number;
  return {.event = std::move(name), .data = to_text(body), .id = std::to_string(number)};
}

net::SseEvent said(int number, int operation, int attempt, std::size_t offset, std::string text, bool restart = false) {
  JsonObject data{
      {"operation", operation}, {"attempt", attempt}, {"channel", "text"}, {"offset", static_cast<std::int64_t>(offset)}, {"text", text}};
  if (restart) data["restart"] = true;
  return {.event = "delta", .data = to_text(data), .id = fmt::format("{}:{}:{}", number, operation, offset + text.size())};
}

TEST(RunFollower, GivesEachDurableEventOnce) {
  RunFollower follower;
  ASSERT_TRUE(follower.take(durable("run.started", 1)));
  ASSERT_TRUE(follower.take(durable("operation.started", 2)));
  EXPECT_FALSE(follower.take(durable("run.started", 1)));
  EXPECT_FALSE(follower.take(durable("operation.started", 2)));
  EXPECT_TRUE(follower.take(durable("operation.ended", 3)));
  EXPECT_EQ(follower.last_id(), "3");
  EXPECT_FALSE(follower.ended());
  EXPECT_TRUE(follower.take(durable("run.ended", 4)));
  EXPECT_TRUE(follower.ended());
}

TEST(RunFollower, CutsAwayWhatAResumedTextRepeats) {
  RunFollower follower;
  follower.take(durable("operation.started", 2));
  EXPECT_EQ(follower.take(said(2, 1, 1, 0, "Hello "))->text, "Hello ");
  EXPECT_EQ(follower.last_id(), "2:1:6");
  EXPECT_FALSE(follower.take(said(2, 1, 1, 0, "Hello ")));
  const auto more = follower.take(said(2, 1, 1, 0, "Hello world"));
  ASSERT_TRUE(more);
  EXPECT_EQ(more->text, "world");
  EXPECT_FALSE(more->repeated);
}

TEST(RunFollower, KeepsTextsOfParallelStepsApart) {
  RunFollower follower;
  EXPECT_EQ(follower.take(said(3, 1, 1, 0, "one"))->text, "one");
  EXPECT_EQ(follower.take(said(3, 2, 1, 0, "two"))->text, "two");
  EXPECT_EQ(follower.take(said(3, 1, 1, 3, "more"))->text, "more");
  EXPECT_FALSE(follower.take(said(3, 2, 1, 0, "two")));
}

TEST(RunFollower, BeginsARepeatedStepAnewAndSaysSo) {
  RunFollower follower;
  follower.take(said(2, 1, 1, 0, "Hello wor"));
  const auto again = follower.take(said(2, 1, 2, 0, "Hi", true));
  ASSERT_TRUE(again);
  EXPECT_TRUE(again->repeated);
  EXPECT_EQ(again->text, "Hi");
  EXPECT_FALSE(follower.take(said(2, 1, 1, 9, "ld"))) << "the attempt before is over";
}

TEST(RunFollower, IsNotMovedBackByALateTextNorStoppedByRubbish) {
  RunFollower follower;
  follower.take(durable("operation.ended", 5));
  follower.take(said(4, 1, 1, 0, "late"));
  EXPECT_EQ(follower.last_id(), "5");
  EXPECT_FALSE(follower.take({.event = "delta", .data = "{broken", .id = "9"}));
  EXPECT_FALSE(follower.take({.event = "from.the.future", .data = "{}", .id = "9"}));
  EXPECT_FALSE(follower.take({.event = "run.started", .data = "[]", .id = "9"}));
  EXPECT_EQ(follower.last_id(), "5");
}

TEST(RunFollower, StartsAfterAGivenEvent) {
  RunFollower follower("7:2:10");
  EXPECT_FALSE(follower.take(durable("operation.started", 7)));
  EXPECT_TRUE(follower.take(durable("operation.ended", 8)));
}

/// Plays one prepared answer for each connection.
class PlayedHttp final : public net::HttpClient {
 public:
  struct Answer {
    int status = 200;
    std::string stream;
    std::optional<Error> error;  ///< after the stream
    std::string body = {};
  };
  Task<Result<net::ClientResponse>> send(net::ClientRequest request) override {
    asked.push_back(request.headers.get("Last-Event-ID"));
    if (answers.empty()) co_return fail("net.connect", "nobody listens", Retry::Safe);
    const Answer answer = answers.front();
    answers.pop_front();
    if (!answer.stream.empty()) request.on_body(answer.stream);
    if (request.cancel.cancelled()) co_return fail("net.cancelled", "cancelled", Retry::OutcomeUnknown);
    if (answer.error) co_return fail(*answer.error);
    co_return net::ClientResponse{.status = answer.status, .body = answer.body};
  }
  std::deque<Answer> answers;
  std::vector<std::string> asked;
};

/// Time passes only by waiting.
class JumpingClock final : public Clock {
 public:
  explicit JumpingClock(Executor executor) : executor_(executor) {}
  TimePoint now() const override { return from_unix_ms(1'795'000'000'000) + now_; }
  std::chrono::nanoseconds monotonic() const override { return now_; }
  std::unique_ptr<Timer> call_after(Millis delay, std::move_only_function<void()> callback) override {
    now_ += delay;
    asio::post(executor_, std::move(callback));
    return std::make_unique<Timer>();
  }

 private:
  Executor executor_;
  Millis now_{0};
};

Task<> follow_task(Api& api, Clock& clock, RunFollower& follower, FollowHooks hooks, Result<void>& out) {
  out = co_await follow_run(api, clock, "run_1", follower, std::move(hooks), Millis{10'000});
}

struct Following {
  asio::io_context io{1};
  PlayedHttp http;
  JumpingClock clock{io.get_executor()};
  Api api{http, {}};
  RunFollower follower;
  std::vector<std::string> seen;
  int interruptions = 0, resumptions = 0;
  std::optional<RunUpdate::Kind> stop_at;

  Result<void> run() {
    Result<void> out;
    const FollowHooks hooks{
        .on_update =
            [this](const RunUpdate& update) {
              seen.push_back(update.kind == RunUpdate::Kind::Text ? update.text : std::to_string(get_int(update.data, "number")));
              return stop_at == update.kind ? Follow::Stop : Follow::On;
            },
        .on_interruption = [this](std::string_view) { ++interruptions; },
        .on_resumed = [this] { ++resumptions; }};
    TaskGroup tasks(io.get_executor());
    tasks.spawn(follow_task(api, clock, follower, hooks, out));
    io.restart();
    io.run();
    return out;
  }
};

const Error kReset{"net.reset", "the connection broke", Retry::OutcomeUnknown};

TEST(FollowRun, TakesUpABrokenStreamWhereItBroke) {
  Following f;
  f.http.answers = {{.stream = to_sse(durable("run.started", 1)) + to_sse(said(1, 1, 1, 0, "Hel")), .error = kReset},
                    {.error = Error{"net.connect", "nobody listens", Retry::Safe}},
                    {.stream = to_sse(said(1, 1, 1, 0, "Hello")) + to_sse(durable("run.ended", 2))}};
  ASSERT_TRUE(f.run());
  EXPECT_EQ(f.seen, (std::vector<std::string>{"1", "Hel", "lo", "2"}));
  EXPECT_EQ(f.http.asked, (std::vector<std::string>{"", "1:1:3", "1:1:3"}));
  EXPECT_EQ(f.interruptions, 1);
  EXPECT_EQ(f.resumptions, 1);
}

TEST(FollowRun, ComesBackAfterAnOrderlyEndOfTheStreamWithoutFuss) {
  Following f;
  f.http.answers = {{.stream = to_sse(durable("run.started", 1))}, {.stream = to_sse(durable("run.ended", 2))}};
  ASSERT_TRUE(f.run());
  EXPECT_EQ(f.seen, (std::vector<std::string>{"1", "2"}));
  EXPECT_EQ(f.interruptions, 0);
}

TEST(FollowRun, GivesUpWhenTheServerStaysAway) {
  Following f;
  f.http.answers = {{.stream = to_sse(durable("run.started", 1)), .error = kReset}};
  const auto result = f.run();
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, "net.connect");
  EXPECT_GT(f.http.asked.size(), 3u);
}

TEST(FollowRun, ReturnsARefusalAtOnce) {
  Following f;
  f.http.answers = {{.status = 404, .body = R"({"code":"run.not_found","detail":"there is no run run_1"})"}};
  const auto result = f.run();
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, "run.not_found");
  EXPECT_EQ(f.http.asked.size(), 1u);
}

TEST(FollowRun, StopsWhenAskedAndGoesOnWithTheNextEvent) {
  Following f;
  f.stop_at = RunUpdate::Kind::OperationStarted;
  const std::string stream =
      to_sse(durable("run.started", 1)) + to_sse(durable("operation.started", 2)) + to_sse(durable("operation.ended", 3));
  f.http.answers = {{.stream = stream}};
  ASSERT_TRUE(f.run());
  EXPECT_EQ(f.seen, (std::vector<std::string>{"1", "2"}));
  f.stop_at.reset();
  f.http.answers = {{.stream = to_sse(durable("operation.ended", 3)) + to_sse(durable("run.ended", 4))}};
  ASSERT_TRUE(f.run());
  EXPECT_EQ(f.seen, (std::vector<std::string>{"1", "2", "3", "4"}));
  EXPECT_EQ(f.http.asked.back(), "2");
}

}  // namespace
}  // namespace mayfly::cli
