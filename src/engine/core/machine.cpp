#include "engine/core/machine.h"

#include <algorithm>

#include "base/assert.h"
#include "base/id.h"

namespace mayfly::engine {
namespace {

std::string timer_name(std::int64_t operation) { return to_hex16(static_cast<std::uint64_t>(operation)).substr(8); }

Error not_pending(std::string_view run, std::int64_t operation) {
  return Error{
      "operation.not_waiting",
      "operation " + std::to_string(operation) + " of " + std::string(run) + " is not waiting for an answer; look at it with `mayfly show`",
      Retry::Never};
}

std::string record(const Execution& run) { return to_text(to_json(run)); }

}  // namespace

Millis backoff(const OperationRetry& retry, std::int64_t attempt, double jitter, std::optional<Millis> retry_after) {
  const auto doublings = std::min<std::int64_t>(std::max<std::int64_t>(attempt - 1, 0), 30);
  const double full = std::min(static_cast<double>(retry.delay_max.count()),
                               static_cast<double>(retry.delay_first.count()) * static_cast<double>(std::int64_t{1} << doublings));
  const Millis delay{static_cast<std::int64_t>(full * (0.5 + 0.5 * jitter))};
  return std::max(delay, retry_after.value_or(Millis{0}));
}

Answer Machine::apply(const Event& event, const Program& program) {
  return std::visit([&](const auto& e) { return on(e, program); }, event);
}

void Machine::put(std::string key, std::string value) {
  std::erase(out_.batch.deletes, key);
  for (auto& existing : out_.batch.puts) {
    if (existing.key == key) {
      existing.value = std::move(value);
      return;
    }
  }
  out_.batch.puts.push_back({std::move(key), std::move(value)});
}

void Machine::erase(std::string key) {
  std::erase_if(out_.batch.puts, [&](const Put& existing) { return existing.key == key; });
  std::erase_if(out_.timers, [&](const TimerChange& timer) { return timer.key == key; });
  if (std::ranges::find(out_.batch.deletes, key) == out_.batch.deletes.end()) out_.batch.deletes.push_back(std::move(key));
}

void Machine::publish(const Execution& run, RunEvent::Kind kind, std::int64_t number, Json body) {
  out_.publish.emplace_back(run.id, RunEvent{kind, number, now_, std::move(body)});
}

void Machine::arm(PendingOperation& op, TimePoint due) {
  op.due = due;
  std::string key = keys::timer(state_.partition, due, state_.run->id, timer_name(op.id));
  put(key, state_.run->session);
  out_.timers.push_back({due, std::move(key), state_.run->session});
}

void Machine::disarm(PendingOperation& op) {
  if (!op.due) return;
  erase(keys::timer(state_.partition, *op.due, state_.run->id, timer_name(op.id)));
  op.due.reset();
}

Execution Machine::new_execution(const Start& event) const {
  Execution run;
  run.id = event.run;
  run.program = event.program;
  run.version = event.version;
  run.keyed = state_.session.has_value();
  run.session = run.keyed ? state_.session->id : event.run;
  run.created = run.updated = now_;
  run.deadline = event.deadline;
  run.parent = event.parent;
  run.traceparent = event.traceparent;
  run.events = 1;
  return run;
}

Answer Machine::on(const Start& event, const Program& program) {
  const keys::Partition p = state_.partition;
  if (state_.run && state_.run->id == event.run) return {{}, StartedAs::Begun, event.run};
  // Whoever waits in the inbox goes first, also in the moment between two runs.
  const bool busy = state_.busy() || state_.wants_promotion();
  const bool steered = state_.busy() && event.when_busy == BusyPolicy::Steer;
  if (busy && event.when_busy == BusyPolicy::Reject)
    return {Error{"session.busy", "another run holds the session; wait for it, or cancel it", Retry::Safe}, {}, {}};
  if (busy && !steered && state_.session->waiting >= event.waiting_max)
    return {Error{"session.inbox_full",
                  std::to_string(state_.session->waiting) + " messages already wait for this session; try again later", Retry::Safe},
            {},
            {}};

  const std::string run_id = steered ? state_.run->id : event.run;
  if (!event.idempotency_hash.empty()) {
    std::string key = keys::idempotency(p, event.idempotency_hash);
    out_.absent.push_back(key);
    put(std::move(key),
        to_text(JsonObject{{"run", run_id}, {"input", event.input_hash}, {"expires", to_unix_ms(event.idempotency_expires)}}));
    std::string timer = keys::timer(p, event.idempotency_expires, event.idempotency_hash, "idempotency");
    put(timer, "");
    out_.timers.push_back({event.idempotency_expires, std::move(timer), {}});
  }
  if (steered) {
    steer(event, program);
    return {{}, StartedAs::Steered, run_id};
  }

  Execution run = new_execution(event);
  Operation execution;
  execution.type = OperationType::Execution;
  execution.name = event.program;
  execution.kind = "input";
  execution.input = event.stored_input.is_null() ? event.input : event.stored_input;
  execution.started_event = execution.ended_event = 1;
  execution.started = execution.ended = now_;
  put(keys::operation(p, run.id, 0), to_text(to_json(execution)));
  if (run.deadline) {
    std::string timer = keys::timer(p, *run.deadline, run.id, "deadline");
    put(timer, run.session);
    out_.timers.push_back({*run.deadline, std::move(timer), run.session});
  }
  publish(run, RunEvent::Kind::RunStarted, 1,
          is_watched(run) ? Json(JsonObject{{"run", run.id}, {"agent", run.program}, {"version", run.version}, {"input", execution.input}})
                          : Json(nullptr));

  if (busy) {
    run.queue_position = state_.session->inbox_next++;
    ++state_.session->waiting;
    session_changed_ = true;
    run.wait = WaitReason{WaitReason::Kind::SessionBusy, 0, run.session, {}};
    put(keys::inbox(p, run.session, run.queue_position), run.id);
    put(keys::run(p, run.id), record(run));
    return {{}, StartedAs::Queued, run.id};
  }
  state_.run = std::move(run);
  state_.run_was_active = false;
  if (state_.session) state_.session->running = state_.run->id;
  begin(event.input, program);
  return {{}, StartedAs::Begun, event.run};
}

void Machine::begin(const Json& input, const Program& program) {
  Execution& run = *state_.run;
  run.begun = true;
  run.wait.reset();
  run_changed_ = true;
  if (state_.session) {
    put(keys::history(state_.partition, run.session, state_.session->runs++), run.id);
    session_changed_ = true;
  }
  follow(program.begin(context(), input), program);
}

void Machine::steer(const Start& event, const Program& program) {
  Execution& run = *state_.run;
  Operation message;
  message.id = run.next_operation++;
  message.type = OperationType::Context;
  message.name = "message";
  message.kind = "message";
  message.input = event.input;
  message.meta = JsonObject{{"start", event.run}};  // by which a repeat after a failed commit is recognised
  message.started_event = message.ended_event = ++run.events;
  message.started = message.ended = now_;
  Operation journalled = message;
  if (!event.stored_input.is_null()) journalled.input = event.stored_input;
  put(keys::operation(state_.partition, run.id, message.id), to_text(to_json(journalled)));
  publish(run, RunEvent::Kind::OperationEnded, message.ended_event, to_json(journalled));
  run_changed_ = true;
  follow(program.message(context(), message), program);
}

void Machine::start_operation(const OperationRequest& request) {
  Execution& run = *state_.run;
  PendingOperation op;
  op.id = run.next_operation++;
  op.type = request.type;
  op.name = request.name;
  op.kind = request.kind;
  op.input = request.input;
  op.performer = request.performer;
  op.key = request.key;
  op.note = request.note;
  op.repeat = request.repeat;
  op.retry = request.retry;
  op.started_event = ++run.events;
  op.started = now_;
  MAYFLY_ASSERT(op.type != OperationType::Wait || request.due, "a WAIT has an end");
  if (op.type == OperationType::Wait || op.type == OperationType::Callback) {
    if (request.due) arm(op, *request.due);
  } else if (op.performer == Performer::Program || op.type == OperationType::Context) {
    // Its program says what becomes of it.
  } else if (op.type == OperationType::ChainedInvoke) {
    put(keys::outbox(state_.partition, run.id, op.id),
        to_text(
            JsonObject{{"kind", "invoke"}, {"run", run.id}, {"operation", op.id}, {"invoke", op.input}, {"traceparent", run.traceparent}}));
    out_.outbox = true;
  } else {
    out_.dispatch.push_back(op.id);
  }
  publish(run, RunEvent::Kind::OperationStarted, op.started_event, is_watched(run) ? to_json(op) : Json(nullptr));
  run.pending.push_back(std::move(op));
}

Operation Machine::end_operation(std::int64_t id, OperationStatus status, Json result, std::optional<Error> error, Json meta,
                                 const Program& program, Json stored) {
  Execution& run = *state_.run;
  const auto at = std::ranges::find(run.pending, id, &PendingOperation::id);
  MAYFLY_ASSERT(at != run.pending.end(), "only a pending operation ends");
  disarm(*at);
  Operation op;
  op.id = at->id;
  op.type = at->type;
  op.status = status;
  op.name = std::move(at->name);
  op.kind = std::move(at->kind);
  op.key = std::move(at->key);
  op.note = std::move(at->note);
  op.input = std::move(at->input);
  const bool by_reference = !stored.is_null();
  op.result = by_reference ? std::move(stored) : std::move(result);
  op.error = std::move(error);
  op.attempts = at->attempt;
  op.unknown_attempts = at->unknown_attempts;
  op.started_event = at->started_event;
  op.ended_event = ++run.events;
  op.started = at->started;
  op.ended = now_;
  op.meta = std::move(meta);
  run.pending.erase(at);
  std::erase(out_.dispatch, id);
  program.closing(context(), op);
  if (state_.ended_keys && !op.key.empty()) state_.ended_keys->insert_or_assign(op.key, EndedKey{op.id, op.status});
  Json body = to_json(op);
  put(keys::operation(state_.partition, run.id, op.id), to_text(body));
  publish(run, RunEvent::Kind::OperationEnded, op.ended_event, std::move(body));
  run_changed_ = true;
  if (by_reference) op.result = std::move(result);
  return op;
}

Answer Machine::on(const StepFinished& event, const Program& program) {
  if (!state_.run || state_.run->id != event.run || !state_.run->open()) return {};
  PendingOperation* op = state_.run->find_pending(event.operation);
  if (!op || !op->is_executing() || op->attempt != event.attempt) return {};
  const StepOutcome& outcome = event.outcome;
  if (outcome.error) {
    attempt_failed(*op, *outcome.error, outcome.retry_after, event.jitter, outcome.meta, program);
    return {};
  }
  for (const Put& write : outcome.writes) put(write.key, write.value);
  for (const std::string& key : outcome.deletes) erase(key);
  const Operation ended = end_operation(op->id, OperationStatus::Succeeded, outcome.result, {}, outcome.meta, program, outcome.stored);
  follow(program.ended(context(), ended), program);
  return {};
}

void Machine::attempt_failed(PendingOperation& op, const Error& error, std::optional<Millis> retry_after, double jitter, Json meta,
                             const Program& program) {
  run_changed_ = true;
  bool repeat = error.retry != Retry::Never && op.attempt < op.retry.attempts_max;
  if (error.retry == Retry::OutcomeUnknown && op.repeat == Repeat::Never) {
    const OnUnknownOutcome decision = program.on_unknown(context(), op);
    if (decision == OnUnknownOutcome::Ask) {
      op.status = OperationStatus::OutcomeUnknown;
      op.last_error = error.message;
      publish(*state_.run, RunEvent::Kind::OperationStarted, ++state_.run->events, to_json(op));
      return;
    }
    repeat = repeat && decision == OnUnknownOutcome::Retry;
  }
  if (repeat && error.retry == Retry::OutcomeUnknown) ++op.unknown_attempts;
  if (repeat && program.may_repeat(context(), op, error)) {
    op.status = OperationStatus::Pending;
    op.last_error = error.message;
    arm(op, now_ + backoff(op.retry, op.attempt, jitter, retry_after));
    return;
  }
  const Operation ended = end_operation(op.id, OperationStatus::Failed, nullptr, error, std::move(meta), program);
  follow(program.ended(context(), ended), program);
}

Answer Machine::on(const TimerFired& event, const Program& program) {
  if (event.what == "deadline") {
    const Error error{"run.deadline", "the run took longer than its wall time limit allows", Retry::Never};
    if (state_.queued && state_.queued->id == event.run) {
      stop_queued(ExecutionStatus::TimedOut, error, program);
    } else if (state_.run && state_.run->id == event.run && state_.run->open()) {
      complete({ExecutionStatus::TimedOut, nullptr, error}, program);
    }
    return {};
  }
  if (!state_.run || state_.run->id != event.run || !state_.run->open()) return {};
  for (PendingOperation& op : state_.run->pending) {
    if (timer_name(op.id) != event.what || op.due != event.due) continue;
    run_changed_ = true;
    if (op.status == OperationStatus::Pending && op.performer == Performer::Program) {
      disarm(op);
      op.status = OperationStatus::Ready;
      ++op.attempt;
      follow(program.ready(context(), op), program);
    } else if (op.status == OperationStatus::Pending) {
      disarm(op);
      op.status = OperationStatus::Started;
      ++op.attempt;
      out_.dispatch.push_back(op.id);
    } else if (op.type == OperationType::Wait) {
      const Operation ended = end_operation(op.id, OperationStatus::Succeeded, nullptr, {}, nullptr, program);
      follow(program.ended(context(), ended), program);
    } else {
      const Operation ended = end_operation(op.id, OperationStatus::TimedOut, nullptr,
                                            Error{"callback.timeout", "nobody answered in time", Retry::Never}, nullptr, program);
      follow(program.ended(context(), ended), program);
    }
    return {};
  }
  return {};
}

Answer Machine::on(const Resolved& event, const Program& program) {
  PendingOperation* op =
      state_.run && state_.run->id == event.run && state_.run->open() ? state_.run->find_pending(event.operation) : nullptr;
  const bool answerable = op && (op->type == OperationType::Callback || op->type == OperationType::ChainedInvoke ||
                                 op->status == OperationStatus::OutcomeUnknown);
  if (!answerable) return {not_pending(event.run, event.operation), {}, {}};
  if (event.action == Resolved::Action::Retry) {
    if (op->status != OperationStatus::OutcomeUnknown)
      return {Error{"operation.no_retry", "only an operation whose outcome is unknown can be tried again", Retry::Never}, {}, {}};
    op->status = OperationStatus::Started;
    ++op->attempt;
    out_.dispatch.push_back(op->id);
    run_changed_ = true;
    return {{}, {}, event.run};
  }
  const bool ok = event.action == Resolved::Action::Succeed;
  const Operation ended =
      end_operation(op->id, ok ? OperationStatus::Succeeded : OperationStatus::Failed, event.result, ok ? std::nullopt : event.error, event.meta,
                    program, event.stored);
  follow(program.ended(context(), ended), program);
  return {{}, {}, event.run};
}

Answer Machine::on(const Cancelled& event, const Program& program) {
  if (state_.queued && state_.queued->id == event.run) {
    stop_queued(ExecutionStatus::Stopped, event.reason, program);
    return {{}, {}, event.run};
  }
  if (!state_.run || state_.run->id != event.run || !state_.run->open())
    return {Error{"run.ended", event.run + " has already ended; there is nothing to cancel", Retry::Never}, {}, {}};
  complete({ExecutionStatus::Stopped, nullptr, event.reason}, program);
  return {{}, {}, event.run};
}

Answer Machine::on(const Command& event, const Program& program) {
  if (!state_.run || state_.run->id != event.run || !state_.run->open())
    return {Error{"run.ended", event.run + " has already ended; nothing can be added to it", Retry::Never}, {}, {}, {}};
  ProgramContext with_keys = context();
  with_keys.ended = state_.ended_keys ? &*state_.ended_keys : nullptr;
  auto reaction = program.command(with_keys, event.body);
  if (!reaction) return {reaction.error(), {}, event.run, {}};
  if (reaction->decision) follow(std::move(*reaction->decision), program);
  return {{}, {}, event.run, std::move(reaction->answer)};
}

Answer Machine::on(const Promoted& event, const Program& program) {
  if (!state_.wants_promotion() || !state_.queued || state_.queued->id != event.run) return {};
  if (state_.run && state_.run_was_active) erase(keys::active(state_.partition, state_.run->id));
  leave_inbox(*state_.queued);
  state_.run = std::exchange(state_.queued, std::nullopt);
  state_.ended_keys.reset();
  state_.run_was_active = false;
  state_.session->running = state_.run->id;
  begin(event.input, program);
  return {};
}

Answer Machine::on(const Recovered& event, const Program& program) {
  if (!state_.run || state_.run->id != event.run || !state_.run->open()) {
    // Its session's next run has been promoted by now; nothing is left to do for this one.
    if (!state_.wants_promotion()) erase(keys::active(state_.partition, event.run));
    return {};
  }
  std::vector<std::int64_t> interrupted;
  for (const PendingOperation& op : state_.run->pending)
    if (op.is_executing()) interrupted.push_back(op.id);
  const Error error{"operation.interrupted", "the server stopped while this was under way", Retry::OutcomeUnknown};
  for (const std::int64_t id : interrupted) {
    PendingOperation* op = state_.run->open() ? state_.run->find_pending(id) : nullptr;
    if (!op) continue;
    const bool repeatable = op->repeat == Repeat::Freely;
    if (repeatable) ++op->unknown_attempts;
    if (repeatable && program.may_repeat(context(), *op, error)) {
      // A crash is not the callee's failure: it neither counts against the retries nor waits for a backoff.
      ++op->attempt;
      ++op->retry.attempts_max;
      op->last_error = error.message;
      out_.dispatch.push_back(id);
      run_changed_ = true;
    } else {
      if (repeatable) op->retry.attempts_max = op->attempt;  // the program has just said no
      attempt_failed(*op, error, {}, 0, nullptr, program);
    }
  }
  return {};
}

void Machine::follow(Decision decision, const Program& program) {
  run_changed_ = true;
  for (const std::int64_t id : decision.cancel) {
    if (!state_.run->find_pending(id)) continue;
    end_operation(id, OperationStatus::Cancelled, nullptr, Error{"operation.cancelled", "no longer wanted", Retry::Never}, nullptr,
                  program);
    out_.abort.push_back(id);
  }
  for (const OperationRequest& request : decision.start) start_operation(request);
  for (const OperationEnd& end : decision.end) end_by_program(end, program);
  for (const OperationTimer& timer : decision.timers) set_timer(timer);
  for (Json& message : decision.send) send(*state_.run, std::move(message));
  if (decision.complete) {
    complete(std::move(*decision.complete), program);
  } else if (state_.run->pending.empty()) {
    complete({ExecutionStatus::Failed, nullptr,
              Error{"engine.stuck", "the program asked for nothing although nothing is pending; this is a bug in Mayfly", Retry::Never}},
             program);
  }
}

void Machine::end_by_program(const OperationEnd& end, const Program& program) {
  const PendingOperation* op = state_.run->find_pending(end.operation);
  MAYFLY_ASSERT(op, "a program ends what is pending");
  const bool was_executing = op->is_executing();
  const bool was_invoked = op->type == OperationType::ChainedInvoke && op->performer == Performer::Engine;
  if (was_invoked) cancel_invoked(*op);
  end_operation(end.operation, end.status, end.result, end.error, nullptr, program);
  if (was_executing) out_.abort.push_back(end.operation);
}

void Machine::set_timer(const OperationTimer& timer) {
  PendingOperation* op = state_.run->find_pending(timer.operation);
  MAYFLY_ASSERT(op && (op->type == OperationType::Callback || op->performer == Performer::Program), "a program sets its own timers");
  disarm(*op);
  if (op->type == OperationType::Step) op->status = timer.due ? OperationStatus::Pending : OperationStatus::Started;
  if (timer.due) arm(*op, *timer.due);
}

void Machine::cancel_invoked(const PendingOperation& op) {
  put(keys::outbox(state_.partition, state_.run->id, op.id),
      to_text(JsonObject{{"kind", "cancel"}, {"run", state_.run->id}, {"operation", op.id}, {"invoke", op.input}}));
  out_.outbox = true;
}

void Machine::send(Execution& run, Json message) {
  const std::int64_t number = run.next_message++;
  put(keys::outbox_message(state_.partition, run.id, number),
      to_text(JsonObject{{"kind", "message"}, {"id", run.id + "-m" + std::to_string(number)}, {"message", std::move(message)}}));
  out_.outbox = true;
}

void Machine::end_record(Execution& run, const Completion& completion, const Program& program) {
  run.status = completion.status;
  run.result = completion.result;
  run.error = completion.error;
  run.wait.reset();
  run.ended = run.updated = now_;
  if (run.deadline) erase(keys::timer(state_.partition, *run.deadline, run.id, "deadline"));
  JsonObject body{{"status", to_string(run.status)}, {"result", run.result}};
  if (run.error) body["error"] = to_json(*run.error);
  publish(run, RunEvent::Kind::RunEnded, ++run.events, body);
  if (run.parent) {
    body["kind"] = "result";
    body["run"] = run.parent->run;
    body["operation"] = run.parent->operation;
    body["meta"] = JsonObject{{"run", run.id}, {"summary", run.summary}};
    put(keys::outbox(state_.partition, run.id, 0), to_text(body));
    out_.outbox = true;
  }
  for (Json& message : program.farewell(run)) send(run, std::move(message));
}

void Machine::complete(Completion completion, const Program& program) {
  Execution& run = *state_.run;
  program.completing(context(), completion);
  while (!run.pending.empty()) {
    const PendingOperation& op = run.pending.front();
    const bool was_dispatched = op.is_executing();
    const std::int64_t id = op.id;
    if (op.type == OperationType::ChainedInvoke && op.performer == Performer::Engine) cancel_invoked(op);
    const bool unknown = (was_dispatched || op.status == OperationStatus::OutcomeUnknown) && op.repeat == Repeat::Never;
    end_operation(
        id, OperationStatus::Cancelled, nullptr,
        unknown ? Error{"operation.outcome_unknown", "the run ended while this was under way: it may have happened", Retry::OutcomeUnknown}
                : Error{"operation.cancelled", "the run ended first", Retry::Never},
        nullptr, program);
    if (was_dispatched) out_.abort.push_back(id);
  }
  end_record(run, completion, program);
  run_changed_ = true;
  if (!state_.session) return;
  Session& session = *state_.session;
  session.running.clear();
  session_changed_ = true;
}

void Machine::stop_queued(ExecutionStatus status, const Error& error, const Program& program) {
  Execution& run = *state_.queued;
  if (!run.open()) return;
  leave_inbox(run);
  end_record(run, {status, nullptr, error}, program);
  ++run.revision;
  put(keys::run(state_.partition, run.id), record(run));
  state_.queued.reset();
}

void Machine::leave_inbox(const Execution& run) {
  erase(keys::inbox(state_.partition, run.session, run.queue_position));
  --state_.session->waiting;
  session_changed_ = true;
}

std::optional<WaitReason> Machine::wait_reason() const {
  const Execution& run = *state_.run;
  std::optional<WaitReason> best;
  const auto rank = [](WaitReason::Kind kind) {
    switch (kind) {
      case WaitReason::Kind::OutcomeUnknown: return 0;
      case WaitReason::Kind::Callback: return 1;
      case WaitReason::Kind::ChainedInvoke: return 2;
      case WaitReason::Kind::Retry: return 3;
      default: return 4;
    }
  };
  for (const PendingOperation& op : run.pending) {
    if (op.is_executing()) return std::nullopt;
    WaitReason reason{WaitReason::Kind::Timer, op.id, op.name, op.due};
    if (op.status == OperationStatus::OutcomeUnknown)
      reason.kind = WaitReason::Kind::OutcomeUnknown;
    else if (op.status == OperationStatus::Pending)
      reason.kind = WaitReason::Kind::Retry;
    else if (op.type == OperationType::Callback)
      reason.kind = WaitReason::Kind::Callback;
    else if (op.performer == Performer::Program || op.type == OperationType::Context)
      continue;
    else if (op.type == OperationType::ChainedInvoke)
      reason.kind = WaitReason::Kind::ChainedInvoke;
    if (!best || rank(reason.kind) < rank(best->kind)) best = std::move(reason);
  }
  return best;
}

Transition Machine::finish() {
  const keys::Partition p = state_.partition;
  if (run_changed_) {
    Execution& run = *state_.run;
    if (run.open()) run.wait = wait_reason();
    run.updated = now_;
    ++run.revision;
    // An ended run stays marked while others wait for its session, so that a crash before the promotion is noticed.
    const bool active = run.open() ? !run.wait : state_.wants_promotion();
    if (active && !state_.run_was_active) put(keys::active(p, run.id), run.session);
    if (!active && state_.run_was_active) erase(keys::active(p, run.id));
    state_.run_was_active = active;
    put(keys::run(p, run.id), record(run));
  }
  if (session_changed_) {
    state_.session->updated = now_;
    put(keys::session(p, state_.session->id), to_text(to_json(*state_.session)));
  }
  return std::move(out_);
}

}  // namespace mayfly::engine
