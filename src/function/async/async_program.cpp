#include "function/async/async_program.h"

#include <algorithm>

#include "function/durable/updates.h"

namespace mayfly::function {
namespace {

using engine::Completion;
using engine::Decision;
using engine::ExecutionStatus;
using engine::OperationType;
using engine::ProgramContext;

constexpr std::int64_t kAttemptsMax = 1'000'000'000;  // throttled ones: bounded by their age
constexpr std::int64_t kDestinationAttempts = 20;

const JsonObject& object_of(const Json& value) {
  static const JsonObject kEmpty;
  return value.is_object() ? value.get_object() : kEmpty;
}
Json value_of(const JsonObject& from, std::string_view key) {
  const Json* value = get(from, key);
  return value ? *value : Json(nullptr);
}

bool is_async(const JsonObject& state) { return get_string(state, "kind") == "async"; }

/// A minute before the first retry, two before the second.
Millis retry_delay(std::int64_t failed_attempts) { return Millis{failed_attempts * 60'000}; }

void invoke(JsonObject& state, Decision& decision) {
  state["attempts"] = get_int(state, "attempts") + 1;
  engine::OperationRequest request;
  request.name = "invocation";
  request.kind = kFunctionKind;
  request.retry = {.attempts_max = kAttemptsMax, .delay_first = Millis{1'000}, .delay_max = Millis{300'000}};
  decision.start.push_back(std::move(request));
}

Completion success(Json payload) { return {ExecutionStatus::Succeeded, JsonObject{{"Result", std::move(payload)}}, {}}; }
Completion failure(Json error) {
  Error described{"function.failed", describe_error_object(error), Retry::Never};
  return {ExecutionStatus::Failed, JsonObject{{"Error", std::move(error)}}, std::move(described)};
}

/// Completes now, or first tells the destinations.
void finish(JsonObject& state, Completion completion, std::string_view condition, std::int64_t operation, Decision& decision) {
  const bool ok = completion.status == ExecutionStatus::Succeeded;
  std::vector<std::pair<std::string, bool>> targets;  // and whether it gets the bare event
  if (is_async(state)) {
    if (std::string arn = get_string(state, ok ? "on_success" : "on_failure"); !arn.empty()) targets.emplace_back(std::move(arn), false);
    if (std::string arn = ok ? "" : get_string(state, "dead_letter"); !arn.empty()) targets.emplace_back(std::move(arn), true);
  }
  if (targets.empty()) {
    decision.complete = std::move(completion);
    return;
  }
  for (auto& [arn, bare] : targets) {
    engine::OperationRequest request;
    request.name = arn;
    request.kind = kDestinationKind;
    request.retry = {.attempts_max = kDestinationAttempts, .delay_first = Millis{1'000}, .delay_max = Millis{300'000}};
    request.input = JsonObject{
        {"arn", arn}, {"bare", bare}, {"condition", condition}, {"operation", operation}, {"attempts", get_int(state, "attempts")}};
    decision.start.push_back(std::move(request));
  }
  state["undelivered"] = targets.size();
  state["ok"] = ok;
  state["result"] = std::move(completion.result);
}

/// What the invocation came to: the answer, or an ErrorObject.
struct Outcome {
  Json payload;
  Json error;
  std::int64_t bytes = 0;
};

Outcome outcome_of(const engine::Operation& operation) {
  if (operation.error) {
    const bool missing = operation.error->code == "function.not_found";
    return {nullptr, make_error_object(missing ? "ResourceNotFoundException" : operation.error->code, operation.error->message), 0};
  }
  const JsonObject& result = object_of(operation.result);
  return {value_of(result, "Payload"), value_of(result, "Error"), get_int(result, "bytes")};
}

void after_call(const Outcome& outcome, Decision& decision) {
  if (!outcome.error.is_null())
    decision.complete = failure(outcome.error);
  else if (outcome.bytes > static_cast<std::int64_t>(kChainedPayloadBytesMax))
    decision.complete = failure(make_error_object(
        "", "CHAINED_INVOKE output payload size must be less than or equal to " + std::to_string(kChainedPayloadBytesMax) + " bytes."));
  else
    decision.complete = success(outcome.payload);
}

void after_event(ProgramContext context, JsonObject& state, const engine::Operation& operation, Decision& decision) {
  const Outcome outcome = outcome_of(operation);
  if (outcome.error.is_null()) return finish(state, success(outcome.payload), "Success", operation.id, decision);
  const std::int64_t attempts = get_int(state, "attempts");
  const Millis age_max{get_int(state, "age_max") * 1000};
  const bool never_ran = operation.error.has_value();
  if (!never_ran && attempts > get_int(state, "retries_max"))
    return finish(state, failure(outcome.error), "RetriesExhausted", operation.id, decision);
  const TimePoint next = context.now + retry_delay(attempts);
  const bool hopeless = never_ran && operation.error->retry == Retry::Never;
  if (never_ran || next - context.run.created > age_max)
    return finish(state, failure(outcome.error), hopeless ? "RetriesExhausted" : "EventAgeExceeded", operation.id, decision);
  engine::OperationRequest pause;
  pause.type = OperationType::Wait;
  pause.name = "retry";
  pause.kind = kRetryKind;
  pause.due = next;
  decision.start.push_back(std::move(pause));
}

void after_delivery(JsonObject& state, Decision& decision) {
  const std::int64_t left = get_int(state, "undelivered") - 1;
  state["undelivered"] = left;
  if (left > 0) return;
  const JsonObject result = object_of(value_of(state, "result"));
  decision.complete = get_bool(state, "ok") ? success(value_of(result, "Result")) : failure(value_of(result, "Error"));
  state.erase("result");
}

}  // namespace

Decision AsyncProgram::begin(ProgramContext context, const Json& input) const {
  const JsonObject& from = object_of(input);
  JsonObject state;
  for (const std::string_view key : {"kind", "version", "retries_max", "age_max", "on_success", "on_failure", "dead_letter"})
    if (const Json* value = get(from, key)) state[key] = *value;
  context.run.summary = JsonObject{{"kind", get_string(from, "kind")}, {"version", get_string(from, "version")}};
  Decision out;
  invoke(state, out);
  context.run.state = std::move(state);
  return out;
}

Decision AsyncProgram::ended(ProgramContext context, const engine::Operation& operation) const {
  JsonObject state = object_of(context.run.state);
  Decision out;
  if (operation.kind == kFunctionKind && is_async(state))
    after_event(context, state, operation, out);
  else if (operation.kind == kFunctionKind)
    after_call(outcome_of(operation), out);
  else if (operation.kind == kDestinationKind)
    after_delivery(state, out);
  else
    invoke(state, out);
  context.run.state = std::move(state);
  return out;
}

Decision AsyncProgram::message(ProgramContext, const engine::Operation&) const { return {}; }

bool AsyncProgram::may_repeat(ProgramContext context, const engine::PendingOperation& operation, const Error&) const {
  const JsonObject& state = object_of(context.run.state);
  if (operation.kind != kFunctionKind || !is_async(state)) return true;
  return context.now - context.run.created < Millis{get_int(state, "age_max") * 1000};
}

engine::OnUnknownOutcome AsyncProgram::on_unknown(ProgramContext, const engine::PendingOperation&) const {
  return engine::OnUnknownOutcome::Retry;
}

}  // namespace mayfly::function
