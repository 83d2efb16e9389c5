#include "engine/core/types.h"

#include <array>

namespace mayfly::engine {
namespace {

template <class E, std::size_t N>
struct Names {
  std::array<std::pair<E, std::string_view>, N> pairs;
  std::string_view of(E value) const {
    for (const auto& [candidate, name] : pairs)
      if (candidate == value) return name;
    return "";
  }
  std::optional<E> from(std::string_view text) const {
    for (const auto& [candidate, name] : pairs)
      if (name == text) return candidate;
    return std::nullopt;
  }
};

constexpr Names<ExecutionStatus, 5> kExecutionStatus{{{{ExecutionStatus::Running, "RUNNING"},
                                                       {ExecutionStatus::Succeeded, "SUCCEEDED"},
                                                       {ExecutionStatus::Failed, "FAILED"},
                                                       {ExecutionStatus::TimedOut, "TIMED_OUT"},
                                                       {ExecutionStatus::Stopped, "STOPPED"}}}};
constexpr Names<OperationType, 6> kOperationType{{{{OperationType::Execution, "EXECUTION"},
                                                   {OperationType::Context, "CONTEXT"},
                                                   {OperationType::Step, "STEP"},
                                                   {OperationType::Wait, "WAIT"},
                                                   {OperationType::Callback, "CALLBACK"},
                                                   {OperationType::ChainedInvoke, "CHAINED_INVOKE"}}}};
constexpr Names<OperationStatus, 9> kOperationStatus{{{{OperationStatus::Started, "STARTED"},
                                                       {OperationStatus::Pending, "PENDING"},
                                                       {OperationStatus::Ready, "READY"},
                                                       {OperationStatus::OutcomeUnknown, "OUTCOME_UNKNOWN"},
                                                       {OperationStatus::Succeeded, "SUCCEEDED"},
                                                       {OperationStatus::Failed, "FAILED"},
                                                       {OperationStatus::Cancelled, "CANCELLED"},
                                                       {OperationStatus::TimedOut, "TIMED_OUT"},
                                                       {OperationStatus::Stopped, "STOPPED"}}}};
constexpr Names<WaitReason::Kind, 6> kWaitKind{{{{WaitReason::Kind::Timer, "timer"},
                                                 {WaitReason::Kind::Callback, "callback"},
                                                 {WaitReason::Kind::Retry, "retry"},
                                                 {WaitReason::Kind::OutcomeUnknown, "outcome_unknown"},
                                                 {WaitReason::Kind::SessionBusy, "session_busy"},
                                                 {WaitReason::Kind::ChainedInvoke, "chained_invoke"}}}};

void put_time(JsonObject& object, std::string_view key, const std::optional<TimePoint>& time) {
  if (time) object[key] = to_unix_ms(*time);
}

std::optional<TimePoint> get_time(const JsonObject& object, std::string_view key) {
  if (!get(object, key)) return std::nullopt;
  return from_unix_ms(get_int(object, key));
}

Json get_value(const JsonObject& object, std::string_view key) {
  const Json* value = get(object, key);
  return value ? *value : Json(nullptr);
}

void put_value(JsonObject& object, std::string_view key, const Json& value) {
  if (!value.is_null()) object[key] = value;
}

PendingOperation pending_from_json(const JsonObject& in) {
  PendingOperation out;
  out.id = get_int(in, "id");
  out.type = kOperationType.from(get_string(in, "type")).value_or(OperationType::Step);
  out.status = kOperationStatus.from(get_string(in, "status")).value_or(OperationStatus::Started);
  out.name = get_string(in, "name");
  out.kind = get_string(in, "kind");
  out.key = get_string(in, "key");
  out.note = get_value(in, "note");
  out.performer = get_string(in, "performer") == "program" ? Performer::Program : Performer::Engine;
  out.input = get_value(in, "input");
  out.repeat = get_string(in, "repeat") == "never" ? Repeat::Never : Repeat::Freely;
  if (const auto* retry = get_array(in, "retry"); retry && retry->size() == 3) {
    out.retry.attempts_max = (*retry)[0].is_int64() ? (*retry)[0].get_int64() : 1;
    out.retry.delay_first = Millis{(*retry)[1].is_int64() ? (*retry)[1].get_int64() : 0};
    out.retry.delay_max = Millis{(*retry)[2].is_int64() ? (*retry)[2].get_int64() : 0};
  }
  out.attempt = get_int(in, "attempt", 1);
  out.unknown_attempts = get_int(in, "unknown_attempts");
  out.started_event = get_int(in, "started_event");
  out.started = from_unix_ms(get_int(in, "started"));
  out.due = get_time(in, "due");
  out.last_error = get_string(in, "last_error");
  return out;
}

}  // namespace

std::string_view to_string(ExecutionStatus status) { return kExecutionStatus.of(status); }
std::optional<ExecutionStatus> execution_status_from_string(std::string_view text) { return kExecutionStatus.from(text); }
std::string_view to_string(OperationType type) { return kOperationType.of(type); }
std::string_view to_string(OperationStatus status) { return kOperationStatus.of(status); }
std::string_view to_string(WaitReason::Kind kind) { return kWaitKind.of(kind); }

PendingOperation* Execution::find_pending(std::int64_t operation) {
  for (auto& candidate : pending)
    if (candidate.id == operation) return &candidate;
  return nullptr;
}

const PendingOperation* Execution::find_pending(std::int64_t operation) const {
  return const_cast<Execution*>(this)->find_pending(operation);
}

Result<Json> parse_record(std::string_view text) { return parse_json(text, {.depth_max = 256}); }

Json to_json(const Error& error) { return JsonObject{{"code", error.code}, {"message", error.message}, {"retry", to_string(error.retry)}}; }

Error error_from_json(const JsonObject& object) {
  return Error{get_string(object, "code"), get_string(object, "message"),
               retry_from_string(get_string(object, "retry")).value_or(Retry::Never)};
}

Json to_json(const WaitReason& reason) {
  JsonObject out{{"kind", to_string(reason.kind)}};
  if (reason.operation) out["operation"] = reason.operation;
  if (!reason.name.empty()) out["name"] = reason.name;
  put_time(out, "until", reason.until);
  return out;
}

Json to_json(const PendingOperation& op) {
  JsonObject out;
  out.reserve(12);
  out["id"] = op.id;
  out["type"] = to_string(op.type);
  out["status"] = to_string(op.status);
  out["name"] = op.name;
  out["kind"] = op.kind;
  if (!op.key.empty()) out["key"] = op.key;
  put_value(out, "note", op.note);
  if (op.performer == Performer::Program) out["performer"] = "program";
  put_value(out, "input", op.input);
  if (op.repeat == Repeat::Never) out["repeat"] = "never";
  if (op.retry.attempts_max != 1) out["retry"] = JsonArray{op.retry.attempts_max, op.retry.delay_first.count(), op.retry.delay_max.count()};
  if (op.attempt != 1) out["attempt"] = op.attempt;
  if (op.unknown_attempts != 0) out["unknown_attempts"] = op.unknown_attempts;
  out["started_event"] = op.started_event;
  out["started"] = to_unix_ms(op.started);
  put_time(out, "due", op.due);
  if (!op.last_error.empty()) out["last_error"] = op.last_error;
  return out;
}

Json to_json(const Execution& run) {
  JsonObject out;
  out.reserve(28);
  out["id"] = run.id;
  out["program"] = run.program;
  out["version"] = run.version;
  out["session"] = run.session;
  if (run.keyed) out["keyed"] = true;
  out["status"] = to_string(run.status);
  if (!run.begun) out["queued"] = run.queue_position;
  if (run.wait) out["wait"] = to_json(*run.wait);
  out["created"] = to_unix_ms(run.created);
  out["updated"] = to_unix_ms(run.updated);
  put_time(out, "ended", run.ended);
  put_time(out, "deadline", run.deadline);
  out["revision"] = run.revision;
  out["events"] = run.events;
  out["next_operation"] = run.next_operation;
  if (run.next_message > 1) out["next_message"] = run.next_message;
  if (!run.pending.empty()) {
    JsonArray pending;
    pending.reserve(run.pending.size());
    for (const auto& op : run.pending) pending.push_back(to_json(op));
    out["pending"] = std::move(pending);
  }
  put_value(out, "state", run.state);
  put_value(out, "summary", run.summary);
  put_value(out, "result", run.result);
  if (run.error) out["error"] = to_json(*run.error);
  if (run.parent) out["parent"] = JsonObject{{"run", run.parent->run}, {"operation", run.parent->operation}};
  if (!run.traceparent.empty()) out["traceparent"] = run.traceparent;
  return out;
}

Result<Execution> execution_from_json(const Json& value) {
  const auto* in = value.if_object();
  if (!in || get_string(*in, "id").empty())
    return fail("store.damaged", "a run's record cannot be read; restore the data directory from a backup");
  Execution out;
  out.id = get_string(*in, "id");
  out.program = get_string(*in, "program");
  out.version = get_int(*in, "version");
  out.session = get_string(*in, "session");
  out.keyed = get_bool(*in, "keyed");
  const auto status = kExecutionStatus.from(get_string(*in, "status"));
  if (!status) return fail("store.damaged", "the record of " + out.id + " has no known status; it was written by a newer version");
  out.status = *status;
  out.begun = get(*in, "queued") == nullptr;
  out.queue_position = get_int(*in, "queued");
  if (const auto* wait = get_object(*in, "wait"))
    out.wait = WaitReason{kWaitKind.from(get_string(*wait, "kind")).value_or(WaitReason::Kind::Timer), get_int(*wait, "operation"),
                          get_string(*wait, "name"), get_time(*wait, "until")};
  out.created = from_unix_ms(get_int(*in, "created"));
  out.updated = from_unix_ms(get_int(*in, "updated"));
  out.ended = get_time(*in, "ended");
  out.deadline = get_time(*in, "deadline");
  out.revision = get_int(*in, "revision");
  out.events = get_int(*in, "events");
  out.next_operation = get_int(*in, "next_operation", 1);
  out.next_message = get_int(*in, "next_message", 1);
  if (const auto* pending = get_array(*in, "pending"))
    for (const auto& op : *pending)
      if (op.is_object()) out.pending.push_back(pending_from_json(op.get_object()));
  out.state = get_value(*in, "state");
  out.summary = get_value(*in, "summary");
  out.result = get_value(*in, "result");
  if (const auto* error = get_object(*in, "error")) out.error = error_from_json(*error);
  if (const auto* parent = get_object(*in, "parent")) out.parent = ParentLink{get_string(*parent, "run"), get_int(*parent, "operation")};
  out.traceparent = get_string(*in, "traceparent");
  return out;
}

Json to_json(const Operation& op) {
  JsonObject out;
  out.reserve(14);
  out["id"] = op.id;
  out["type"] = to_string(op.type);
  out["status"] = to_string(op.status);
  out["name"] = op.name;
  out["kind"] = op.kind;
  if (!op.key.empty()) out["key"] = op.key;
  put_value(out, "note", op.note);
  put_value(out, "input", op.input);
  put_value(out, "result", op.result);
  if (op.error) out["error"] = to_json(*op.error);
  if (op.attempts != 1) out["attempts"] = op.attempts;
  if (op.unknown_attempts != 0) out["unknown_attempts"] = op.unknown_attempts;
  out["started_event"] = op.started_event;
  out["ended_event"] = op.ended_event;
  out["started"] = to_unix_ms(op.started);
  out["ended"] = to_unix_ms(op.ended);
  put_value(out, "meta", op.meta);
  return out;
}

Result<Operation> operation_from_json(const Json& value) {
  const auto* in = value.if_object();
  if (!in) return fail("store.damaged", "an operation's record cannot be read; restore the data directory from a backup");
  Operation out;
  out.id = get_int(*in, "id");
  out.type = kOperationType.from(get_string(*in, "type")).value_or(OperationType::Step);
  out.status = kOperationStatus.from(get_string(*in, "status")).value_or(OperationStatus::Failed);
  out.name = get_string(*in, "name");
  out.kind = get_string(*in, "kind");
  out.key = get_string(*in, "key");
  out.note = get_value(*in, "note");
  out.input = get_value(*in, "input");
  out.result = get_value(*in, "result");
  if (const auto* error = get_object(*in, "error")) out.error = error_from_json(*error);
  out.attempts = get_int(*in, "attempts", 1);
  out.unknown_attempts = get_int(*in, "unknown_attempts");
  out.started_event = get_int(*in, "started_event");
  out.ended_event = get_int(*in, "ended_event");
  out.started = from_unix_ms(get_int(*in, "started"));
  out.ended = from_unix_ms(get_int(*in, "ended"));
  out.meta = get_value(*in, "meta");
  return out;
}

Json to_json(const Session& session) {
  JsonObject out{{"id", session.id},
                 {"program", session.program},
                 {"running", session.running},
                 {"inbox_head", session.inbox_head},
                 {"inbox_next", session.inbox_next},
                 {"waiting", session.waiting},
                 {"runs", session.runs},
                 {"created", to_unix_ms(session.created)},
                 {"updated", to_unix_ms(session.updated)}};
  put_value(out, "state", session.state);
  return out;
}

Result<Session> session_from_json(const Json& value) {
  const auto* in = value.if_object();
  if (!in) return fail("store.damaged", "a session's record cannot be read; restore the data directory from a backup");
  Session out;
  out.id = get_string(*in, "id");
  out.program = get_string(*in, "program");
  out.running = get_string(*in, "running");
  out.inbox_head = get_int(*in, "inbox_head", 1);
  out.inbox_next = get_int(*in, "inbox_next", 1);
  out.waiting = get_int(*in, "waiting");
  out.runs = get_int(*in, "runs");
  out.state = get_value(*in, "state");
  out.created = from_unix_ms(get_int(*in, "created"));
  out.updated = from_unix_ms(get_int(*in, "updated"));
  return out;
}

}  // namespace mayfly::engine
