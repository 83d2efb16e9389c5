#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <map>

#include "engine/core/machine.h"

/// Programs whose own process acts from outside: what `Command`s do to a run.
namespace mayfly::engine {
namespace {

/// Starts one step of the engine's ("invocation"), and does in `command` what the test says.
struct Outside final : Program {
  std::function<Result<Reaction>(ProgramContext, const Json&)> on_command;
  mutable std::vector<std::int64_t> readied;
  mutable std::vector<ExecutionStatus> completed;

  Decision begin(ProgramContext, const Json&) const override {
    OperationRequest request;
    request.name = request.kind = "invocation";
    Decision out;
    out.start.push_back(std::move(request));
    return out;
  }
  Decision ended(ProgramContext, const Operation&) const override { return {}; }
  Decision message(ProgramContext, const Operation&) const override { return {}; }
  bool may_repeat(ProgramContext, const PendingOperation&, const Error&) const override { return true; }
  OnUnknownOutcome on_unknown(ProgramContext, const PendingOperation&) const override { return OnUnknownOutcome::Ask; }
  void closing(ProgramContext context, Operation& operation) const override {
    operation.note = JsonObject{{"closed_as", to_string(operation.status)}, {"run", context.run.id}};
  }
  void completing(ProgramContext context, const Completion& completion) const override {
    completed.push_back(completion.status);
    context.run.state = "completed";
  }
  Decision ready(ProgramContext, const PendingOperation& operation) const override {
    readied.push_back(operation.id);
    return {};
  }
  Result<Reaction> command(ProgramContext context, const Json& body) const override { return on_command(context, body); }
};

OperationRequest own(OperationType type, std::string key) {
  OperationRequest out;
  out.type = type;
  out.performer = Performer::Program;
  out.key = std::move(key);
  return out;
}

class CommandTest : public testing::Test {
 protected:
  CommandTest() {
    Start start;
    start.run = "r1";
    start.program = "outside";
    apply(start);
    state.ended_keys.emplace();
  }

  Answer apply(const Event& event) {
    Machine machine(state, now);
    Answer answer = machine.apply(event, program);
    last = machine.finish();
    for (const std::string& key : last.batch.deletes) store.erase(key);
    for (const Put& put : last.batch.puts) store[put.key] = put.value;
    return answer;
  }

  Answer decide(Decision decision) {
    program.on_command = [&](ProgramContext, const Json&) { return Reaction{decision, "ok"}; };
    return apply(Command{"r1", nullptr});
  }

  Decision starting(OperationRequest request) {
    Decision out;
    out.start.push_back(std::move(request));
    return out;
  }

  Execution stored() const { return *execution_from_json(*parse_record(store.at(keys::run(0, "r1")))); }
  bool has_outbox() const {
    return std::ranges::any_of(store, [](const auto& row) { return row.first.starts_with(keys::outbox_prefix(0)); });
  }

  Outside program;
  ActorState state{};
  TimePoint now = from_unix_ms(1'000'000);
  Transition last;
  std::map<std::string, std::string> store;
};

TEST_F(CommandTest, WhatTheProgramPerformsIsRecordedAndNeverDispatched) {
  const Answer answer = decide(starting(own(OperationType::Step, "a")));
  EXPECT_EQ(answer.body, Json("ok"));
  EXPECT_TRUE(last.dispatch.empty());
  const Execution run = stored();
  ASSERT_EQ(run.pending.size(), 2u);
  EXPECT_EQ(run.pending[1].key, "a");
  EXPECT_EQ(run.pending[1].performer, Performer::Program);
}

TEST_F(CommandTest, AnOperationMayStartAndEndInOneDecision) {
  Decision decision = starting(own(OperationType::Step, "a"));
  decision.end.push_back({state.run->next_operation, OperationStatus::Succeeded, "seven", {}});
  decide(decision);
  EXPECT_EQ(stored().pending.size(), 1u);
  const auto op = operation_from_json(*parse_record(store.at(keys::operation(0, "r1", 2))));
  ASSERT_TRUE(op);
  EXPECT_EQ(op->key, "a");
  EXPECT_EQ(op->result, Json("seven"));
  EXPECT_EQ(get_string(op->note.as_object(), "closed_as"), "SUCCEEDED");
  ASSERT_TRUE(state.ended_keys->contains("a"));
  EXPECT_EQ(state.ended_keys->at("a").operation, 2);
}

TEST_F(CommandTest, ARefusedCommandChangesNothing) {
  program.on_command = [](ProgramContext, const Json&) -> Result<Reaction> { return fail("checkpoint.invalid", "no"); };
  const Answer answer = apply(Command{"r1", nullptr});
  ASSERT_TRUE(answer.error);
  EXPECT_EQ(answer.error->code, "checkpoint.invalid");
  EXPECT_TRUE(last.batch.empty());
}

TEST_F(CommandTest, ACommandThatDecidesNothingCommitsNothing) {
  program.on_command = [](ProgramContext, const Json&) { return Reaction{std::nullopt, 42}; };
  EXPECT_EQ(apply(Command{"r1", nullptr}).body, Json(42));
  EXPECT_TRUE(last.batch.empty());
}

TEST_F(CommandTest, ACommandForAnEndedRunIsRefused) {
  apply(Cancelled{"r1", Error{"run.cancelled", "enough", Retry::Never}});
  EXPECT_EQ(program.completed, std::vector{ExecutionStatus::Stopped});
  EXPECT_EQ(stored().state, Json("completed"));
  const Answer answer = decide({});
  ASSERT_TRUE(answer.error);
  EXPECT_EQ(answer.error->code, "run.ended");
}

TEST_F(CommandTest, TheTimerOfAProgramsStepMakesItReadyForTheNextAttempt) {
  decide(starting(own(OperationType::Step, "a")));
  Decision later;
  later.timers.push_back({2, now + Millis{5'000}});
  decide(later);
  EXPECT_EQ(stored().find_pending(2)->status, OperationStatus::Pending);
  ASSERT_EQ(last.timers.size(), 1u);
  const auto timer = keys::parse_timer(last.timers[0].key);
  now = timer->due;
  apply(TimerFired{timer->run, timer->what, timer->due});
  const PendingOperation op = *stored().find_pending(2);
  EXPECT_EQ(op.status, OperationStatus::Ready);
  EXPECT_EQ(op.attempt, 2);
  EXPECT_FALSE(op.due);
  EXPECT_EQ(program.readied, std::vector<std::int64_t>{2});
  EXPECT_TRUE(last.dispatch.empty()) << "the program performs it, not an executor";
}

TEST_F(CommandTest, ACallbacksTimerCanBeMoved) {
  OperationRequest callback;
  callback.type = OperationType::Callback;
  callback.key = "c";
  callback.due = now + Millis{1'000};
  decide(starting(callback));
  const std::string first = last.timers.at(0).key;
  Decision beat;
  beat.timers.push_back({2, now + Millis{9'000}});
  decide(beat);
  EXPECT_FALSE(store.contains(first)) << "the old timer is gone";
  EXPECT_EQ(stored().find_pending(2)->due, now + Millis{9'000});
  EXPECT_EQ(stored().find_pending(2)->status, OperationStatus::Started);
}

TEST_F(CommandTest, ARestartRepeatsTheInvocationAndLeavesTheProgramsStepsAlone) {
  decide(starting(own(OperationType::Step, "a")));
  apply(Recovered{"r1"});
  EXPECT_EQ(last.dispatch, std::vector<std::int64_t>{1});
  EXPECT_EQ(stored().find_pending(1)->attempt, 2);
  EXPECT_EQ(stored().find_pending(2)->attempt, 1);
}

TEST_F(CommandTest, AnInvokeThatTheProgramPerformsIsNeverSent) {
  Decision decision = starting(own(OperationType::ChainedInvoke, "i"));
  decision.end.push_back({state.run->next_operation, OperationStatus::Failed, nullptr, Error{"function.not_found", "no", Retry::Never}});
  decide(decision);
  EXPECT_FALSE(has_outbox());
}

TEST_F(CommandTest, EndingAnInvokeThatWasSentCancelsIt) {
  OperationRequest invoke;
  invoke.type = OperationType::ChainedInvoke;
  invoke.key = "i";
  decide(starting(invoke));
  ASSERT_TRUE(has_outbox());
  Decision end;
  end.end.push_back({2, OperationStatus::Cancelled, nullptr, {}});
  decide(end);
  EXPECT_TRUE(store.at(keys::outbox(0, "r1", 2)).contains("\"cancel\""));
}

TEST_F(CommandTest, WaitingForOthersIsAReasonAndAProgramsOwnStepIsNot) {
  decide(starting(own(OperationType::Step, "a")));
  OperationRequest wait;
  wait.type = OperationType::Wait;
  wait.due = now + Millis{60'000};
  decide(starting(wait));
  Decision invocation_done;
  invocation_done.end.push_back({1, OperationStatus::Succeeded, nullptr, {}});
  decide(invocation_done);
  const Execution run = stored();
  ASSERT_TRUE(run.wait);
  EXPECT_EQ(run.wait->kind, WaitReason::Kind::Timer);
  EXPECT_FALSE(store.contains(keys::active(0, "r1"))) << "a restart has nothing to do for it";
}

}  // namespace
}  // namespace mayfly::engine
