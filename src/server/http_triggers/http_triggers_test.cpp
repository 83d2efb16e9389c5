#include "server/http_triggers/http_triggers.h"

#include <gtest/gtest.h>

#include "base/hash.h"
#include "base/id.h"
#include "server/http_triggers/jwks_cache.h"
#include "server/http_triggers/rate_limits.h"
#include "server/http_triggers/result_links.h"
#include "server/http_triggers/route_table.h"
#include "testing/sim_clock.h"
#include "testing/sim_store.h"
#include "trigger/trigger_service.h"
#include "trigger/webhook.h"

namespace mayfly {
namespace {

using trigger::Accepted;

/// Remembers what it was given; answers what the test says.
class FakeTriggers final : public trigger::TriggerService {
 public:
  struct Dispatched {
    std::string trigger;
    trigger::Event event;
    Variables variables;
  };
  std::vector<trigger::TriggerSpec> specs;
  std::vector<Dispatched> dispatched;
  Result<Accepted> answer = Accepted{.trigger = {}, .run = "run_1", .message_id = {}};
  std::function<void()> changed;

  Task<Result<Accepted>> dispatch(std::string trigger, trigger::Event event, Variables variables, std::string) override {
    dispatched.push_back({std::move(trigger), std::move(event), std::move(variables)});
    co_return answer;
  }
  std::vector<trigger::TriggerSpec> list() const override { return specs; }
  void on_change(std::function<void()> callback) override { changed = std::move(callback); }

  trigger::DeliveryPrograms& programs() override { std::abort(); }
  Task<Result<void>> open(engine::Engine&) override { co_return Result<void>{}; }
  Task<> stop(Millis) override { co_return; }
  void crash() override {}
  Task<Result<trigger::TriggerSpec>> put(trigger::TriggerSpec spec) override { co_return spec; }
  Task<Result<void>> remove(std::string) override { co_return Result<void>{}; }
  std::optional<trigger::TriggerSpec> find(const std::string&) const override { return std::nullopt; }
  trigger::TriggerCounters counters(const std::string&) const override { return {}; }
  Task<Result<std::vector<Accepted>>> publish(trigger::Event, std::string) override { co_return std::vector<Accepted>(); }
  Task<Result<Accepted>> deliver(trigger::Delivery) override { co_return answer; }
  Result<JsonObject> dry_run(const trigger::TriggerSpec&, const trigger::Event&, const Variables&) override { return JsonObject(); }
  Task<Result<void>> fire(schedule::Firing) override { co_return Result<void>{}; }
  Task<Result<void>> add_wait(trigger::EventWait) override { co_return Result<void>{}; }
  Task<Result<void>> message(std::string, Json) override { co_return Result<void>{}; }
  Task<Result<trigger::Endpoint>> put_endpoint(trigger::Endpoint endpoint) override { co_return endpoint; }
  Task<Result<void>> remove_endpoint(std::string) override { co_return Result<void>{}; }
  std::vector<trigger::Endpoint> endpoints() const override { return {}; }
  Result<std::string> endpoint_secret(const std::string&) const override { return fail("endpoint.not_found", ""); }
  Task<Result<std::string>> rotate_endpoint_secret(std::string, Millis) override { co_return fail("endpoint.not_found", ""); }
  std::vector<trigger::Endpoint> internal_endpoints(std::string_view) const override { return {}; }
  std::optional<trigger::Endpoint> find_endpoint(const std::string&) const override { return std::nullopt; }
  Task<Result<std::vector<trigger::DeliveryRecord>>> deliveries(std::string, std::size_t) override { co_return std::vector<trigger::DeliveryRecord>(); }
  Task<Result<trigger::DeliveryRecord>> delivery(std::string) override { co_return fail("delivery.not_found", ""); }
  Task<Result<Accepted>> redeliver(std::string) override { co_return answer; }
};

class KeptAnswer final : public net::Responder {
 public:
  net::Response response{.status = 0};
  Task<bool> send(net::Response given) override {
    response = std::move(given);
    co_return true;
  }
  Task<bool> start(int, net::Headers) override { co_return false; }
  Task<bool> write(std::string) override { co_return false; }
  Task<bool> finish() override { co_return false; }
  bool started() const override { return false; }
};

class FakeHttp final : public net::HttpClient {
 public:
  int calls = 0;
  std::string body;
  Task<Result<net::ClientResponse>> send(net::ClientRequest) override {
    ++calls;
    if (body.empty()) co_return fail("net.connect", "nobody listens", Retry::Safe);
    co_return net::ClientResponse{200, {}, body, {}};
  }
};

template <class T>
Task<> keep(Task<T> task, std::optional<T>* out) {
  out->emplace(co_await std::move(task));
}

class HttpTriggersTest : public testing::Test {
 protected:
  HttpTriggersTest() : store_(disk_, io_.get_executor(), clock_, random_), keys_(store_, clock_), router_(app_) {
    app_.executor = io_.get_executor();
    config_.environment = [](std::string_view name) {
      return name == "SECRET" ? std::optional<std::string>("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw") : std::nullopt;
    };
    config_.address = "0.0.0.0";
    app_.config = &config_;
    app_.clock = &clock_;
    app_.random = &random_;
    app_.store = &store_;
    app_.http = &http_;
    app_.keys = &keys_;
    app_.triggers = &triggers_;
    add_http_triggers(router_, app_);
  }

  template <class T>
  T run(Task<T> task) {
    std::optional<T> out;
    TaskGroup group(io_.get_executor());
    group.spawn(keep(std::move(task), &out));
    do {
      io_.restart();
      io_.poll();
    } while (!out && clock_.advance());
    EXPECT_TRUE(out) << "it waits for something";
    return std::move(*out);
  }
  static Task<bool> handled(Router* router, net::Request* request, net::Responder* responder) {
    co_await router->handle(*request, *responder);
    co_return true;
  }
  void add(std::string name, std::string_view http) {
    auto source = trigger::http_source_from_json(*parse_json(http));
    ASSERT_TRUE(source) << source.error().message;
    put(std::move(name), std::move(*source));
  }
  void add_webhook(std::string name, std::string_view webhook) {
    auto source = trigger::webhook_source_from_json(*parse_json(webhook));
    ASSERT_TRUE(source) << source.error().message;
    put(std::move(name), std::move(*source));
  }
  void put(std::string name, trigger::Source source) {
    trigger::TriggerSpec spec;
    spec.name = std::move(name);
    spec.source = std::move(source);
    triggers_.specs.push_back(std::move(spec));
    if (triggers_.changed) triggers_.changed();
  }
  net::Response send(std::string method, const std::string& target, std::string body = {}, net::Headers headers = {}) {
    net::Request request;
    request.method = std::move(method);
    request.target = target;
    request.path = target.substr(0, target.find('?'));
    if (target.find('?') != std::string::npos) request.query = target.substr(target.find('?') + 1);
    request.headers = std::move(headers);
    request.body = std::move(body);
    request.remote_address = "192.0.2.7:999";
    KeptAnswer answer;
    run(handled(&router_, &request, &answer));
    return answer.response;
  }
  std::string key(Scopes scopes) { return run(keys_.create("test", scopes, std::nullopt))->text; }
  static Json body_of(const net::Response& response) { return parse_json(response.body).value_or(Json()); }
  net::Headers signed_webhook(std::string_view id, std::string_view body) {
    auto out = trigger::sign_webhook(id, clock_.now(), body, {*config_.environment("SECRET")});
    out.add("content-type", "application/json");
    return out;
  }

  asio::io_context io_;
  SimClock clock_;
  SeededRandom random_{1};
  SimDisk disk_;
  SimStore store_;
  KeyRing keys_;
  ServerConfig config_;
  FakeHttp http_;
  FakeTriggers triggers_;
  AppContext app_{.executor = io_.get_executor()};
  Router router_;
};

TEST_F(HttpTriggersTest, ARequestBecomesAnEventWithItsVariables) {
  add("tickets", R"({"path":"/tickets/{customer}","auth":"none"})");
  const auto answer = send("POST", "/tickets/a%20b?x=1&x=2", R"({"text":"hi"})",
                           {{"Content-Type", "application/json"}, {"X-Trace", "t"}, {"Authorization", "Bearer s"}, {"Cookie", "c"}, {"Idempotency-Key", "k1"}});
  ASSERT_EQ(answer.status, 202) << answer.body;
  ASSERT_EQ(triggers_.dispatched.size(), 1U);
  const auto& got = triggers_.dispatched.front();
  EXPECT_EQ(got.trigger, "tickets");
  EXPECT_EQ(got.event.type, "mayfly.http");
  EXPECT_EQ(got.event.source, "/tickets/a%20b");
  EXPECT_EQ(got.event.id, "k1");
  EXPECT_EQ(to_text(got.event.data), R"({"text":"hi"})");
  EXPECT_EQ(to_text(got.variables.at("path")), R"({"customer":"a b"})");
  EXPECT_EQ(to_text(got.variables.at("query")), R"({"x":["1","2"]})");
  const std::string headers = to_text(got.variables.at("headers"));
  EXPECT_NE(headers.find("x-trace"), std::string::npos);
  EXPECT_EQ(headers.find("authorization"), std::string::npos);
  EXPECT_EQ(headers.find("cookie"), std::string::npos);
}

TEST_F(HttpTriggersTest, BodiesOfEveryType) {
  add("t", R"({"path":"/t","auth":"none","body_bytes_max":100})");
  const auto sent = [&](std::string body, net::Headers headers) {
    const auto status = send("POST", "/t", std::move(body), std::move(headers)).status;
    return status == 202 ? to_text(trigger::to_json(triggers_.dispatched.back().event)) : std::to_string(status);
  };
  EXPECT_NE(sent("hello", {{"content-type", "text/plain"}}).find(R"("data":"hello")"), std::string::npos);
  EXPECT_NE(sent("a=1", {{"content-type", "application/x-www-form-urlencoded"}}).find(R"("data":{"a":"1"})"), std::string::npos);
  EXPECT_NE(sent("\x01", {}).find(R"("data_base64":"AQ==")"), std::string::npos);
  EXPECT_NE(sent(R"({"specversion":"1.0","id":"7","source":"/s","type":"x"})", {{"content-type", "application/cloudevents+json"}}).find(R"("id":"7")"), std::string::npos);
  EXPECT_NE(sent("x", {{"ce-specversion", "1.0"}, {"ce-id", "8"}, {"ce-source", "/s"}, {"ce-type", "x"}}).find(R"("id":"8")"), std::string::npos);
  EXPECT_EQ(sent("{", {{"content-type", "application/json"}}), "400");
  EXPECT_EQ(sent("[]", {{"content-type", "application/cloudevents-batch+json"}}), "400");
  EXPECT_EQ(sent("x", {{"content-type", "application/cloudevents+avro"}}), "415");
  EXPECT_EQ(sent(std::string(101, 'x'), {}), "413");
  EXPECT_EQ(sent("", {{"idempotency-key", "has space"}}), "400");
}

TEST_F(HttpTriggersTest, OwnRoutesWinAndPathsAnswerAsHttpWants) {
  router_.add("GET", "/v1/own", {}, [](AppContext&, Call&) -> Task<Result<net::Response>> { co_return net::Response{.status = 299}; });
  add("a", R"({"path":"/x/{any}","auth":"none"})");
  add("b", R"({"path":"/x/fixed","auth":"none","method":"GET"})");
  EXPECT_EQ(send("GET", "/v1/own").status, 299);
  EXPECT_EQ(send("POST", "/v1/own").status, 405);
  EXPECT_EQ(send("POST", "/nothing").status, 404);
  const auto refused = send("PUT", "/x/other");
  EXPECT_EQ(refused.status, 405);
  EXPECT_EQ(refused.headers.get("allow"), "POST, OPTIONS");
  EXPECT_EQ(send("OPTIONS", "/x/fixed").headers.get("allow"), "GET, HEAD, OPTIONS");
  EXPECT_EQ(send("GET", "/x/fixed").status, 202);
  EXPECT_EQ(triggers_.dispatched.back().trigger, "b");
  EXPECT_EQ(send("HEAD", "/x/fixed").status, 204);
  EXPECT_EQ(triggers_.dispatched.size(), 1U);
  triggers_.specs.clear();
  triggers_.changed();
  EXPECT_EQ(send("GET", "/x/fixed").status, 404);
  add("off", R"({"path":"/off","auth":"none"})");
  triggers_.specs.back().enabled = false;
  triggers_.changed();
  EXPECT_EQ(send("POST", "/off").headers.get("retry-after"), "5");
}

TEST_F(HttpTriggersTest, KeysNeedTheScopeAndReadersGetTheRunsAddress) {
  add("t", R"({"path":"/t"})");
  EXPECT_EQ(send("POST", "/t").status, 401);
  EXPECT_EQ(send("POST", "/t", "", {{"x-api-key", key({Scope::Read})}}).status, 403);
  EXPECT_TRUE(triggers_.dispatched.empty());
  const auto reader = send("POST", "/t", "", {{"x-api-key", key({Scope::Invoke, Scope::Read})}, {"idempotency-key", "k"}});
  EXPECT_EQ(reader.headers.get("location"), "/v1/runs/run_1");
  EXPECT_TRUE(triggers_.dispatched.back().event.id.starts_with("key:"));  // nobody takes another caller's key
  const auto invoker = send("POST", "/t", "", {{"x-api-key", key({Scope::Invoke})}});
  EXPECT_TRUE(invoker.headers.get("location").starts_with("/v1/results/run_1."));
}

TEST_F(HttpTriggersTest, SignedRequests) {
  add("t", R"({"path":"/t","auth":{"hmac":{"secret_env":"SECRET","timestamp_header":"x-time"}}})");
  const std::string secret = *config_.environment("SECRET"), time = std::to_string(to_unix_ms(clock_.now()) / 1000);
  const std::string right = hmac_sha256(secret, time + ".body");
  EXPECT_EQ(send("POST", "/t", "body", {{"x-signature", to_hex(right)}, {"x-time", time}}).status, 202);
  EXPECT_EQ(send("POST", "/t", "body", {{"x-signature", to_base64(right)}, {"x-time", time}}).status, 202);
  EXPECT_EQ(send("POST", "/t", "bodY", {{"x-signature", to_hex(right)}, {"x-time", time}}).status, 401);
  EXPECT_EQ(send("POST", "/t", "body", {{"x-signature", to_hex(right)}}).status, 401);
  EXPECT_EQ(send("POST", "/t", "body").status, 401);
  const std::string old = std::to_string(to_unix_ms(clock_.now()) / 1000 - 301);
  EXPECT_EQ(send("POST", "/t", "body", {{"x-signature", to_hex(hmac_sha256(secret, old + ".body"))}, {"x-time", old}}).status, 401);
  add("unset", R"({"path":"/u","auth":{"hmac":{"secret_env":"MISSING"}}})");
  EXPECT_EQ(send("POST", "/u", "", {{"x-signature", to_hex(hmac_sha256("", ""))}}).status, 503);
}

TEST_F(HttpTriggersTest, TokensGiveClaims) {
  add("t", R"({"path":"/t","auth":{"jwt":{"secret_env":"SECRET","issuer":"me"}}})");
  const auto token = [&](std::string_view claims) {
    const std::string text = to_base64url(R"({"alg":"HS256"})") + "." + to_base64url(claims);
    return "Bearer " + text + "." + to_base64url(hmac_sha256(*config_.environment("SECRET"), text));
  };
  EXPECT_EQ(send("POST", "/t").status, 401);
  EXPECT_EQ(send("POST", "/t", "", {{"authorization", token(R"({"iss":"you"})")}}).status, 401);
  EXPECT_EQ(send("POST", "/t", "", {{"authorization", token(R"({"iss":"me","exp":1})")}}).status, 401);
  ASSERT_EQ(send("POST", "/t", "", {{"authorization", token(R"({"iss":"me","sub":"u"})")}}).status, 202);
  EXPECT_EQ(to_text(triggers_.dispatched.back().variables.at("claims")), R"({"iss":"me","sub":"u"})");
}

TEST_F(HttpTriggersTest, CorsForConfiguredOriginsOnly) {
  add("t", R"({"path":"/t","auth":"none","cors":{"origins":["https://a.example"],"headers":["x-h"],"max_age":"10m"}})");
  const auto preflight = [&](std::string origin) { return send("OPTIONS", "/t", "", {{"Origin", std::move(origin)}, {"Access-Control-Request-Method", "POST"}}); };
  const auto good = preflight("https://a.example");
  EXPECT_EQ(good.status, 204);
  EXPECT_EQ(good.headers.get("access-control-allow-origin"), "https://a.example");
  EXPECT_EQ(good.headers.get("access-control-allow-methods"), "POST");
  EXPECT_EQ(good.headers.get("access-control-allow-headers"), "x-h");
  EXPECT_EQ(good.headers.get("access-control-max-age"), "600");
  EXPECT_EQ(good.headers.get("vary"), "Origin");
  const auto bad = preflight("https://b.example");
  EXPECT_FALSE(bad.headers.find("access-control-allow-origin") || bad.headers.find("access-control-allow-methods"));
  EXPECT_EQ(bad.headers.get("vary"), "Origin");
  EXPECT_EQ(send("POST", "/t", "", {{"Origin", "https://a.example"}}).headers.get("access-control-allow-origin"), "https://a.example");
}

TEST_F(HttpTriggersTest, TooManyRequestsAreToldWhenToComeBack) {
  add("t", R"({"path":"/t","auth":"none","rate_limit":{"requests":2,"per":"1m"}})");
  EXPECT_EQ(send("POST", "/t").headers.get("ratelimit"), "\"route\";r=1;t=30");
  EXPECT_EQ(send("POST", "/t").status, 202);
  const auto refused = send("POST", "/t");
  EXPECT_EQ(refused.status, 429);
  EXPECT_EQ(refused.headers.get("retry-after"), "30");
  EXPECT_EQ(refused.headers.get("ratelimit-policy"), "\"route\";q=2;w=60");
  EXPECT_EQ(triggers_.dispatched.size(), 2U);
}

TEST_F(HttpTriggersTest, OverloadAndFilteredEvents) {
  add("t", R"({"path":"/t","auth":"none"})");
  triggers_.answer = fail("engine.overloaded", "too much", Retry::Safe);
  const auto overloaded = send("POST", "/t");
  EXPECT_EQ(overloaded.status, 429);
  EXPECT_TRUE(overloaded.headers.find("retry-after"));
  triggers_.answer = Accepted{.trigger = {}, .filtered = true, .run = {}, .message_id = {}};
  const auto filtered = send("POST", "/t");
  EXPECT_EQ(filtered.status, 202);
  EXPECT_EQ(filtered.body, R"({"filtered":true})");
}

TEST_F(HttpTriggersTest, WebhooksAreAcceptedOnceVerified) {
  add_webhook("hook", R"({"path":"/hooks/x","secret_env":["MISSING","SECRET"]})");
  const std::string body = R"({"type":"a.b",  "n":1})";
  const auto good = send("POST", "/hooks/x", body, signed_webhook("m1", body));
  EXPECT_EQ(good.status, 200);
  EXPECT_EQ(good.body, R"({"accepted":true})");
  const auto& got = triggers_.dispatched.back();
  EXPECT_EQ(got.event.id, "m1");
  EXPECT_EQ(got.event.type, "a.b");
  EXPECT_EQ(got.variables.at("raw"), Json(body));
  EXPECT_EQ(to_text(got.variables.at("headers")).find("signature"), std::string::npos);
  const auto unsigned_one = send("POST", "/hooks/x", body), forged = send("POST", "/hooks/x", body + " ", signed_webhook("m1", body));
  EXPECT_EQ(unsigned_one.status, 401);
  EXPECT_EQ(forged.status, 401);
  EXPECT_EQ(forged.body, unsigned_one.body);  // nothing tells which part was wrong
  EXPECT_EQ(triggers_.dispatched.size(), 1U);
  triggers_.answer = Accepted{.trigger = {}, .duplicate = true, .run = "run_1", .message_id = {}};
  EXPECT_EQ(send("POST", "/hooks/x", body, signed_webhook("m1", body)).status, 200);
  triggers_.answer = fail("store.io", "no", Retry::Safe);
  EXPECT_EQ(send("POST", "/hooks/x", body, signed_webhook("m1", body)).status, 503);  // so that the sender tries again
  EXPECT_EQ(send("GET", "/hooks/x").status, 405);
}

TEST_F(HttpTriggersTest, LinksExpireAndCannotBeChanged) {
  http_triggers::ResultLinks links, after_restart;
  const TimePoint now = clock_.now();
  const std::string token = *run(links.sign(&store_, "run_1", now + Millis{10'000}));
  EXPECT_EQ(*run(after_restart.verify(&store_, token, now)), "run_1");
  EXPECT_EQ(run(links.verify(&store_, token, now + Millis{11'000})).error().code, "result.expired");
  for (const std::string& bad : {std::string("run_2") + token.substr(5), token + "x", std::string("a.b"), std::string(".."), std::string("run_1.99999999999.")})
    EXPECT_EQ(run(links.verify(&store_, bad, now)).error().code, "result.not_found") << bad;
  EXPECT_EQ(send("GET", "/v1/results/nonsense").status, 404);
}

TEST_F(HttpTriggersTest, KeySetsAreFetchedSeldom) {
  using Want = http_triggers::JwksCache::Want;
  http_triggers::JwksCache cache(http_, clock_);
  EXPECT_EQ(run(cache.get("https://i/keys", false, Want::Cached)).error().code, "jwks.unavailable");
  EXPECT_EQ(run(cache.get("https://i/keys", false, Want::Newer)).error().code, "jwks.unavailable");
  EXPECT_EQ(http_.calls, 1);
  http_.body = R"({"keys":[]})";
  EXPECT_TRUE(run(cache.get("https://j/keys", false, Want::Cached)));
  for (int i = 0; i < 5; ++i) EXPECT_TRUE(run(cache.get("https://j/keys", false, Want::Newer)));
  EXPECT_EQ(http_.calls, 2);
  EXPECT_TRUE(run(cache.get("https://j/keys", true, Want::Cached)));
  EXPECT_EQ(http_.calls, 3);  // what may lead into the private network is another
  http_.body = "[]";
  EXPECT_EQ(run(cache.get("https://k/keys", false, Want::Cached)).error().code, "jwks.unavailable");
}

TEST(RateLimits, RefillAndStayBounded) {
  http_triggers::RateLimits limits(2);
  const trigger::RateLimit limit{.requests = 2, .per = Millis{10'000}};
  const auto at = [](int seconds) { return std::chrono::nanoseconds(std::chrono::seconds(seconds)); };
  EXPECT_TRUE(limits.take("a", limit, at(0)).allowed);
  EXPECT_TRUE(limits.take("a", limit, at(0)).allowed);
  EXPECT_EQ(limits.take("a", limit, at(0)).reset_seconds, 5);
  EXPECT_FALSE(limits.take("a", limit, at(4)).allowed);
  EXPECT_TRUE(limits.take("a", limit, at(5)).allowed);
  EXPECT_TRUE(limits.take("b", limit, at(5)).allowed);
  EXPECT_TRUE(limits.take("c", limit, at(5)).allowed);
  EXPECT_EQ(limits.size(), 2U);
}

}  // namespace
}  // namespace mayfly
