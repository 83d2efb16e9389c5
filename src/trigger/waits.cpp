#include "trigger/waits.h"

#include <algorithm>
#include <utility>

#include "base/hash.h"
#include "base/log.h"

namespace mayfly::trigger {
namespace {

constexpr std::size_t kPage = 500;
constexpr Millis kSweepEvery{60'000};
constexpr Millis kAgain{1'000};
constexpr std::size_t kTakenMax = 1'000;
constexpr Millis kLookedAtEvery{3'600'000};
constexpr std::string_view kEventKind = "event";             // an agent's callback that events end
constexpr std::string_view kFunctionProgram = "function:";  // any callback of a durable function

std::string waits_prefix(engine::keys::Partition partition) { return engine::keys::partition_prefix(partition) + "W/"; }
std::string events_prefix(engine::keys::Partition partition) { return engine::keys::partition_prefix(partition) + "V/"; }

/// "PPPP/V/HASH/EVENT" gives "HASH".
std::string hash_of(std::string_view row) {
  const auto end = row.rfind('/');
  const auto begin = row.rfind('/', end - 1) + 1;
  return std::string(row.substr(begin, end - begin));
}

bool has_taken(const JsonObject& row, std::string_view run) {
  if (const JsonArray* taken = get_array(row, "taken"))
    for (const Json& item : *taken)
      if (item.is_string() && std::string_view(item.get_string()) == run) return true;
  return false;
}

/// An approval is a callback too: no event may stand in for a person.
bool ends_by_event(const engine::Execution& run, const engine::PendingOperation& operation) {
  return operation.type == engine::OperationType::Callback && (operation.kind == kEventKind || run.program.starts_with(kFunctionProgram));
}

JsonObject object_in(const std::string& text) {
  auto value = engine::parse_record(text);
  return value && value->is_object() ? std::move(value->get_object()) : JsonObject();
}

}  // namespace

Waits::Waits(Executor executor, Store& store, Clock& clock, engine::Engine& engine)
    : store_(store), clock_(clock), engine_(engine), tasks_(executor) {}

Waits::Place Waits::place_of(const std::string& type, const std::string& key) const {
  const std::string text = type + '\0' + key;
  Place out;
  out.partition = static_cast<engine::keys::Partition>(stable_hash64(text) % engine_.partitions());
  const std::string hash = sha256_hex(text).substr(0, 32);
  out.waits = waits_prefix(out.partition) + hash + "/";
  out.events = events_prefix(out.partition) + hash + "/";
  return out;
}

Task<Result<void>> Waits::open() {
  for (engine::keys::Partition p = 0; p < engine_.partitions(); ++p)
    if (auto done = co_await recover(p); !done) co_return done;
  tasks_.spawn(sweep());
  co_return Result<void>{};
}

Task<Result<void>> Waits::recover(engine::keys::Partition partition) {
  KeyRange range = KeyRange::prefix(events_prefix(partition));
  std::string last;
  for (bool more = true; more;) {
    auto rows = co_await store_.scan(range, kPage, Direction::Forward);
    if (!rows) co_return std::unexpected(rows.error());
    more = rows->size() == kPage;
    for (const Record& row : *rows) {
      range.begin = row.key + '\0';
      kept_.emplace_back(from_unix_ms(get_int(object_in(row.value), "at")), row.key);
      const std::string hash = hash_of(row.key);
      if (hash == std::exchange(last, hash)) continue;
      tasks_.spawn(match_until_done({partition, waits_prefix(partition) + hash + "/", events_prefix(partition) + hash + "/"}));
    }
  }
  std::ranges::sort(kept_);
  co_return Result<void>{};
}

Task<> Waits::stop() {
  stopping_.cancel();
  co_await tasks_.join();
}
void Waits::crash() {
  stopping_.cancel();
  tasks_.abandon();
}

Task<Result<void>> Waits::commit(engine::keys::Partition partition, Batch batch) {
  batch.require.push_back(engine_.lease(partition));
  auto written = co_await store_.commit(std::move(batch));
  if (!written) co_return std::unexpected(written.error());
  if (!written->committed()) co_return fail("store.conflict", "the row was changed meanwhile: " + written->conflict_key, Retry::Safe);
  co_return Result<void>{};
}

Task<Result<void>> Waits::add(EventWait wait) {
  if (wait.run.empty() || wait.type.empty()) co_return fail("event.invalid", "a wait needs a run and the type of its event");
  const Place place = place_of(wait.type, wait.key);
  Batch batch;
  JsonObject row{{"run", wait.run}, {"operation", wait.operation}, {"type", wait.type}, {"key", wait.key}, {"at", to_unix_ms(clock_.now())}};
  if (wait.until) row["until"] = to_unix_ms(*wait.until);
  batch.puts.push_back({place.waits + wait.run + "." + std::to_string(wait.operation), to_text(row)});
  if (auto written = co_await commit(place.partition, std::move(batch)); !written) co_return written;
  tasks_.spawn(match_until_done(place));
  co_return Result<void>{};
}

Task<Result<void>> Waits::signal(std::string id, std::string type, std::string key, Json event) {
  const Place place = place_of(type, key);
  const std::string row = place.events + sha256_hex(id).substr(0, 32);
  auto known = co_await store_.get(row);
  if (!known) co_return std::unexpected(known.error());
  if (!*known) {
    auto stored = co_await engine_.spill(std::move(event));
    if (!stored) co_return std::unexpected(stored.error());
    const TimePoint now = clock_.now();
    Batch batch;
    batch.require.push_back(Precondition::absent(row));
    batch.puts.push_back({row, to_text(JsonObject{{"at", to_unix_ms(now)}, {"event", *std::move(stored)}, {"taken", JsonArray()}})});
    // Before its outcome is known: what was written in spite of an error is cleared away too.
    kept_.emplace_back(now, row);
    if (auto written = co_await commit(place.partition, std::move(batch)); !written) co_return written;
  }
  tasks_.spawn(match_until_done(place));
  co_return Result<void>{};
}

Task<> Waits::match_until_done(Place place) {
  while (!stopping_.cancelled()) {
    auto done = co_await match(place);
    if (done || stopping_.cancelled()) co_return;
    log::warn("waits for an event cannot be resolved yet", {{"code", done.error().code}, {"error", done.error().message}});
    co_await sleep_for(clock_, kAgain, stopping_.token());
  }
}

Task<Result<void>> Waits::match(Place place) {
  KeyRange range = KeyRange::prefix(place.waits);
  for (bool more = true; more;) {
    auto waits = co_await store_.scan(range, kPage, Direction::Forward);
    if (!waits) co_return std::unexpected(waits.error());
    more = waits->size() == kPage;
    if (more) range.begin = waits->back().key + '\0';
    if (waits->empty()) break;
    auto events = co_await store_.scan(KeyRange::prefix(place.events), kPage, Direction::Forward);
    if (!events) co_return std::unexpected(events.error());
    for (const Record& wait : *waits) {
      const JsonObject row = object_in(wait.value);
      const std::string run = get_string(row, "run");
      for (Record& kept : *events) {
        JsonObject event = object_in(kept.value);
        const std::int64_t at = get_int(event, "at"), until = get_int(row, "until");
        // An event ends one wait of a run, not the run's next one too; nor what was given up before it came.
        if (has_taken(event, run) || (until > 0 && at > until) || at + kWindow.count() < get_int(row, "at")) continue;
        auto resolved = co_await resolve(wait, row, *get(event, "event"));
        if (!resolved) co_return std::unexpected(resolved.error());
        Batch batch;
        batch.deletes.push_back(wait.key);
        if (!*resolved) {
          // Something else ended it: the event is still there for the run's next wait.
          if (auto written = co_await commit(place.partition, std::move(batch)); !written) co_return written;
          break;
        }
        batch.require.push_back(Precondition::version_equals(kept.key, kept.version));
        JsonArray& taken = event["taken"].emplace_array();
        if (const auto before = object_in(kept.value); const JsonArray* list = get_array(before, "taken")) taken = *list;
        if (taken.size() < kTakenMax) taken.emplace_back(run);
        kept.value = to_text(event);
        batch.puts.push_back({kept.key, kept.value});
        // On a conflict: again from the start; the engine refuses the second resolve.
        if (auto written = co_await commit(place.partition, std::move(batch)); !written) co_return written;
        auto fresh = co_await store_.get(kept.key);
        if (!fresh) co_return std::unexpected(fresh.error());
        if (*fresh) kept = **fresh;
        break;
      }
    }
  }
  co_return Result<void>{};
}

Task<Result<bool>> Waits::resolve(const Record& wait, const JsonObject& row, Json event) {
  auto whole = co_await engine_.unspill(std::move(event));
  if (!whole) co_return std::unexpected(whole.error());
  engine::Resolved answer;
  answer.run = get_string(row, "run");
  answer.operation = get_int(row, "operation");
  answer.result = *whole;
  auto run = co_await engine_.get(answer.run);
  if (!run) {
    if (run.error().retry == Retry::Never) co_return false;
    co_return std::unexpected(run.error());
  }
  if (const auto* pending = run->find_pending(answer.operation); pending && !ends_by_event(*run, *pending)) co_return false;
  auto told = co_await engine_.resolve(answer);
  if (told) co_return true;
  if (told.error().retry != Retry::Never) {
    log::debug("a wait is not resolved yet", {{"row", wait.key}});
    co_return std::unexpected(told.error());
  }
  // Answered already, cancelled, or gone: the wait is over in any case, and this event may have ended it before a crash.
  auto ended = co_await engine_.operations_by_id(answer.run, {answer.operation});
  if (!ended) {
    if (ended.error().retry == Retry::Never) co_return false;
    co_return std::unexpected(ended.error());
  }
  const auto* operation = ended->empty() ? nullptr : std::get_if<engine::Operation>(&ended->front());
  if (!operation || operation->status != engine::OperationStatus::Succeeded) co_return false;
  auto had = co_await engine_.unspill(operation->result);
  if (!had) co_return std::unexpected(had.error());
  co_return *had == *whole;
}

Task<> Waits::sweep() {
  while (co_await sleep_for(clock_, kSweepEvery, stopping_.token())) co_await sweep_once();
}

/// Whether nobody waits any more. Looked at once an hour.
Task<bool> Waits::is_over(JsonObject wait, TimePoint now) {
  const Millis age = now - from_unix_ms(get_int(wait, "at"));
  if (age < kWindow || (age - kWindow) % kLookedAtEvery > 2 * kSweepEvery) co_return false;
  const std::int64_t operation = get_int(wait, "operation");
  auto run = co_await engine_.get(get_string(wait, "run"));
  if (!run) co_return run.error().retry == Retry::Never;
  co_return !run->open() || (operation < run->next_operation && !run->find_pending(operation));
}

Task<> Waits::sweep_once() {
  const TimePoint now = clock_.now();
  while (!kept_.empty() && (kept_.front().first + kWindow < now || kept_.size() > kKeptMax) && !stopping_.cancelled()) {
    const std::string row = kept_.front().second;
    Batch batch;
    batch.deletes.push_back(row);
    const auto partition = static_cast<engine::keys::Partition>(std::stoi(row.substr(0, 4), nullptr, 16));
    if (auto gone = co_await commit(partition, std::move(batch)); !gone) co_return;
    kept_.pop_front();
  }
  for (engine::keys::Partition p = 0; p < engine_.partitions() && !stopping_.cancelled(); ++p) {
    KeyRange range = KeyRange::prefix(waits_prefix(p));
    for (bool more = true; more && !stopping_.cancelled();) {
      auto rows = co_await store_.scan(range, kPage, Direction::Forward);
      if (!rows) co_return;
      more = rows->size() == kPage;
      if (more) range.begin = rows->back().key + '\0';
      for (const Record& row : *rows) {
        const JsonObject wait = object_in(row.value);
        const std::int64_t until = get_int(wait, "until");
        // An event that came in time may still be under way to its row.
        const bool late = until != 0 && from_unix_ms(until) + kWindow <= now;
        if (!late && !co_await is_over(wait, now)) continue;
        Batch batch;
        batch.deletes.push_back(row.key);
        (void)co_await commit(p, std::move(batch));
      }
    }
  }
}

}  // namespace mayfly::trigger
