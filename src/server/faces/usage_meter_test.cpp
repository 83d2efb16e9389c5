#include "server/faces/usage_meter.h"

#include <gtest/gtest.h>

#include "testing/sim_store.h"

namespace mayfly::faces {
namespace {

struct World {
  asio::io_context io{1};
  SystemClock clock{io.get_executor()};
  SeededRandom random{7};
  SimDisk disk;
  SimStore store{disk, io.get_executor(), clock, random};
  UsageMeter meter{store, clock};
  Result<void> flushed;
  JsonArray rows;

  static Task<> flush_into(World* world) { world->flushed = co_await world->meter.flush(); }
  static Task<> report_into(World* world) {
    auto rows = co_await world->meter.report(100);
    world->rows = rows ? std::move(*rows) : JsonArray();
  }
  void run(Task<> task) {
    TaskGroup group(io.get_executor());
    group.spawn(std::move(task));
    io.restart();
    io.run();
  }
  std::int64_t count(std::string_view key, std::string_view model, std::string_view what) {
    run(report_into(this));
    for (const Json& row : rows) {
      if (get_string(row.get_object(), "key") != key) continue;
      const JsonObject* models = get_object(row.get_object(), "models");
      const JsonObject* counted = models ? get_object(*models, model) : nullptr;
      if (counted) return get_int(*counted, what);
    }
    return -1;
  }
};

TEST(UsageMeterTest, AddsUpByKeyAndModelAcrossFlushes) {
  World world;
  EXPECT_TRUE(world.meter.add("k1", "p/a", {1, 0, {.input = 10, .output = 2}, 5'000'000}));
  EXPECT_FALSE(world.meter.add("k1", "p/a", {1, 0, {.input = 10, .output = 3}, 5'000'000})) << "a flush is under way already";
  world.run(World::flush_into(&world));
  world.meter.add("k1", "p/a", {1, 1, {}, 0});
  world.meter.add("k2", "p/a", {1, 0, {.output = 9}, 0});
  EXPECT_EQ(world.count("k1", "p/a", "calls"), 3);
  EXPECT_EQ(world.count("k1", "p/a", "failures"), 1);
  EXPECT_EQ(world.count("k1", "p/a", "input_tokens"), 20);
  EXPECT_EQ(world.count("k1", "p/a", "output_tokens"), 5);
  EXPECT_EQ(world.count("k2", "p/a", "output_tokens"), 9);
}

TEST(UsageMeterTest, WhatTheStoreRefusesIsWrittenLater) {
  World world;
  world.meter.add("k1", "p/a", {1, 0, {}, 0});
  world.store.set_faults({.full = 1});
  world.run(World::flush_into(&world));
  EXPECT_FALSE(world.flushed);
  world.store.set_faults({});
  EXPECT_EQ(world.count("k1", "p/a", "calls"), 1);
}

TEST(UsageMeterTest, WhatMayHaveBeenWrittenIsNotCountedTwice) {
  World world;
  world.meter.add("k1", "p/a", {1, 0, {}, 0});
  world.store.set_faults({.unknown_applied = 1});
  world.run(World::flush_into(&world));
  world.store.set_faults({});
  EXPECT_EQ(world.count("k1", "p/a", "calls"), 1);
}

}  // namespace
}  // namespace mayfly::faces
