#include "engine/core/keys.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cctype>
#include <set>
#include <vector>

#include "store/store.h"

namespace mayfly::engine::keys {
namespace {

TEST(Keys, EveryKeyOfAPartitionStartsWithIt) {
  const std::string prefix = partition_prefix(0x2a);
  EXPECT_EQ(prefix, "002a/");
  const std::vector<std::string> keys{epoch(0x2a),
                                      active(0x2a, "r"),
                                      outbox(0x2a, "r", 1),
                                      history(0x2a, "a/s", 1),
                                      idempotency(0x2a, "h"),
                                      memory(0x2a, "a/s", "k"),
                                      operation(0x2a, "r", 1),
                                      inbox(0x2a, "a/s", 1),
                                      session(0x2a, "a/s"),
                                      run(0x2a, "r"),
                                      timer(0x2a, from_unix_ms(1), "r", "deadline")};
  for (const std::string& key : keys) EXPECT_EQ(partition_of(key), "002a") << key;
  EXPECT_EQ(std::set<std::string>(keys.begin(), keys.end()).size(), keys.size());
}

TEST(Keys, KindsLieInTheirPrefixes) {
  const auto inside = [](const std::string& key, const std::string& prefix) {
    const KeyRange range = KeyRange::prefix(prefix);
    return range.begin <= key && key < range.end;
  };
  EXPECT_TRUE(inside(active(3, "r"), active_prefix(3)));
  EXPECT_TRUE(inside(outbox(3, "r", 9), outbox_prefix(3)));
  EXPECT_TRUE(inside(history(3, "a/s", 9), history_prefix(3, "a/s")));
  EXPECT_TRUE(inside(memory(3, "a/s", "k"), memory_prefix(3, "a/s")));
  EXPECT_TRUE(inside(operation(3, "r", 9), operation_prefix(3, "r")));
  EXPECT_TRUE(inside(inbox(3, "a/s", 9), inbox_prefix(3, "a/s")));
  EXPECT_TRUE(inside(session(3, "a/s"), session_prefix(3)));
  EXPECT_TRUE(inside(timer(3, from_unix_ms(9), "r", "w"), timer_prefix(3)));
  EXPECT_TRUE(inside(run(3, "r"), run_prefix(3)));
}

TEST(Keys, NumbersSortAsNumbers) {
  const std::vector<std::int64_t> numbers{0, 1, 9, 10, 15, 16, 255, 256, 65'535, 1'000'000, 0xffffffff};
  std::vector<std::string> operations, inboxes, histories;
  for (const std::int64_t number : numbers) {
    operations.push_back(operation(0, "run", number));
    inboxes.push_back(inbox(0, "a/s", number));
    histories.push_back(history(0, "a/s", number));
  }
  EXPECT_TRUE(std::ranges::is_sorted(operations));
  EXPECT_TRUE(std::ranges::is_sorted(inboxes));
  EXPECT_TRUE(std::ranges::is_sorted(histories));
}

TEST(Keys, TimersSortByTimeAndSayWhatTheyAre) {
  const std::vector<std::int64_t> times{0, 1, 999, 1'000, 1'700'000'000'000, 1'700'000'000'001, 253'402'300'799'000};
  std::vector<std::string> timers;
  for (const std::int64_t ms : times) timers.push_back(timer(7, from_unix_ms(ms), "zzz", "deadline"));
  EXPECT_TRUE(std::ranges::is_sorted(timers));
  for (std::size_t i = 0; i < times.size(); ++i) {
    const auto parsed = parse_timer(timers[i]);
    ASSERT_TRUE(parsed) << timers[i];
    EXPECT_EQ(to_unix_ms(parsed->due), times[i]);
    EXPECT_EQ(parsed->run, "zzz");
    EXPECT_EQ(parsed->what, "deadline");
  }
  EXPECT_LT(timer(7, from_unix_ms(1), "zzz", "x"), timer(7, from_unix_ms(2), "aaa", "x"));
}

TEST(Keys, WhatIsNoTimerIsNotParsed) {
  const std::string good = timer(7, from_unix_ms(5), "r", "w");
  for (const std::string& bad : {std::string(), std::string("0007/t/"), good.substr(0, 20), good.substr(0, good.rfind('/')),
                                 std::string("0007/t/000000000000000G/r/w"), std::string("0007/t/0000000000000005-r/w")})
    EXPECT_FALSE(parse_timer(bad)) << bad;
}

TEST(Keys, SessionsNeverCollideOrReachIntoEachOther) {
  const std::vector<std::string> sessions{"a/b",   "a/b/c",   "a/b%2fc", "a/b c", "a/b%20c", std::string("a/\0b", 4),
                                          "a/b\n", "a/b\x7f", "a/ü",     "a/日本"};
  std::set<std::string> keys;
  for (const std::string& one : sessions) {
    const std::string key = session(1, one);
    keys.insert(key);
    EXPECT_EQ(std::ranges::count(key, '/'), 2) << one;
    for (const std::string& other : sessions) {
      if (one == other) continue;
      EXPECT_FALSE(memory(1, one, "k").starts_with(memory_prefix(1, other))) << one << " in " << other;
      EXPECT_FALSE(inbox(1, one, 1).starts_with(inbox_prefix(1, other))) << one << " in " << other;
      EXPECT_FALSE(history(1, one, 1).starts_with(history_prefix(1, other))) << one << " in " << other;
    }
  }
  EXPECT_EQ(keys.size(), sessions.size());
  EXPECT_NE(memory(1, "a/b", "c/d"), memory(1, "a/b/c", "d"));
  EXPECT_NE(memory(1, "a/b", "c/d"), memory(1, "a/b", "c%2fd"));
}

TEST(Keys, ARunsIdHoldsItsPartition) {
  SeededRandom random(7);
  for (const Partition partition : {0, 1, 15, 31, 32, 33, 1023}) {
    const std::string id = make_run_id(from_unix_ms(1'700'000'000'000), random, partition);
    EXPECT_EQ(id.size(), 30u);
    EXPECT_EQ(partition_of_run(id), partition) << id;
  }
}

TEST(Keys, RunIdsSortByTimeAndDiffer) {
  SeededRandom random(7);
  std::set<std::string> ids;
  for (int i = 0; i < 1000; ++i) ids.insert(make_run_id(from_unix_ms(1'700'000'000'000), random, 5));
  EXPECT_EQ(ids.size(), 1000u);
  EXPECT_LT(make_run_id(from_unix_ms(1'000), random, 1023), make_run_id(from_unix_ms(1'001), random, 0));
}

TEST(Keys, WhatIsNoRunHasNoPartition) {
  SeededRandom random(7);
  const std::string good = make_run_id(from_unix_ms(1), random, 3);
  std::string lower = good;
  std::ranges::transform(lower, lower.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  for (const std::string& bad : {std::string(), std::string("run_"), good.substr(1), good + "0", lower, "run-" + good.substr(4),
                                 "run_" + std::string(26, 'U'), std::string("support/run_1")})
    EXPECT_FALSE(partition_of_run(bad)) << bad;
}

TEST(Keys, SessionsStayWhereTheyAre) {
  // Stored data depends on these: a change loses sessions from sight.
  EXPECT_EQ(partition_of_session("", 16), 0xcbf29ce484222325u % 16);
  EXPECT_EQ(partition_of_session("a", 1024), 0xaf63dc4c8601ec8cu % 1024);  // FNV-1a's published value
  std::set<Partition> used;
  for (int i = 0; i < 200; ++i) used.insert(partition_of_session("support/user-" + std::to_string(i), 16));
  EXPECT_EQ(used.size(), 16u);
  EXPECT_LT(*used.rbegin(), 16);
}

}  // namespace
}  // namespace mayfly::engine::keys
