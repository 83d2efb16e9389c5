#include <algorithm>

#include "base/log.h"
#include "trigger/http/attribute_rules.h"
#include "trigger/service.h"
#include "trigger/webhook.h"

namespace mayfly::trigger {
namespace {

constexpr std::size_t kAnswerBytesMax = 64 * 1024;
constexpr std::size_t kErrorBytesMax = 500;
constexpr Millis kPostTimeout{30'000};
constexpr Millis kRetryAfterMax{24LL * 3'600'000};

const JsonObject& object_of(const Json& value) {
  static const JsonObject kEmpty;
  return value.is_object() ? value.get_object() : kEmpty;
}

engine::StepOutcome failed(Error error, Json meta = nullptr) {
  engine::StepOutcome out;
  out.error = std::move(error);
  out.meta = std::move(meta);
  return out;
}

/// Seconds; a date is not worth a parser here: the policy's own delay stands then.
Millis retry_after_of(const net::ClientResponse& response) {
  if (response.status != 429 && response.status != 503) return Millis{0};
  const std::string text = response.headers.get("retry-after");
  if (text.empty() || text.size() > 6 || !std::ranges::all_of(text, [](char c) { return c >= '0' && c <= '9'; })) return Millis{0};
  return std::min(Millis{std::stoll(text) * 1'000}, kRetryAfterMax);
}

}  // namespace

Task<engine::StepOutcome> TriggerServiceImpl::execute(engine::StepCall call) {
  if (call.operation.kind == kPublishKind) co_return co_await fan_out(std::move(call));
  if (call.operation.kind == kDeadLetterKind) co_return co_await dead_letter(std::move(call));
  if (call.operation.kind == kAttemptKind) co_return co_await attempt(std::move(call));
  co_return failed({"delivery.invalid", "a delivery has no steps of the kind '" + call.operation.kind + "'", Retry::Never});
}

Task<engine::StepOutcome> TriggerServiceImpl::attempt(engine::StepCall call) {
  const JsonObject& input = object_of(call.operation.input);
  const Json* to = get(input, "target");
  auto target = target_from_json(to ? *to : Json(nullptr));
  if (!target) co_return failed(target.error());
  const Json* body = get(input, target->kind == Target::Kind::Queue ? "input" : "event");
  auto value = co_await engine_->unspill(body ? *body : Json(nullptr));
  if (!value) co_return failed(value.error());
  if (target->kind != Target::Kind::Queue) {
    auto event = event_from_json(*value);
    if (!event) co_return failed(event.error());
    co_return co_await post(std::move(call), *std::move(target), *std::move(event));
  }
  Routed routed;
  routed.target = *std::move(target);
  routed.input = *std::move(value);
  routed.session = get_string(input, "session");
  routed.key = scoped_key("delivery-run", call.run);
  auto sent = co_await send_to_queue(std::move(routed));
  if (!sent) co_return failed(sent.error());
  engine::StepOutcome out;
  out.result = JsonObject{{"message_id", sent->message_id}};
  co_return out;
}

Task<engine::StepOutcome> TriggerServiceImpl::post(engine::StepCall call, Target target, Event event) {
  net::ClientRequest request;
  request.method = "POST";
  request.total_timeout = kPostTimeout;
  request.body_bytes_max = kAnswerBytesMax;
  request.cancel = call.cancel;
  const std::string endpoint = target.kind == Target::Kind::Webhook ? target.name : std::string();
  if (!endpoint.empty()) {
    const auto found = endpoints_.find(endpoint);
    if (found == endpoints_.end()) co_return failed({"endpoint.not_found", "there is no endpoint '" + endpoint + "' any more", Retry::Safe});
    const EndpointEntry& entry = found->second;
    if (!entry.endpoint.enabled) {
      const std::string why = entry.endpoint.disabled_reason.empty() ? "by its owner" : entry.endpoint.disabled_reason;
      co_return failed({std::string(kEndpointGone), "the endpoint '" + endpoint + "' is disabled (" + why + ")", Retry::Never});
    }
    auto secrets = secrets_of(entry);
    if (!secrets) co_return failed(secrets.error());
    request.url = entry.endpoint.url;
    if (entry.endpoint.private_network) request.egress = net::EgressPolicy::trusted();
    request.body = to_text(to_json(event));
    request.headers = sign_webhook(call.run, deps_.clock->now(), request.body, *secrets);
    request.headers.set("content-type", "application/json");
  } else {
    HttpContent content = to_binary_http(event);
    request.url = target.name;
    request.headers = std::move(content.headers);
    request.body = std::move(content.body);
  }
  request.headers.set("idempotency-key", call.run);
  request.headers.set("user-agent", "mayfly");
  if (!call.traceparent.empty()) request.headers.set("traceparent", call.traceparent);
  const auto begun = deps_.clock->monotonic();
  auto answer = co_await deps_.http->send(std::move(request));
  const auto took = std::chrono::duration_cast<Millis>(deps_.clock->monotonic() - begun).count();
  if (!answer) co_return failed({answer.error().code, answer.error().message, Retry::Never}, JsonObject{{"took_ms", took}});
  JsonObject meta{{"status", answer->status}, {"took_ms", took}};
  if (answer->status >= 200 && answer->status < 300) {
    engine::StepOutcome out;
    out.result = JsonObject{{"status", answer->status}};
    out.meta = std::move(meta);
    co_return out;
  }
  if (const Millis wait = retry_after_of(*answer); wait.count() > 0) meta["retry_after_ms"] = wait.count();
  std::string text = "the other side answered " + std::to_string(answer->status);
  if (!answer->body.empty()) text += ": " + to_utf8_lossy(answer->body.substr(0, kErrorBytesMax));
  if (answer->status == 410 && !endpoint.empty()) {
    auto disabled = co_await disable_endpoint(endpoint, "410 Gone at " + to_rfc3339(deps_.clock->now()));
    if (disabled) co_return failed({std::string(kEndpointGone), text, Retry::Never}, std::move(meta));
  }
  co_return failed({"delivery.refused", text, Retry::Never}, std::move(meta));
}

Task<engine::StepOutcome> TriggerServiceImpl::dead_letter(engine::StepCall call) {
  const JsonObject& input = object_of(call.operation.input);
  const Json* given = get(input, "event");
  auto event = co_await engine_->unspill(given ? *given : Json(nullptr));
  if (!event) co_return failed(event.error());
  const std::string name = get_string(input, "queue");
  queue::SendRequest request;
  request.body = to_text(*event);
  request.idempotency_key = scoped_key("dead", call.run);
  const auto add = [&](std::string attribute, std::string type, std::string value) {
    if (!value.empty()) request.attributes[std::move(attribute)] = {std::move(type), std::move(value)};
  };
  const Json* target = get(input, "target");
  add("reason", "String", get_string(input, "reason"));
  add("attempts", "Number", std::to_string(get_int(input, "attempts")));
  add("target", "String", target ? to_text(*target) : std::string());
  add("trigger", "String", get_string(input, "trigger"));
  add("delivery", "String", get_string(input, "delivery"));
  const auto info = deps_.queues->info(name);
  if (info && info->spec.kind == queue::QueueKind::Fifo) {
    request.group = "dead";
    request.deduplication_id = request.idempotency_key;
  }
  std::vector<queue::SendRequest> requests;
  requests.push_back(std::move(request));
  auto sent = co_await deps_.queues->send(name, std::move(requests));
  if (sent.empty() || sent.front()) {
    engine::StepOutcome out;
    if (sent.empty()) co_return failed({"queue.stopping", "the queue gave no answer", Retry::Safe});
    out.result = JsonObject{{"queue", name}, {"message_id", sent.front()->id}};
    co_return out;
  }
  Error error = sent.front().error();
  log::warn("an event that failed is not in its dead-letter queue yet", {{"queue", name}, {"delivery", call.run}, {"error", error.message}});
  co_return failed(std::move(error));
}

}  // namespace mayfly::trigger
