#include "engine/core/machine.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>

namespace mayfly::engine {
namespace {

using Status = OperationStatus;
using Wait = WaitReason::Kind;

/// A program that does what the test says.
struct Script final : Program {
  Decision on_begin, on_ended, on_message;
  bool repeats = true;
  OnUnknownOutcome unknown = OnUnknownOutcome::Ask;
  mutable std::vector<Operation> seen, messages;

  Decision begin(ProgramContext, const Json&) const override { return on_begin; }
  Decision ended(ProgramContext, const Operation& operation) const override {
    seen.push_back(operation);
    return on_ended;
  }
  Decision message(ProgramContext, const Operation& operation) const override {
    messages.push_back(operation);
    return on_message;
  }
  bool may_repeat(ProgramContext, const PendingOperation&, const Error&) const override { return repeats; }
  OnUnknownOutcome on_unknown(ProgramContext, const PendingOperation&) const override { return unknown; }
};

OperationRequest request(OperationType type, std::optional<TimePoint> due = {}) {
  OperationRequest out;
  out.type = type;
  out.name = "op";
  out.kind = "kind";
  out.due = due;
  return out;
}

OperationRequest step(Repeat repeat = Repeat::Freely, std::int64_t attempts_max = 1) {
  OperationRequest out = request(OperationType::Step);
  out.repeat = repeat;
  out.retry = {attempts_max, Millis{1'000}, Millis{8'000}};
  return out;
}

Decision starting(std::vector<OperationRequest> requests) { return {.start = std::move(requests)}; }
Decision answering(Json result) { return {.complete = Completion{ExecutionStatus::Succeeded, std::move(result), {}}}; }

const Error kSafe{"net.reset", "broke", Retry::Safe};
const Error kNever{"tool.failed", "no", Retry::Never};
const Error kUnknown{"net.timeout", "who knows", Retry::OutcomeUnknown};

/// One actor and the store under it. After every event the store must tell the same as the memory.
class MachineTest : public testing::Test {
 protected:
  static constexpr keys::Partition kPartition = 7;

  void with_session() {
    state.session = Session{};
    state.session->id = "bot/s";
    state.session->program = "bot";
  }

  Answer apply(const Event& event) {
    Machine machine(state, now);
    Answer answer = machine.apply(event, script);
    finish(machine);
    return answer;
  }

  void finish(Machine& machine) {
    last = machine.finish();
    for (const std::string& key : last.absent) EXPECT_FALSE(store.contains(key)) << key;
    for (const std::string& key : last.batch.deletes) store.erase(key);
    for (const Put& put : last.batch.puts) store[put.key] = put.value;
    if (!last.batch.empty()) EXPECT_TRUE(check_batch(last.batch)) << check_batch(last.batch).error().message;
    check();
  }

  void check() const {
    if (state.run) {
      const bool active = state.busy() ? !state.run->wait : state.wants_promotion();
      EXPECT_EQ(store.contains(keys::active(kPartition, state.run->id)), active) << "what a restart looks for";
      EXPECT_EQ(to_text(to_json(stored_run(state.run->id))), to_text(to_json(*state.run)));
      for (const PendingOperation& op : state.run->pending)
        if (op.due) EXPECT_TRUE(store.contains(timer_key(op))) << "a timer that nobody would fire";
    }
    for (const TimerChange& timer : last.timers) EXPECT_TRUE(store.contains(timer.key)) << timer.key;
  }

  std::string timer_key(const PendingOperation& op) const {
    const std::string prefix = keys::timer(kPartition, *op.due, state.run->id, "");
    const auto found = store.lower_bound(prefix);
    return found != store.end() && found->first.starts_with(prefix) ? found->first : prefix;
  }

  Execution stored_run(const std::string& run) const {
    const auto row = store.find(keys::run(kPartition, run));
    if (row == store.end()) {
      ADD_FAILURE() << run << " is not in the store";
      return {};
    }
    return *execution_from_json(*parse_json(row->second));
  }

  Operation journal(std::int64_t operation, const std::string& run = "r1") const {
    const auto row = store.find(keys::operation(kPartition, run, operation));
    if (row == store.end()) {
      ADD_FAILURE() << "operation " << operation << " of " << run << " has not ended";
      return {};
    }
    return *operation_from_json(*parse_json(row->second));
  }

  std::size_t count(const std::string& kind) const {
    const std::string prefix = keys::partition_prefix(kPartition) + kind + "/";
    return static_cast<std::size_t>(std::ranges::count_if(store, [&](const auto& row) { return row.first.starts_with(prefix); }));
  }

  static Start start(std::string run, BusyPolicy when_busy = BusyPolicy::Queue) {
    Start out;
    out.run = std::move(run);
    out.program = "bot";
    out.version = 3;
    out.input = "hello";
    out.when_busy = when_busy;
    return out;
  }

  Answer begin(std::vector<OperationRequest> requests) {
    script.on_begin = starting(std::move(requests));
    return apply(start("r1"));
  }

  static StepFinished finished(std::int64_t operation, std::optional<Error> error = {}, std::int64_t attempt = 1, Json result = "done") {
    StepOutcome outcome;
    if (error)
      outcome.error = std::move(error);
    else
      outcome.result = std::move(result);
    return {"r1", operation, attempt, std::move(outcome), 0.0};
  }

  static Resolved resolved(std::int64_t operation, Resolved::Action action, Json result = nullptr) {
    Resolved out;
    out.run = "r1";
    out.operation = operation;
    out.action = action;
    out.result = std::move(result);
    if (action == Resolved::Action::Fail) out.error = kNever;
    return out;
  }

  /// Fires the pending operation's timer, as the queue would.
  Answer fire(std::int64_t operation) {
    const PendingOperation* op = state.run->find_pending(operation);
    const auto timer = keys::parse_timer(timer_key(*op));
    if (!timer) {
      ADD_FAILURE() << "operation " << operation << " has no timer";
      return {};
    }
    now = timer->due;
    return apply(TimerFired{timer->run, timer->what, timer->due});
  }

  void load_queued(const std::string& run) { state.queued = stored_run(run); }

  ActorState state{kPartition, {}, {}, {}, false};
  Script script;
  TimePoint now = from_unix_ms(1'000'000);
  Transition last;
  std::map<std::string, std::string> store;
};

// --- starting

TEST_F(MachineTest, AStartIsJournalledAndItsStepDispatched) {
  const Answer answer = begin({step()});
  EXPECT_EQ(answer.started_as, StartedAs::Begun);
  EXPECT_EQ(answer.run, "r1");
  EXPECT_EQ(last.dispatch, std::vector<std::int64_t>{1});
  EXPECT_EQ(journal(0).input, Json("hello"));
  const Execution run = stored_run("r1");
  EXPECT_EQ(run.version, 3);
  EXPECT_EQ(run.session, "r1");
  EXPECT_FALSE(run.wait);
  ASSERT_EQ(last.publish.size(), 2u);
  EXPECT_EQ(last.publish[0].second.kind, RunEvent::Kind::RunStarted);
  EXPECT_EQ(last.publish[1].second.number, 2);
  EXPECT_TRUE(last.timers.empty());
}

TEST_F(MachineTest, ABusySessionQueuesRejectsOrSteers) {
  with_session();
  begin({step()});
  EXPECT_EQ(state.session->running, "r1");
  EXPECT_EQ(count("h"), 1u);

  const Answer queued = apply(start("r2"));
  EXPECT_EQ(queued.started_as, StartedAs::Queued);
  EXPECT_EQ(stored_run("r2").wait->kind, Wait::SessionBusy);
  EXPECT_FALSE(stored_run("r2").begun);
  EXPECT_TRUE(last.dispatch.empty());

  const Answer rejected = apply(start("r3", BusyPolicy::Reject));
  EXPECT_EQ(rejected.error->code, "session.busy");
  EXPECT_TRUE(last.batch.empty());

  const Answer steered = apply(start("r4", BusyPolicy::Steer));
  EXPECT_EQ(steered.started_as, StartedAs::Steered);
  EXPECT_EQ(steered.run, "r1");
  ASSERT_EQ(script.messages.size(), 1u);
  EXPECT_EQ(journal(script.messages[0].id).input, Json("hello"));
  EXPECT_FALSE(store.contains(keys::run(kPartition, "r4")));

  Start full = start("r5");
  full.waiting_max = 1;
  EXPECT_EQ(apply(full).error->code, "session.inbox_full");
  EXPECT_EQ(state.session->waiting, 1);
  EXPECT_EQ(count("q"), 1u);
}

TEST_F(MachineTest, AnIdempotencyKeyIsClaimedWithTheRunThatTookTheInput) {
  with_session();
  Start first = start("r1"), joins = start("r2", BusyPolicy::Steer), refused = start("r3", BusyPolicy::Reject);
  script.on_begin = starting({step()});
  for (Start* one : {&first, &joins, &refused}) {
    one->idempotency_hash = "hash-" + one->run;
    one->input_hash = "input";
    one->idempotency_expires = now + Millis{5'000};
  }
  const auto claimed_by = [&](const std::string& hash) {
    const auto row = store.find(keys::idempotency(kPartition, hash));
    return row == store.end() ? std::string() : get_string(parse_json(row->second)->get_object(), "run");
  };
  apply(first);
  EXPECT_EQ(last.absent, std::vector<std::string>{keys::idempotency(kPartition, "hash-r1")});
  EXPECT_EQ(claimed_by("hash-r1"), "r1");
  EXPECT_TRUE(store.contains(keys::timer(kPartition, now + Millis{5'000}, "hash-r1", "idempotency")));
  ASSERT_EQ(last.timers.size(), 1u);
  apply(joins);
  EXPECT_EQ(claimed_by("hash-r2"), "r1") << "a message that joined is known by the run that it joined";
  apply(refused);
  EXPECT_EQ(claimed_by("hash-r3"), "") << "a refused start may be tried again with its key";
}

TEST_F(MachineTest, AProgramThatAsksForNothingEndsItsRun) {
  begin({});
  EXPECT_EQ(state.run->status, ExecutionStatus::Failed);
  EXPECT_EQ(state.run->error->code, "engine.stuck");
}

// --- why a run waits

TEST_F(MachineTest, OneReasonSaysWhyARunWaits) {
  const TimePoint due = now + Millis{60'000};
  const auto wait = request(OperationType::Wait, due), timed = request(OperationType::Callback, due),
             callback = request(OperationType::Callback), child = request(OperationType::ChainedInvoke);
  const struct {
    std::vector<OperationRequest> requests;
    std::optional<Wait> kind;
    std::int64_t operation;
    std::optional<TimePoint> until;
  } cases[]{
      {{wait}, Wait::Timer, 1, due},
      {{timed}, Wait::Callback, 1, due},
      {{callback}, Wait::Callback, 1, {}},
      {{child}, Wait::ChainedInvoke, 1, {}},
      {{wait, child, callback}, Wait::Callback, 3, {}},
      {{callback, step()}, std::nullopt, 0, {}},
  };
  for (const auto& one : cases) {
    state = {kPartition, {}, {}, {}, false};
    store.clear();
    begin(one.requests);
    ASSERT_EQ(state.run->wait.has_value(), one.kind.has_value());
    if (!one.kind) continue;
    EXPECT_EQ(state.run->wait->kind, *one.kind);
    EXPECT_EQ(state.run->wait->operation, one.operation);
    EXPECT_EQ(state.run->wait->until, one.until);
    EXPECT_TRUE(last.dispatch.empty());
  }
}

// --- steps and their repeats

TEST_F(MachineTest, AResultIsJournalledOnceWithItsWrites) {
  begin({step(), step()});
  StepFinished event = finished(1, {}, 1, JsonObject{{"n", 1}});
  event.outcome.meta = JsonObject{{"cost", 5}};
  event.outcome.writes = {{keys::memory(kPartition, "r1", "a"), "1"}};
  event.outcome.deletes = {keys::memory(kPartition, "r1", "b")};
  store[keys::memory(kPartition, "r1", "b")] = "old";
  apply(event);
  EXPECT_EQ(journal(1).result, Json(JsonObject{{"n", 1}}));
  EXPECT_EQ(journal(1).meta, Json(JsonObject{{"cost", 5}}));
  EXPECT_TRUE(store.contains(keys::memory(kPartition, "r1", "a")));
  EXPECT_FALSE(store.contains(keys::memory(kPartition, "r1", "b")));
  ASSERT_EQ(script.seen.size(), 1u);

  apply(event);
  EXPECT_TRUE(last.batch.empty()) << "the same outcome again changes nothing";
  EXPECT_EQ(script.seen.size(), 1u);
  apply(finished(2, {}, 2));
  EXPECT_TRUE(last.batch.empty()) << "nor does that of an attempt that was never made";
}

TEST_F(MachineTest, FailuresAreRepeatedOnlyWhereThatIsAllowed) {
  const struct {
    Error error;
    Repeat repeat;
    std::int64_t attempts_max;
    bool program_agrees;
    OnUnknownOutcome unknown;
    std::optional<Status> pending;  ///< nothing: it ended as failed
  } cases[]{
      {kSafe, Repeat::Freely, 2, true, OnUnknownOutcome::Ask, Status::Pending},
      {kSafe, Repeat::Freely, 1, true, OnUnknownOutcome::Ask, {}},
      {kSafe, Repeat::Freely, 2, false, OnUnknownOutcome::Ask, {}},
      {kSafe, Repeat::Never, 2, true, OnUnknownOutcome::Ask, Status::Pending},  // nothing happened: it is no repeat
      {kNever, Repeat::Freely, 2, true, OnUnknownOutcome::Ask, {}},
      {kUnknown, Repeat::Freely, 2, true, OnUnknownOutcome::Ask, Status::Pending},
      {kUnknown, Repeat::Never, 2, true, OnUnknownOutcome::Ask, Status::OutcomeUnknown},
      {kUnknown, Repeat::Never, 2, true, OnUnknownOutcome::Fail, {}},
      {kUnknown, Repeat::Never, 2, true, OnUnknownOutcome::Retry, Status::Pending},
      {kUnknown, Repeat::Never, 1, true, OnUnknownOutcome::Retry, {}},
  };
  for (std::size_t i = 0; i < std::size(cases); ++i) {
    SCOPED_TRACE(i);
    const auto& one = cases[i];
    state = {kPartition, {}, {}, {}, false};
    store.clear();
    script = {};
    script.repeats = one.program_agrees;
    script.unknown = one.unknown;
    begin({step(one.repeat, one.attempts_max), request(OperationType::Callback)});
    apply(finished(1, one.error));
    const PendingOperation* op = state.run->find_pending(1);
    ASSERT_EQ(op != nullptr, one.pending.has_value());
    if (op) {
      EXPECT_EQ(op->status, *one.pending);
      EXPECT_EQ(op->last_error, one.error.message);
      EXPECT_EQ(state.run->wait->kind, one.pending == Status::Pending ? Wait::Callback : Wait::OutcomeUnknown);
      EXPECT_EQ(count("t"), one.pending == Status::Pending ? 1u : 0u);
    } else {
      EXPECT_EQ(journal(1).status, Status::Failed);
      EXPECT_EQ(journal(1).error->code, one.error.code);
      EXPECT_EQ(script.seen.size(), 1u);
    }
  }
}

TEST_F(MachineTest, ARetryWaitsForItsTimerAndThenRunsAgain) {
  begin({step(Repeat::Freely, 3)});
  StepFinished event = finished(1, kSafe);
  event.outcome.retry_after = Millis{30'000};
  apply(event);
  EXPECT_EQ(state.run->wait->kind, Wait::Retry);
  EXPECT_EQ(state.run->wait->until, now + Millis{30'000}) << "the other side's wish counts";
  ASSERT_EQ(last.timers.size(), 1u);

  const TimerFired early{"r1", keys::parse_timer(last.timers[0].key)->what, now};
  apply(early);
  EXPECT_TRUE(last.batch.empty()) << "another time than the one that is armed";
  fire(1);
  EXPECT_EQ(last.dispatch, std::vector<std::int64_t>{1});
  EXPECT_EQ(state.run->find_pending(1)->attempt, 2);
  EXPECT_EQ(count("t"), 0u);
  apply(finished(1, kSafe, 1));
  EXPECT_TRUE(last.batch.empty()) << "the first attempt does not count any more";
  apply(finished(1, kSafe, 2));
  fire(1);
  script.on_ended = answering("gave up");
  apply(finished(1, kSafe, 3));
  EXPECT_EQ(journal(1).attempts, 3);
  EXPECT_EQ(journal(1).status, Status::Failed);
}

TEST(Backoff, DoublesUpToItsMaximum) {
  const OperationRetry retry{10, Millis{1'000}, Millis{8'000}};
  const struct {
    std::int64_t attempt;
    double jitter;
    std::optional<Millis> wish;
    std::int64_t ms;
  } cases[]{{1, 0, {}, 500},   {1, 0.5, {}, 750},     {2, 0, {}, 1'000},        {4, 0, {}, 4'000},
            {5, 0, {}, 4'000}, {1'000, 0, {}, 4'000}, {1, 0, Millis{100}, 500}, {1, 0, Millis{20'000}, 20'000},
            {0, 0, {}, 500}};
  for (const auto& one : cases) EXPECT_EQ(backoff(retry, one.attempt, one.jitter, one.wish).count(), one.ms) << one.attempt;
}

// --- timers

TEST_F(MachineTest, TimersEndWaitsAndCallbacksAndGoWhenTheyAreNotWanted) {
  const TimePoint soon = now + Millis{1'000}, late = now + Millis{9'000};
  begin({request(OperationType::Wait, soon), request(OperationType::Callback, late), request(OperationType::Callback, late)});
  EXPECT_EQ(last.timers.size(), 3u);
  EXPECT_EQ(last.timers[0].owner, "r1");
  fire(1);
  EXPECT_EQ(journal(1).status, Status::Succeeded);
  apply(resolved(2, Resolved::Action::Succeed, "yes"));
  EXPECT_EQ(journal(2).result, Json("yes"));
  EXPECT_EQ(count("t"), 1u) << "an answered question has no timeout any more";
  script.on_ended = answering("end");
  fire(3);
  EXPECT_EQ(journal(3).status, Status::TimedOut);
  EXPECT_EQ(journal(3).error->code, "callback.timeout");
  EXPECT_EQ(count("t"), 0u);
}

TEST_F(MachineTest, WhatIsArmedAndDisarmedAtOnceLeavesNothing) {
  begin({step()});
  Machine machine(state, now);
  script.on_ended = starting({request(OperationType::Wait, now + Millis{1'000})});
  machine.apply(finished(1), script);
  machine.apply(Cancelled{"r1", kNever}, script);
  finish(machine);
  EXPECT_TRUE(last.timers.empty());
  EXPECT_EQ(count("t"), 0u);
}

TEST_F(MachineTest, AProgramTakesBackWhatItNoLongerWants) {
  begin({step(), request(OperationType::Callback, now + Millis{1'000}), step()});
  script.on_ended = {.cancel = {2, 3, 99}};
  script.on_ended.start = {step()};
  apply(finished(1));
  EXPECT_EQ(journal(2).status, Status::Cancelled);
  EXPECT_EQ(journal(3).status, Status::Cancelled);
  EXPECT_TRUE(std::ranges::find(last.abort, 3) != last.abort.end());
  EXPECT_EQ(last.dispatch, std::vector<std::int64_t>{4});
  EXPECT_EQ(count("t"), 0u);
  EXPECT_EQ(script.seen.size(), 1u) << "it is not told what it did itself";
}

TEST_F(MachineTest, ADeadlineEndsARunAndAWaitingOne) {
  with_session();
  script.on_begin = starting({step()});
  Start first = start("r1"), second = start("r2");
  first.deadline = second.deadline = now + Millis{5'000};
  apply(first);
  EXPECT_EQ(last.timers[0].owner, "bot/s");
  apply(second);
  now += Millis{5'000};
  load_queued("r2");
  apply(TimerFired{"r2", "deadline", now});
  EXPECT_EQ(stored_run("r2").status, ExecutionStatus::TimedOut);
  EXPECT_EQ(state.session->waiting, 0);
  EXPECT_EQ(count("q"), 0u);
  EXPECT_TRUE(state.busy());

  apply(TimerFired{"r1", "deadline", now});
  EXPECT_EQ(state.run->status, ExecutionStatus::TimedOut);
  EXPECT_EQ(state.run->error->code, "run.deadline");
  EXPECT_EQ(last.abort, std::vector<std::int64_t>{1});
  EXPECT_EQ(count("t"), 0u);
  apply(TimerFired{"r1", "deadline", now});
  EXPECT_TRUE(last.batch.empty());
}

// --- cancelling

TEST_F(MachineTest, CancellingSaysWhatMayHaveHappened) {
  begin({step(Repeat::Freely), step(Repeat::Never), request(OperationType::Callback), request(OperationType::ChainedInvoke)});
  apply(Cancelled{"r1", Error{"run.cancelled", "enough", Retry::Never}});
  EXPECT_EQ(state.run->status, ExecutionStatus::Stopped);
  EXPECT_EQ(state.run->error->message, "enough");
  EXPECT_EQ(journal(1).error->code, "operation.cancelled");
  EXPECT_EQ(journal(2).error->code, "operation.outcome_unknown") << "an at-most-once call under way may have happened";
  EXPECT_EQ(journal(3).error->code, "operation.cancelled");
  EXPECT_EQ(last.abort, (std::vector<std::int64_t>{1, 2}));
  EXPECT_TRUE(last.outbox);
  EXPECT_TRUE(store[keys::outbox(kPartition, "r1", 4)].contains("\"cancel\"")) << "its child is told";
  EXPECT_TRUE(script.seen.empty());

  EXPECT_EQ(apply(Cancelled{"r1", kNever}).error->code, "run.ended");
  apply(finished(2));
  EXPECT_TRUE(last.batch.empty()) << "what comes after the end changes nothing";
}

TEST_F(MachineTest, AWaitingRunCanBeCancelledWithoutTouchingTheOneThatRuns) {
  with_session();
  begin({step()});
  apply(start("r2"));
  load_queued("r2");
  apply(Cancelled{"r2", kNever});
  EXPECT_EQ(stored_run("r2").status, ExecutionStatus::Stopped);
  EXPECT_EQ(state.session->waiting, 0);
  EXPECT_TRUE(state.busy());
  EXPECT_TRUE(last.abort.empty());
}

// --- promotion

TEST_F(MachineTest, WaitingRunsGetTheSessionInTheirOrder) {
  with_session();
  begin({step()});
  apply(start("r2"));
  apply(start("r3"));
  script.on_ended = answering("one");
  apply(finished(1));
  EXPECT_TRUE(state.wants_promotion());
  EXPECT_TRUE(store.contains(keys::active(kPartition, "r1"))) << "a restart must notice who waits";
  EXPECT_EQ(apply(start("r4")).started_as, StartedAs::Queued) << "nobody overtakes";
  EXPECT_EQ(apply(start("r5", BusyPolicy::Reject)).error->code, "session.busy");

  const auto inbox = store.lower_bound(keys::inbox_prefix(kPartition, "bot/s"));
  EXPECT_EQ(inbox->second, "r2");
  load_queued("r2");
  apply(Promoted{"r2", "hello"});
  EXPECT_EQ(state.run->id, "r2");
  EXPECT_TRUE(state.run->begun);
  EXPECT_EQ(state.session->running, "r2");
  EXPECT_EQ(state.session->waiting, 2);
  EXPECT_FALSE(store.contains(keys::active(kPartition, "r1")));
  EXPECT_EQ(last.dispatch, std::vector<std::int64_t>{1});
  EXPECT_EQ(store.lower_bound(keys::inbox_prefix(kPartition, "bot/s"))->second, "r3");
  EXPECT_EQ(count("h"), 2u);

  load_queued("r3");
  apply(Promoted{"r3", "hello"});
  EXPECT_EQ(state.run->id, "r2") << "nobody is promoted while the session is held";
}

// --- after a crash

TEST_F(MachineTest, ARestartRepeatsWhatMayBeRepeatedAndAsksAboutTheRest) {
  begin({step(Repeat::Freely), step(Repeat::Never), request(OperationType::Wait, now + Millis{1'000})});
  apply(Recovered{"r1"});
  EXPECT_EQ(last.dispatch, std::vector<std::int64_t>{1});
  EXPECT_EQ(state.run->find_pending(1)->attempt, 2);
  EXPECT_EQ(state.run->find_pending(1)->retry.attempts_max, 2) << "a crash is not the callee's failure";
  EXPECT_EQ(state.run->find_pending(2)->status, Status::OutcomeUnknown);
  EXPECT_EQ(state.run->find_pending(3)->status, Status::Started);
  apply(finished(2));
  EXPECT_TRUE(last.batch.empty()) << "an outcome of before the crash cannot arrive";
  apply(finished(1, {}, 2));
  EXPECT_EQ(state.run->wait->kind, Wait::OutcomeUnknown);
}

TEST_F(MachineTest, ARestartFindsNothingToDoForWhatWaits) {
  begin({step(Repeat::Freely, 3)});
  apply(finished(1, kSafe));
  apply(Recovered{"r1"});
  EXPECT_TRUE(last.batch.empty());
  EXPECT_TRUE(last.dispatch.empty());
}

TEST_F(MachineTest, ARestartClearsTheMarkOfARunThatEnded) {
  with_session();
  store[keys::active(kPartition, "gone")] = "bot/s";
  apply(Recovered{"gone"});
  EXPECT_FALSE(store.contains(keys::active(kPartition, "gone")));
  state.session->waiting = 1;
  store[keys::active(kPartition, "gone")] = "bot/s";
  apply(Recovered{"gone"});
  EXPECT_TRUE(store.contains(keys::active(kPartition, "gone"))) << "as long as somebody waits for a promotion";
}

TEST_F(MachineTest, AProgramMayRefuseToRepeatAfterACrash) {
  script.repeats = false;
  begin({step(Repeat::Freely, 5)});
  script.on_ended = answering("stopped");
  apply(Recovered{"r1"});
  EXPECT_EQ(journal(1).error->code, "operation.interrupted");
  EXPECT_EQ(journal(1).error->retry, Retry::OutcomeUnknown);
  EXPECT_EQ(state.run->status, ExecutionStatus::Succeeded);
}

// --- unknown outcomes and answers

TEST_F(MachineTest, APersonDecidesAnUnknownOutcome) {
  using Action = Resolved::Action;
  for (const Action action : {Action::Succeed, Action::Fail, Action::Retry}) {
    SCOPED_TRACE(static_cast<int>(action));
    state = {kPartition, {}, {}, {}, false};
    store.clear();
    script = {};
    begin({step(Repeat::Never), request(OperationType::Callback)});
    EXPECT_EQ(apply(resolved(1, action, "x")).error->code, "operation.not_waiting") << "it is still under way";
    apply(finished(1, kUnknown));
    ASSERT_EQ(state.run->wait->kind, Wait::OutcomeUnknown);
    EXPECT_FALSE(apply(resolved(1, action, "x")).error);
    if (action == Action::Retry) {
      EXPECT_EQ(last.dispatch, std::vector<std::int64_t>{1});
      EXPECT_EQ(state.run->find_pending(1)->attempt, 2);
      EXPECT_FALSE(state.run->wait);
    } else {
      EXPECT_EQ(journal(1).status, action == Action::Succeed ? Status::Succeeded : Status::Failed);
      EXPECT_EQ(script.seen.size(), 1u);
    }
    EXPECT_EQ(apply(resolved(1, action, "x")).error->code, "operation.not_waiting") << "decided once";
  }
}

TEST_F(MachineTest, OnlyWhatWaitsForAnAnswerTakesOne) {
  begin({request(OperationType::Callback), request(OperationType::Wait, now + Millis{1'000})});
  EXPECT_EQ(apply(resolved(1, Resolved::Action::Retry)).error->code, "operation.no_retry");
  EXPECT_EQ(apply(resolved(2, Resolved::Action::Succeed)).error->code, "operation.not_waiting");
  EXPECT_EQ(apply(resolved(9, Resolved::Action::Succeed)).error->code, "operation.not_waiting");
  Resolved elsewhere = resolved(1, Resolved::Action::Succeed);
  elsewhere.run = "other";
  EXPECT_EQ(apply(elsewhere).error->code, "operation.not_waiting");
  EXPECT_EQ(state.run->pending.size(), 2u);
}

// --- parents and children

TEST_F(MachineTest, AChildTellsItsParentHowItEnded) {
  for (const bool succeeds : {true, false}) {
    state = {kPartition, {}, {}, {}, false};
    store.clear();
    script = {};
    script.on_begin = starting({step()});
    Start child = start("r1");
    child.parent = ParentLink{"parent", 4};
    apply(child);
    EXPECT_FALSE(last.outbox);
    script.on_ended = succeeds ? answering("fine") : Decision{.complete = Completion{ExecutionStatus::Failed, nullptr, kNever}};
    apply(finished(1));
    EXPECT_TRUE(last.outbox);
    const JsonObject message = parse_json(store[keys::outbox(kPartition, "r1", 0)])->get_object();
    EXPECT_EQ(get_string(message, "kind"), "result");
    EXPECT_EQ(get_string(message, "run"), "parent");
    EXPECT_EQ(get_int(message, "operation"), 4);
    EXPECT_EQ(get_string(message, "status"), succeeds ? "SUCCEEDED" : "FAILED");
    if (succeeds)
      EXPECT_EQ(get_string(message, "result"), "fine");
    else
      EXPECT_EQ(get_string(*get_object(message, "error"), "code"), "tool.failed");
  }
}

TEST_F(MachineTest, AParentInvokesOnceAndTakesTheAnswer) {
  OperationRequest invoke = request(OperationType::ChainedInvoke);
  invoke.input = JsonObject{{"program", "helper"}};
  begin({invoke});
  EXPECT_TRUE(last.outbox);
  EXPECT_TRUE(store[keys::outbox(kPartition, "r1", 1)].contains("\"invoke\""));
  script.on_ended = answering("end");
  apply(resolved(1, Resolved::Action::Succeed, "from the child"));
  EXPECT_EQ(journal(1).result, Json("from the child"));
  EXPECT_FALSE(store[keys::outbox(kPartition, "r1", 1)].contains("\"cancel\"")) << "there is nothing left to cancel";
  EXPECT_EQ(apply(resolved(1, Resolved::Action::Succeed, "again")).error->code, "operation.not_waiting");
}

}  // namespace
}  // namespace mayfly::engine
