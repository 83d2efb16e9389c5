#include "engine/shell/timer_queue.h"

#include <gtest/gtest.h>

#include <map>

#include "testing/sim_clock.h"
#include "testing/sim_store.h"

namespace mayfly::engine {
namespace {

class TimerQueueTest : public ::testing::Test {
 protected:
  ~TimerQueueTest() override {
    queue_->crash();
    store_.crash();
    disk_.release_crashed();
  }

  /// As a commit of the engine would: the row first, then the queue.
  TimerChange write(Millis from_now, int number) {
    const TimePoint due = clock_.now() + from_now;
    TimerChange timer{due, keys::timer(1, due, "run_" + std::to_string(number), "00000001"), "owner"};
    disk_.apply({{}, {{timer.key, timer.owner}}, {}});
    expected_.emplace(timer.key, due);
    return timer;
  }
  void start() {
    queue_ = std::make_unique<TimerQueue>(io_.get_executor(), store_, clock_, [this](TimerQueue::Due due) {
      EXPECT_GE(clock_.now(), expected_.at(due.key)) << "early";
      EXPECT_EQ(due.owner, "owner");
      ++fired_[due.key];
      disk_.apply({{}, {}, {due.key}});
    });
    queue_->start({1});
  }
  void run() {
    for (int i = 0; i < 100'000; ++i) {
      while (io_.poll_one() > 0) {
      }
      if (fired_.size() == expected_.size() || !clock_.advance()) break;
    }
  }
  void expect_all_once() {
    EXPECT_EQ(fired_.size(), expected_.size());
    for (const auto& [key, times] : fired_) EXPECT_EQ(times, 1) << key;
  }

  asio::io_context io_;
  asio::executor_work_guard<Executor> guard_ = asio::make_work_guard(io_);
  SimClock clock_;
  SimDisk disk_;
  SeededRandom random_{1};
  SimStore store_{disk_, io_.get_executor(), clock_, random_};
  std::map<std::string, TimePoint> expected_;
  std::map<std::string, int> fired_;
  std::unique_ptr<TimerQueue> queue_;
};

TEST_F(TimerQueueTest, FiresEachStoredTimerOnceAndNeverEarlyThroughManyWindows) {
  for (int i = 0; i < 5'500; ++i) write(Millis{static_cast<std::int64_t>(random_.below(3'600'000))}, i);
  start();
  run();
  expect_all_once();
}

TEST_F(TimerQueueTest, TakesTimersBeforeInsideAndBehindItsWindow) {
  for (int i = 0; i < 2'500; ++i) write(Millis{600'000 + i * 100}, i);
  start();
  while (io_.poll_one() > 0) {
  }
  for (int i = 0; i < 300; ++i) queue_->add(1, write(Millis{static_cast<std::int64_t>(random_.below(1'200'000))}, 10'000 + i));
  run();
  expect_all_once();
}

TEST_F(TimerQueueTest, ManyAddedWhileRunningStayBoundedAndAreNotLost) {
  start();
  while (io_.poll_one() > 0) {
  }
  for (int i = 0; i < 12'000; ++i) queue_->add(1, write(Millis{static_cast<std::int64_t>(1'000 + random_.below(3'600'000))}, i));
  run();
  expect_all_once();
}

TEST_F(TimerQueueTest, ATimerAddedWhileTheWindowLoadsIsNotLost) {
  for (int i = 0; i < 1'500; ++i) write(Millis{10'000 + i}, i);
  start();
  queue_->add(1, write(Millis{5'000}, 90'000));
  queue_->add(1, write(Millis{11'000}, 90'001));
  queue_->add(1, write(Millis{900'000}, 90'002));
  run();
  expect_all_once();
}

}  // namespace
}  // namespace mayfly::engine
