#include "base/hash.h"
#include "base/log.h"
#include "engine/shell/address.h"
#include "engine/shell/engine_impl.h"
#include "engine/shell/spill.h"

namespace mayfly::engine {
namespace {

constexpr std::size_t kSaidBytesMax = 1024 * 1024;
constexpr Millis kOutboxRetry{500};
constexpr std::size_t kOutboxPage = 64;
constexpr Millis kChainedKeyKept{400LL * 24 * 3'600'000};  ///< longer than any run: a cancellation finds what the invoke started

/// "PPPP/b/RUN/…" gives "RUN".
std::string run_of_outbox(std::string_view key) {
  const auto end = key.rfind('/');
  const auto begin = key.rfind('/', end - 1) + 1;
  return std::string(key.substr(begin, end - begin));
}

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
    bool failed = false;
    KeyRange range = KeyRange::prefix(keys::outbox_prefix(partition));
    for (bool more = true; more && !stopping_;) {
      auto rows = co_await deps_.store->scan(range, kOutboxPage, Direction::Forward);
      if (!rows) failed = true;
      more = rows && rows->size() == kOutboxPage;
      if (more) range.begin = rows->back().key + '\0';
      if (rows && !co_await deliver_page(partition, std::move(*rows))) failed = true;
    }
    if (failed) {
      outboxes_[partition].again = true;
      co_await sleep_for(*deps_.clock, kOutboxRetry, stopping_source_.token());
    }
  }
  outboxes_[partition].delivering = false;
}

Task<bool> EngineImpl::deliver_page(keys::Partition partition, std::vector<Record> rows) {
  // Runs side by side, each one's messages in their order.
  const auto page = std::make_shared<OutboxPage>();
  for (std::size_t i = 0; i < rows.size();) {
    std::vector<Record> of_run;
    const std::string run = run_of_outbox(rows[i].key);
    for (; i < rows.size() && run_of_outbox(rows[i].key) == run; ++i) of_run.push_back(std::move(rows[i]));
    ++page->left;
    tasks_.spawn(deliver_messages(partition, std::move(of_run), page));
  }
  if (page->left > 0)
    (void)co_await suspend<bool>([page](Resume<bool> done) { page->done = std::make_unique<Resume<bool>>(std::move(done)); });
  co_return !page->failed;
}

Task<> EngineImpl::deliver_messages(keys::Partition partition, std::vector<Record> rows, std::shared_ptr<OutboxPage> page) {
  bool message_waits = false;
  for (const Record& row : rows) {
    const bool is_message = row.key[row.key.rfind('/') + 1] == 'm';
    if (is_message && message_waits) continue;
    if (!stopping_ && co_await deliver_row(partition, row, is_message)) continue;
    message_waits |= is_message;
    page->failed = true;
  }
  if (--page->left == 0 && page->done) (*page->done)(true);
}

Task<bool> EngineImpl::deliver_row(keys::Partition partition, const Record& row, bool is_message) {
  const auto message = parse_record(row.value);
  auto delivered = message && message->is_object() ? co_await deliver(message->get_object()) : Result<void>{};
  if (!delivered && is_message && delivered.error().retry == Retry::Never) {
    log::error("a message of a run can never be delivered and is dropped",
               {{"key", row.key}, {"code", delivered.error().code}, {"error", delivered.error().message}});
    delivered = Result<void>{};
  }
  if (!delivered) {
    log::warn("a message of a run is not delivered yet",
              {{"key", row.key}, {"code", delivered.error().code}, {"error", delivered.error().message}});
    co_return false;
  }
  // Only this version: the run may meanwhile have replaced an invoke by its cancellation.
  Batch batch;
  batch.require.push_back(lease(partition));
  batch.require.push_back(Precondition::version_equals(row.key, row.version));
  batch.deletes.push_back(row.key);
  const auto deleted = co_await deps_.store->commit(std::move(batch));
  co_return deleted && deleted->committed();
}

Task<Result<void>> EngineImpl::deliver(const JsonObject& message) {
  const std::string kind = get_string(message, "kind");
  if (kind == "message") {
    const Json* body = mayfly::get(message, "message");
    if (!deps_.deliver || !body) co_return Result<void>{};
    co_return co_await deps_.deliver(get_string(message, "id"), *body);
  }
  if (kind == "result") co_return co_await deliver_result(message);
  const JsonObject* invoke = get_object(message, "invoke");
  if ((kind == "invoke" || kind == "cancel") && invoke) co_return co_await deliver_invoke(message, *invoke);
  co_return Result<void>{};
}

Task<Result<void>> EngineImpl::deliver_invoke(const JsonObject& message, const JsonObject& invoke) {
  const bool cancels = get_string(message, "kind") == "cancel";
  const std::string run = get_string(message, "run");
  const std::int64_t operation = get_int(message, "operation");
  // A cancelled invoke starts what it may have started, in order to learn its name: cheap, and right in every order of events.
  auto started = Result<Started>(std::unexpected(Error{}));
  if (auto request = deps_.programs->chained(invoke)) {
    // The child's idempotency key makes the second delivery of an invoke find the first one's run.
    request->idempotency_key = chained_key(run, operation);
    request->idempotency_ttl = kChainedKeyKept;
    request->parent = ParentLink{run, operation};
    request->traceparent = get_string(message, "traceparent");
    started = co_await start(std::move(*request));
  } else {
    started = std::unexpected(request.error());
  }
  if (!started) {
    if (started.error().retry != Retry::Never) co_return std::unexpected(started.error());
    if (cancels) co_return Result<void>{};
    auto told = co_await resolve(Resolved{run, operation, Resolved::Action::Fail, nullptr, nullptr, started.error()});
    // A parent that has ended meanwhile wants no answer.
    if (!told && told.error().retry == Retry::Never) co_return Result<void>{};
    co_return told;
  }
  if (cancels) {
    auto cancelled = co_await cancel(started->run, "its parent run ended");
    if (!cancelled && cancelled.error().retry != Retry::Never) co_return cancelled;
  }
  co_return Result<void>{};
}

Task<Result<void>> EngineImpl::deliver_result(const JsonObject& message) {
  const bool ok = get_string(message, "status") == to_string(ExecutionStatus::Succeeded);
  Resolved resolved;
  resolved.run = get_string(message, "run");
  resolved.operation = get_int(message, "operation");
  resolved.action = ok ? Resolved::Action::Succeed : Resolved::Action::Fail;
  if (const Json* result = mayfly::get(message, "result")) resolved.result = *result;
  if (const Json* meta = mayfly::get(message, "meta")) resolved.meta = *meta;
  if (!ok) {
    const JsonObject* error = get_object(message, "error");
    resolved.error = error ? error_from_json(*error) : Error{"run.failed", "the invoked run did not succeed", Retry::Never};
  }
  auto delivered = co_await resolve(std::move(resolved));
  // A parent that has ended meanwhile wants no answer.
  if (!delivered && delivered.error().retry != Retry::Never) co_return delivered;
  co_return Result<void>{};
}

}  // namespace mayfly::engine
