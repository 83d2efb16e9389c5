#include "schedule/schedule_expression.h"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <charconv>
#include <variant>

#include "schedule/cron.h"
#include "schedule/time_zone.h"

namespace mayfly::schedule {
namespace {

constexpr std::size_t kTextBytesMax = 256;
constexpr std::int64_t kRateMax = 1'000'000;

struct Rate {
  Millis period;
  std::string text;
};
struct At {
  LocalSeconds wall;
  TimePoint time;
};

std::unexpected<Error> invalid(std::string message) { return fail("schedule.invalid_expression", std::move(message)); }

std::string_view trim(std::string_view text) {
  while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
  while (!text.empty() && text.back() == ' ') text.remove_suffix(1);
  return text;
}

Result<Rate> parse_rate(std::string_view text) {
  constexpr std::string_view kHelp = "write rate(VALUE UNIT), for example rate(5 minutes); the units are minutes, hours and days";
  text = trim(text);
  const auto space = text.find(' ');
  if (space == std::string_view::npos) return invalid(fmt::format("the rate \"{}\" has no unit; {}", text, kHelp));
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + space, value);
  if (error != std::errc() || end != text.data() + space || value < 1 || value > kRateMax) {
    return invalid(fmt::format("the rate's value must be a whole number from 1 to {}; {}", kRateMax, kHelp));
  }
  std::string_view unit = trim(text.substr(space));
  if (unit.ends_with('s')) unit.remove_suffix(1);
  const Millis one = unit == "minute" ? Millis{60'000} : unit == "hour" ? Millis{3'600'000} : unit == "day" ? Millis{86'400'000} : Millis{0};
  if (one == Millis{0}) return invalid(fmt::format("\"{}\" is no unit of a rate; {}", std::string(trim(text.substr(space))), kHelp));
  return Rate{one * value, value == 1 ? fmt::format("every {}", unit) : fmt::format("every {} {}s", value, unit)};
}

Result<LocalSeconds> parse_at(std::string_view text) {
  text = trim(text);
  // The same form as RFC 3339 without the offset.
  const auto time = text.size() == 19 ? parse_rfc3339(std::string(text) + "Z") : fail("time.invalid", "");
  if (!time) return invalid(fmt::format("\"{}\" is no time; write at(yyyy-mm-ddThh:mm:ss), for example at(2026-11-23T15:54:25)", std::string(text)));
  return LocalSeconds(std::chrono::floor<std::chrono::seconds>(time->time_since_epoch()));
}

std::string wall_text(LocalSeconds wall) {
  return to_rfc3339(TimePoint(std::chrono::duration_cast<Millis>(wall.time_since_epoch()))).substr(0, 19);
}

}  // namespace

struct ScheduleExpression::Rule {
  TimeZone zone;
  std::variant<Rate, At, Cron> when;
};

Result<ScheduleExpression> ScheduleExpression::parse(std::string_view text, std::string_view time_zone) {
  text = trim(text);
  if (text.size() > kTextBytesMax) return invalid(fmt::format("the expression has more than {} characters; shorten it", kTextBytesMax));
  auto zone = TimeZone::find(time_zone);
  if (!zone) return fail(zone.error());
  const auto open = text.find('(');
  if (open == std::string_view::npos || !text.ends_with(')')) {
    return invalid("a schedule is rate(…), at(…) or cron(…); write for example rate(5 minutes) or cron(0 8 ? * MON-FRI *)");
  }
  const std::string_view kind = text.substr(0, open);
  const std::string_view inner = text.substr(open + 1, text.size() - open - 2);
  ScheduleExpression expression;
  if (kind == "rate") {
    auto rate = parse_rate(inner);
    if (!rate) return fail(rate.error());
    expression.rule_ = std::make_shared<const Rule>(*zone, std::move(*rate));
  } else if (kind == "at") {
    const auto wall = parse_at(inner);
    if (!wall) return fail(wall.error());
    // A single time that the clock skips would never come: it is due at the first moment after the gap.
    expression.rule_ = std::make_shared<const Rule>(*zone, At{*wall, zone->resolve(*wall).time});
  } else if (kind == "cron") {
    auto cron = Cron::parse(inner);
    if (!cron) return fail(cron.error());
    expression.rule_ = std::make_shared<const Rule>(*zone, std::move(*cron));
    if (!expression.next(TimePoint{}, TimePoint{})) return invalid("the cron expression never matches a day; check its day and month");
  } else {
    return invalid(fmt::format("\"{}\" is no kind of schedule; use rate(…), at(…) or cron(…)", std::string(kind.substr(0, 32))));
  }
  return expression;
}

std::optional<TimePoint> ScheduleExpression::next(TimePoint after, TimePoint anchor) const {
  if (const auto* rate = std::get_if<Rate>(&rule_->when)) {
    if (after < anchor) return anchor;
    return anchor + rate->period * ((after - anchor) / rate->period + 1);
  }
  if (const auto* at = std::get_if<At>(&rule_->when)) return at->time > after ? std::optional(at->time) : std::nullopt;
  const auto& cron = std::get<Cron>(rule_->when);
  // The clock may stand in the second pass of an hour that comes twice: what matched in the first pass lies behind.
  LocalSeconds from = std::chrono::floor<std::chrono::minutes>(rule_->zone.to_local(after));
  while (const auto wall = cron.at_or_after(from)) {
    const auto moment = rule_->zone.resolve(*wall);
    if (moment.exists && moment.time > after) return moment.time;
    from = moment.exists ? *wall + std::chrono::minutes(1) : std::chrono::ceil<std::chrono::minutes>(rule_->zone.to_local(moment.time));
  }
  return std::nullopt;
}

bool ScheduleExpression::is_one_time() const { return std::holds_alternative<At>(rule_->when); }

std::string ScheduleExpression::describe() const {
  if (const auto* rate = std::get_if<Rate>(&rule_->when)) return rate->text;
  if (const auto* at = std::get_if<At>(&rule_->when)) return fmt::format("once at {}, {}", wall_text(at->wall), rule_->zone.name());
  return fmt::format("{}, {}", std::get<Cron>(rule_->when).describe(), rule_->zone.name());
}

}  // namespace mayfly::schedule
