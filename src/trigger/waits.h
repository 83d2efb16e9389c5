#pragma once

#include <deque>
#include <map>

#include "engine/engine.h"
#include "trigger/trigger_service.h"

namespace mayfly::trigger {

/// Runs that wait for events, and the events of the last minutes that may be ahead of their waits.
///
/// Rows: `PPPP/W/HASH/RUN.OPERATION` (a wait) and `PPPP/V/HASH/EVENT` (an event with the runs that have had it), where HASH is of type and
/// key and decides the partition. An event is written before waits are looked for, and a wait before events are: whichever comes second
/// finds the other. Whoever resolves deletes the wait afterwards; resolving twice is refused by the engine.
class Waits {
 public:
  static constexpr Millis kWindow{300'000};
  static constexpr std::size_t kKeptMax = 10'000;

  Waits(Executor executor, Store& store, Clock& clock, engine::Engine& engine);
  /// Resolves what a predecessor accepted.
  Task<Result<void>> open();
  Task<> stop();
  void crash();

  /// Idempotent by run and operation.
  Task<Result<void>> add(EventWait wait);
  /// Durable when it returns; waits are resolved behind it. `event` is the JSON form.
  Task<Result<void>> signal(std::string id, std::string type, std::string key, Json event);

 private:
  struct Place {
    engine::keys::Partition partition = 0;
    std::string waits, events;  ///< prefixes
  };
  Place place_of(const std::string& type, const std::string& key) const;
  Task<Result<void>> commit(engine::keys::Partition partition, Batch batch);
  /// Brings every kept event of a place together with every wait there.
  Task<Result<void>> match(Place place);
  Task<> match_until_done(Place place);
  /// False: something else than this event has ended the wait.
  Task<Result<bool>> resolve(const Record& wait, const JsonObject& row, Json event);
  Task<Result<void>> recover(engine::keys::Partition partition);
  Task<> sweep();
  Task<> sweep_once();
  Task<bool> is_over(JsonObject wait, TimePoint now);

  Store& store_;
  Clock& clock_;
  engine::Engine& engine_;
  CancelSource stopping_;
  TaskGroup tasks_;
  std::deque<std::pair<TimePoint, std::string>> kept_;  ///< events' rows, oldest first
};

}  // namespace mayfly::trigger
