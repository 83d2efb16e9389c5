#include "engine/shell/engine_impl.h"

#include <algorithm>

#include "base/assert.h"
#include "base/hash.h"
#include "base/log.h"
#include "engine/shell/address.h"
#include "engine/shell/spill.h"

namespace mayfly::engine {
namespace {

constexpr std::size_t kPage = 500;
constexpr std::size_t kListReadMax = 2'000;  ///< rows of one partition: a rare filter must not hold the loop
constexpr std::size_t kOperationsPage = 1000;
constexpr std::string_view kPartitionsKey = "meta/partitions";
constexpr std::size_t kSessionKeyBytesMax = 200;
constexpr std::size_t kIdempotencyKeyBytesMax = 255;

Error not_found(std::string_view run) {
  return Error{"run.not_found", "there is no run '" + std::string(run) + "'; list them with `mayfly runs`", Retry::Never};
}

/// The last component of a key.
std::string tail(std::string_view key) { return std::string(key.substr(key.rfind('/') + 1)); }

Result<void> to_result(const Answer& answer) {
  if (answer.error) return std::unexpected(*answer.error);
  return {};
}

}  // namespace

std::unique_ptr<Engine> make_engine(EngineDependencies dependencies, EngineOptions options) {
  return std::make_unique<EngineImpl>(dependencies, std::move(options));
}

EngineImpl::EngineImpl(EngineDependencies dependencies, EngineOptions options)
    : deps_(dependencies),
      options_(std::move(options)),
      tasks_(deps_.executor),
      timers_(deps_.executor, *deps_.store, *deps_.clock, [this](TimerQueue::Due due) { timer_due(std::move(due)); }) {}

Task<Result<void>> EngineImpl::take_leases() {
  auto stored = co_await deps_.store->get(std::string(kPartitionsKey));
  if (!stored) co_return std::unexpected(stored.error());
  if (*stored) {
    options_.partitions = static_cast<keys::Partition>(std::stoi((*stored)->value));
  } else {
    Batch batch;
    batch.require.push_back(Precondition::absent(std::string(kPartitionsKey)));
    batch.puts.push_back({std::string(kPartitionsKey), std::to_string(options_.partitions)});
    auto written = co_await deps_.store->commit(std::move(batch));
    if (!written) co_return std::unexpected(written.error());
  }
  for (keys::Partition p = 0; p < options_.partitions; ++p) {
    auto taken = co_await take_lease(p);
    if (!taken) co_return taken;
  }
  co_return Result<void>{};
}

Task<Result<void>> EngineImpl::open() {
  if (epochs_.size() < options_.partitions) {
    auto taken = co_await take_leases();
    if (!taken) co_return taken;
  }
  std::vector<keys::Partition> partitions;
  for (keys::Partition p = 0; p < options_.partitions; ++p) partitions.push_back(p);
  timers_.start(partitions);
  for (const keys::Partition p : partitions) {
    ++recovering_;
    tasks_.spawn(recover(p));
    kick_outbox(p);
  }
  co_return Result<void>{};
}

Task<Result<void>> EngineImpl::take_lease(keys::Partition partition) {
  const std::string key = keys::epoch(partition);
  for (;;) {
    auto current = co_await deps_.store->get(key);
    if (!current) co_return std::unexpected(current.error());
    std::int64_t epoch = 0;
    Batch batch;
    if (*current) {
      if (const auto value = parse_record((*current)->value); value && value->is_object()) epoch = get_int(value->get_object(), "epoch");
      batch.require.push_back(Precondition::version_equals(key, (*current)->version));
    } else {
      batch.require.push_back(Precondition::absent(key));
    }
    batch.puts.push_back(
        {key, to_text(JsonObject{{"epoch", epoch + 1}, {"owner", options_.node}, {"since", to_unix_ms(deps_.clock->now())}})});
    auto outcome = co_await deps_.store->commit(std::move(batch));
    if (outcome && outcome->committed()) {
      epochs_[partition] = outcome->version;
      co_return Result<void>{};
    }
    // A conflict, or an answer that got lost: look again and take the newer epoch over.
    if (!outcome && outcome.error().retry != Retry::OutcomeUnknown) co_return std::unexpected(outcome.error());
  }
}

Task<> EngineImpl::recover(keys::Partition partition) {
  KeyRange range = KeyRange::prefix(keys::active_prefix(partition));
  for (bool more = true; more && !stopping_;) {
    auto rows = co_await deps_.store->scan(range, kPage, Direction::Forward);
    if (!rows) {
      log::warn("open runs cannot be read; trying again", {{"code", rows.error().code}, {"error", rows.error().message}});
      co_await sleep_for(*deps_.clock, Millis{500}, stopping_source_.token());
      continue;
    }
    more = rows->size() == kPage;
    for (const Record& row : *rows) {
      const std::string run = tail(row.key);
      range.begin = row.key + '\0';
      ++counters_.recovered;
      send(partition, row.value, Envelope{Recovered{run}, nullptr, true, false});
      while (!stopping_ && unloaded_ >= options_.recovery_parallel) co_await sleep_for(*deps_.clock, Millis{1}, stopping_source_.token());
    }
  }
  --recovering_;
}

Task<> EngineImpl::stop(Millis grace) {
  stopping_ = true;
  stopping_source_.cancel();
  const auto deadline = deps_.clock->monotonic() + grace;
  while (steps_running_ > 0 && deps_.clock->monotonic() < deadline) co_await sleep_for(*deps_.clock, Millis{10});
  abandoned_ = true;
  for (const auto& [id, actor] : actors_)
    for (auto& [operation, step] : actor->steps) step.cancel.cancel();
  hub_.close();
  co_await timers_.stop();
  co_await tasks_.join();
}

void EngineImpl::crash() {
  stopping_ = abandoned_ = true;
  timers_.crash();
  tasks_.abandon();
}

keys::Partition EngineImpl::partition_of_actor(const std::string& actor) const {
  if (const auto partition = keys::partition_of_run(actor)) return *partition;
  return keys::partition_of_session(actor, options_.partitions);
}

Task<Result<Started>> EngineImpl::start(StartRequest request) {
  if (stopping_ || fenced_) co_return fail("engine.stopping", "the server is stopping; try again in a moment", Retry::Safe);
  if (actors_.size() >= options_.active_actors_max)
    co_return fail("engine.overloaded", "too many runs are active; try again in a moment", Retry::Safe);
  if (request.session_key.size() > kSessionKeyBytesMax || !is_utf8(request.session_key))
    co_return fail("session.invalid_key", "a session key has at most 200 bytes of UTF-8");
  if (request.idempotency_key.size() > kIdempotencyKeyBytesMax)
    co_return fail("idempotency.invalid_key", "an idempotency key has at most 255 bytes");
  const std::string input_text = to_canonical_text(request.input);
  if (input_text.size() > options_.input_bytes_max)
    co_return fail("input.too_large", "the input has " + std::to_string(input_text.size()) + " bytes; at most " +
                                          std::to_string(options_.input_bytes_max) + " are accepted");
  auto stored_input = co_await mayfly::engine::spill(*deps_.blobs, request.input);
  if (!stored_input) co_return std::unexpected(stored_input.error());

  const TimePoint now = deps_.clock->now();
  const bool keyed = !request.session_key.empty();
  const Address address = address_of(request.program, request.session_key, request.idempotency_key, options_.partitions);
  const std::string& session = address.session;
  const keys::Partition partition =
      address.partition ? *address.partition : static_cast<keys::Partition>(deps_.random->below(options_.partitions));
  Start event;
  event.run = keys::make_run_id(now, *deps_.random, partition);
  event.program = request.program;
  event.version = request.version;
  event.input = std::move(request.input);
  event.stored_input = std::move(*stored_input);
  event.when_busy = request.when_busy;
  event.waiting_max = request.waiting_max;
  if (request.wall_time_max.count() > 0) event.deadline = now + request.wall_time_max;
  if (!request.idempotency_key.empty()) {
    event.idempotency_hash = address.idempotency_hash;
    event.input_hash = sha256_hex(request.input_identity.empty() ? input_text : request.input_identity);
    event.idempotency_expires = now + (request.idempotency_ttl.count() > 0 ? request.idempotency_ttl : options_.idempotency_ttl);
  }
  event.parent = std::move(request.parent);
  event.traceparent = std::move(request.traceparent);
  const std::string actor = keyed ? session : event.run;
  const Answer answer = co_await ask(partition, actor, std::move(event));
  if (answer.error) co_return std::unexpected(*answer.error);
  co_return Started{answer.run, answer.started_as};
}

Task<Result<std::optional<std::string>>> EngineImpl::find_by_key(std::string program, std::string session_key, std::string idempotency_key) {
  const Address address = address_of(program, session_key, idempotency_key, options_.partitions);
  if (!address.partition || address.idempotency_hash.empty()) co_return std::optional<std::string>();
  auto row = co_await deps_.store->get(keys::idempotency(*address.partition, address.idempotency_hash));
  if (!row) co_return std::unexpected(row.error());
  if (!*row) co_return std::optional<std::string>();
  const auto value = parse_record((*row)->value);
  const JsonObject* claim = value ? value->if_object() : nullptr;
  if (!claim || get_int(*claim, "expires") <= to_unix_ms(deps_.clock->now())) co_return std::optional<std::string>();
  co_return get_string(*claim, "run");
}

Task<Result<std::optional<std::string>>> EngineImpl::invoked(std::string run, std::int64_t operation) {
  auto found = co_await operations_by_id(run, {operation});
  if (!found) co_return std::unexpected(found.error());
  if (found->empty()) co_return std::optional<std::string>();
  if (const auto* ended = std::get_if<Operation>(&found->front())) {
    const JsonObject* meta = ended->meta.if_object();
    std::string child = meta ? get_string(*meta, "run") : std::string();
    if (!child.empty()) co_return std::optional<std::string>(std::move(child));
  }
  const auto& input = std::visit([](const auto& op) -> const Json& { return op.input; }, found->front());
  const JsonObject* invoke = input.if_object();
  auto request = invoke ? deps_.programs->chained(*invoke) : Result<StartRequest>(std::unexpected(not_found(run)));
  if (!request) co_return std::optional<std::string>();
  co_return co_await find_by_key(request->program, request->session_key, chained_key(run, operation));
}

Precondition EngineImpl::lease(keys::Partition partition) const {
  const auto epoch = epochs_.find(partition);
  MAYFLY_ASSERT(epoch != epochs_.end(), "leases are taken before anybody writes");
  return Precondition::version_equals(keys::epoch(partition), epoch->second);
}

Result<StartRequest> ProgramHost::chained(const JsonObject& invoke) {
  StartRequest out;
  out.program = get_string(invoke, "program");
  out.version = get_int(invoke, "version");
  out.session_key = get_string(invoke, "session");
  if (const Json* input = mayfly::get(invoke, "input")) out.input = *input;
  out.wall_time_max = Millis{get_int(invoke, "wall_time_ms")};
  return out;
}

Task<Result<void>> EngineImpl::cancel(std::string run, std::string reason) {
  auto execution = co_await get(run);
  if (!execution) co_return std::unexpected(execution.error());
  const keys::Partition partition = *keys::partition_of_run(run);
  co_return to_result(co_await ask(partition, execution->session, Cancelled{run, Error{"run.cancelled", std::move(reason), Retry::Never}}));
}

Task<Result<void>> EngineImpl::resolve(Resolved answer) {
  const std::string run = answer.run;
  auto execution = co_await get(run);
  if (!execution) co_return std::unexpected(execution.error());
  auto stored = co_await mayfly::engine::spill(*deps_.blobs, answer.result);
  if (!stored) co_return std::unexpected(stored.error());
  answer.stored = std::move(*stored);
  const keys::Partition partition = *keys::partition_of_run(run);
  co_return to_result(co_await ask(partition, execution->session, std::move(answer)));
}

Task<Result<Json>> EngineImpl::command(std::string run, Json body) {
  const auto partition = keys::partition_of_run(run);
  if (!partition || *partition >= options_.partitions) co_return std::unexpected(not_found(run));
  std::string actor = run;
  if (!actors_.contains(run)) {
    auto execution = co_await get(run);
    if (!execution) co_return std::unexpected(execution.error());
    actor = execution->session;
  }
  Answer answer = co_await ask(*partition, std::move(actor), Command{run, std::move(body)});
  if (answer.error) co_return std::unexpected(std::move(*answer.error));
  co_return std::move(answer.body);
}

Task<Result<Json>> EngineImpl::spill(Json value) {
  auto stored = co_await mayfly::engine::spill(*deps_.blobs, value);
  if (!stored) co_return stored;
  co_return stored->is_null() ? std::move(value) : std::move(*stored);
}

Task<Answer> EngineImpl::ask(keys::Partition partition, std::string actor, Event event) {
  if (stopping_ || fenced_)
    co_return Answer{Error{"engine.stopping", "the server is stopping; try again in a moment", Retry::Safe}, {}, {}};
  co_return co_await suspend<Answer>([this, partition, actor = std::move(actor), event = std::move(event)](Resume<Answer> resume) mutable {
    send(partition, actor, Envelope{std::move(event), std::make_unique<Resume<Answer>>(std::move(resume)), false, false});
  });
}

void EngineImpl::send(keys::Partition partition, const std::string& id, Envelope envelope) {
  auto& slot = actors_[id];
  if (!slot) {
    slot = std::make_unique<Actor>();
    slot->id = id;
    slot->state.partition = partition;
    ++unloaded_;
  }
  Actor* actor = slot.get();
  actor->inbox.push_back(std::move(envelope));
  if (actor->pumping) return;
  actor->pumping = true;
  tasks_.spawn(pump(actor));
}

void EngineImpl::timer_due(TimerQueue::Due due) {
  const auto parsed = keys::parse_timer(due.key);
  if (!parsed || stopping_) return;
  ++counters_.timers_fired;
  if (parsed->what == "idempotency") {
    tasks_.spawn(expire_idempotency_key(due.partition, parsed->run, due.key));
    return;
  }
  send(due.partition, due.owner, Envelope{TimerFired{parsed->run, parsed->what, parsed->due}, nullptr, false, false});
}

Task<> EngineImpl::expire_idempotency_key(keys::Partition partition, std::string hash, std::string timer_key) {
  Batch batch;
  batch.require.push_back(Precondition::version_equals(keys::epoch(partition), epochs_[partition]));
  batch.deletes = {timer_key};
  const std::string key = keys::idempotency(partition, hash);
  const auto row = co_await deps_.store->get(key);
  if (!row) co_return;
  if (*row) {
    const auto claim = parse_record((*row)->value);
    const auto due = keys::parse_timer(timer_key)->due;
    // A later request may have claimed the expired key anew.
    if (!claim || !claim->is_object() || get_int(claim->get_object(), "expires") <= to_unix_ms(due)) {
      batch.require.push_back(Precondition::version_equals(key, (*row)->version));
      batch.deletes.push_back(key);
    }
  }
  // A failure only means that the key lives until the next start looks at the timer again.
  (void)co_await deps_.store->commit(std::move(batch));
}

Task<Result<std::optional<Execution>>> EngineImpl::read_run(keys::Partition partition, std::string run) {
  auto row = co_await deps_.store->get(keys::run(partition, run));
  if (!row) co_return std::unexpected(row.error());
  if (!*row) co_return std::optional<Execution>();
  const auto value = parse_record((*row)->value);
  if (!value)
    co_return std::unexpected(Error{"store.damaged", "the record of " + run + " cannot be read: " + value.error().message, Retry::Never});
  auto execution = execution_from_json(*value);
  if (!execution) co_return std::unexpected(execution.error());
  co_return std::optional<Execution>(std::move(*execution));
}

Task<Result<Execution>> EngineImpl::get(std::string run) {
  const auto partition = keys::partition_of_run(run);
  if (!partition || *partition >= options_.partitions) co_return std::unexpected(not_found(run));
  auto execution = co_await read_run(*partition, run);
  if (!execution) co_return std::unexpected(execution.error());
  if (!*execution) co_return std::unexpected(not_found(run));
  co_return std::move(**execution);
}

Task<Result<std::vector<Operation>>> EngineImpl::read_operations(keys::Partition partition, std::string run, std::int64_t after) {
  std::vector<Operation> out;
  KeyRange range = KeyRange::prefix(keys::operation_prefix(partition, run));
  if (after >= 0) range.begin = keys::operation(partition, run, after) + '\0';
  for (bool more = true; more;) {
    auto rows = co_await deps_.store->scan(range, kOperationsPage, Direction::Forward);
    if (!rows) co_return std::unexpected(rows.error());
    for (const Record& row : *rows) {
      const auto value = parse_record(row.value);
      if (!value) co_return fail("store.damaged", "an operation of " + run + " cannot be read: " + value.error().message);
      auto operation = operation_from_json(*value);
      if (!operation) co_return std::unexpected(operation.error());
      out.push_back(std::move(*operation));
    }
    more = rows->size() == kOperationsPage;
    if (more) range.begin = rows->back().key + '\0';
  }
  co_return out;
}

Task<Result<RunDescription>> EngineImpl::describe(std::string run) {
  auto execution = co_await get(run);
  if (!execution) co_return std::unexpected(execution.error());
  auto operations = co_await read_operations(*keys::partition_of_run(run), run, -1);
  if (!operations) co_return std::unexpected(operations.error());
  co_return RunDescription{std::move(*execution), std::move(*operations)};
}

Task<Result<std::vector<Operation>>> EngineImpl::operations(std::string run, std::int64_t after) {
  const auto partition = keys::partition_of_run(run);
  if (!partition || *partition >= options_.partitions) co_return std::unexpected(not_found(run));
  auto out = co_await read_operations(*partition, run, after);
  if (!out) co_return out;
  for (Operation& operation : *out) {
    for (Json* value : {&operation.input, &operation.result}) {
      if (!looks_spilled(*value)) continue;
      auto whole = co_await unspill(std::move(*value));
      if (!whole) co_return std::unexpected(whole.error());
      *value = std::move(*whole);
    }
  }
  co_return out;
}

Task<Result<std::vector<std::variant<PendingOperation, Operation>>>> EngineImpl::operations_by_id(std::string run,
                                                                                                 std::vector<std::int64_t> ids) {
  auto execution = co_await get(run);
  if (!execution) co_return std::unexpected(execution.error());
  std::vector<std::variant<PendingOperation, Operation>> out;
  for (const std::int64_t id : ids) {
    if (const PendingOperation* pending = execution->find_pending(id)) {
      out.emplace_back(*pending);
      continue;
    }
    auto row = co_await deps_.store->get(keys::operation(*keys::partition_of_run(run), run, id));
    if (!row) co_return std::unexpected(row.error());
    if (!*row) continue;
    const auto value = parse_record((*row)->value);
    if (!value) co_return fail("store.damaged", "an operation of " + run + " cannot be read: " + value.error().message);
    auto operation = operation_from_json(*value);
    if (!operation) co_return std::unexpected(operation.error());
    out.emplace_back(std::move(*operation));
  }
  co_return out;
}

Task<Result<std::vector<Execution>>> EngineImpl::list(ListFilter filter) {
  const std::size_t limit = std::clamp<std::size_t>(filter.limit, 1, 1000);
  const std::string session = filter.session_key.empty() ? std::string() : filter.program + "/" + filter.session_key;
  const auto wanted = [&](const Execution& run) {
    return (filter.program.empty() || run.program == filter.program) && (session.empty() || run.session == session) &&
           (!filter.status || run.status == *filter.status) && (!filter.waiting_only || (run.open() && run.wait));
  };
  std::vector<Execution> out;
  for (keys::Partition p = 0; p < options_.partitions; ++p) {
    const std::string prefix = keys::run_prefix(p);
    KeyRange range = KeyRange::prefix(prefix);
    if (!filter.before.empty()) {
      // Runs sort by time, then by partition: compare the time part across partitions.
      std::string bound = filter.before;
      if (const auto own = keys::partition_of_run(bound); own && *own != p) bound = bound.substr(0, 14) + (p < *own ? "~" : "");
      range.end = std::min(range.end, prefix + bound);
    }
    std::size_t found = 0, read = 0;
    for (bool more = true; more && found < limit && read < kListReadMax;) {
      const std::size_t page = std::min<std::size_t>(limit * 2, kPage);
      auto rows = co_await deps_.store->scan(range, page, Direction::Backward);
      if (!rows) co_return std::unexpected(rows.error());
      read += rows->size();
      for (const Record& row : *rows) {
        const auto value = parse_record(row.value);
        if (!value) continue;
        auto run = execution_from_json(*value);
        if (run && wanted(*run) && found++ < limit) out.push_back(std::move(*run));
      }
      more = rows->size() == page;
      if (more) range.end = rows->back().key;
    }
  }
  std::ranges::sort(out, [](const Execution& a, const Execution& b) { return a.id > b.id; });
  if (out.size() > limit) out.resize(limit);
  co_return out;
}

Task<Result<std::vector<Session>>> EngineImpl::sessions(std::string program, std::size_t limit) {
  std::vector<Session> out;
  for (keys::Partition p = 0; p < options_.partitions; ++p) {
    std::string prefix = keys::session_prefix(p);
    if (!program.empty()) prefix += program + "%2f";
    auto rows = co_await deps_.store->scan(KeyRange::prefix(prefix), std::clamp<std::size_t>(limit, 1, 1000), Direction::Forward);
    if (!rows) co_return std::unexpected(rows.error());
    for (const Record& row : *rows)
      if (const auto value = parse_record(row.value))
        if (auto session = session_from_json(*value)) out.push_back(std::move(*session));
  }
  std::ranges::sort(out, [](const Session& a, const Session& b) { return a.updated > b.updated; });
  if (out.size() > limit) out.resize(limit);
  co_return out;
}

Task<Result<std::vector<std::string>>> EngineImpl::session_runs(std::string session, std::size_t newest_max) {
  auto rows = co_await deps_.store->scan(KeyRange::prefix(keys::history_prefix(partition_of_actor(session), session)),
                                         std::clamp<std::size_t>(newest_max, 1, 10'000), Direction::Backward);
  if (!rows) co_return std::unexpected(rows.error());
  std::vector<std::string> out;
  for (Record& row : *rows) out.push_back(std::move(row.value));
  std::ranges::reverse(out);
  co_return out;
}

Task<Result<Json>> EngineImpl::unspill(Json value) { return mayfly::engine::unspill(*deps_.blobs, std::move(value)); }

std::vector<Delta> EngineImpl::said_so_far(const std::string& run) {
  std::vector<Delta> out;
  for (const auto& [id, actor] : actors_) {
    if (!actor->state.run || actor->state.run->id != run) continue;
    for (const auto& [key, step] : actor->steps)
      for (const auto& [channel, text] : step.said)
        if (key.first == run) out.push_back({key.second, step.attempt, channel, 0, text});
  }
  return out;
}

EngineCounters EngineImpl::counters() const {
  EngineCounters out = counters_;
  out.actors = actors_.size();
  out.steps_running = steps_running_;
  return out;
}

}  // namespace mayfly::engine
