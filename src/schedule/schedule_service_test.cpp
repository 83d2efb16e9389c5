#include <gtest/gtest.h>

#include <fmt/format.h>

#include <map>
#include <set>

#include "base/hash.h"
#include "schedule/schedule.h"
#include "schedule/schedule_row.h"
#include "testing/sim_clock.h"
#include "testing/sim_store.h"

namespace mayfly::schedule {
namespace {

/// A clock whose wall time is off by what the test says.
class JumpClock final : public Clock {
 public:
  explicit JumpClock(Clock& inner, const Millis& offset) : inner_(inner), offset_(offset) {}
  TimePoint now() const override { return inner_.now() + offset_; }
  std::chrono::nanoseconds monotonic() const override { return inner_.monotonic(); }
  std::unique_ptr<Timer> call_after(Millis delay, std::move_only_function<void()> callback) override {
    return inner_.call_after(delay, std::move(callback));
  }

 private:
  Clock& inner_;
  const Millis& offset_;
};

struct Fired {
  std::string id;
  TimePoint due, at;
  bool missed;
  int life;
};

enum class Plant { Nothing, FireEarly, LoseAdvance, AdvanceWithoutFiring };

/// A server that lives, dies and comes back on one disk.
class World {
 public:
  explicit World(std::uint64_t seed, Plant plant = Plant::Nothing) : random_(seed), plant_(plant) {}
  ~World() {
    if (service_) die();
    disk_.release_crashed();
  }

  void live(SimStoreFaults faults = {}) {
    ++life_;
    process_ = std::make_unique<ProcessClock>(clock_);
    jump_ = std::make_unique<JumpClock>(*process_, offset_);
    store_ = std::make_unique<SimStore>(disk_, io_.get_executor(), *process_, random_, faults);
    ScheduleDependencies dependencies{.executor = io_.get_executor(), .store = store_.get(), .clock = jump_.get(), .random = &random_, .partitions = 4};
    disk_.apply({.require = {}, .puts = {{"0000/epoch", "1"}}, .deletes = {}});
    for (int p = 1; p < 4; ++p) disk_.apply({.require = {}, .puts = {{fmt::format("{:04x}/epoch", p), "1"}}, .deletes = {}});
    dependencies.lease = [](engine::keys::Partition partition) { return Precondition::present(engine::keys::epoch(partition)); };
    dependencies.fire = [this](Firing firing) { return accept(std::move(firing)); };
    dependencies.firing_parallel = 4;
    service_ = make_schedule_service(std::move(dependencies));
    ups_.push_back({now(), now()});
    await(service_->open());
  }
  void die() {
    ups_.back().second = now();
    process_->die();
    store_->crash();
    service_->crash();
    graveyard_.push_back({std::move(service_), std::move(store_), std::move(jump_), std::move(process_)});
  }
  void stop() {
    const auto stopped = [](ScheduleService* service) -> Task<int> {
      co_await service->stop();
      co_return 0;
    };
    await(stopped(service_.get()));
    ups_.back().second = now();
    service_.reset();
  }

  template <class T>
  T await(Task<T> task) {
    std::optional<T> result;
    asio::co_spawn(io_, std::move(task), [&](std::exception_ptr error, T value) {
      ASSERT_FALSE(error);
      result = std::move(value);
    });
    for (int i = 0; i < 100'000 && !result; ++i) {
      settle();
      if (!result && !clock_.advance()) break;
    }
    return std::move(*result);
  }
  void settle() {
    io_.restart();
    io_.poll();
  }
  /// Lets this much time pass.
  void pass(Millis time) {
    bool done = false;
    const auto end = clock_.call_after(time, [&] { done = true; });
    while (!done) {
      settle();
      if (!done) clock_.advance();
    }
    settle();
  }
  TimePoint now() const { return clock_.now() + offset_; }

  Task<Result<void>> accept(Firing firing) {
    if (random_.unit() < refuse_) co_return fail("target.busy", "try again", Retry::Safe);
    if (fatal_) co_return fail("target.gone", "no such agent", Retry::Never);
    if (plant_ == Plant::AdvanceWithoutFiring && stable_hash64(firing.id) % 5 == 0) co_return Result<void>{};
    const TimePoint truth = clock_.now() + (plant_ == Plant::FireEarly ? Millis{0} : offset_);
    fired_.push_back({firing.id, firing.due, truth, firing.missed, life_});
    EXPECT_EQ(firing.id, firing_id(firing.spec, firing.due));
    co_return Result<void>{};
  }

  ScheduleInfo put(ScheduleSpec spec) {
    for (;;) {
      auto info = await(service_->put(spec));
      if (info) return *info;
      EXPECT_NE(info.error().retry, Retry::Never) << info.error().message;
      pass(Millis{100});
    }
  }
  ScheduleInfo get(const std::string& name) { return await(service_->get("default", name)).value_or(ScheduleInfo{}); }
  std::vector<Fired> of(const std::string& name) const {
    std::vector<Fired> result;
    for (const auto& one : fired_) {
      if (one.id.starts_with("default/" + name + "/")) result.push_back(one);
    }
    return result;
  }
  std::vector<std::string> times_of(const std::string& name) const {
    std::vector<std::string> result;
    for (const auto& one : of(name)) result.push_back(to_rfc3339(one.due).substr(11, 8));
    return result;
  }

  asio::io_context io_;
  SimClock clock_;
  Millis offset_{0};
  SimDisk disk_;
  SeededRandom random_;
  Plant plant_;
  double refuse_ = 0;
  bool fatal_ = false;
  int life_ = 0;
  std::vector<Fired> fired_;
  std::vector<std::pair<TimePoint, TimePoint>> ups_;
  struct Dead {
    std::unique_ptr<ScheduleService> service;
    std::unique_ptr<SimStore> store;
    std::unique_ptr<JumpClock> jump;
    std::unique_ptr<ProcessClock> process;
  };
  std::vector<Dead> graveyard_;
  std::unique_ptr<ProcessClock> process_;
  std::unique_ptr<JumpClock> jump_;
  std::unique_ptr<SimStore> store_;
  std::unique_ptr<ScheduleService> service_;
};

ScheduleSpec make_spec(std::string name, std::string expression, Missed missed = Missed::RunOnce) {
  ScheduleSpec spec;
  spec.name = std::move(name);
  spec.expression = std::move(expression);
  spec.missed = missed;
  spec.target = *parse_json(R"({"agent":"a"})");
  return spec;
}

// The world's clock starts at 2023-11-14T22:13:20Z.
using Times = std::vector<std::string>;

TEST(Schedules, FireAtTheirTimeAndSayWhatComesNext) {
  World world(1);
  world.live();
  world.put(make_spec("cron", "cron(0/10 * * * ? *)"));
  world.put(make_spec("rate", "rate(7 minutes)"));
  world.put(make_spec("once", "at(2023-11-14T22:30:00)"));
  world.pass(Millis{20 * 60'000});
  EXPECT_EQ(world.times_of("cron"), (Times{"22:20:00", "22:30:00"}));
  EXPECT_EQ(world.times_of("rate"), (Times{"22:20:20", "22:27:20"}));
  EXPECT_EQ(world.times_of("once"), (Times{"22:30:00"}));
  for (const auto& one : world.fired_) EXPECT_EQ(one.at, one.due) << one.id;
  const auto info = world.get("cron");
  EXPECT_EQ(info.fired, 2U);
  EXPECT_EQ(to_rfc3339(*info.next), "2023-11-14T22:40:00.000Z");
  EXPECT_EQ(to_rfc3339(*info.last), "2023-11-14T22:30:00.000Z");
  EXPECT_FALSE(world.get("once").next.has_value());
}

TEST(Schedules, StartEndDeletionAndPause) {
  World world(2);
  world.live();
  auto bounded = make_spec("bounded", "rate(1 minute)");
  bounded.start = *parse_rfc3339("2023-11-14T22:20:00Z");
  bounded.end = *parse_rfc3339("2023-11-14T22:22:00Z");
  bounded.delete_after_completion = true;
  world.put(bounded);
  auto paused = make_spec("paused", "rate(1 minute)");
  paused.enabled = false;
  world.put(paused);
  auto removed = make_spec("removed", "rate(1 minute)");
  world.put(removed);
  EXPECT_TRUE(world.await(world.service_->remove("default", "removed")).has_value());
  EXPECT_EQ(world.await(world.service_->remove("default", "removed")).error().code, "schedule.not_found");
  world.pass(Millis{15 * 60'000});
  EXPECT_EQ(world.times_of("bounded"), (Times{"22:20:00", "22:21:00", "22:22:00"}));
  EXPECT_TRUE(world.of("paused").empty());
  EXPECT_TRUE(world.of("removed").empty());
  EXPECT_EQ(world.await(world.service_->get("default", "bounded")).error().code, "schedule.not_found");
  paused.enabled = true;
  world.put(paused);
  world.pass(Millis{90'000});
  EXPECT_EQ(world.of("paused").size(), 1U);
}

TEST(Schedules, MissedTimesFollowTheirPolicy) {
  for (const auto& [missed, expected] : {std::pair{Missed::Skip, Times{"22:30:00"}}, {Missed::RunOnce, Times{"22:25:00", "22:30:00"}},
                                         {Missed::RunAll, Times{"22:15:00", "22:20:00", "22:25:00", "22:30:00"}}}) {
    World world(3);
    world.live();
    world.put(make_spec("s", "cron(0/5 * * * ? *)", missed));
    world.die();
    world.pass(Millis{13 * 60'000});  // 22:26:20
    world.live();
    world.pass(Millis{5 * 60'000});
    EXPECT_EQ(world.times_of("s"), expected);
    for (const auto& one : world.of("s")) EXPECT_EQ(one.missed, one.due < *parse_rfc3339("2023-11-14T22:26:00Z")) << one.id;
  }
}

TEST(Schedules, PuttingTheSameAgainForgetsNothingThatWasMissed) {
  World world(3);
  world.live();
  const ScheduleSpec spec = make_spec("s", "cron(0/5 * * * ? *)");
  world.put(spec);
  world.die();
  world.pass(Millis{13 * 60'000});  // 22:26:20
  world.live();
  world.put(spec);  // as a project does that is deployed at each start
  world.pass(Millis{1'000});
  EXPECT_EQ(world.times_of("s"), Times{"22:25:00"});
}

TEST(Schedules, AYearDownCostsAtMostAThousandFirings) {
  World world(4);
  world.live();
  world.put(make_spec("all", "rate(1 minute)", Missed::RunAll));
  world.put(make_spec("once", "cron(* * * * ? *)", Missed::RunOnce));
  world.die();
  world.offset_ = Millis{365LL * 24 * 3'600'000};
  world.live();
  world.pass(Millis{60'000});
  EXPECT_EQ(std::ranges::count_if(world.of("all"), &Fired::missed), 1'000);
  EXPECT_EQ(std::ranges::count_if(world.of("once"), &Fired::missed), 1);
  EXPECT_GT(world.get("all").next, world.now() - Millis{60'000});
}

TEST(Schedules, AClockThatJumpsForwardIsDowntime) {
  World world(5);
  world.live();
  world.put(make_spec("skip", "cron(0/5 * * * ? *)", Missed::Skip));
  world.put(make_spec("all", "cron(0/5 * * * ? *)", Missed::RunAll));
  world.pass(Millis{120'000});
  world.offset_ += Millis{60 * 60'000};
  world.pass(Millis{120'000});
  EXPECT_EQ(std::ranges::count_if(world.of("all"), &Fired::missed), 12);
  EXPECT_TRUE(std::ranges::none_of(world.of("skip"), &Fired::missed));
  const auto before = world.fired_.size();
  world.offset_ -= Millis{30 * 60'000};
  world.pass(Millis{20 * 60'000});
  EXPECT_EQ(world.fired_.size(), before) << "a clock set back fires nothing again";
}

TEST(Schedules, FailuresAreTriedAgainWithoutHoldingOthersUp) {
  World world(6);
  world.live();
  world.refuse_ = 1;
  for (int i = 0; i < 20; ++i) world.put(make_spec(fmt::format("s{}", i), "at(2023-11-14T22:20:00)"));
  world.pass(Millis{7 * 60'000});
  EXPECT_TRUE(world.fired_.empty());
  EXPECT_EQ(world.get("s3").last_error, "try again");
  world.refuse_ = 0;
  world.put(make_spec("other", "at(2023-11-14T22:20:30)"));
  world.pass(Millis{90'000});
  EXPECT_EQ(world.fired_.size(), 21U);
  ASSERT_EQ(world.of("other").size(), 1U);
  EXPECT_EQ(world.of("other")[0].at, world.of("other")[0].due) << "those that failed hold nothing up";
  EXPECT_TRUE(world.get("s3").last_error.empty());
  world.fatal_ = true;
  world.put(make_spec("fatal", "rate(1 minute)"));
  world.pass(Millis{130'000});
  EXPECT_EQ(world.get("fatal").last_error, "no such agent");
  EXPECT_TRUE(world.get("fatal").next.has_value());
}

TEST(Schedules, FlexibleWindowsGiveOneMomentForEachFiring) {
  World world(7);
  world.live();
  auto spec = make_spec("flex", "cron(0 * * * ? *)");
  spec.flexible_window = Millis{15 * 60'000};
  world.put(spec);
  world.pass(Millis{5 * 3'600'000});
  ASSERT_GE(world.fired_.size(), 4U);
  std::set<Millis> delays;
  for (const auto& one : world.fired_) {
    EXPECT_EQ(one.at, fire_time(spec, one.due));
    EXPECT_LT(one.at - one.due, spec.flexible_window);
    delays.insert(one.at - one.due);
  }
  EXPECT_GT(delays.size(), 1U);
}

TEST(Schedules, AreListedInPagesByGroupAndPrefix) {
  World world(8);
  world.live();
  for (int i = 0; i < 25; ++i) {
    auto spec = make_spec(fmt::format("n{:02}", i), "rate(1 day)");
    spec.group = i % 2 == 0 ? "even" : "odd";
    world.put(spec);
  }
  std::vector<std::string> names;
  ScheduleFilter filter{.group = "", .prefix = "", .limit = 4, .after = ""};
  for (;;) {
    const auto page = *world.await(world.service_->list(filter));
    if (page.empty()) break;
    for (const auto& info : page) names.push_back(full_name(info.spec));
    filter.after = names.back();
  }
  EXPECT_EQ(names.size(), 25U);
  EXPECT_TRUE(std::ranges::is_sorted(names));
  EXPECT_EQ(world.await(world.service_->list({.group = "even", .prefix = "n1", .limit = 100, .after = ""}))->size(), 5U);
  EXPECT_EQ(world.await(world.service_->list({.group = "", .prefix = "n2", .limit = 100, .after = ""}))->size(), 5U);
}

TEST(Schedules, ThousandsAreFiredThroughASmallWindow) {
  World world(9);
  world.live();
  for (int i = 0; i < 9'000; ++i) world.put(make_spec(fmt::format("m{}", i), fmt::format("at(2023-11-14T{:02}:{:02}:00)", 22 + (i % 100) / 60, (i % 100) % 60 < 20 ? 20 : (i % 100) % 60)));
  world.pass(Millis{3 * 3'600'000});
  std::set<std::string> ids;
  for (const auto& one : world.fired_) ids.insert(one.id);
  EXPECT_EQ(ids.size(), 9'000U);
  EXPECT_EQ(world.fired_.size(), 9'000U);
}

/// Lives through crashes at random moments and says what is wrong with what was fired; empty: nothing.
std::string simulate(std::uint64_t seed, Plant plant) {
  World world(seed, plant);
  std::map<std::string, ScheduleSpec> specs;
  std::map<std::string, TimePoint> created;
  world.live();
  const Missed policies[] = {Missed::Skip, Missed::RunOnce, Missed::RunAll};
  const char* expressions[] = {"rate(3 minutes)", "cron(0/7 * * * ? *)", "cron(30 * * * ? *)", "cron(0/2 22-23 * * ? *)"};
  for (int i = 0; i < 12; ++i) {
    auto spec = make_spec(fmt::format("s{}", i), expressions[i % 4], policies[i % 3]);
    if (i % 5 == 0) spec.flexible_window = Millis{90'000};
    created[spec.name] = world.now();
    specs[spec.name] = world.put(spec).spec;
  }
  world.refuse_ = 0.2;
  if (plant == Plant::FireEarly) world.offset_ = Millis{40'000};
  for (int life = 0; life < 12; ++life) {
    world.pass(Millis{static_cast<std::int64_t>(world.random_.below(15 * 60'000))});
    world.die();
    if (plant == Plant::LoseAdvance && life == 5) {
      // As if the advance had not written the next due time.
      Batch lost;
      for (const auto& [key, cell] : world.disk_.cells()) {
        if (!key.substr(4).starts_with("/S/") || !lost.puts.empty()) continue;
        const auto row = *row_from_text(cell.value);
        if (row.info.spec.missed != Missed::RunAll || !row.info.next) continue;
        const engine::keys::Partition partition = partition_of(full_name(row.info.spec), 4);
        lost.deletes.push_back(due_key(partition, fire_time(row.info.spec, *row.info.next), full_name(row.info.spec)));
        lost.puts.push_back({key, cell.value});
      }
      world.disk_.apply(lost);
    }
    world.pass(Millis{static_cast<std::int64_t>(world.random_.below(12 * 60'000))});
    world.live({.apply_delay_max = Millis{5}, .answer_delay_max = Millis{5}, .refused = 0.05, .unknown_applied = 0.05, .unknown_lost = 0.05, .read_failed = 0.05});
  }
  world.refuse_ = 0;
  world.store_->set_faults({});
  world.pass(Millis{20 * 60'000});
  const TimePoint end = world.now();
  for (const auto& [name, spec] : specs) {
    const auto expression = *ScheduleExpression::parse(spec.expression, spec.time_zone);
    const TimePoint anchor = std::chrono::floor<std::chrono::seconds>(created[name]);
    std::set<TimePoint> dues;
    for (auto due = expression.next(created[name], anchor); due && *due <= end; due = expression.next(*due, anchor)) dues.insert(*due);
    std::set<TimePoint> fired;
    std::map<int, std::set<TimePoint>> made_up;
    for (const auto& one : world.of(name)) {
      if (!dues.contains(one.due)) return name + " fired at a time that is not due: " + one.id;
      if (one.at < fire_time(spec, one.due)) return name + " fired early: " + one.id;
      if (one.missed && spec.missed == Missed::Skip) return name + " made up for what it should skip";
      if (one.missed) made_up[one.life].insert(one.due);
      fired.insert(one.due);
    }
    for (const auto& [life, times] : made_up) {
      if (spec.missed == Missed::RunOnce && times.size() > 1) return name + " made up for more than the newest";
    }
    for (const TimePoint due : dues) {
      const TimePoint at = fire_time(spec, due);
      // With retries after failures, three minutes are plenty.
      const bool calm = std::ranges::any_of(world.ups_, [&](const auto& up) {
        return at >= up.first && at + Millis{180'000} < (up.second == up.first ? end : up.second);
      });
      const bool must = calm || (spec.missed == Missed::RunAll && at + Millis{180'000} < end);
      if (must && !fired.contains(due)) return name + " lost " + to_rfc3339(due);
    }
    if (spec.missed == Missed::RunAll && world.get(name).fired != fired.size()) return name + " counts firings wrongly";
  }
  return {};
}

TEST(ScheduleSimulation, NothingIsLostEarlyOrChangedByCrashes) {
  for (std::uint64_t seed = 1; seed <= 60; ++seed) EXPECT_EQ(simulate(seed, Plant::Nothing), "") << "seed " << seed;
}

TEST(ScheduleSimulation, TheCheckerFindsPlantedBugs) {
  for (const Plant plant : {Plant::FireEarly, Plant::LoseAdvance, Plant::AdvanceWithoutFiring}) {
    int found = 0;
    for (std::uint64_t seed = 1; seed <= 10; ++seed) found += simulate(seed, plant).empty() ? 0 : 1;
    EXPECT_GT(found, 0) << static_cast<int>(plant);
  }
}

TEST(ScheduleSpecs, AreReadWithPointersToWhatIsWrong) {
  const std::pair<const char*, const char*> cases[] = {
      {R"j({"target":{"agent":"a"}})j", "/expression: "}, {R"j({"expression":"rate(1 day)"})j", "/target: "},
      {R"j({"expression":"rate(1 day)","target":{"agent":"a"},"time_zone":"Mars/Base"})j", "/time_zone: "},
      {R"j({"expression":"rate(1 day)","target":{"agent":"a"},"missed":"never"})j", "/missed: "},
      {R"j({"expression":"rate(1 day)","target":{"agent":"a"},"start":"soon"})j", "/start: "},
      {R"j({"expression":"rate(1 day)","target":{"agent":"a"},"start":"2026-01-02T00:00:00Z","end":"2026-01-01T00:00:00Z"})j", "/end: "},
      {R"j({"expression":"rate(1 day)","target":{"agent":"a"},"retry":{"attempts":186}})j", "/retry/attempts: "},
      {R"j({"expression":"rate(1 day)","target":{"agent":"a"},"flexible_window":"2d"})j", "/flexible_window: "},
      {R"j({"expression":"rate(1 day)","target":{"agent":"a"},"colour":1})j", "/colour: "}, {R"j([])j", ": "}};
  for (const auto& [text, pointer] : cases) {
    const auto read = schedule_spec_from_json("n", *parse_json(text));
    ASSERT_FALSE(read.has_value()) << text;
    EXPECT_EQ(read.error().code, "schedule.invalid");
    EXPECT_TRUE(read.error().message.starts_with(pointer)) << read.error().message;
  }
  EXPECT_FALSE(schedule_spec_from_json("a/b", *parse_json(R"j({"expression":"rate(1 day)","target":{"agent":"a"}})j")).has_value());
  const Json full = *parse_json(R"j({"name":"n","group":"g","description":"d","expression":"cron(0 8 ? * MON-FRI *)","time_zone":"Europe/Berlin",
    "start":"2026-01-01T00:00:00.000Z","end":"2027-01-01T00:00:00.000Z","flexible_window":"900s","missed":"all","enabled":false,"delete_after_completion":true,
    "target":{"agent":"a"},"input":{"x":1},"retry":{"attempts":5,"max_age":"3600s"},"dead_letter_queue":"dlq"})j");
  const auto read = schedule_spec_from_json("n", full);
  ASSERT_TRUE(read.has_value()) << read.error().message;
  EXPECT_EQ(to_canonical_text(to_json(*read)), to_canonical_text(full));
  EXPECT_TRUE(parse_json(schedule_schema_text()).has_value());
}

}  // namespace
}  // namespace mayfly::schedule
