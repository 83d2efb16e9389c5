#include "schedule/cron.h"

#include <fmt/format.h>

#include <array>
#include <charconv>
#include <vector>

namespace mayfly::schedule {
namespace {

using namespace std::chrono;

struct Field {
  std::string_view name;
  int min;
  int max;
  std::string_view allowed;  ///< for people
  std::string_view names;    ///< of three letters each, the first one means min
};
constexpr Field kMinutes{"minutes", 0, 59, "0-59 and , - * /", {}};
constexpr Field kHours{"hours", 0, 23, "0-23 and , - * /", {}};
constexpr Field kDays{"day of month", 1, 31, "1-31 and , - * ? / L W", {}};
constexpr Field kMonths{"month", 1, 12, "1-12 or JAN-DEC and , - * /", "JANFEBMARAPRMAYJUNJULAUGSEPOCTNOVDEC"};
constexpr Field kWeekdays{"day of week", 1, 7, "1-7 or SUN-SAT and , - * ? / L #", "SUNMONTUEWEDTHUFRISAT"};
constexpr Field kYears{"year", 1970, 2199, "1970-2199 and , - * /", {}};
constexpr std::array<const Field*, 6> kFields{&kMinutes, &kHours, &kDays, &kMonths, &kWeekdays, &kYears};

std::unexpected<Error> bad(const Field& field, std::string_view text, std::string_view why) {
  return fail("schedule.invalid_expression",
              fmt::format("the {} field \"{}\" {}; it takes {}", field.name, std::string(text.substr(0, 64)), why, field.allowed));
}

std::vector<std::string_view> split(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  for (;;) {
    const auto at = text.find(separator);
    parts.push_back(text.substr(0, at));
    if (at == std::string_view::npos) return parts;
    text.remove_prefix(at + 1);
  }
}

std::string upper(std::string_view text) {
  std::string result(text);
  for (char& c : result) {
    if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 32);
  }
  return result;
}

std::optional<int> number(std::string_view text) {
  int value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || text[0] == '-' || error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

Result<int> value_of(const Field& field, std::string_view text, std::string_view whole) {
  if (text.size() == 3 && !field.names.empty()) {
    for (std::size_t i = 0; i + 3 <= field.names.size(); i += 3) {
      if (field.names.substr(i, 3) == text) return field.min + static_cast<int>(i / 3);
    }
  }
  const auto value = number(text);
  if (!value) return bad(field, whole, fmt::format("has \"{}\" where a value belongs", std::string(text)));
  if (*value < field.min || *value > field.max) return bad(field, whole, fmt::format("has {}, which is out of range", *value));
  return *value;
}

/// Lists, ranges and steps. Ranges may not run backwards.
template <std::size_t N>
Result<void> read_values(const Field& field, std::string_view whole, std::bitset<N>& out) {
  for (const std::string_view part : split(whole, ',')) {
    const auto slash = part.find('/');
    const std::string_view range = part.substr(0, slash);
    int step = 1;
    int first = field.min;
    int last = field.max;
    if (slash != std::string_view::npos) {
      const auto given = number(part.substr(slash + 1));
      if (!given || *given < 1 || *given > field.max) return bad(field, whole, "has a step that is not a positive number");
      step = *given;
    }
    if (range != "*") {
      const auto dash = range.find('-');
      const auto from = value_of(field, range.substr(0, dash), whole);
      if (!from) return fail(from.error());
      first = *from;
      if (dash != std::string_view::npos) {
        const auto to = value_of(field, range.substr(dash + 1), whole);
        if (!to) return fail(to.error());
        last = *to;
        if (last < first) return bad(field, whole, "has a range that runs backwards");
      } else if (slash == std::string_view::npos) {
        last = first;
      }
    }
    for (int value = first; value <= last; value += step) out.set(static_cast<std::size_t>(value));
  }
  return {};
}

unsigned last_day_of(year_month month) { return static_cast<unsigned>(year_month_day_last(month.year(), month_day_last(month.month())).day()); }
/// 1 is Sunday.
int weekday_of(year_month_day day) { return static_cast<int>(weekday(sys_days(day)).c_encoding()) + 1; }

/// The weekday (Monday to Friday) nearest to a day, within its month.
unsigned nearest_weekday(year_month month, unsigned wanted) {
  const int on = weekday_of(month / day(wanted));
  if (on == 7) return wanted > 1 ? wanted - 1 : wanted + 2;
  if (on == 1) return wanted < last_day_of(month) ? wanted + 1 : wanted - 2;
  return wanted;
}

}  // namespace

Result<Cron> Cron::parse(std::string_view fields) {
  std::vector<std::string> texts;
  for (const auto part : split(fields, ' ')) {
    if (!part.empty()) texts.push_back(upper(part));
  }
  if (texts.size() != 6) {
    return fail("schedule.invalid_expression",
                fmt::format("cron needs six fields (minutes, hours, day of month, month, day of week, year), and there {} {}; "
                            "write for example cron(0 8 ? * MON-FRI *)",
                            texts.size() == 1 ? "is" : "are", texts.size()));
  }
  for (std::size_t i = 0; i < 6; ++i) {
    if (texts[i] == "?" && i != 2 && i != 4) return bad(*kFields[i], "?", "may be ? only in the day fields");
  }
  Cron cron;
  cron.text_ = fmt::format("{}", fmt::join(texts, " "));
  const std::string& days = texts[2];
  const std::string& weekdays = texts[4];
  if ((days == "?") == (weekdays == "?")) {
    return fail("schedule.invalid_expression", "exactly one of day of month and day of week must be ?; write ? in the one that does not matter");
  }
  if (auto read = read_values(kMinutes, texts[0], cron.minutes_); !read) return fail(read.error());
  if (auto read = read_values(kHours, texts[1], cron.hours_); !read) return fail(read.error());
  if (auto read = read_values(kMonths, texts[3], cron.months_); !read) return fail(read.error());
  if (auto read = read_values(kYears, texts[5], cron.years_); !read) return fail(read.error());
  if (days == "L") {
    cron.last_day_ = true;
  } else if (days == "LW") {
    cron.last_weekday_ = true;
  } else if (days.ends_with('W')) {
    const auto day = value_of(kDays, std::string_view(days).substr(0, days.size() - 1), days);
    if (!day) return fail(day.error());
    cron.near_day_ = *day;
  } else if (days != "?") {
    if (auto read = read_values(kDays, days, cron.days_); !read) return fail(read.error());
  }
  cron.by_weekday_ = days == "?";
  if (!cron.by_weekday_) return cron;
  if (const auto hash = weekdays.find('#'); hash != std::string::npos) {
    const auto day = value_of(kWeekdays, std::string_view(weekdays).substr(0, hash), weekdays);
    if (!day) return fail(day.error());
    const auto nth = number(std::string_view(weekdays).substr(hash + 1));
    if (!nth || *nth < 1 || *nth > 5) return bad(kWeekdays, weekdays, "needs a number from 1 to 5 behind #, and nothing more");
    cron.weekdays_.set(static_cast<std::size_t>(*day));
    cron.nth_ = *nth;
  } else if (weekdays == "L") {
    cron.weekdays_.set(7);
  } else if (weekdays.size() > 1 && weekdays.ends_with('L')) {
    const auto day = value_of(kWeekdays, std::string_view(weekdays).substr(0, weekdays.size() - 1), weekdays);
    if (!day) return fail(day.error());
    cron.last_of_weekday_ = *day;
  } else if (auto read = read_values(kWeekdays, weekdays, cron.weekdays_); !read) {
    return fail(read.error());
  }
  return cron;
}

bool Cron::day_matches(year_month_day date) const {
  const year_month month(date.year(), date.month());
  const auto day = static_cast<unsigned>(date.day());
  if (!by_weekday_) {
    if (last_day_) return day == last_day_of(month);
    if (last_weekday_) return day == nearest_weekday(month, last_day_of(month));
    if (near_day_ != 0) {
      const auto wanted = static_cast<unsigned>(near_day_);
      return wanted <= last_day_of(month) && day == nearest_weekday(month, wanted);
    }
    return days_.test(day);
  }
  const int on = weekday_of(date);
  if (last_of_weekday_ != 0) return on == last_of_weekday_ && day + 7 > last_day_of(month);
  return weekdays_.test(static_cast<std::size_t>(on)) && (nth_ == 0 || (day - 1) / 7 + 1 == static_cast<unsigned>(nth_));
}

std::optional<seconds> Cron::time_at_or_after(seconds from) const {
  const auto minute_of_day = static_cast<std::size_t>(ceil<minutes>(from).count());
  for (std::size_t hour = minute_of_day / 60, minute = minute_of_day % 60; hour < 24; ++hour, minute = 0) {
    if (!hours_.test(hour)) continue;
    for (; minute < 60; ++minute) {
      if (minutes_.test(minute)) return hours(hour) + minutes(minute);
    }
  }
  return std::nullopt;
}

std::optional<LocalSeconds> Cron::at_or_after(LocalSeconds from) const {
  const local_days first_day = floor<days>(from);
  const year_month_day start(first_day);
  // Months that cannot match cost one test, so that the whole range of years is some thousand of them.
  for (year_month month = std::max(start.year() / start.month(), year(1970) / January); month.year() <= year(2199); month += months(1)) {
    if (!years_.test(static_cast<std::size_t>(static_cast<int>(month.year())))) {
      month = month.year() / December;
      continue;
    }
    if (!months_.test(static_cast<unsigned>(month.month()))) continue;
    for (unsigned day_number = 1; day_number <= last_day_of(month); ++day_number) {
      const year_month_day date = month / day(day_number);
      const local_days at(date);
      if (at < first_day || !day_matches(date)) continue;
      if (const auto time = time_at_or_after(at == first_day ? from - first_day : seconds(0))) return at + *time;
    }
  }
  return std::nullopt;
}

std::string Cron::describe() const { return text_; }

}  // namespace mayfly::schedule
