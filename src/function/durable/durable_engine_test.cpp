#include <algorithm>

#include "function/durable/durable_world_test_support.h"

namespace mayfly::function {
namespace {

class DurableEngine : public testing::Test, public DurableWorld {};

using What = Line::What;

TEST_F(DurableEngine, AFunctionRunsToItsEnd) {
  outside_.scripts["durable-f"] = {{What::Step, "a"}, {What::Wait, "w", 60}, {What::Step, "b"}};
  const Invoked out = invoke_through_crashes("durable-f", 0);
  EXPECT_EQ(out.result.function_error, "");
  EXPECT_EQ(out.result.payload, R"("a#1 w b#2")");
  EXPECT_EQ(
      history(out.durable_execution_arn),
      (std::vector<std::string>{"ExecutionStarted", "StepStarted a", "StepSucceeded a", "WaitStarted w", "InvocationCompleted ",
                                "WaitSucceeded w", "StepStarted b", "StepSucceeded b", "InvocationCompleted ", "ExecutionSucceeded"}));
}

TEST_F(DurableEngine, EveryKindOfOperationSurvivesACrashAtEveryCommit) {
  std::size_t commits = 0;
  for (std::size_t crash_at = 0; crash_at <= commits; ++crash_at) {
    SCOPED_TRACE(crash_at);
    DurableWorld world;
    world.outside_.scripts["durable-f"] = {{What::Step, "a"},
                                           {What::Wait, "w", 5},
                                           {What::RetriedStep, "r", 2},
                                           {What::Callback, "k"},
                                           {What::Invoke, "i", 1, "durable-g"},
                                           {What::Invoke, "e", 1, "plain"},
                                           {What::Crash, "boom", 1},
                                           {What::Step, "z"}};
    world.outside_.scripts["durable-g"] = {{What::Step, "inner"}, {What::Wait, "v", 3}};
    const Invoked out = world.invoke_through_crashes("durable-f", crash_at);
    if (crash_at == 0) commits = world.disk_.batches_applied();
    EXPECT_EQ(out.result.function_error, "") << out.result.payload;
    EXPECT_EQ(world.outside_.violations, std::vector<std::string>{});
    EXPECT_TRUE(out.result.payload.contains("k=\\\"approved\\\"")) << out.result.payload;
    EXPECT_TRUE(out.result.payload.contains("echo")) << out.result.payload;
    const auto events = world.history(out.durable_execution_arn);
    for (const std::string once : {"StepSucceeded a", "WaitSucceeded w", "StepSucceeded r", "CallbackSucceeded k",
                                   "ChainedInvokeSucceeded i", "ChainedInvokeSucceeded e", "StepSucceeded z", "ExecutionSucceeded"})
      EXPECT_EQ(std::ranges::count(events, once), 1) << once;
    EXPECT_EQ(std::ranges::count(events, "StepFailed r"), 2);
    if (HasFailure()) break;
  }
  EXPECT_GT(commits, 20u);
}

TEST_F(DurableEngine, TheSameNameIsTheSameExecution) {
  outside_.scripts["durable-f"] = {{What::Step, "a"}};
  boot();
  run_until([&] { return server().ready; });
  const auto first = wait(server().functions->invoke(request("durable-f", "n")));
  const auto again = wait(server().functions->invoke(request("durable-f", "n")));
  ASSERT_TRUE(first && again);
  EXPECT_EQ(first->durable_execution_arn, again->durable_execution_arn);
  EXPECT_EQ(first->result.payload, again->result.payload);
  EXPECT_EQ(outside_.executed["n/a"], 1);
  EXPECT_EQ(wait(server().functions->invoke(request("durable-f", "n", "2"))).error().code, "execution.name_in_use");
  EXPECT_EQ(wait(server().functions->invoke(request("durable-f", "no spaces"))).error().code, "execution.invalid_name");
  EXPECT_EQ(wait(server().functions->invoke(request("missing", "n"))).error().code, "function.not_found");
  EXPECT_EQ(wait(server().functions->invoke(request("plain", "n"))).error().code, "function.not_durable");
  EXPECT_EQ(wait(server().functions->invoke_async(request("plain", "n"))).error().code, "function.not_durable");
}

TEST_F(DurableEngine, ExecutionsAreListedReadAndStopped) {
  outside_.scripts["durable-f"] = {{What::Callback, "k"}};
  boot();
  run_until([&] { return server().ready; });
  const auto started = wait(server().functions->invoke_async(request("durable-f", "long", "{\"n\":1}")));
  ASSERT_TRUE(started);
  const std::string arn = started->durable_execution_arn;
  run_until([&] { return outside_.callbacks.contains("long/k"); });
  auto got = wait(server().durable->get(arn, true));
  ASSERT_TRUE(got);
  EXPECT_EQ(got->at("Status"), "RUNNING");
  EXPECT_EQ(got->at("InputPayload"), "{\"n\":1}");
  EXPECT_EQ(got->at("DurableExecutionName"), "long");
  auto listed = wait(server().durable->list({.function = {"durable-f", ""}, .statuses = {"RUNNING"}}));
  ASSERT_TRUE(listed);
  EXPECT_EQ(listed->at("DurableExecutions").as_array().size(), 1u);
  auto stopped = wait(server().durable->stop(arn, JsonObject{{"Error", JsonObject{{"ErrorType", "Operator"}}}}));
  ASSERT_TRUE(stopped);
  got = wait(server().durable->get(arn, true));
  EXPECT_EQ(got->at("Status"), "STOPPED");
  EXPECT_EQ(got->at("Error").at("ErrorType"), "Operator");
  EXPECT_EQ(wait(server().durable->stop(arn, nullptr))->at("StopTimestamp"), stopped->at("StopTimestamp"));
  EXPECT_EQ(wait(server().durable->callback_succeed(outside_.callbacks["long/k"], "1")).error().code, "callback.ended");
  EXPECT_EQ(wait(server().durable->callback_heartbeat("nonsense")).error().code, "callback.not_found");
}

TEST_F(DurableEngine, LargePayloadsComeBackWhole) {
  outside_.scripts["durable-f"] = {{What::Invoke, "e", 1, "plain-large"}, {What::Step, "a"}};
  const Invoked out = invoke_through_crashes("durable-f", 0);
  EXPECT_GT(out.result.payload.size(), 300'000u);
  auto page = wait(server().durable->history(out.durable_execution_arn, true, false, {.items_max = 3}));
  ASSERT_TRUE(page);
  EXPECT_EQ(page->at("NextMarker"), "4");
  page = wait(server().durable->history(out.durable_execution_arn, true, true, {.items_max = 2}));
  EXPECT_EQ(page->at("Events").at(0).at("EventType"), "ExecutionSucceeded");
  EXPECT_GT(page->at("Events").at(0).at("ExecutionSucceededDetails").at("Result").at("Payload").as_string().size(), 300'000u);
  for (const auto& [key, cell] : disk_.cells()) EXPECT_LT(cell.value.size(), 66'000u) << key;
}

TEST_F(DurableEngine, AFailedExecutionAnswersWithLambdasErrorDocument) {
  outside_.scripts["durable-f"] = {{What::Crash, "always", 100}};
  const Invoked out = invoke_through_crashes("durable-f", 0);
  EXPECT_EQ(out.result.function_error, "Unhandled");
  EXPECT_EQ(parse_json(out.result.payload)->at("errorType"), "Runtime.ExitError");
}

}  // namespace
}  // namespace mayfly::function
