#include "function/durable/durable_program.h"

#include <algorithm>

#include "base/hash.h"
#include "function/durable/checkpoint.h"
#include "function/durable/invocation_outcome.h"
#include "function/durable/tokens.h"

namespace mayfly::function {
namespace {

using engine::Completion;
using engine::Decision;
using engine::ExecutionStatus;
using engine::Operation;
using engine::OperationStatus;
using engine::OperationType;
using engine::ProgramContext;
using engine::Reaction;

constexpr std::size_t kRequestsKept = 64;

const JsonObject& object_of(const Json& value) {
  static const JsonObject kEmpty;
  return value.is_object() ? value.get_object() : kEmpty;
}
Json value_of(const JsonObject& from, std::string_view key) {
  const Json* value = get(from, key);
  return value ? *value : Json(nullptr);
}

bool is_final(std::string_view status) { return status != "STARTED" && status != "PENDING" && status != "READY"; }

/// The status, event and error of an operation that the engine ends.
struct Ending {
  std::string status;
  Json error;
};

Ending callback_ending(const Operation& op, const OperationNote& note) {
  if (op.status != OperationStatus::TimedOut)
    return {std::string(engine::to_string(op.status)), op.error ? make_error_object("", op.error->message) : Json(nullptr)};
  const bool heartbeat = note.heartbeat_at && (!note.timeout_at || *note.heartbeat_at < *note.timeout_at);
  return {"TIMED_OUT", heartbeat ? make_error_object("Callback.Heartbeat", "Callback timed out on heartbeat")
                                 : make_error_object("Callback.Timeout", "Callback timed out")};
}

Ending invoke_ending(const Operation& op, OperationNote& note) {
  const JsonObject& result = object_of(op.result);
  if (note.child.empty()) note.child = get_string(result, "DurableExecutionArn");
  if (!op.error) return {"SUCCEEDED", nullptr};
  if (op.error->code == "run.deadline") {
    const std::int64_t limit = get_int(object_of(op.input), "wall_time_ms") / 1000;
    return {"TIMED_OUT",
            make_error_object("ChainedInvoke.Timeout", "CHAINED_INVOKE timed out after " + std::to_string(limit) + " seconds.")};
  }
  const bool stopped = op.error->code == "run.cancelled" || op.error->code == "function.stopped";
  const Json* error = get(result, "Error");
  return {stopped ? "STOPPED" : "FAILED", error ? *error : make_error_object("", op.error->message)};
}

std::string event_type(OperationType type, std::string_view status) {
  const std::string what = status == "SUCCEEDED"   ? "Succeeded"
                           : status == "FAILED"    ? "Failed"
                           : status == "TIMED_OUT" ? "TimedOut"
                           : status == "STOPPED"   ? "Stopped"
                                                   : "Cancelled";
  return (type == OperationType::Wait ? "Wait" : type == OperationType::Callback ? "Callback" : "ChainedInvoke") + what;
}

/// While an invocation is under way, what it has not been told of has no place in the history yet.
void record_ending(DurableState& state, std::int64_t operation, OperationNote& note, std::string type, TimePoint now) {
  if (!state.outcome.is_null()) return;  // the history has ended already
  HistoryEvent event{.type = std::move(type), .time = now};
  if (state.invocation != 0) {
    event.operation = operation;
    state.held.push_back(std::move(event));
    return;
  }
  event.id = state.next_event();
  note.events.push_back(std::move(event));
}

std::string end_event(ExecutionStatus status) {
  switch (status) {
    case ExecutionStatus::Succeeded: return "ExecutionSucceeded";
    case ExecutionStatus::TimedOut: return "ExecutionTimedOut";
    case ExecutionStatus::Stopped: return "ExecutionStopped";
    default: return "ExecutionFailed";
  }
}

Result<Reaction> checkpoint(ProgramContext context, const JsonObject& body) {
  DurableState state = durable_state_from_json(context.run.state);
  const CheckpointToken token = checkpoint_token_from_json(value_of(body, "token"));
  const std::string client_token = get_string(body, "client_token"), fingerprint = get_string(body, "fingerprint");
  const auto answer = [](std::int64_t sequence, std::int64_t change, const std::vector<std::int64_t>& operations) {
    JsonArray numbers;
    for (const std::int64_t number : operations) numbers.push_back(number);
    return JsonObject{{"sequence", sequence}, {"change", change}, {"operations", std::move(numbers)}};
  };
  if (!owns(context.run, state, token))
    return fail("checkpoint.invalid_token", "Invalid checkpoint token: a later invocation owns the execution");
  if (token.sequence == state.last.sequence &&
      (fingerprint == state.last.fingerprint || (!client_token.empty() && client_token == state.last.client_token)))
    return Reaction{{}, answer(state.sequence, state.change, state.last.operations)};
  if (token.sequence != state.sequence || !state.outcome.is_null())
    return fail("checkpoint.invalid_token", "Invalid checkpoint token: a later checkpoint has replaced it");

  const JsonArray* updates_json = get_array(body, "updates");
  auto updates = parse_updates(updates_json ? *updates_json : JsonArray());
  if (!updates) return std::unexpected(updates.error());
  if (auto valid = validate(*updates, context, state); !valid) return std::unexpected(valid.error());

  std::erase_if(state.changed, [&](const DurableState::Change& change) { return change.number <= token.change; });
  Reaction out{Decision{}, nullptr};
  release_held(context, state, *out.decision);
  apply(*updates, context, state, *out.decision);
  complete_due(context, state, *out.decision);
  // An EXECUTION update ends the history; the run ends with the invocation.
  if (const JsonObject* outcome = state.outcome.if_object())
    state.tail.push_back(
        {.id = state.next_event(),
         .type = end_event(get_string(*outcome, "Status") == "SUCCEEDED" ? ExecutionStatus::Succeeded : ExecutionStatus::Failed),
         .time = context.now});
  DurableState::Checkpoint last{token.sequence, client_token, fingerprint, {}};
  for (const DurableState::Change& change : state.changed) last.operations.push_back(change.operation);
  std::ranges::sort(last.operations);
  state.changed.clear();
  ++state.sequence;
  out.answer = answer(state.sequence, state.change, last.operations);
  state.last = std::move(last);
  context.run.state = to_json(state);
  return out;
}

/// True when the same request has been carried out before; else remembers it.
bool is_repeat(DurableState& state, const JsonObject& body) {
  const std::string request = get_string(body, "request");
  if (request.empty()) return false;
  if (std::ranges::find(state.requests, request) != state.requests.end()) return true;
  state.requests.push_back(request);
  if (state.requests.size() > kRequestsKept) state.requests.erase(state.requests.begin());
  return false;
}

Result<Reaction> callback(ProgramContext context, const JsonObject& body) {
  DurableState state = durable_state_from_json(context.run.state);
  if (is_repeat(state, body)) return Reaction{{}, nullptr};
  const auto found = KnownOperations(context).find(get_string(body, "operation"));
  if (found.where == KnownOperations::Where::Ended && found.ended.status == OperationStatus::TimedOut)
    return fail("callback.ended", "the callback has timed out");
  if (found.where == KnownOperations::Where::Ended) return fail("callback.ended", "the callback has been answered already");
  if (found.where != KnownOperations::Where::Pending || found.pending->type != OperationType::Callback)
    return fail("callback.not_found", "there is no such callback");
  OperationNote note = note_from_json(found.pending->note);
  if (!equal_constant_time(note.callback_id, get_string(body, "id"))) return fail("callback.not_found", "there is no such callback");

  Reaction out{Decision{}, nullptr};
  const std::string action = get_string(body, "action");
  const std::int64_t id = found.pending->id;
  if (action == "heartbeat") {
    if (note.heartbeat > 0) {
      note.heartbeat_at = context.now + Millis{note.heartbeat * 1000};
      out.decision->timers.push_back({id, note.timeout_at ? std::min(*note.timeout_at, *note.heartbeat_at) : *note.heartbeat_at});
    }
  } else {
    const bool ok = action == "succeed";
    note.error = value_of(body, "error");
    note.status = ok ? "SUCCEEDED" : "FAILED";
    record_ending(state, id, note, ok ? "CallbackSucceeded" : "CallbackFailed", context.now);
    engine::OperationEnd end{id, ok ? OperationStatus::Succeeded : OperationStatus::Failed, nullptr, {}};
    if (ok)
      end.result = value_of(body, "result");
    else
      end.error = Error{"operation.failed", describe_error_object(note.error), Retry::Never};
    out.decision->end.push_back(std::move(end));
    state.touch(id);
    invoke_if_idle(context, state, *out.decision);
  }
  found.pending->note = to_json(note);
  context.run.state = to_json(state);
  return out;
}

/// A child tells its ARN when it begins.
Result<Reaction> child(ProgramContext context, const JsonObject& body) {
  engine::PendingOperation* op = context.run.find_pending(get_int(body, "number"));
  if (!op || op->type != OperationType::ChainedInvoke) return Reaction{{}, nullptr};
  OperationNote note = note_from_json(op->note);
  if (!note.child.empty()) return Reaction{{}, nullptr};
  note.child = get_string(body, "arn");
  op->note = to_json(note);
  return Reaction{Decision{}, nullptr};
}

Result<Reaction> stop(ProgramContext context, const JsonObject& body) {
  DurableState state = durable_state_from_json(context.run.state);
  Json error = value_of(body, "error");
  if (error.is_null()) error = make_error_object("", "Execution stopped by user request");
  Reaction out{Decision{}, nullptr};
  if (const JsonObject* outcome = state.outcome.if_object()) {
    out.decision->complete = completion_of(context.run, state, *outcome);
    return out;
  }
  Completion completion = failure_of(context.run, state, std::move(error));
  completion.status = ExecutionStatus::Stopped;
  completion.error->code = "function.stopped";
  out.decision->complete = std::move(completion);
  return out;
}

}  // namespace

Decision DurableProgram::begin(ProgramContext context, const Json& input) const {
  const JsonObject& from = object_of(input);
  DurableState state;
  state.name = get_string(from, "name");
  state.version = get_string(from, "version");
  state.timeout = get_int(from, "timeout");
  state.events = 1;  // ExecutionStarted
  context.run.summary = JsonObject{{"kind", "durable"}, {"name", state.name}, {"version", state.version}};
  Decision out;
  invoke_if_idle(context, state, out);
  context.run.state = to_json(state);
  return out;
}

Decision DurableProgram::ended(ProgramContext context, const Operation& operation) const {
  DurableState state = durable_state_from_json(context.run.state);
  Decision out;
  if (operation.id == state.invocation) {
    out = after_invocation(context, state, operation);
  } else if (operation.id == state.backoff) {
    state.backoff = 0;
    invoke_if_idle(context, state, out);
  } else {
    state.touch(operation.id);
    invoke_if_idle(context, state, out);
  }
  context.run.state = to_json(state);
  return out;
}

Decision DurableProgram::message(ProgramContext, const Operation&) const { return {}; }

bool DurableProgram::may_repeat(ProgramContext, const engine::PendingOperation&, const Error&) const { return true; }

engine::OnUnknownOutcome DurableProgram::on_unknown(ProgramContext, const engine::PendingOperation&) const {
  return engine::OnUnknownOutcome::Retry;
}

void DurableProgram::closing(ProgramContext context, Operation& operation) const {
  const bool invocation = operation.key.empty() && operation.kind == kInvocationKind;
  if (operation.key.empty() && !invocation) return;
  OperationNote note = note_from_json(operation.note);
  if (!invocation && is_final(note.status)) return;
  DurableState state = durable_state_from_json(context.run.state);
  if (invocation) {
    note.events.push_back({.id = state.next_event(), .type = "InvocationCompleted", .time = context.now});
  } else {
    // What the end of the run cuts off stays as it was.
    if (operation.status == OperationStatus::Cancelled) return;
    Ending ending{std::string(engine::to_string(operation.status)), nullptr};
    if (operation.type == OperationType::Callback) ending = callback_ending(operation, note);
    if (operation.type == OperationType::ChainedInvoke) ending = invoke_ending(operation, note);
    note.status = ending.status;
    note.error = std::move(ending.error);
    record_ending(state, operation.id, note, event_type(operation.type, note.status), context.now);
  }
  operation.note = to_json(note);
  context.run.state = to_json(state);
}

void DurableProgram::completing(ProgramContext context, const Completion& completion) const {
  DurableState state = durable_state_from_json(context.run.state);
  if (state.tail.empty()) {
    for (HistoryEvent& held : state.held) {
      held.id = state.next_event();
      held.time = context.now;
      state.tail.push_back(std::move(held));
    }
    state.held.clear();
    state.tail.push_back({.id = state.next_event(), .time = context.now});
  }
  // One that an EXECUTION update has written may have been overtaken by the deadline.
  state.tail.back().type = end_event(completion.status);
  state.last = {};
  state.changed.clear();
  state.requests.clear();
  context.run.state = to_json(state);
}

Decision DurableProgram::ready(ProgramContext context, const engine::PendingOperation& operation) const {
  DurableState state = durable_state_from_json(context.run.state);
  Decision out;
  if (engine::PendingOperation* step = context.run.find_pending(operation.id)) {
    OperationNote note = note_from_json(step->note);
    note.status = "READY";
    note.next_attempt.reset();
    step->note = to_json(note);
  }
  state.touch(operation.id);
  invoke_if_idle(context, state, out);
  context.run.state = to_json(state);
  return out;
}

Result<Reaction> DurableProgram::command(ProgramContext context, const Json& body) const {
  const JsonObject& what = object_of(body);
  const std::string name = get_string(what, "do");
  if (name == "checkpoint") return checkpoint(context, what);
  if (name == "callback") return callback(context, what);
  if (name == "stop") return stop(context, what);
  if (name == "child") return child(context, what);
  return fail("program.no_commands", "a durable execution does not know the command '" + name + "'");
}

}  // namespace mayfly::function
