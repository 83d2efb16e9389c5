#include <algorithm>

#include "base/hash.h"
#include "base/log.h"
#include "trigger/policy.h"
#include "trigger/service.h"

namespace mayfly::trigger {
namespace {

constexpr Millis kDeduplication{24LL * 3'600'000};
constexpr Millis kConsumedKeyKept{30LL * 24 * 3'600'000};  // a consumer holds its message as long as the run lasts
constexpr Millis kPublishAgeMax{20LL * 3'600'000};          // while those who took the event already still absorb a repeat
constexpr std::size_t kRetriedInputBytesMax = 256 * 1024;

const JsonObject& object_of(const Json& value) {
  static const JsonObject kEmpty;
  return value.is_object() ? value.get_object() : kEmpty;
}

Json data_of(const Json& event) {
  const Json* data = get(object_of(event), "data");
  return data && !data->is_null() ? *data : event;
}

bool starts_runs(const Target& target) {
  return target.kind == Target::Kind::Agent || target.kind == Target::Kind::Function || target.kind == Target::Kind::Workflow;
}

bool wants(const std::vector<std::string>& types, const std::string& type) {
  return types.empty() || std::ranges::any_of(types, [&](const std::string& pattern) {
           return pattern == type || (pattern.ends_with(".*") && type.starts_with(std::string_view(pattern).substr(0, pattern.size() - 1)));
         });
}

bool wants(const EventSource& source, const Event& event) {
  return wants(source.types, event.type) && (source.sources.empty() || std::ranges::find(source.sources, event.source) != source.sources.end());
}

/// Triggers of published events: of all kinds, or of files.
bool wants(const Source& source, const Event& event) {
  if (const auto* events = std::get_if<EventSource>(&source)) return wants(*events, event);
  const auto* files = std::get_if<FileSource>(&source);
  return files && wants(*files, event);
}

bool is_published(const Source& source) { return std::holds_alternative<EventSource>(source) || std::holds_alternative<FileSource>(source); }

bool is_direct(const DeliveryPolicy& policy) { return policy.attempts_max <= 1 && policy.dead_letter_queue.empty(); }

}  // namespace

Result<std::optional<std::string>> TriggerServiceImpl::text_of(std::string_view field, const std::string& text, const Json& whole,
                                                               const Variables& variables, const EvaluationContext& context) {
  auto value = deps_.expressions->evaluate(text, whole, variables, context);
  if (!value) return fail(value.error().code, "/" + std::string(field) + ": " + value.error().message, value.error().retry);
  if (!*value || (*value)->is_null()) return std::optional<std::string>();
  if ((*value)->is_string()) return std::optional(std::string((*value)->get_string()));
  if ((*value)->is_int64() || (*value)->is_uint64() || (*value)->is_bool()) return std::optional(to_text(**value));
  return fail("expression.failed", "/" + std::string(field) + ": the expression must give a text");
}

Result<Mapped> TriggerServiceImpl::map(const TriggerSpec& spec, const Event& event, const Json& whole, const Variables& variables) {
  const EvaluationContext context{deps_.clock->now(), stable_hash64(event.source + '\0' + event.id)};
  Mapped out;
  if (!spec.filter.empty()) {
    auto verdict = deps_.expressions->evaluate(spec.filter, whole, variables, context);
    if (!verdict) return fail(verdict.error().code, "/filter: " + verdict.error().message, verdict.error().retry);
    if (!is_truthy(*verdict)) {
      out.filtered = true;
      return out;
    }
  }
  std::string key = event.source + '\0' + event.id;
  out.correlation = event.subject;
  const std::tuple<std::string_view, const std::string*, std::string*> texts[] = {{"session", &spec.session, &out.session},
                                                                                  {"idempotency_key", &spec.idempotency_key, &key},
                                                                                  {"correlation", &spec.correlation, &out.correlation},
                                                                                  {"target/group", &spec.target.group, &out.group}};
  for (const auto& [field, expression, to] : texts) {
    if (expression->empty()) continue;
    auto text = text_of(field, *expression, whole, variables, context);
    if (!text) return std::unexpected(text.error());
    if (*text) *to = **text;
  }
  out.key = scoped_key("trigger/" + spec.name, key);
  if (!spec.input.empty()) {
    auto input = deps_.expressions->evaluate(spec.input, whole, variables, context);
    if (!input) return fail(input.error().code, "/input: " + input.error().message, input.error().retry);
    out.input = *input ? **input : Json(nullptr);
  } else if (starts_runs(spec.target) || spec.target.kind == Target::Kind::Queue) {
    out.input = data_of(whole);
  }
  return out;
}

Result<JsonObject> TriggerServiceImpl::dry_run(const TriggerSpec& spec, const Event& event, const Variables& variables) {
  auto mapped = map(spec, event, to_json(event), variables);
  if (!mapped) return std::unexpected(mapped.error());
  JsonObject out{{"filtered", mapped->filtered}};
  if (mapped->filtered) return out;
  out["session"] = mapped->session;
  out["input"] = mapped->input;
  out["idempotency_key"] = mapped->key;
  out["correlation"] = mapped->correlation;
  out["target"] = to_json(spec.target);
  return out;
}

Task<Result<Accepted>> TriggerServiceImpl::dispatch(std::string trigger, Event event, Variables variables, std::string traceparent) {
  return dispatch_as(std::move(trigger), std::move(event), std::move(variables), std::move(traceparent), TargetHost::Ask::Event, {});
}

Task<Result<Accepted>> TriggerServiceImpl::dispatch_as(std::string trigger, Event event, Variables variables, std::string traceparent,
                                                       TargetHost::Ask ask, std::string key) {
  const auto found = triggers_.find(trigger);
  if (found == triggers_.end()) co_return fail("trigger.not_found", "there is no trigger '" + trigger + "'; list them with `mayfly triggers list`");
  const TriggerSpec spec = found->second.spec;
  if (!spec.enabled) co_return fail("trigger.disabled", "the trigger '" + trigger + "' is disabled; enable it with `enabled: true`");
  ++found->second.counters.received;
  const Json whole = to_json(event);
  auto mapped = map(spec, event, whole, variables);
  if (mapped && mapped->filtered) {
    ++found->second.counters.filtered;
    Accepted out;
    out.trigger = trigger;
    out.filtered = true;
    co_return out;
  }
  auto out = Result<Accepted>(std::unexpected(mapped ? Error{} : mapped.error()));
  if (mapped) {
    // A published event's subject has been told already.
    const bool told = is_published(spec.source) && mapped->correlation == event.subject;
    // On a route the caller chooses the subject: runs are woken only where the trigger says by what.
    const bool chosen_by_caller = std::holds_alternative<HttpSource>(spec.source) && spec.correlation.empty();
    auto signalled = Result<void>{};
    if (!mapped->correlation.empty() && !told && !chosen_by_caller)
      signalled = co_await waits_->signal(event.source + '\0' + event.id, event.type, mapped->correlation, whole);
    if (signalled) {
      Routed routed;
      routed.trigger = trigger;
      routed.event = whole;
      routed.target = spec.target;
      routed.input = std::move(mapped->input);
      routed.session = std::move(mapped->session);
      routed.group = std::move(mapped->group);
      routed.key = key.empty() ? mapped->key : scoped_key("trigger/" + trigger, key);
      routed.policy = spec.delivery;
      routed.traceparent = std::move(traceparent);
      routed.ask = ask;
      if (!key.empty()) routed.key_kept = kConsumedKeyKept;
      out = co_await route(std::move(routed));
    } else {
      out = std::unexpected(signalled.error());
    }
  }
  // The trigger may be gone by now.
  if (const auto again = triggers_.find(trigger); again != triggers_.end()) {
    TriggerCounters& counters = again->second.counters;
    ++(!out ? counters.refused : out->duplicate ? counters.duplicates : counters.accepted);
  }
  co_return out;
}

Task<Result<Accepted>> TriggerServiceImpl::route(Routed routed) {
  // Who says nothing else sends to an endpoint as hard as the endpoint says.
  if (routed.target.kind == Target::Kind::Webhook && is_direct(routed.policy))
    if (const auto found = endpoints_.find(routed.target.name); found != endpoints_.end()) routed.policy = found->second.endpoint.policy;
  if (!is_direct(routed.policy) || (!starts_runs(routed.target) && routed.target.kind != Target::Kind::Queue))
    co_return co_await start_delivery(std::move(routed));
  if (routed.target.kind == Target::Kind::Queue) co_return co_await send_to_queue(std::move(routed));
  auto request = deps_.targets->start(routed.target, routed.input, routed.session, routed.ask);
  if (!request) co_return std::unexpected(request.error());
  request->idempotency_key = routed.key;
  request->idempotency_ttl = routed.key_kept.value_or(kDeduplication);
  request->input_identity = "event";  // the key alone decides: an event that is sent again is the same event
  request->traceparent = routed.traceparent;
  auto started = co_await engine_->start(*std::move(request));
  if (!started) co_return std::unexpected(started.error());
  Accepted out;
  out.trigger = routed.trigger;
  out.run = started->run;
  out.duplicate = started->as == engine::StartedAs::Duplicate;
  co_return out;
}

Task<Result<Accepted>> TriggerServiceImpl::send_to_queue(Routed routed) {
  queue::SendRequest request;
  request.body = routed.input.is_string() ? std::string(routed.input.get_string()) : to_text(routed.input);
  request.idempotency_key = routed.key;
  const auto info = deps_.queues->info(routed.target.name);
  if (!info) co_return std::unexpected(info.error());
  const bool fifo = info->spec.kind == queue::QueueKind::Fifo;
  request.group = routed.group;
  if (request.group.empty()) {
    // A session may be any text, a group may not.
    const bool fits = routed.session.size() <= 128 && std::ranges::all_of(routed.session, [](char c) { return c > ' ' && c < 0x7f; });
    request.group = fits ? routed.session : fifo ? sha256_hex(routed.session) : std::string();
  }
  if (fifo) {
    if (request.group.empty()) request.group = routed.trigger.empty() ? "default" : routed.trigger;
    request.deduplication_id = routed.key;
  }
  // No braces around one request: it would be ambiguous with a count.
  std::vector<queue::SendRequest> requests;
  requests.push_back(std::move(request));
  auto sent = co_await deps_.queues->send(routed.target.name, std::move(requests));
  if (sent.empty()) co_return fail("queue.stopping", "the queue gave no answer; try again", Retry::Safe);
  if (!sent.front()) co_return std::unexpected(sent.front().error());
  Accepted out;
  out.trigger = routed.trigger;
  out.message_id = sent.front()->id;
  out.duplicate = sent.front()->duplicate;
  co_return out;
}

Task<Result<Accepted>> TriggerServiceImpl::start_delivery(Routed routed) {
  auto event = co_await engine_->spill(std::move(routed.event));
  if (!event) co_return std::unexpected(event.error());
  auto input = Result<Json>(std::move(routed.input));
  if (!starts_runs(routed.target)) {
    input = co_await engine_->spill(*std::move(input));
    if (!input) co_return std::unexpected(input.error());
  } else if (to_text(*input).size() > kRetriedInputBytesMax) {
    // An invoke's input is part of the run's record.
    co_return fail("input.too_large", "what a run is given with retries or a dead-letter queue has at most 256 KiB; map a smaller `input`, or leave them out");
  }
  if (!routed.group.empty()) routed.session = routed.group;
  routed.target.group.clear();
  engine::StartRequest request;
  request.program = delivery_program(routed.target);
  request.version = 1;
  request.input = to_json(DeliveryInput{*std::move(event), routed.target, *std::move(input), routed.session, routed.trigger, routed.policy});
  request.idempotency_key = routed.key;
  request.idempotency_ttl = routed.key_kept.value_or(kDeduplication);
  request.input_identity = "event";
  request.traceparent = routed.traceparent;
  auto started = co_await engine_->start(std::move(request));
  if (!started) co_return std::unexpected(started.error());
  Accepted out;
  out.trigger = routed.trigger;
  out.run = started->run;
  out.delivery = true;
  out.duplicate = started->as == engine::StartedAs::Duplicate;
  co_return out;
}

Task<Result<Accepted>> TriggerServiceImpl::deliver(Delivery delivery) {
  if (delivery.idempotency_key.empty()) co_return fail("request.invalid", "a delivery needs an idempotency key");
  Routed routed;
  routed.event = to_json(delivery.event);
  routed.target = delivery.target;
  const bool wants_data = delivery.target.kind == Target::Kind::Agent || delivery.target.kind == Target::Kind::Workflow;
  routed.input = !delivery.input.is_null() ? std::move(delivery.input) : wants_data ? data_of(routed.event) : routed.event;
  routed.session = std::move(delivery.session);
  if (!delivery.target.group.empty()) {
    const EvaluationContext context{deps_.clock->now(), stable_hash64(delivery.event.id)};
    auto group = text_of("target/group", delivery.target.group, routed.event, {}, context);
    if (!group) co_return std::unexpected(group.error());
    routed.group = group->value_or("");
  }
  routed.key = scoped_key("delivery/" + target_text(delivery.target), delivery.idempotency_key);
  routed.policy = delivery.policy;
  routed.traceparent = std::move(delivery.traceparent);
  co_return co_await route(std::move(routed));
}

Task<Result<std::vector<Accepted>>> TriggerServiceImpl::publish(Event event, std::string traceparent) {
  auto whole = co_await engine_->spill(to_json(event));
  if (!whole) co_return std::unexpected(whole.error());
  engine::StartRequest request;
  request.program = std::string(kDeliveryPrefix) + "publish";
  request.version = 1;
  request.input = publish_input(*std::move(whole));
  request.idempotency_key = scoped_key("publish", event.source + '\0' + event.id);
  request.idempotency_ttl = kDeduplication;
  request.input_identity = "event";
  request.traceparent = std::move(traceparent);
  auto started = co_await engine_->start(std::move(request));
  if (!started) co_return std::unexpected(started.error());
  Accepted accepted;
  accepted.run = started->run;
  accepted.delivery = true;
  accepted.duplicate = started->as == engine::StartedAs::Duplicate;
  co_return std::vector<Accepted>{std::move(accepted)};
}

Task<engine::StepOutcome> TriggerServiceImpl::fan_out(engine::StepCall call) {
  engine::StepOutcome out;
  auto whole = co_await engine_->unspill(object_of(call.operation.input).at("event"));
  auto event = whole ? event_from_json(*whole) : Result<Event>(std::unexpected(whole.error()));
  if (!event) {
    out.error = event.error();
    co_return out;
  }
  JsonArray accepted;
  std::optional<Error> again;  // something that takes it later; the others absorb the repeat
  if (!event->subject.empty())
    if (auto told = co_await waits_->signal(event->source + '\0' + event->id, event->type, event->subject, *whole); !told) again = told.error();
  std::vector<std::string> triggers, endpoints;
  for (const auto& [name, entry] : triggers_)
    if (entry.spec.enabled && wants(entry.spec.source, *event)) triggers.push_back(name);
  for (const auto& [name, entry] : endpoints_)
    if (entry.endpoint.enabled && !entry.endpoint.types.empty() && wants(entry.endpoint.types, event->type)) endpoints.push_back(name);
  for (const std::string& name : triggers) {
    auto taken = co_await dispatch_as(name, *event, {}, call.traceparent, TargetHost::Ask::Event, {});
    if (!taken && taken.error().retry != Retry::Never) again = taken.error();
    JsonObject line{{"trigger", name}};
    if (!taken)
      line["error"] = taken.error().code + ": " + taken.error().message;
    else if (taken->filtered)
      line["filtered"] = true;
    else
      line[taken->message_id.empty() ? "run" : "message"] = taken->message_id.empty() ? taken->run : taken->message_id;
    accepted.push_back(std::move(line));
  }
  for (const std::string& name : endpoints) {
    Delivery delivery;
    delivery.event = *event;
    delivery.target = {Target::Kind::Webhook, name, {}};
    delivery.idempotency_key = event->source + '\0' + event->id;
    delivery.traceparent = call.traceparent;
    auto taken = co_await deliver(std::move(delivery));
    if (!taken && taken.error().retry != Retry::Never) again = taken.error();
    accepted.push_back(taken ? JsonObject{{"endpoint", name}, {"run", taken->run}} : JsonObject{{"endpoint", name}, {"error", taken.error().message}});
  }
  if (again && deps_.clock->now() > call.operation.started + kPublishAgeMax) {
    log::error("a published event did not reach everybody", {{"run", call.run}, {"code", again->code}, {"error", again->message}});
    again->retry = Retry::Never;
    out.error = again;
    co_return out;
  }
  out.error = again;
  out.result = JsonObject{{"accepted", std::move(accepted)}};
  co_return out;
}

Task<Result<void>> TriggerServiceImpl::fire(schedule::Firing firing) {
  Event event;
  event.id = firing.id;
  event.source = "schedule/" + firing.spec.group + "/" + firing.spec.name;
  event.type = "mayfly.schedule";
  event.time = firing.due;
  event.data_content_type = "application/json";
  event.data = JsonObject{{"schedule", firing.spec.name}, {"group", firing.spec.group}, {"due", to_rfc3339(firing.due)}, {"missed", firing.missed}};
  if (firing.spec.group == "triggers") {
    auto taken = co_await dispatch(firing.spec.name, std::move(event), {}, {});
    if (!taken) co_return std::unexpected(taken.error());
    co_return Result<void>{};
  }
  auto target = target_from_json(firing.spec.target);
  if (!target) co_return std::unexpected(target.error());
  Delivery delivery;
  delivery.event = std::move(event);
  delivery.target = *std::move(target);
  delivery.input = firing.spec.input;
  delivery.idempotency_key = firing.id;
  delivery.policy.attempts_max = firing.spec.retry_attempts_max + 1;
  delivery.policy.age_max = firing.spec.retry_age_max;
  delivery.policy.dead_letter_queue = firing.spec.dead_letter_queue;
  auto taken = co_await deliver(std::move(delivery));
  if (!taken) co_return std::unexpected(taken.error());
  co_return Result<void>{};
}

Task<Result<void>> TriggerServiceImpl::add_wait(EventWait wait) { return waits_->add(std::move(wait)); }

Task<Result<void>> TriggerServiceImpl::message(std::string id, Json message) {
  const JsonObject& body = object_of(message);
  const std::string kind = get_string(body, "kind");
  if (kind == "wait") {
    EventWait wait{get_string(body, "run"), get_int(body, "operation"), get_string(body, "type"), get_string(body, "key"), {}};
    if (const std::int64_t until = get_int(body, "until"); until > 0) wait.until = from_unix_ms(until);
    co_return co_await add_wait(std::move(wait));
  }
  const Json* given = get(body, "event");
  if (kind != "publish" && kind != "deliver") co_return fail("event.invalid", "a message of the kind '" + kind + "' is not known");
  auto event = event_from_json(given ? *given : Json(nullptr));
  if (!event) co_return std::unexpected(event.error());
  if (kind == "publish") {
    auto taken = co_await publish(*std::move(event), {});
    if (!taken) co_return std::unexpected(taken.error());
    co_return Result<void>{};
  }
  const Json* to = get(body, "target");
  auto target = target_from_json(to ? *to : Json(nullptr));
  if (!target) co_return std::unexpected(target.error());
  Delivery delivery;
  delivery.event = *std::move(event);
  delivery.target = *std::move(target);
  if (const Json* input = get(body, "input")) delivery.input = *input;
  delivery.session = get_string(body, "session");
  delivery.idempotency_key = std::move(id);
  if (const JsonObject* policy = get_object(body, "policy")) delivery.policy = policy_from_record(*policy);
  auto taken = co_await deliver(std::move(delivery));
  if (!taken) co_return std::unexpected(taken.error());
  co_return Result<void>{};
}

}  // namespace mayfly::trigger
