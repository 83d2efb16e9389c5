#include <algorithm>

#include "workflow/interpreter.h"

namespace mayfly::workflow {

const JsonObject* Interpreter::child_machine(const Frame& parent, std::int64_t index) const {
  const JsonObject& state = state_of(parent);
  if (const JsonArray* branches = get_array(state, "Branches")) return (*branches)[static_cast<std::size_t>(index)].if_object();
  return processor_of(state);
}

const JsonObject& Interpreter::machine_of(const Frame& frame) const {
  return frame.parent == 0 ? machine_.definition() : *child_machine(state_.frames.at(frame.parent), frame.index);
}

const JsonObject& Interpreter::state_of(const Frame& frame) const {
  return machine_of(frame).at("States").get_object().at(frame.state).get_object();
}

Json Interpreter::context_of(const Frame& frame, const std::string& token) const {
  const std::string machine = get_string(state_.identity, "workflow");
  std::string name = get_string(state_.identity, "name");
  if (name.empty()) name = context_.run.id;
  JsonObject out{
      {"Execution", JsonObject{{"Id", std::string(kArnPrefix) + "execution:" + machine + ":" + name},
                               {"Input", state_.input},
                               {"Name", name},
                               {"RoleArn", "arn:aws:iam::000000000000:role/mayfly"},
                               {"StartTime", to_rfc3339(state_.started)},
                               {"RedriveCount", 0}}},
      {"State", JsonObject{{"Name", frame.state}, {"EnteredTime", to_rfc3339(frame.entered)}, {"RetryCount", frame.retry_count}}},
      {"StateMachine", JsonObject{{"Id", std::string(kArnPrefix) + "stateMachine:" + machine}, {"Name", machine}}}};
  if (!token.empty()) out["Task"] = JsonObject{{"Token", token}};
  for (const Frame* at = &frame;; at = &state_.frames.at(at->parent)) {
    if (!at->item.is_null()) {
      out["Map"] = JsonObject{{"Item", at->item}};
      break;
    }
    if (at->parent == 0) break;
  }
  return out;
}

std::map<std::string, Json> Interpreter::variables_of(const Frame& frame) const {
  std::map<std::string, Json> out = frame.variables;
  for (std::int64_t at = frame.parent; at != 0; at = state_.frames.at(at).parent)
    for (const auto& [name, value] : state_.frames.at(at).variables) out.emplace(name, value);
  return out;
}

std::unique_ptr<Interpreter::Scope> Interpreter::scope_of(const Frame& frame, Json input, const std::string& token) {
  auto out = std::make_unique<Scope>();
  out->input = std::move(input);
  out->context = context_of(frame, token);
  out->variables = variables_of(frame);
  out->fields = {.jsonata = is_jsonata(machine_of(frame), state_of(frame)),
                 .input = &out->input,
                 .context = &out->context,
                 .variables = &out->variables,
                 .expressions = &expressions_,
                 .now = context_.now,
                 .random = &random_};
  return out;
}

StateResult<Json> Interpreter::effective_input(const Frame& frame, const std::string& token) {
  const JsonObject& state = state_of(frame);
  if (is_jsonata(machine_of(frame), state)) return frame.input;
  Json out = frame.input;
  if (const Json* path = get(state, "InputPath")) {
    if (path->is_null()) {
      out = JsonObject{};
    } else {
      auto value = evaluate_path(path->get_string(), scope_of(frame, frame.input)->fields, "States.Runtime");
      if (!value) return value;
      out = std::move(*value);
    }
  }
  const Json* parameters = get_string(state, "Type") == "Map" ? nullptr : get(state, "Parameters");
  if (!parameters) return out;
  return fill(*parameters, scope_of(frame, std::move(out), token)->fields);
}

StateResult<JsonObject> Interpreter::assigned_by(const JsonObject& assign, Scope& scope) {
  auto values = fill(assign, scope.fields);
  if (!values) return std::unexpected(values.error());
  return std::move(values->get_object());
}

StateResult<Json> Interpreter::checked(const Frame& frame, Json value) const {
  if (to_text(value).size() <= kStateBytesMax) return value;
  return state_error(
      "States.DataLimitExceeded",
      "The state/task '" + frame.state + "' returned a result with a size exceeding the maximum number of bytes service limit.");
}

std::int64_t Interpreter::start(engine::OperationRequest request) {
  decision_.start.push_back(std::move(request));
  return context_.run.next_operation + static_cast<std::int64_t>(decision_.start.size()) - 1;
}

std::int64_t Interpreter::start_timer(const Frame& frame, std::string kind, TimePoint due) {
  engine::OperationRequest request;
  request.type = engine::OperationType::Wait;
  request.name = frame.state;
  request.kind = std::move(kind);
  request.due = due;
  return start(std::move(request));
}

void Interpreter::event(Frame& frame, std::string type, std::string_view details_key, JsonObject details) {
  JsonObject out{
      {"id", ++state_.events}, {"previousEventId", frame.last_event}, {"timestamp", to_unix_ms(context_.now)}, {"type", std::move(type)}};
  if (!details_key.empty()) {
    for (const auto& member : details)
      if (member.value().is_string()) log_bytes_ += member.value().get_string().size();
    out[details_key] = std::move(details);
  }
  frame.last_event = state_.events;
  state_.log.push_back(std::move(out));
}

}  // namespace mayfly::workflow
