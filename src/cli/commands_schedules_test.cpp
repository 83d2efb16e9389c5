#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "cli/cli.h"

namespace mayfly::cli {
namespace {

struct Said {
  int code = 0;
  std::string out, err;
};

Said run(std::vector<const char*> arguments) {
  arguments.insert(arguments.begin(), "mayfly");
  testing::internal::CaptureStdout();
  testing::internal::CaptureStderr();
  const int code = run_cli(static_cast<int>(arguments.size()), arguments.data());
  return {code, testing::internal::GetCapturedStdout(), testing::internal::GetCapturedStderr()};
}

TEST(Schedules, PrintsTheNextTenTimesWithoutAServer) {
  const Said said = run({"schedules", "next", "cron(30 8 ? * * *)", "--time-zone", "Asia/Kolkata"});
  EXPECT_EQ(said.code, 0) << said.err;
  EXPECT_EQ(std::ranges::count(said.out, '\n'), 10) << said.out;
  EXPECT_EQ(said.out.find("T03:00:00Z\n"), 10U) << said.out;
}

TEST(Schedules, KnowsTimesThatAreOver) {
  EXPECT_EQ(run({"schedules", "next", "at(2020-01-01T00:00:00)", "--json"}).out,
            "{\"description\":\"once at 2020-01-01T00:00:00, UTC\",\"times\":[]}\n");
}

TEST(Schedules, RefusesWhatIsNoExpressionZoneOrTarget) {
  const Said unit = run({"schedules", "next", "rate(5 secs)"});
  EXPECT_EQ(unit.code, 2);
  EXPECT_NE(unit.err.find("minutes, hours and days"), std::string::npos) << unit.err;
  const Said zone = run({"schedules", "next", "rate(5 minutes)", "--time-zone", "berlin"});
  EXPECT_EQ(zone.code, 2);
  EXPECT_NE(zone.err.find("Europe/Berlin"), std::string::npos) << zone.err;
  EXPECT_EQ(run({"schedules", "put", "x", "rate(1 hour)", "--target", "bogus", "--url", "http://127.0.0.1:1"}).code, 2);
  EXPECT_EQ(run({"schedules", "put", "x", "rate(1 hour)", "--target", "queue=q", "--url", "http://127.0.0.1:1"}).code, 3);
}

}  // namespace
}  // namespace mayfly::cli
