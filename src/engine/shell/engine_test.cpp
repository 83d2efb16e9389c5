#include "engine/engine.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>

#include "blob/memory_blob_store.h"
#include "testing/sim_clock.h"
#include "testing/sim_store.h"

namespace mayfly::engine {
namespace {

/// A program that does what its input says: {"do": "step" | "hold" (a step of one second) | "once" (the same, at most once) | "invoke" |
/// "wait" | "large"}.
class Scripted final : public Program {
 public:
  Decision begin(ProgramContext context, const Json& input) const override {
    const std::string what = get_string(input.as_object(), "do");
    Decision out;
    OperationRequest request;
    request.name = what;
    request.kind = what;
    if (what == "invoke") {
      request.type = OperationType::ChainedInvoke;
      request.input = JsonObject{{"program", "child"},
                                 {"version", 1},
                                 {"session", get_string(input.as_object(), "session")},
                                 {"input", JsonObject{{"do", "step"}}}};
    } else if (what == "wait") {
      request.type = OperationType::Wait;
      request.due = context.now + Millis{get_int(input.as_object(), "ms")};
    }
    if (what == "once") request.repeat = Repeat::Never;
    if (what == "tell") out.send = {"hello", "again"};
    out.start.push_back(std::move(request));
    return out;
  }
  Decision ended(ProgramContext, const Operation& op) const override {
    Decision out;
    const bool ok = op.status == OperationStatus::Succeeded;
    out.complete = Completion{ok ? ExecutionStatus::Succeeded : ExecutionStatus::Failed, op.result, op.error};
    return out;
  }
  std::vector<Json> farewell(const Execution& run) const override {
    return run.program == "teller" ? std::vector<Json>{Json("ended " + std::string(to_string(run.status)))} : std::vector<Json>{};
  }
  Decision message(ProgramContext, const Operation&) const override { return {}; }
  bool may_repeat(ProgramContext, const PendingOperation&, const Error&) const override { return true; }
  OnUnknownOutcome on_unknown(ProgramContext, const PendingOperation&) const override { return OnUnknownOutcome::Ask; }
};

class Host final : public ProgramHost {
 public:
  std::shared_ptr<const Program> find(const std::string& name, std::int64_t) override { return name == "missing" ? nullptr : program_; }

 private:
  std::shared_ptr<const Program> program_ = std::make_shared<Scripted>();
};

class Steps final : public StepExecutor {
 public:
  Steps(int* executed, Clock& clock) : executed_(executed), clock_(clock) {}
  Task<StepOutcome> execute(StepCall call) override {
    ++*executed_;
    StepOutcome out;
    if (call.operation.kind == "hold" || call.operation.kind == "once") co_await sleep_for(clock_, Millis{1'000});
    out.result = call.operation.kind == "large" ? Json(std::string(200'000, 'x')) : Json("done by " + call.program);
    co_return out;
  }

 private:
  int* executed_;
  Clock& clock_;
};

/// Fails for one kind of row, as long as it is told to.
class PickyStore final : public Store {
 public:
  explicit PickyStore(SimStore& inner) : inner_(inner) {}
  Task<Result<std::optional<Record>>> get(std::string key) override {
    if (!fail_reads_of.empty() && key.contains(fail_reads_of)) co_return fail("store.io", "injected", Retry::Safe);
    co_return co_await inner_.get(std::move(key));
  }
  Task<Result<std::vector<Record>>> scan(KeyRange range, std::size_t limit, Direction direction) override {
    if (!fail_reads_of.empty() && range.begin.contains(fail_reads_of)) co_return fail("store.io", "injected", Retry::Safe);
    co_return co_await inner_.scan(std::move(range), limit, direction);
  }
  Task<Result<CommitOutcome>> commit(Batch batch) override {
    for (const Put& put : batch.puts)
      if (!fail_writes_of.empty() && put.key.contains(fail_writes_of)) co_return fail("store.full", "injected", Retry::Safe);
    co_return co_await inner_.commit(std::move(batch));
  }
  std::unique_ptr<Watch> watch(std::string prefix, std::function<void()> changed) override {
    return inner_.watch(std::move(prefix), std::move(changed));
  }
  bool exclusive() const override { return true; }
  Task<> close() override { return inner_.close(); }

  std::string fail_reads_of, fail_writes_of;

 private:
  SimStore& inner_;
};

/// Where messages go; outlives every server.
struct Outside {
  std::map<std::string, Json> taken;
  std::vector<std::string> order;
  int deliveries = 0;
  int failures = 0;  ///< so many of the next ones fail

  Result<void> take(const std::string& id, Json message) {
    ++deliveries;
    if (failures > 0) {
      --failures;
      return fail("outside.busy", "injected", Retry::Safe);
    }
    const auto [at, first] = taken.emplace(id, message);
    EXPECT_EQ(at->second, message) << "one id, two messages";
    if (first) order.push_back(id);
    return {};
  }
};

/// A server on a disk that outlives it.
struct Server {
  Server(asio::io_context& io, SimClock& world_clock, SimDisk& disk, MemoryBlobStore& blobs, Outside& outside, int* executed, std::uint64_t seed,
         std::string fail_reads_of, std::string fail_writes_of)
      : clock(world_clock), random(seed), store(disk, io.get_executor(), clock, random), steps(executed, clock), tasks(io.get_executor()) {
    picky.fail_reads_of = std::move(fail_reads_of);
    picky.fail_writes_of = std::move(fail_writes_of);
    engine = make_engine({.executor = io.get_executor(),
                          .store = &picky,
                          .blobs = &blobs,
                          .clock = &clock,
                          .random = &random,
                          .programs = &host,
                          .steps = &steps,
                          .deliver = [&outside](std::string id, Json message) { return deliver(outside, id, std::move(message)); }},
                         {.partitions = 4});
    tasks.spawn(open());
  }
  ~Server() { tasks.abandon(); }
  static Task<Result<void>> deliver(Outside& outside, std::string id, Json message) { co_return outside.take(id, std::move(message)); }
  Task<> open() {
    EXPECT_TRUE(co_await engine->open());
    ready = true;
  }
  void die() {
    clock.die();
    store.crash();
    engine->crash();
    tasks.abandon();
  }

  ProcessClock clock;
  SeededRandom random;
  SimStore store;
  PickyStore picky{store};
  Host host;
  Steps steps;
  std::unique_ptr<Engine> engine;
  TaskGroup tasks;
  bool ready = false;
};

class EngineTest : public ::testing::Test {
 protected:
  ~EngineTest() override {
    for (auto& server : servers_) server->die();
    disk_.release_crashed();
  }
  Server& boot(const std::string& fail_reads_of = "", const std::string& fail_writes_of = "") {
    servers_.push_back(std::make_unique<Server>(io_, clock_, disk_, blobs_, outside_, &executed_, ++seed_, fail_reads_of, fail_writes_of));
    run_until([&] { return servers_.back()->ready; });
    return *servers_.back();
  }
  /// Handler by handler, then timer by timer.
  bool run_until(const std::function<bool()>& done) {
    for (int i = 0; i < 200'000; ++i) {
      if (done()) return true;
      if (io_.poll_one() == 0 && !clock_.advance()) return done();
    }
    return done();
  }
  template <class T>
  T wait(Task<T> task) {
    std::optional<T> out;
    servers_.back()->tasks.spawn(keep(std::move(task), &out));
    EXPECT_TRUE(run_until([&] { return out.has_value(); }));
    return std::move(*out);
  }
  template <class T>
  static Task<> keep(Task<T> task, std::optional<T>* out) {
    out->emplace(co_await std::move(task));
  }

  Engine& engine() { return *servers_.back()->engine; }
  Execution get(const std::string& run) { return *wait(engine().get(run)); }
  bool ended(const std::string& run) { return !get(run).open(); }
  StartRequest request(const std::string& what, const std::string& session = "") {
    return {
        .program = "parent", .version = 1, .session_key = session, .input = JsonObject{{"do", what}, {"ms", 60'000}, {"session", "s1"}}};
  }
  Server& server() { return *servers_.back(); }
  void turn(int times) {
    for (int i = 0; i < times; ++i) {
      io_.poll();
      clock_.advance();
    }
  }
  template <class T>
  std::shared_ptr<std::optional<T>> begin(Task<T> task) {
    auto out = std::make_shared<std::optional<T>>();
    server().tasks.spawn(keep(std::move(task), out.get()));
    pending_.push_back(out);
    return out;
  }
  bool until_ended(const std::string& run) {
    for (int i = 0; i < 1000 && !ended(run); ++i) {
      io_.poll();
      clock_.advance();
    }
    return ended(run);
  }

  asio::io_context io_;
  asio::executor_work_guard<Executor> guard_ = asio::make_work_guard(io_);
  SimClock clock_;
  SimDisk disk_;
  MemoryBlobStore blobs_;
  Outside outside_;
  int executed_ = 0;
  std::uint64_t seed_ = 0;
  std::vector<std::shared_ptr<void>> pending_;  // outlive the tasks that write to them
  std::vector<std::unique_ptr<Server>> servers_;
};

TEST_F(EngineTest, RunsAStepAndForgetsTheActor) {
  boot();
  const auto started = wait(engine().start(request("step")));
  ASSERT_TRUE(started);
  ASSERT_TRUE(until_ended(started->run));
  EXPECT_EQ(get(started->run).result, Json("done by parent"));
  EXPECT_EQ(engine().counters().actors, 0u);
}

TEST_F(EngineTest, AWaitingRunHoldsNoMemoryAndWakesAtItsTime) {
  boot();
  const TimePoint before = clock_.now();
  const auto started = wait(engine().start(request("wait")));
  run_until([&] { return engine().counters().actors == 0; });
  EXPECT_EQ(get(started->run).wait->kind, WaitReason::Kind::Timer);
  ASSERT_TRUE(until_ended(started->run));
  EXPECT_GE(clock_.now() - before, Millis{60'000});
}

TEST_F(EngineTest, LargeValuesLeaveTheRecordAndComeBackWhole) {
  boot();
  StartRequest large = request("large");
  large.input.as_object()["text"] = std::string(300'000, 'y');
  const auto started = wait(engine().start(large));
  ASSERT_TRUE(until_ended(started->run));
  for (const auto& [key, cell] : disk_.cells())
    if (key.contains("/o/")) EXPECT_LT(cell.value.size(), 70'000u) << key;
  const auto operations = wait(engine().operations(started->run, -1));
  ASSERT_EQ(operations->size(), 2u);
  EXPECT_EQ((*operations)[0].input, large.input);
  EXPECT_EQ((*operations)[1].result, Json(std::string(200'000, 'x')));
}

TEST_F(EngineTest, AnIdempotencyKeyStartsOneRunAndRefusesAnotherInput) {
  boot();
  StartRequest first = request("step");
  first.idempotency_key = "k";
  const auto a = wait(engine().start(first));
  const auto b = wait(engine().start(first));
  EXPECT_EQ(a->run, b->run);
  EXPECT_EQ(b->as, StartedAs::Duplicate);
  first.input.as_object()["ms"] = 1;
  EXPECT_EQ(wait(engine().start(first)).error().code, "idempotency.mismatch");
}

TEST_F(EngineTest, AnIdempotencyKeyEndsWithItsTime) {
  boot();
  StartRequest first = request("step");
  first.idempotency_key = "k";
  const auto a = wait(engine().start(first));
  ASSERT_TRUE(until_ended(a->run));
  const TimePoint later = clock_.now() + Millis{25 * 3'600'000};
  while (clock_.now() < later && clock_.advance()) io_.poll();
  EXPECT_NE(wait(engine().start(first))->run, a->run);
  io_.poll();
  const auto claims = std::ranges::count_if(disk_.cells(), [](const auto& cell) { return cell.first.contains("/i/"); });
  EXPECT_EQ(claims, 1) << "the expired one is gone";
}

TEST_F(EngineTest, QueuedRunsOfASessionGoOneAfterAnotherInOrder) {
  boot();
  std::vector<std::string> runs;
  for (int i = 0; i < 4; ++i) runs.push_back(wait(engine().start(request("wait", "s")))->run);
  EXPECT_EQ(get(runs[3]).wait->kind, WaitReason::Kind::SessionBusy);
  ASSERT_TRUE(wait(engine().cancel(runs[2], "not needed")));
  ASSERT_TRUE(until_ended(runs[3]));
  EXPECT_LT(*get(runs[0]).ended, *get(runs[1]).ended);
  EXPECT_LT(*get(runs[1]).ended, *get(runs[3]).ended);
  EXPECT_EQ(get(runs[2]).status, ExecutionStatus::Stopped);
  EXPECT_EQ(wait(engine().session_runs("parent/s", 10))->size(), 3u) << "a cancelled message never became part of the session";
}

TEST_F(EngineTest, AnUnknownProgramIsAClearError) {
  boot();
  StartRequest unknown = request("step");
  unknown.program = "missing";
  EXPECT_EQ(wait(engine().start(unknown)).error().code, "program.not_found");
}

TEST_F(EngineTest, ListsNewestFirstInPages) {
  boot();
  std::vector<std::string> runs;
  for (int i = 0; i < 7; ++i) {
    runs.push_back(wait(engine().start(request("step")))->run);
    until_ended(runs.back());
    const auto later = clock_.call_after(Millis{10}, [] {});
    clock_.advance();
  }
  const auto first = wait(engine().list({.limit = 3}));
  ASSERT_EQ(first->size(), 3u);
  EXPECT_EQ((*first)[0].id, runs[6]);
  const auto second = wait(engine().list({.limit = 10, .before = (*first)[2].id}));
  ASSERT_EQ(second->size(), 4u);
  EXPECT_EQ((*second)[0].id, runs[3]);
}

/// The parent invokes a child in a session of another partition; the server dies after every possible number of commits.
TEST_F(EngineTest, AnInvokedRunAnswersItsParentWhereverTheServerDies) {
  for (std::size_t crash_after = 1; crash_after < 14; ++crash_after) {
    boot();
    StartRequest parent = request("invoke");
    parent.idempotency_key = "case" + std::to_string(crash_after);
    parent.input.as_object()["session"] = "s" + std::to_string(crash_after);
    const auto started = wait(engine().start(parent));
    ASSERT_TRUE(started);
    const std::size_t commits = disk_.batches_applied();
    run_until([&] { return disk_.batches_applied() >= commits + crash_after || ended(started->run); });
    servers_.back()->die();
    boot();
    ASSERT_TRUE(until_ended(started->run)) << "died after " << crash_after << " commits";
    EXPECT_EQ(get(started->run).result, Json("done by child"));
    run_until([] { return false; });
    EXPECT_EQ(wait(engine().session_runs("child/s" + std::to_string(crash_after), 10))->size(), 1u)
        << "one child, however often it was asked for";
    for (const auto& [key, cell] : disk_.cells()) EXPECT_FALSE(key.contains("/b/")) << "undelivered: " << key;
    servers_.back()->die();
  }
}

TEST_F(EngineTest, CancellingAWaitingRunTwiceLeavesTheOthersInLine) {
  boot();
  const auto first = wait(engine().start(request("hold", "k")));
  const auto second = wait(engine().start(request("step", "k")));
  const auto third = wait(engine().start(request("step", "k")));
  server().store.set_faults({.apply_delay_max = Millis{20}});
  const auto fourth = begin(engine().start(request("step", "k")));
  const auto a = begin(engine().cancel(second->run, "1"));
  const auto b = begin(engine().cancel(second->run, "2"));
  run_until([&] { return a->has_value() && b->has_value() && fourth->has_value(); });
  EXPECT_TRUE(until_ended(third->run));
  EXPECT_TRUE(until_ended((**fourth)->run));
}

TEST_F(EngineTest, AnAtMostOnceStepIsNotRepeatedWhenItsRecoveryCannotBeWritten) {
  boot();
  const auto run = wait(engine().start(request("once", "k")));
  run_until([&] { return executed_ == 1; });
  server().die();
  boot("", "/x/");
  turn(20);
  server().picky.fail_writes_of.clear();
  turn(200);
  EXPECT_EQ(executed_, 1);
  EXPECT_EQ(get(run->run).wait->kind, WaitReason::Kind::OutcomeUnknown);
}

TEST_F(EngineTest, AnEndAndTheNextStartMayMeetAfterAFailedCommit) {
  boot();
  const auto first = wait(engine().start(request("hold", "k")));
  run_until([&] { return executed_ == 1; });
  server().store.set_faults({.full = 1});
  run_until([&] { return engine().counters().commit_failures > 0; });
  const auto second = begin(engine().start(request("step", "k")));
  io_.poll();
  server().store.set_faults({});
  turn(100);
  ASSERT_TRUE(second->has_value());
  EXPECT_TRUE(until_ended(first->run));
  EXPECT_TRUE(until_ended((**second)->run));
}

TEST_F(EngineTest, ATimerWhoseCommitGaveNoAnswerStillFires) {
  boot();
  server().store.set_faults({.unknown_applied = 1});
  const auto run = begin(engine().start(request("wait", "k")));
  run_until([&] { return engine().counters().commit_failures > 0; });
  server().store.set_faults({});
  run_until([&] { return run->has_value(); });
  EXPECT_TRUE(until_ended((**run)->run));
}

TEST_F(EngineTest, AStartThatBecameDurableIsNeverAnsweredAsIfItHadNot) {
  boot();
  server().store.set_faults({.unknown_applied = 1});
  const auto run = begin(engine().start(request("step", "k")));
  run_until([&] { return engine().counters().commit_failures > 0; });
  server().store.set_faults({.read_failed = 1});
  run_until([&] { return engine().counters().commit_failures > 1; });
  server().store.set_faults({});
  turn(300);
  ASSERT_TRUE(run->has_value());
  ASSERT_TRUE(**run) << (**run).error().message;
  EXPECT_FALSE(get((**run)->run).open());
}

TEST_F(EngineTest, InputAsDeepAsIsAcceptedCanBeReadAgain) {
  boot();
  StartRequest deep = request("step", "k");
  Json value = 1;
  for (int i = 0; i < 62; ++i) value = JsonArray{value};
  deep.input.as_object()["deep"] = value;
  ASSERT_TRUE(parse_json(to_text(deep.input)));
  const auto run = wait(engine().start(deep));
  const auto operations = wait(engine().operations(run->run, -1));
  ASSERT_TRUE(operations) << operations.error().message;
}

TEST_F(EngineTest, ALateExpiryLeavesANewerClaimAlone) {
  boot();
  StartRequest keyed = request("step", "k");
  keyed.idempotency_key = "key";
  const auto first = wait(engine().start(keyed));
  ASSERT_TRUE(until_ended(first->run));
  server().die();
  const TimePoint expired = clock_.now() + Millis{25 * 3'600'000};
  const auto alarm = clock_.call_after(Millis{25 * 3'600'000}, [] {});
  while (clock_.now() < expired) clock_.advance();
  boot("/t/");
  const auto second = wait(engine().start(keyed));
  server().picky.fail_reads_of.clear();
  turn(50);
  const auto third = wait(engine().start(keyed));
  EXPECT_NE(first->run, second->run);
  EXPECT_EQ(second->run, third->run);
}

TEST_F(EngineTest, AMessageThatJoinsJoinsOnceWhenItsCommitGivesNoAnswer) {
  boot();
  const auto run = wait(engine().start(request("hold", "k")));
  server().store.set_faults({.unknown_applied = 1});
  StartRequest message = request("step", "k");
  message.when_busy = BusyPolicy::Steer;
  const auto joined = begin(engine().start(message));
  run_until([&] { return engine().counters().commit_failures > 0; });
  server().store.set_faults({});
  run_until([&] { return joined->has_value(); });
  const auto operations = wait(engine().operations(run->run, -1));
  EXPECT_EQ(std::ranges::count(*operations, "message", &Operation::kind), 1);
}

TEST_F(EngineTest, StopsWhileAWaitingRunCannotBeRead) {
  boot();
  const auto first = wait(engine().start(request("hold", "k")));
  (void)wait(engine().start(request("step", "k")));
  server().picky.fail_reads_of = "/o/";
  ASSERT_TRUE(until_ended(first->run));
  struct Stop {
    static Task<bool> run(Engine* engine) {
      co_await engine->stop(Millis{0});
      co_return true;
    }
  };
  const auto stopped = begin(Stop::run(&engine()));
  turn(3'000);
  EXPECT_TRUE(stopped->has_value());
}

TEST_F(EngineTest, CancellingAParentCancelsTheRunItInvoked) {
  boot();
  StartRequest parent = request("invoke");
  const auto started = wait(engine().start(parent));
  ASSERT_TRUE(wait(engine().cancel(started->run, "enough")));
  run_until([] { return false; });
  const auto children = wait(engine().list({.program = "child"}));
  for (const Execution& child : *children) EXPECT_FALSE(child.open());
}

TEST_F(EngineTest, MessagesArriveInOrderWithOneIdHoweverOftenTheyFail) {
  boot();
  outside_.failures = 3;
  StartRequest tell = request("tell");
  tell.program = "teller";
  const auto started = wait(engine().start(tell));
  ASSERT_TRUE(until_ended(started->run));
  run_until([&] { return outside_.order.size() == 3; });
  const std::string& run = started->run;
  EXPECT_EQ(outside_.order, (std::vector<std::string>{run + "-m1", run + "-m2", run + "-m3"}));
  EXPECT_EQ(outside_.taken[run + "-m2"], Json("again"));
  EXPECT_EQ(outside_.taken[run + "-m3"], Json("ended SUCCEEDED"));
  run_until([] { return false; });
  for (const auto& [key, cell] : disk_.cells()) EXPECT_FALSE(key.contains("/b/")) << key;
}

TEST_F(EngineTest, MessagesArriveWhereverTheServerDies) {
  for (int commits = 1; commits < 9; ++commits) {
    boot();
    StartRequest tell = request("tell");
    tell.program = "teller";
    tell.idempotency_key = "crash at " + std::to_string(commits);
    const std::size_t enough = disk_.batches_applied() + static_cast<std::size_t>(commits);
    const auto begun = begin(engine().start(tell));
    run_until([&] { return disk_.batches_applied() >= enough; });
    server().die();
    boot();
    const auto again = wait(engine().start(tell));
    ASSERT_TRUE(again);
    ASSERT_TRUE(until_ended(again->run));
    run_until([&] { return outside_.taken.contains(again->run + "-m3"); });
    EXPECT_EQ(outside_.taken[again->run + "-m1"], Json("hello"));
    EXPECT_EQ(outside_.taken[again->run + "-m3"], Json("ended SUCCEEDED"));
    server().die();
  }
}

TEST_F(EngineTest, ARunThatIsStoppedWhileItWaitsForItsSessionSaysSo) {
  boot();
  StartRequest first = request("hold", "k"), second = request("hold", "k");
  first.program = second.program = "teller";
  (void)wait(engine().start(first));
  const auto waiting = wait(engine().start(second));
  ASSERT_EQ(waiting->as, StartedAs::Queued);
  ASSERT_TRUE(wait(engine().cancel(waiting->run, "enough")));
  run_until([&] { return outside_.taken.contains(waiting->run + "-m1"); });
  EXPECT_EQ(outside_.taken[waiting->run + "-m1"], Json("ended STOPPED"));
}

TEST_F(EngineTest, AParentLearnsWhichRunItInvokedBeforeAndAfterItsEnd) {
  boot();
  const auto parent = wait(engine().start(request("invoke")));
  run_until([&] { return wait(engine().invoked(parent->run, 1))->has_value(); });
  const std::string child = **wait(engine().invoked(parent->run, 1));
  EXPECT_EQ(get(child).parent->run, parent->run);
  ASSERT_TRUE(until_ended(parent->run));
  EXPECT_EQ(**wait(engine().invoked(parent->run, 1)), child);
  const auto operations = wait(engine().operations(parent->run, 0));
  EXPECT_EQ(get_string(operations->at(0).meta.as_object(), "run"), child);
  EXPECT_FALSE(*wait(engine().invoked(parent->run, 7)));
}

TEST_F(EngineTest, ARunIsFoundByItsKeyUntilTheKeyEnds) {
  boot();
  StartRequest keyed = request("step");
  keyed.idempotency_key = "order-7";
  keyed.idempotency_ttl = Millis{60'000};
  const auto started = wait(engine().start(keyed));
  EXPECT_EQ(**wait(engine().find_by_key("parent", "", "order-7")), started->run);
  EXPECT_FALSE(*wait(engine().find_by_key("parent", "", "order-8")));
  EXPECT_FALSE(*wait(engine().find_by_key("parent", "s", "order-7")));
  const TimePoint end = clock_.now() + Millis{61'000};
  run_until([&] { return clock_.now() >= end; });
  EXPECT_FALSE(*wait(engine().find_by_key("parent", "", "order-7")));
}

}  // namespace
}  // namespace mayfly::engine
