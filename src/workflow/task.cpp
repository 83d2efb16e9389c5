#include <algorithm>

#include "workflow/interpreter.h"

namespace mayfly::workflow {
namespace {

using engine::Operation;
using engine::OperationStatus;
using engine::OperationType;

bool is_lambda(const Resource& resource) { return resource.kind == Resource::Kind::Function; }
bool is_answered_by_token(const Resource& resource) {
  return resource.kind == Resource::Kind::Activity || resource.pattern == Resource::Pattern::WaitForTaskToken;
}
std::string prefix_of(const Resource& resource) {
  return resource.kind == Resource::Kind::Activity ? "Activity" : is_lambda(resource) ? "LambdaFunction" : "Task";
}
std::string details_of(const Resource& resource, std::string_view what) {
  std::string prefix = prefix_of(resource);
  prefix[0] = static_cast<char>(prefix[0] - 'A' + 'a');
  return prefix + std::string(what) + "EventDetails";
}
JsonObject base_of(const Resource& resource) {
  if (resource.kind == Resource::Kind::Activity || is_lambda(resource)) return {};
  return {{"resourceType", resource.resource_type}, {"resource", resource.resource}};
}
const JsonObject& object_of(const Json& value) {
  static const JsonObject kEmpty;
  return value.is_object() ? value.get_object() : kEmpty;
}
Json value_of(const JsonObject& object, std::string_view key) {
  const Json* value = get(object, key);
  return value ? *value : Json(nullptr);
}
/// The JSON that a function's text means; a text that is none stands for itself.
Json parsed(const Json& value) {
  if (!value.is_string()) return value;
  auto out = parse_json(value.get_string());
  return out ? std::move(*out) : value;
}

/// As Lambda's integration names failures: the error's type, and all of it as the cause.
StateError function_error(const Operation& operation) {
  const Json held = value_of(object_of(operation.result), "Error");
  const JsonObject& error = object_of(held);
  if (error.empty()) {
    const Error& reason = *operation.error;
    return {reason.code.ends_with("not_found") ? "Lambda.ResourceNotFoundException" : "Lambda.Unknown", reason.message};
  }
  JsonObject cause;
  for (const auto& [from, to] : std::initializer_list<std::pair<std::string_view, std::string_view>>{
           {"ErrorMessage", "errorMessage"}, {"ErrorType", "errorType"}, {"StackTrace", "stackTrace"}})
    if (const Json* value = get(error, from)) cause[to] = *value;
  std::string name = get_string(error, "ErrorType");
  return {name.empty() ? "Error" : std::move(name), to_text(cause)};
}

StateError error_of(const Resource& resource, const Operation& operation) {
  if (operation.type == OperationType::Callback) {
    const JsonObject& given = object_of(operation.result);
    if (given.contains("Error")) return {get_string(given, "Error"), get_string(given, "Cause")};
    return {"States.TaskFailed", operation.error ? operation.error->message : ""};
  }
  const Error reason = operation.error.value_or(Error{"operation.cancelled", "it was cancelled", Retry::Never});
  if (reason.code == "run.deadline") return {"States.Timeout", reason.message};
  switch (resource.kind) {
    case Resource::Kind::Function:
    case Resource::Kind::FunctionInvoke: {
      Operation named = operation;
      named.error = reason;
      return function_error(named);
    }
    case Resource::Kind::Workflow:
      return {"States.TaskFailed", to_text(JsonObject{{"Error", reason.code}, {"Cause", reason.message}, {"Status", "FAILED"}})};
    default: return {reason.code, reason.message};
  }
}

}  // namespace

StateResult<std::int64_t> Interpreter::seconds_of(const Frame& frame, std::string_view name, const FieldScope& scope) {
  auto value = field(state_of(frame), name, scope);
  if (!value) return std::unexpected(value.error());
  if (!*value) return 0;
  const Json& given = **value;
  const std::int64_t seconds = given.is_int64()    ? given.get_int64()
                               : given.is_double() ? static_cast<std::int64_t>(std::min(given.get_double(), 1e8))
                                                   : 0;
  if (seconds < 1 || seconds > 99'999'999)
    return state_error(scope.jsonata ? "States.QueryEvaluationError" : "States.Runtime",
                       std::string(name) + " must be a number from 1 to 99999999");
  return seconds;
}

void Interpreter::start_task(Frame& frame) {
  const JsonObject& state = state_of(frame);
  const auto parsed_resource = parse_resource(get_string(state, "Resource"));
  if (!parsed_resource) return state_failed(frame.id, {"States.Runtime", parsed_resource.error().message});
  const Resource& resource = *parsed_resource;
  const bool by_token = is_answered_by_token(resource);
  const std::int64_t callback = context_.run.next_operation + static_cast<std::int64_t>(decision_.start.size());
  const std::string token = by_token ? make_task_token(context_.run.id, callback) : std::string();
  auto arguments = effective_input(frame, token);
  if (!arguments) return state_failed(frame.id, arguments.error());
  const auto scope = scope_of(frame, *arguments, token);
  if (const Json* given = scope->fields.jsonata ? get(state, "Arguments") : nullptr) {
    arguments = fill(*given, scope->fields);
    if (!arguments) return state_failed(frame.id, arguments.error());
  }
  if (!scope->fields.jsonata) scope->input = frame.input;
  const auto timeout = seconds_of(frame, "TimeoutSeconds", scope->fields), heartbeat = seconds_of(frame, "HeartbeatSeconds", scope->fields);
  if (!timeout) return state_failed(frame.id, timeout.error());
  if (!heartbeat) return state_failed(frame.id, heartbeat.error());
  auto fits = checked(frame, *arguments);
  if (!fits) return state_failed(frame.id, fits.error());

  announce(frame, resource, *arguments, *timeout, *heartbeat);
  frame.timeout_at = *timeout > 0 ? context_.now + Millis{*timeout * 1000} : TimePoint{};
  frame.heartbeat_ms = *heartbeat * 1000;
  if (by_token) {
    engine::OperationRequest request;
    request.type = OperationType::Callback;
    request.name = frame.state;
    request.kind = resource.kind == Resource::Kind::Activity ? "activity" : "task";
    if (*timeout > 0) request.due = frame.timeout_at;
    if (*heartbeat > 0) request.due = std::min(request.due.value_or(TimePoint::max()), context_.now + Millis{frame.heartbeat_ms});
    frame.waiting = start(std::move(request));
  }
  auto done = call(frame, resource, *arguments);
  if (!done) return task_failed(frame, resource, done.error(), false);
  if (*done) return task_succeeded(frame, resource, **done);
  if (!by_token && *timeout > 0) frame.timer = start_timer(frame, "timeout", frame.timeout_at);
}

void Interpreter::announce(Frame& frame, const Resource& resource, const Json& arguments, std::int64_t timeout, std::int64_t heartbeat) {
  JsonObject details = base_of(resource);
  const bool plain = resource.kind == Resource::Kind::Activity || is_lambda(resource);
  if (plain) details["resource"] = resource.arn;
  if (!plain) details["region"] = "us-east-1";
  details[plain ? "input" : "parameters"] = to_text(arguments);
  if (timeout > 0) details["timeoutInSeconds"] = timeout;
  if (heartbeat > 0 && !is_lambda(resource)) details["heartbeatInSeconds"] = heartbeat;
  event(frame, prefix_of(resource) + "Scheduled", details_of(resource, "Scheduled"), std::move(details));
  if (is_lambda(resource)) event(frame, "LambdaFunctionStarted");
  if (!plain) event(frame, "TaskStarted", "taskStartedEventDetails", base_of(resource));
}

StateResult<std::optional<Json>> Interpreter::call(Frame& frame, const Resource& resource, const Json& arguments) {
  using Kind = Resource::Kind;
  const JsonObject& given = object_of(arguments);
  const auto missing = [&](std::string_view what) {
    return state_error("States.Runtime", "the task '" + frame.state + "' needs the parameter " + std::string(what));
  };
  const auto submitted = [&](const Json& output) {
    if (resource.pattern == Resource::Pattern::RequestResponse) return;
    JsonObject details = base_of(resource);
    details["output"] = to_text(output);
    event(frame, "TaskSubmitted", "taskSubmittedEventDetails", std::move(details));
  };
  JsonObject target;
  Json input = arguments;
  std::string session, kind;
  switch (resource.kind) {
    case Kind::Activity:
      decision_.send.push_back(JsonObject{
          {"kind", "activity"}, {"arn", resource.arn}, {"token", make_task_token(context_.run.id, frame.waiting)}, {"input", arguments}});
      return std::optional<Json>();
    case Kind::Function:
      target = {{"function", resource.name}};
      kind = "function";
      break;
    case Kind::FunctionInvoke: {
      std::string name = name_of_arn(get_string(given, "FunctionName"), "function");
      if (name.empty()) return missing("FunctionName");
      if (const std::string qualifier = get_string(given, "Qualifier"); !qualifier.empty()) name += ":" + qualifier;
      target = {{"function", name}};
      kind = "function";
      input = given.contains("Payload") ? value_of(given, "Payload") : Json(JsonObject{});
      break;
    }
    case Kind::Agent:
      target = {{"agent", resource.name}};
      kind = "agent";
      break;
    case Kind::AgentInvoke: {
      const std::string name = name_of_arn(get_string(given, "Agent"), "agent");
      if (name.empty()) return missing("Agent");
      target = {{"agent", name}};
      kind = "agent";
      input = value_of(given, "Input");
      session = get_string(given, "Session");
      break;
    }
    case Kind::Workflow: {
      const std::string name = name_of_arn(get_string(given, "StateMachineArn"), "stateMachine");
      if (name.empty()) return missing("StateMachineArn");
      target = {{"workflow", name}};
      kind = "workflow";
      input = parsed(given.contains("Input") ? value_of(given, "Input") : Json(JsonObject{}));
      break;
    }
    case Kind::Queue: {
      const std::string url = get_string(given, "QueueUrl");
      if (url.empty()) return missing("QueueUrl");
      if (!given.contains("MessageBody")) return missing("MessageBody");
      target = {{"queue", url.substr(url.rfind('/') == std::string::npos ? 0 : url.rfind('/') + 1)}};
      input = value_of(given, "MessageBody");
      session = get_string(given, "MessageGroupId");
      break;
    }
  }
  const bool sends = resource.kind == Kind::Queue || (resource.kind == Kind::Workflow && resource.pattern != Resource::Pattern::Sync &&
                                                      resource.pattern != Resource::Pattern::Sync2);
  if (!sends) {
    engine::OperationRequest request;
    request.type = OperationType::ChainedInvoke;
    request.name = frame.state;
    request.kind = kind;
    JsonObject invoke{{"target", std::move(target)}, {"input", std::move(input)}};
    if (!session.empty()) invoke["session"] = session;
    request.input = std::move(invoke);
    frame.invoke = start(std::move(request));
    if (!is_lambda(resource)) submitted(JsonObject{});
    return std::optional<Json>();
  }
  const std::string id = context_.run.id + "-" + std::to_string(frame.id) + "-" + std::to_string(state_.events);
  const std::string text = input.is_string() ? std::string(input.get_string()) : to_text(input);
  JsonObject event_json{{"specversion", "1.0"},
                        {"id", id},
                        {"source", "workflow/" + get_string(state_.identity, "workflow")},
                        {"type", "mayfly.workflow.task"}};
  if (resource.kind == Kind::Queue) {
    event_json["datacontenttype"] = "text/plain";
    event_json["data"] = text;
  } else {
    event_json["datacontenttype"] = "application/json";
    event_json["data"] = input;
  }
  JsonObject message{{"kind", "deliver"},
                     {"target", target},
                     {"event", std::move(event_json)},
                     {"input", resource.kind == Kind::Queue ? Json(text) : input}};
  if (!session.empty()) message["session"] = session;
  Json answer;
  if (resource.kind == Kind::Queue) {
    const auto uuid = evaluate_intrinsic("States.UUID()", {}, random_);
    const Json body(text);
    const PathScope scope{&body, nullptr, nullptr};
    const auto md5 = evaluate_intrinsic("States.Hash($, 'MD5')", scope, random_);
    answer = JsonObject{{"MD5OfMessageBody", md5 ? *md5 : Json("")}, {"MessageId", uuid ? *uuid : Json(id)}};
  } else {
    std::string name = get_string(given, "Name");
    if (name.empty()) name = id;
    message["name"] = name;
    answer = JsonObject{{"ExecutionArn", std::string(kArnPrefix) + "execution:" + get_string(target, "workflow") + ":" + name},
                        {"StartDate", to_rfc3339(context_.now)}};
  }
  decision_.send.push_back(std::move(message));
  submitted(answer);
  if (resource.pattern == Resource::Pattern::WaitForTaskToken) return std::optional<Json>();
  return std::optional<Json>(std::move(answer));
}

StateResult<Json> Interpreter::task_result(const Resource& resource, const Operation& operation) {
  if (operation.status != OperationStatus::Succeeded) return std::unexpected(error_of(resource, operation));
  if (operation.type == OperationType::Callback) return operation.result;
  switch (resource.kind) {
    case Resource::Kind::Function: return parsed(value_of(object_of(operation.result), "Result"));
    case Resource::Kind::FunctionInvoke:
      return Json(JsonObject{
          {"ExecutedVersion", "$LATEST"}, {"Payload", parsed(value_of(object_of(operation.result), "Result"))}, {"StatusCode", 200}});
    case Resource::Kind::Workflow: {
      const JsonObject& input = object_of(operation.input);
      const std::string name = get_string(object_of(value_of(input, "target")), "workflow"),
                        run = get_string(object_of(operation.meta), "run");
      const bool as_text = resource.pattern == Resource::Pattern::Sync;
      const Json given = value_of(input, "input");
      return Json(JsonObject{{"ExecutionArn", std::string(kArnPrefix) + "execution:" + name + ":" + run},
                             {"Input", as_text ? Json(to_text(given)) : given},
                             {"InputDetails", JsonObject{{"Included", true}}},
                             {"Name", run},
                             {"Output", as_text ? Json(to_text(operation.result)) : operation.result},
                             {"OutputDetails", JsonObject{{"Included", true}}},
                             {"StartDate", to_unix_ms(operation.started)},
                             {"StateMachineArn", std::string(kArnPrefix) + "stateMachine:" + name},
                             {"Status", "SUCCEEDED"},
                             {"StopDate", to_unix_ms(operation.ended)}});
    }
    default: return operation.result;
  }
}

void Interpreter::task_ended(Frame& frame, const Operation& operation) {
  const auto resource = parse_resource(get_string(state_of(frame), "Resource"));
  if (!resource) return;
  if (operation.id == frame.timer) {
    frame.timer = 0;
    return task_failed(frame, *resource, {"States.Timeout", ""}, true);
  }
  const bool is_callback = operation.id == frame.waiting;
  (is_callback ? frame.waiting : frame.invoke) = 0;
  if (is_callback && operation.status == OperationStatus::TimedOut) {
    const bool by_heartbeat = frame.heartbeat_ms > 0 && (frame.timeout_at == TimePoint{} || context_.now < frame.timeout_at);
    return task_failed(frame, *resource, {by_heartbeat ? "States.HeartbeatTimeout" : "States.Timeout", ""}, true);
  }
  // Of a call that gives a token away the answer does not count, only that it failed.
  if (!is_callback && frame.waiting != 0 && operation.status == OperationStatus::Succeeded) return;
  auto result = task_result(*resource, operation);
  if (result) result = checked(frame, std::move(*result));
  if (!result) return task_failed(frame, *resource, result.error(), false);
  task_succeeded(frame, *resource, *result);
}

void Interpreter::task_succeeded(Frame& frame, const Resource& resource, const Json& result) {
  stop_operations(frame);
  JsonObject details = base_of(resource);
  details["output"] = to_text(result);
  event(frame, prefix_of(resource) + "Succeeded", details_of(resource, "Succeeded"), std::move(details));
  succeed(frame, result);
}

void Interpreter::task_failed(Frame& frame, const Resource& resource, StateError error, bool timed_out) {
  stop_operations(frame);
  JsonObject details = base_of(resource);
  details["error"] = error.error;
  details["cause"] = error.cause;
  const std::string_view what = timed_out ? "TimedOut" : "Failed";
  event(frame, prefix_of(resource) + std::string(what), details_of(resource, what), std::move(details));
  state_failed(frame.id, std::move(error));
}

void Interpreter::stop_operations(Frame& frame) {
  for (std::int64_t* id : {&frame.invoke, &frame.waiting, &frame.timer})
    if (const std::int64_t operation = std::exchange(*id, 0); operation != 0)
      decision_.end.push_back(
          {operation, OperationStatus::Cancelled, nullptr, Error{"operation.cancelled", "no longer wanted", Retry::Never}});
}

Result<engine::Decision> Interpreter::command(const JsonObject& body) {
  const std::int64_t operation = get_int(body, "operation");
  const std::string what = get_string(body, "do");
  for (auto& [id, frame] : state_.frames) {
    const engine::PendingOperation* pending = operation == frame.waiting ? context_.run.find_pending(operation) : nullptr;
    if (!pending || pending->type != OperationType::Callback) continue;
    if (what == "activity_started") {
      event(frame, "ActivityStarted", "activityStartedEventDetails", {{"workerName", get_string(body, "worker")}});
      return std::move(decision_);
    }
    if (frame.heartbeat_ms > 0) {
      TimePoint due = context_.now + Millis{frame.heartbeat_ms};
      if (frame.timeout_at != TimePoint{}) due = std::min(due, frame.timeout_at);
      decision_.timers.push_back({operation, due});
    }
    return std::move(decision_);
  }
  return fail("operation.not_waiting", "nobody waits for this task any more");
}

}  // namespace mayfly::workflow
