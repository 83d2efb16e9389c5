#include <charconv>

#include "function/function_types.h"
#include "server/api.h"
#include "server/problem.h"
#include "trigger/trigger_service.h"

namespace mayfly {
namespace {

constexpr std::string_view kOwnTypes = "dev.mayfly.";

using trigger::DeliveryRecord;

constexpr std::size_t kListDefault = 50, kListMax = 1'000;

std::unexpected<Error> invalid(std::string message) { return fail("request.invalid", std::move(message)); }

Result<void> is_there(const AppContext& app) {
  if (app.triggers) return {};
  return fail("trigger.starting", "triggers are not available yet; try again", Retry::Safe);
}

JsonObject trigger_view(const AppContext& app, const trigger::TriggerSpec& spec) {
  const auto c = app.triggers->counters(spec.name);
  return {{"name", spec.name},
          {"spec", trigger::to_json(spec)},
          {"counters", JsonObject{{"received", c.received}, {"filtered", c.filtered}, {"duplicates", c.duplicates}, {"accepted", c.accepted}, {"refused", c.refused}, {"delivered", c.delivered}, {"failed", c.failed}, {"dead", c.dead}}}};
}

JsonObject endpoint_view(const trigger::Endpoint& endpoint) {
  JsonObject out{{"name", endpoint.name}, {"enabled", endpoint.enabled}, {"spec", trigger::to_json(endpoint)}};
  if (!endpoint.disabled_reason.empty()) out["disabled_reason"] = endpoint.disabled_reason;
  return out;
}

JsonObject accepted_view(const trigger::Accepted& accepted) {
  JsonObject out{{"duplicate", accepted.duplicate}};
  if (!accepted.trigger.empty()) out["trigger"] = accepted.trigger;
  if (!accepted.run.empty()) out["run"] = accepted.run;
  if (accepted.delivery) out["delivery"] = true;
  if (!accepted.message_id.empty()) out["message_id"] = accepted.message_id;
  return out;
}

JsonObject delivery_view(const DeliveryRecord& record) {
  constexpr std::string_view kStates[] = {"pending", "delivered", "failed", "dead"};
  JsonArray attempts;
  for (const auto& attempt : record.attempts) {
    JsonObject line{{"number", attempt.number}, {"at", to_rfc3339(attempt.at)}, {"took_ms", attempt.took.count()}};
    if (attempt.status != 0) line["status"] = attempt.status;
    if (!attempt.error.empty()) line["error"] = attempt.error;
    attempts.push_back(std::move(line));
  }
  JsonObject out{{"id", record.id},
                 {"state", kStates[static_cast<std::size_t>(record.state)]},
                 {"target", trigger::to_json(record.target)},
                 {"event", trigger::to_json(record.event)},
                 {"created", to_rfc3339(record.created)},
                 {"attempts", std::move(attempts)}};
  if (!record.trigger.empty()) out["trigger"] = record.trigger;
  if (record.next) out["next"] = to_rfc3339(*record.next);
  return out;
}

template <class T>
net::Response listed(std::string_view name, const std::vector<T>& items, auto view) {
  JsonArray out;
  for (const T& item : items) out.push_back(view(item));
  return json_response(200, JsonObject{{name, std::move(out)}});
}

Task<Result<net::Response>> list_triggers(AppContext& app, Call&) {
  if (auto there = is_there(app); !there) co_return fail(there.error());
  co_return listed("triggers", app.triggers->list(), [&](const auto& spec) { return trigger_view(app, spec); });
}

Result<trigger::TriggerSpec> trigger_of(const AppContext& app, const std::string& name) {
  if (auto there = is_there(app); !there) return fail(there.error());
  if (auto spec = app.triggers->find(name)) return *std::move(spec);
  return fail("trigger.not_found", "there is no trigger '" + name + "'; list them with `mayfly triggers list`");
}

Task<Result<net::Response>> get_trigger(AppContext& app, Call& call) {
  auto spec = trigger_of(app, call.parameter("trigger"));
  if (!spec) co_return fail(spec.error());
  co_return json_response(200, trigger_view(app, *spec));
}

Task<Result<net::Response>> put_trigger(AppContext& app, Call& call) {
  if (auto there = is_there(app); !there) co_return fail(there.error());
  auto body = parse_json(call.request.body);
  if (!body) co_return fail(body.error());
  auto spec = trigger::trigger_spec_from_json(call.parameter("trigger"), *body);
  if (!spec) co_return fail(spec.error());
  const bool is_new = !app.triggers->find(spec->name);
  auto stored = co_await app.triggers->put(*std::move(spec));
  if (!stored) co_return fail(stored.error());
  co_return json_response(is_new ? 201 : 200, trigger_view(app, *stored));
}

Task<Result<net::Response>> remove_trigger(AppContext& app, Call& call) {
  if (auto there = is_there(app); !there) co_return fail(there.error());
  auto gone = co_await app.triggers->remove(call.parameter("trigger"));
  if (!gone) co_return fail(gone.error());
  co_return net::Response{204, {}, {}};
}

Task<Result<net::Response>> test_trigger(AppContext& app, Call& call) {
  auto spec = trigger_of(app, call.parameter("trigger"));
  if (!spec) co_return fail(spec.error());
  auto body = parse_json(call.request.body);
  if (!body) co_return fail(body.error());
  auto event = trigger::event_from_json(*body);
  if (!event) co_return fail(event.error());
  auto shown = app.triggers->dry_run(*spec, *event, {});
  if (!shown) co_return fail(shown.error());
  co_return json_response(200, *std::move(shown));
}

Task<Result<net::Response>> publish_events(AppContext& app, Call& call) {
  if (auto there = is_there(app); !there) co_return fail(there.error());
  auto events = trigger::events_from_http(call.request.headers, call.request.body);
  if (!events) co_return fail(events.error());
  for (const trigger::Event& event : *events)
    if (event.type.starts_with(kOwnTypes))
      co_return fail("event.invalid", "the types \"dev.mayfly.…\" are Mayfly's own: what they tell must have happened; choose another type");
  JsonArray out;
  for (trigger::Event& event : *events) {
    JsonObject line{{"id", event.id}, {"source", event.source}};
    auto accepted = co_await app.triggers->publish(std::move(event), call.traceparent);
    // Those before it are durable, and absorbed when the batch is sent again.
    if (!accepted) co_return fail(accepted.error());
    JsonArray by;
    for (const trigger::Accepted& one : *accepted) by.push_back(accepted_view(one));
    line["accepted"] = std::move(by);
    out.push_back(std::move(line));
  }
  co_return json_response(202, JsonObject{{"events", std::move(out)}});
}

Task<Result<net::Response>> add_event_wait(AppContext& app, Call& call) {
  if (auto there = is_there(app); !there) co_return fail(there.error());
  auto body = parse_json(call.request.body);
  if (!body) co_return fail(body.error());
  if (!body->is_object()) co_return invalid("the body must be an object: {run, operation, type, key, timeout}");
  const JsonObject& given = body->get_object();
  trigger::EventWait wait{get_string(given, "run"), get_int(given, "operation"), get_string(given, "type"), get_string(given, "key"), {}};
  if (wait.run.empty() || wait.operation <= 0 || wait.type.empty()) co_return invalid("`run`, `operation` and `type` say who waits for what");
  auto run = co_await app.engine->get(wait.run);
  if (!run) co_return fail(run.error());
  // An approval is a callback too: no event may stand in for a person.
  const engine::PendingOperation* operation = run->find_pending(wait.operation);
  const bool may_wait = operation && operation->type == engine::OperationType::Callback &&
                        (operation->kind == "event" || run->program.starts_with(function::kProgramPrefix));
  if (!may_wait) co_return invalid("operation " + std::to_string(wait.operation) + " of " + wait.run + " does not wait for an event");
  if (const std::string timeout = get_string(given, "timeout"); !timeout.empty()) {
    const auto duration = parse_duration(timeout);
    if (!duration) co_return fail(duration.error());
    wait.until = app.clock->now() + *duration;
  }
  auto added = co_await app.triggers->add_wait(std::move(wait));
  if (!added) co_return fail(added.error());
  co_return net::Response{204, {}, {}};
}

std::unexpected<Error> no_endpoint() { return fail("endpoint.not_found", "there is no such endpoint; list them with `mayfly endpoints list`"); }

Task<Result<net::Response>> list_endpoints(AppContext& app, Call&) {
  if (auto there = is_there(app); !there) co_return fail(there.error());
  co_return listed("endpoints", app.triggers->endpoints(), endpoint_view);
}

Task<Result<net::Response>> get_endpoint(AppContext& app, Call& call) {
  if (auto there = is_there(app); !there) co_return fail(there.error());
  for (const trigger::Endpoint& endpoint : app.triggers->endpoints())
    if (endpoint.name == call.parameter("endpoint")) co_return json_response(200, endpoint_view(endpoint));
  co_return no_endpoint();
}

Task<Result<net::Response>> put_endpoint(AppContext& app, Call& call) {
  if (auto there = is_there(app); !there) co_return fail(there.error());
  auto body = parse_json(call.request.body);
  if (!body) co_return fail(body.error());
  auto endpoint = trigger::endpoint_from_json(call.parameter("endpoint"), *body);
  if (!endpoint) co_return fail(endpoint.error());
  auto stored = co_await app.triggers->put_endpoint(*std::move(endpoint));
  if (!stored) co_return fail(stored.error());
  co_return json_response(200, endpoint_view(*stored));
}

Task<Result<net::Response>> remove_endpoint(AppContext& app, Call& call) {
  if (auto there = is_there(app); !there) co_return fail(there.error());
  if (trigger::is_internal_endpoint(call.parameter("endpoint"))) co_return no_endpoint();
  auto gone = co_await app.triggers->remove_endpoint(call.parameter("endpoint"));
  if (!gone) co_return fail(gone.error());
  co_return net::Response{204, {}, {}};
}

Task<Result<net::Response>> get_endpoint_secret(AppContext& app, Call& call) {
  if (auto there = is_there(app); !there) co_return fail(there.error());
  if (trigger::is_internal_endpoint(call.parameter("endpoint"))) co_return no_endpoint();
  auto secret = app.triggers->endpoint_secret(call.parameter("endpoint"));
  if (!secret) co_return fail(secret.error());
  co_return json_response(200, JsonObject{{"secret", *secret}});
}

Task<Result<net::Response>> list_deliveries(AppContext& app, Call& call) {
  if (auto there = is_there(app); !there) co_return fail(there.error());
  std::size_t limit = kListDefault;
  if (const auto text = call.request.query_parameter("limit")) {
    const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), limit);
    if (error != std::errc() || end != text->data() + text->size() || limit < 1 || limit > kListMax)
      co_return invalid("?limit= must be a whole number of 1 to 1000");
  }
  const auto of = call.request.query_parameter("target");
  auto found = co_await app.triggers->deliveries(of ? *of : call.request.query_parameter("trigger").value_or(""), limit);
  if (!found) co_return fail(found.error());
  co_return listed("deliveries", *found, delivery_view);
}

Task<Result<net::Response>> get_delivery(AppContext& app, Call& call) {
  if (auto there = is_there(app); !there) co_return fail(there.error());
  auto found = co_await app.triggers->delivery(call.parameter("delivery"));
  if (!found) co_return fail(found.error());
  co_return json_response(200, delivery_view(*found));
}

Task<Result<net::Response>> redeliver(AppContext& app, Call& call) {
  if (auto there = is_there(app); !there) co_return fail(there.error());
  auto again = co_await app.triggers->redeliver(call.parameter("delivery"));
  if (!again) co_return fail(again.error());
  co_return json_response(202, accepted_view(*again));
}

}  // namespace

void add_trigger_routes(Router& router) {
  router.add("GET", "/v1/triggers", {{Scope::Read}}, list_triggers);
  router.add("GET", "/v1/triggers/{trigger}", {{Scope::Read}}, get_trigger);
  router.add("PUT", "/v1/triggers/{trigger}", {{Scope::Deploy}}, put_trigger);
  router.add("DELETE", "/v1/triggers/{trigger}", {{Scope::Deploy}}, remove_trigger);
  router.add("POST", "/v1/triggers/{trigger}/test", {{Scope::Read}}, test_trigger);
  router.add("POST", "/v1/events", {{Scope::Invoke}}, publish_events);
  router.add("POST", "/v1/event-waits", {{Scope::Invoke}}, add_event_wait);
  router.add("GET", "/v1/endpoints", {{Scope::Read}}, list_endpoints);
  router.add("GET", "/v1/endpoints/{endpoint}", {{Scope::Read}}, get_endpoint);
  router.add("PUT", "/v1/endpoints/{endpoint}", {{Scope::Deploy}}, put_endpoint);
  router.add("DELETE", "/v1/endpoints/{endpoint}", {{Scope::Deploy}}, remove_endpoint);
  router.add("GET", "/v1/endpoints/{endpoint}/secret", {{Scope::Deploy}}, get_endpoint_secret);
  router.add("GET", "/v1/deliveries", {{Scope::Read}}, list_deliveries);
  router.add("GET", "/v1/deliveries/{delivery}", {{Scope::Read}}, get_delivery);
  router.add("POST", "/v1/deliveries/{delivery}/redeliver", {{Scope::Invoke}}, redeliver);
}

}  // namespace mayfly
