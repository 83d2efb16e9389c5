#include <algorithm>

#include "base/assert.h"
#include "base/log.h"
#include "engine/shell/engine_impl.h"
#include "engine/shell/spill.h"

namespace mayfly::engine {
namespace {

constexpr Millis kStoreRetry{200};
constexpr Millis kStoreWarning{5'000};
constexpr std::size_t kEventsPerCommit = 32;
constexpr std::size_t kEventRecordsMax = 20;  ///< that one event writes, beside two for each pending operation that it may end

/// Stands in for a version that no longer exists, so that its runs end with a reason instead of hanging.
class MissingProgram final : public Program {
 public:
  Decision begin(ProgramContext, const Json&) const override { return gone(); }
  Decision ended(ProgramContext, const Operation&) const override { return gone(); }
  Decision message(ProgramContext, const Operation&) const override { return gone(); }
  bool may_repeat(ProgramContext, const PendingOperation&, const Error&) const override { return false; }
  OnUnknownOutcome on_unknown(ProgramContext, const PendingOperation&) const override { return OnUnknownOutcome::Ask; }

 private:
  static Decision gone() {
    Decision out;
    out.complete = Completion{ExecutionStatus::Failed, nullptr,
                              Error{"program.not_found", "the version that this run started with is not deployed any more", Retry::Never}};
    return out;
  }
};

const std::string* run_of(const Event& event) {
  return std::visit([](const auto& e) { return &e.run; }, event);
}

/// An event whose consequence no store would take, for its size: it must not be tried for ever. A step fails; another event ends its run.
void refuse_too_large(Event& event, const Error& error) {
  const Error why{"operation.too_large", "what this step would record is too large: " + error.message, Retry::Never};
  auto* finished = std::get_if<StepFinished>(&event);
  if (finished && !finished->outcome.error) {
    finished->outcome = StepOutcome{.error = why, .meta = finished->outcome.meta};
  } else {
    event = Cancelled{*run_of(event), why};
  }
}

bool has_interrupted_steps(const Execution& run) {
  return run.open() && std::ranges::any_of(run.pending, [](const PendingOperation& op) {
           return op.is_executing();
         });
}

}  // namespace

Task<> EngineImpl::pump(Actor* actor) {
  while (!actor->inbox.empty() || (!stopping_ && (!actor->loaded || actor->state.wants_promotion()))) {
    if (fenced_) {
      for (Envelope& envelope : actor->inbox)
        reply(envelope, {Error{"engine.fenced", "another server took over; ask it", Retry::OutcomeUnknown}, {}, {}});
      actor->inbox.clear();
      break;
    }
    if (!actor->loaded && !co_await load(actor)) continue;
    co_await work(actor);
  }
  actor->pumping = false;
  // Hibernation: what waits for a timer, a person or nothing is only a record.
  if (!actor->steps.empty() && !fenced_) co_return;
  if (!actor->loaded_before) --unloaded_;
  const std::string id = actor->id;
  actors_.erase(id);
  deps_.steps->hibernated(id);
}

Task<bool> EngineImpl::load(Actor* actor) {
  ActorState& state = actor->state;
  const keys::Partition p = state.partition;
  std::optional<Error> error;
  state.session.reset();
  state.run.reset();
  state.queued.reset();
  state.ended_keys.reset();
  actor->run_version = actor->session_version = 0;
  std::string run = actor->id;
  if (!keys::partition_of_run(actor->id)) {
    run.clear();
    state.session = Session{};
    state.session->id = actor->id;
    state.session->program = actor->id.substr(0, actor->id.find('/'));
    state.session->created = deps_.clock->now();
    auto row = co_await deps_.store->get(keys::session(p, actor->id));
    if (!row) {
      error = row.error();
    } else if (*row) {
      const auto value = parse_record((*row)->value);
      auto session = value ? session_from_json(*value) : Result<Session>(std::unexpected(value.error()));
      if (session) {
        state.session = std::move(*session);
        actor->session_version = (*row)->version;
        run = state.session->running;
      } else {
        error = session.error();
      }
    }
  }
  if (!run.empty() && !error) {
    auto row = co_await deps_.store->get(keys::run(p, run));
    if (!row) {
      error = row.error();
    } else if (*row) {
      const auto value = parse_record((*row)->value);
      auto execution = value ? execution_from_json(*value) : Result<Execution>(std::unexpected(value.error()));
      if (execution) {
        state.run = std::move(*execution);
        actor->run_version = (*row)->version;
        state.run_was_active = state.run->open() && !state.run->wait;
      } else {
        error = execution.error();
      }
    }
  }
  if (error) {
    co_await commit_failed(actor, {}, *error);
    co_return false;
  }
  actor->loaded = true;
  const bool recovery_waits = state.run && std::ranges::any_of(actor->inbox, [&](const Envelope& envelope) {
                                const auto* recovered = std::get_if<Recovered>(&envelope.event);
                                return recovered && !envelope.from_recovery && recovered->run == state.run->id;
                              });
  if (state.run && has_interrupted_steps(*state.run) && !recovery_waits) {
    if (!actor->loaded_before) {
      actor->inbox.push_front(Envelope{Recovered{state.run->id}, nullptr, false, false});
    } else {
      // After a failed commit: what it started and what did become durable was never dispatched. But a step whose outcome
      // still waits to be applied was, and must not be done again.
      const auto known = [&](const PendingOperation& op) {
        return actor->steps.contains({state.run->id, op.id}) || std::ranges::any_of(actor->inbox, [&](const Envelope& envelope) {
                 const auto* finished = std::get_if<StepFinished>(&envelope.event);
                 return finished && finished->run == state.run->id && finished->operation == op.id && finished->attempt == op.attempt;
               });
      };
      std::vector<std::int64_t> missing;
      for (const PendingOperation& op : state.run->pending)
        if (op.is_executing() && !known(op)) missing.push_back(op.id);
      for (const std::int64_t id : missing) dispatch(actor, id);
    }
  }
  if (!std::exchange(actor->loaded_before, true)) --unloaded_;
  co_return true;
}

Task<> EngineImpl::work(Actor* actor) {
  // A run that ended is the store's: what the session does next has another record and version.
  if (actor->state.run && !actor->state.run->open() && !actor->state.wants_promotion()) {
    actor->state.run.reset();
    actor->state.run_was_active = false;
    actor->state.ended_keys.reset();
    actor->run_version = 0;
  }
  Machine machine(actor->state, deps_.clock->now(), [this](const std::string& run) { return hub_.watched(run); });
  std::vector<Envelope> taken;
  std::vector<Answer> answers;
  std::vector<std::string> claimed;
  const bool promoted = !stopping_ && actor->state.wants_promotion() && co_await promote(actor, &machine);
  const std::size_t events_max = actor->one_by_one ? 1 : kEventsPerCommit;
  const auto has_room = [&] {
    const std::size_t pending = actor->state.run ? actor->state.run->pending.size() : 0;
    return taken.empty() || machine.size() + 2 * pending + kEventRecordsMax <= StoreLimits{}.batch_operations_max;
  };
  while (!promoted && !actor->inbox.empty() && taken.size() < events_max && has_room()) {
    Envelope envelope = std::move(actor->inbox.front());
    actor->inbox.pop_front();
    // Two starts with one idempotency key: the second must see what the first left.
    const auto* start = std::get_if<Start>(&envelope.event);
    if (start && !start->idempotency_hash.empty() && std::ranges::find(claimed, start->idempotency_hash) != claimed.end()) {
      actor->inbox.push_front(std::move(envelope));
      break;
    }
    if (!co_await prepare(actor, &envelope, &claimed)) continue;
    std::shared_ptr<const Program> keep;
    const Program& program = program_for(*actor, envelope.event, keep);
    if (start && !keep) {
      reply(envelope, {Error{"program.not_found", "there is no agent '" + start->program + "' in that version", Retry::Never}, {}, {}});
      continue;
    }
    const bool concerned_queued = actor->state.queued.has_value();
    answers.push_back(machine.apply(envelope.event, program));
    taken.push_back(std::move(envelope));
    // A run that ended lets others in first; what concerns the next one belongs into the next commit. And a waiting run that was
    // read from the store must not be read again before this commit.
    if (concerned_queued || (actor->state.run && !actor->state.run->open())) break;
  }
  actor->state.queued.reset();
  const bool run_changed = machine.run_changed(), session_changed = machine.session_changed();
  Transition transition = machine.finish();
  if (transition.batch.empty()) {
    for (std::size_t i = 0; i < taken.size(); ++i) reply(taken[i], std::move(answers[i]));
    co_return;
  }
  auto outcome = co_await commit(actor, machine, &transition);
  if (!outcome || !outcome->committed()) {
    // It may have become durable all the same: a timer or message too many is ignored, one too few is lost.
    for (const TimerChange& timer : transition.timers) timers_.add(actor->state.partition, timer);
    if (transition.outbox) kick_outbox(actor->state.partition);
    for (const auto& [run, event] : transition.publish) hub_.end(run);
  }
  if (promoted && !(outcome && outcome->committed()))
    actor->inbox.push_back(Envelope{Recovered{actor->state.run->id}, nullptr, true, false});
  if (!outcome) {
    co_await commit_failed(actor, std::move(taken), outcome.error());
    co_return;
  }
  if (!outcome->committed()) {
    if (outcome->conflict_key == keys::epoch(actor->state.partition)) {
      log::error("this server lost its lease to another one and stops working", {{"partition", actor->state.partition}});
      fenced_ = true;
    }
    // Somebody claimed an idempotency key first, or an earlier commit did become durable: look again.
    actor->loaded = false;
    for (auto envelope = taken.rbegin(); envelope != taken.rend(); ++envelope) {
      envelope->again = true;
      actor->inbox.push_front(std::move(*envelope));
    }
    co_return;
  }
  committed(actor, std::move(transition), outcome->version, run_changed, session_changed);
  for (std::size_t i = 0; i < taken.size(); ++i) reply(taken[i], std::move(answers[i]));
}

Task<bool> EngineImpl::prepare(Actor* actor, Envelope* envelope, std::vector<std::string>* claimed) {
  ActorState& state = actor->state;
  if (auto* start = std::get_if<Start>(&envelope->event)) co_return co_await prepare_start(actor, envelope, start, claimed);
  const std::string& run = *run_of(envelope->event);
  const bool current = state.run && state.run->id == run;
  if (envelope->from_recovery && current && state.run->open()) co_return false;
  if (std::holds_alternative<Command>(envelope->event) && current && !state.ended_keys && !co_await read_ended_keys(actor, envelope))
    co_return false;
  const auto* timer = std::get_if<TimerFired>(&envelope->event);
  const bool concerns_queued = std::holds_alternative<Cancelled>(envelope->event) || (timer && timer->what == "deadline");
  if (!current && concerns_queued && state.session) {
    auto other = co_await read_run(state.partition, run);
    if (!other && envelope->reply) {
      reply(*envelope, {other.error(), {}, {}});
      co_return false;
    }
    if (!other) {
      actor->inbox.push_front(std::move(*envelope));
      co_await sleep_for(*deps_.clock, kStoreRetry, stopping_source_.token());
      co_return false;
    }
    if (*other && (*other)->open() && !(*other)->begun) state.queued = std::move(**other);
  }
  co_return true;
}

Task<bool> EngineImpl::read_ended_keys(Actor* actor, Envelope* envelope) {
  auto operations = co_await read_operations(actor->state.partition, actor->state.run->id, 0);
  if (!operations) {
    reply(*envelope, {operations.error(), {}, {}, {}});
    co_return false;
  }
  EndedKeys& keys = actor->state.ended_keys.emplace();
  for (const Operation& operation : *operations)
    if (!operation.key.empty()) keys.insert_or_assign(operation.key, EndedKey{operation.id, operation.status});
  co_return true;
}

Task<bool> EngineImpl::prepare_start(Actor* actor, Envelope* envelope, Start* start, std::vector<std::string>* claimed) {
  const keys::Partition p = actor->state.partition;
  if (envelope->again && co_await was_applied(actor, envelope, start)) co_return false;
  if (start->idempotency_hash.empty()) co_return true;
  const std::string key = keys::idempotency(p, start->idempotency_hash);
  auto row = co_await deps_.store->get(key);
  if (!row) {
    reply(*envelope, {row.error(), {}, {}});
    co_return false;
  }
  if (*row) {
    const auto value = parse_record((*row)->value);
    const JsonObject claim = value && value->is_object() ? value->get_object() : JsonObject{};
    if (get_int(claim, "expires") > to_unix_ms(deps_.clock->now())) {
      if (get_string(claim, "input") == start->input_hash) {
        reply(*envelope, {{}, StartedAs::Duplicate, get_string(claim, "run")});
      } else {
        reply(*envelope,
              {Error{"idempotency.mismatch",
                     "this idempotency key was used for another input (" + get_string(claim, "run") + "); use a new key for a new request",
                     Retry::Never},
               {},
               {}});
      }
      co_return false;
    }
    Batch expired;
    expired.require.push_back(Precondition::version_equals(key, (*row)->version));
    expired.deletes.push_back(key);
    (void)co_await deps_.store->commit(std::move(expired));
  }
  claimed->push_back(start->idempotency_hash);
  co_return true;
}

Task<bool> EngineImpl::was_applied(Actor* actor, Envelope* envelope, const Start* start) {
  constexpr std::int64_t kLookBack = 100;
  const keys::Partition p = actor->state.partition;
  auto mine = co_await read_run(p, start->run);
  if (mine && *mine) {
    reply(*envelope, {{}, (*mine)->begun ? StartedAs::Begun : StartedAs::Queued, start->run});
    co_return true;
  }
  if (start->when_busy != BusyPolicy::Steer || !actor->state.busy()) co_return false;
  const std::string run = actor->state.run->id;
  const std::int64_t newest = actor->state.run->next_operation - 1;
  for (std::int64_t id = newest; id > std::max<std::int64_t>(newest - kLookBack, 0); --id) {
    auto row = co_await deps_.store->get(keys::operation(p, run, id));
    if (!row || !*row) continue;
    const auto value = parse_record((*row)->value);
    const JsonObject* meta = value && value->is_object() ? mayfly::get_object(value->get_object(), "meta") : nullptr;
    if (!meta || get_string(*meta, "start") != start->run) continue;
    reply(*envelope, {{}, StartedAs::Steered, run});
    co_return true;
  }
  co_return false;
}

Task<bool> EngineImpl::promote(Actor* actor, Machine* machine) {
  ActorState& state = actor->state;
  const keys::Partition p = state.partition;
  auto rows = co_await deps_.store->scan(KeyRange::prefix(keys::inbox_prefix(p, actor->id)), 1, Direction::Forward);
  if (!rows || rows->empty()) {
    if (rows)
      state.session->waiting = 0;
    else
      co_await sleep_for(*deps_.clock, kStoreRetry, stopping_source_.token());
    co_return false;
  }
  const std::string run = rows->front().value;
  auto execution = co_await read_run(p, run);
  auto row = co_await deps_.store->get(keys::operation(p, run, 0));
  auto run_row = co_await deps_.store->get(keys::run(p, run));
  if (!execution || !row || !run_row || !*execution || !*row || !*run_row) {
    co_await sleep_for(*deps_.clock, kStoreRetry, stopping_source_.token());
    co_return false;
  }
  const auto value = parse_record((*row)->value);
  const auto operation = value ? operation_from_json(*value) : Result<Operation>(std::unexpected(value.error()));
  auto input = co_await mayfly::engine::unspill(*deps_.blobs, operation ? operation->input : Json(nullptr));
  state.queued = std::move(**execution);
  Event event = Promoted{run, input ? std::move(*input) : Json(nullptr)};
  std::shared_ptr<const Program> keep = deps_.programs->find(state.queued->program, state.queued->version);
  static const MissingProgram missing;
  machine->apply(event, keep ? *keep : missing);
  actor->run_version = (*run_row)->version;
  co_return true;
}

Task<Result<CommitOutcome>> EngineImpl::commit(Actor* actor, const Machine& machine, Transition* transition) {
  const keys::Partition p = actor->state.partition;
  Batch batch = std::move(transition->batch);
  const auto guard = [&](std::string key, Version version) {
    batch.require.push_back(version ? Precondition::version_equals(std::move(key), version) : Precondition::absent(std::move(key)));
  };
  guard(keys::epoch(p), epochs_[p]);
  if (machine.run_changed()) guard(keys::run(p, actor->state.run->id), actor->run_version);
  if (machine.session_changed()) guard(keys::session(p, actor->id), actor->session_version);
  for (std::string& key : transition->absent) batch.require.push_back(Precondition::absent(std::move(key)));
  ++counters_.commits;
  co_return co_await deps_.store->commit(std::move(batch));
}

void EngineImpl::committed(Actor* actor, Transition transition, Version version, bool run_changed, bool session_changed) {
  actor->one_by_one = false;
  if (run_changed) actor->run_version = version;
  if (session_changed) actor->session_version = version;
  for (const std::int64_t operation : transition.abort) {
    if (const auto step = actor->steps.find({actor->state.run->id, operation}); step != actor->steps.end()) step->second.cancel.cancel();
  }
  for (const TimerChange& timer : transition.timers) timers_.add(actor->state.partition, timer);
  for (auto& [run, event] : transition.publish) {
    if (event.kind == RunEvent::Kind::RunStarted) ++counters_.runs_started;
    const bool is_end = event.kind == RunEvent::Kind::RunEnded;
    if (is_end) ++counters_.runs_ended;
    if (event.kind == RunEvent::Kind::OperationEnded) ++counters_.operations_ended;
    const bool wanted = event.kind == RunEvent::Kind::RunEnded || hub_.watched(run);
    // A reader who came while the commit was under way: the event was made without a body, the journal has it.
    if (wanted && event.body.is_null())
      hub_.end(run);
    else if (wanted)
      hub_.publish(run, std::move(event));
    if (is_end && deps_.run_ended) deps_.run_ended(run);
  }
  for (const std::int64_t operation : transition.dispatch) dispatch(actor, operation);
  if (transition.outbox) kick_outbox(actor->state.partition);
}

Task<> EngineImpl::commit_failed(Actor* actor, std::vector<Envelope> taken, Error error) {
  ++counters_.commit_failures;
  // Many actors may wait for one disk: one of them speaks for all.
  const auto now = deps_.clock->monotonic();
  if (!store_warned_ || now - *store_warned_ > kStoreWarning) {
    store_warned_ = now;
    log::warn("the store fails; what it did not take is tried again",
              {{"actor", actor->id}, {"code", error.code}, {"error", error.message}});
  }
  // What was applied in memory never happened, or is not known to have: start again from what is stored.
  actor->loaded = false;
  actor->one_by_one = error.code == "store.invalid_batch";
  std::deque<Envelope> keep;
  const auto sort_out = [&](Envelope& envelope) {
    if (error.code == "store.invalid_batch" && taken.size() == 1) refuse_too_large(envelope.event, error);
    // Those who can ask again are told; the rest of the world cannot be told and is kept until the store is well.
    const bool guilty = error.code != "store.invalid_batch" || taken.size() == 1;
    if (envelope.reply && error.retry != Retry::OutcomeUnknown && !envelope.again && guilty) return reply(envelope, {error, {}, {}});
    envelope.again = true;
    keep.push_back(std::move(envelope));
  };
  for (Envelope& envelope : taken) sort_out(envelope);
  if (taken.empty())
    for (Envelope& envelope : std::exchange(actor->inbox, {})) sort_out(envelope);
  for (auto envelope = keep.rbegin(); envelope != keep.rend(); ++envelope) actor->inbox.push_front(std::move(*envelope));
  if (stopping_) {
    // The next start finds everything in the store.
    for (Envelope& envelope : actor->inbox)
      reply(envelope, {envelope.again ? Error{error.code, error.message, Retry::OutcomeUnknown} : error, {}, {}});
    actor->inbox.clear();
    co_return;
  }
  co_await sleep_for(*deps_.clock, kStoreRetry, stopping_source_.token());
}

void EngineImpl::reply(Envelope& envelope, Answer answer) {
  if (const auto resume = std::exchange(envelope.reply, nullptr)) (*resume)(std::move(answer));
}

const Program& EngineImpl::program_for(const Actor& actor, const Event& event, std::shared_ptr<const Program>& keep) {
  static const MissingProgram missing;
  if (const auto* start = std::get_if<Start>(&event)) {
    // A message that steers goes to the run that is there, in its own version.
    const bool steers = actor.state.busy() && start->when_busy == BusyPolicy::Steer;
    keep = steers ? deps_.programs->find(actor.state.run->program, actor.state.run->version)
                  : deps_.programs->find(start->program, start->version);
  } else if (const auto& queued = actor.state.queued; queued && queued->id == *run_of(event)) {
    keep = deps_.programs->find(queued->program, queued->version);
  } else if (actor.state.run) {
    keep = deps_.programs->find(actor.state.run->program, actor.state.run->version);
  }
  return keep ? *keep : missing;
}

}  // namespace mayfly::engine
