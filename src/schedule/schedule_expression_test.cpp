#include "schedule/schedule_expression.h"

#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

#include "base/json.h"

namespace mayfly::schedule {
namespace {

TimePoint at(std::string_view text) { return *parse_rfc3339(text); }

std::string next(std::string_view expression, std::string_view zone, std::string_view after, std::string_view anchor = "2026-01-01T00:00:00Z") {
  const auto parsed = ScheduleExpression::parse(expression, zone);
  if (!parsed) return parsed.error().message;
  const auto due = parsed->next(at(after), at(anchor));
  return due ? to_rfc3339(*due).substr(0, 19) : "never";
}

TEST(ScheduleExpression, CronAgreesWithABruteForceInAllZones) {
  std::ifstream file(MAYFLY_SOURCE_DIR "/src/schedule/testdata/cron_cases.json");
  std::ostringstream text;
  text << file.rdbuf();
  const auto table = parse_json(text.str());
  ASSERT_TRUE(table.has_value());
  const auto& cases = table->at("cases").get_array();
  ASSERT_GE(cases.size(), 1'000U);
  for (const auto& one : cases) {
    const std::string cron = "cron(" + std::string(one.at(0).get_string()) + ")";
    const std::string zone(one.at(1).get_string());
    const auto parsed = ScheduleExpression::parse(cron, zone);
    const auto& expected = one.at(3).get_array();
    if (!parsed) {
      EXPECT_TRUE(expected.empty() && parsed.error().message.contains("never matches")) << cron << ": " << parsed.error().message;
      continue;
    }
    TimePoint after = at(std::string_view(one.at(2).get_string()));
    std::vector<std::int64_t> found;
    while (found.size() < 4) {
      const auto due = parsed->next(after, {});
      if (!due) break;
      found.push_back(to_unix_ms(*due) / 1000);
      after = *due;
    }
    std::vector<std::int64_t> wanted;
    for (const auto& due : expected) wanted.push_back(due.get_int64());
    EXPECT_EQ(found, wanted) << cron << " in " << zone << " after " << one.at(2).get_string();
  }
}

TEST(ScheduleExpression, ClockChangesAsEventBridgeSchedulerTreatsThem) {
  // 02:30 does not exist on 29 March 2026 in Berlin: skipped. It comes twice on 25 October: once, the first time.
  EXPECT_EQ(next("cron(30 2 * * ? *)", "Europe/Berlin", "2026-03-28T12:00:00Z"), "2026-03-30T00:30:00");
  EXPECT_EQ(next("cron(30 2 * * ? *)", "Europe/Berlin", "2026-10-24T12:00:00Z"), "2026-10-25T00:30:00");
  EXPECT_EQ(next("cron(30 2 * * ? *)", "Europe/Berlin", "2026-10-25T00:30:00Z"), "2026-10-26T01:30:00");
  // A single time that is skipped would never come: the first moment after the gap.
  EXPECT_EQ(next("at(2026-03-29T02:30:00)", "Europe/Berlin", "2026-03-28T12:00:00Z"), "2026-03-29T01:00:00");
  EXPECT_EQ(next("at(2026-10-25T02:30:00)", "Europe/Berlin", "2026-10-24T12:00:00Z"), "2026-10-25T00:30:00");
  EXPECT_EQ(next("at(2026-10-25T02:30:00)", "Europe/Berlin", "2026-10-25T00:30:00Z"), "never");
  // A day of a rate has 24 hours.
  EXPECT_EQ(next("rate(1 day)", "Europe/Berlin", "2026-03-29T00:30:00Z", "2026-03-28T00:30:00Z"), "2026-03-30T00:30:00");
}

TEST(ScheduleExpression, RatesCountFromTheirAnchor) {
  EXPECT_EQ(next("rate(5 minutes)", "UTC", "2026-01-01T00:07:00Z"), "2026-01-01T00:10:00");
  EXPECT_EQ(next("rate(5 minutes)", "UTC", "2026-01-01T00:10:00Z"), "2026-01-01T00:15:00");
  EXPECT_EQ(next("rate(1 hour)", "UTC", "2025-01-01T00:00:00Z"), "2026-01-01T00:00:00");
  EXPECT_EQ(next("rate(1 minute)", "UTC", "2126-01-01T00:00:30Z"), "2126-01-01T00:01:00");
}

TEST(ScheduleExpression, RefusalsNameTheFieldAndWhatItTakes) {
  const std::pair<const char*, const char*> cases[] = {
      {"cron(60 * * * ? *)", "minutes"}, {"cron(* 24 * * ? *)", "hours"}, {"cron(0 0 0 * ? *)", "day of month"}, {"cron(0 0 32 * ? *)", "day of month"},
      {"cron(0 0 1 13 ? *)", "month"}, {"cron(0 0 1 FOO ? *)", "month"}, {"cron(0 0 ? * 8 *)", "day of week"}, {"cron(0 0 ? * 0 *)", "day of week"},
      {"cron(0 0 ? * MON#6 *)", "behind #"}, {"cron(0 0 ? * MON#1,TUE#2 *)", "#"}, {"cron(0 0 1 * ? 1969)", "year"}, {"cron(0 0 1 * ? 2200)", "year"},
      {"cron(0 0 * * * *)", "exactly one"}, {"cron(0 0 ? * ? *)", "exactly one"}, {"cron(0 0 1 * MON *)", "exactly one"}, {"cron(? 0 1 * ? *)", "day fields"},
      {"cron(0 0 1 * ?)", "six fields"}, {"cron(0 0 1 * ? * *)", "six fields"}, {"cron()", "six fields"}, {"cron(0 0 30 2 ? *)", "never matches"},
      {"cron(5-1 * * * ? *)", "backwards"}, {"cron(*/0 * * * ? *)", "step"}, {"cron(0 0 W * ? *)", "day of month"}, {"cron(0 0 L-3 * ? *)", "day of month"},
      {"cron(1,,2 0 * * ? *)", "minutes"}, {"cron(-1 0 * * ? *)", "minutes"}, {"cron(99999999999 0 * * ? *)", "minutes"}, {"rate(0 minutes)", "whole number"},
      {"rate(5)", "unit"}, {"rate(5 weeks)", "unit"}, {"rate(-1 minutes)", "whole number"}, {"rate(1.5 hours)", "whole number"}, {"at(2026-13-01T00:00:00)", "at("},
      {"at(2026-11-23)", "at("}, {"at(2026-11-23T15:54:25Z)", "at("}, {"every(5 minutes)", "rate(…), at(…) or cron(…)"}, {"", "rate(…)"}, {"cron(", "rate(…)"}};
  for (const auto& [expression, part] : cases) {
    const auto parsed = ScheduleExpression::parse(expression, "UTC");
    ASSERT_FALSE(parsed.has_value()) << expression;
    EXPECT_EQ(parsed.error().code, "schedule.invalid_expression") << expression;
    EXPECT_TRUE(parsed.error().message.contains(part)) << expression << ": " << parsed.error().message;
  }
  EXPECT_FALSE(ScheduleExpression::parse(std::string(10'000, '('), "UTC").has_value());
}

TEST(ScheduleExpression, UnknownZonesComeWithCloseNames) {
  for (const char* name : {"Europe/Berlim", "berlin", "europe/berlin"}) {
    const auto parsed = ScheduleExpression::parse("rate(1 day)", name);
    ASSERT_FALSE(parsed.has_value()) << name;
    EXPECT_EQ(parsed.error().code, "schedule.unknown_time_zone");
    EXPECT_TRUE(parsed.error().message.contains("Europe/Berlin")) << parsed.error().message;
  }
  EXPECT_FALSE(ScheduleExpression::parse("rate(1 day)", "../../etc/passwd").has_value());
  EXPECT_FALSE(ScheduleExpression::parse("rate(1 day)", "").has_value());
}

TEST(ScheduleExpression, SaysWhatItDoes) {
  EXPECT_EQ(ScheduleExpression::parse("rate(5 minutes)", "UTC")->describe(), "every 5 minutes");
  EXPECT_EQ(ScheduleExpression::parse("rate(1 hour)", "UTC")->describe(), "every hour");
  EXPECT_EQ(ScheduleExpression::parse("at(2026-11-23T15:54:25)", "Europe/Berlin")->describe(), "once at 2026-11-23T15:54:25, Europe/Berlin");
  EXPECT_TRUE(ScheduleExpression::parse("at(2026-11-23T15:54:25)", "UTC")->is_one_time());
  EXPECT_FALSE(ScheduleExpression::parse("rate(1 day)", "UTC")->is_one_time());
}

}  // namespace
}  // namespace mayfly::schedule
