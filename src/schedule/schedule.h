#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/json.h"
#include "base/time.h"
#include "engine/core/keys.h"
#include "runtime/clock.h"
#include "runtime/random.h"
#include "schedule/schedule_expression.h"
#include "store/store.h"

/// Schedules as rows: what waits costs no memory beside a window of the next few of each partition.
namespace mayfly::schedule {

enum class Missed {
  Skip,     ///< what was due while the server was down is not made up for
  RunOnce,  ///< the newest of the missed times
  RunAll,   ///< every one, oldest first, at most 1,000
};

struct ScheduleSpec {
  std::string name;             ///< [0-9a-zA-Z-_.]{1,64}
  std::string group = "default";
  std::string description;
  std::string expression;
  std::string time_zone = "UTC";
  std::optional<TimePoint> start;  ///< nothing is due before
  std::optional<TimePoint> end;    ///< nor after
  Millis flexible_window{0};       ///< fires at a moment of [due, due + window), the same one after a crash
  Missed missed = Missed::RunOnce;
  bool enabled = true;
  bool delete_after_completion = false;  ///< gone when nothing more can be due
  Json target;  ///< trigger::Target's form
  Json input;   ///< what the target is given; null: the event of the firing itself
  std::int64_t retry_attempts_max = 3;   ///< 0 … 185: deliveries that fail are tried again
  Millis retry_age_max{24 * 3'600'000};  ///< 1 min … 24 h
  std::string dead_letter_queue;         ///< name of a queue
};
Json to_json(const ScheduleSpec& spec);
/// The form of `PUT /v1/schedules/NAME`: {expression, time_zone, start, end, flexible_window, missed: skip|once|all, enabled,
/// delete_after_completion, target, input, retry: {attempts, max_age}, dead_letter_queue}. Error: `schedule.invalid`, whose message starts with the
/// JSON Pointer of what is wrong and ": ".
Result<ScheduleSpec> schedule_spec_from_json(std::string name, const Json& value);
std::string_view schedule_schema_text();

struct ScheduleInfo {
  ScheduleSpec spec;
  TimePoint created{};
  TimePoint modified{};
  std::optional<TimePoint> next;  ///< due, before the flexible window
  std::optional<TimePoint> last;  ///< due time that fired last
  std::uint64_t fired = 0;
  std::string last_error;  ///< of a firing that was not accepted yet
};

/// One firing. `id` is the same whenever it is repeated after a crash: "GROUP/NAME/2026-11-23T15:54:00Z".
struct Firing {
  std::string id;
  ScheduleSpec spec;
  TimePoint due{};
  TimePoint fired{};
  bool missed = false;  ///< made up for
};

struct ScheduleFilter {
  std::string group;   ///< empty: all
  std::string prefix;  ///< of the name
  std::size_t limit = 100;
  std::string after;   ///< "group/name": continue behind it
};

/// Errors: `schedule.not_found`, `schedule.invalid`, `schedule.limit`, `schedule.stopping`, and those of the store.
class ScheduleService {
 public:
  virtual ~ScheduleService() = default;
  virtual Task<Result<void>> open() = 0;
  virtual Task<> stop() = 0;
  virtual void crash() = 0;

  /// Creates or replaces. What was due before it was put is not missed.
  virtual Task<Result<ScheduleInfo>> put(ScheduleSpec spec) = 0;
  virtual Task<Result<ScheduleInfo>> get(std::string group, std::string name) = 0;
  virtual Task<Result<void>> remove(std::string group, std::string name) = 0;
  virtual Task<Result<std::vector<ScheduleInfo>>> list(ScheduleFilter filter) = 0;
  virtual std::uint64_t fired() const = 0;
};

struct ScheduleDependencies {
  Executor executor;
  Store* store = nullptr;
  Clock* clock = nullptr;
  Random* random = nullptr;
  engine::keys::Partition partitions = 16;
  std::function<Precondition(engine::keys::Partition)> lease;
  /// Accepts a firing durably, absorbing repeats by its id. An error with Retry::Never gives it up (`last_error`), others are tried again.
  std::function<Task<Result<void>>(Firing)> fire;
  std::size_t firing_parallel = 64;
};

/// Rows: `PPPP/S/GROUP/NAME` and `PPPP/T/DUE/GROUP/NAME`.
std::unique_ptr<ScheduleService> make_schedule_service(ScheduleDependencies dependencies);

}  // namespace mayfly::schedule
