#include "testing/sim_store.h"

#include <gtest/gtest.h>

#include <set>
#include <string>
#include <vector>

#include "runtime/clock.h"
#include "store/store_conformance.h"

namespace mayfly {
namespace {

struct SimHarness {
  asio::io_context io;
  SystemClock clock{io.get_executor()};
  SeededRandom random{1};
  SimDisk disk;

  std::unique_ptr<Store> open() { return std::make_unique<SimStore>(disk, io.get_executor(), clock, random); }
};

INSTANTIATE_TYPED_TEST_SUITE_P(Sim, StoreConformance, SimHarness);

/// Time moves only when the loop has nothing else to do.
class ManualClock final : public Clock {
 public:
  explicit ManualClock(Executor executor) : executor_(executor) {}
  TimePoint now() const override { return from_unix_ms(now_ms_); }
  std::chrono::nanoseconds monotonic() const override { return Millis{now_ms_}; }
  std::unique_ptr<Timer> call_after(Millis delay, std::move_only_function<void()> callback) override {
    const Timers::key_type at{now_ms_ + delay.count(), next_++};
    timers_->emplace(at, std::move(callback));
    return std::make_unique<ManualTimer>(timers_, at);
  }
  /// False when no timer is left.
  bool advance() {
    if (timers_->empty()) return false;
    now_ms_ = std::max(now_ms_, timers_->begin()->first.first);
    auto callback = std::move(timers_->begin()->second);
    timers_->erase(timers_->begin());
    asio::post(executor_, std::move(callback));
    return true;
  }

 private:
  using Timers = std::map<std::pair<std::int64_t, int>, std::move_only_function<void()>>;
  struct ManualTimer final : Timer {
    ManualTimer(std::shared_ptr<Timers> all, Timers::key_type own) : timers(std::move(all)), at(own) {}
    ~ManualTimer() override { timers->erase(at); }
    std::shared_ptr<Timers> timers;
    Timers::key_type at;
  };

  Executor executor_;
  std::int64_t now_ms_ = 0;
  int next_ = 0;
  std::shared_ptr<Timers> timers_ = std::make_shared<Timers>();
};

struct World {
  explicit World(std::uint64_t seed) : random(seed) {}
  ~World() { disk.release_crashed(); }

  asio::io_context io;
  ManualClock clock{io.get_executor()};
  SeededRandom random;
  SimDisk disk;
  std::vector<std::string> history;  // what each writer was told

  /// Runs until nothing is left to do, or for `steps` jumps of time.
  void run(int steps = 1'000'000) {
    io.restart();
    io.poll();
    while (steps-- > 0 && clock.advance()) {
      io.restart();
      io.poll();
    }
  }
};

std::string key_of(int i) { return "p/" + std::to_string(1000 + i); }

Task<> write_one(Store* store, World* world, int i) {
  const auto outcome = co_await store->commit({.puts = {{key_of(i), std::to_string(i)}, {"p/last", std::to_string(i)}}});
  world->history.push_back(std::to_string(i) + " " + (outcome ? "ok" : outcome.error().code));
}

void start_writers(World& world, Store& store, int count) {
  for (int i = 0; i < count; ++i)
    asio::co_spawn(world.io, write_one(&store, &world, i), [](std::exception_ptr error) { ASSERT_FALSE(error); });
}

const SimStoreFaults kAllFaults = {.apply_delay_max = Millis{20}, .answer_delay_max = Millis{20}, .refused = 0.1, .full = 0.1,
                                   .unknown_applied = 0.1, .unknown_lost = 0.1};

std::vector<std::string> history_of(std::uint64_t seed) {
  World world(seed);
  SimStore store(world.disk, world.io.get_executor(), world.clock, world.random, kAllFaults);
  start_writers(world, store, 200);
  world.run();
  return world.history;
}

TEST(SimStore, SameSeedSameHistory) {
  const auto history = history_of(7);
  EXPECT_EQ(history.size(), 200u);
  EXPECT_EQ(history, history_of(7));
  EXPECT_NE(history, history_of(8));
}

TEST(SimStore, AnswersMatchWhatIsDurable) {
  World world(3);
  SimStore store(world.disk, world.io.get_executor(), world.clock, world.random, kAllFaults);
  start_writers(world, store, 400);
  world.run();
  ASSERT_EQ(world.history.size(), 400u);
  std::map<std::string, std::set<bool>> present_by_answer;
  for (const std::string& line : world.history) {
    const int i = std::stoi(line);
    present_by_answer[line.substr(line.find(' ') + 1)].insert(world.disk.cells().contains(key_of(i)));
  }
  EXPECT_EQ(present_by_answer["ok"], std::set{true});
  EXPECT_EQ(present_by_answer["store.io"], std::set{false});
  EXPECT_EQ(present_by_answer["store.full"], std::set{false});
  EXPECT_EQ(present_by_answer["store.outcome_unknown"], (std::set{true, false})) << "an unknown outcome goes both ways";
}

/// Crashes in the middle; returns how many of the 50 writes are durable.
int crash_midway(World& world, int steps) {
  auto store = std::make_unique<SimStore>(world.disk, world.io.get_executor(), world.clock, world.random,
                                          SimStoreFaults{.apply_delay_max = Millis{20}, .answer_delay_max = Millis{20}});
  start_writers(world, *store, 50);
  world.run(steps);
  const auto told = world.history;
  store->crash();
  EXPECT_EQ(world.disk.tasks_crashed() + told.size(), 50u);
  world.run();
  EXPECT_EQ(world.history, told) << "nobody is resumed after the crash";
  store.reset();
  for (const std::string& line : told) EXPECT_TRUE(world.disk.cells().contains(key_of(std::stoi(line)))) << "acknowledged, so durable";
  int durable = 0;
  while (world.disk.cells().contains(key_of(durable))) ++durable;
  EXPECT_EQ(world.disk.batches_applied(), static_cast<std::size_t>(durable)) << "what is lost is a suffix";
  if (durable > 0) EXPECT_EQ(world.disk.cells().at("p/last").value, std::to_string(durable - 1)) << "batches are whole";
  return durable;
}

TEST(SimStore, CrashKeepsWhatWasAcknowledgedAndLosesASuffix) {
  std::set<int> durable;
  for (std::uint64_t seed = 1; seed <= 40; ++seed) {
    World world(seed);
    durable.insert(crash_midway(world, static_cast<int>(seed % 5)));
  }
  EXPECT_GT(durable.size(), 5u) << "crashes fall at different places";
}

TEST(SimStore, CallsAfterTheCrashNeverReturn) {
  World world(1);
  SimStore store(world.disk, world.io.get_executor(), world.clock, world.random);
  store.crash();
  start_writers(world, store, 3);
  world.run();
  EXPECT_TRUE(world.history.empty());
  EXPECT_EQ(world.disk.tasks_crashed(), 3u);
  EXPECT_TRUE(world.disk.cells().empty());
}

Task<> write_guarded(Store* store, Version epoch, std::string value, std::string* answer) {
  const auto outcome =
      co_await store->commit({.require = {Precondition::version_equals("p/epoch", epoch)}, .puts = {{"p/data", std::move(value)}}});
  *answer = outcome && outcome->committed() ? "committed" : outcome ? "fenced by " + outcome->conflict_key : outcome.error().code;
}

TEST(SimStore, AnOwnerThatWasFencedOffCannotWrite) {
  World world(1);
  SimStore old_owner(world.disk, world.io.get_executor(), world.clock, world.random);
  SimStore new_owner(world.disk, world.io.get_executor(), world.clock, world.random);
  const Version first = world.disk.apply({.puts = {{"p/epoch", "1"}}}).version;
  const Version second = world.disk.apply({.puts = {{"p/epoch", "2"}}}).version;
  std::string old_answer, new_answer;
  TaskGroup group(world.io.get_executor());
  group.spawn(write_guarded(&new_owner, second, "new", &new_answer));
  group.spawn(write_guarded(&old_owner, first, "old", &old_answer));
  world.run();
  EXPECT_EQ(new_answer, "committed");
  EXPECT_EQ(old_answer, "fenced by p/epoch");
  EXPECT_EQ(world.disk.cells().at("p/data").value, "new");
}

}  // namespace
}  // namespace mayfly
