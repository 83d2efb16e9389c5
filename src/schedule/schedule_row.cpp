#include "schedule/schedule_row.h"

#include <charconv>

#include "base/hash.h"
#include "base/id.h"

namespace mayfly::schedule {

using engine::keys::Partition;

std::string full_name(const ScheduleSpec& spec) { return spec.group + "/" + spec.name; }

Partition partition_of(std::string_view full_name, Partition partitions) { return static_cast<Partition>(stable_hash64(full_name) % partitions); }

std::string row_prefix(Partition partition) { return engine::keys::partition_prefix(partition) + "S/"; }
std::string due_prefix(Partition partition) { return engine::keys::partition_prefix(partition) + "T/"; }
std::string row_key(Partition partition, std::string_view full_name) { return row_prefix(partition) + std::string(full_name); }
std::string due_key(Partition partition, TimePoint fire_at, std::string_view full_name) {
  return due_prefix(partition) + to_hex16(static_cast<std::uint64_t>(to_unix_ms(fire_at))) + "/" + std::string(full_name);
}

std::optional<DueKey> parse_due_key(std::string_view key) {
  constexpr std::size_t kPrefix = 7;  // "0007/T/"
  if (key.size() < kPrefix + 18 || key[kPrefix + 16] != '/') return std::nullopt;
  std::uint64_t ms = 0;
  const auto [end, error] = std::from_chars(key.data() + kPrefix, key.data() + kPrefix + 16, ms, 16);
  if (error != std::errc() || end != key.data() + kPrefix + 16) return std::nullopt;
  return DueKey{from_unix_ms(static_cast<std::int64_t>(ms)), std::string(key.substr(kPrefix + 17))};
}

std::string to_text(const ScheduleRow& row) {
  JsonObject object{{"v", 1},
                    {"spec", to_json(row.info.spec)},
                    {"created", to_unix_ms(row.info.created)},
                    {"modified", to_unix_ms(row.info.modified)},
                    {"anchor", to_unix_ms(row.anchor)},
                    {"fired", row.info.fired},
                    {"made_up", row.made_up}};
  if (row.info.next) object["next"] = to_unix_ms(*row.info.next);
  if (row.info.last) object["last"] = to_unix_ms(*row.info.last);
  if (!row.info.last_error.empty()) object["error"] = row.info.last_error;
  return mayfly::to_text(object);
}

std::optional<ScheduleRow> row_from_text(std::string_view text) {
  const auto json = parse_json(text);
  if (!json || !json->is_object()) return std::nullopt;
  const JsonObject& object = json->get_object();
  const Json* spec = get(object, "spec");
  auto read = spec == nullptr ? Result<ScheduleSpec>(fail("schedule.invalid", "")) : schedule_spec_from_json("", *spec);
  if (!read) return std::nullopt;
  ScheduleRow row;
  row.info.spec = std::move(*read);
  row.info.created = from_unix_ms(get_int(object, "created"));
  row.info.modified = from_unix_ms(get_int(object, "modified"));
  row.anchor = from_unix_ms(get_int(object, "anchor"));
  row.info.fired = static_cast<std::uint64_t>(get_int(object, "fired"));
  row.made_up = get_int(object, "made_up");
  if (object.contains("next")) row.info.next = from_unix_ms(get_int(object, "next"));
  if (object.contains("last")) row.info.last = from_unix_ms(get_int(object, "last"));
  row.info.last_error = get_string(object, "error");
  return row;
}

TimePoint fire_time(const ScheduleSpec& spec, TimePoint due) {
  if (spec.flexible_window <= Millis{0}) return due;
  return due + Millis{static_cast<std::int64_t>(stable_hash64(firing_id(spec, due)) % static_cast<std::uint64_t>(spec.flexible_window.count()))};
}

std::string firing_id(const ScheduleSpec& spec, TimePoint due) { return full_name(spec) + "/" + to_rfc3339(due).substr(0, 19) + "Z"; }

std::optional<TimePoint> next_due(const ScheduleExpression& expression, const ScheduleRow& row, TimePoint after) {
  const ScheduleSpec& spec = row.info.spec;
  if (spec.start && *spec.start - Millis{1} > after) after = *spec.start - Millis{1};
  auto next = expression.next(after, row.anchor);
  if (next && spec.end && *next > *spec.end) return std::nullopt;
  return next;
}

TimePoint newest_missed(const ScheduleExpression& expression, const ScheduleRow& row, TimePoint oldest, TimePoint now) {
  const auto missed = [&](TimePoint due) { return fire_time(row.info.spec, due) < now; };
  TimePoint newest = oldest;
  // From windows that double, so that a year of missed minutes is not walked through one by one.
  for (Millis back{60'000}; now - back > oldest; back *= 2) {
    const auto due = next_due(expression, row, now - back - row.info.spec.flexible_window);
    if (due && *due > oldest && missed(*due)) {
      newest = *due;
      break;
    }
  }
  while (const auto due = next_due(expression, row, newest)) {
    if (!missed(*due)) break;
    newest = *due;
  }
  return newest;
}

}  // namespace mayfly::schedule
