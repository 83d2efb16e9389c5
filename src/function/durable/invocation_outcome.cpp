#include "function/durable/invocation_outcome.h"

#include <algorithm>

#include "function/durable/checkpoint.h"
#include "function/durable/tokens.h"
#include "function/durable/updates.h"

namespace mayfly::function {
namespace {

using engine::Completion;
using engine::Decision;
using engine::ExecutionStatus;
using engine::OperationType;
using engine::ProgramContext;

constexpr std::int64_t kThrottledAttemptsMax = 1'000'000'000;

bool something_is_pending(const engine::Execution& run) {
  return std::ranges::any_of(run.pending, [](const engine::PendingOperation& op) {
    if (op.key.empty()) return false;
    if (op.type == OperationType::Step) return note_from_json(op.note).status == "PENDING";
    return op.type != OperationType::Context;
  });
}

void try_again(ProgramContext context, DurableState& state, Json error, std::int64_t failures_max, Decision& out) {
  if (++state.failures >= failures_max) {
    out.complete = failure_of(context.run, state, std::move(error));
    return;
  }
  engine::OperationRequest pause;
  pause.type = OperationType::Wait;
  pause.name = "retry of the invocation";
  pause.kind = kBackoffKind;
  pause.due = context.now + kInvocationBackoff;
  state.backoff = context.run.next_operation + static_cast<std::int64_t>(out.start.size());
  out.start.push_back(std::move(pause));
}

void after_pending(ProgramContext context, DurableState& state, std::int64_t seen, Decision& out) {
  const bool unseen = std::ranges::any_of(state.changed, [&](const DurableState::Change& change) { return change.number > seen; });
  if (!unseen && !something_is_pending(context.run))
    return try_again(context, state,
                     make_error_object("InvalidParameterValueException", "Cannot return PENDING status with no pending operations."),
                     kInvalidPendingMax, out);
  state.failures = 0;
  if (unseen) invoke_if_idle(context, state, out);
}

}  // namespace

std::string arn_of(const engine::Execution& run, const DurableState& state) {
  return to_string(ExecutionArn{function_of_program(run.program).value_or(run.program), state.version, state.name, run.id});
}

void invoke_if_idle(ProgramContext context, DurableState& state, Decision& decision) {
  if (state.invocation != 0 || state.backoff != 0) return;
  engine::OperationRequest request;
  request.name = state.name;
  request.kind = kInvocationKind;
  // Throttled attempts do not count: the function has not run.
  request.retry = {.attempts_max = kThrottledAttemptsMax, .delay_first = Millis{200}, .delay_max = Millis{30'000}};
  state.invocation = context.run.next_operation + static_cast<std::int64_t>(decision.start.size());
  decision.start.push_back(std::move(request));
}

Completion completion_of(const engine::Execution& run, const DurableState& state, const JsonObject& outcome) {
  const Json* error = get(outcome, "Error");
  if (get_string(outcome, "Status") != "SUCCEEDED") return failure_of(run, state, error ? *error : Json(nullptr));
  const Json* result = get(outcome, "Result");
  return {ExecutionStatus::Succeeded,
          JsonObject{{"DurableExecutionArn", arn_of(run, state)}, {"Result", result ? *result : Json(nullptr)}},
          {}};
}

Completion failure_of(const engine::Execution& run, const DurableState& state, Json error) {
  Error described{"function.failed", describe_error_object(error), Retry::Never};
  return {ExecutionStatus::Failed, JsonObject{{"DurableExecutionArn", arn_of(run, state)}, {"Error", std::move(error)}},
          std::move(described)};
}

Decision after_invocation(ProgramContext context, DurableState& state, const engine::Operation& invocation) {
  state.invocation = 0;
  Decision out;
  release_held(context, state, out);
  if (const JsonObject* outcome = state.outcome.if_object()) {
    out.complete = completion_of(context.run, state, *outcome);
    return out;
  }
  if (invocation.error) {
    // Never ran: what it needs is gone.
    out.complete =
        failure_of(context.run, state,
                   make_error_object(invocation.error->code == "function.not_found" ? "ResourceNotFoundException" : invocation.error->code,
                                     invocation.error->message));
    return out;
  }
  static const JsonObject kNothing;
  const JsonObject& outcome = invocation.result.is_object() ? invocation.result.get_object() : kNothing;
  const std::string status = get_string(outcome, "Status");
  const Json* error = get(outcome, "Error");
  if (status == "PENDING" || status == "CRASHED") {
    if (status == "PENDING")
      after_pending(context, state, get_int(outcome, "seen"), out);
    else
      try_again(context, state, error ? *error : Json(nullptr), kFailedInvocationsMax, out);
    return out;
  }
  state.failures = 0;
  if (status == "SUCCEEDED" && context.run.parent && get_int(outcome, "bytes") > static_cast<std::int64_t>(kChainedPayloadBytesMax)) {
    out.complete = failure_of(context.run, state,
                              make_error_object("", "Execution output payload size must be less than or equal to " +
                                                        std::to_string(kChainedPayloadBytesMax) + " bytes."));
    return out;
  }
  out.complete = completion_of(context.run, state, outcome);
  return out;
}

}  // namespace mayfly::function
