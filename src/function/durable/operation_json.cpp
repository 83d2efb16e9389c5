#include "function/durable/operation_json.h"

#include "function/durable/tokens.h"

namespace mayfly::function {
namespace {

constexpr std::string_view kInvokeType = "CHAINED_INVOKE";

const JsonObject& object_of(const Json& value) {
  static const JsonObject kEmpty;
  return value.is_object() ? value.get_object() : kEmpty;
}

template <class Op>
OperationView common(const Op& operation) {
  OperationView out;
  out.number = operation.id;
  out.id = id_of_key(operation.key);
  out.type = engine::to_string(operation.type);
  out.kind = operation.kind;
  out.name = operation.name;
  out.started = operation.started;
  out.input = operation.input;
  out.note = note_from_json(operation.note);
  // One that could not be invoked is a STEP for the engine.
  if (!out.note.function.empty()) out.type = kInvokeType;
  return out;
}

void put(JsonObject& out, std::string_view key, const std::string& text) {
  if (!text.empty()) out[key] = text;
}
void put_value(JsonObject& out, std::string_view key, Json value) {
  if (!value.is_null()) out[key] = std::move(value);
}

JsonObject details_of(const OperationView& op, Json payload, TimeFormat format) {
  JsonObject out;
  if (op.type == "STEP") {
    out["Attempt"] = op.note.attempt;
    if (op.note.next_attempt) out["NextAttemptTimestamp"] = time_json(*op.note.next_attempt, format);
  } else if (op.type == "WAIT") {
    if (op.note.timeout_at) out["ScheduledEndTimestamp"] = time_json(*op.note.timeout_at, format);
    return out;
  } else if (op.type == "CALLBACK") {
    out["CallbackId"] = op.note.callback_id;
  } else if (op.type == "CONTEXT") {
    out["ReplayChildren"] = op.note.replay_children;
  }
  put_value(out, "Result", std::move(payload));
  put_value(out, "Error", op.note.error);
  return out;
}

std::string_view details_name(std::string_view type) {
  if (type == "STEP") return "StepDetails";
  if (type == "WAIT") return "WaitDetails";
  if (type == "CALLBACK") return "CallbackDetails";
  if (type == "CONTEXT") return "ContextDetails";
  return "ChainedInvokeDetails";
}

}  // namespace

Json time_json(TimePoint time, TimeFormat format) {
  if (format == TimeFormat::Millis) return to_unix_ms(time);
  return static_cast<double>(to_unix_ms(time)) / 1000.0;
}

OperationView view_of(const engine::PendingOperation& operation) {
  OperationView out = common(operation);
  out.result = out.note.result;
  return out;
}

OperationView view_of(const engine::Operation& operation) {
  OperationView out = common(operation);
  out.note.status = aws_status(operation, out.note);
  // What the end of the run cut off has not ended for the handler.
  if (out.hidden() || operation.status != engine::OperationStatus::Cancelled || out.note.status == "CANCELLED") out.ended = operation.ended;
  out.result = operation.result;
  out.meta = operation.meta;
  return out;
}

OperationView view_of(const std::variant<engine::PendingOperation, engine::Operation>& operation) {
  return std::visit([](const auto& op) { return view_of(op); }, operation);
}

Json payload_of(const OperationView& operation) {
  if (operation.type != kInvokeType || operation.result.is_null()) return operation.result;
  if (operation.note.status != "SUCCEEDED") return nullptr;
  if (get_string(object_of(operation.input), "target") == "agent") return Json(to_text(operation.result));
  const Json* result = get(object_of(operation.result), "Result");
  return result ? *result : Json(nullptr);
}

Json operation_json(const OperationView& operation, Json payload, TimeFormat format) {
  JsonObject out{{"Id", operation.id}, {"Type", operation.type}, {"Status", operation.note.status}};
  put(out, "ParentId", operation.note.parent);
  put(out, "Name", operation.name);
  put(out, "SubType", operation.kind);
  out["StartTimestamp"] = time_json(operation.started, format);
  if (operation.ended) out["EndTimestamp"] = time_json(*operation.ended, format);
  out[details_name(operation.type)] = details_of(operation, std::move(payload), format);
  return out;
}

Json execution_operation_json(const engine::Execution& run, const DurableState& state, Json payload, TimeFormat format) {
  JsonObject out{{"Id", execution_operation_id(run)},
                 {"Type", "EXECUTION"},
                 {"Name", state.name},
                 {"Status", run.open() ? std::string_view("STARTED") : engine::to_string(run.status)},
                 {"StartTimestamp", time_json(run.created, format)}};
  if (run.ended) out["EndTimestamp"] = time_json(*run.ended, format);
  JsonObject details;
  put_value(details, "InputPayload", std::move(payload));
  out["ExecutionDetails"] = std::move(details);
  return out;
}

}  // namespace mayfly::function
