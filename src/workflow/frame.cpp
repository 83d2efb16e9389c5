#include "workflow/frame.h"

namespace mayfly::workflow {
namespace {

Json value_of(const JsonObject& object, std::string_view key) {
  const Json* value = get(object, key);
  return value ? *value : Json(nullptr);
}
void put_number(JsonObject& out, std::string_view key, std::int64_t value) {
  if (value != 0) out[key] = value;
}

}  // namespace

Json to_json(const Frame& frame) {
  JsonObject out{{"id", frame.id}, {"state", frame.state}, {"phase", static_cast<std::int64_t>(frame.phase)}, {"input", frame.input}};
  for (const auto& [key, value] :
       std::initializer_list<std::pair<std::string_view, std::int64_t>>{{"parent", frame.parent},
                                                                        {"index", frame.index},
                                                                        {"entered", to_unix_ms(frame.entered)},
                                                                        {"last_event", frame.last_event},
                                                                        {"retry_count", frame.retry_count},
                                                                        {"invoke", frame.invoke},
                                                                        {"waiting", frame.waiting},
                                                                        {"timer", frame.timer},
                                                                        {"heartbeat", frame.heartbeat_ms},
                                                                        {"timeout", to_unix_ms(frame.timeout_at)},
                                                                        {"next", frame.next},
                                                                        {"open", frame.open},
                                                                        {"failed", frame.failed},
                                                                        {"concurrency", frame.concurrency},
                                                                        {"tolerated", frame.tolerated}})
    put_number(out, key, value);
  if (!frame.variables.empty()) {
    JsonObject variables;
    for (const auto& [name, value] : frame.variables) variables[name] = value;
    out["variables"] = std::move(variables);
  }
  if (!frame.retries.empty()) out["retries"] = JsonArray(frame.retries.begin(), frame.retries.end());
  if (!frame.item.is_null()) out["item"] = frame.item;
  if (!frame.items.is_null()) out["items"] = frame.items;
  if (!frame.results.empty()) out["results"] = frame.results;
  return out;
}

Frame frame_from_json(const JsonObject& object) {
  Frame out;
  out.id = get_int(object, "id");
  out.parent = get_int(object, "parent");
  out.index = get_int(object, "index");
  out.state = get_string(object, "state");
  out.phase = static_cast<Frame::Phase>(get_int(object, "phase"));
  out.input = value_of(object, "input");
  out.entered = from_unix_ms(get_int(object, "entered"));
  out.last_event = get_int(object, "last_event");
  if (const JsonObject* variables = get_object(object, "variables"))
    for (const auto& member : *variables) out.variables.emplace(member.key(), member.value());
  if (const JsonArray* retries = get_array(object, "retries"))
    for (const Json& count : *retries) out.retries.push_back(count.is_int64() ? count.get_int64() : 0);
  out.retry_count = get_int(object, "retry_count");
  out.invoke = get_int(object, "invoke");
  out.waiting = get_int(object, "waiting");
  out.timer = get_int(object, "timer");
  out.heartbeat_ms = get_int(object, "heartbeat");
  out.timeout_at = from_unix_ms(get_int(object, "timeout"));
  out.item = value_of(object, "item");
  out.items = value_of(object, "items");
  if (const JsonArray* results = get_array(object, "results")) out.results = *results;
  out.next = get_int(object, "next");
  out.open = get_int(object, "open");
  out.failed = get_int(object, "failed");
  out.concurrency = get_int(object, "concurrency");
  out.tolerated = get_int(object, "tolerated");
  return out;
}

Json to_json(const WorkflowState& state) {
  JsonArray frames;
  for (const auto& entry : state.frames) frames.push_back(to_json(entry.second));
  return JsonObject{{"frames", std::move(frames)},
                    {"next_frame", state.next_frame},
                    {"events", state.events},
                    {"ready", JsonArray(state.ready.begin(), state.ready.end())},
                    {"yield", state.yield},
                    {"deadline", state.deadline},
                    {"identity", state.identity},
                    {"input", state.input},
                    {"started", to_unix_ms(state.started)},
                    {"log", state.log}};
}

WorkflowState workflow_state_from_json(const Json& value) {
  WorkflowState out;
  if (!value.is_object()) return out;
  const JsonObject& object = value.get_object();
  if (const JsonArray* frames = get_array(object, "frames"))
    for (const Json& frame : *frames)
      if (frame.is_object()) out.frames.emplace(get_int(frame.get_object(), "id"), frame_from_json(frame.get_object()));
  out.next_frame = get_int(object, "next_frame", 1);
  out.events = get_int(object, "events");
  if (const JsonArray* ready = get_array(object, "ready"))
    for (const Json& id : *ready) out.ready.push_back(id.is_int64() ? id.get_int64() : 0);
  out.yield = get_int(object, "yield");
  out.deadline = get_int(object, "deadline");
  if (const JsonObject* identity = get_object(object, "identity")) out.identity = *identity;
  out.input = value_of(object, "input");
  out.started = from_unix_ms(get_int(object, "started"));
  if (const JsonArray* log = get_array(object, "log")) out.log = *log;
  return out;
}

}  // namespace mayfly::workflow
