#include <algorithm>
#include <map>

#include "function/durable/checkpoint.h"
#include "function/durable/tokens.h"

namespace mayfly::function {
namespace {

using engine::Decision;
using engine::OperationEnd;
using engine::OperationRequest;
using engine::OperationStatus;
using engine::OperationType;
using engine::ProgramContext;

constexpr Millis seconds(std::int64_t count) { return Millis{count * 1000}; }

/// The earlier of a callback's two timers.
std::optional<TimePoint> due_of(const OperationNote& note) {
  if (!note.timeout_at) return note.heartbeat_at;
  return note.heartbeat_at ? std::min(*note.timeout_at, *note.heartbeat_at) : note.timeout_at;
}

class Applier {
 public:
  Applier(ProgramContext context, DurableState& state, Decision& decision)
      : context_(context), state_(state), known_(context), decision_(decision) {}

  void apply(const Update& update) {
    switch (update.type) {
      case OperationType::Step: return step(update);
      case OperationType::Context: return scope(update);
      case OperationType::Wait: return wait(update);
      case OperationType::Callback: return callback(update);
      case OperationType::ChainedInvoke: return invoke(update);
      case OperationType::Execution: return execution(update);
    }
  }

  void finish() {
    for (auto& [id, open] : opened_) (open.pending ? open.pending->note : decision_.start[open.request].note) = to_json(open.note);
    journal_events(context_, std::move(past_), decision_);
  }

 private:
  /// An operation that this checkpoint touches.
  struct Open {
    std::int64_t id = 0;
    OperationNote note;
    engine::PendingOperation* pending = nullptr;
    std::size_t request = 0;  ///< index in the decision, when it is new
  };
  std::int64_t next_id() const { return context_.run.next_operation + static_cast<std::int64_t>(decision_.start.size()); }

  Open& open(const Update& update) {
    const auto at = opened_.find(update.id);
    if (at != opened_.end()) return at->second;
    const auto found = known_.find(update.id);
    if (found.where != KnownOperations::Where::Pending) return start(update, {});
    return opened_.emplace(update.id, Open{found.pending->id, note_from_json(found.pending->note), found.pending, 0}).first->second;
  }

  Open& start(const Update& update, OperationRequest request) {
    Open fresh{next_id(), {}, nullptr, decision_.start.size()};
    request.type = update.type;
    request.name = update.name;
    request.kind = update.sub_type;
    request.key = operation_key(update.type, update.id);
    if (update.type == OperationType::Step || update.type == OperationType::Context) request.performer = engine::Performer::Program;
    decision_.start.push_back(std::move(request));
    ++state_.operations;
    fresh.note.status = "STARTED";
    fresh.note.parent = update.parent;
    return opened_.emplace(update.id, std::move(fresh)).first->second;
  }

  HistoryEvent& record(Open& op, std::string type) {
    op.note.events.push_back(HistoryEvent{.id = state_.next_event(), .type = std::move(type), .time = context_.now});
    state_.touch(op.id);
    return op.note.events.back();
  }

  void end(Open& op, OperationStatus status, const Update& update) {
    op.note.status = to_string(status);
    op.note.error = update.error;
    OperationEnd out{op.id, status, nullptr, {}};
    if (status == OperationStatus::Succeeded)
      out.result = update.payload;
    else
      out.error = Error{"operation.failed", describe_error_object(update.error), Retry::Never};
    decision_.end.push_back(std::move(out));
  }

  void step(const Update& update) {
    Open& op = open(update);
    if (update.action == Action::Start) {
      op.note.status = "STARTED";
      op.note.next_attempt.reset();
      op.note.result = op.note.error = nullptr;
      record(op, "StepStarted");
      return;
    }
    ++op.note.attempt;
    if (update.action == Action::Retry) return retry(op, update);
    const bool ok = update.action == Action::Succeed;
    op.note.next_attempt.reset();
    op.note.result = nullptr;
    record(op, ok ? "StepSucceeded" : "StepFailed").attempt = op.note.attempt;
    end(op, ok ? OperationStatus::Succeeded : OperationStatus::Failed, update);
  }

  void retry(Open& op, const Update& update) {
    const std::int64_t delay = update.retry_delay.value_or(0);
    HistoryEvent& event = record(op, update.error.is_null() ? "StepSucceeded" : "StepFailed");
    event.attempt = op.note.attempt;
    event.delay = delay;
    event.result = update.payload;
    event.error = update.error;
    op.note.status = "PENDING";
    op.note.next_attempt = context_.now + seconds(delay);
    op.note.result = update.payload;
    op.note.error = update.error;
    // Out of the way, so that the run's record does not grow with every retry.
    for (HistoryEvent& earlier : op.note.events) {
      earlier.operation = op.id;
      past_.push_back(std::move(earlier));
    }
    op.note.events.clear();
    decision_.timers.push_back({op.id, op.note.next_attempt});
  }

  void scope(const Update& update) {
    if (update.action == Action::Start) {
      record(open(update), "ContextStarted");
      return;
    }
    Open& op = open(update);
    const bool ok = update.action == Action::Succeed;
    op.note.replay_children = update.replay_children;
    record(op, ok ? "ContextSucceeded" : "ContextFailed");
    end(op, ok ? OperationStatus::Succeeded : OperationStatus::Failed, update);
  }

  void wait(const Update& update) {
    if (update.action == Action::Cancel) {
      Open& op = open(update);
      record(op, "WaitCancelled");
      end(op, OperationStatus::Cancelled, update);
      return;
    }
    OperationRequest request;
    request.due = context_.now + seconds(update.wait.value_or(0));
    Open& op = start(update, std::move(request));
    op.note.timeout = update.wait.value_or(0);
    op.note.timeout_at = decision_.start.back().due;
    record(op, "WaitStarted");
  }

  void callback(const Update& update) {
    OperationNote note;
    note.timeout = update.timeout;
    note.heartbeat = update.heartbeat;
    if (update.timeout > 0) note.timeout_at = context_.now + seconds(update.timeout);
    if (update.heartbeat > 0) note.heartbeat_at = context_.now + seconds(update.heartbeat);
    OperationRequest request;
    request.due = due_of(note);
    Open& op = start(update, std::move(request));
    note.status = op.note.status;
    note.parent = op.note.parent;
    note.callback_id = update.callback_id;
    op.note = std::move(note);
    record(op, "CallbackStarted");
  }

  void invoke(const Update& update) {
    OperationRequest request;
    const bool refused = !update.refused.is_null();
    if (!refused) request.input = update.invoke;
    Open& op = start(update, std::move(request));
    op.note.function = update.function;
    op.note.tenant = update.tenant;
    if (const JsonObject* invoked = update.invoke.if_object()) op.note.executed_version = get_string(*invoked, "executed_version");
    record(op, "ChainedInvokeStarted");
    if (!refused) return;
    // A STEP of ours instead, or the engine would invoke.
    decision_.start.back().type = OperationType::Step;
    decision_.start.back().performer = engine::Performer::Program;
    record(op, "ChainedInvokeFailed");
    Update failed = update;
    failed.error = update.refused;
    end(op, OperationStatus::Failed, failed);
  }

  void execution(const Update& update) {
    const bool ok = update.action == Action::Succeed;
    state_.outcome = JsonObject{{"Status", ok ? "SUCCEEDED" : "FAILED"}, {"Result", update.payload}, {"Error", update.error}};
  }

  ProgramContext context_;
  DurableState& state_;
  KnownOperations known_;
  Decision& decision_;
  std::map<std::string, Open> opened_;
  std::vector<HistoryEvent> past_;
};

}  // namespace

void apply(const std::vector<Update>& updates, ProgramContext context, DurableState& state, Decision& decision) {
  Applier applier(context, state, decision);
  for (const Update& update : updates) applier.apply(update);
  applier.finish();
}

void complete_due(ProgramContext context, DurableState& state, Decision& decision) {
  for (engine::PendingOperation& op : context.run.pending) {
    if (op.key.empty() || !op.due || *op.due > context.now) continue;
    OperationNote note = note_from_json(op.note);
    if (op.type == OperationType::Wait && note.status == "STARTED") {
      note.status = "SUCCEEDED";
      note.events.push_back({.id = state.next_event(), .type = "WaitSucceeded", .time = context.now});
      decision.end.push_back({op.id, OperationStatus::Succeeded, nullptr, {}});
    } else if (op.type == OperationType::Step && note.status == "PENDING") {
      note.status = "READY";
      note.next_attempt.reset();
      decision.timers.push_back({op.id, {}});
    } else {
      continue;
    }
    op.note = to_json(note);
    state.touch(op.id);
  }
}

void journal_events(ProgramContext context, std::vector<HistoryEvent> events, Decision& decision) {
  if (events.empty()) return;
  OperationNote note;
  note.events = std::move(events);
  OperationRequest request;
  request.type = OperationType::Context;
  request.name = "events";
  request.kind = kEventsKind;
  request.performer = engine::Performer::Program;
  request.note = to_json(note);
  const std::int64_t id = context.run.next_operation + static_cast<std::int64_t>(decision.start.size());
  decision.end.push_back({id, OperationStatus::Succeeded, nullptr, {}});
  decision.start.push_back(std::move(request));
}

void release_held(ProgramContext context, DurableState& state, Decision& decision) {
  for (HistoryEvent& event : state.held) {
    event.id = state.next_event();
    event.time = context.now;
  }
  journal_events(context, std::move(state.held), decision);
  state.held.clear();
}

}  // namespace mayfly::function
