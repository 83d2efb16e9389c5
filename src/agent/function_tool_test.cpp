#include "agent/function_tool.h"

#include <gtest/gtest.h>

#include "agent/functions_test_support.h"
#include "agent/tool_box.h"
#include "base/hash.h"
#include "testing/sim_clock.h"

namespace mayfly::agent {
namespace {

using function::FakeFunctionService;
using function::InvocationResult;

Task<> keep(Task<Result<ToolOutput>> task, std::optional<Result<ToolOutput>>* out) { out->emplace(co_await std::move(task)); }

class FunctionToolTest : public testing::Test {
 protected:
  Result<ToolOutput> call(Tool& tool, ToolCall call) {
    std::optional<Result<ToolOutput>> out;
    TaskGroup group(io_.get_executor());
    group.spawn(keep(tool.call(std::move(call)), &out));
    while (!out) {
      io_.restart();
      io_.poll();
      if (!out && !clock_.advance()) break;
    }
    EXPECT_TRUE(out) << "the tool hangs";
    return out ? *std::move(out) : fail("test.hangs", "");
  }
  std::unique_ptr<Tool> tool(FunctionToolOptions options = {}) {
    options.name = "remember";
    if (options.function.name.empty()) options.function = {.name = "state", .qualifier = "live"};
    return make_function_tool(std::move(options), functions_, clock_);
  }
  static ToolCall arguments(std::string_view text) {
    ToolCall call;
    call.arguments = *parse_json(text);
    call.run_id = "run_1";
    call.idempotency_key = "run_1-7";
    call.agent = "desk";
    call.attempt = 2;
    return call;
  }

  asio::io_context io_;
  SimClock clock_;
  FakeFunctionService functions_;
};

TEST_F(FunctionToolTest, TheArgumentsAreTheEventAndTheAnswerIsTheResult) {
  functions_.answer("state", R"({"stored":true})");
  ToolCall given = arguments(R"({"session":"ann"})");
  given.traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
  const auto output = call(*tool(), given);
  ASSERT_TRUE(output) << output.error().message;
  EXPECT_EQ(output->text, R"({"stored":true})");
  EXPECT_FALSE(output->is_error);
  ASSERT_EQ(functions_.invokes.size(), 1U);
  const function::Invoke& invoke = functions_.invokes.front();
  EXPECT_EQ(invoke.function.name, "state");
  EXPECT_EQ(invoke.function.qualifier, "live");
  EXPECT_EQ(invoke.payload, R"({"session":"ann"})");
  EXPECT_EQ(invoke.execution_name, "run_1-7");
  EXPECT_EQ(invoke.trace_header, "Root=1-0af76519-16cd43dd8448eb211c80319c;Parent=b7ad6b7169203331;Sampled=1");
  const Json context = *parse_json(*from_base64(invoke.client_context));
  EXPECT_EQ(context.at("custom").at("mayfly_idempotency_key"), "run_1-7");
  EXPECT_EQ(context.at("custom").at("mayfly_attempt"), "2");
}

TEST_F(FunctionToolTest, APlainFunctionGetsNoExecutionName) {
  functions_.durable = false;
  functions_.answer("state", "1");
  ASSERT_TRUE(call(*tool(), arguments("{}")));
  EXPECT_EQ(functions_.invokes.front().execution_name, "");
}

TEST_F(FunctionToolTest, ATextComesWithoutQuotes) {
  functions_.answer("state", R"("line one\nline two")");
  EXPECT_EQ(call(*tool(), arguments("{}"))->text, "line one\nline two");
}

TEST_F(FunctionToolTest, AnIdempotencyKeyThatIsNoNameIsHashed) {
  functions_.answer("state", "1");
  ToolCall given = arguments("{}");
  given.idempotency_key = "run/1:" + std::string(80, 'x');
  (void)call(*tool(), given);
  EXPECT_EQ(functions_.invokes.front().execution_name, sha256_hex(given.idempotency_key));
}

TEST_F(FunctionToolTest, WhatTheFunctionDoesWrongGoesToTheModel) {
  functions_.answers["state"] = InvocationResult{
      .payload = R"({"errorMessage":"no such key","errorType":"KeyError","stackTrace":["secret path"]})", .function_error = "Unhandled"};
  const auto output = call(*tool(), arguments("{}"));
  ASSERT_TRUE(output);
  EXPECT_TRUE(output->is_error);
  EXPECT_EQ(output->text, "The function failed: KeyError: no such key");
}

TEST_F(FunctionToolTest, ThrottlingMayBeTriedAgain) {
  functions_.answers["state"] = fail("function.throttled", "Rate exceeded", Retry::Safe);
  const auto output = call(*tool(), arguments("{}"));
  ASSERT_FALSE(output);
  EXPECT_EQ(output.error().retry, Retry::Safe);
}

TEST_F(FunctionToolTest, AMissingFunctionIsNamed) {
  const auto output = call(*tool(), arguments("{}"));
  ASSERT_FALSE(output);
  EXPECT_EQ(output.error().code, "tool.invalid");
  EXPECT_NE(output.error().message.find("'state' is not deployed"), std::string::npos);
}

TEST_F(FunctionToolTest, TheToolsTimeoutEndsTheInvocation) {
  functions_.hangs = true;
  const auto output = call(*tool({.timeout = Millis{5'000}}), arguments("{}"));
  ASSERT_FALSE(output);
  EXPECT_EQ(output.error().code, "tool.timeout");
  EXPECT_EQ(output.error().retry, Retry::OutcomeUnknown);
  EXPECT_TRUE(functions_.invokes.front().cancel.cancelled());
  const auto harmless = call(*tool({.effect = Effect::ReadOnly, .timeout = Millis{5'000}}), arguments("{}"));
  EXPECT_EQ(harmless.error().retry, Retry::Safe);
}

TEST_F(FunctionToolTest, AHugeAnswerIsCutBetweenCharacters) {
  functions_.answer("state", "\"" + std::string(999, 'a') + "€€\"");
  const auto output = call(*tool({.model_bytes_max = 1'000}), arguments("{}"));
  ASSERT_TRUE(output);
  EXPECT_TRUE(is_utf8(output->text));
  EXPECT_EQ(output->text.substr(0, 1'020), std::string(999, 'a') + "\n[cut: the answer has");
}

TEST_F(FunctionToolTest, TheBoxMakesItOrSaysWhyNot) {
  const auto http = net::make_http_client(io_.get_executor(), clock_);
  AgentSpec agent;
  agent.name = "desk";
  agent.tools.push_back({.kind = ToolSpec::Kind::Function, .name = "remember", .config = JsonObject{{"function", "state:live"}}});
  ToolBox without(*http, clock_, {});
  EXPECT_EQ(without.find(agent, 1, "remember").error().code, "tool.invalid");
  ToolBox box(*http, clock_, {});
  box.use_functions(functions_);
  functions_.answer("state", "1");
  const auto made = box.find(agent, 1, "remember");
  ASSERT_TRUE(made) << made.error().message;
  EXPECT_EQ(call(**made, arguments("{}"))->text, "1");
  EXPECT_EQ(functions_.invokes.front().function.qualifier, "live");
}

}  // namespace
}  // namespace mayfly::agent
