#include <algorithm>

#include "base/log.h"
#include "queue/queue_actor.h"

/// Reading a queue, clearing away what nobody needs, and messages that leave for other queues.
namespace mayfly::queue {
namespace {

constexpr std::size_t kPage = 500;
constexpr std::size_t kGarbageAtOnce = 90;
constexpr std::size_t kMovesAtOnce = 30;
constexpr std::size_t kRedrivenAtOnce = 25;
constexpr Millis kGarbageEvery{60'000};
constexpr Millis kRetry{500};
constexpr Millis kMovesDrain{20};

}  // namespace

Task<Result<void>> QueueActor::open() {
  if (loaded_ || pumping_) co_return Result<void>();
  pumping_ = true;
  auto ok = co_await load();
  pumping_ = false;
  if (ok) kick();
  co_return ok;
}

void QueueActor::restore_row(char kind, const Record& row) {
  const auto number = keys::number_of(row.key);
  const auto note = [&](const auto& parsed) {
    if (!parsed) log::error("a row of a queue cannot be read and is left out", {{"key", row.key}});
    return static_cast<bool>(parsed);
  };
  if (kind == 'o' && number) {
    if (auto move = move_from_row(row.value); note(move)) loading_.core->restore_move(*number, std::move(*move));
  } else if (kind == 'v' && number) {
    if (auto state = state_from_row(row.value); note(state)) loading_.core->restore_state(*number, std::move(*state));
  } else if (kind == 'm' && number) {
    if (auto head = head_of(row.value); note(head)) loading_.core->restore_message(*number, std::move(*head));
  } else if (kind == 'x') {
    const auto value = parse_json(row.value);
    if (note(value) && value->is_object())
      loading_.core->restore_taken_over(row.key.substr(keys_.kind_prefix('x').size()),
                                static_cast<std::uint64_t>(get_int(value->get_object(), "last")));
  } else if (kind == 't') {
    if (auto task = task_from_row(row.value); note(task)) loading_.tasks.insert_or_assign(task->task.handle, std::move(*task));
  }
}

Task<Result<void>> QueueActor::load_kind(char kind) {
  KeyRange range = KeyRange::prefix(keys_.kind_prefix(kind));
  for (bool more = true; more;) {
    auto rows = co_await deps_.queue.store->scan(range, kPage, Direction::Forward);
    if (!rows) co_return std::unexpected(rows.error());
    for (const Record& row : *rows) restore_row(kind, row);
    more = rows->size() == kPage;
    if (!more) break;
    range.begin = rows->back().key + '\0';
    co_await yield_now();
  }
  co_return Result<void>();
}

Task<Result<void>> QueueActor::load() {
  loading_ = {std::make_unique<QueueCore>(keys_, deps_.plant), {}};
  clear_cache();
  auto control = co_await deps_.queue.store->get(keys_.control());
  Result<void> ok;
  if (!control) ok = std::unexpected(control.error());
  if (ok && *control) {
    auto row = control_from_row((*control)->value);
    if (row)
      loading_.core->restore(*row);
    else
      ok = std::unexpected(row.error());
  }
  for (const char kind : {'o', 'v', 'm', 'x', 't'})
    if (ok) ok = co_await load_kind(kind);
  if (!ok) co_return ok;
  loading_.core->counters = core_->counters;
  loading_.core->restored(deps_.queue.clock->now(), info_->spec, core_->owned());
  core_ = std::move(loading_.core);
  tasks_ = std::move(loading_.tasks);
  loaded_ = true;
  any_over_ = true;
  start_effects();
  co_return ok;
}

/// True: there is more to do.
Task<bool> QueueActor::clear_garbage() {
  const TimePoint now = deps_.queue.clock->now();
  if (now < garbage_at_ || refused_) co_return false;
  std::vector<KeyRange> ranges;
  for (const auto& [kind, window] : {std::pair{'d', kDeduplicationWindow}, std::pair{'i', kIdempotencyWindow}})
    ranges.push_back({keys_.unique_prefix(kind), keys_.unique(kind, now.time_since_epoch() / window - 1, "")});
  if (core_->purged() > 0) {
    ranges.push_back({keys_.kind_prefix('m'), keys_.message(core_->purged() + 1)});
    ranges.push_back({keys_.kind_prefix('v'), keys_.state(core_->purged() + 1)});
  }
  Batch batch;
  for (const KeyRange& range : ranges) {
    const std::size_t room = kGarbageAtOnce - batch.deletes.size();
    if (room == 0) break;
    auto rows = co_await deps_.queue.store->scan(range, room, Direction::Forward);
    if (!rows) break;
    for (Record& row : *rows) {
      const auto number = keys::number_of(row.key);
      const bool leaving = number && !row.key.starts_with(keys_.kind_prefix('u')) && core_->find(*number);
      if (!leaving) batch.deletes.push_back(std::move(row.key));
    }
  }
  if (batch.deletes.size() < kGarbageAtOnce) garbage_at_ = now + kGarbageEvery;
  if (batch.empty()) co_return !inbox_.empty();
  if (auto ok = co_await commit(std::move(batch)); !ok) garbage_at_ = now + kGarbageEvery;
  co_return true;
}

// Messages that leave

Task<> QueueActor::move_out(std::shared_ptr<QueueActor> self) {
  while (!crashed_ && !refused_) {
    if (!co_await move_some()) {
      if (core_->moves().empty()) break;
      if (!co_await sleep_for(*deps_.queue.clock, kRetry, stopping_.token())) break;
    }
  }
  moving_ = false;
}

/// False: nothing is to be moved, or it did not work.
Task<bool> QueueActor::move_some() {
  auto moves = co_await ask(shared_from_this(), std::make_unique<ListMoves>(kMovesAtOnce));
  if (!moves || moves->empty()) co_return false;
  std::vector<Incoming> messages;
  std::vector<Result<MovedItem>> done;
  for (const auto& [number, move] : *moves) {
    auto row = co_await deps_.queue.store->get(keys_.message(move.message));
    if (!row) co_return false;
    done.push_back(MovedItem{number, true});
    auto head = *row ? head_of((*row)->value) : std::nullopt;
    if (!head) continue;
    auto tail = moved_tail((*row)->value, move.dead ? info_->spec.name : std::string(), move.reason);
    if (!tail) continue;
    head->delay = Millis{0};
    if (!move.dead) head->sent = deps_.queue.clock->now();
    messages.push_back({number, std::move(*head), std::move(*tail)});
  }
  if (!messages.empty()) {
    auto ok = co_await deps_.host->hand_over(moves->front().second.destination, keys_.id(), std::move(messages));
    if (!ok && ok.error().code != "queue.not_found") co_return false;
    if (!ok)
      for (auto& item : done) item->arrived = false;
  }
  auto confirmed = co_await ask(shared_from_this(), std::make_unique<MovedItems>(std::move(done)));
  co_return std::ranges::all_of(confirmed, [](const auto& result) { return result.has_value(); });
}

Task<> QueueActor::redrive(std::shared_ptr<QueueActor> self, std::string handle) {
  while (!crashed_ && !refused_) {
    const auto known = tasks_.find(handle);
    const std::int64_t rate = known == tasks_.end() ? 0 : known->second.task.per_second_max;
    const std::size_t size = rate > 0 ? std::clamp<std::size_t>(static_cast<std::size_t>(rate) / 10, 1, kRedrivenAtOnce) : kRedrivenAtOnce;
    auto row = co_await ask(shared_from_this(), std::make_unique<RedriveStep>(handle, size));
    Millis pause = rate > 0 ? Millis{1000 * static_cast<std::int64_t>(size) / rate} : kMovesDrain;
    if (!row) {
      if (row.error().code == "queue.not_found") break;
      pause = kRetry;
    } else if (row->task.status != RedriveTask::Status::Running && row->task.status != RedriveTask::Status::Cancelling) {
      break;
    }
    if (!co_await sleep_for(*deps_.queue.clock, pause, stopping_.token())) break;
  }
  redriving_.erase(handle);
}

}  // namespace mayfly::queue
