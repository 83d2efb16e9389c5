#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "runtime/cancel.h"
#include "runtime/clock.h"
#include "runtime/random.h"
#include "runtime/task.h"

namespace mayfly {
namespace {

Task<> append(std::vector<int>* out, int value) {
  co_await yield_now();
  out->push_back(value);
}

Task<> join_then_append(TaskGroup* group, std::vector<int>* out) {
  co_await group->join();
  out->push_back(99);
}

TEST(TaskGroup, JoinReturnsAfterEveryTask) {
  asio::io_context io;
  TaskGroup group(io.get_executor()), outer(io.get_executor());
  std::vector<int> out;
  group.spawn(append(&out, 1));
  group.spawn(append(&out, 2));
  outer.spawn(join_then_append(&group, &out));
  io.run();
  EXPECT_EQ(out, (std::vector{1, 2, 99}));
}

Task<> await_text(std::thread* thread, std::string* out) {
  *out = co_await suspend<std::string>([thread](Resume<std::string> resume) {
    *thread = std::thread([resume = std::move(resume)]() mutable { resume("from another thread"); });
  });
}

TEST(Suspend, ContinuesFromAnotherThreadOnItsOwnLoop) {
  asio::io_context io;
  auto work = asio::make_work_guard(io);
  TaskGroup group(io.get_executor());
  std::thread thread;
  std::string out;
  group.spawn(await_text(&thread, &out));
  while (group.size() > 0) io.run_one();
  thread.join();
  EXPECT_EQ(out, "from another thread");
}

TEST(CancelToken, CallsEachLiveCallbackOnce) {
  CancelSource source;
  int first = 0, second = 0, late = 0;
  const auto keep = source.token().on_cancel([&] { ++first; });
  {
    const auto dropped = source.token().on_cancel([&] { ++second; });
  }
  source.cancel();
  source.cancel();
  const auto registration = source.token().on_cancel([&] { ++late; });
  EXPECT_EQ(first, 1);
  EXPECT_EQ(second, 0);
  EXPECT_EQ(late, 1);
}

TEST(CancelToken, ACallbackMayUnregisterAnother) {
  CancelSource source;
  int called = 0;
  CancelToken::Registration other;
  const auto first = source.token().on_cancel([&] { other.reset(); });
  other = source.token().on_cancel([&] { ++called; });
  source.cancel();
  EXPECT_EQ(called, 0);
}

Task<> sleep_and_note(Clock* clock, Millis delay, CancelToken token, std::string* out) {
  *out = co_await sleep_for(*clock, delay, token) ? "elapsed" : "cancelled";
}

TEST(Sleep, ElapsesOrIsCancelled) {
  asio::io_context io;
  SystemClock clock(io.get_executor());
  TaskGroup group(io.get_executor());
  CancelSource source;
  std::string a, b;
  group.spawn(sleep_and_note(&clock, Millis{1}, {}, &a));
  group.spawn(sleep_and_note(&clock, std::chrono::hours{1}, source.token(), &b));
  asio::post(io, [&] { source.cancel(); });
  io.run();
  EXPECT_EQ(a, "elapsed");
  EXPECT_EQ(b, "cancelled");
}

TEST(Random, SameSeedSameSequenceWithinBounds) {
  SeededRandom a(7), b(7);
  for (int i = 0; i < 1000; ++i) {
    const auto value = a.below(10);
    EXPECT_EQ(value, b.below(10));
    EXPECT_LT(value, 10u);
  }
}

}  // namespace
}  // namespace mayfly
