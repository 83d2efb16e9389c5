#include "telemetry/otlp.h"

#include <gtest/gtest.h>

#include <map>

#include "net/http_server.h"
#include "net/net_test_support.h"
#include "net/response_head.h"

namespace mayfly::telemetry {
namespace {

struct Receiver {
  std::deque<net::Response> answers;  ///< then 200
  std::vector<net::Request> requests;
};

Task<> answer(Receiver* receiver, net::Request* request, net::Responder* responder) {
  receiver->requests.push_back(*request);
  net::Response response{200, {{"Content-Type", "application/json"}}, "{}"};
  if (!receiver->answers.empty()) {
    response = std::move(receiver->answers.front());
    receiver->answers.pop_front();
  }
  co_await responder->send(std::move(response));
}

Task<> stop_server(net::HttpServer* server) { co_await server->stop(Millis{0}); }
Task<> stop_exporter(TraceExporter* exporter, bool* done) {
  co_await exporter->stop(Millis{5'000});
  *done = true;
}

/// The exporter's time is moved by hand; sockets work in real time.
class Otlp : public testing::Test {
 protected:
  void SetUp() override {
    server_ = net::make_http_server(io_.get_executor(), system_clock_, {}, [this](net::Request& request, net::Responder& responder) {
      return answer(&receiver_, &request, &responder);
    });
    ASSERT_TRUE(server_->listen());
    options_.endpoint = "http://127.0.0.1:" + std::to_string(server_->port()) + "/";
  }
  void TearDown() override {
    if (exporter_) stop();
    exporter_.reset();
    http_.reset();
    net::run_task(io_, stop_server(server_.get()));
  }

  TraceExporter& exporter() {
    if (!exporter_) exporter_ = std::make_unique<TraceExporter>(io_.get_executor(), clock_, random_, *http_, options_);
    return *exporter_;
  }
  void run_until(const std::function<bool()>& done) {
    io_.restart();
    while (!done()) ASSERT_GT(io_.run_one_for(std::chrono::seconds(10)), 0u) << "nothing happens any more";
  }
  /// What is ready, without waiting.
  void settle() {
    io_.restart();
    io_.poll();
  }
  void let_the_delay_pass() {
    settle();
    clock_.advance(Millis{5'000});
  }
  void stop() {
    bool done = false;
    TaskGroup group(io_.get_executor());
    group.spawn(stop_exporter(exporter_.get(), &done));
    settle();
    if (!done && clock_.has_timers()) clock_.advance(Millis{5'000});
    run_until([&] { return done; });
  }
  void wait_for_requests(std::size_t count) {
    run_until([&] { return receiver_.requests.size() >= count && exporter().counters().requests >= count; });
  }
  static std::vector<Span> spans(int count) {
    std::vector<Span> out;
    for (int i = 0; i < count; ++i) {
      Span span{.trace_id = std::string(32, 'a'), .span_id = std::string(16, 'b'), .name = "span " + std::to_string(i)};
      span.start = from_unix_ms(1'795'000'000'000);
      span.end = from_unix_ms(1'795'000'000'250);
      out.push_back(std::move(span));
    }
    return out;
  }
  JsonObject sent(std::size_t index) {
    const auto body = parse_json(receiver_.requests.at(index).body);
    EXPECT_TRUE(body);
    return body->as_object();
  }
  std::size_t spans_in(std::size_t index) {
    const JsonObject body = sent(index);
    return body.at("resourceSpans").at(0).at("scopeSpans").at(0).at("spans").as_array().size();
  }

  asio::io_context io_;
  SystemClock system_clock_{io_.get_executor()};
  net::ManualClock clock_{io_.get_executor()};
  SeededRandom random_{1};
  Receiver receiver_;
  std::unique_ptr<net::HttpServer> server_;
  std::unique_ptr<net::HttpClient> http_ = net::make_http_client(io_.get_executor(), system_clock_);
  OtlpOptions options_;
  std::unique_ptr<TraceExporter> exporter_;
};

TEST_F(Otlp, SendsTheJsonEncoding) {
  options_.service_name = "agents";
  options_.service_version = "1.2.3";
  options_.resource = {{"deployment.environment.name", std::string("test")}};
  options_.headers = {{"Authorization", "Bearer secret"}};
  std::vector<Span> batch = spans(1);
  Span& span = batch[0];
  span.parent_id = std::string(16, 'c');
  span.kind = SpanKind::Client;
  span.attributes = {
      {"text", std::string("a")}, {"count", std::int64_t{7}}, {"ratio", 0.5}, {"flag", true}, {"list", std::vector<std::string>{"x", "y"}}};
  span.status = SpanStatus::Error;
  span.status_message = "it broke";
  span.events = {{"retry", from_unix_ms(1'795'000'000'100), {{"attempt", std::int64_t{2}}}}};
  exporter().add(std::move(batch));
  let_the_delay_pass();
  wait_for_requests(1);

  const net::Request& request = receiver_.requests[0];
  EXPECT_EQ(request.method, "POST");
  EXPECT_EQ(request.target, "/v1/traces");
  EXPECT_EQ(request.headers.get("Content-Type"), "application/json");
  EXPECT_EQ(request.headers.get("Authorization"), "Bearer secret");
  const Json expected = *parse_json(R"({"resourceSpans":[{"resource":{"attributes":[
      {"key":"service.name","value":{"stringValue":"agents"}},{"key":"service.version","value":{"stringValue":"1.2.3"}},
      {"key":"deployment.environment.name","value":{"stringValue":"test"}}]},
    "scopeSpans":[{"scope":{"name":"mayfly","version":"1.2.3"},"spans":[{
      "traceId":"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa","spanId":"bbbbbbbbbbbbbbbb","parentSpanId":"cccccccccccccccc","name":"span 0","kind":3,
      "startTimeUnixNano":"1795000000000000000","endTimeUnixNano":"1795000000250000000",
      "attributes":[{"key":"text","value":{"stringValue":"a"}},
        {"key":"count","value":{"intValue":"7"}},{"key":"ratio","value":{"doubleValue":0.5}},
        {"key":"flag","value":{"boolValue":true}},
        {"key":"list","value":{"arrayValue":{"values":[{"stringValue":"x"},{"stringValue":"y"}]}}}],
      "events":[{"timeUnixNano":"1795000000100000000","name":"retry","attributes":[{"key":"attempt","value":{"intValue":"2"}}]}],
      "status":{"code":2,"message":"it broke"}}]}]}]})");
  EXPECT_EQ(to_canonical_text(Json(sent(0))), to_canonical_text(expected));
}

TEST_F(Otlp, ABatchWaitsForOthersUnlessItIsFull) {
  options_.batch_max = 3;
  exporter().add(spans(1));
  exporter().add(spans(1));
  settle();
  clock_.advance(Millis{4'999});
  settle();
  EXPECT_EQ(receiver_.requests.size(), 0u);
  exporter().add(spans(2));
  wait_for_requests(1);
  EXPECT_EQ(spans_in(0), 3u);
  run_until([&] { return clock_.has_timers(); });
  clock_.advance(Millis{5'000});
  wait_for_requests(2);
  EXPECT_EQ(spans_in(1), 1u);
  run_until([&] { return exporter().counters().exported == 4; });
}

TEST_F(Otlp, RetriesAfterTheTimeThatTheReceiverAsksFor) {
  receiver_.answers = {{503, {{"Retry-After", "7"}}, ""}, {429, {}, ""}};
  exporter().add(spans(2));
  let_the_delay_pass();
  wait_for_requests(1);
  run_until([&] { return clock_.has_timers(); });
  clock_.advance(Millis{6'999});
  settle();
  EXPECT_EQ(receiver_.requests.size(), 1u);
  clock_.advance(Millis{1});
  wait_for_requests(2);
  run_until([&] { return clock_.has_timers(); });
  clock_.advance(Millis{2'000});
  run_until([&] { return exporter().counters().exported == 2; });
  EXPECT_EQ(receiver_.requests.size(), 3u);
  EXPECT_EQ(receiver_.requests[0].body, receiver_.requests[2].body);
  EXPECT_EQ(exporter().counters().dropped, 0u);
  EXPECT_EQ(exporter().counters().failures, 2u);
}

TEST_F(Otlp, ADateAsRetryAfterIsUnderstood) {
  const TimePoint sent_at = clock_.now() + Millis{5'000};
  receiver_.answers = {{503, {{"Retry-After", net::to_imf_date(sent_at + Millis{5'000})}}, ""}};
  exporter().add(spans(1));
  let_the_delay_pass();
  wait_for_requests(1);
  run_until([&] { return clock_.has_timers(); });
  clock_.advance(Millis{4'999});
  settle();
  EXPECT_EQ(receiver_.requests.size(), 1u);
  clock_.advance(Millis{1});
  wait_for_requests(2);
}

TEST_F(Otlp, DoesNotRetryWhatIsRefused) {
  receiver_.answers = {{400, {}, ""}};
  exporter().add(spans(2));
  let_the_delay_pass();
  run_until([&] { return exporter().counters().dropped == 2; });
  EXPECT_EQ(receiver_.requests.size(), 1u);
  EXPECT_EQ(exporter().counters().exported, 0u);
}

TEST_F(Otlp, GivesUpAfterTheLastAttempt) {
  options_.attempts_max = 3;
  receiver_.answers = {{502, {}, ""}, {504, {}, ""}, {503, {}, ""}};
  exporter().add(spans(1));
  let_the_delay_pass();
  for (std::size_t attempt = 1; attempt < 3; ++attempt) {
    wait_for_requests(attempt);
    run_until([&] { return clock_.has_timers(); });
    clock_.advance(Millis{30'000});
  }
  run_until([&] { return exporter().counters().dropped == 1; });
  EXPECT_EQ(receiver_.requests.size(), 3u);
}

TEST_F(Otlp, CountsWhatThereIsNoRoomFor) {
  options_.queue_max = 20;
  exporter().add(spans(30));
  EXPECT_EQ(exporter().counters().queued, 20u);
  EXPECT_EQ(exporter().counters().dropped, 10u);
}

TEST_F(Otlp, CountsWhatTheReceiverTookOnlyInPart) {
  receiver_.answers = {{200, {}, R"({"partialSuccess":{"rejectedSpans":"2","errorMessage":"too old"}})"}};
  exporter().add(spans(5));
  let_the_delay_pass();
  run_until([&] { return exporter().counters().exported == 5; });
  EXPECT_EQ(exporter().counters().rejected, 2u);
}

TEST_F(Otlp, StopSendsWhatWaits) {
  exporter().add(spans(3));
  bool done = false;
  TaskGroup group(io_.get_executor());
  group.spawn(stop_exporter(&exporter(), &done));
  run_until([&] { return done; });
  ASSERT_EQ(receiver_.requests.size(), 1u);
  EXPECT_EQ(exporter().counters().exported, 3u);
  exporter().add(spans(1));
  EXPECT_EQ(exporter().counters().dropped, 1u);
}

TEST_F(Otlp, StopDoesNotWaitForAReceiverThatIsAway) {
  receiver_.answers = {{503, {{"Retry-After", "60"}}, ""}};
  exporter().add(spans(3));
  let_the_delay_pass();
  wait_for_requests(1);
  run_until([&] { return clock_.has_timers(); });
  stop();
  EXPECT_EQ(exporter().counters().dropped, 3u);
  EXPECT_EQ(receiver_.requests.size(), 1u);
}

TEST_F(Otlp, WithoutAnEndpointNothingIsKept) {
  options_.endpoint.clear();
  exporter().add(spans(3));
  EXPECT_EQ(exporter().counters().queued, 0u);
}

Result<OtlpOptions> options_from(std::map<std::string, std::string, std::less<>> variables) {
  return otlp_options_from([variables](std::string_view name) -> std::optional<std::string> {
    const auto at = variables.find(name);
    return at == variables.end() ? std::nullopt : std::optional(at->second);
  });
}

TEST(OtlpOptions, ReadsTheStandardVariables) {
  const auto options = options_from({{"OTEL_EXPORTER_OTLP_ENDPOINT", "https://collector.example/base"},
                                     {"OTEL_EXPORTER_OTLP_HEADERS", "api-key=a%20b, x=1"},
                                     {"OTEL_EXPORTER_OTLP_TIMEOUT", "2500"},
                                     {"OTEL_RESOURCE_ATTRIBUTES", "service.name=ignored,service.version=9,region=eu"},
                                     {"OTEL_SERVICE_NAME", "agents"}});
  ASSERT_TRUE(options);
  EXPECT_TRUE(options->enabled());
  EXPECT_EQ(options->url(), "https://collector.example/base/v1/traces");
  EXPECT_EQ(options->headers.get("api-key"), "a b");
  EXPECT_EQ(options->headers.get("x"), "1");
  EXPECT_EQ(options->timeout, Millis{2500});
  EXPECT_EQ(options->service_name, "agents");
  EXPECT_EQ(options->service_version, "9");
  ASSERT_EQ(options->resource.size(), 1u);
  EXPECT_EQ(options->resource[0].first, "region");
  EXPECT_EQ(options_from({{"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://a/exact"}})->url(), "http://a/exact");
  EXPECT_FALSE(options_from({})->enabled());
  EXPECT_FALSE(options_from({{"OTEL_EXPORTER_OTLP_ENDPOINT", "http://a"}, {"OTEL_SDK_DISABLED", "TRUE"}})->enabled());
}

TEST(OtlpOptions, NamesTheVariableThatIsWrong) {
  const auto message = [](const std::string& name, const std::string& value) {
    const auto options = options_from({{"OTEL_EXPORTER_OTLP_ENDPOINT", "http://a"}, {name, value}});
    EXPECT_FALSE(options) << name;
    return options ? "" : options.error().message;
  };
  for (const auto& [name, value] :
       std::initializer_list<std::pair<std::string, std::string>>{{"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "localhost:4317"},
                                                                  {"OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"},
                                                                  {"OTEL_EXPORTER_OTLP_TIMEOUT", "soon"},
                                                                  {"OTEL_RESOURCE_ATTRIBUTES", "novalue"},
                                                                  {"OTEL_EXPORTER_OTLP_HEADERS", "a=%zz"},
                                                                  {"OTEL_EXPORTER_OTLP_HEADERS", "a=x%0d%0ay"}})
    EXPECT_NE(message(name, value).find(name), std::string::npos);
  EXPECT_EQ(message("OTEL_EXPORTER_OTLP_HEADERS", "key=secret%zz").find("secret"), std::string::npos);
}

}  // namespace
}  // namespace mayfly::telemetry
