#include "queue/queue_requests.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

#include "base/log.h"

namespace mayfly::queue {
namespace {

constexpr std::size_t kPreparedAtOnce = 50;
constexpr std::size_t kContentBytesMax = 8 * 1024 * 1024;  ///< of one answer
constexpr std::size_t kTasksKept = 10;
constexpr std::size_t kMovesWaitingMax = 200;

Error no_such_task(const std::string& handle) {
  return {"queue.not_found", fmt::format("there is no redrive '{}' of that queue: list its redrives", handle), Retry::Never};
}

}  // namespace

Task<Result<void>> SendItems::prepare(RowReader& reader, QueueCore&) {
  // Again in every round: what the last one wrote counts now.
  known_.clear();
  prepared_ = results_.size();
  for (; prepared_ < items_.size() && prepared_ < results_.size() + kPreparedAtOnce; ++prepared_) {
    const Result<PreparedSend>& item = items_[prepared_];
    if (!item || (item->deduplication_hash.empty() && item->idempotency_hash.empty())) continue;
    Known known;
    if (!item->deduplication_hash.empty()) {
      auto found = co_await reader.find_unique('d', item->deduplication_hash, kDeduplicationWindow);
      if (!found) co_return std::unexpected(found.error());
      known.deduplicated = std::move(*found);
    }
    if (!item->idempotency_hash.empty()) {
      auto found = co_await reader.find_unique('i', item->idempotency_hash, kIdempotencyWindow);
      if (!found) co_return std::unexpected(found.error());
      known.absorbed = std::move(*found);
    }
    known_.emplace(item->id, std::move(known));
  }
  co_return Result<void>();
}

Result<Sent> SendItems::apply_one(QueueCore& core, const PreparedSend& item) {
  const auto known = known_.find(item.id);
  if (known == known_.end()) return core.send(item, std::nullopt, std::nullopt);
  return core.send(item, known->second.deduplicated, known->second.absorbed);
}

Result<std::vector<Taken>> ReceiveItems::take(QueueCore& core) {
  ReceiveOrder rest = order_;
  rest.messages_max -= out_.size();
  return core.receive(rest);
}

Request::Step ReceiveItems::apply(QueueCore& core, RowReader&, TimePoint) {
  auto taken = take(core);
  if (!taken) {
    if (out_.empty()) error_ = taken.error();
    return Step::Done;
  }
  fresh_ = std::move(*taken);
  if (fresh_.empty()) return out_.empty() && !over ? Step::Wait : Step::Done;
  // Consumers of our own take more than one batch holds.
  const bool more = out_.size() + fresh_.size() < order_.messages_max && order_.attempt_hash.empty() && !core.has_room(fresh_.size() + 6);
  return more ? Step::More : Step::Done;
}

Task<Result<void>> ReceiveItems::fetch(RowReader& reader, QueueCore& core) {
  for (const Taken& taken : fresh_) {
    auto row = co_await reader.read_message(taken.number);
    if (!row) co_return std::unexpected(row.error());
    auto head = *row ? head_of(**row) : std::nullopt;
    const MessageState* state = core.state_of(taken.number);
    if (!head || !state) {
      log::error("a message of a queue cannot be read and is left out", {{"queue", core.keys().id()}, {"number", taken.number}});
      continue;
    }
    bytes_ += (*row)->size();
    read_.push_back({taken, std::move(**row), std::move(*head), *state});
  }
  fresh_.clear();
  if (bytes_ > kContentBytesMax) order_.messages_max = out_.size() + read_.size();
  co_return Result<void>();
}

void ReceiveItems::committed() {
  std::ranges::move(read_, std::back_inserter(out_));
  read_.clear();
}

void ReceiveItems::failed(const Error& error) {
  fresh_.clear();
  read_.clear();
  error_ = error;
}

void ReceiveItems::answer() {
  if (error_ && out_.empty())
    result_ = std::unexpected(*error_);
  else
    result_ = std::move(out_);
  SingleRequest::answer();
}

Request::Step PurgeRequest::apply(QueueCore& core, RowReader&, TimePoint) {
  if (!core.has_room(2)) return Step::More;
  auto done = core.purge();
  if (done)
    result_ = true;
  else
    result_ = std::unexpected(done.error());
  return Step::Done;
}

Request::Step ListMoves::apply(QueueCore& core, RowReader&, TimePoint) {
  std::vector<std::pair<std::uint64_t, Move>> out;
  for (const auto& [number, move] : core.moves()) {
    if (out.size() >= max_ || (!out.empty() && move.destination != out.front().second.destination)) break;
    out.emplace_back(number, move);
  }
  result_ = std::move(out);
  return Step::Done;
}

Request::Step StartRedrive::apply(QueueCore& core, RowReader& reader, TimePoint now) {
  if (!core.has_room(kTasksKept)) return Step::More;
  auto& tasks = reader.tasks();
  for (const auto& [handle, row] : tasks) {
    if (row.task.status != RedriveTask::Status::Running && row.task.status != RedriveTask::Status::Cancelling) continue;
    result_ = fail("queue.redrive_running", fmt::format("queue '{}' is being redriven already: wait for {} or cancel it", task_.source, handle),
                   Retry::Safe);
    return Step::Done;
  }
  while (tasks.size() >= kTasksKept) {
    const auto oldest = std::ranges::min_element(tasks, {}, [](const auto& task) { return task.second.task.started; });
    core.changes().insert_or_assign(core.keys().task(oldest->first), std::nullopt);
    tasks.erase(oldest);
  }
  task_.started = now;
  task_.to_move = core.ready();
  const TaskRow row{task_, core.last_number()};
  core.changes().insert_or_assign(core.keys().task(task_.handle), task_row(row));
  tasks.insert_or_assign(task_.handle, row);
  result_ = row;
  return Step::Done;
}

Request::Step CancelRedrive::apply(QueueCore& core, RowReader& reader, TimePoint) {
  if (!core.has_room(1)) return Step::More;
  const auto found = reader.tasks().find(handle_);
  if (found == reader.tasks().end()) {
    result_ = fail(no_such_task(handle_));
    return Step::Done;
  }
  RedriveTask& task = found->second.task;
  if (task.status != RedriveTask::Status::Running) {
    result_ = fail("queue.invalid", fmt::format("the redrive is {}: only a running one can be cancelled", to_string(task.status)));
    return Step::Done;
  }
  task.status = RedriveTask::Status::Cancelling;
  core.changes().insert_or_assign(core.keys().task(handle_), task_row(found->second));
  result_ = found->second;
  return Step::Done;
}

Task<Result<void>> RedriveStep::prepare(RowReader& reader, QueueCore& core) {
  next_.clear();
  const auto found = reader.tasks().find(handle_);
  if (found == reader.tasks().end() || core.moves().size() > kMovesWaitingMax) co_return Result<void>();
  const TaskRow task = found->second;
  for (const std::uint64_t number : core.redrivable(max_, task.up_to)) {
    std::string destination = task.task.destination;
    if (destination.empty()) {
      auto row = co_await reader.read_message(number);
      if (!row) co_return std::unexpected(row.error());
      auto content = *row ? content_of(**row) : Result<MessageContent>(fail("store.damaged", "a message cannot be read"));
      if (!content) co_return std::unexpected(content.error());
      destination = content->dead_letter_source;
      if (destination.empty())
        failure_ = fmt::format("message {} did not come from another queue: name a destination", content->id);
      else if (!reader.queue_exists(destination))
        failure_ = fmt::format("queue '{}' that message {} came from does not exist any more: name a destination", destination, content->id);
    } else if (!reader.queue_exists(destination)) {
      failure_ = fmt::format("queue '{}' does not exist any more: start again with another destination", destination);
    }
    if (!failure_.empty()) break;
    next_.emplace_back(number, std::move(destination));
  }
  co_return Result<void>();
}

Request::Step RedriveStep::apply(QueueCore& core, RowReader& reader, TimePoint) {
  using Status = RedriveTask::Status;
  if (!core.has_room(next_.size() + 3)) return Step::More;
  const auto found = reader.tasks().find(handle_);
  if (found == reader.tasks().end()) {
    result_ = fail(no_such_task(handle_));
    return Step::Done;
  }
  RedriveTask& task = found->second.task;
  result_ = found->second;
  const bool waits = core.moves().size() > kMovesWaitingMax;
  if (waits && task.status == Status::Running) return Step::Done;
  if (task.status == Status::Running) {
    for (const auto& [number, destination] : next_) core.redrive(number, destination);
    task.moved += next_.size();
    if (!failure_.empty()) {
      task.status = Status::Failed;
      task.failure = failure_;
    } else if (next_.empty()) {
      task.status = Status::Completed;
    }
  } else if (task.status == Status::Cancelling) {
    task.status = Status::Cancelled;
  } else {
    return Step::Done;
  }
  core.changes().insert_or_assign(core.keys().task(handle_), task_row(found->second));
  result_ = found->second;
  return Step::Done;
}

}  // namespace mayfly::queue
