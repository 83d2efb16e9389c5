#include "function/durable/state.h"

#include <algorithm>

namespace mayfly::function {
namespace {

void put(JsonObject& out, std::string_view key, const std::string& text) {
  if (!text.empty()) out[key] = text;
}
void put(JsonObject& out, std::string_view key, std::int64_t number) {
  if (number != 0) out[key] = number;
}
void put(JsonObject& out, std::string_view key, const std::optional<TimePoint>& time) {
  if (time) out[key] = to_unix_ms(*time);
}
void put_value(JsonObject& out, std::string_view key, const Json& value) {
  if (!value.is_null()) out[key] = value;
}

std::optional<TimePoint> time_of(const JsonObject& from, std::string_view key) {
  if (!get(from, key)) return std::nullopt;
  return from_unix_ms(get_int(from, key));
}
Json value_of(const JsonObject& from, std::string_view key) {
  const Json* value = get(from, key);
  return value ? *value : Json(nullptr);
}
const JsonObject& object_of(const Json& value) {
  static const JsonObject kEmpty;
  return value.is_object() ? value.get_object() : kEmpty;
}
template <class Each>
void each_of(const JsonObject& from, std::string_view key, Each each) {
  if (const JsonArray* array = get_array(from, key))
    for (const Json& item : *array) each(item);
}
std::int64_t number_of(const Json& value) { return value.is_int64() ? value.get_int64() : 0; }

void put_events(JsonObject& out, std::string_view key, const std::vector<HistoryEvent>& events) {
  if (events.empty()) return;
  JsonArray array;
  for (const HistoryEvent& event : events) array.push_back(to_json(event));
  out[key] = std::move(array);
}
std::vector<HistoryEvent> events_of(const JsonObject& from, std::string_view key) {
  std::vector<HistoryEvent> out;
  each_of(from, key, [&](const Json& event) { out.push_back(history_event_from_json(object_of(event))); });
  return out;
}

}  // namespace

Json to_json(const HistoryEvent& event) {
  JsonObject out{{"id", event.id}, {"type", event.type}, {"at", to_unix_ms(event.time)}};
  put(out, "operation", event.operation);
  put(out, "attempt", event.attempt);
  if (event.delay) out["delay"] = *event.delay;
  put_value(out, "result", event.result);
  put_value(out, "error", event.error);
  return out;
}

HistoryEvent history_event_from_json(const JsonObject& object) {
  HistoryEvent out;
  out.id = get_int(object, "id");
  out.type = get_string(object, "type");
  out.time = from_unix_ms(get_int(object, "at"));
  out.operation = get_int(object, "operation");
  out.attempt = get_int(object, "attempt");
  if (get(object, "delay")) out.delay = get_int(object, "delay");
  out.result = value_of(object, "result");
  out.error = value_of(object, "error");
  return out;
}

Json to_json(const OperationNote& note) {
  JsonObject out;
  put(out, "status", note.status);
  put(out, "parent", note.parent);
  put(out, "attempt", note.attempt);
  put(out, "next", note.next_attempt);
  put_value(out, "result", note.result);
  put_value(out, "error", note.error);
  if (note.replay_children) out["replay_children"] = true;
  put(out, "callback", note.callback_id);
  put(out, "timeout", note.timeout);
  put(out, "heartbeat", note.heartbeat);
  put(out, "timeout_at", note.timeout_at);
  put(out, "heartbeat_at", note.heartbeat_at);
  put(out, "function", note.function);
  put(out, "version", note.executed_version);
  put(out, "tenant", note.tenant);
  put(out, "child", note.child);
  put_events(out, "events", note.events);
  return out;
}

OperationNote note_from_json(const Json& note) {
  const JsonObject& from = object_of(note);
  OperationNote out;
  out.status = get_string(from, "status");
  out.parent = get_string(from, "parent");
  out.attempt = get_int(from, "attempt");
  out.next_attempt = time_of(from, "next");
  out.result = value_of(from, "result");
  out.error = value_of(from, "error");
  out.replay_children = get_bool(from, "replay_children");
  out.callback_id = get_string(from, "callback");
  out.timeout = get_int(from, "timeout");
  out.heartbeat = get_int(from, "heartbeat");
  out.timeout_at = time_of(from, "timeout_at");
  out.heartbeat_at = time_of(from, "heartbeat_at");
  out.function = get_string(from, "function");
  out.executed_version = get_string(from, "version");
  out.tenant = get_string(from, "tenant");
  out.child = get_string(from, "child");
  out.events = events_of(from, "events");
  return out;
}

void DurableState::touch(std::int64_t operation) {
  const auto at = std::ranges::find(changed, operation, &Change::operation);
  if (at == changed.end())
    changed.push_back({operation, ++change});
  else
    at->number = ++change;
}

Json to_json(const DurableState& state) {
  JsonObject out{{"kind", "durable"}, {"name", state.name}, {"version", state.version}};
  put(out, "timeout", state.timeout);
  put(out, "events", state.events);
  put(out, "operations", state.operations);
  put(out, "sequence", state.sequence);
  put(out, "change", state.change);
  put(out, "invocation", state.invocation);
  put(out, "backoff", state.backoff);
  put(out, "failures", state.failures);
  if (!state.changed.empty()) {
    JsonArray changed;
    for (const DurableState::Change& change : state.changed) changed.push_back(JsonArray{change.operation, change.number});
    out["changed"] = std::move(changed);
  }
  if (state.last.sequence >= 0) {
    JsonObject last{{"sequence", state.last.sequence}, {"fingerprint", state.last.fingerprint}};
    put(last, "client_token", state.last.client_token);
    JsonArray operations;
    for (const std::int64_t operation : state.last.operations) operations.push_back(operation);
    last["operations"] = std::move(operations);
    out["last"] = std::move(last);
  }
  put_value(out, "outcome", state.outcome);
  if (!state.requests.empty()) {
    JsonArray requests;
    for (const std::string& request : state.requests) requests.push_back(Json(request));
    out["requests"] = std::move(requests);
  }
  put_events(out, "held", state.held);
  put_events(out, "tail", state.tail);
  return out;
}

DurableState durable_state_from_json(const Json& state) {
  const JsonObject& from = object_of(state);
  DurableState out;
  out.name = get_string(from, "name");
  out.version = get_string(from, "version");
  out.timeout = get_int(from, "timeout");
  out.events = get_int(from, "events");
  out.operations = get_int(from, "operations");
  out.sequence = get_int(from, "sequence");
  out.change = get_int(from, "change");
  out.invocation = get_int(from, "invocation");
  out.backoff = get_int(from, "backoff");
  out.failures = get_int(from, "failures");
  each_of(from, "changed", [&](const Json& item) {
    if (const auto* pair = item.if_array(); pair && pair->size() == 2)
      out.changed.push_back({number_of((*pair)[0]), number_of((*pair)[1])});
  });
  if (const JsonObject* last = get_object(from, "last")) {
    out.last.sequence = get_int(*last, "sequence");
    out.last.client_token = get_string(*last, "client_token");
    out.last.fingerprint = get_string(*last, "fingerprint");
    each_of(*last, "operations", [&](const Json& item) { out.last.operations.push_back(number_of(item)); });
  }
  out.outcome = value_of(from, "outcome");
  each_of(from, "requests", [&](const Json& item) {
    if (item.is_string()) out.requests.emplace_back(item.get_string());
  });
  out.held = events_of(from, "held");
  out.tail = events_of(from, "tail");
  return out;
}

std::string aws_status(const engine::Operation& operation, const OperationNote& note) {
  return note.status.empty() ? std::string(engine::to_string(operation.status)) : note.status;
}

}  // namespace mayfly::function
