#include "llm/llm_error.h"

#include <gtest/gtest.h>

#include "llm/anthropic_provider.h"
#include "llm/llm_test_support.h"
#include "llm/openai_chat_provider.h"
#include "llm/openai_responses_provider.h"

namespace mayfly::llm {
namespace {

using testing::call_with;
using testing::FakeHttpClient;
using testing::Loop;

constexpr TimePoint kNow = from_unix_ms(1'800'000'000'000);  // 2027-01-15T08:00:00Z

TEST(LlmError, StatusAndBodyDecideTheCode) {
  struct Case {
    int status;
    const char* body;
    const char* code;
    Retry retry;
  };
  const std::vector<Case> cases{
      {400, R"({"type":"error","error":{"type":"invalid_request_error","message":"max_tokens: required"}})", "llm.invalid_request", Retry::Never},
      {400, R"({"type":"error","error":{"type":"invalid_request_error","message":"prompt is too long: 210000 tokens > 200000 maximum"}})", "llm.context_too_long", Retry::Never},
      {400, R"({"error":{"message":"too long","type":"invalid_request_error","code":"context_length_exceeded"}})", "llm.context_too_long", Retry::Never},
      {400, R"({"object":"error","message":"This model's maximum context length is 4096 tokens.","code":400})", "llm.context_too_long", Retry::Never},
      {401, R"({"error":{"message":"Incorrect API key provided: sk-ab*****yz","code":"invalid_api_key"}})", "llm.authentication", Retry::Never},
      {403, R"({"type":"error","error":{"type":"permission_error","message":"no"}})", "llm.authentication", Retry::Never},
      {404, R"({"error":{"message":"The model `x` does not exist","code":"model_not_found"}})", "llm.not_found", Retry::Never},
      {413, R"({"type":"error","error":{"type":"request_too_large","message":"big"}})", "llm.context_too_long", Retry::Never},
      {429, R"({"type":"error","error":{"type":"rate_limit_error","message":"slow"}})", "llm.rate_limited", Retry::Safe},
      {429, R"({"error":{"message":"no money","type":"insufficient_quota","code":"insufficient_quota"}})", "llm.rate_limited", Retry::Never},
      {500, R"({"type":"error","error":{"type":"api_error","message":"oops"}})", "llm.server_error", Retry::Safe},
      {502, "<html>Bad Gateway</html>", "llm.server_error", Retry::Safe},
      {503, "", "llm.overloaded", Retry::Safe},
      {504, "{}", "llm.timeout", Retry::OutcomeUnknown},
      {529, R"({"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}})", "llm.overloaded", Retry::Safe},
      {422, R"({"error":"bad field"})", "llm.invalid_request", Retry::Never},
      {302, "", "llm.bad_response", Retry::Never}};
  for (const Case& one : cases) {
    const LlmError error = error_from_http("p", one.status, {}, one.body, kNow);
    EXPECT_EQ(error.error.code, one.code) << one.status << one.body;
    EXPECT_EQ(error.error.retry, one.retry) << one.status << one.body;
    EXPECT_EQ(error.status, one.status);
    EXPECT_NE(error.error.message.find("`p`"), std::string::npos);
    EXPECT_EQ(error.error.message.find("sk-"), std::string::npos);
  }
  EXPECT_NE(error_from_http("p", 422, {}, R"({"error":"bad field"})", kNow).error.message.find("bad field"), std::string::npos);
  EXPECT_LT(error_from_http("p", 500, {}, std::string(100'000, 'x'), kNow).error.message.size(), 700u);
}

TEST(LlmError, RetryAfterInEveryForm) {
  const auto wait = [](net::Headers headers) { return retry_after_from(headers, kNow); };
  EXPECT_EQ(wait({{"retry-after-ms", "250.5"}, {"retry-after", "9"}}), Millis{251});
  EXPECT_EQ(wait({{"Retry-After", "2"}}), Millis{2'000});
  EXPECT_EQ(wait({{"retry-after", "Fri, 15 Jan 2027 08:00:10 GMT"}}), Millis{10'000});
  EXPECT_EQ(wait({{"retry-after", "Fri, 15 Jan 2027 07:00:00 GMT"}}), Millis{0});
  EXPECT_EQ(wait({{"retry-after", "999999999"}}), Millis{3'600'000});
  EXPECT_EQ(wait({{"retry-after", "soon"}}), std::nullopt);
  EXPECT_EQ(wait({{"retry-after", "-1"}}), std::nullopt);
  EXPECT_EQ(wait({{"anthropic-ratelimit-requests-remaining", "0"}, {"anthropic-ratelimit-requests-reset", "2027-01-15T08:00:05Z"},
                  {"anthropic-ratelimit-tokens-remaining", "10"}, {"anthropic-ratelimit-tokens-reset", "2027-01-15T08:30:00Z"}}),
            Millis{5'000});
  EXPECT_EQ(wait({{"x-ratelimit-remaining-tokens", "0"}, {"x-ratelimit-reset-tokens", "6s"}}), Millis{6'000});
  EXPECT_EQ(wait({}), std::nullopt);
}

TEST(LlmError, TransportFailures) {
  const auto code = [](const char* net_code, bool began) { return error_from_transport("p", {net_code, "x", Retry::Safe}, began).error; };
  EXPECT_EQ(code("net.timeout", false).code, "llm.timeout");
  EXPECT_EQ(code("net.timeout", true).retry, Retry::OutcomeUnknown);
  EXPECT_EQ(code("net.connect", false), (Error{"llm.unreachable", "provider `p`: x", Retry::Safe}));
  EXPECT_EQ(code("net.reset", true), (Error{"llm.bad_response", "provider `p`: x", Retry::OutcomeUnknown}));
  EXPECT_EQ(code("net.egress_denied", false).code, "llm.egress_denied");
  EXPECT_EQ(code("net.cancelled", true).code, "llm.cancelled");
}

const std::string kOkChat = "data: {\"model\":\"m\",\"choices\":[{\"delta\":{\"content\":\"hi\"},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n";

TEST(HttpProvider, SendsKeyPathAndVersionOfEachApi) {
  Loop loop;
  FakeHttpClient http;
  const ProviderConfig config{.name = "p", .base_url = "http://localhost:1/v1/", .api_key = "secret-key"};
  const auto request_of = [&](std::unique_ptr<LlmProvider> provider) {
    http.answers.push_back({.status = 500, .body = "echo secret-key"});
    LlmCall call = call_with({Message::user("hi")});
    call.idempotency_key = "idem-1";
    const LlmResult result = loop.run(provider->complete(std::move(call)));
    const bool knows_key = http.requests.back().headers.find("x-api-key") || http.requests.back().headers.find("authorization");
    EXPECT_EQ(result.error().error.message.find("secret-key") == std::string::npos, knows_key);
    return http.requests.back();
  };
  net::ClientRequest request = request_of(make_anthropic_provider(config, http, loop.clock));
  EXPECT_EQ(request.url, "http://localhost:1/v1/messages");
  EXPECT_EQ(request.headers.get("x-api-key"), "secret-key");
  EXPECT_EQ(request.headers.get("anthropic-version"), "2023-06-01");
  EXPECT_TRUE(request.egress.allow_loopback);
  request = request_of(make_openai_chat_provider(config, http, loop.clock));
  EXPECT_EQ(request.url, "http://localhost:1/v1/chat/completions");
  EXPECT_EQ(request.headers.get("authorization"), "Bearer secret-key");
  EXPECT_EQ(request.headers.get("idempotency-key"), "idem-1");
  EXPECT_TRUE(parse_json(request.body));
  request = request_of(make_openai_responses_provider({.name = "p"}, http, loop.clock));
  EXPECT_EQ(request.url, "https://api.openai.com/v1/responses");
  EXPECT_FALSE(request.headers.find("authorization"));
  request = request_of(make_anthropic_provider({.name = "p"}, http, loop.clock));
  EXPECT_EQ(request.url, "https://api.anthropic.com/v1/messages");
}

TEST(HttpProvider, ACutAfterTheEndIsStillAnAnswerBeforeItIsNot) {
  Loop loop;
  FakeHttpClient http;
  const auto provider = make_openai_chat_provider({.name = "p"}, http, loop.clock);
  http.answers.push_back({.body = kOkChat, .error = Error{"net.reset", "cut", Retry::OutcomeUnknown}});
  LlmResult result = loop.run(provider->complete(call_with({Message::user("hi")})));
  ASSERT_TRUE(result) << result.error().error.message;
  EXPECT_EQ(text_of(result->message), "hi");
  EXPECT_EQ(result->provider, "p");
  http.answers.push_back({.body = "data: {\"choices\":[{\"delta\":{\"content\":\"h\"}}]}\n\n", .error = Error{"net.reset", "cut", Retry::OutcomeUnknown}});
  result = loop.run(provider->complete(call_with({Message::user("hi")})));
  EXPECT_EQ(result.error().error.code, "llm.bad_response");
  EXPECT_EQ(result.error().error.retry, Retry::OutcomeUnknown);
  http.answers.push_back({.body = "data: {\"choices\":[{\"delta\":{\"content\":\"h\"}}]}\n\n"});
  result = loop.run(provider->complete(call_with({Message::user("hi")})));
  EXPECT_EQ(result.error().error.code, "llm.bad_response");
}

TEST(HttpProvider, ErrorAnswersCarryTheWait) {
  Loop loop;
  FakeHttpClient http;
  http.answers.push_back({.status = 429, .headers = {{"retry-after", "7"}}, .body = "{}"});
  const auto provider = make_anthropic_provider({.name = "p"}, http, loop.clock);
  const LlmResult result = loop.run(provider->complete(call_with({Message::user("hi")})));
  EXPECT_EQ(result.error().error.code, "llm.rate_limited");
  EXPECT_EQ(result.error().retry_after, Millis{7'000});
}

TEST(HttpProvider, CancelledBeforeItBegan) {
  Loop loop;
  FakeHttpClient http;
  CancelSource cancel;
  cancel.cancel();
  LlmCall call = call_with({Message::user("hi")});
  call.cancel = cancel.token();
  const auto provider = make_anthropic_provider({.name = "p"}, http, loop.clock);
  EXPECT_EQ(loop.run(provider->complete(std::move(call))).error().error.code, "llm.cancelled");
  EXPECT_TRUE(http.requests.empty());
}

}  // namespace
}  // namespace mayfly::llm
