#include "workflow/interpreter.h"

#include <algorithm>
#include <cmath>

#include "base/hash.h"

namespace mayfly::workflow {
namespace {

using engine::Completion;
using engine::Decision;
using engine::ExecutionStatus;
using engine::OperationType;

constexpr int kTransitionsMax = 200;              // before others get their turn
constexpr std::size_t kLogBytesMax = 256 * 1024;  // likewise
constexpr std::size_t kRunBytesMax = 4 * 1024 * 1024;

std::string entered_type(const std::string& type) { return type + "StateEntered"; }

bool matches(const JsonObject& rule, const StateError& error) {
  const JsonArray* names = get_array(rule, "ErrorEquals");
  if (!names || error.error == "States.Runtime") return false;
  const bool timeout = error.error == "States.Timeout" || error.error == "States.HeartbeatTimeout";
  for (const Json& name : *names) {
    if (!name.is_string()) continue;
    const std::string_view wanted = name.get_string();
    if (wanted == error.error) return true;
    if (wanted == "States.ALL" && error.error != "States.DataLimitExceeded") return true;
    if (wanted == "States.Timeout" && timeout) return true;
    if (wanted == "States.TaskFailed" && !timeout && error.error != "States.DataLimitExceeded") return true;
  }
  return false;
}

}  // namespace

Interpreter::Interpreter(engine::ProgramContext context, const StateMachine& machine, Expressions& expressions)
    : context_(context),
      machine_(machine),
      expressions_(expressions),
      state_(workflow_state_from_json(context.run.state)),
      random_(stable_hash64(context.run.id + "/" + std::to_string(context.run.next_operation) + "/" + std::to_string(context.run.events))) {
}

Decision Interpreter::begin(const Json& input) {
  const JsonObject* given = input.if_object();
  if (given) state_.identity = *given;
  if (const Json* value = given ? get(*given, "input") : nullptr) state_.input = *value;
  if (state_.input.is_null() && given && !given->contains("input")) state_.input = JsonObject{};
  state_.identity.erase("input");
  state_.started = context_.now;
  Frame root;
  root.id = state_.next_frame++;
  root.state = get_string(machine_.definition(), "StartAt");
  root.input = state_.input;
  event(root, "ExecutionStarted", "executionStartedEventDetails", {{"input", to_text(state_.input)}});
  state_.ready.push_back(root.id);
  state_.frames.emplace(root.id, std::move(root));
  if (const std::int64_t seconds = get_int(machine_.definition(), "TimeoutSeconds"); seconds > 0)
    state_.deadline = start({.type = OperationType::Wait,
                             .name = "TimeoutSeconds",
                             .kind = "deadline",
                             .input = {},
                             .key = {},
                             .note = {},
                             .retry = {},
                             .due = context_.now + Millis{seconds * 1000}});
  return go();
}

Decision Interpreter::ended(const engine::Operation& operation) {
  if (operation.id == state_.yield) {
    state_.yield = 0;
    return go();
  }
  if (operation.id == state_.deadline) {
    state_.deadline = 0;
    complete(
        {ExecutionStatus::TimedOut, nullptr, Error{"States.Timeout", "the execution took longer than its TimeoutSeconds", Retry::Never}});
    return go();
  }
  for (auto& [id, frame] : state_.frames) {
    if (operation.id != frame.invoke && operation.id != frame.waiting && operation.id != frame.timer) continue;
    if (operation.id == frame.waiting && frame.phase == Frame::Phase::Retrying) {
      frame.waiting = 0;
      frame.phase = Frame::Phase::Working;
      ++frame.retry_count;
      state_.ready.push_back(id);
    } else if (operation.kind == "wait") {
      frame.waiting = 0;
      succeed(frame, nullptr);
    } else {
      task_ended(frame, operation);
    }
    break;
  }
  return go();
}

Decision Interpreter::go() {
  for (int transitions = 0; !state_.ready.empty() && !is_over_; ++transitions) {
    if (transitions >= kTransitionsMax || log_bytes_ > kLogBytesMax) {
      if (state_.yield == 0)
        state_.yield = start({.type = OperationType::Wait,
                              .name = "next",
                              .kind = "yield",
                              .input = {},
                              .key = {},
                              .note = {},
                              .retry = {},
                              .due = context_.now});
      break;
    }
    const std::int64_t id = state_.ready.front();
    state_.ready.erase(state_.ready.begin());
    const auto at = state_.frames.find(id);
    if (at == state_.frames.end()) continue;
    if (at->second.phase == Frame::Phase::Entering) enter(at->second);
    if (!is_over_ && state_.frames.contains(id)) work(state_.frames.at(id));
  }
  if (!is_over_ && state_.events >= kEventsMax)
    complete({ExecutionStatus::Failed, nullptr,
              Error{"States.Runtime", "The execution reached the maximum number of history events (" + std::to_string(kEventsMax) + ").",
                    Retry::Never}});
  return std::move(decision_);
}

void Interpreter::enter(Frame& frame) {
  frame.entered = context_.now;
  frame.phase = Frame::Phase::Working;
  frame.retries.clear();
  frame.retry_count = 0;
  const std::string type = get_string(state_of(frame), "Type");
  event(frame, entered_type(type), "stateEnteredEventDetails", {{"name", frame.state}, {"input", to_text(frame.input)}});
}

void Interpreter::work(Frame& frame) {
  if (state_.events >= kEventsMax)
    return complete(
        {ExecutionStatus::Failed, nullptr,
         Error{"States.Runtime", "The execution reached the maximum number of history events (" + std::to_string(kEventsMax) + ").",
               Retry::Never}});
  const std::string type = get_string(state_of(frame), "Type");
  if (type == "Pass" || type == "Succeed") return pass(frame);
  if (type == "Choice") return choose_next(frame);
  if (type == "Wait") return wait(frame);
  if (type == "Fail") return fail_by_definition(frame);
  if (type == "Parallel") return start_parallel(frame);
  if (type == "Map") return start_map(frame);
  start_task(frame);
}

void Interpreter::pass(Frame& frame) {
  const JsonObject& state = state_of(frame);
  if (is_jsonata(machine_of(frame), state) || get_string(state, "Type") == "Succeed") return succeed(frame, nullptr);
  auto result = effective_input(frame);
  if (!result) return state_failed(frame.id, result.error());
  if (const Json* constant = get(state, "Result")) *result = *constant;
  succeed(frame, *result);
}

void Interpreter::choose_next(Frame& frame) {
  const JsonObject& state = state_of(frame);
  auto input = effective_input(frame);
  if (!input) return state_failed(frame.id, input.error());
  const auto scope = scope_of(frame, *input);
  const JsonArray& choices = *get_array(state, "Choices");
  const auto chosen = choose(choices, scope->fields);
  if (!chosen) return state_failed(frame.id, chosen.error());
  const JsonObject& rule = *chosen ? choices[**chosen].get_object() : state;
  const std::string next = *chosen ? get_string(rule, "Next") : get_string(state, "Default");
  if (next.empty())
    return state_failed(frame.id, {"States.NoChoiceMatched",
                                   "Failed to transition out of the state '" + frame.state + "': no choice holds and there is no Default"});
  std::optional<JsonObject> assigned;
  if (const JsonObject* assign = get_object(rule, "Assign")) {
    auto values = assigned_by(*assign, *scope);
    if (!values) return state_failed(frame.id, values.error());
    assigned = std::move(*values);
  }
  Json output = *input;
  if (scope->fields.jsonata) {
    const Json* wanted = get(rule, "Output");
    if (!wanted) wanted = get(state, "Output");
    if (wanted) {
      auto value = fill(*wanted, scope->fields);
      if (!value) return state_failed(frame.id, value.error());
      output = std::move(*value);
    }
  } else if (const Json* path = get(state, "OutputPath")) {
    if (path->is_null()) {
      output = JsonObject{};
    } else {
      auto value = evaluate_path(path->get_string(), scope->fields, "States.Runtime");
      if (!value) return state_failed(frame.id, value.error());
      output = std::move(*value);
    }
  }
  leave(frame, std::move(output), assigned ? &*assigned : nullptr, next);
}

void Interpreter::wait(Frame& frame) {
  const JsonObject& state = state_of(frame);
  auto input = effective_input(frame);
  if (!input) return state_failed(frame.id, input.error());
  const auto scope = scope_of(frame, *input);
  const std::string_view problem = scope->fields.jsonata ? "States.QueryEvaluationError" : "States.Runtime";
  auto seconds = field(state, "Seconds", scope->fields);
  if (!seconds) return state_failed(frame.id, seconds.error());
  TimePoint due{};
  if (*seconds) {
    const Json& value = **seconds;
    const double number = value.is_int64() ? static_cast<double>(value.get_int64()) : value.is_double() ? value.get_double() : -1;
    if (number < 0 || number > 99'999'999)
      return state_failed(frame.id, {std::string(problem), "Seconds must be a number from 0 to 99999999"});
    due = context_.now + Millis{static_cast<std::int64_t>(number) * 1000};
  } else {
    auto timestamp = field(state, "Timestamp", scope->fields);
    if (!timestamp) return state_failed(frame.id, timestamp.error());
    const auto time = *timestamp && (*timestamp)->is_string() ? parse_rfc3339((*timestamp)->get_string()) : fail("time.invalid", "no text");
    if (!time) return state_failed(frame.id, {std::string(problem), "Timestamp must be a time such as 2026-11-23T15:00:00Z"});
    due = *time;
  }
  frame.waiting = start_timer(frame, "wait", std::max(due, context_.now));
}

void Interpreter::fail_by_definition(Frame& frame) {
  const JsonObject& state = state_of(frame);
  const auto scope = scope_of(frame, frame.input);
  const auto text = [&](std::string_view name) -> StateResult<std::string> {
    auto value = field(state, name, scope->fields);
    if (!value) return std::unexpected(value.error());
    if (!*value) return std::string();
    return (*value)->is_string() ? std::string((*value)->get_string()) : to_text(**value);
  };
  auto error = text("Error"), cause = text("Cause");
  if (!error) return frame_failed(frame.id, error.error());
  if (!cause) return frame_failed(frame.id, cause.error());
  frame_failed(frame.id, {*error, *cause});
}

void Interpreter::succeed(Frame& frame, const Json& result) {
  const JsonObject& state = state_of(frame);
  const std::string type = get_string(state, "Type");
  const bool has_result = type == "Task" || type == "Parallel" || type == "Map" || type == "Pass";
  const auto scope = scope_of(frame, frame.input);
  FieldScope& fields = scope->fields;
  Json output = frame.input;
  scope->result = result;
  std::optional<JsonObject> assigned;
  if (fields.jsonata) {
    if (has_result && type != "Pass") {
      fields.result = &scope->result;
      output = result;
    }
    if (const Json* wanted = get(state, "Output")) {
      auto value = fill(*wanted, fields);
      if (!value) return state_failed(frame.id, value.error());
      output = std::move(*value);
    }
  } else if (has_result) {
    Json value = result;
    if (const Json* selector = type == "Pass" ? nullptr : get(state, "ResultSelector")) {
      const auto selecting = scope_of(frame, result);
      auto selected = fill(*selector, selecting->fields);
      if (!selected) return state_failed(frame.id, selected.error());
      value = std::move(*selected);
    }
    const Json* path = get(state, "ResultPath");
    if (!path) {
      output = std::move(value);
    } else if (path->is_string()) {
      const auto parsed = JsonPath::parse(path->get_string());
      if (!parsed || !parsed->assign(output, std::move(value)))
        return state_failed(frame.id, {"States.ResultPathMatchFailure",
                                       "Unable to apply the ResultPath '" + std::string(path->get_string()) + "' to the input"});
    }
  } else {
    auto input = effective_input(frame);
    if (!input) return state_failed(frame.id, input.error());
    output = std::move(*input);
  }
  if (const Json* path = fields.jsonata ? nullptr : get(state, "OutputPath")) {
    const auto selecting = scope_of(frame, output);
    auto value = path->is_null() ? StateResult<Json>(JsonObject{}) : evaluate_path(path->get_string(), selecting->fields, "States.Runtime");
    if (!value) return state_failed(frame.id, value.error());
    output = std::move(*value);
  }
  if (const JsonObject* assign = get_object(state, "Assign")) {
    if (!fields.jsonata && has_result) scope->input = result;
    auto values = assigned_by(*assign, *scope);
    if (!values) return state_failed(frame.id, values.error());
    assigned = std::move(*values);
  }
  leave(frame, std::move(output), assigned ? &*assigned : nullptr, get_string(state, "Next"));
}

void Interpreter::leave(Frame& frame, Json output, const JsonObject* assigned, const std::string& next) {
  auto fits = checked(frame, std::move(output));
  if (!fits) return frame_failed(frame.id, fits.error());
  const std::string type = get_string(state_of(frame), "Type");
  JsonObject details{{"name", frame.state}, {"output", to_text(*fits)}};
  if (assigned && !assigned->empty()) {
    JsonObject shown;
    for (const auto& member : *assigned) {
      frame.variables[member.key()] = member.value();
      shown[member.key()] = to_text(member.value());
    }
    details["assignedVariables"] = std::move(shown);
  }
  event(frame, type + "StateExited", "stateExitedEventDetails", std::move(details));
  frame.items = nullptr;
  frame.results.clear();
  if (type == "Succeed" || next.empty()) return frame_ended(frame.id, std::move(*fits));
  frame.state = next;
  frame.input = std::move(*fits);
  frame.phase = Frame::Phase::Entering;
  state_.ready.push_back(frame.id);
}

void Interpreter::state_failed(std::int64_t id, StateError error) {
  Frame& frame = state_.frames.at(id);
  if (error.error == "States.QueryEvaluationError")
    event(frame, "EvaluationFailed", "evaluationFailedEventDetails",
          {{"error", error.error}, {"cause", error.cause}, {"state", frame.state}});
  if (retried(frame, error) || caught(frame, error)) return;
  frame_failed(id, std::move(error));
}

bool Interpreter::retried(Frame& frame, const StateError& error) {
  const JsonArray* retriers = get_array(state_of(frame), "Retry");
  if (!retriers) return false;
  frame.retries.resize(retriers->size());
  for (std::size_t i = 0; i < retriers->size(); ++i) {
    const JsonObject& rule = (*retriers)[i].get_object();
    if (!matches(rule, error)) continue;
    if (frame.retries[i] >= get_int(rule, "MaxAttempts", 3)) return false;
    double seconds = static_cast<double>(get_int(rule, "IntervalSeconds", 1)) *
                     std::pow(get_double(rule, "BackoffRate", 2.0), static_cast<double>(frame.retries[i]));
    seconds = std::min(seconds, static_cast<double>(get_int(rule, "MaxDelaySeconds", 31'622'400)));
    if (get_string(rule, "JitterStrategy") == "FULL") seconds *= random_.unit();
    ++frame.retries[i];
    frame.phase = Frame::Phase::Retrying;
    frame.waiting = start_timer(frame, "retry", context_.now + Millis{static_cast<std::int64_t>(seconds * 1000)});
    return true;
  }
  return false;
}

bool Interpreter::caught(Frame& frame, const StateError& error) {
  const JsonArray* catchers = get_array(state_of(frame), "Catch");
  if (!catchers) return false;
  for (const Json& catcher : *catchers) {
    const JsonObject& rule = catcher.get_object();
    if (!matches(rule, error)) continue;
    const Json error_output = JsonObject{{"Error", error.error}, {"Cause", error.cause}};
    const auto scope = scope_of(frame, frame.input);
    Json output = error_output;
    StateError again;
    if (scope->fields.jsonata) {
      scope->error_output = error_output;
      scope->fields.error_output = &scope->error_output;
      if (const Json* wanted = get(rule, "Output")) {
        auto value = fill(*wanted, scope->fields);
        if (!value) return frame_failed(frame.id, value.error()), true;
        output = std::move(*value);
      }
    } else if (const Json* path = get(rule, "ResultPath")) {
      output = frame.input;
      const auto parsed = path->is_string() ? JsonPath::parse(path->get_string()) : JsonPath::parse("$");
      if (path->is_string() && (!parsed || !parsed->assign(output, error_output)))
        return frame_failed(frame.id, {"States.ResultPathMatchFailure", "Unable to apply the ResultPath of a catcher to the input"}), true;
    }
    std::optional<JsonObject> assigned;
    if (const JsonObject* assign = get_object(rule, "Assign")) {
      if (!scope->fields.jsonata) scope->input = error_output;
      auto values = assigned_by(*assign, *scope);
      if (!values) return frame_failed(frame.id, values.error()), true;
      assigned = std::move(*values);
    }
    leave(frame, std::move(output), assigned ? &*assigned : nullptr, get_string(rule, "Next"));
    return true;
  }
  return false;
}

void Interpreter::frame_failed(std::int64_t id, StateError error) {
  stop_operations(state_.frames.at(id));
  const std::int64_t parent = state_.frames.at(id).parent;
  if (parent != 0) return child_failed(parent, id, std::move(error));
  complete({ExecutionStatus::Failed, nullptr, Error{std::move(error.error), std::move(error.cause), Retry::Never}});
}

void Interpreter::frame_ended(std::int64_t id, Json output) {
  const std::int64_t parent = state_.frames.at(id).parent;
  if (parent != 0) return child_ended(parent, id, std::move(output));
  complete({ExecutionStatus::Succeeded, std::move(output), {}});
}

void Interpreter::complete(Completion completion) {
  if (is_over_) return;
  is_over_ = true;
  decision_.complete = std::move(completion);
}

void Interpreter::completing(const Completion& completion) {
  std::int64_t last = 0;
  if (const auto root = state_.frames.find(1); root != state_.frames.end()) last = root->second.last_event;
  Frame end;
  end.last_event = last;
  JsonObject reason{{"error", completion.error ? completion.error->code : ""},
                    {"cause", completion.error ? completion.error->message : ""}};
  if (completion.error && completion.error->code == "run.cancelled") {
    // Whoever stops an execution may give an error and a cause, which the engine carries as one text.
    reason = {{"error", ""}, {"cause", completion.error->message}};
    if (const auto given = parse_json(completion.error->message); given && given->is_object() && given->get_object().contains("cause"))
      reason = {{"error", get_string(given->get_object(), "error")}, {"cause", get_string(given->get_object(), "cause")}};
  }
  switch (completion.status) {
    case ExecutionStatus::Succeeded:
      event(end, "ExecutionSucceeded", "executionSucceededEventDetails", {{"output", to_text(completion.result)}});
      break;
    case ExecutionStatus::TimedOut: event(end, "ExecutionTimedOut", "executionTimedOutEventDetails", reason); break;
    case ExecutionStatus::Stopped: event(end, "ExecutionAborted", "executionAbortedEventDetails", reason); break;
    default: event(end, "ExecutionFailed", "executionFailedEventDetails", reason); break;
  }
  state_.frames.clear();
  state_.ready.clear();
  state_.input = nullptr;
}

std::optional<Completion> Interpreter::save() {
  context_.run.state = to_json(state_);
  if (is_over_ || state_.frames.size() < 8 || to_text(context_.run.state).size() <= kRunBytesMax) return std::nullopt;
  return Completion{
      ExecutionStatus::Failed, nullptr,
      Error{"States.DataLimitExceeded",
            "the branches and iterations of the execution hold more than 4 MiB together; pass less data to each, or lower MaxConcurrency",
            Retry::Never}};
}

}  // namespace mayfly::workflow
