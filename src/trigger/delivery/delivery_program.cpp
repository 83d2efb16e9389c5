#include "trigger/delivery/delivery_program.h"

#include <algorithm>

#include "base/hash.h"
#include "trigger/policy.h"

namespace mayfly::trigger {
namespace {

using engine::Completion;
using engine::Decision;
using engine::ExecutionStatus;
using engine::OperationRequest;
using engine::OperationStatus;
using engine::OperationType;
using engine::ProgramContext;

constexpr std::int64_t kUntilDone = 1'000'000'000;
constexpr std::size_t kReasonBytesMax = 1'000;

const JsonObject& object_of(const Json& value) {
  static const JsonObject kEmpty;
  return value.is_object() ? value.get_object() : kEmpty;
}
JsonObject child(const JsonObject& from, std::string_view key) {
  const JsonObject* found = get_object(from, key);
  return found ? *found : JsonObject();
}
Json value_of(const JsonObject& from, std::string_view key) {
  const Json* value = get(from, key);
  return value ? *value : Json(nullptr);
}

bool starts_runs(const JsonObject& target) {
  return target.contains("agent") || target.contains("function") || target.contains("workflow");
}

/// Doubles; the upper half is spread by the run's id, so that deliveries that failed together do not return together.
Millis delay_after(const DeliveryPolicy& policy, std::int64_t attempt, const std::string& run, Millis wished) {
  Millis delay = policy.delay_first;
  for (std::int64_t i = 1; i < attempt && delay < policy.delay_max; ++i) delay *= policy.delay_factor;
  delay = std::min(delay, policy.delay_max);
  const auto part = static_cast<std::int64_t>(stable_hash64(run + "/" + std::to_string(attempt)) % 1'000);
  return std::max(delay / 2 + delay / 2 * part / 1'000, wished);
}

void attempt(JsonObject& state, JsonObject& summary, Decision& decision) {
  const std::int64_t number = get_int(state, "attempts") + 1;
  state["attempts"] = number;
  summary["attempts"] = number;
  OperationRequest request;
  request.name = "attempt";
  request.kind = kAttemptKind;
  JsonObject input{{"target", value_of(state, "target")}, {"input", value_of(state, "input")}, {"session", get_string(state, "session")}};
  if (starts_runs(child(state, "target"))) {
    request.type = OperationType::ChainedInvoke;
  } else {
    input["event"] = value_of(state, "event");
    input["attempt"] = number;
  }
  request.input = std::move(input);
  decision.start.push_back(std::move(request));
}

Completion failed(const JsonObject& state, bool dead) {
  return {ExecutionStatus::Failed, JsonObject{{"attempts", get_int(state, "attempts")}, {"dead", dead}},
          Error{"delivery.failed", get_string(state, "reason"), Retry::Never}};
}

/// No further attempt: to the dead-letter queue, or the end.
void give_up(ProgramContext context, JsonObject& state, Decision& decision) {
  const JsonObject policy = child(state, "policy");
  const std::string queue = get_string(policy, "dlq");
  if (queue.empty()) {
    decision.complete = failed(state, false);
    return;
  }
  OperationRequest request;
  request.name = "dead letter";
  request.kind = kDeadLetterKind;
  request.retry = {.attempts_max = kUntilDone, .delay_first = Millis{1'000}, .delay_max = Millis{300'000}};
  request.input = JsonObject{{"queue", queue},
                             {"event", value_of(state, "event")},
                             {"target", value_of(state, "target")},
                             {"trigger", get_string(state, "trigger")},
                             {"attempts", get_int(state, "attempts")},
                             {"reason", get_string(state, "reason")},
                             {"delivery", context.run.id}};
  decision.start.push_back(std::move(request));
}

void attempt_failed(ProgramContext context, JsonObject& state, const engine::Operation& operation, Decision& decision) {
  const Error error = operation.error.value_or(Error{"delivery.failed", "the target did not succeed", Retry::Safe});
  std::string reason = error.code + ": " + error.message;
  if (reason.size() > kReasonBytesMax) reason = to_utf8_lossy(reason.substr(0, kReasonBytesMax));
  state["reason"] = reason;
  const DeliveryPolicy policy = policy_from_record(child(state, "policy"));
  const std::int64_t attempts = get_int(state, "attempts");
  const Millis wished{get_int(object_of(operation.meta), "retry_after_ms")};
  const TimePoint next = context.now + delay_after(policy, attempts, context.run.id, wished);
  const bool too_old = next > context.run.created + policy.age_max;
  if (error.code == kEndpointGone || attempts >= policy.attempts_max || too_old) {
    give_up(context, state, decision);
    return;
  }
  OperationRequest request;
  request.type = OperationType::Wait;
  request.name = "retry";
  request.kind = kRetryKind;
  request.due = next;
  decision.start.push_back(std::move(request));
}

}  // namespace

Json to_json(const DeliveryInput& input) {
  return JsonObject{{"kind", "deliver"},          {"event", input.event},
                    {"target", to_json(input.target)}, {"input", input.input},
                    {"session", input.session},   {"trigger", input.trigger},
                    {"policy", policy_to_record(input.policy)}};
}
Json publish_input(Json event) { return JsonObject{{"kind", "publish"}, {"event", std::move(event)}}; }

Decision DeliveryProgram::begin(ProgramContext context, const Json& input) const {
  Decision out;
  JsonObject state = object_of(input);
  const std::string kind = get_string(state, "kind");
  if (kind == "publish") {
    context.run.summary = JsonObject{{"kind", kind}};
    OperationRequest request;
    request.name = "publish";
    request.kind = kPublishKind;
    request.retry = {.attempts_max = kUntilDone, .delay_first = Millis{200}, .delay_max = Millis{60'000}};
    request.input = JsonObject{{"event", value_of(state, "event")}};
    out.start.push_back(std::move(request));
    return out;
  }
  if (kind != "deliver") {
    out.complete = Completion{ExecutionStatus::Failed, nullptr, Error{"delivery.invalid", "this is no delivery", Retry::Never}};
    return out;
  }
  JsonObject summary{{"kind", kind}, {"trigger", get_string(state, "trigger")}, {"target", value_of(state, "target")}};
  attempt(state, summary, out);
  context.run.state = std::move(state);
  context.run.summary = std::move(summary);
  return out;
}

Decision DeliveryProgram::ended(ProgramContext context, const engine::Operation& operation) const {
  Decision out;
  const bool ok = operation.status == OperationStatus::Succeeded;
  if (operation.kind == kPublishKind) {
    out.complete = ok ? Completion{ExecutionStatus::Succeeded, operation.result, {}} : Completion{ExecutionStatus::Failed, nullptr, operation.error};
    return out;
  }
  JsonObject state = object_of(context.run.state);
  JsonObject summary = object_of(context.run.summary);
  if (operation.kind == kDeadLetterKind) {
    summary["dead"] = ok;
    if (!ok && operation.error) state["reason"] = get_string(state, "reason") + "; not in the dead-letter queue: " + operation.error->message;
    out.complete = failed(state, ok);
  } else if (operation.kind == kRetryKind) {
    attempt(state, summary, out);
  } else if (ok) {
    JsonObject result{{"attempts", get_int(state, "attempts")}};
    if (const std::string run = get_string(object_of(operation.meta), "run"); !run.empty()) result["run"] = run;
    out.complete = Completion{ExecutionStatus::Succeeded, std::move(result), {}};
  } else {
    attempt_failed(context, state, operation, out);
  }
  context.run.state = std::move(state);
  context.run.summary = std::move(summary);
  return out;
}

Decision DeliveryProgram::message(ProgramContext, const engine::Operation&) const { return {}; }

bool DeliveryProgram::may_repeat(ProgramContext, const engine::PendingOperation& operation, const Error& error) const {
  return operation.kind != kAttemptKind || error.code == "operation.interrupted";
}

engine::OnUnknownOutcome DeliveryProgram::on_unknown(ProgramContext, const engine::PendingOperation&) const {
  return engine::OnUnknownOutcome::Retry;
}

void DeliveryProgram::completing(ProgramContext context, const Completion& completion) const {
  const JsonObject& summary = object_of(context.run.summary);
  if (!observer_ || get_string(summary, "kind") != "deliver") return;
  observer_(get_string(summary, "trigger"), completion.status == ExecutionStatus::Succeeded, get_bool(summary, "dead"));
}

}  // namespace mayfly::trigger
