#include <fmt/format.h>

#include <algorithm>

#include "base/hash.h"
#include "base/id.h"
#include "base/log.h"
#include "queue/message_check.h"
#include "queue/queue_service.h"

/// Messages in and out: checks, contents in the blob store, receipt handles.
namespace mayfly::queue {
namespace {

constexpr Millis kUnreadableDelay{5'000};
constexpr std::size_t kReceiveMax = 1'000;
constexpr Millis kReceiveWaitMax{20'000};

template <class T>
std::vector<Result<T>> all_failed(std::size_t count, const Error& error) {
  return std::vector<Result<T>>(count, Result<T>(std::unexpected(error)));
}

std::string hash_of(std::string_view kind, std::string_view scope, std::string_view id) {
  return sha256_hex(fmt::format("{}\n{}\n{}", kind, scope, id)).substr(0, 32);
}

}  // namespace

std::string QueueServiceImpl::make_uuid() {
  const std::uint64_t a = (deps_.random->next() & ~0xf000ULL) | 0x4000ULL;
  const std::uint64_t b = (deps_.random->next() & ~(0xcULL << 60)) | (0x8ULL << 60);
  const std::string text = to_hex16(a) + to_hex16(b);
  return fmt::format("{}-{}-{}-{}-{}", text.substr(0, 8), text.substr(8, 4), text.substr(12, 4), text.substr(16, 4), text.substr(20));
}

Task<Result<PreparedSend>> QueueServiceImpl::prepare(std::shared_ptr<const QueueInfo> info, SendRequest request) {
  const QueueSpec& spec = info->spec;
  if (auto ok = check_message(spec, request); !ok) co_return std::unexpected(ok.error());
  PreparedSend out;
  out.id = make_uuid();
  out.delay = request.delay;
  out.priority = request.priority;
  out.group = request.group;
  if (!request.idempotency_key.empty()) out.idempotency_hash = hash_of("key", "", request.idempotency_key);
  if (spec.kind == QueueKind::Fifo) {
    if (request.deduplication_id.empty()) request.deduplication_id = sha256_hex(request.body);
    const bool per_group = spec.deduplication_scope == QueueSpec::DeduplicationScope::MessageGroup;
    out.deduplication_hash = hash_of(per_group ? "group" : "queue", per_group ? request.group : std::string(), request.deduplication_id);
  }
  std::string content = content_text(request);
  if (content.size() <= kInlineValueBytesMax) {
    out.tail = inline_tail(out.id, content);
    co_return out;
  }
  auto hash = co_await deps_.blobs->put(std::move(content));
  if (!hash) co_return std::unexpected(hash.error());
  out.tail = blob_tail(out.id, *hash);
  co_return out;
}

Task<std::vector<Result<Sent>>> QueueServiceImpl::send(std::string queue, std::vector<SendRequest> requests) {
  auto actor = find(queue);
  if (!actor) co_return all_failed<Sent>(requests.size(), actor.error());
  if (requests.empty()) co_return std::vector<Result<Sent>>();
  std::vector<Result<PreparedSend>> items;
  items.reserve(requests.size());
  for (SendRequest& request : requests) items.push_back(co_await prepare((*actor)->shared_info(), std::move(request)));
  co_return co_await ask(*actor, std::make_unique<SendItems>(std::move(items)));
}

Task<std::vector<Received>> QueueServiceImpl::read(ActorPtr actor, std::vector<GivenOut> messages, bool settle_unreadable) {
  std::vector<Received> out;
  std::vector<Result<ReceiptItem>> unreadable;
  const bool fifo = actor->info().spec.kind == QueueKind::Fifo;
  for (GivenOut& message : messages) {
    auto content = content_of(message.row);
    if (content && !content->blob.empty()) {
      auto text = co_await deps_.blobs->get(content->blob);
      auto ok = text ? add_content(&*content, *text) : Result<void>(std::unexpected(text.error()));
      if (!ok) content = std::unexpected(ok.error());
    }
    const Receipt receipt{actor->id(), message.taken.number, message.taken.issue};
    if (!content) {
      log::error("the content of a message cannot be read", {{"queue", actor->info().spec.name}, {"error", content.error().message}});
      unreadable.push_back(ReceiptItem{receipt,
                                       {.receipt_handle = {},
                                        .outcome = Settlement::Outcome::Failed,
                                        .delay = kUnreadableDelay,
                                        .reason = "its content cannot be read: " + content.error().message}});
      continue;
    }
    Received& to = out.emplace_back();
    to.id = std::move(content->id);
    if (message.taken.issue > 0) to.receipt_handle = to_handle(receipt);
    to.body = std::move(content->body);
    to.attributes = std::move(content->attributes);
    to.trace_header = std::move(content->trace_header);
    to.group = std::move(message.head.group);
    to.deduplication_id = std::move(content->deduplication_id);
    if (fifo) to.sequence_number = sequence_text(message.taken.number);
    to.priority = message.head.priority;
    to.receive_count = message.state.receives;
    to.sent = message.head.sent;
    to.first_received = message.state.first_received;
    to.dead_letter_source = std::move(content->dead_letter_source);
    to.dead_letter_reason = std::move(content->dead_letter_reason);
  }
  if (settle_unreadable && !unreadable.empty()) (void)co_await ask(actor, std::make_unique<SettleItems>(std::move(unreadable)));
  co_return out;
}

Task<Result<std::vector<Received>>> QueueServiceImpl::receive(ReceiveRequest request) {
  auto actor = find(request.queue);
  if (!actor) co_return std::unexpected(actor.error());
  if (auto ok = check_receive(request, kReceiveMax, kReceiveWaitMax); !ok) co_return std::unexpected(ok.error());
  const QueueSpec& spec = (*actor)->info().spec;
  ReceiveOrder order{request.messages_max, request.visibility, {}, request.hold};
  if (spec.kind == QueueKind::Fifo && !request.attempt_id.empty()) order.attempt_hash = hash_of("attempt", "", request.attempt_id);
  auto ask_for = std::make_unique<ReceiveItems>(std::move(order));
  ask_for->wait = request.wait.value_or(spec.receive_wait);
  ask_for->cancel = request.cancel;
  auto given = co_await ask(*actor, std::move(ask_for));
  if (!given) co_return std::unexpected(given.error());
  co_return co_await read(*actor, std::move(*given), true);
}

Task<Result<std::vector<Received>>> QueueServiceImpl::held(std::string queue) {
  auto actor = find(queue);
  if (!actor) co_return std::unexpected(actor.error());
  auto given = co_await ask(*actor, std::make_unique<HeldItems>());
  if (!given) co_return std::unexpected(given.error());
  co_return co_await read(*actor, std::move(*given), true);
}

Task<Result<std::vector<Received>>> QueueServiceImpl::peek(std::string queue, std::size_t messages_max) {
  auto actor = find(queue);
  if (!actor) co_return std::unexpected(actor.error());
  // Waits until the queue has been read.
  auto there = co_await ask(*actor, std::make_unique<ListMoves>(0));
  if (!there) co_return std::unexpected(there.error());
  auto rows = co_await (*actor)->peek(std::clamp<std::size_t>(messages_max, 1, kReceiveMax));
  if (!rows) co_return std::unexpected(rows.error());
  auto out = co_await read(*actor, std::move(*rows), false);
  for (Received& message : out) message.receipt_handle.clear();
  co_return out;
}

Result<ReceiptItem> QueueServiceImpl::item_of(const QueueActor& actor, const std::string& handle) const {
  auto receipt = receipt_from_handle(handle);
  if (!receipt) return std::unexpected(receipt.error());
  const std::string name = receipt->queue_id.substr(0, receipt->queue_id.rfind('.'));
  if (name != actor.info().spec.name)
    return fail("queue.receipt_invalid", fmt::format("that receipt handle is of another queue: use it with '{}'", name.substr(0, 100)));
  return ReceiptItem{std::move(*receipt), {}, {}};
}

Task<std::vector<Result<void>>> QueueServiceImpl::remove_messages(std::string queue, std::vector<std::string> receipt_handles) {
  auto actor = find(queue);
  if (!actor) co_return all_failed<void>(receipt_handles.size(), actor.error());
  std::vector<Result<ReceiptItem>> items;
  for (const std::string& handle : receipt_handles) items.push_back(item_of(**actor, handle));
  co_return co_await ask(*actor, std::make_unique<RemoveItems>(std::move(items)));
}

Task<std::vector<Result<void>>> QueueServiceImpl::change_visibility(std::string queue, std::vector<VisibilityChange> changes) {
  auto actor = find(queue);
  if (!actor) co_return all_failed<void>(changes.size(), actor.error());
  std::vector<Result<ReceiptItem>> items;
  for (const VisibilityChange& change : changes) {
    items.push_back(item_of(**actor, change.receipt_handle));
    if (items.back()) items.back()->visibility = change.visibility;
  }
  co_return co_await ask(*actor, std::make_unique<ChangeItems>(std::move(items)));
}

Task<std::vector<Result<void>>> QueueServiceImpl::settle(std::string queue, std::vector<Settlement> settlements) {
  auto actor = find(queue);
  if (!actor) co_return all_failed<void>(settlements.size(), actor.error());
  std::vector<Result<ReceiptItem>> items;
  for (Settlement& settlement : settlements) {
    items.push_back(item_of(**actor, settlement.receipt_handle));
    if (items.back()) items.back()->settlement = std::move(settlement);
  }
  co_return co_await ask(*actor, std::make_unique<SettleItems>(std::move(items)));
}

Task<Result<void>> QueueServiceImpl::purge(std::string queue) {
  auto actor = find(queue);
  if (!actor) co_return std::unexpected(actor.error());
  auto done = co_await ask(*actor, std::make_unique<PurgeRequest>());
  if (!done) co_return std::unexpected(done.error());
  co_return Result<void>();
}

Task<Result<void>> QueueServiceImpl::hand_over(std::string destination, std::string source_id, std::vector<Incoming> messages) {
  auto actor = find(destination);
  if (!actor) co_return std::unexpected(actor.error());
  std::vector<Result<IncomingItem>> items;
  for (Incoming& message : messages) items.push_back(IncomingItem{source_id, std::move(message)});
  auto results = co_await ask(*actor, std::make_unique<TakeOverItems>(std::move(items)));
  for (const auto& result : results)
    if (!result) co_return std::unexpected(result.error());
  co_return Result<void>();
}

Task<Result<RedriveTask>> QueueServiceImpl::start_redrive(std::string source, std::string destination, std::int64_t per_second_max) {
  auto actor = find(source);
  if (!actor) co_return std::unexpected(actor.error());
  if (!destination.empty()) {
    if (auto to = find(destination); !to) co_return std::unexpected(to.error());
    if (destination == source) co_return fail("queue.invalid", "messages cannot be redriven to the queue that they are in: choose another");
    if ((*actor)->info().spec.kind != (*find(destination))->info().spec.kind)
      co_return fail("queue.invalid", "a FIFO queue is redriven to a FIFO queue, a standard one to a standard one: choose another destination");
  }
  if (per_second_max < 0 || per_second_max > 500)
    co_return fail("queue.invalid", "a redrive moves 1 to 500 messages a second, or 0 for as many as possible: choose one of these");
  RedriveTask task;
  task.handle = to_base64url(fmt::format("{}|{}", source, make_uuid()));
  task.source = std::move(source);
  task.destination = std::move(destination);
  task.per_second_max = per_second_max;
  auto row = co_await ask(*actor, std::make_unique<StartRedrive>(std::move(task)));
  if (!row) co_return std::unexpected(row.error());
  co_return row->task;
}

Task<Result<RedriveTask>> QueueServiceImpl::cancel_redrive(std::string handle) {
  for (const auto& [name, actor] : actors_) {
    if (!actor->tasks().contains(handle)) continue;
    auto row = co_await ask(ActorPtr(actor), std::make_unique<CancelRedrive>(handle));
    if (!row) co_return std::unexpected(row.error());
    co_return row->task;
  }
  co_return fail("queue.not_found", "there is no redrive with that handle: list the redrives of its queue");
}

std::vector<RedriveTask> QueueServiceImpl::redrives(const std::string& source) const {
  std::vector<RedriveTask> out;
  const auto actor = actors_.find(source);
  if (actor == actors_.end()) return out;
  for (const auto& [handle, row] : actor->second->tasks()) out.push_back(row.task);
  std::ranges::sort(out, [](const RedriveTask& a, const RedriveTask& b) { return a.started > b.started; });
  return out;
}

}  // namespace mayfly::queue
