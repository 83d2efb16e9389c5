#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"

namespace mayfly {

using Millis = std::chrono::milliseconds;
/// Wall-clock time in milliseconds since the Unix epoch, UTC.
using TimePoint = std::chrono::sys_time<Millis>;

constexpr std::int64_t to_unix_ms(TimePoint time) { return time.time_since_epoch().count(); }
constexpr TimePoint from_unix_ms(std::int64_t ms) { return TimePoint{Millis{ms}}; }

/// RFC 3339 with milliseconds: "2026-11-23T15:54:25.123Z".
std::string to_rfc3339(TimePoint time);
/// Accepts RFC 3339 with any offset and fraction. Error: `time.invalid`.
Result<TimePoint> parse_rfc3339(std::string_view text);

/// "250ms", "1.4s", "3m 20s", "2d 4h": for people.
std::string to_human(Millis duration);
/// "500ms", "30s", "15m", "2h", "7d", or a sum ("1h30m"). Error: `duration.invalid`.
Result<Millis> parse_duration(std::string_view text);

}  // namespace mayfly
