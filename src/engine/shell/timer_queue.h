#pragma once

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "engine/core/keys.h"
#include "engine/core/machine.h"
#include "runtime/clock.h"
#include "runtime/task.h"
#include "store/store.h"

namespace mayfly::engine {

/// Durable timers: rows of the store, of which only the next few of each partition are in memory.
/// Never early; a timer may fire again after a crash, and whoever handles it deletes its row.
class TimerQueue {
 public:
  struct Due {
    keys::Partition partition;
    std::string key;
    std::string owner;
  };
  using Fire = std::function<void(Due)>;

  TimerQueue(Executor executor, Store& store, Clock& clock, Fire fire)
      : store_(store), clock_(clock), fire_(std::move(fire)), tasks_(executor) {}

  void start(const std::vector<keys::Partition>& partitions);
  /// After the row was committed.
  void add(keys::Partition partition, const TimerChange& timer);
  Task<> stop();
  void crash() {
    stopped_ = true;
    alarm_.reset();
    tasks_.abandon();
  }
  std::uint64_t fired() const { return fired_count_; }

 private:
  static constexpr std::size_t kWindow = 1000;
  struct Window {
    std::set<std::pair<TimePoint, std::string>> timers;
    std::map<std::string, std::string> owners;
    std::string loaded_to;  ///< keys up to here have been in memory
    bool complete = false;  ///< nothing lies in the store behind `loaded_to`
    bool loading = false;
  };

  Task<> load(keys::Partition partition);
  void arm();
  void tick();

  Store& store_;
  Clock& clock_;
  Fire fire_;
  TaskGroup tasks_;
  std::map<keys::Partition, Window> windows_;
  std::unique_ptr<Clock::Timer> alarm_;
  TimePoint alarm_at_{};
  bool stopped_ = false;
  std::uint64_t fired_count_ = 0;
};

}  // namespace mayfly::engine
