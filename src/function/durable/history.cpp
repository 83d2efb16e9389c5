#include "function/durable/history.h"

#include <algorithm>

#include "function/durable/tokens.h"
#include "function/durable/updates.h"

namespace mayfly::function {
namespace {

const JsonObject& object_of(const Json& value) {
  static const JsonObject kEmpty;
  return value.is_object() ? value.get_object() : kEmpty;
}
Json value_of(const JsonObject& from, std::string_view key) {
  const Json* value = get(from, key);
  return value ? *value : Json(nullptr);
}

void put(JsonObject& out, std::string_view key, const std::string& text) {
  if (!text.empty()) out[key] = text;
}

JsonObject wrapped(Json value, bool include_data) {
  JsonObject out{{"Truncated", !include_data}};
  if (!value.is_null()) out["Payload"] = std::move(value);
  return out;
}
JsonObject payload_json(Json payload, bool include_data) {
  return wrapped(include_data ? std::move(payload) : Json(nullptr), include_data);
}

void put_retry(JsonObject& out, const HistoryEvent& event) {
  if (event.attempt == 0) return;
  JsonObject retry{{"CurrentAttempt", event.attempt}};
  if (event.delay) retry["NextAttemptDelaySeconds"] = *event.delay;
  out["RetryDetails"] = std::move(retry);
}

/// An attempt that another one followed keeps its outcome in the event; the last one's is the operation's.
Json error_of(const HistoryItem& item) {
  return !item.event.error.is_null() ? item.event.error : item.event.delay ? Json(nullptr) : item.operation->note.error;
}

}  // namespace

Json execution_error(const engine::Execution& run, const DurableState& state) {
  if (run.status == engine::ExecutionStatus::TimedOut)
    return make_error_object("", "Execution timed out after " + std::to_string(state.timeout) + " seconds.");
  if (const Json* error = get(object_of(run.result), "Error")) return *error;
  return run.error ? make_error_object("", run.error->message) : Json(nullptr);
}

namespace {

JsonObject started_details(const HistoryItem& item, Json payload, bool include_data) {
  const OperationView& op = *item.operation;
  JsonObject out;
  if (op.type == "WAIT") {
    out["Duration"] = op.note.timeout;
    if (op.note.timeout_at) out["ScheduledEndTimestamp"] = time_json(*op.note.timeout_at, TimeFormat::Seconds);
  } else if (op.type == "CALLBACK") {
    out["CallbackId"] = op.note.callback_id;
    if (op.note.heartbeat > 0) out["HeartbeatTimeout"] = op.note.heartbeat;
    if (op.note.timeout > 0) out["Timeout"] = op.note.timeout;
  } else if (op.type == "CHAINED_INVOKE") {
    out["FunctionName"] = op.note.function;
    put(out, "TenantId", op.note.tenant);
    put(out, "ExecutedVersion", op.note.executed_version);
    put(out, "DurableExecutionArn", op.note.child);
    if (!payload.is_null()) out["Input"] = payload_json(std::move(payload), include_data);
  }
  return out;
}

JsonObject invocation_details(const OperationView& op, bool include_data) {
  const JsonObject& meta = object_of(op.meta);
  const TimePoint ended = op.ended.value_or(op.started);
  JsonObject out{{"StartTimestamp", time_json(from_unix_ms(get_int(meta, "started_ms", to_unix_ms(op.started))), TimeFormat::Seconds)},
                 {"EndTimestamp", time_json(ended, TimeFormat::Seconds)},
                 {"RequestId", get_string(meta, "request_id")}};
  const std::string status = get_string(object_of(op.result), "Status");
  if (status == "CRASHED" || status == "INVALID") out["Error"] = wrapped(value_of(object_of(op.result), "Error"), include_data);
  return out;
}

JsonObject details_of(const HistoryItem& item, Json payload, bool include_data) {
  const OperationView& op = *item.operation;
  const std::string_view type = item.event.type;
  if (type == "InvocationCompleted") return invocation_details(op, include_data);
  if (type.ends_with("Started")) return started_details(item, std::move(payload), include_data);
  JsonObject out;
  if (type == "WaitSucceeded")
    out["Duration"] = op.note.timeout;
  else if (type.ends_with("Succeeded"))
    out["Result"] = payload_json(std::move(payload), include_data);
  else if (Json error = error_of(item); !error.is_null() || type != "WaitCancelled")
    out["Error"] = wrapped(std::move(error), include_data);
  put_retry(out, item.event);
  return out;
}

}  // namespace

std::vector<HistoryItem> history_items(const engine::Execution& run, const DurableState& state,
                                       const std::vector<OperationView>& operations) {
  std::vector<HistoryItem> out;
  out.push_back({HistoryEvent{.id = 1, .type = "ExecutionStarted", .time = run.created}, nullptr});
  std::unordered_map<std::int64_t, const OperationView*> by_number;
  for (const OperationView& op : operations) by_number.emplace(op.number, &op);
  const auto add = [&](const HistoryEvent& event, const OperationView* holder) {
    const auto at = by_number.find(event.operation);
    out.push_back({event, at == by_number.end() ? holder : at->second});
  };
  for (const OperationView& op : operations)
    for (const HistoryEvent& event : op.note.events) add(event, &op);
  for (const HistoryEvent& event : state.tail) add(event, nullptr);
  std::ranges::sort(out, {}, [](const HistoryItem& item) { return item.event.id; });
  return out;
}

Json payload_of(const HistoryItem& item, const engine::Execution& run, const Json& input) {
  const std::string_view type = item.event.type;
  if (!item.operation) {
    if (type == "ExecutionStarted") return input;
    return type == "ExecutionSucceeded" ? value_of(object_of(run.result), "Result") : Json(nullptr);
  }
  if (type == "ChainedInvokeStarted") {
    const JsonObject& invoke = object_of(item.operation->input);
    if (get_string(invoke, "target") == "agent") return get(invoke, "payload") ? value_of(invoke, "payload") : Json(nullptr);
    return value_of(object_of(value_of(invoke, "input")), "payload");
  }
  if (!type.ends_with("Succeeded") || type == "WaitSucceeded") return nullptr;
  return item.event.delay ? item.event.result : payload_of(*item.operation);
}

Json event_json(const HistoryItem& item, const engine::Execution& run, const DurableState& state, Json payload, bool include_data) {
  const HistoryEvent& event = item.event;
  JsonObject out{{"EventType", event.type}, {"EventId", event.id}, {"EventTimestamp", time_json(event.time, TimeFormat::Seconds)}};
  JsonObject details;
  if (item.operation) {
    if (!item.operation->hidden()) {
      out["Id"] = item.operation->id;
      put(out, "SubType", item.operation->kind);
      put(out, "Name", item.operation->name);
      put(out, "ParentId", item.operation->note.parent);
    }
    details = details_of(item, std::move(payload), include_data);
  } else {
    out["Id"] = execution_operation_id(run);
    out["Name"] = state.name;
    if (event.type == "ExecutionStarted") {
      details["Input"] = payload_json(std::move(payload), include_data);
      details["ExecutionTimeout"] = state.timeout;
    } else if (event.type == "ExecutionSucceeded") {
      details["Result"] = payload_json(std::move(payload), include_data);
    } else {
      details["Error"] = wrapped(execution_error(run, state), include_data);
    }
  }
  out[event.type + "Details"] = std::move(details);
  return out;
}

}  // namespace mayfly::function
