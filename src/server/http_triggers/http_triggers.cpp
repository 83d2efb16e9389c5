#include "server/http_triggers/http_triggers.h"

#include "base/log.h"
#include "server/api_events.h"
#include "server/http_triggers/answers.h"
#include "server/http_triggers/cors.h"
#include "server/http_triggers/http_event.h"
#include "server/http_triggers/rate_limits.h"
#include "server/problem.h"
#include "trigger/webhook.h"

namespace mayfly {
namespace {

using namespace http_triggers;  // NOLINT: this is its entry

/// Adds a route's own fields to whatever is answered.
class RouteAnswer final : public net::Responder {
 public:
  explicit RouteAnswer(net::Responder& inner) : inner_(inner) {}
  void add(const net::Headers& fields) {
    for (const auto& [name, value] : fields) fields_.add(name, value);
  }
  void add(std::string name, std::string value) { fields_.add(std::move(name), std::move(value)); }
  void use_no_body() { has_body_ = false; }

  Task<bool> send(net::Response response) override {
    add_to(response.headers);
    if (!has_body_) response.body.clear();
    return inner_.send(std::move(response));
  }
  Task<bool> start(int status, net::Headers headers) override {
    add_to(headers);
    return inner_.start(status, std::move(headers));
  }
  Task<bool> write(std::string bytes) override { return inner_.write(std::move(bytes)); }
  Task<bool> finish() override { return inner_.finish(); }
  bool started() const override { return inner_.started(); }

 private:
  void add_to(net::Headers& headers) const {
    for (const auto& [name, value] : fields_) headers.set(name, value);
  }
  net::Responder& inner_;
  net::Headers fields_;
  bool has_body_ = true;
};

/// All that outlives a request.
class HttpTriggers {
 public:
  explicit HttpTriggers(AppContext& app) : app_(app) {}

  Task<> handle(Call* call);
  Task<Result<net::Response>> result(Call* call) { return result_response(&app_, &links_, call); }

 private:
  const RouteTable& table();
  JwksCache& sets();
  Task<> handle_route(Call* call, RouteTable::Match match, RouteAnswer* answer);
  Task<> handle_webhook(Call* call, std::shared_ptr<const TriggerRoute> route, std::map<std::string, std::string> parameters);
  Task<Result<trigger::Accepted>> accept(Call* call, const TriggerRoute* route, const Caller* caller, std::map<std::string, std::string> parameters);
  Task<Result<net::Response>> waited(Call* call, const TriggerRoute* route, const Caller* caller, const trigger::Accepted* accepted);
  Result<void> check_rate(const TriggerRoute& route, const Caller& caller, const net::Request& request, RouteAnswer* answer);

  AppContext& app_;
  trigger::TriggerService* service_ = nullptr;  ///< whose changes are followed
  std::shared_ptr<bool> changed_ = std::make_shared<bool>(true);
  RouteTable table_;
  RateLimits limits_;
  ResultLinks links_;
  std::optional<JwksCache> sets_;
};

std::string list_of(const std::vector<std::string>& methods) {
  std::string out;
  for (const std::string& method : methods) {
    out += (out.empty() ? "" : ", ") + method;
    if (method == "GET") out += ", HEAD";
  }
  return out + ", OPTIONS";
}

const RouteTable& HttpTriggers::table() {
  if (service_ != app_.triggers) {
    service_ = app_.triggers;
    *changed_ = true;
    service_->on_change([changed = changed_] { *changed = true; });
  }
  if (std::exchange(*changed_, false)) table_ = RouteTable(service_->list());
  return table_;
}

JwksCache& HttpTriggers::sets() {
  if (!sets_) sets_.emplace(*app_.http, *app_.clock);
  return *sets_;
}

Task<> HttpTriggers::handle(Call* call) {
  const net::Request& request = call->request;
  RouteTable::Match match;
  if (app_.triggers) {
    const bool asks = is_preflight(request);
    match = table().find(asks ? request.headers.get("access-control-request-method") : request.method, request.path);
  }
  if (match.methods.empty()) {
    co_await call->responder.send(to_problem(
        {"route.not_found", "there is nothing at " + request.path.substr(0, 200) + "; see /openapi.json for what there is", Retry::Never}));
    co_return;
  }
  const std::string allow = list_of(match.methods);
  RouteAnswer answer(call->responder);
  if (match.route && match.route->http() && match.route->http()->cors) answer.add(cors_fields(*match.route->http()->cors, request));
  if (request.method == "OPTIONS") {
    net::Response out{204, {{"Allow", allow}}, {}};
    if (match.route && match.route->http() && match.route->http()->cors)
      answer.add(preflight_fields(*match.route->http()->cors, request, match.route->method()));
    co_await answer.send(std::move(out));
    co_return;
  }
  if (!match.route) {
    net::Response refused =
        to_problem({"route.method_not_allowed", request.method.substr(0, 20) + " is not possible here; use " + allow, Retry::Never});
    refused.headers.add("Allow", allow);
    co_await answer.send(std::move(refused));
    co_return;
  }
  if (!match.route->spec.enabled) {
    co_await answer.send(problem_of({"route.disabled", "this route is switched off at the moment; try again later", Retry::Safe}));
    co_return;
  }
  if (match.route->webhook()) co_await handle_webhook(call, match.route, std::move(match.parameters));
  else co_await handle_route(call, std::move(match), &answer);
}

Result<void> HttpTriggers::check_rate(const TriggerRoute& route, const Caller& caller, const net::Request& request, RouteAnswer* answer) {
  const trigger::RateLimit& limit = route.http()->rate_limit;
  if (limit.requests == 0) return {};
  std::string key = route.spec.name;
  if (limit.by == trigger::RateLimit::By::Caller)
    key += "\n" + (caller.id.empty() ? request.remote_address.substr(0, request.remote_address.rfind(':')) : caller.id);
  const auto verdict = limits_.take(key, limit, app_.clock->monotonic());
  const std::string reset = std::to_string(verdict.reset_seconds);
  answer->add("RateLimit-Policy", "\"route\";q=" + std::to_string(limit.requests) + ";w=" + std::to_string(limit.per.count() / 1000));
  answer->add("RateLimit", "\"route\";r=" + std::to_string(verdict.remaining) + ";t=" + reset);
  if (verdict.allowed) return {};
  answer->add("Retry-After", reset);
  return fail("route.rate_limited", "too many requests; try again in " + reset + " s", Retry::Safe);
}

Task<Result<trigger::Accepted>> HttpTriggers::accept(Call* call, const TriggerRoute* route, const Caller* caller,
                                                     std::map<std::string, std::string> parameters) {
  auto event = event_of(app_, call->request, *caller);
  if (!event) co_return fail(event.error());
  auto variables = variables_of(*route, call->request, parameters, caller->claims);
  if (!variables) co_return fail(variables.error());
  co_return co_await app_.triggers->dispatch(route->spec.name, std::move(*event), std::move(*variables), call->traceparent);
}

Task<Result<net::Response>> HttpTriggers::waited(Call* call, const TriggerRoute* route, const Caller* caller, const trigger::Accepted* accepted) {
  const trigger::HttpSource& source = *route->http();
  if (source.answer == trigger::HttpSource::Answer::Wait && !accepted->filtered && !accepted->run.empty()) {
    auto ended = co_await wait_for_end(app_, accepted->run, source.wait_max, call->request.disconnected);
    if (!ended) co_return fail(ended.error());
    if (*ended) co_return co_await ended_response(&app_, &route->spec.target, caller, std::move(**ended));
  }
  co_return co_await accepted_response(&app_, &links_, caller, accepted);
}

Task<> HttpTriggers::handle_route(Call* call, RouteTable::Match match, RouteAnswer* answer) {
  const TriggerRoute& route = *match.route;
  const trigger::HttpSource& source = *route.http();
  Result<net::Response> response = net::Response{};
  if (call->request.body.size() > source.body_bytes_max) {
    co_await answer->send(problem_of({"request.too_large", "the body has more than " + std::to_string(source.body_bytes_max) + " bytes", Retry::Never}));
    co_return;
  }
  const auto caller = co_await authenticate(&app_, &route, &call->request, &sets());
  if (!caller) {
    co_await answer->send(problem_of(caller.error()));
    co_return;
  }
  if (auto good = check_rate(route, *caller, call->request, answer); !good) {
    co_await answer->send(problem_of(good.error()));
    co_return;
  }
  if (call->request.method == "HEAD") {
    // Says that the route is there and lets this caller in; nothing is started by looking.
    answer->use_no_body();
    co_await answer->send({204, {}, {}});
    co_return;
  }
  const auto accepted = co_await accept(call, &route, &*caller, std::move(match.parameters));
  if (!accepted) {
    co_await answer->send(problem_of(accepted.error()));
    co_return;
  }
  if (source.answer == trigger::HttpSource::Answer::Stream && !accepted->filtered && !accepted->run.empty()) {
    Call streamed{call->request, *answer, call->parameters, caller->principal, call->traceparent};
    co_await stream_run(app_, streamed, accepted->run, call->request.headers.get("last-event-id"));
    co_return;
  }
  response = co_await waited(call, &route, &*caller, &*accepted);
  co_await answer->send(response ? std::move(*response) : problem_of(response.error()));
}

Task<> HttpTriggers::handle_webhook(Call* call, std::shared_ptr<const TriggerRoute> route, std::map<std::string, std::string> parameters) {
  const trigger::WebhookSource& source = *route->webhook();
  const net::Request& request = call->request;
  const auto secrets = read_secrets(app_, route->spec.name, source.secret_env);
  if (secrets.empty()) {
    co_await call->responder.send(problem_of({"route.misconfigured", "the webhook's secret is not set at the server", Retry::Safe}));
    co_return;
  }
  auto verified = trigger::verify_webhook(source, route->spec.name, secrets, request.headers, request.body, app_.clock->now());
  if (!verified) {
    const bool is_genuine = verified.error().code == "webhook.invalid_body";
    // Its owner reads in the log which part was wrong; the sender does not.
    log::info("a webhook was refused", {{"trigger", route->spec.name}, {"code", verified.error().code}});
    co_await call->responder.send(problem_of(
        is_genuine ? verified.error() : Error{"webhook.unauthorized", "the delivery's signature is missing, wrong or too old", Retry::Never}));
    co_return;
  }
  if (verified->challenge) {
    co_await call->responder.send({200, verified->challenge->headers, verified->challenge->body});
    co_return;
  }
  auto variables = variables_of(*route, request, parameters, {});
  if (!variables) {
    co_await call->responder.send(problem_of(variables.error()));
    co_return;
  }
  variables->emplace("raw", is_utf8(request.body) ? Json(std::string_view(request.body)) : Json(nullptr));
  const auto accepted =
      co_await app_.triggers->dispatch(route->spec.name, std::move(verified->event), std::move(*variables), call->traceparent);
  if (!accepted) {
    co_await call->responder.send(problem_of(accepted.error()));
    co_return;
  }
  const std::string_view state = accepted->filtered ? "filtered" : accepted->duplicate ? "duplicate" : "accepted";
  co_await call->responder.send(json_response(200, JsonObject{{state, true}}));
}

Task<> answer_request(std::shared_ptr<HttpTriggers> triggers, Call* call) { co_await triggers->handle(call); }
Task<Result<net::Response>> answer_result(std::shared_ptr<HttpTriggers> triggers, Call* call) { co_return co_await triggers->result(call); }

}  // namespace

void add_http_triggers(Router& router, AppContext& app) {
  const auto triggers = std::make_shared<HttpTriggers>(app);
  router.set_fallback([triggers](AppContext&, Call& call) { return answer_request(triggers, &call); });
  router.add("GET", "/v1/results/{result}", {}, [triggers](AppContext&, Call& call) { return answer_result(triggers, &call); });
}

}  // namespace mayfly
