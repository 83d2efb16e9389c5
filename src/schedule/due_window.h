#pragma once

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>

#include "engine/core/keys.h"
#include "runtime/clock.h"
#include "runtime/task.h"
#include "store/store.h"

namespace mayfly::schedule {

/// The next few due schedules of each partition; the rest are rows of the store. Hands out each due schedule when its time has come,
/// never before, and only as many as are asked for.
class DueWindow {
 public:
  DueWindow(Executor executor, Store& store, Clock& clock, std::function<void()> loaded)
      : store_(store), clock_(clock), loaded_(std::move(loaded)), tasks_(executor) {}

  void start(engine::keys::Partition partitions);
  /// After the row of a due time was committed.
  void add(engine::keys::Partition partition, TimePoint fire_at, std::string full_name);
  struct Due {
    engine::keys::Partition partition;
    std::string full_name;
  };
  std::optional<Due> take(TimePoint now);
  std::optional<TimePoint> earliest() const;
  Task<> stop();
  void crash() {
    stopped_ = true;
    tasks_.abandon();
  }

 private:
  static constexpr std::size_t kWindow = 1000;
  struct Window {
    std::set<std::pair<TimePoint, std::string>> due;
    std::string loaded_to;  ///< keys up to here have been in memory
    bool complete = false;  ///< nothing lies in the store behind `loaded_to`
    bool loading = false;
  };
  void load_more(engine::keys::Partition partition);
  Task<> load(engine::keys::Partition partition);
  void take_in(engine::keys::Partition partition, const std::vector<Record>& rows);

  Store& store_;
  Clock& clock_;
  std::function<void()> loaded_;
  TaskGroup tasks_;
  CancelSource stopping_;
  std::map<engine::keys::Partition, Window> windows_;
  std::set<std::pair<TimePoint, engine::keys::Partition>> heads_;  ///< of the windows, so that the next one is found at once
  void update_head(engine::keys::Partition partition, std::optional<TimePoint> before);
  bool stopped_ = false;
};

}  // namespace mayfly::schedule
