#include "queue/queue_core.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/json.h"

namespace mayfly::queue {
namespace {

constexpr std::size_t kRowsMax = StoreLimits{}.batch_operations_max - 1;  // the lease is one
constexpr std::size_t kBytesMax = 3 * 1024 * 1024;
constexpr std::uint64_t kNumbersAtOnce = 1'000'000;
constexpr Millis kVisibilityMax{12LL * 3'600'000};
constexpr Millis kSweepEvery{1'000};
constexpr Millis kOrphanMin{30'000};
constexpr std::size_t kReasonBytesMax = 1'000;

Error expired_receipt() {
  return {"queue.receipt_expired", "the message was received again, deleted or became visible since: use the handle of its last receive",
          Retry::Never};
}

std::string shortened(std::string text) {
  if (text.size() <= kReasonBytesMax) return text;
  text.resize(kReasonBytesMax);
  return to_utf8_lossy(text) + "…";
}

}  // namespace

QueueCore::QueueCore(keys::QueueKeys keys, Plant plant) : keys_(std::move(keys)), plant_(plant), groups_(1) {}

// Rows and numbers

void QueueCore::begin(TimePoint now, const QueueSpec* spec, bool dead_letters) {
  now_ = now;
  spec_ = spec;
  dead_letters_ = dead_letters;
  round_keys_.clear();
  round_owned_.clear();
  changes_.clear();
  change_bytes_ = 0;
}

bool QueueCore::has_room(std::size_t rows, std::size_t bytes) const {
  return changes_.size() + rows <= kRowsMax && change_bytes_ + bytes <= kBytesMax;
}

Batch QueueCore::take_batch() {
  Batch out;
  for (auto& [key, value] : changes_) {
    if (value)
      out.puts.push_back({key, std::move(*value)});
    else
      out.deletes.push_back(key);
  }
  changes_.clear();
  return out;
}

void QueueCore::put(std::string key, std::string value) {
  change_bytes_ += key.size() + value.size();
  changes_.insert_or_assign(std::move(key), std::move(value));
}

void QueueCore::erase(std::string key) {
  change_bytes_ += key.size();
  changes_.insert_or_assign(std::move(key), std::nullopt);
}

std::uint64_t QueueCore::take_number() {
  if (next_number_ >= control_.number_ceiling) {
    control_.number_ceiling = next_number_ + kNumbersAtOnce;
    put(keys_.control(), control_row(control_));
  }
  return next_number_++;
}

std::uint32_t QueueCore::enter_group(const std::string& name) {
  if (name.empty()) return 0;
  const auto known = group_ids_.find(name);
  if (known != group_ids_.end()) {
    ++groups_[known->second].messages;
    return known->second;
  }
  std::uint32_t id = 0;
  if (free_groups_.empty()) {
    id = static_cast<std::uint32_t>(groups_.size());
    groups_.emplace_back();
  } else {
    id = free_groups_.back();
    free_groups_.pop_back();
  }
  groups_[id] = {name, 1};
  group_ids_.emplace(name, id);
  return id;
}

void QueueCore::leave_group(std::uint32_t group) {
  if (group == 0 || --groups_[group].messages > 0) return;
  group_ids_.erase(groups_[group].name);
  groups_[group] = {};
  free_groups_.push_back(group);
}

// Places

void QueueCore::set_place(std::uint64_t number, Entry& entry, Place to) {
  const auto count = [&](Place place, int by) {
    std::size_t* counter = place == Place::Ready ? &ready_ : place == Place::Delayed ? &delayed_ : place == Place::Flying ? &flying_ : nullptr;
    if (counter) *counter += static_cast<std::size_t>(by);
  };
  count(entry.place, -1);
  count(to, 1);
  lineup_->change(number, entry.group, entry.priority, entry.place, to);
  entry.place = to;
}

void QueueCore::set_due(std::uint64_t number, Entry& entry, TimePoint due) {
  if (entry.due != TimePoint{}) due_.erase({entry.due, number});
  entry.due = due;
  if (due != TimePoint{}) due_.emplace(due, number);
}

QueueCore::Entry& QueueCore::add(std::uint64_t number, const MessageHead& head) {
  Entry& entry = entries_[number];
  entry.sent = head.sent;
  entry.group = enter_group(head.group);
  entry.priority = static_cast<std::int8_t>(std::clamp(head.priority, -100, 100));
  sweep_at_ = std::min(sweep_at_, std::max(now_ + kSweepEvery, head.sent + spec_->retention));
  return entry;
}

void QueueCore::forget(std::uint64_t number) {
  const auto found = entries_.find(number);
  if (found == entries_.end()) return;
  set_place(number, found->second, Place::Absent);
  set_due(number, found->second, TimePoint{});
  leave_group(found->second.group);
  entries_.erase(found);
  states_.erase(number);
  owned_.erase(number);
}

void QueueCore::drop(std::uint64_t number) {
  erase(keys_.message(number));
  if (states_.contains(number)) erase(keys_.state(number));
  forget(number);
}

void QueueCore::move_away(std::uint64_t number, Move move) {
  Entry& entry = entries_.at(number);
  set_place(number, entry, Place::Absent);
  set_due(number, entry, TimePoint{});
  owned_.erase(number);
  const std::uint64_t at = take_number();
  if (plant_ == Plant::LooseMove) {
    erase(keys_.message(number));
    if (states_.contains(number)) erase(keys_.state(number));
  } else {
    put(keys_.outbox(at), move_row(move));
  }
  moves_.emplace(at, std::move(move));
}

void QueueCore::die(std::uint64_t number, std::string reason) {
  ++counters.dead;
  move_away(number, Move{number, spec_->dead_letter_queue, true, shortened(std::move(reason))});
}

bool QueueCore::worn_out(std::uint64_t number) const {
  if (!dead_letters_ || spec_->receives_max <= 0) return false;
  const auto state = states_.find(number);
  const std::int64_t max = spec_->receives_max + (plant_ == Plant::OneReceiveMore ? 1 : 0);
  return state != states_.end() && state->second.receives >= max;
}

std::string QueueCore::worn_out_reason(std::uint64_t number) const {
  const MessageState& state = states_.at(number);
  std::string out = fmt::format("received {} times without being deleted", state.receives);
  if (!state.failure.empty()) out += "; last failure: " + state.failure;
  return out;
}

void QueueCore::expire(std::uint64_t number) {
  ++counters.expired;
  if (spec_->expired_die && dead_letters_)
    die(number, fmt::format("not deleted within its retention of {}", to_human(spec_->retention)));
  else
    drop(number);
}

/// From a consumer back into the queue, at once or later; or to the dead-letter queue.
void QueueCore::show_again(std::uint64_t number, Entry& entry, Millis delay) {
  MessageState& state = states_.at(number);
  state.flying = state.held = false;
  state.attempt.clear();
  state.due = now_ + delay;
  entry.orphan = false;
  owned_.erase(number);
  if (worn_out(number)) return die(number, worn_out_reason(number));
  write_state(number);
  set_place(number, entry, delay > Millis{0} ? Place::Delayed : Place::Ready);
  set_due(number, entry, delay > Millis{0} ? state.due : TimePoint{});
}

void QueueCore::write_state(std::uint64_t number) { put(keys_.state(number), state_row(states_.at(number))); }

// Restoring

void QueueCore::restore(const ControlRow& control) {
  control_ = control;
  next_number_ = std::max<std::uint64_t>(control.number_ceiling, 1);
}

void QueueCore::restore_move(std::uint64_t number, Move move) { moves_.emplace(number, std::move(move)); }

void QueueCore::restore_state(std::uint64_t number, MessageState state) { states_.emplace(number, std::move(state)); }

void QueueCore::restore_message(std::uint64_t number, MessageHead head) {
  Entry entry;
  entry.sent = head.sent;
  entry.due = head.delay > Millis{0} ? head.sent + head.delay : TimePoint{};
  entry.group = enter_group(head.group);
  entry.priority = static_cast<std::int8_t>(std::clamp(head.priority, -100, 100));
  entries_.emplace_hint(entries_.end(), number, entry);
}

void QueueCore::restored(TimePoint now, const QueueSpec& spec, std::map<std::uint64_t, std::uint32_t> owned) {
  begin(now, &spec, false);
  if (spec.kind == QueueKind::Fifo)
    lineup_ = std::make_unique<FifoLineup>(plant_ == Plant::UnblockedGroups);
  else
    lineup_ = std::make_unique<StandardLineup>();
  std::set<std::uint64_t> leaving;
  for (const auto& [at, move] : moves_) leaving.insert(move.message);
  std::vector<std::uint64_t> purged;
  for (auto& [number, entry] : entries_) {
    TimePoint due = entry.due;
    entry.due = TimePoint{};
    if (leaving.contains(number)) continue;
    if (number <= control_.purged) {
      purged.push_back(number);
      continue;
    }
    sweep_at_ = std::min(sweep_at_, entry.sent + spec.retention);
    const auto state = states_.find(number);
    if (state == states_.end()) {
      set_place(number, entry, due > now ? Place::Delayed : Place::Ready);
      set_due(number, entry, due > now ? due : TimePoint{});
      continue;
    }
    const MessageState& s = state->second;
    if (s.held) {
      const auto mine = owned.find(number);
      entry.orphan = mine == owned.end() || mine->second != s.issue;
      if (!entry.orphan) owned_.emplace(number, s.issue);
      due = entry.orphan ? now + std::max(spec.visibility_timeout, kOrphanMin) : TimePoint{};
    } else {
      due = s.due;
    }
    set_place(number, entry, s.flying ? Place::Flying : due > now ? Place::Delayed : Place::Ready);
    set_due(number, entry, entry.place == Place::Ready ? TimePoint{} : due);
    if (!s.attempt.empty() && s.flying) {
      Attempt& attempt = attempts_[s.attempt];
      if (attempt.taken.empty()) attempt_times_.emplace_back(s.received, s.attempt);
      attempt.at = s.received;
      attempt.size = s.attempt_size;
      attempt.taken.push_back({number, s.issue});
    }
  }
  for (const std::uint64_t number : purged) forget(number);
  std::erase_if(states_, [&](const auto& state) { return !entries_.contains(state.first); });
  std::ranges::sort(attempt_times_);
}

std::map<std::uint64_t, std::uint32_t> QueueCore::owned() const {
  auto out = owned_;
  for (const std::uint64_t number : round_owned_) out.erase(number);
  return out;
}

// Sending

std::optional<UniqueRow> QueueCore::known(const std::string& hash, const std::optional<UniqueRow>& stored) const {
  if (hash.empty()) return std::nullopt;
  const auto mine = round_keys_.find(hash);
  if (mine != round_keys_.end()) return mine->second;
  if (stored && stored->expires > now_) return stored;
  return std::nullopt;
}

void QueueCore::remember(char kind, const std::string& hash, Millis window, const std::string& id, std::uint64_t number) {
  if (hash.empty()) return;
  const UniqueRow row{id, number, now_ + window};
  round_keys_.insert_or_assign(hash, row);
  if (plant_ == Plant::ForgetDeduplication) return;
  put(keys_.unique(kind, now_.time_since_epoch() / window, hash), unique_row(row));
}

Result<Sent> QueueCore::send(const PreparedSend& message, const std::optional<UniqueRow>& deduplicated,
                             const std::optional<UniqueRow>& absorbed) {
  const bool fifo = spec_->kind == QueueKind::Fifo;
  const auto answer = [&](const std::string& id, std::uint64_t number, bool duplicate) {
    return Sent{id, fifo ? sequence_text(number) : std::string(), duplicate};
  };
  auto first = known(message.deduplication_hash, deduplicated);
  if (!first) first = known(message.idempotency_hash, absorbed);
  if (first) {
    ++counters.deduplicated;
    return answer(first->id, first->number, true);
  }
  if (entries_.size() >= spec_->messages_max) {
    ++counters.refused;
    return fail("queue.full",
                fmt::format("queue '{}' holds {} messages, as many as it may: wait until some are consumed, or raise messages_max", spec_->name,
                            entries_.size()),
                Retry::Safe);
  }
  const std::uint64_t number = take_number();
  const MessageHead head{now_, message.delay.value_or(spec_->delay), message.priority, message.group};
  put(keys_.message(number), message_row(head, message.tail));
  remember('d', message.deduplication_hash, kDeduplicationWindow, message.id, number);
  remember('i', message.idempotency_hash, kIdempotencyWindow, message.id, number);
  Entry& entry = add(number, head);
  const bool later = head.delay > Millis{0};
  set_place(number, entry, later ? Place::Delayed : Place::Ready);
  if (later) set_due(number, entry, now_ + head.delay);
  ++counters.sent;
  return answer(message.id, number, false);
}

void QueueCore::take_over(const std::string& source_id, const Incoming& incoming) {
  std::uint64_t& last = taken_over_[source_id];
  if (incoming.move <= last) return;
  last = incoming.move;
  const std::uint64_t number = take_number();
  put(keys_.message(number), message_row(incoming.head, incoming.tail));
  put(keys_.taken_over(source_id), fmt::format("{{\"last\":{}}}", last));
  set_place(number, add(number, incoming.head), Place::Ready);
}

void QueueCore::moved(std::uint64_t number, bool arrived) {
  const auto found = moves_.find(number);
  if (found == moves_.end()) return;
  const Move move = std::move(found->second);
  moves_.erase(found);
  erase(keys_.outbox(number));
  const auto entry = entries_.find(move.message);
  if (entry == entries_.end()) return;
  if (arrived) {
    if (!move.dead) ++counters.redriven;
    return drop(move.message);
  }
  set_place(move.message, entry->second, Place::Ready);
}

std::vector<std::uint64_t> QueueCore::redrivable(std::size_t max, std::uint64_t up_to) const {
  std::vector<std::uint64_t> out;
  for (auto at = entries_.begin(); at != entries_.end() && at->first <= up_to && out.size() < max; ++at)
    if (at->second.place == Place::Ready) out.push_back(at->first);
  return out;
}

void QueueCore::redrive(std::uint64_t number, const std::string& destination) {
  const auto found = entries_.find(number);
  if (found == entries_.end() || found->second.place != Place::Ready) return;
  move_away(number, Move{number, destination, false, {}});
}

// Receiving

std::optional<std::vector<Taken>> QueueCore::replay(const ReceiveOrder& order) {
  const auto found = attempts_.find(order.attempt_hash);
  if (found == attempts_.end()) return std::nullopt;
  Attempt& attempt = found->second;
  bool whole = attempt.at + kDeduplicationWindow > now_ && attempt.taken.size() == attempt.size;
  for (const Taken& taken : attempt.taken) {
    const auto state = states_.find(taken.number);
    whole = whole && state != states_.end() && state->second.flying && state->second.issue == taken.issue &&
            state->second.attempt == order.attempt_hash && state->second.due > now_;
  }
  if (!whole) {
    attempts_.erase(found);
    return std::nullopt;
  }
  for (const Taken& taken : attempt.taken) {
    MessageState& state = states_.at(taken.number);
    state.due = now_ + order.visibility.value_or(spec_->visibility_timeout);
    set_due(taken.number, entries_.at(taken.number), state.due);
    write_state(taken.number);
  }
  return attempt.taken;
}

Taken QueueCore::give_out(std::uint64_t number, const ReceiveOrder& order) {
  Entry& entry = entries_.at(number);
  MessageState& state = states_[number];
  ++state.receives;
  ++state.issue;
  if (state.first_received == TimePoint{}) state.first_received = now_;
  state.received = now_;
  state.flying = true;
  state.held = order.hold;
  state.due = order.hold ? TimePoint{} : now_ + order.visibility.value_or(spec_->visibility_timeout);
  state.attempt = order.attempt_hash;
  if (order.hold) {
    owned_[number] = state.issue;
    round_owned_.push_back(number);
  }
  set_place(number, entry, Place::Flying);
  set_due(number, entry, state.due);
  ++counters.received;
  return {number, state.issue};
}

Result<std::vector<Taken>> QueueCore::receive(const ReceiveOrder& order) {
  if (!order.attempt_hash.empty())
    if (auto again = replay(order)) return std::move(*again);
  const std::size_t flying_max = spec_->kind == QueueKind::Fifo ? kInFlightMaxFifo : kInFlightMaxStandard;
  std::vector<Taken> out;
  while (out.size() < order.messages_max && has_room(out.size() + 5)) {
    const auto next = lineup_->next(order.messages_max - out.size());
    if (next.empty()) break;
    if (flying_ >= flying_max) {
      if (!out.empty()) break;
      return fail("queue.in_flight_limit",
                  fmt::format("{} messages of queue '{}' are in flight, as many as may be: delete some first", flying_, spec_->name), Retry::Safe);
    }
    for (const std::uint64_t number : next) {
      if (!has_room(out.size() + 5)) break;
      if (expired(entries_.at(number)))
        expire(number);
      else if (worn_out(number))
        die(number, worn_out_reason(number));
      else
        out.push_back(give_out(number, order));
    }
  }
  for (const Taken& taken : out) {
    states_.at(taken.number).attempt_size = static_cast<std::uint32_t>(out.size());
    write_state(taken.number);
  }
  if (!order.attempt_hash.empty() && !out.empty()) {
    attempts_.insert_or_assign(order.attempt_hash, Attempt{now_, out.size(), out});
    attempt_times_.emplace_back(now_, order.attempt_hash);
  }
  return out;
}

Result<QueueCore::Entry*> QueueCore::in_hand(const Receipt& receipt) {
  const auto entry = entries_.find(receipt.number);
  const auto state = states_.find(receipt.number);
  if (receipt.queue_id != keys_.id() || entry == entries_.end() || state == states_.end() || entry->second.place != Place::Flying ||
      state->second.issue != receipt.issue)
    return fail(expired_receipt());
  return &entry->second;
}

Result<void> QueueCore::remove(const Receipt& receipt) {
  const auto entry = entries_.find(receipt.number);
  if (receipt.queue_id != keys_.id() || entry == entries_.end() || entry->second.place == Place::Absent) return {};
  const auto state = states_.find(receipt.number);
  const bool last = state != states_.end() && state->second.issue == receipt.issue;
  if (spec_->kind == QueueKind::Fifo && (!last || entry->second.place != Place::Flying)) return fail(expired_receipt());
  // SQS, DeleteMessage: with the handle of an earlier receive the request succeeds and the message stays.
  if (!last) return {};
  drop(receipt.number);
  ++counters.deleted;
  return {};
}

Result<void> QueueCore::change_visibility(const Receipt& receipt, Millis visibility) {
  if (visibility < Millis{0} || visibility > kVisibilityMax)
    return fail("queue.invalid", "a visibility timeout is 0 to 43,200 seconds: choose one of these");
  auto entry = in_hand(receipt);
  if (!entry) return std::unexpected(entry.error());
  MessageState& state = states_.at(receipt.number);
  if (now_ + visibility > state.received + kVisibilityMax)
    return fail("queue.invalid", "a message stays invisible for at most 12 hours after it was received: choose a shorter timeout");
  if (state.held) return fail("queue.invalid", "the message is held by a consumer inside the server: settle it instead");
  state.attempt.clear();
  if (visibility == Millis{0}) {
    show_again(receipt.number, **entry, Millis{0});
    return {};
  }
  state.due = now_ + visibility;
  set_due(receipt.number, **entry, state.due);
  write_state(receipt.number);
  return {};
}

Result<void> QueueCore::settle(const Receipt& receipt, const Settlement& settlement) {
  using Outcome = Settlement::Outcome;
  if (settlement.outcome == Outcome::Done) return remove(receipt);
  auto found = in_hand(receipt);
  if (!found) return std::unexpected(found.error());
  MessageState& state = states_.at(receipt.number);
  const Millis delay = std::clamp(settlement.delay, Millis{0}, kVisibilityMax);
  switch (settlement.outcome) {
    case Outcome::Done: break;
    case Outcome::Failed: state.failure = shortened(settlement.reason); break;
    case Outcome::Released: state.receives = std::max<std::int64_t>(state.receives - 1, 0); break;
    case Outcome::Dead:
      if (dead_letters_) {
        die(receipt.number, settlement.reason);
      } else {
        drop(receipt.number);
        ++counters.dead;
      }
      return {};
  }
  show_again(receipt.number, **found, delay);
  return {};
}

std::vector<Taken> QueueCore::held(std::size_t max) {
  std::vector<Taken> out;
  for (auto at = due_.begin(); at != due_.end() && out.size() < max;) {
    const std::uint64_t number = at++->second;
    Entry& entry = entries_.at(number);
    if (!entry.orphan) continue;
    entry.orphan = false;
    set_due(number, entry, TimePoint{});
    owned_[number] = states_.at(number).issue;
    round_owned_.push_back(number);
    out.push_back({number, states_.at(number).issue});
  }
  return out;
}

Result<void> QueueCore::purge() {
  constexpr Millis kApart{60'000};
  if (control_.purged_at != TimePoint{} && now_ < control_.purged_at + kApart)
    return fail("queue.purge_in_progress", fmt::format("queue '{}' was purged within the last 60 seconds: try again later", spec_->name),
                Retry::Safe);
  std::vector<std::uint64_t> gone;
  std::set<std::uint64_t> leaving;
  for (const auto& [at, move] : moves_) leaving.insert(move.message);
  for (const auto& [number, entry] : entries_)
    if (!leaving.contains(number)) gone.push_back(number);
  for (const std::uint64_t number : gone) forget(number);
  control_.purged = last_number();
  control_.purged_at = now_;
  put(keys_.control(), control_row(control_));
  counters.deleted += gone.size();
  return {};
}

// Time

bool QueueCore::sweep(std::size_t max) {
  // A part at a time: a queue may hold a million.
  constexpr std::size_t kLookMax = 20'000;
  if (now_ < sweep_at_ || entries_.empty()) return false;
  std::size_t looked = 0, found = 0;
  for (auto at = entries_.lower_bound(sweep_from_); at != entries_.end(); ++looked) {
    if (looked >= kLookMax || found >= max || !has_room(3)) {
      sweep_from_ = at->first;
      return true;
    }
    const std::uint64_t number = at->first;
    const Entry& entry = at->second;
    ++at;
    if (entry.place == Place::Absent) continue;
    const bool kept = entry.place == Place::Flying && states_.at(number).held;
    if (!kept && expired(entry)) {
      expire(number);
      ++found;
    } else {
      sweep_next_ = std::min(sweep_next_, entry.sent + spec_->retention);
    }
  }
  sweep_from_ = 0;
  sweep_at_ = std::max(std::exchange(sweep_next_, TimePoint::max()), now_ + kSweepEvery);
  return false;
}

bool QueueCore::tick(std::size_t max) {
  std::size_t done = 0;
  while (!due_.empty() && due_.begin()->first <= now_) {
    if (done >= max || !has_room(3)) return true;
    const std::uint64_t number = due_.begin()->second;
    Entry& entry = entries_.at(number);
    const auto state = states_.find(number);
    // Nobody of this life was given it: the receive does not count, and its key finds what an earlier one began.
    if (entry.orphan && state != states_.end()) state->second.receives = std::max<std::int64_t>(state->second.receives - 1, 0);
    if (state != states_.end() && worn_out(number)) {
      die(number, worn_out_reason(number));
      ++done;
      continue;
    }
    if (entry.place == Place::Flying) {
      // What a restart finds is the same without a row: the time is past. A message that was held has none.
      if (std::exchange(state->second.held, false)) {
        state->second.due = now_;
        state->second.flying = false;
        write_state(number);
        ++done;
      }
      state->second.flying = false;
      state->second.attempt.clear();
      entry.orphan = false;
    }
    set_due(number, entry, TimePoint{});
    set_place(number, entry, Place::Ready);
  }
  while (!attempt_times_.empty() && attempt_times_.front().first + kDeduplicationWindow <= now_) {
    const auto found = attempts_.find(attempt_times_.front().second);
    if (found != attempts_.end() && found->second.at == attempt_times_.front().first) attempts_.erase(found);
    attempt_times_.pop_front();
  }
  return sweep(max - done);
}

std::optional<TimePoint> QueueCore::next_due() const {
  std::optional<TimePoint> out;
  if (!due_.empty()) out = due_.begin()->first;
  if (!entries_.empty() && (!out || sweep_at_ < *out)) out = sweep_at_;
  return out;
}

// Looking

const QueueCore::Entry* QueueCore::find(std::uint64_t number) const {
  const auto found = entries_.find(number);
  return found == entries_.end() ? nullptr : &found->second;
}

const MessageState* QueueCore::state_of(std::uint64_t number) const {
  const auto found = states_.find(number);
  return found == states_.end() ? nullptr : &found->second;
}

QueueDepth QueueCore::depth() const {
  QueueDepth out{ready_, flying_, delayed_, std::nullopt, group_ids_.size()};
  for (const auto& [number, entry] : entries_) {
    if (entry.place == Place::Absent) continue;
    out.oldest = entry.sent;
    break;
  }
  return out;
}

}  // namespace mayfly::queue
