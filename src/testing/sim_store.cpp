#include "testing/sim_store.h"

#include <algorithm>

namespace mayfly {
namespace {

Error closed_error() { return {"store.closed", "The store is closed: open it again.", Retry::Safe}; }
Error io_error() { return {"store.io", "The simulated disk failed and nothing was written: repeat.", Retry::Safe}; }
Error full_error() { return {"store.full", "The simulated disk is full and nothing was written: free some space.", Retry::Safe}; }
Error unknown_error() {
  return {"store.outcome_unknown",
          "The simulated disk failed during a commit: read the records before you repeat it.", Retry::OutcomeUnknown};
}

template <class T>
Task<T> never(SimDisk* disk) {
  co_return co_await suspend<T>([disk](Resume<T> resume) { disk->bury(std::move(resume)); });
}

}  // namespace

CommitOutcome SimDisk::apply(const Batch& batch) {
  for (const Precondition& precondition : batch.require) {
    const auto cell = cells_.find(precondition.key);
    const Version version = cell == cells_.end() ? 0 : cell->second.version;
    const bool holds = precondition.kind == Precondition::Kind::Absent    ? version == 0
                       : precondition.kind == Precondition::Kind::Present ? version != 0
                                                                          : version == precondition.version;
    if (!holds) return {.status = CommitOutcome::Status::Conflict, .conflict_key = precondition.key};
  }
  if (batch.empty()) return {.version = last_version_};
  ++last_version_;
  ++batches_applied_;
  for (const Put& put : batch.puts) cells_[put.key] = {put.value, last_version_};
  for (const std::string& key : batch.deletes) cells_.erase(key);
  return {.version = last_version_};
}

SimStore::SimStore(SimDisk& disk, Executor executor, Clock& clock, Random& random, SimStoreFaults faults)
    : disk_(disk), executor_(executor), clock_(clock), random_(random), faults_(faults) {}

SimStore::~SimStore() {
  if (!crashed_) crash();
}

void SimStore::crash() {
  crashed_ = true;
  alive_.reset();
  timer_.reset();
  const auto waiting = std::ranges::count(queue_, false, &Pending::applied);
  auto survivors = waiting > 0 ? random_.below(static_cast<std::uint64_t>(waiting) + 1) : 0;
  for (Pending& pending : queue_) {
    if (!pending.applied && survivors > 0) {
      --survivors;
      apply(pending);
    }
    disk_.bury(std::move(pending.resume));
  }
  queue_.clear();
  for (Resume<bool>& resume : idle_) disk_.bury(std::move(resume));
  idle_.clear();
}

bool SimStore::chance(double probability) { return probability > 0 && random_.unit() < probability; }

SimStore::Fate SimStore::draw_fate() {
  if (chance(faults_.refused)) return Fate::Refused;
  if (chance(faults_.full)) return Fate::Full;
  if (chance(faults_.unknown_applied)) return Fate::UnknownApplied;
  if (chance(faults_.unknown_lost)) return Fate::UnknownLost;
  return Fate::Normal;
}

std::chrono::nanoseconds SimStore::draw_delay(Millis max) {
  return max.count() > 0 ? Millis(static_cast<std::int64_t>(random_.below(static_cast<std::uint64_t>(max.count()) + 1))) : Millis{0};
}

Result<void> SimStore::before_read() {
  if (closed_) return fail(closed_error());
  if (chance(faults_.read_failed)) return fail(io_error());
  return {};
}

Task<Result<std::optional<Record>>> SimStore::get(std::string key) {
  if (crashed_) co_return co_await never<Result<std::optional<Record>>>(&disk_);
  if (auto ok = before_read(); !ok) co_return fail(ok.error());
  const auto cell = disk_.cells().find(key);
  if (cell == disk_.cells().end()) co_return std::nullopt;
  co_return Record{key, cell->second.value, cell->second.version};
}

Task<Result<std::vector<Record>>> SimStore::scan(KeyRange range, std::size_t limit, Direction direction) {
  if (crashed_) co_return co_await never<Result<std::vector<Record>>>(&disk_);
  if (auto ok = before_read(); !ok) co_return fail(ok.error());
  if (auto ok = check_scan(limit); !ok) co_return fail(ok.error());
  std::vector<Record> records;
  if (!range.end.empty() && range.end <= range.begin) co_return records;
  const auto& cells = disk_.cells();
  const auto begin = cells.lower_bound(range.begin);
  const auto end = range.end.empty() ? cells.end() : cells.lower_bound(range.end);
  const auto take = [&](const auto& cell) { records.push_back({cell.first, cell.second.value, cell.second.version}); };
  if (direction == Direction::Forward)
    for (auto at = begin; at != end && records.size() < limit; ++at) take(*at);
  else
    for (auto at = end; at != begin && records.size() < limit;) take(*--at);
  co_return records;
}

Task<Result<CommitOutcome>> SimStore::commit(Batch batch) {
  if (crashed_) co_return co_await never<Result<CommitOutcome>>(&disk_);
  if (closed_) co_return fail(closed_error());
  if (auto ok = check_batch(batch); !ok) co_return fail(ok.error());
  co_return co_await suspend<Result<CommitOutcome>>([this, batch = std::move(batch)](Resume<Result<CommitOutcome>> resume) mutable {
    enqueue(std::move(batch), std::move(resume));
  });
}

std::unique_ptr<Store::Watch> SimStore::watch(std::string prefix, std::function<void()> changed) {
  return watchers_.add(std::move(prefix), std::move(changed));
}

Task<> SimStore::close() {
  if (crashed_) co_await never<bool>(&disk_);
  closed_ = true;
  if (queue_.empty()) co_return;
  co_await suspend<bool>([this](Resume<bool> resume) { idle_.push_back(std::move(resume)); });
}

void SimStore::enqueue(Batch batch, Resume<Result<CommitOutcome>> resume) {
  const Fate fate = draw_fate();
  const auto now = clock_.monotonic();
  auto apply_at = now + draw_delay(faults_.apply_delay_max);
  if (!queue_.empty()) apply_at = std::max(apply_at, queue_.back().apply_at);
  auto answer_at = apply_at + draw_delay(faults_.answer_delay_max);
  if (!queue_.empty()) answer_at = std::max(answer_at, queue_.back().answer_at);
  queue_.push_back({std::move(batch), fate, apply_at, answer_at, std::move(resume)});
  arm();
}

void SimStore::apply(Pending& pending) {
  pending.applied = true;
  if (pending.fate == Fate::Refused) pending.outcome = fail(io_error());
  if (pending.fate == Fate::Full) pending.outcome = fail(full_error());
  if (pending.fate == Fate::UnknownLost) pending.outcome = fail(unknown_error());
  if (pending.fate != Fate::Normal && pending.fate != Fate::UnknownApplied) return;
  const CommitOutcome outcome = disk_.apply(pending.batch);
  if (outcome.committed()) watchers_.touch(pending.batch);
  pending.outcome = outcome;
  if (pending.fate == Fate::UnknownApplied) pending.outcome = fail(unknown_error());
}

void SimStore::arm() {
  if (armed_ || queue_.empty()) return;
  armed_ = true;
  auto due = queue_.front().answer_at;
  if (const auto next = std::ranges::find(queue_, false, &Pending::applied); next != queue_.end()) due = std::min(due, next->apply_at);
  auto run = [this, alive = std::weak_ptr(alive_)] {
    if (alive.expired()) return;
    armed_ = false;
    pump();
  };
  const auto wait = due - clock_.monotonic();
  if (wait <= std::chrono::nanoseconds{0}) asio::post(executor_, std::move(run));
  else timer_ = clock_.call_after(std::chrono::ceil<Millis>(wait), std::move(run));
}

void SimStore::pump() {
  const auto now = clock_.monotonic();
  for (Pending& pending : queue_) {
    if (pending.apply_at > now) break;
    if (!pending.applied) apply(pending);
  }
  while (!queue_.empty() && queue_.front().applied && queue_.front().answer_at <= now) {
    queue_.front().resume(std::move(queue_.front().outcome));
    queue_.pop_front();
  }
  if (queue_.empty())
    for (auto& resume : std::exchange(idle_, {})) resume(true);
  arm();
  watchers_.notify();  // last: a callback may crash this store
}

}  // namespace mayfly
