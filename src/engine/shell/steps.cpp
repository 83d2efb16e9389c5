#include "base/hash.h"
#include "base/log.h"
#include "engine/shell/engine_impl.h"
#include "engine/shell/spill.h"

namespace mayfly::engine {
namespace {

constexpr std::size_t kSaidBytesMax = 1024 * 1024;
constexpr Millis kOutboxRetry{500};

}  // namespace

void EngineImpl::dispatch(Actor* actor, std::int64_t operation) {
  const Execution& run = *actor->state.run;
  const PendingOperation* op = run.find_pending(operation);
  if (!op || abandoned_) return;
  RunningStep& step = actor->steps[{run.id, operation}];
  step.attempt = op->attempt;
  step.cancel = CancelSource();
  step.said.clear();
  ++steps_running_;

  StepCall call;
  call.run = run.id;
  call.program = run.program;
  call.version = run.version;
  call.session = run.session;
  call.keyed = run.keyed;
  call.partition = actor->state.partition;
  call.operation = *op;
  call.idempotency_key = run.id + "-" + std::to_string(operation);
  call.traceparent = run.traceparent;
  call.cancel = step.cancel.token();
  call.emit = [this, id = actor->id, run = run.id, operation, attempt = op->attempt](std::string_view channel, std::string_view text) {
    const auto found = actors_.find(id);
    if (found == actors_.end()) return;
    const auto running = found->second->steps.find({run, operation});
    if (running == found->second->steps.end() || running->second.attempt != attempt) return;
    std::string& said = running->second.said[std::string(channel)];
    if (text.empty()) said.clear();
    if (said.size() + text.size() > kSaidBytesMax) return;
    if (hub_.watched(run)) hub_.publish(run, Delta{operation, attempt, std::string(channel), said.size(), std::string(text)});
    said += text;
  };
  tasks_.spawn(run_step(actor->id, std::move(call)));
}

Task<> EngineImpl::run_step(std::string actor, StepCall call) {
  const std::string run = call.run;
  const std::int64_t operation = call.operation.id, attempt = call.operation.attempt;
  const keys::Partition partition = call.partition;
  StepOutcome outcome = co_await deps_.steps->execute(std::move(call));
  if (!outcome.error && !abandoned_) {
    auto stored = co_await mayfly::engine::spill(*deps_.blobs, outcome.result);
    if (stored)
      outcome.stored = std::move(*stored);
    else
      outcome = StepOutcome{.error = Error{stored.error().code, stored.error().message, Retry::OutcomeUnknown}, .meta = outcome.meta};
  }
  --steps_running_;
  const auto found = actors_.find(actor);
  if (found == actors_.end()) co_return;
  if (const auto step = found->second->steps.find({run, operation}); step != found->second->steps.end() && step->second.attempt == attempt)
    found->second->steps.erase(step);
  if (abandoned_) co_return;
  send(partition, actor, Envelope{StepFinished{run, operation, attempt, std::move(outcome), deps_.random->unit()}, nullptr, false, false});
}

void EngineImpl::kick_outbox(keys::Partition partition) {
  OutboxState& outbox = outboxes_[partition];
  outbox.again = true;
  if (outbox.delivering || stopping_) return;
  outbox.delivering = true;
  tasks_.spawn(deliver_outbox(partition));
}

Task<> EngineImpl::deliver_outbox(keys::Partition partition) {
  while (std::exchange(outboxes_[partition].again, false) && !stopping_) {
    auto rows = co_await deps_.store->scan(KeyRange::prefix(keys::outbox_prefix(partition)), 100, Direction::Forward);
    bool failed = !rows;
    for (std::size_t i = 0; rows && i < rows->size() && !stopping_; ++i) {
      const Record& row = (*rows)[i];
      const auto message = parse_record(row.value);
      const auto delivered = message && message->is_object() ? co_await deliver(partition, message->get_object()) : Result<void>{};
      if (!delivered) {
        log::warn("a message between runs is not delivered yet",
                  {{"key", row.key}, {"code", delivered.error().code}, {"error", delivered.error().message}});
        failed = true;
        continue;
      }
      // Only this version: the run may meanwhile have replaced an invoke by its cancellation.
      Batch batch;
      batch.require.push_back(Precondition::version_equals(keys::epoch(partition), epochs_[partition]));
      batch.require.push_back(Precondition::version_equals(row.key, row.version));
      batch.deletes.push_back(row.key);
      const auto deleted = co_await deps_.store->commit(std::move(batch));
      if (!deleted || !deleted->committed()) failed = true;
    }
    if (rows && rows->size() == 100) outboxes_[partition].again = true;
    if (failed) {
      outboxes_[partition].again = true;
      co_await sleep_for(*deps_.clock, kOutboxRetry, stopping_source_.token());
    }
  }
  outboxes_[partition].delivering = false;
}

Task<Result<void>> EngineImpl::deliver(keys::Partition, const JsonObject& message) {
  const std::string kind = get_string(message, "kind");
  const std::string run = get_string(message, "run");
  const std::int64_t operation = get_int(message, "operation");
  const JsonObject* invoke = get_object(message, "invoke");
  // The child's idempotency key makes the second delivery of an invoke find the first one's run.
  const std::string key = "chained-" + run + "-" + std::to_string(operation);
  if ((kind == "invoke" || kind == "cancel") && invoke) {
    StartRequest request;
    request.program = get_string(*invoke, "program");
    request.version = get_int(*invoke, "version");
    request.session_key = get_string(*invoke, "session");
    if (const Json* input = mayfly::get(*invoke, "input")) request.input = *input;
    request.wall_time_max = Millis{get_int(*invoke, "wall_time_ms")};
    request.idempotency_key = key;
    request.parent = ParentLink{run, operation};
    request.traceparent = get_string(message, "traceparent");
    // A cancelled invoke starts what it may have started, in order to learn its name: cheap, and right in every order of events.
    auto started = co_await start(std::move(request));
    if (!started) {
      if (started.error().retry != Retry::Never) co_return std::unexpected(started.error());
      if (kind != "invoke") co_return Result<void>{};
      auto told = co_await resolve(Resolved{run, operation, Resolved::Action::Fail, nullptr, nullptr, started.error()});
      // A parent that has ended meanwhile wants no answer.
      if (!told && told.error().retry == Retry::Never) co_return Result<void>{};
      co_return told;
    }
    if (kind == "cancel") {
      auto cancelled = co_await cancel(started->run, "its parent run ended");
      if (!cancelled && cancelled.error().retry != Retry::Never) co_return cancelled;
    }
    co_return Result<void>{};
  }
  if (kind == "result") {
    const bool ok = get_string(message, "status") == to_string(ExecutionStatus::Succeeded);
    Resolved resolved{run, operation, ok ? Resolved::Action::Succeed : Resolved::Action::Fail, nullptr, nullptr, {}};
    if (const Json* result = mayfly::get(message, "result")) resolved.result = *result;
    if (!ok) {
      const JsonObject* error = get_object(message, "error");
      resolved.error = error ? error_from_json(*error) : Error{"run.failed", "the invoked run did not succeed", Retry::Never};
    }
    auto delivered = co_await resolve(std::move(resolved));
    // A parent that has ended meanwhile wants no answer.
    if (!delivered && delivered.error().retry != Retry::Never) co_return delivered;
  }
  co_return Result<void>{};
}

}  // namespace mayfly::engine
