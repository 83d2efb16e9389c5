#include "net/event_stream.h"
#include "server/lambda/lambda_test_support.h"

namespace mayfly::lambda {
namespace {

std::string exception_of(const HttpAnswer& answer) { return answer.headers.get("x-amzn-errortype"); }

TEST_F(LambdaTest, AnInvocationCarriesWhatLambdaCarries) {
  start_functions();
  ASSERT_EQ(create("a", {{"Publish", true}}).status, 201);
  functions_.answer = {
      {.payload = R"({"ok":true})", .request_id = "11111111-2222-4333-8444-555555555555", .log_tail = "hello\n"}, "1", "arn:x"};
  const HttpAnswer done = invoke("a", R"({"n": 1})",
                                 {{"X-Amz-Log-Type", "Tail"},
                                  {"X-Amz-Client-Context", "e30="},
                                  {"X-Amz-Tenant-Id", "t1"},
                                  {"X-Amz-Durable-Execution-Name", "order-1"},
                                  {"X-Amzn-Trace-Id", "Root=1"}});
  EXPECT_EQ(done.status, 200);
  EXPECT_EQ(done.body, R"({"ok":true})");
  EXPECT_EQ(done.headers.get("x-amz-executed-version"), "1");
  EXPECT_EQ(done.headers.get("x-amz-durable-execution-arn"), "arn:x");
  EXPECT_EQ(done.headers.get("x-amz-log-result"), to_base64("hello\n"));
  EXPECT_EQ(done.headers.get("x-amzn-requestid"), "11111111-2222-4333-8444-555555555555");
  EXPECT_FALSE(done.headers.find("x-amz-function-error"));
  ASSERT_EQ(functions_.calls.size(), 1u);
  const function::Invoke& wanted = functions_.calls[0];
  EXPECT_EQ(wanted.payload, R"({"n": 1})");
  EXPECT_EQ(wanted.client_context, "e30=");
  EXPECT_EQ(wanted.tenant_id, "t1");
  EXPECT_EQ(wanted.execution_name, "order-1");
  EXPECT_EQ(wanted.trace_header, "Root=1");
  EXPECT_TRUE(wanted.want_log_tail);

  (void)invoke("a:1", "");
  EXPECT_EQ(functions_.calls[1].function.qualifier, "1");
  functions_.answer = {{.payload = R"({"errorMessage":"no"})", .function_error = "Unhandled"}, "$LATEST", ""};
  const HttpAnswer failed = invoke("a", "{}");
  EXPECT_EQ(failed.status, 200) << "a failing function is no failing API";
  EXPECT_EQ(failed.headers.get("x-amz-function-error"), "Unhandled");
}

TEST_F(LambdaTest, AnInvocationCanBeAnEventOrATrial) {
  start_functions();
  ASSERT_EQ(create("a").status, 201);
  functions_.answer.durable_execution_arn = "arn:x";
  const HttpAnswer event = invoke("a", R"({"n": 1})", {{"X-Amz-Invocation-Type", "Event"}});
  EXPECT_EQ(event.status, 202);
  EXPECT_EQ(event.body, "");
  EXPECT_EQ(event.headers.get("x-amz-durable-execution-arn"), "arn:x");
  EXPECT_EQ(functions_.events.size(), 1u);
  EXPECT_EQ(post("/2014-11-13/functions/a/invoke-async", "{}").status, 202);
  EXPECT_EQ(functions_.events.size(), 2u);
  EXPECT_EQ(invoke("a", "{}", {{"X-Amz-Invocation-Type", "DryRun"}}).status, 204);
  EXPECT_EQ(functions_.checks.size(), 1u);
  EXPECT_TRUE(functions_.calls.empty());
}

TEST_F(LambdaTest, BadInvocationsAreRefusedInLambdasWords) {
  start_functions();
  ASSERT_EQ(create("a").status, 201);
  ASSERT_EQ(create("tenants", {{"TenancyConfig", JsonObject{{"TenantIsolationMode", "PER_TENANT"}}}}).status, 201);
  EXPECT_EQ(exception_of(invoke("none", "{}")), "ResourceNotFoundException");
  EXPECT_EQ(exception_of(invoke("a:none", "{}")), "ResourceNotFoundException");
  EXPECT_EQ(exception_of(invoke("a", "{no json")), "InvalidRequestContentException");
  EXPECT_EQ(exception_of(invoke("a", "{}", {{"X-Amz-Invocation-Type", "Sometimes"}})), "InvalidParameterValueException");
  EXPECT_EQ(exception_of(invoke("a", "{}", {{"X-Amz-Client-Context", "{}"}})), "InvalidRequestContentException");
  EXPECT_EQ(exception_of(invoke("a", "{}", {{"X-Amz-Durable-Execution-Name", "a b"}})), "InvalidParameterValueException");
  EXPECT_EQ(exception_of(invoke("tenants", "{}")), "InvalidParameterValueException");
  EXPECT_EQ(exception_of(post("/2015-03-31/functions/a:1/invocations?Qualifier=2", "{}")), "InvalidParameterValueException");
  const std::string big = "\"" + std::string(6'291'456, 'x') + "\"", medium = "\"" + std::string(1'048'576, 'x') + "\"";
  EXPECT_EQ(invoke("a", big).status, 413);
  EXPECT_EQ(exception_of(invoke("a", medium, {{"X-Amz-Invocation-Type", "Event"}})), "RequestTooLargeException");
  EXPECT_TRUE(functions_.calls.empty() && functions_.events.empty());
  EXPECT_EQ(invoke("a", medium).status, 200);

  functions_.error = Error{"function.throttled", "Rate Exceeded.", Retry::Safe};
  const HttpAnswer throttled = invoke("a", "{}");
  EXPECT_EQ(throttled.status, 429);
  EXPECT_EQ(exception_of(throttled), "TooManyRequestsException");
  EXPECT_EQ(throttled.text("Reason"), "ReservedFunctionConcurrentInvocationLimitExceeded");
  functions_.error = Error{"function.not_durable", "it is not", Retry::Never};
  EXPECT_EQ(exception_of(invoke("a", "{}")), "InvalidParameterValueException");
  functions_.error = Error{"execution.name_in_use", "it is", Retry::Never};
  EXPECT_EQ(exception_of(invoke("a", "{}")), "DurableExecutionAlreadyStartedException");
}

TEST_F(LambdaTest, WithoutASandboxACallSaysWhy) {
  start();
  ASSERT_EQ(create("a").status, 201);
  const HttpAnswer answer = invoke("a", "{}");
  EXPECT_GE(answer.status, 500);
  EXPECT_NE(answer.body.find("mayfly-jailer"), std::string::npos) << answer.body;
}

std::vector<net::EventStreamMessage> messages_of(const std::string& bytes) {
  net::EventStreamDecoder decoder;
  decoder.feed(bytes);
  std::vector<net::EventStreamMessage> out;
  for (auto message = decoder.next(); message && *message; message = decoder.next()) out.push_back(std::move(**message));
  EXPECT_TRUE(decoder.is_at_boundary());
  return out;
}

TEST_F(LambdaTest, AStreamedInvocationIsAnEventStream) {
  start_functions();
  ASSERT_EQ(create("a").status, 201);
  const std::string path = "/2021-11-15/functions/a/response-streaming-invocations";
  functions_.pieces = {"one ", "two"};
  functions_.content_type = "text/plain";
  const HttpAnswer streamed = post(path, "{}", {{"X-Amz-Log-Type", "Tail"}});
  EXPECT_EQ(streamed.headers.get("content-type"), "application/vnd.amazon.eventstream");
  EXPECT_EQ(streamed.headers.get("x-amz-executed-version"), "$LATEST");
  const auto messages = messages_of(streamed.body);
  ASSERT_EQ(messages.size(), 3u);
  EXPECT_EQ(messages[0].find(":event-type"), "PayloadChunk");
  EXPECT_EQ(messages[0].payload + messages[1].payload, "one two");
  EXPECT_EQ(messages[2].find(":event-type"), "InvokeComplete");

  functions_.pieces.clear();
  functions_.answer.result.payload = R"({"whole":1})";
  EXPECT_EQ(messages_of(post(path, "{}").body).at(0).payload, R"({"whole":1})") << "of a function that does not stream";
  functions_.answer.result = {.payload = R"({"errorMessage":"no"})", .function_error = "Unhandled", .error_type = "Runtime.ExitError"};
  const auto failed = messages_of(post(path, "{}").body);
  ASSERT_EQ(failed.size(), 1u);
  EXPECT_NE(failed[0].payload.find("Runtime.ExitError"), std::string::npos);
  functions_.error = Error{"function.throttled", "Rate Exceeded.", Retry::Safe};
  EXPECT_EQ(post(path, "{}").status, 429) << "before the first byte an error has a status of its own";
}

TEST_F(LambdaTest, DurableRoutesMoveTheDocuments) {
  start_functions();
  ASSERT_EQ(create("a").status, 201);
  const std::string arn = "arn:aws:lambda:us-east-1:000000000000:function:a:$LATEST/durable-execution/order-1/01ABC";
  const std::string base = "/2025-12-01/durable-executions/" + net::percent_encode(arn);
  EXPECT_EQ(base.find('/', 32), std::string::npos) << "the slashes of the ARN are encoded";
  EXPECT_EQ(post(base + "/checkpoint", R"({"CheckpointToken":"t"})").body, R"({"ok":true})");
  EXPECT_EQ(durable_.last, "checkpoint " + arn + R"( {"CheckpointToken":"t"})");
  (void)get(base + "/state?CheckpointToken=t%2B&Marker=m&MaxItems=7");
  EXPECT_EQ(durable_.last, "state " + arn + " t+ m 7");
  (void)get(base);
  EXPECT_EQ(durable_.last, "get " + arn + " data");
  (void)get(base + "?IncludeExecutionData=false");
  EXPECT_EQ(durable_.last, "get " + arn);
  (void)get(base + "/history?IncludeExecutionData=false");
  EXPECT_EQ(durable_.last, "history " + arn + " 100");
  (void)get(base + "/history?ReverseOrder=true");
  EXPECT_EQ(durable_.last, "history " + arn + " data reverse 100");
  (void)get(
      "/2025-12-01/functions/a/"
      "durable-executions?DurableExecutionName=n&Statuses=RUNNING&Statuses=FAILED&StartedAfter=2026-01-01T00%3A00%3A00Z");
  EXPECT_EQ(durable_.last, "list a n RUNNING FAILED after");
  (void)post(base + "/stop", R"({"ErrorMessage":"enough"})");
  EXPECT_EQ(durable_.last, "stop " + arn + R"( {"ErrorMessage":"enough"})");
  const std::string callback = "/2025-12-01/durable-execution-callbacks/Y2FsbA%3D%3D";
  EXPECT_EQ(post(callback + "/succeed", R"("yes")").status, 200);
  EXPECT_EQ(durable_.last, R"(succeed Y2FsbA== "yes")");
  (void)post(callback + "/fail", R"({"ErrorMessage":"no"})");
  EXPECT_EQ(durable_.last, R"(fail Y2FsbA== {"ErrorMessage":"no"})");
  (void)post(callback + "/heartbeat", "");
  EXPECT_EQ(durable_.last, "heartbeat Y2FsbA==");

  EXPECT_EQ(exception_of(get(base + "/state")), "InvalidParameterValueException");
  EXPECT_EQ(exception_of(get(base + "/history?MaxItems=1001")), "InvalidParameterValueException");
  EXPECT_EQ(exception_of(get("/2025-12-01/functions/none/durable-executions")), "ResourceNotFoundException");
  durable_.error = Error{"checkpoint.invalid_token", "Invalid checkpoint token", Retry::Never};
  EXPECT_EQ(exception_of(post(base + "/checkpoint", "{}")), "InvalidParameterValueException");
  durable_.error = Error{"callback.ended", "it timed out", Retry::Never};
  EXPECT_EQ(exception_of(post(callback + "/succeed", "1")), "CallbackTimeoutException");
}

}  // namespace
}  // namespace mayfly::lambda
