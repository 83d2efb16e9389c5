#include "function/durable/durable_program.h"

#include "function/durable/durable_test_support.h"

namespace mayfly::function {
namespace {

constexpr auto kStep = R"([{"Id":"a","Type":"STEP","SubType":"Step","Name":"charge","Action":"START"}])";
constexpr auto kWait = R"([{"Id":"w","Type":"WAIT","Action":"START","WaitOptions":{"WaitSeconds":60}}])";

TEST(DurableProgram, BeginsWithAnInvocation) {
  DurableRun run;
  EXPECT_EQ(run.dispatched.size(), 1u);
  EXPECT_EQ(run.history(), (Strings{"1 ExecutionStarted"}));
  EXPECT_EQ(run.event(1).at("Name"), "order-7");
}

TEST(DurableProgram, AStepThatSucceeds) {
  DurableRun run;
  const auto answer = run.checkpoint(kStep);
  EXPECT_EQ(run.told(answer), (Strings{"a STARTED"}));
  EXPECT_EQ(run.told(run.checkpoint(R"([{"Id":"a","Type":"STEP","Action":"SUCCEED","Payload":"\"ok\""}])")), (Strings{"a SUCCEEDED"}));
  run.returns(R"({"Status":"SUCCEEDED","Result":"1"})");
  EXPECT_EQ(run.run().status, engine::ExecutionStatus::Succeeded);
  EXPECT_EQ(run.run().result.at("Result"), "1");
  EXPECT_EQ(run.history(),
            (Strings{"1 ExecutionStarted", "2 StepStarted a", "3 StepSucceeded a", "4 InvocationCompleted", "5 ExecutionSucceeded"}));
  const Json succeeded = run.event(3);
  EXPECT_EQ(succeeded.at("StepSucceededDetails").at("Result").at("Payload"), "\"ok\"");
  EXPECT_EQ(succeeded.at("StepSucceededDetails").at("RetryDetails").at("CurrentAttempt"), 1);
  EXPECT_EQ(succeeded.at("SubType"), "Step");
}

TEST(DurableProgram, AStepMayStartAndEndInOneCheckpoint) {
  DurableRun run;
  const auto answer = run.checkpoint(
      R"([{"Id":"a","Type":"STEP","Action":"START"},{"Id":"a","Type":"STEP","Action":"SUCCEED","Payload":"1"},
          {"Id":"b","Type":"STEP","Action":"SUCCEED","Payload":"2"}])");
  EXPECT_EQ(run.told(answer), (Strings{"a SUCCEEDED", "b SUCCEEDED"}));
  EXPECT_EQ(run.history(), (Strings{"1 ExecutionStarted", "2 StepStarted a", "3 StepSucceeded a", "4 StepSucceeded b"}));
  EXPECT_EQ(payload_of(run.view("b")), "2");
}

TEST(DurableProgram, AStepIsRetriedWhenItsDelayIsOver) {
  DurableRun run;
  run.checkpoint(kStep);
  run.checkpoint(
      R"([{"Id":"a","Type":"STEP","Action":"RETRY","Error":{"ErrorType":"E","ErrorMessage":"m"},"StepOptions":{"NextAttemptDelaySeconds":2}}])");
  EXPECT_EQ(run.view("a").note.status, "PENDING");
  run.suspends();
  EXPECT_FALSE(run.running());
  run.pass(2);
  EXPECT_TRUE(run.running());
  EXPECT_EQ(run.view("a").note.status, "READY");
  EXPECT_EQ(run.view("a").note.attempt, 1);
  run.checkpoint(kStep);
  run.checkpoint(R"([{"Id":"a","Type":"STEP","Action":"SUCCEED","Payload":"1"}])");
  EXPECT_EQ(run.view("a").note.attempt, 2);
  EXPECT_EQ(run.history(), (Strings{"1 ExecutionStarted", "2 StepStarted a", "3 StepFailed a", "4 InvocationCompleted", "5 StepStarted a",
                                    "6 StepSucceeded a"}));
  const Json failed = run.event(3).at("StepFailedDetails");
  EXPECT_EQ(failed.at("Error").at("Payload").at("ErrorType"), "E");
  EXPECT_EQ(failed.at("RetryDetails").at("NextAttemptDelaySeconds"), 2);
  EXPECT_FALSE(run.event(6).at("StepSucceededDetails").at("RetryDetails").as_object().contains("NextAttemptDelaySeconds"));
}

TEST(DurableProgram, ARetryWithAPayloadKeepsItForTheNextAttempt) {
  DurableRun run;
  run.checkpoint(kStep);
  run.checkpoint(R"([{"Id":"a","Type":"STEP","Action":"RETRY","Payload":"{\"n\":1}","StepOptions":{"NextAttemptDelaySeconds":1}}])");
  run.suspends();
  run.pass(1);
  EXPECT_EQ(payload_of(run.view("a")), "{\"n\":1}");
  EXPECT_EQ(run.event(3).at("EventType"), "StepSucceeded");
  EXPECT_EQ(run.event(3).at("StepSucceededDetails").at("Result").at("Payload"), "{\"n\":1}");
}

TEST(DurableProgram, TheRunsRecordDoesNotGrowWithRetries) {
  DurableRun run;
  run.checkpoint(kStep);
  std::size_t size = 0;
  for (int i = 0; i < 50; ++i) {
    run.checkpoint(R"([{"Id":"a","Type":"STEP","Action":"RETRY","Error":{"ErrorMessage":"a rather long message to be kept"},)"
                   R"("StepOptions":{"NextAttemptDelaySeconds":1}}])");
    run.suspends();
    run.pass(1);
    run.checkpoint(kStep);
    if (i == 5) size = to_text(to_json(run.run())).size();
  }
  EXPECT_LT(to_text(to_json(run.run())).size(), size + 100);
  EXPECT_EQ(run.history().size(), 1u + 50 * 3 + 1);
}

TEST(DurableProgram, AWaitSuspendsUntilItsEnd) {
  DurableRun run;
  run.checkpoint(kWait);
  EXPECT_EQ(run.view("w").note.timeout_at, run.now + Millis{60'000});
  run.suspends();
  run.pass(59);
  EXPECT_FALSE(run.running());
  run.pass(1);
  EXPECT_TRUE(run.running());
  run.returns(R"({"Status":"SUCCEEDED"})");
  EXPECT_EQ(run.history(), (Strings{"1 ExecutionStarted", "2 WaitStarted w", "3 InvocationCompleted", "4 WaitSucceeded w",
                                    "5 InvocationCompleted", "6 ExecutionSucceeded"}));
  EXPECT_EQ(run.event(4).at("WaitSucceededDetails").at("Duration"), 60);
}

TEST(DurableProgram, WhatEndsWhileAnInvocationRunsIsToldInTheNextCheckpointAndRecordedThen) {
  DurableRun run;
  run.checkpoint(kWait);
  run.pass(60);
  EXPECT_EQ(run.history().size(), 2u);
  EXPECT_EQ(run.told(run.checkpoint("[]")), (Strings{"w SUCCEEDED"}));
  EXPECT_EQ(run.history(), (Strings{"1 ExecutionStarted", "2 WaitStarted w", "3 WaitSucceeded w"}));
  EXPECT_EQ(run.told(run.checkpoint("[]")), Strings{});
}

TEST(DurableProgram, WhatEndsUnseenBeforeTheInvocationEndsComesAfterItAndInvokesAgain) {
  DurableRun run;
  run.checkpoint(kWait);
  run.pass(60);
  run.suspends();
  EXPECT_TRUE(run.running());
  EXPECT_EQ(run.history(), (Strings{"1 ExecutionStarted", "2 WaitStarted w", "3 InvocationCompleted", "4 WaitSucceeded w"}));
}

TEST(DurableProgram, ACheckpointCompletesWhatIsDueItself) {
  DurableRun run;
  run.checkpoint(kWait);
  run.checkpoint(kStep);
  run.checkpoint(R"([{"Id":"a","Type":"STEP","Action":"RETRY","StepOptions":{"NextAttemptDelaySeconds":5}}])");
  run.now += Millis{60'000};  // the timers have not fired yet
  EXPECT_EQ(run.told(run.checkpoint("[]")), (Strings{"w SUCCEEDED", "a READY"}));
  run.pass(10);
  EXPECT_EQ(run.told(run.checkpoint("[]")), Strings{});
}

TEST(DurableProgram, AWaitCanBeCancelled) {
  DurableRun run;
  run.checkpoint(kWait);
  run.checkpoint(R"([{"Id":"w","Type":"WAIT","Action":"CANCEL"}])");
  EXPECT_EQ(run.view("w").note.status, "CANCELLED");
  EXPECT_EQ(run.history().back(), "3 WaitCancelled w");
  EXPECT_EQ(run.refusal(R"([{"Id":"w","Type":"WAIT","Action":"CANCEL"}])"),
            "checkpoint.invalid: Cannot cancel a WAIT that does not exist or has already completed.");
}

TEST(DurableProgram, ContextsHoldOthers) {
  DurableRun run;
  run.checkpoint(
      R"([{"Id":"c","Type":"CONTEXT","SubType":"RunInChildContext","Action":"START"},{"Id":"a","ParentId":"c","Type":"STEP","Action":"START"}])");
  run.checkpoint(R"([{"Id":"a","ParentId":"c","Type":"STEP","Action":"SUCCEED","Payload":"1"},
                     {"Id":"c","Type":"CONTEXT","Action":"SUCCEED","Payload":"","ContextOptions":{"ReplayChildren":true}}])");
  EXPECT_EQ(run.view("a").note.parent, "c");
  EXPECT_TRUE(run.view("c").note.replay_children);
  EXPECT_EQ(payload_of(run.view("c")), "");
  // An ended context may still be a parent.
  EXPECT_EQ(run.refusal(R"([{"Id":"b","ParentId":"c","Type":"STEP","Action":"START"}])"), "");
  EXPECT_EQ(run.refusal(R"([{"Id":"d","ParentId":"a","Type":"STEP","Action":"START"}])"),
            "checkpoint.invalid: Invalid parent operation id.");
}

TEST(DurableProgram, AnExecutionUpdateDecidesTheEndOnceTheInvocationEnds) {
  DurableRun run;
  run.checkpoint(R"([{"Id":"x","Type":"EXECUTION","Action":"SUCCEED","Payload":"\"large\""}])");
  EXPECT_TRUE(run.run().open());
  EXPECT_EQ(run.checkpoint("[]").error->code, "checkpoint.invalid_token");
  run.returns(R"({"Status":"SUCCEEDED","Result":""})");
  EXPECT_EQ(run.run().result.at("Result"), "\"large\"");
  EXPECT_EQ(run.history(), (Strings{"1 ExecutionStarted", "2 ExecutionSucceeded", "3 InvocationCompleted"}));
}

TEST(DurableProgram, AnExecutionUpdateHoldsAlthoughTheInvocationCrashesAfterIt) {
  DurableRun run;
  run.checkpoint(R"([{"Id":"x","Type":"EXECUTION","Action":"FAIL","Error":{"ErrorType":"Bad"}}])");
  run.returns(R"({"Status":"CRASHED","Error":{"ErrorType":"Runtime.ExitError"}})");
  EXPECT_EQ(run.run().status, engine::ExecutionStatus::Failed);
  EXPECT_EQ(run.event(2).at("ExecutionFailedDetails").at("Error").at("Payload").at("ErrorType"), "Bad");
}

TEST(DurableProgram, WhatFailsWithoutAnErrorHasNone) {
  DurableRun run;
  run.returns(R"({"Status":"FAILED"})");
  EXPECT_EQ(run.run().status, engine::ExecutionStatus::Failed);
  EXPECT_FALSE(run.event(3).at("ExecutionFailedDetails").at("Error").as_object().contains("Payload"));
}

TEST(DurableProgram, ACrashedInvocationIsTriedAgainFiveTimesInAll) {
  DurableRun run;
  run.checkpoint(kStep);
  for (int i = 1; i < 5; ++i) {
    run.returns(R"({"Status":"CRASHED","Error":{"ErrorType":"Runtime.ExitError","ErrorMessage":"exit 1"}})");
    EXPECT_FALSE(run.running());
    run.pass(5);
    ASSERT_TRUE(run.running()) << i;
  }
  EXPECT_EQ(run.event(3).at("InvocationCompletedDetails").at("Error").at("Payload").at("ErrorType"), "Runtime.ExitError");
  run.returns(R"({"Status":"CRASHED","Error":{"ErrorType":"Runtime.ExitError","ErrorMessage":"exit 1"}})");
  EXPECT_EQ(run.run().status, engine::ExecutionStatus::Failed);
  EXPECT_EQ(run.run().result.at("Error").at("ErrorType"), "Runtime.ExitError");
}

TEST(DurableProgram, ACleanInvocationForgetsEarlierCrashes) {
  DurableRun run;
  for (int i = 0; i < 4; ++i) {
    run.returns(R"({"Status":"CRASHED"})");
    run.pass(5);
  }
  run.checkpoint(kWait);
  run.suspends();
  run.pass(60);
  for (int i = 0; i < 4; ++i) {
    run.returns(R"({"Status":"CRASHED"})");
    run.pass(5);
  }
  EXPECT_TRUE(run.running());
}

TEST(DurableProgram, PendingWithNothingPendingFailsAtTheThirdTime) {
  DurableRun run;
  run.suspends();
  run.pass(5);
  run.suspends();
  run.pass(5);
  ASSERT_TRUE(run.running());
  run.suspends();
  EXPECT_EQ(run.run().result.at("Error").at("ErrorMessage"), "Cannot return PENDING status with no pending operations.");
}

TEST(DurableProgram, AnAnswerThatCannotBeUnderstoodFailsAtOnce) {
  DurableRun run;
  run.returns(R"({"Status":"INVALID","Error":{"ErrorType":"InvalidParameterValueException","ErrorMessage":"m"}})");
  EXPECT_EQ(run.run().status, engine::ExecutionStatus::Failed);
}

TEST(DurableProgram, ItsTimeoutEndsEverything) {
  DurableRun run(30);
  run.checkpoint(kWait);
  run.suspends();
  run.pass(30);
  EXPECT_EQ(run.run().status, engine::ExecutionStatus::TimedOut);
  EXPECT_EQ(run.history().back(), "4 ExecutionTimedOut");
  EXPECT_EQ(run.event(4).at("ExecutionTimedOutDetails").at("Error").at("Payload").at("ErrorMessage"),
            "Execution timed out after 30 seconds.");
  EXPECT_EQ(run.view("w").note.status, "STARTED");  // it has not ended for the handler
}

TEST(DurableProgram, StoppingKeepsTheReason) {
  DurableRun run;
  run.apply(
      engine::Command{"run_1", JsonObject{{"do", "stop"}, {"error", JsonObject{{"ErrorType", "Operator"}, {"ErrorMessage", "enough"}}}}});
  EXPECT_EQ(run.run().status, engine::ExecutionStatus::Stopped);
  EXPECT_EQ(run.history(), (Strings{"1 ExecutionStarted", "2 ExecutionStopped", "3 InvocationCompleted"}));
  EXPECT_EQ(run.event(2).at("ExecutionStoppedDetails").at("Error").at("Payload").at("ErrorType"), "Operator");
}

TEST(DurableProgram, OnlyTheNewestTokenOfTheCurrentInvocationCounts) {
  DurableRun run;
  const CheckpointToken first = run.token;
  run.checkpoint(kStep);
  EXPECT_EQ(run.send(first, "[]").error->code, "checkpoint.invalid_token");
  run.apply(engine::Recovered{"run_1"});  // the server restarted: the invocation begins anew
  EXPECT_EQ(run.checkpoint("[]").error->code, "checkpoint.invalid_token");
  run.begins();
  EXPECT_FALSE(run.checkpoint("[]").error);
}

TEST(DurableProgram, TheRepeatOfACheckpointGetsTheSameAnswerAndChangesNothing) {
  DurableRun run;
  const CheckpointToken before = run.token;
  const auto answer = run.checkpoint(kStep);
  const std::string stored = to_text(to_json(run.run()));
  EXPECT_EQ(run.send(before, kStep).body, answer.body);
  EXPECT_EQ(to_text(to_json(run.run())), stored);
  const CheckpointToken second = run.token;
  const auto named = run.checkpoint(kWait, "client-1");
  EXPECT_EQ(run.send(second, "[]", "client-1").body, named.body);
  EXPECT_EQ(run.send(second, "[]", "client-2").error->code, "checkpoint.invalid_token");
}

TEST(DurableProgram, ChildrensOutcomesBecomeTheInvokesOutcome) {
  constexpr auto kInvoke = R"([{"Id":"i","Type":"CHAINED_INVOKE","Action":"START","Payload":"7","ChainedInvokeOptions":{"FunctionName":"g"},
      "$bytes":1,"$invoke":{"program":"function:g","version":1,"input":{"payload":"7"},"target":"function","executed_version":"4","wall_time_ms":9000}}])";
  const auto after = [&](const engine::Resolved& answer) {
    DurableRun run;
    run.checkpoint(kInvoke);
    run.suspends();
    EXPECT_EQ(run.event(2).at("ChainedInvokeStartedDetails").at("Input").at("Payload"), "7");
    EXPECT_EQ(run.event(2).at("ChainedInvokeStartedDetails").at("ExecutedVersion"), "4");
    engine::Resolved resolved = answer;
    resolved.run = "run_1";
    resolved.operation = run.pending("i")->id;
    run.apply(resolved);
    EXPECT_TRUE(run.running());
    return operation_json(run.view("i"), payload_of(run.view("i")), TimeFormat::Seconds);
  };
  using Action = engine::Resolved::Action;
  Json ok = after({.action = Action::Succeed, .result = JsonObject{{"Result", "8"}, {"DurableExecutionArn", "arn"}}});
  EXPECT_EQ(ok.at("Status"), "SUCCEEDED");
  EXPECT_EQ(ok.at("ChainedInvokeDetails").at("Result"), "8");
  Json failed = after({.action = Action::Fail,
                       .result = JsonObject{{"Error", JsonObject{{"ErrorType", "ValueError"}}}},
                       .error = Error{"function.failed", "ValueError", Retry::Never}});
  EXPECT_EQ(failed.at("Status"), "FAILED");
  EXPECT_EQ(failed.at("ChainedInvokeDetails").at("Error").at("ErrorType"), "ValueError");
  Json late = after({.action = Action::Fail, .error = Error{"run.deadline", "…", Retry::Never}});
  EXPECT_EQ(late.at("Status"), "TIMED_OUT");
  EXPECT_EQ(late.at("ChainedInvokeDetails").at("Error").at("ErrorMessage"), "CHAINED_INVOKE timed out after 9 seconds.");
  Json stopped = after({.action = Action::Fail,
                        .result = JsonObject{{"Error", JsonObject{{"ErrorMessage", "enough"}}}},
                        .error = Error{"function.stopped", "enough", Retry::Never}});
  EXPECT_EQ(stopped.at("Status"), "STOPPED");
  EXPECT_EQ(stopped.at("ChainedInvokeDetails").at("Error").at("ErrorMessage"), "enough");
}

TEST(DurableProgram, AnInvokeWithoutATargetHasFailedInTheSameAnswer) {
  DurableRun run;
  const auto answer = run.checkpoint(R"([{"Id":"i","Type":"CHAINED_INVOKE","Action":"START","ChainedInvokeOptions":{"FunctionName":"none"},
      "$refused":{"ErrorType":"ResourceNotFoundException","ErrorMessage":"Function not found: none"}}])");
  EXPECT_EQ(run.told(answer), (Strings{"i FAILED"}));
  EXPECT_EQ(run.view("i").type, "CHAINED_INVOKE");
  EXPECT_EQ(run.history(), (Strings{"1 ExecutionStarted", "2 ChainedInvokeStarted i", "3 ChainedInvokeFailed i"}));
  for (const auto& [key, value] : run.store) EXPECT_FALSE(key.starts_with(engine::keys::outbox_prefix(0))) << "something was invoked";
}

TEST(DurableProgram, AChildsResultIsLimited) {
  DurableRun run(0, engine::ParentLink{"run_0", 1});
  run.returns(R"({"Status":"SUCCEEDED","Result":"…","bytes":1048577})");
  EXPECT_EQ(run.run().result.at("Error").at("ErrorMessage"), "Execution output payload size must be less than or equal to 1048576 bytes.");
}

TEST(DurableProgram, TakesNoMoreThanThreeThousandOperations) {
  DurableRun run;
  for (int batch = 0; batch < 10; ++batch) {
    std::string updates = "[";
    for (int i = 0; i < 300; ++i)
      updates += (i ? "," : "") + std::string(R"({"Id":"s)") + std::to_string(batch * 300 + i) + R"(","Type":"STEP","Action":"SUCCEED"})";
    ASSERT_EQ(run.refusal(updates + "]"), "");
  }
  EXPECT_TRUE(run.refusal(kStep).starts_with("checkpoint.invalid: A durable execution has at most 3000 operations"));
}

}  // namespace
}  // namespace mayfly::function
