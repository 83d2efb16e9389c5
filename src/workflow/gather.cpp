#include <algorithm>

#include "workflow/interpreter.h"

namespace mayfly::workflow {
namespace {

constexpr std::size_t kItemsMax = 10'000;
constexpr std::int64_t kConcurrencyDefault = 40;  // what AWS runs at a time of an inline Map

std::optional<double> number_of(const Json& value) {
  if (value.is_int64()) return static_cast<double>(value.get_int64());
  if (value.is_double()) return value.get_double();
  return std::nullopt;
}

}  // namespace

Frame& Interpreter::add_child(Frame& parent, std::int64_t index, const JsonObject& machine, Json input) {
  Frame child;
  child.id = state_.next_frame++;
  child.parent = parent.id;
  child.index = index;
  child.state = get_string(machine, "StartAt");
  child.input = std::move(input);
  child.last_event = parent.last_event;
  ++parent.open;
  state_.ready.push_back(child.id);
  return state_.frames.emplace(child.id, std::move(child)).first->second;
}

void Interpreter::start_parallel(Frame& frame) {
  const JsonObject& state = state_of(frame);
  auto input = effective_input(frame);
  if (const Json* arguments = get(state, "Arguments")) input = fill(*arguments, scope_of(frame, frame.input)->fields);
  if (!input) return state_failed(frame.id, input.error());
  const JsonArray& branches = *get_array(state, "Branches");
  event(frame, "ParallelStateStarted");
  frame.phase = Frame::Phase::Gathering;
  frame.results = JsonArray(branches.size());
  frame.open = frame.failed = 0;
  for (std::size_t i = 0; i < branches.size(); ++i) add_child(frame, static_cast<std::int64_t>(i), branches[i].get_object(), *input);
}

void Interpreter::start_map(Frame& frame) {
  const JsonObject& state = state_of(frame);
  auto input = effective_input(frame);
  if (!input) return state_failed(frame.id, input.error());
  const auto scope = scope_of(frame, *input);
  StateResult<Json> items = *input;
  if (scope->fields.jsonata) {
    if (const Json* wanted = get(state, "Items")) items = fill(*wanted, scope->fields);
  } else if (const std::string path = get_string(state, "ItemsPath"); !path.empty()) {
    items = evaluate_path(path, scope->fields, "States.Runtime");
  }
  if (!items) return state_failed(frame.id, items.error());
  if (JsonObject* object = items->if_object(); object && scope->fields.jsonata) {
    JsonArray pairs;
    for (const auto& member : *object) pairs.push_back(JsonObject{{"Key", member.key()}, {"Value", member.value()}});
    *items = std::move(pairs);
  }
  if (!items->is_array())
    return state_failed(frame.id, {scope->fields.jsonata ? "States.QueryEvaluationError" : "States.Runtime",
                                   "the items of the Map state '" + frame.state + "' are no array; check ItemsPath or Items"});
  const std::size_t count = items->get_array().size();
  if (count > kItemsMax) return state_failed(frame.id, {"States.Runtime", "a Map state takes at most 10000 items"});
  std::map<std::string, double> limits;
  for (const char* name : {"MaxConcurrency", "ToleratedFailureCount", "ToleratedFailurePercentage"}) {
    auto value = field(state, name, scope->fields);
    if (!value) return state_failed(frame.id, value.error());
    const auto number = *value ? number_of(**value) : std::optional<double>(-1);
    if (!number || (*value && *number < 0))
      return state_failed(frame.id, {"States.Runtime", std::string(name) + " must be a number that is not negative"});
    limits[name] = *number;
  }
  frame.concurrency = limits["MaxConcurrency"] >= 1 ? static_cast<std::int64_t>(limits["MaxConcurrency"]) : kConcurrencyDefault;
  const double share = limits["ToleratedFailurePercentage"] / 100 * static_cast<double>(count);
  frame.tolerated = static_cast<std::int64_t>(std::max({0.0, limits["ToleratedFailureCount"], share}));
  event(frame, "MapStateStarted", "mapStateStartedEventDetails", {{"length", static_cast<std::int64_t>(count)}});
  frame.phase = Frame::Phase::Gathering;
  frame.results = JsonArray(count);
  frame.items = std::move(*items);
  frame.next = frame.open = frame.failed = 0;
  start_iterations(frame.id);
}

void Interpreter::start_iterations(std::int64_t id) {
  const JsonObject& state = state_of(state_.frames.at(id));
  const Json* selector = get(state, "ItemSelector");
  if (!selector) selector = is_jsonata(machine_of(state_.frames.at(id)), state) ? nullptr : get(state, "Parameters");
  while (true) {
    Frame& frame = state_.frames.at(id);
    const auto size = static_cast<std::int64_t>(frame.items.get_array().size());
    if (frame.next >= size && frame.open == 0) {
      event(frame, "MapStateSucceeded");
      const Json results = std::move(frame.results);
      return succeed(frame, results);
    }
    if (frame.next >= size || frame.open >= frame.concurrency) return;
    const std::int64_t index = frame.next++;
    const Json value = frame.items.get_array()[static_cast<std::size_t>(index)];
    Frame& child = add_child(frame, index, *processor_of(state), value);
    child.item = JsonObject{{"Index", index}, {"Value", value}};
    if (selector) {
      auto input = effective_input(frame);
      if (!input) return abort_children(id), state_failed(id, input.error());
      const auto scope = scope_of(frame, std::move(*input));
      scope->context.get_object()["Map"] = JsonObject{{"Item", child.item}};
      auto selected = fill(*selector, scope->fields);
      if (!selected) return abort_children(id), state_failed(id, selected.error());
      child.input = std::move(*selected);
    }
    event(child, "MapIterationStarted", "mapIterationStartedEventDetails", {{"name", frame.state}, {"index", index}});
  }
}

void Interpreter::child_ended(std::int64_t parent_id, std::int64_t child_id, Json output) {
  Frame& parent = state_.frames.at(parent_id);
  Frame& child = state_.frames.at(child_id);
  parent.results[static_cast<std::size_t>(child.index)] = std::move(output);
  const bool is_map = get_string(state_of(parent), "Type") == "Map";
  if (is_map) event(child, "MapIterationSucceeded", "mapIterationSucceededEventDetails", {{"name", parent.state}, {"index", child.index}});
  parent.last_event = child.last_event;
  --parent.open;
  state_.frames.erase(child_id);
  if (is_map) return start_iterations(parent_id);
  if (parent.open > 0) return;
  event(parent, "ParallelStateSucceeded");
  const Json results = std::move(parent.results);
  succeed(parent, results);
}

void Interpreter::child_failed(std::int64_t parent_id, std::int64_t child_id, StateError error) {
  Frame& parent = state_.frames.at(parent_id);
  Frame& child = state_.frames.at(child_id);
  const bool is_map = get_string(state_of(parent), "Type") == "Map";
  if (is_map) event(child, "MapIterationFailed", "mapIterationFailedEventDetails", {{"name", parent.state}, {"index", child.index}});
  parent.last_event = child.last_event;
  const std::int64_t index = child.index;
  --parent.open;
  state_.frames.erase(child_id);
  if (is_map && ++parent.failed <= parent.tolerated) {
    parent.results[static_cast<std::size_t>(index)] = JsonObject{{"Error", error.error}, {"Cause", error.cause}};
    return start_iterations(parent_id);
  }
  abort_children(parent_id);
  if (is_map && parent.tolerated > 0)
    error = {"States.ExceedToleratedFailureThreshold",
             "The specified tolerated failure threshold was exceeded: " + error.error + ": " + error.cause};
  event(parent, is_map ? "MapStateFailed" : "ParallelStateFailed");
  state_failed(parent_id, std::move(error));
}

void Interpreter::abort_children(std::int64_t parent_id) {
  std::vector<std::int64_t> children;
  for (const auto& [id, frame] : state_.frames)
    if (frame.parent == parent_id) children.push_back(id);
  for (const std::int64_t id : children) abort(id);
  Frame& parent = state_.frames.at(parent_id);
  parent.open = 0;
  parent.items = nullptr;
  parent.results.clear();
}

void Interpreter::abort(std::int64_t id) {
  abort_children(id);
  Frame& frame = state_.frames.at(id);
  stop_operations(frame);
  const std::string type = get_string(state_of(frame), "Type");
  if (frame.phase != Frame::Phase::Entering && (type == "Task" || type == "Wait" || type == "Parallel" || type == "Map"))
    event(frame, type + "StateAborted");
  const Frame& parent = state_.frames.at(frame.parent);
  if (get_string(state_of(parent), "Type") == "Map")
    event(frame, "MapIterationAborted", "mapIterationAbortedEventDetails", {{"name", parent.state}, {"index", frame.index}});
  std::erase(state_.ready, id);
  state_.frames.erase(id);
}

}  // namespace mayfly::workflow
