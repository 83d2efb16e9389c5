#include "queue/queue_actor.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/log.h"

namespace mayfly::queue {
namespace {

constexpr std::size_t kInboxMax = 20'000;
constexpr std::size_t kWaitingMax = 20'000;
constexpr std::size_t kDueAtOnce = 40;
constexpr std::size_t kRequestsAtOnce = 256;
constexpr std::size_t kCacheBytesMax = 4 * 1024 * 1024;        // of one queue
constexpr std::size_t kAllCacheBytesMax = 64 * 1024 * 1024;
constexpr std::size_t kReadAhead = 32;
constexpr Millis kAlarmMax{60'000};  // wall clocks jump
constexpr Millis kRetry{500};

}  // namespace

QueueActor::QueueActor(ActorDependencies dependencies, keys::QueueKeys keys, QueueInfo info)
    : deps_(std::move(dependencies)),
      keys_(std::move(keys)),
      info_(std::make_shared<const QueueInfo>(std::move(info))),
      core_(std::make_unique<QueueCore>(keys_, deps_.plant)),
      group_(deps_.queue.executor) {}

void QueueActor::change(QueueInfo info) {
  info_ = std::make_shared<const QueueInfo>(std::move(info));
  core_->spec_changed();
  kick();
}

void QueueActor::crash() {
  crashed_ = true;
  alarm_.reset();
  for (auto& request : waiting_) request->timer.reset();
  group_.abandon();
}

void QueueActor::refuse(Error error) {
  refused_ = std::move(error);
  stopping_.cancel();
  for (auto& request : waiting_) {
    request->failed(*refused_);
    request->answer();
  }
  waiting_.clear();
  if (pumping_) return;
  for (auto& request : inbox_) {
    request->failed(*refused_);
    request->answer();
  }
  inbox_.clear();
  alarm_.reset();
}

void QueueActor::submit(std::unique_ptr<Request> request) {
  std::optional<Error> no = refused_;
  if (!no && inbox_.size() >= kInboxMax)
    no = Error{"queue.overloaded", "too many requests wait for this queue: try again in a moment", Retry::Safe};
  if (no) {
    request->failed(*no);
    request->answer();
    return;
  }
  inbox_.push_back(std::move(request));
  kick();
}

void QueueActor::kick() {
  if (pumping_ || crashed_ || refused_) return;
  pumping_ = true;
  group_.spawn(pump(shared_from_this()));
}

Task<> QueueActor::pump(std::shared_ptr<QueueActor> self) {
  while (!crashed_ && !(refused_ && inbox_.empty())) {
    if (!loaded_) {
      if (auto ok = co_await load(); !ok) {
        load_failed(ok.error());
        break;
      }
    }
    if (!co_await work()) break;
  }
  pumping_ = false;
  if (crashed_) co_return;
  if (refused_)
    alarm_.reset();
  else
    arm();
}

/// Requests fail with what the store says; the alarm tries again.
void QueueActor::load_failed(const Error& error) {
  for (auto& request : inbox_) {
    request->failed(error);
    request->answer();
  }
  inbox_.clear();
}

void QueueActor::arm() {
  const TimePoint now = deps_.queue.clock->now();
  TimePoint at = now + kAlarmMax;
  if (!loaded_) {
    at = now + kRetry;
  } else if (const auto due = core_->next_due()) {
    at = std::min(at, std::max(*due, now + Millis{1}));
  }
  if (alarm_ && alarm_at_ == at) return;
  alarm_at_ = at;
  alarm_ = deps_.queue.clock->call_after(at - now, [this] {
    alarm_.reset();
    kick();
  });
}

Task<bool> QueueActor::work() {
  Round round;
  round.info = info_;
  const QueueSpec& spec = round.info->spec;
  core_->begin(deps_.queue.clock->now(), &spec, !spec.dead_letter_queue.empty() && deps_.host->queue_exists(spec.dead_letter_queue));
  round.more = core_->tick(kDueAtOnce);
  co_await gather(&round);
  Batch batch = core_->take_batch();
  const bool changed = !batch.empty();
  if (round.requests.empty() && !changed && !round.error) {
    if (round.more) co_return true;
    co_return co_await clear_garbage();
  }
  std::vector<std::pair<std::uint64_t, std::string>> written;
  if (changed && !round.error) {
    const std::string prefix = keys_.kind_prefix('m');
    std::size_t bytes = cache_bytes_;
    for (const Put& put : batch.puts) {
      if (!put.key.starts_with(prefix) || bytes + put.value.size() > kCacheBytesMax) continue;
      bytes += put.value.size();
      written.emplace_back(*keys::number_of(put.key), put.value);
    }
    if (auto done = co_await commit(std::move(batch)); !done) round.error = done.error();
  }
  if (crashed_) co_return false;
  if (round.error) {
    loaded_ = false;
  } else {
    for (auto& [number, row] : written) cache(number, std::move(row));
  }
  finish(std::move(round));
  if (loaded_) start_effects();
  co_return true;
}

Task<> QueueActor::gather(Round* round) {
  if (any_over_ || (core_->has_visible() && !round->info->spec.paused)) {
    any_over_ = false;
    std::deque<std::unique_ptr<ReceiveItems>> still;
    while (!waiting_.empty() && !round->error) {
      auto request = std::move(waiting_.front());
      waiting_.pop_front();
      const bool served = !round->info->spec.paused && core_->has_visible();
      if (!request->over && (!served || !core_->has_room(8))) {
        still.push_back(std::move(request));
        any_over_ = any_over_ || served;  // in the next round
        continue;
      }
      (void)co_await apply(round, std::move(request));
    }
    std::ranges::move(waiting_, std::back_inserter(still));
    waiting_ = std::move(still);
    round->more = round->more || any_over_;
  }
  while (!inbox_.empty() && !round->error && round->requests.size() < kRequestsAtOnce) {
    auto request = std::move(inbox_.front());
    inbox_.pop_front();
    if (!co_await apply(round, std::move(request))) break;
  }
}

/// False: the round is full.
Task<bool> QueueActor::apply(Round* round, std::unique_ptr<Request> request) {
  Request& it = *request;
  auto* receive = dynamic_cast<ReceiveItems*>(request.get());
  Request::Step step = Request::Step::Done;
  Result<void> ok;
  if (it.prepares()) ok = co_await it.prepare(*this, *core_);
  if (ok) {
    if (receive && (round->info->spec.paused || receive->cancel.cancelled()) && dynamic_cast<HeldItems*>(receive) == nullptr)
      step = receive->over || receive->cancel.cancelled() || receive->wait <= Millis{0} ? Request::Step::Done : Request::Step::Wait;
    else
      step = it.apply(*core_, *this, deps_.queue.clock->now());
    if (it.fetches()) ok = co_await it.fetch(*this, *core_);
    if (!ok) round->error = ok.error();
  } else {
    it.failed(ok.error());
  }
  if (step == Request::Step::Wait) {
    wait(std::move(request));
    co_return true;
  }
  round->requests.emplace_back(std::move(request), step);
  co_return step == Request::Step::Done;
}

void QueueActor::wait(std::unique_ptr<Request> request) {
  std::unique_ptr<ReceiveItems> it(static_cast<ReceiveItems*>(request.release()));
  if (it->wait <= Millis{0} || waiting_.size() >= kWaitingMax || refused_) {
    it->answer();
    return;
  }
  if (!it->waiting) {
    it->waiting = true;
    const auto end = [this, request = it.get()] {
      request->over = true;
      any_over_ = true;
      kick();
    };
    it->timer = deps_.queue.clock->call_after(it->wait, end);
    it->registration = it->cancel.on_cancel(end);
  }
  waiting_.push_back(std::move(it));
}

Task<Result<void>> QueueActor::commit(Batch batch) {
  const Precondition lease = deps_.queue.lease(keys_.partition());
  batch.require.push_back(lease);
  auto outcome = co_await deps_.queue.store->commit(std::move(batch));
  if (!outcome) co_return std::unexpected(outcome.error());
  if (outcome->committed()) co_return Result<void>();
  log::error("this server lost its lease to another one; its queues stop", {{"queue", info_->spec.name}});
  co_return fail("engine.fenced", "another server took over: ask it", Retry::OutcomeUnknown);
}

void QueueActor::finish(Round round) {
  for (auto request = round.requests.rbegin(); request != round.requests.rend(); ++request) {
    if (round.error)
      request->first->failed(*round.error);
    else
      request->first->committed();
    if (!round.error && request->second == Request::Step::More) inbox_.push_front(std::move(request->first));
  }
  for (auto& [request, step] : round.requests)
    if (request) request->answer();
}

void QueueActor::start_effects() {
  if (refused_) return;
  if (!core_->moves().empty() && !moving_) {
    moving_ = true;
    group_.spawn(move_out(shared_from_this()));
  }
  for (const auto& [handle, row] : tasks_) {
    const bool runs = row.task.status == RedriveTask::Status::Running || row.task.status == RedriveTask::Status::Cancelling;
    if (runs && redriving_.insert(handle).second) group_.spawn(redrive(shared_from_this(), handle));
  }
}

// Rows

Task<Result<std::optional<UniqueRow>>> QueueActor::find_unique(char kind, std::string hash, Millis window) {
  const std::int64_t current = deps_.queue.clock->now().time_since_epoch() / window;
  for (const std::int64_t at : {current, current - 1}) {
    auto row = co_await deps_.queue.store->get(keys_.unique(kind, at, hash));
    if (!row) co_return std::unexpected(row.error());
    if (!*row) continue;
    auto unique = unique_from_row((*row)->value);
    if (!unique) co_return std::unexpected(unique.error());
    if (unique->expires > deps_.queue.clock->now()) co_return std::optional<UniqueRow>(std::move(*unique));
  }
  co_return std::optional<UniqueRow>();
}

Task<Result<std::optional<std::string>>> QueueActor::read_message(std::uint64_t number) {
  const auto cached = cache_.find(number);
  if (cached != cache_.end()) {
    std::string row = std::move(cached->second);
    cache_bytes_ -= row.size();
    *deps_.cached_bytes -= row.size();
    cache_.erase(cached);
    co_return std::optional<std::string>(std::move(row));
  }
  // Sent in this very round.
  const auto fresh = core_->changes().find(keys_.message(number));
  if (fresh != core_->changes().end()) co_return fresh->second;
  // What comes next is probably wanted next.
  auto rows = co_await deps_.queue.store->scan({keys_.message(number), KeyRange::prefix(keys_.kind_prefix('m')).end},
                                               core_->ready() > 0 ? kReadAhead : 1, Direction::Forward);
  if (!rows) co_return std::unexpected(rows.error());
  std::optional<std::string> out;
  for (Record& row : *rows) {
    const auto at = keys::number_of(row.key);
    if (!at) continue;
    if (*at == number) {
      out = std::move(row.value);
      continue;
    }
    const QueueCore::Entry* entry = core_->find(*at);
    if (entry && entry->place == Place::Ready) cache(*at, std::move(row.value));
  }
  co_return out;
}

void QueueActor::cache(std::uint64_t number, std::string row) {
  if (cache_bytes_ + row.size() > kCacheBytesMax || *deps_.cached_bytes + row.size() > kAllCacheBytesMax) return;
  const std::size_t bytes = row.size();
  if (!cache_.emplace(number, std::move(row)).second) return;
  cache_bytes_ += bytes;
  *deps_.cached_bytes += bytes;
}

void QueueActor::clear_cache() {
  *deps_.cached_bytes -= cache_bytes_;
  cache_bytes_ = 0;
  cache_.clear();
}

Task<Result<std::vector<GivenOut>>> QueueActor::peek(std::size_t max) {
  constexpr std::size_t kPage = 100;
  constexpr std::size_t kBytesMax = 8 * 1024 * 1024;
  std::vector<GivenOut> out;
  KeyRange range = KeyRange::prefix(keys_.kind_prefix('m'));
  std::size_t bytes = 0;
  for (bool more = true; more && out.size() < max && bytes < kBytesMax;) {
    auto rows = co_await deps_.queue.store->scan(range, kPage, Direction::Forward);
    if (!rows) co_return std::unexpected(rows.error());
    for (Record& row : *rows) {
      const auto number = keys::number_of(row.key);
      const QueueCore::Entry* entry = number ? core_->find(*number) : nullptr;
      auto head = head_of(row.value);
      if (!entry || entry->place == Place::Absent || !head || out.size() >= max) continue;
      bytes += row.value.size();
      const MessageState* state = core_->state_of(*number);
      out.push_back({{*number, state ? state->issue : 0}, std::move(row.value), std::move(*head), state ? *state : MessageState{}});
    }
    more = rows->size() == kPage;
    if (more) range.begin = rows->back().key + '\0';
  }
  co_return out;
}

}  // namespace mayfly::queue
