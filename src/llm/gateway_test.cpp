#include "llm/gateway.h"

#include <gtest/gtest.h>

#include <deque>
#include <fstream>

#include "llm/llm_error.h"
#include "llm/llm_test_support.h"
#include "llm/rate_limiter.h"
#include "llm/retry.h"

namespace mayfly::llm {
namespace {

using testing::call_with;
using testing::Loop;

using Answer = std::expected<GatewayAnswer, LlmError>;

/// Answers with the prepared results, then with "ok"; can hold its calls until told.
class FakeProvider final : public LlmProvider {
 public:
  Task<LlmResult> complete(LlmCall call) override {
    models.push_back(call.request.model);
    seen.push_back(call.request.messages.empty() ? "" : text_of(call.request.messages.back()));
    running_max = std::max(running_max, ++running);
    if (hold) co_await suspend<bool>([this](Resume<bool> resume) { held.push_back(std::move(resume)); });
    --running;
    if (call.on_delta && !partial.empty()) call.on_delta({.text = partial});
    if (!results.empty()) {
      LlmResult result = std::move(results.front());
      results.pop_front();
      co_return result;
    }
    LlmResponse out;
    out.message = Message::assistant("ok");
    out.usage = {.input = 10, .output = 5};
    out.provider = "fake";
    out.model = call.request.model;
    if (call.on_delta) call.on_delta({.text = "ok"});
    co_return out;
  }
  void let_one_go() {
    auto first = std::move(held.front());
    held.pop_front();
    first(true);
  }
  std::deque<LlmResult> results;
  std::vector<std::string> models, seen;
  std::string partial;
  bool hold = false;
  std::deque<Resume<bool>> held;
  int running = 0, running_max = 0;
};

LlmResult failure(std::string code, Retry retry, std::optional<Millis> wait = std::nullopt) {
  return std::unexpected(make_error(std::move(code), "made up", retry, 0, wait));
}

struct World {
  World() {
    std::map<std::string, std::unique_ptr<LlmProvider>> providers;
    for (auto& [name, fake] : {std::pair{"a", &a}, std::pair{"b", &b}}) {
      auto made = std::make_unique<FakeProvider>();
      *fake = made.get();
      providers.emplace(name, std::move(made));
    }
    GatewayDependencies dependencies{loop.io.get_executor(), &loop.clock, &random, nullptr, {}};
    dependencies.prices = *PriceTable::parse(R"({"version":"t","models":{"m":{"input":1,"output":2}}})");
    gateway = make_gateway(std::move(dependencies), std::move(providers));
  }
  Answer ask(std::vector<std::string> models, Millis budget = Millis{0}) {
    GatewayCall call{call_with({Message::user("hi")}), std::move(models)};
    call.call.retry_budget = budget;
    return loop.run(gateway->complete(std::move(call)));
  }
  Loop loop;
  SeededRandom random{1};
  FakeProvider* a = nullptr;
  FakeProvider* b = nullptr;
  std::unique_ptr<LlmGateway> gateway;
};

TEST(Gateway, AnswersWithThePricedModel) {
  World world;
  const Answer answer = world.ask({"a/m-2025"});
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->model, "a/m-2025");
  EXPECT_EQ(answer->cost, 10 * 1'000 + 5 * 2'000);
  EXPECT_EQ(answer->price_version, "t");
  EXPECT_EQ(world.a->models, std::vector<std::string>{"m-2025"});
  EXPECT_EQ(world.gateway->counters().at("a/m-2025").cost, answer->cost);
  EXPECT_EQ(world.loop.clock.timers_made, 0);
}

TEST(Gateway, WaitsAsLongAsTheProviderAsks) {
  World world;
  world.a->results.push_back(failure("llm.rate_limited", Retry::Safe, Millis{3'000}));
  world.a->results.push_back(failure("llm.overloaded", Retry::Safe));
  const Answer answer = world.ask({"a/m"}, Millis{60'000});
  ASSERT_TRUE(answer);
  EXPECT_EQ(world.a->models.size(), 3u);
  EXPECT_GE(world.loop.clock.elapsed(), Millis{3'000});
  EXPECT_LE(world.loop.clock.elapsed(), Millis{3'300 + 1'000});
  EXPECT_EQ(world.gateway->counters().at("a/m").retries, 2u);
}

TEST(Gateway, ReportsAtOnceWithoutABudgetOrBeyondIt) {
  World world;
  world.a->results.push_back(failure("llm.rate_limited", Retry::Safe, Millis{3'000}));
  Answer answer = world.ask({"a/m"});
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().error.code, "llm.rate_limited");
  EXPECT_EQ(answer.error().retry_after, Millis{3'000});
  world.a->results.push_back(failure("llm.rate_limited", Retry::Safe, Millis{3'000}));
  answer = world.ask({"a/m"}, Millis{2'000});
  ASSERT_FALSE(answer);
  EXPECT_EQ(world.loop.clock.elapsed(), Millis{0});
}

TEST(Gateway, NeverRetriesWhatMayHaveBeenBilled) {
  World world;
  world.a->results.push_back(failure("llm.overloaded", Retry::OutcomeUnknown));
  EXPECT_FALSE(world.ask({"a/m"}, Millis{60'000}));
  EXPECT_EQ(world.a->models.size(), 1u);
}

TEST(Gateway, FailsOverInOrder) {
  for (const char* code : {"llm.rate_limited", "llm.overloaded", "llm.timeout", "llm.unreachable", "llm.server_error"}) {
    World world;
    world.a->results.push_back(failure(code, Retry::OutcomeUnknown));
    const Answer answer = world.ask({"a/m", "b/m2", "b/m3"});
    ASSERT_TRUE(answer) << code;
    EXPECT_EQ(answer->model, "b/m2");
    EXPECT_EQ(world.gateway->counters().at("a/m").failovers, 1u);
  }
}

TEST(Gateway, NeverFailsOverForWhatAnotherProviderWouldRefuseToo) {
  for (const char* code : {"llm.invalid_request", "llm.context_too_long", "llm.authentication", "llm.not_found", "llm.bad_response"}) {
    World world;
    world.a->results.push_back(failure(code, Retry::Never));
    const Answer answer = world.ask({"a/m", "b/m"}, Millis{60'000});
    ASSERT_FALSE(answer) << code;
    EXPECT_EQ(answer.error().error.code, code);
    EXPECT_TRUE(world.b->models.empty());
  }
}

TEST(Gateway, TellsTheWatcherThatAnAttemptIsVoid) {
  World world;
  world.a->partial = "half";
  world.a->results.push_back(failure("llm.server_error", Retry::OutcomeUnknown));
  std::string seen;
  GatewayCall call{call_with({Message::user("hi")}), {"a/m", "b/m"}};
  call.call.on_delta = [&](const LlmDelta& delta) { seen += delta.kind == LlmDelta::Kind::Restart ? "|" : delta.text; };
  ASSERT_TRUE(world.loop.run(world.gateway->complete(std::move(call))));
  EXPECT_EQ(seen, "half|ok");
}

TEST(Gateway, UnknownModelsAreNamed) {
  World world;
  EXPECT_TRUE(world.gateway->check_model("a/anything"));
  for (const char* model : {"m", "/m", "a/", "c/m", ""}) {
    const auto checked = world.gateway->check_model(model);
    ASSERT_FALSE(checked) << model;
    EXPECT_EQ(checked.error().code, "llm.not_found");
  }
  EXPECT_NE(world.gateway->check_model("c/m").error().message.find("a, b"), std::string::npos);
  EXPECT_EQ(world.ask({}).error().error.code, "llm.invalid_request");
  EXPECT_EQ(world.ask({"c/m"}).error().error.code, "llm.not_found");
}

TEST(Gateway, CancelledDuringTheWaitForARetry) {
  World world;
  CancelSource cancel;
  world.a->results.push_back(failure("llm.overloaded", Retry::Safe, Millis{5'000}));
  GatewayCall call{call_with({Message::user("hi")}), {"a/m", "b/m"}};
  call.call.retry_budget = Millis{60'000};
  call.call.cancel = cancel.token();
  std::optional<Answer> out;
  world.loop.start(world.gateway->complete(std::move(call)), &out);
  world.loop.settle();
  ASSERT_FALSE(out);
  cancel.cancel();
  world.loop.settle();
  ASSERT_TRUE(out);
  EXPECT_EQ(out->error().error.code, "llm.cancelled");
  EXPECT_TRUE(world.b->models.empty());
}

TEST(Gateway, ConcurrencyIsLimitedAndFirstComeFirstServed) {
  World world;
  world.a->hold = true;
  std::deque<std::optional<Answer>> out(70);
  for (int i = 0; i < 70; ++i) {
    GatewayCall call{call_with({Message::user(std::to_string(i))}), {"a/m"}};
    world.loop.start(world.gateway->complete(std::move(call)), &out[static_cast<std::size_t>(i)]);
  }
  world.loop.settle();
  EXPECT_EQ(world.a->running, 64);
  while (!world.a->held.empty()) {
    world.a->let_one_go();
    world.loop.settle();
  }
  EXPECT_EQ(world.a->running_max, 64);
  ASSERT_EQ(world.a->seen.size(), 70u);
  for (int i = 0; i < 70; ++i) EXPECT_EQ(world.a->seen[static_cast<std::size_t>(i)], std::to_string(i));
  for (const auto& answer : out) EXPECT_TRUE(answer && *answer);
}

TEST(RateLimiter, ACancelledWaiterLeavesTheQueue) {
  Loop loop;
  RateLimiter limiter(loop.clock, {.concurrency_max = 1});
  ASSERT_EQ(loop.run(limiter.acquire(0, {})), RateLimiter::Admission::Granted);
  CancelSource cancel;
  std::optional<RateLimiter::Admission> second, third;
  loop.start(limiter.acquire(0, cancel.token()), &second);
  loop.start(limiter.acquire(0, {}), &third);
  loop.settle();
  EXPECT_EQ(limiter.waiting(), 2u);
  cancel.cancel();
  loop.settle();
  EXPECT_EQ(second, RateLimiter::Admission::Cancelled);
  EXPECT_FALSE(third);
  limiter.release(0);
  loop.settle();
  EXPECT_EQ(third, RateLimiter::Admission::Granted);
  EXPECT_EQ(limiter.running(), 1);
  limiter.release(0);
}

TEST(RateLimiter, RequestsPerMinute) {
  Loop loop;
  RateLimiter limiter(loop.clock, {.concurrency_max = 100, .requests_per_minute = 2});
  for (int i = 0; i < 2; ++i) ASSERT_EQ(loop.run(limiter.acquire(0, {})), RateLimiter::Admission::Granted);
  EXPECT_EQ(loop.clock.elapsed(), Millis{0});
  EXPECT_EQ(loop.run(limiter.acquire(0, {})), RateLimiter::Admission::Granted);
  EXPECT_EQ(loop.clock.elapsed(), Millis{30'000});
  for (int i = 0; i < 3; ++i) limiter.release(0);
}

TEST(RateLimiter, TokensPerMinuteAreSettledByRealUse) {
  Loop loop;
  RateLimiter limiter(loop.clock, {.concurrency_max = 100, .tokens_per_minute = 600});
  ASSERT_EQ(loop.run(limiter.acquire(500, {})), RateLimiter::Admission::Granted);
  limiter.release(400);
  ASSERT_EQ(loop.run(limiter.acquire(500, {})), RateLimiter::Admission::Granted);
  EXPECT_EQ(loop.clock.elapsed(), Millis{0});
  limiter.release(-100);
  ASSERT_EQ(loop.run(limiter.acquire(100, {})), RateLimiter::Admission::Granted);
  EXPECT_EQ(loop.clock.elapsed(), Millis{20'000});
  limiter.release(0);
  // More than a whole bucket waits for a full one, not for ever.
  ASSERT_EQ(loop.run(limiter.acquire(5'000, {})), RateLimiter::Admission::Granted);
  EXPECT_EQ(loop.clock.elapsed(), Millis{80'000});
  limiter.release(0);
}

TEST(Retry, JitterStaysWithinItsBounds) {
  SeededRandom random(3);
  const LlmError plain = make_error("llm.overloaded", "x", Retry::Safe);
  const LlmError asked = make_error("llm.overloaded", "x", Retry::Safe, 529, Millis{20'000});
  for (int attempt = 0; attempt < 60; ++attempt) {
    EXPECT_LE(retry_delay(attempt, plain, random), Millis{std::min(30'000LL, 500LL << std::min(attempt, 10))});
    EXPECT_GE(retry_delay(attempt, asked, random), Millis{20'000});
    EXPECT_LE(retry_delay(attempt, asked, random), Millis{21'000});
  }
}

TEST(Gateway, ConfigurationErrorsSayWhatToDo) {
  Loop loop;
  SeededRandom random(1);
  const auto with = [&](std::vector<ProviderConfig> configs) {
    testing::FakeHttpClient http;
    return make_gateway({loop.io.get_executor(), &loop.clock, &random, &http, PriceTable::built_in()}, std::move(configs));
  };
  EXPECT_TRUE(with({{.name = "x", .kind = "anthropic"}, {.name = "y", .kind = "openai"}, {.name = "z", .kind = "openai-responses"}}));
  for (const ProviderConfig& config :
       {ProviderConfig{.name = "", .kind = "openai"}, ProviderConfig{.name = "a/b", .kind = "openai"}, ProviderConfig{.name = "x", .kind = "magic"},
        ProviderConfig{.name = "x", .kind = "openai", .base_url = "localhost"}, ProviderConfig{.name = "x", .kind = "openai", .concurrency_max = 0},
        ProviderConfig{.name = "x", .kind = "openai", .requests_per_minute = -1}, ProviderConfig{.name = "x", .kind = "scripted", .script_path = "/no"}}) {
    const auto gateway = with({config});
    ASSERT_FALSE(gateway) << config.name << config.kind;
    EXPECT_EQ(gateway.error().code, "llm.invalid_configuration");
  }
  EXPECT_FALSE(with({{.name = "x", .kind = "openai"}, {.name = "x", .kind = "openai"}}));
}

}  // namespace
}  // namespace mayfly::llm
