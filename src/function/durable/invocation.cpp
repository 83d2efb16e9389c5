#include "function/durable/invocation.h"

#include "function/durable/execution_reader.h"
#include "function/durable/invocation_outcome.h"
#include "function/durable/tokens.h"
#include "function/durable/updates.h"
#include "function/function_starts.h"
#include "function/uuid.h"

namespace mayfly::function {
namespace {

constexpr std::size_t kFirstPageItems = 1'000;

engine::StepOutcome failed(Error error) { return {.error = std::move(error)}; }

/// The operations that changed after the last state that the handler has been told.
JsonArray updated_ids(const LoadedExecution& execution) {
  JsonArray out;
  for (const DurableState::Change& change : execution.state.changed)
    for (const OperationView& op : execution.operations)
      if (op.number == change.operation) out.push_back(Json(op.id));
  return out;
}

JsonObject invalid(std::string message) {
  return {{"Status", "INVALID"}, {"Error", make_error_object("InvalidParameterValueException", message)}};
}

/// Checks the handler's answer. A Result is still the whole text.
JsonObject read_answer(const InvocationResult& result) {
  if (!result.function_error.empty()) return {{"Status", "CRASHED"}, {"Error", error_of_result(result)}};
  auto answer = parse_json(result.payload);
  if (!answer) return invalid("Invalid invocation output: " + answer.error().message);
  const JsonObject* object = answer->if_object();
  if (!object) return invalid("Invalid invocation output: not an object; wrap the handler with the durable execution SDK");
  const std::string status = get_string(*object, "Status");
  const Json* value = get(*object, "Result");
  const Json* error = get(*object, "Error");
  const bool has_result = value && !value->is_null(), has_error = error && !error->is_null();
  if (status != "SUCCEEDED" && status != "FAILED" && status != "PENDING")
    return invalid("Invalid invocation output: Status is not SUCCEEDED, FAILED or PENDING");
  if (status == "FAILED" && has_result) return invalid("Cannot provide a Result for FAILED status.");
  if (status == "SUCCEEDED" && has_error) return invalid("Cannot provide an Error for SUCCEEDED status.");
  JsonObject out{{"Status", status}};
  if (status == "SUCCEEDED" && has_result) {
    if (!value->is_string()) return invalid("Invalid invocation output: Result is not a string");
    out["bytes"] = value->get_string().size();
    out["Result"] = *value;
  }
  if (status == "FAILED" && has_error) {
    auto checked = parse_error_object(*error);
    if (!checked) return invalid("Invalid invocation output: " + checked.error().message);
    out["Error"] = std::move(*checked);
  }
  return out;
}

/// So that the parent's history names its child while it runs. No parent needs it to go on.
Task<> tell_parent(engine::Engine& engine, engine::Execution run, std::string arn) {
  (void)co_await engine.command(run.parent->run, JsonObject{{"do", "child"}, {"number", run.parent->operation}, {"arn", std::move(arn)}});
}

}  // namespace

Json error_of_result(const InvocationResult& result) {
  JsonObject out;
  const auto document = parse_json(result.payload);
  const JsonObject* from = document ? document->if_object() : nullptr;
  const std::string message = from ? get_string(*from, "errorMessage") : "";
  const std::string type = from ? get_string(*from, "errorType") : "";
  out["ErrorMessage"] = message.empty() ? "the function failed" : message.substr(0, kErrorBytesMax / 4);
  out["ErrorType"] = !type.empty() ? type : result.error_type.empty() ? std::string("Unhandled") : result.error_type;
  if (const JsonArray* trace = from ? get_array(*from, "stackTrace") : nullptr) {
    JsonArray lines;
    for (const Json& line : *trace)
      if (lines.size() < 100) lines.push_back(line.is_string() ? line : Json(to_text(line)));
    out["StackTrace"] = std::move(lines);
    if (to_text(out).size() > kErrorBytesMax) out.erase("StackTrace");
  }
  return out;
}

Json meta_of(const InvocationResult& result, TimePoint started) {
  return JsonObject{{"request_id", result.request_id},
                    {"started_ms", to_unix_ms(started)},
                    {"duration_ms", result.duration.count()},
                    {"billed_ms", result.billed.count()},
                    {"cold", result.cold},
                    {"memory_peak_bytes", result.memory_peak_bytes}};
}

Task<engine::StepOutcome> invoke_durable(const FunctionServiceDependencies& dependencies, engine::Engine& engine, engine::StepCall call) {
  const std::string name = function_of_program(call.program).value_or("");
  const auto revision = lookup_of(dependencies).revision(name, call.version);
  if (!revision) co_return failed({"function.not_found", "Function not found: " + function_arn(name), Retry::Never});
  auto execution = co_await load_execution(engine, call.run);
  if (!execution) co_return failed(execution.error());
  auto page = co_await state_page(engine, *execution, "", kFirstPageItems, TimeFormat::Millis);
  if (!page) co_return failed(page.error());

  const DurableState& state = execution->state;
  const CheckpointToken token{call.operation.id, call.operation.attempt, state.sequence, state.change};
  JsonObject event{{"DurableExecutionArn", arn_of(execution->run, state)},
                   {"CheckpointToken", encode(token)},
                   {"InitialExecutionState", JsonObject{{"Operations", std::move(page->operations)}, {"NextMarker", page->next_marker}}},
                   {"UpdatedOperationIds", updated_ids(*execution)}};
  if (execution->run.parent && call.operation.id == 1) co_await tell_parent(engine, execution->run, arn_of(execution->run, state));
  InvocationRequest request;
  request.function = revision;
  request.version = state.version;
  request.invoked_arn = function_arn(name, state.version);
  request.payload = to_text(event);
  request.request_id = make_uuid(*dependencies.random);
  request.trace_header = trace_header_of(call.traceparent);
  request.cancel = call.cancel;
  if (const JsonObject* input = execution->input.if_object()) request.tenant_id = get_string(*input, "tenant");
  const TimePoint started = dependencies.clock->now();
  auto result = co_await dependencies.supervisor->invoke(std::move(request));
  if (!result) co_return failed(result.error());

  JsonObject answer = read_answer(*result);
  answer["seen"] = token.change;
  if (Json* text = answer.if_contains("Result")) {
    auto kept = co_await engine.spill(std::move(*text));
    if (!kept) co_return failed({kept.error().code, kept.error().message, Retry::Safe});
    answer["Result"] = std::move(*kept);
  }
  co_return engine::StepOutcome{.result = std::move(answer), .meta = meta_of(*result, started)};
}

}  // namespace mayfly::function
