#pragma once

#include <bitset>
#include <optional>
#include <string_view>

#include "base/result.h"
#include "schedule/time_zone.h"

namespace mayfly::schedule {

/// The six fields of EventBridge Scheduler's cron (https://docs.aws.amazon.com/scheduler/latest/UserGuide/schedule-types.html#cron-based).
class Cron {
 public:
  /// `fields`: what stands between the parentheses. Error: `schedule.invalid_expression`.
  static Result<Cron> parse(std::string_view fields);
  /// The first matching minute at or after `from`, on the wall.
  std::optional<LocalSeconds> at_or_after(LocalSeconds from) const;
  std::string describe() const;

 private:
  bool day_matches(std::chrono::year_month_day day) const;
  std::optional<std::chrono::seconds> time_at_or_after(std::chrono::seconds from) const;

  std::bitset<60> minutes_;
  std::bitset<24> hours_;
  std::bitset<32> days_;
  bool last_day_ = false;      ///< L
  bool last_weekday_ = false;  ///< LW
  int near_day_ = 0;           ///< 15W
  bool by_weekday_ = false;    ///< the day of month is ?
  std::bitset<8> weekdays_;    ///< 1 is Sunday
  int last_of_weekday_ = 0;    ///< 6L
  int nth_ = 0;                ///< 2 of MON#2
  std::bitset<13> months_;
  std::bitset<2200> years_;
  std::string text_;
};

}  // namespace mayfly::schedule
