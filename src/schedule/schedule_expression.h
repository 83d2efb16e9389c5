#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/time.h"

namespace mayfly::schedule {

/// When a schedule is due, as Amazon EventBridge Scheduler writes it (https://docs.aws.amazon.com/scheduler/latest/UserGuide/schedule-types.html):
/// `rate(5 minutes)`, `at(2026-11-23T15:54:25)`, `cron(0 8 ? * MON-FRI *)` with six fields (minute, hour, day of month, month, day of week,
/// year; L, W, # and ? as documented there). `cron` and `at` are local times of a zone of the IANA database.
///
/// Daylight saving as Scheduler does it (https://docs.aws.amazon.com/scheduler/latest/UserGuide/schedule-types.html#daylist-savings-time): a `cron` time that
/// is skipped is not run that day, one that comes twice is run once; an `at` in the gap is due at its end.
class ScheduleExpression {
 public:
  /// Errors: `schedule.invalid_expression`, naming the field and what may stand there; `schedule.unknown_time_zone`, with close names.
  static Result<ScheduleExpression> parse(std::string_view text, std::string_view time_zone);

  /// The first due time strictly after `after`; nothing when there is none. `anchor`: when the schedule began; what `rate` counts from.
  std::optional<TimePoint> next(TimePoint after, TimePoint anchor) const;
  bool is_one_time() const;
  /// For people: "every 5 minutes", "at 08:00 on Monday through Friday, Europe/Berlin".
  std::string describe() const;

  struct Rule;

 private:
  std::shared_ptr<const Rule> rule_;
};

}  // namespace mayfly::schedule
