#include "function/async/destination.h"
#include "function/durable/durable_world_test_support.h"

namespace mayfly::function {
namespace {

class Async : public testing::Test, public DurableWorld {
 protected:
  Async() {
    boot();
    run_until([&] { return server().ready; });
  }
  /// Until nothing is left to happen.
  void settle() {
    run_until([] { return false; });
  }
  void invoke(const std::string& function, const std::string& payload = R"({"n":1})") {
    const auto accepted = wait(server().functions->invoke_async({.function = {function, ""}, .payload = payload}));
    ASSERT_TRUE(accepted) << accepted.error().message;
    EXPECT_FALSE(accepted->result.request_id.empty());
  }
  Json received(const std::string& function) {
    EXPECT_EQ(outside_.received[function].size(), 1u) << function;
    return outside_.received[function].empty() ? Json(JsonObject()) : *parse_json(outside_.received[function].front());
  }
  std::vector<engine::Execution> runs(const std::string& function) {
    return *wait(server().engine->list({.program = program_name(function)}));
  }
};

TEST_F(Async, RunsOnceWhenAllGoesWell) {
  outside_.async["f"] = {.on_success = function_arn("good"), .on_failure = function_arn("bad")};
  invoke("f");
  settle();
  EXPECT_EQ(outside_.received["f"], (std::vector<std::string>{R"({"n":1})"}));
  const Json record = received("good");
  EXPECT_EQ(record.at("version"), "1.0");
  EXPECT_EQ(record.at("requestContext").at("condition"), "Success");
  EXPECT_EQ(record.at("requestContext").at("functionArn"), "arn:aws:lambda:us-east-1:000000000000:function:f:$LATEST");
  EXPECT_EQ(record.at("requestContext").at("approximateInvokeCount"), 1);
  EXPECT_EQ(record.at("requestPayload").at("n"), 1);
  EXPECT_EQ(record.at("responseContext").at("statusCode"), 200);
  EXPECT_EQ(record.at("responsePayload"), R"(echo {"n":1})");
  EXPECT_TRUE(outside_.received["bad"].empty());
}

TEST_F(Async, FailuresAreRetriedAfterOneMinuteAndTwo) {
  outside_.failing["f"] = 2;
  const TimePoint started = clock_.now();
  invoke("f");
  settle();
  EXPECT_EQ(outside_.received["f"].size(), 3u);
  const auto all = runs("f");
  ASSERT_EQ(all.size(), 1u);
  EXPECT_EQ(all[0].status, engine::ExecutionStatus::Succeeded);
  EXPECT_GE(*all[0].ended - started, Millis{180'000});
  EXPECT_LT(*all[0].ended - started, Millis{185'000});
}

TEST_F(Async, ExhaustedRetriesAreToldToTheDestination) {
  outside_.failing["f"] = 9;
  outside_.async["f"] = {.retries_max = 1, .on_success = function_arn("good"), .on_failure = function_arn("bad")};
  invoke("f");
  settle();
  EXPECT_EQ(outside_.received["f"].size(), 2u);
  const Json record = received("bad");
  EXPECT_EQ(record.at("requestContext").at("condition"), "RetriesExhausted");
  EXPECT_EQ(record.at("requestContext").at("approximateInvokeCount"), 2);
  EXPECT_EQ(record.at("responseContext").at("functionError"), "Unhandled");
  EXPECT_EQ(record.at("responsePayload").at("errorType"), "ValueError");
  EXPECT_TRUE(outside_.received["good"].empty());
  EXPECT_EQ(runs("f")[0].status, engine::ExecutionStatus::Failed);
}

TEST_F(Async, NoRetryStartsOnceTheEventIsTooOld) {
  outside_.failing["f"] = 9;
  outside_.async["f"] = {.age_max = std::chrono::seconds(90), .on_failure = function_arn("bad")};
  invoke("f");
  settle();
  EXPECT_EQ(outside_.received["f"].size(), 2u);
  EXPECT_EQ(received("bad").at("requestContext").at("condition"), "EventAgeExceeded");
}

TEST_F(Async, ThrottledInvocationsWaitAndDoNotCount) {
  outside_.throttled["f"] = 5;
  outside_.async["f"] = {.retries_max = 0};
  invoke("f");
  settle();
  EXPECT_EQ(outside_.received["f"].size(), 1u);
  EXPECT_EQ(runs("f")[0].status, engine::ExecutionStatus::Succeeded);
}

TEST_F(Async, WhatIsThrottledForTooLongExpires) {
  outside_.throttled["f"] = 1'000'000;
  outside_.async["f"] = {.age_max = std::chrono::seconds(600), .on_failure = function_arn("bad")};
  invoke("f");
  settle();
  EXPECT_TRUE(outside_.received["f"].empty());
  EXPECT_EQ(received("bad").at("requestContext").at("condition"), "EventAgeExceeded");
}

TEST_F(Async, DestinationsMayBeDurableFunctions) {
  outside_.async["f"] = {.on_success = function_arn("durable-next")};
  outside_.scripts["durable-next"] = {{Line::What::Step, "a"}};
  invoke("f");
  settle();
  const auto all = runs("durable-next");
  ASSERT_EQ(all.size(), 1u);
  EXPECT_EQ(all[0].status, engine::ExecutionStatus::Succeeded);
}

TEST_F(Async, AMissingDestinationDoesNotHoldTheRunOpen) {
  outside_.async["f"] = {.on_success = function_arn("missing")};
  invoke("f");
  settle();
  EXPECT_FALSE(runs("f")[0].open());
}

TEST_F(Async, TooLargePayloadsAreRefused) {
  const auto refused = wait(server().functions->invoke_async({.function = {"f", ""}, .payload = std::string(1024 * 1024 + 1, ' ')}));
  EXPECT_EQ(refused.error().code, "function.payload_too_large");
}

TEST_F(Async, SurvivesACrashAtEveryCommit) {
  std::size_t commits = 0;
  for (std::size_t crash_at = 0; crash_at <= commits; ++crash_at) {
    SCOPED_TRACE(crash_at);
    DurableWorld world;
    world.outside_.failing["f"] = 1;
    world.outside_.async["f"] = {.on_success = function_arn("good")};
    world.boot();
    bool asked = false, accepted = false, crashed = crash_at == 0;
    world.run_until([&] {
      if (!crashed && world.disk_.batches_applied() >= crash_at) {
        crashed = true;
        world.crash();
        asked = asked && accepted;
      }
      if (world.server().ready && !asked) {
        asked = true;
        world.server().tasks.spawn([](DurableServer* server, bool* done) -> Task<> {
          Invoke invoke{.function = {"f", ""}, .payload = "7"};
          *done = static_cast<bool>(co_await server->functions->invoke_async(std::move(invoke)));
        }(&world.server(), &accepted));
      }
      return false;
    });
    if (crash_at == 0) commits = world.disk_.batches_applied();
    EXPECT_TRUE(accepted);
    EXPECT_GE(world.outside_.received["f"].size(), 2u);
    EXPECT_GE(world.outside_.received["good"].size(), 1u);
    for (const engine::Execution& run : *world.wait(world.server().engine->list({}))) EXPECT_FALSE(run.open()) << run.program;
  }
  EXPECT_GT(commits, 8u);
}

TEST(Destination, OnlyWhatExistsIsTaken) {
  EXPECT_TRUE(check_destination(""));
  EXPECT_TRUE(check_destination(function_arn("f")));
  EXPECT_TRUE(check_destination("arn:mayfly:agent:support"));
  for (const std::string& arn :
       std::initializer_list<std::string>{"arn:aws:sqs:us-east-1:000000000000:q", "arn:aws:sns:us-east-1:000000000000:t",
                                          "arn:aws:events:us-east-1:000000000000:event-bus/b", "arn:aws:s3:::bucket",
                                          "https://example.com/hook", "nonsense", "arn:mayfly:agent:"}) {
    const auto refused = check_destination(arn);
    ASSERT_FALSE(refused) << arn;
    EXPECT_EQ(refused.error().code, "function.unsupported_destination");
    EXPECT_TRUE(refused.error().message.contains("use the ARN of a function")) << refused.error().message;
  }
}

}  // namespace
}  // namespace mayfly::function
