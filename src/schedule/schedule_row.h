#pragma once

#include "schedule/schedule.h"

/// Schedules as they lie in the store.
namespace mayfly::schedule {

struct ScheduleRow {
  ScheduleInfo info;
  TimePoint anchor{};       ///< what `rate` counts from
  std::int64_t made_up = 0;  ///< missed firings in a row
};

/// "GROUP/NAME".
std::string full_name(const ScheduleSpec& spec);
engine::keys::Partition partition_of(std::string_view full_name, engine::keys::Partition partitions);
std::string row_prefix(engine::keys::Partition partition);
std::string due_prefix(engine::keys::Partition partition);
std::string row_key(engine::keys::Partition partition, std::string_view full_name);
std::string due_key(engine::keys::Partition partition, TimePoint fire_at, std::string_view full_name);
struct DueKey {
  TimePoint fire_at;
  std::string full_name;
};
std::optional<DueKey> parse_due_key(std::string_view key);

std::string to_text(const ScheduleRow& row);
std::optional<ScheduleRow> row_from_text(std::string_view text);

/// When the firing of a due time starts: within the flexible window, the same moment every time.
TimePoint fire_time(const ScheduleSpec& spec, TimePoint due);
/// "GROUP/NAME/2026-11-23T15:54:00Z".
std::string firing_id(const ScheduleSpec& spec, TimePoint due);
/// The next due time strictly after `after` within start and end.
std::optional<TimePoint> next_due(const ScheduleExpression& expression, const ScheduleRow& row, TimePoint after);
/// The latest due time whose firing starts before `now`, at or after `oldest` (which is one).
TimePoint newest_missed(const ScheduleExpression& expression, const ScheduleRow& row, TimePoint oldest, TimePoint now);

}  // namespace mayfly::schedule
