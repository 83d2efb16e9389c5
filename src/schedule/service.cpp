#include "schedule/service.h"

#include <algorithm>
#include <utility>

#include "base/log.h"

namespace mayfly::schedule {
namespace {

constexpr Millis kAlarmMax{60'000};  // wall clocks jump: look again at least this often
/// So long without a look means that the machine slept or its clock was set forward: as if the server had been down.
constexpr Millis kAsleep{150'000};
constexpr Millis kRetryFirst{1'000};
constexpr Millis kRetryMax{60'000};
/// Firings that failed wait in memory; beyond so many no new ones are begun.
constexpr std::size_t kFailuresMax = 10'000;
constexpr std::int64_t kMadeUpMax = 1'000;
constexpr int kConflictsMax = 10;
constexpr std::size_t kListMax = 1'000;

std::unexpected<Error> stopping() {
  return fail("schedule.stopping", "schedules are being stopped or belong to another server now; try again", Retry::Safe);
}

}  // namespace

using engine::keys::Partition;

StoredSchedules::StoredSchedules(ScheduleDependencies dependencies)
    : dependencies_(std::move(dependencies)),
      window_(dependencies_.executor, *dependencies_.store, *dependencies_.clock, [this] { wake(); }),
      tasks_(dependencies_.executor) {}

Task<Result<void>> StoredSchedules::open() {
  stopped_ = false;
  awake_since_ = awake_at_ = dependencies_.clock->now();
  window_.start(dependencies_.partitions);
  arm();
  co_return Result<void>{};
}

Task<> StoredSchedules::stop() {
  stopped_ = true;
  alarm_.reset();
  co_await window_.stop();
  co_await tasks_.join();
}

void StoredSchedules::crash() {
  stopped_ = true;
  alarm_.reset();
  window_.crash();
  tasks_.abandon();
}

void StoredSchedules::arm() {
  if (stopped_) return;
  const TimePoint now = dependencies_.clock->now();
  TimePoint at = now + kAlarmMax;
  if (tasks_.size() < dependencies_.firing_parallel) {
    if (const auto due = window_.earliest()) at = std::min(at, *due);
    if (!retries_.empty()) at = std::min(at, retries_.begin()->first);
  }
  if (alarm_ && alarm_at_ <= at && alarm_at_ >= now) return;
  alarm_at_ = at;
  alarm_ = dependencies_.clock->call_after(std::max(at - now, Millis{0}), [this] {
    alarm_.reset();
    wake();
  });
}

std::optional<DueWindow::Due> StoredSchedules::next_to_work_on(TimePoint now) {
  if (!retries_.empty() && retries_.begin()->first <= now) {
    auto first = retries_.extract(retries_.begin());
    std::string name = std::move(first.value().second);
    const Partition partition = partition_of(name, dependencies_.partitions);
    return DueWindow::Due{partition, std::move(name)};
  }
  return failures_.size() < kFailuresMax ? window_.take(now) : std::nullopt;
}

void StoredSchedules::wake() {
  if (stopped_) return;
  const TimePoint now = dependencies_.clock->now();
  if (now - awake_at_ > kAsleep) awake_since_ = now;
  awake_at_ = now;
  while (tasks_.size() < dependencies_.firing_parallel) {
    auto due = next_to_work_on(now);
    if (!due) break;
    const auto [busy, idle] = busy_.emplace(due->full_name, Look::Once);
    if (!idle) {
      busy->second = Look::Again;
      continue;
    }
    tasks_.spawn(work(due->partition, std::move(due->full_name)));
  }
  arm();
}

Task<> StoredSchedules::work(Partition partition, std::string name) {
  for (;;) {
    auto result = co_await step(partition, name);
    if (stopped_) co_return;
    if (!result) {
      again_later(name, result.error().message);
      break;
    }
    if (*result == Next::Done && std::exchange(busy_[name], Look::Once) == Look::Once) break;
  }
  busy_.erase(name);
  // A slot is free once this task has ended.
  alarm_ = dependencies_.clock->call_after(Millis{0}, [this] {
    alarm_.reset();
    wake();
  });
  alarm_at_ = dependencies_.clock->now();
}

void StoredSchedules::again_later(const std::string& name, std::string message) {
  Failure& failure = failures_[name];
  failure.message = std::move(message);
  const Millis delay = std::min(kRetryFirst * (std::int64_t{1} << std::min(failure.attempts, 10)), kRetryMax);
  ++failure.attempts;
  failure.again = dependencies_.clock->now() + delay;
  retries_.emplace(failure.again, name);
}

/// One move of one schedule: passes over what was missed, or fires and advances.
Task<Result<StoredSchedules::Next>> StoredSchedules::step(Partition partition, std::string name) {
  auto loaded = co_await load(partition, name);
  if (!loaded) co_return fail(loaded.error());
  if (!*loaded || !(**loaded).row.info.next) {
    failures_.erase(name);
    co_return Next::Done;
  }
  Loaded current = std::move(**loaded);
  const ScheduleSpec& spec = current.row.info.spec;
  const TimePoint due = *current.row.info.next;
  const TimePoint fire_at = fire_time(spec, due);
  const TimePoint now = dependencies_.clock->now();
  if (fire_at > now) {
    failures_.erase(name);
    window_.add(partition, fire_at, name);
    co_return Next::Done;
  }
  auto expression = ScheduleExpression::parse(spec.expression, spec.time_zone);
  if (!expression) co_return fail(expression.error());
  const bool missed = fire_at < awake_since_;
  if (!missed || spec.missed == Missed::RunAll) {
    if (missed && current.row.made_up >= kMadeUpMax) {
      ScheduleRow after = current.row;
      after.info.next = next_due(*expression, after, newest_missed(*expression, after, due, awake_since_));
      after.made_up = 0;
      auto outcome = co_await commit(partition, name, std::move(current), std::move(after), Completed::MayGo);
      if (!outcome) co_return fail(outcome.error());
      co_return Next::Again;
    }
    co_return co_await fire(partition, name, std::move(current), *expression, missed);
  }
  const TimePoint newest = newest_missed(*expression, current.row, due, awake_since_);
  if (spec.missed == Missed::RunOnce && newest == due) co_return co_await fire(partition, name, std::move(current), *expression, missed);
  // The choice is committed before it fires: after a crash it is the same one.
  ScheduleRow after = current.row;
  after.info.next = spec.missed == Missed::RunOnce ? std::optional(newest) : next_due(*expression, after, newest);
  auto outcome = co_await commit(partition, name, std::move(current), std::move(after), Completed::MayGo);
  if (!outcome) co_return fail(outcome.error());
  co_return Next::Again;
}

Task<Result<StoredSchedules::Next>> StoredSchedules::fire(Partition partition, std::string name, Loaded loaded, ScheduleExpression expression,
                                                          bool missed) {
  const TimePoint due = *loaded.row.info.next;
  Firing firing{firing_id(loaded.row.info.spec, due), loaded.row.info.spec, due, dependencies_.clock->now(), missed};
  const auto accepted = co_await dependencies_.fire(std::move(firing));
  if (stopped_) co_return Next::Done;
  if (!accepted && accepted.error().retry != Retry::Never) co_return fail(accepted.error());
  ScheduleRow after = loaded.row;
  after.info.last_error = accepted ? std::string() : accepted.error().message;
  if (accepted) {
    after.info.last = due;
    ++after.info.fired;
  }
  after.made_up = missed ? after.made_up + 1 : 0;
  after.info.next = next_due(expression, after, due);
  auto outcome = co_await commit(partition, name, std::move(loaded), std::move(after), Completed::MayGo);
  if (!outcome) co_return fail(outcome.error());
  if (outcome->committed()) {
    failures_.erase(name);
    if (accepted) ++fired_;
  }
  co_return Next::Again;
}

Task<Result<std::optional<StoredSchedules::Loaded>>> StoredSchedules::load(Partition partition, std::string name) {
  auto record = co_await dependencies_.store->get(row_key(partition, name));
  if (!record) co_return fail(record.error());
  if (!*record) co_return std::optional<Loaded>();
  auto row = row_from_text((**record).value);
  if (!row) co_return fail("store.damaged", "the row of the schedule " + name + " cannot be read; put the schedule again");
  co_return std::optional(Loaded{std::move(*row), (**record).version});
}

/// Replaces a schedule's row and its due time by others, if the row is still the one that was read.
Task<Result<CommitOutcome>> StoredSchedules::commit(Partition partition, std::string name, std::optional<Loaded> before,
                                                    std::optional<ScheduleRow> after, Completed completed) {
  const std::string key = row_key(partition, name);
  Batch batch;
  const Precondition lease = dependencies_.lease(partition);
  batch.require.push_back(lease);
  batch.require.push_back(before ? Precondition::version_equals(key, before->version) : Precondition::absent(key));
  std::string old_due;
  if (before && before->row.info.next) old_due = due_key(partition, fire_time(before->row.info.spec, *before->row.info.next), name);
  std::string new_due;
  if (!after || (completed == Completed::MayGo && !after->info.next && after->info.spec.delete_after_completion)) {
    batch.deletes.push_back(key);
  } else {
    batch.puts.push_back({key, to_text(*after)});
    if (after->info.next) new_due = due_key(partition, fire_time(after->info.spec, *after->info.next), name);
  }
  if (!new_due.empty() && new_due != old_due) batch.puts.push_back({new_due, {}});
  if (!old_due.empty() && new_due != old_due) batch.deletes.push_back(old_due);
  auto outcome = co_await dependencies_.store->commit(std::move(batch));
  if (outcome && !outcome->committed() && outcome->conflict_key == lease.key) co_return stopping();
  co_return outcome;
}

Task<Result<ScheduleInfo>> StoredSchedules::put(ScheduleSpec spec) {
  auto checked = schedule_spec_from_json(spec.name, to_json(spec));
  if (!checked) co_return fail(checked.error());
  auto expression = ScheduleExpression::parse(spec.expression, spec.time_zone);
  if (!expression) co_return fail(expression.error());
  const std::string name = full_name(spec);
  const Partition partition = partition_of(name, dependencies_.partitions);
  for (int tries = 0; tries < kConflictsMax; ++tries) {
    if (stopped_) co_return stopping();
    auto before = co_await load(partition, name);
    if (!before) co_return fail(before.error());
    const TimePoint now = dependencies_.clock->now();
    ScheduleRow row;
    row.info.created = now;
    row.anchor = spec.start.value_or(std::chrono::floor<std::chrono::seconds>(now));
    if (*before) {
      const ScheduleRow& old = (**before).row;
      // A project is deployed at every start: what it missed meanwhile must stay due.
      if (to_json(old.info.spec) == to_json(spec)) co_return old.info;
      row.info = old.info;
      const bool same = old.info.spec.expression == spec.expression && old.info.spec.start == spec.start && old.info.spec.enabled;
      if (same) row.anchor = old.anchor;
    }
    row.info.spec = spec;
    row.info.modified = now;
    row.info.last_error.clear();
    row.info.next = spec.enabled ? next_due(*expression, row, now) : std::nullopt;
    auto outcome = co_await commit(partition, name, std::move(*before), row, Completed::Stays);
    // Also when the outcome is unknown: whoever takes it from the window reads the row again.
    if (row.info.next && (outcome ? outcome->committed() : outcome.error().retry == Retry::OutcomeUnknown)) {
      window_.add(partition, fire_time(spec, *row.info.next), name);
      arm();
    }
    if (!outcome) co_return fail(outcome.error());
    if (!outcome->committed()) continue;
    failures_.erase(name);
    co_return row.info;
  }
  co_return fail("schedule.busy", "the schedule is changed by others all the time; try again", Retry::Safe);
}

ScheduleInfo StoredSchedules::view(const ScheduleRow& row) const {
  ScheduleInfo info = row.info;
  if (const auto failure = failures_.find(full_name(info.spec)); failure != failures_.end()) info.last_error = failure->second.message;
  return info;
}

Task<Result<ScheduleInfo>> StoredSchedules::get(std::string group, std::string name) {
  const std::string full = group + "/" + name;
  auto loaded = co_await load(partition_of(full, dependencies_.partitions), full);
  if (!loaded) co_return fail(loaded.error());
  if (!*loaded) co_return fail("schedule.not_found", "there is no schedule " + name + " in the group " + group + "; list them to see their names");
  co_return view((**loaded).row);
}

Task<Result<void>> StoredSchedules::remove(std::string group, std::string name) {
  const std::string full = group + "/" + name;
  const Partition partition = partition_of(full, dependencies_.partitions);
  for (int tries = 0; tries < kConflictsMax; ++tries) {
    auto loaded = co_await load(partition, full);
    if (!loaded) co_return fail(loaded.error());
    if (!*loaded) co_return fail("schedule.not_found", "there is no schedule " + name + " in the group " + group + "; list them to see their names");
    auto outcome = co_await commit(partition, full, std::move(*loaded), std::nullopt, Completed::Stays);
    if (!outcome) co_return fail(outcome.error());
    if (outcome->committed()) co_return Result<void>{};
  }
  co_return fail("schedule.busy", "the schedule is changed by others all the time; try again", Retry::Safe);
}

Task<Result<std::vector<ScheduleInfo>>> StoredSchedules::list(ScheduleFilter filter) {
  filter.limit = std::clamp<std::size_t>(filter.limit, 1, kListMax);
  std::vector<ScheduleInfo> found;
  const auto by_name = [](const ScheduleInfo& info) { return full_name(info.spec); };
  for (Partition partition = 0; partition < dependencies_.partitions; ++partition) {
    auto loaded = co_await load_into(found, partition, filter);
    if (!loaded) co_return fail(loaded.error());
    std::ranges::sort(found, {}, by_name);
    if (found.size() > filter.limit) found.resize(filter.limit);
  }
  co_return found;
}

/// The first `limit` matching schedules of a partition.
Task<Result<void>> StoredSchedules::load_into(std::vector<ScheduleInfo>& found, Partition partition, ScheduleFilter filter) {
  const std::string prefix = row_prefix(partition);
  const std::string wanted = filter.group.empty() ? prefix : prefix + filter.group + "/" + filter.prefix;
  KeyRange range = KeyRange::prefix(wanted);
  if (!filter.after.empty()) range.begin = std::max(range.begin, prefix + filter.after + '\0');
  const std::size_t page = filter.group.empty() && !filter.prefix.empty() ? kListMax : filter.limit;
  for (std::size_t taken = 0; taken < filter.limit;) {
    if (!range.end.empty() && range.begin >= range.end) break;
    auto rows = co_await dependencies_.store->scan(range, page, Direction::Forward);
    if (!rows) co_return fail(rows.error());
    for (const Record& record : *rows) {
      const auto row = row_from_text(record.value);
      if (!row || !row->info.spec.name.starts_with(filter.prefix) || taken == filter.limit) continue;
      found.push_back(view(*row));
      ++taken;
    }
    if (rows->size() < page) break;
    range.begin = rows->back().key + '\0';
  }
  co_return Result<void>{};
}

std::unique_ptr<ScheduleService> make_schedule_service(ScheduleDependencies dependencies) {
  return std::make_unique<StoredSchedules>(std::move(dependencies));
}

}  // namespace mayfly::schedule
