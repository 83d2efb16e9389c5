#include "trigger/consumers.h"

#include <algorithm>

#include "base/log.h"
#include "trigger/sqs/sqs_client.h"

namespace mayfly::trigger {
namespace {

constexpr Millis kWait{20'000};
constexpr Millis kPauseFirst{200}, kPauseMax{30'000};

Millis longer(Millis pause) { return pause.count() == 0 ? kPauseFirst : std::min(pause * 2, kPauseMax); }

/// The event of a foreign message: its body, its id, and its attributes as extensions where their names allow.
Event event_of(const SqsSource& source, const SqsMessage& message) {
  Event out;
  out.id = message.id;
  out.source = source.url;
  out.type = "mayfly.sqs.message";
  if (const auto sent = message.attributes.find("SentTimestamp"); sent != message.attributes.end() && sent->second.size() < 15)
    out.time = from_unix_ms(std::atoll(sent->second.c_str()));
  if (const auto group = message.attributes.find("MessageGroupId"); group != message.attributes.end()) out.subject = group->second;
  JsonObject attributes;
  for (const auto& [name, attribute] : message.message_attributes)
    attributes[name] = attribute.data_type.starts_with("Binary") ? Json(to_utf8_lossy(attribute.value)) : Json(attribute.value);
  auto body = parse_json(message.body);
  out.data_content_type = "application/json";
  out.data = body ? *std::move(body) : Json(message.body);
  if (!attributes.empty()) out.extensions["attributes"] = to_text(attributes);
  return out;
}

}  // namespace

Task<bool> FairSlots::acquire(std::string who, CancelToken cancel) {
  if (cancel.cancelled()) co_return false;
  if (free_ > 0) {
    --free_;
    ++used_[who];
    co_return true;
  }
  const std::uint64_t number = next_++;
  const auto registration = std::make_shared<CancelToken::Registration>();
  co_return co_await suspend<bool>([this, number, who, cancel, registration](Resume<bool> resume) {
    waiting_.emplace(number, Waiter{who, std::move(resume)});
    *registration = cancel.on_cancel([this, number] {
      const auto found = waiting_.find(number);
      if (found == waiting_.end()) return;
      auto node = waiting_.extract(found);
      node.mapped().resume(false);
    });
  });
}

void FairSlots::release(const std::string& who) {
  if (auto found = used_.find(who); found != used_.end() && --found->second == 0) used_.erase(found);
  ++free_;
  grant();
}

void FairSlots::grant() {
  if (free_ == 0 || waiting_.empty()) return;
  // Who holds least goes first, and among equals who has waited longest.
  const auto next = std::ranges::min_element(waiting_, {}, [this](const auto& entry) { return std::pair(used(entry.second.who), entry.first); });
  auto node = waiting_.extract(next);
  --free_;
  ++used_[node.mapped().who];
  node.mapped().resume(true);
}

std::size_t FairSlots::used(const std::string& who) const {
  const auto found = used_.find(who);
  return found == used_.end() ? 0 : found->second;
}

Consumers::Consumers(ConsumerDependencies deps) : deps_(std::move(deps)), slots_(deps_.parallel), tasks_(deps_.executor) {}

void Consumers::update(const TriggerSpec& spec) {
  std::shared_ptr<Reader> before;
  if (const auto found = readers_.find(spec.name); found != readers_.end()) {
    if (to_json(found->second->spec) == to_json(spec)) return;
    before = found->second;
    remove(spec.name);
  }
  if (!spec.enabled) return;
  const bool is_queue = std::holds_alternative<QueueSource>(spec.source);
  if (!is_queue && !std::holds_alternative<SqsSource>(spec.source)) return;
  auto reader = std::make_shared<Reader>();
  reader->spec = spec;
  readers_[spec.name] = reader;
  tasks_.spawn(is_queue ? read(reader, before) : poll_sqs(reader));
}

void Consumers::remove(const std::string& trigger) {
  const auto found = readers_.find(trigger);
  if (found == readers_.end()) return;
  const auto reader = found->second;
  readers_.erase(found);
  reader->cancel.cancel();
  if (reader->room) (*std::exchange(reader->room, std::nullopt))(false);
}

Task<> Consumers::stop() {
  stopping_.cancel();
  while (!readers_.empty()) remove(std::string(readers_.begin()->first));
  co_await tasks_.join();
}

void Consumers::crash() {
  stopping_.cancel();
  for (auto& [name, reader] : readers_) reader->cancel.cancel();
  tasks_.abandon();
}

Task<bool> Consumers::wait_for_room(std::shared_ptr<Reader> reader) {
  const auto most = static_cast<std::size_t>(std::get<QueueSource>(reader->spec.source).concurrency);
  while (!reader->cancel.cancelled() && reader->under_way >= most)
    (void)co_await suspend<bool>([reader](Resume<bool> resume) { reader->room.emplace(std::move(resume)); });
  co_return !reader->cancel.cancelled();
}

Task<> Consumers::take_held(std::shared_ptr<Reader> reader) {
  const QueueSource& source = std::get<QueueSource>(reader->spec.source);
  auto held = co_await deps_.queues->held(source.queue);
  for (Millis pause = kPauseFirst; !held && held.error().retry != Retry::Never; pause = longer(pause)) {
    log::warn("messages of an earlier life cannot be read yet", {{"trigger", reader->spec.name}, {"error", held.error().message}});
    if (!co_await sleep_for(*deps_.clock, pause, reader->cancel.token())) co_return;
    held = co_await deps_.queues->held(source.queue);
  }
  if (!held) co_return;
  // Those of one group of a FIFO queue stay together and in order.
  std::ranges::sort(*held, {}, &queue::Received::sequence_number);
  std::map<std::string, std::vector<queue::Received>> batches;
  for (queue::Received& message : *held)
    batches[message.sequence_number.empty() ? "message/" + message.id : "group/" + message.group].push_back(std::move(message));
  for (auto& [name, batch] : batches) {
    if (!co_await wait_for_room(reader) || !co_await slots_.acquire(reader->spec.name, reader->cancel.token())) {
      co_await give_back(reader, std::move(batch));
      continue;
    }
    ++reader->under_way;
    tasks_.spawn(handle(reader, std::move(batch)));
  }
}

/// As if they had not been received: whoever is given them next finds what was begun.
Task<> Consumers::give_back(std::shared_ptr<Reader> reader, std::vector<queue::Received> messages) {
  std::vector<queue::Settlement> back;
  for (const queue::Received& message : messages) back.push_back({message.receipt_handle, queue::Settlement::Outcome::Released, {}, {}});
  co_await settle(reader, std::move(back));
}

Task<> Consumers::read(std::shared_ptr<Reader> reader, std::shared_ptr<Reader> predecessor) {
  const QueueSource source = std::get<QueueSource>(reader->spec.source);
  // What the trigger's former form holds is settled by it.
  if (!predecessor) co_await take_held(reader);
  while (co_await wait_for_room(reader)) {
    if (reader->pause.count() > 0) co_await sleep_for(*deps_.clock, reader->pause, reader->cancel.token());
    queue::ReceiveRequest request;
    request.queue = source.queue;
    request.messages_max = static_cast<std::size_t>(source.batch_max);
    request.wait = kWait;
    request.cancel = reader->cancel.token();
    request.hold = true;
    auto received = co_await deps_.queues->receive(std::move(request));
    if (!received) {
      if (reader->cancel.cancelled()) co_return;
      log::warn("a trigger cannot read its queue", {{"trigger", reader->spec.name}, {"queue", source.queue}, {"error", received.error().message}});
      reader->pause = longer(reader->pause);
      continue;
    }
    if (received->empty()) {
      reader->pause = Millis{0};
      continue;
    }
    if (source.batch_window.count() > 0 && received->size() < static_cast<std::size_t>(source.batch_max)) {
      co_await sleep_for(*deps_.clock, source.batch_window, reader->cancel.token());
      queue::ReceiveRequest rest;
      rest.queue = source.queue;
      rest.messages_max = static_cast<std::size_t>(source.batch_max) - received->size();
      rest.wait = Millis{0};
      rest.hold = true;
      if (auto more = co_await deps_.queues->receive(std::move(rest)); more)
        for (queue::Received& message : *more) received->push_back(std::move(message));
    }
    if (!co_await slots_.acquire(reader->spec.name, reader->cancel.token())) {
      co_await give_back(reader, *std::move(received));
      co_return;
    }
    ++reader->under_way;
    tasks_.spawn(handle(reader, *std::move(received)));
  }
}

Task<> Consumers::handle(std::shared_ptr<Reader> reader, std::vector<queue::Received> messages) {
  BatchOutcome outcome = co_await deps_.consume(reader->spec.name, std::move(messages));
  slots_.release(reader->spec.name);
  reader->pause = outcome.overloaded ? longer(reader->pause) : Millis{0};
  for (queue::Settlement& settlement : outcome.settlements)
    if (settlement.outcome == queue::Settlement::Outcome::Released) settlement.delay = reader->pause;
  co_await settle(reader, std::move(outcome.settlements));
  --reader->under_way;
  if (reader->room) (*std::exchange(reader->room, std::nullopt))(true);
}

Task<> Consumers::settle(std::shared_ptr<Reader> reader, std::vector<queue::Settlement> settlements) {
  const std::string queue = std::get<QueueSource>(reader->spec.source).queue;
  Millis pause = kPauseFirst;
  while (!settlements.empty()) {
    auto results = co_await deps_.queues->settle(queue, settlements);
    std::vector<queue::Settlement> again;
    for (std::size_t i = 0; i < results.size() && i < settlements.size(); ++i)
      if (!results[i] && results[i].error().retry != Retry::Never) again.push_back(std::move(settlements[i]));
    settlements = std::move(again);
    // At a stop they stay held: the next start settles them by the runs' keys.
    if (!settlements.empty() && !co_await sleep_for(*deps_.clock, pause, stopping_.token())) co_return;
    pause = longer(pause);
  }
}

Task<> Consumers::poll_sqs(std::shared_ptr<Reader> reader) {
  const SqsSource source = std::get<SqsSource>(reader->spec.source);
  const auto variable = [&](std::string_view suffix) { return deps_.environment(source.credentials_env + std::string(suffix)).value_or(""); };
  SqsClientOptions options;
  options.queue_url = source.url;
  options.region = source.region;
  options.endpoint = source.endpoint;
  options.credentials = {variable("_ACCESS_KEY_ID"), variable("_SECRET_ACCESS_KEY"), variable("_SESSION_TOKEN")};
  if (source.private_network) options.egress = net::EgressPolicy::trusted();
  SqsClient client(*deps_.http, *deps_.clock, std::move(options));
  while (!reader->cancel.cancelled()) {
    if (reader->pause.count() > 0 && !co_await sleep_for(*deps_.clock, reader->pause, reader->cancel.token())) co_return;
    SqsReceive request;
    request.messages_max = static_cast<std::size_t>(source.batch_max);
    request.wait = source.wait;
    request.cancel = reader->cancel.token();
    auto received = co_await client.receive(std::move(request));
    if (!received) {
      if (reader->cancel.cancelled()) co_return;
      log::warn("a trigger cannot read its SQS queue", {{"trigger", reader->spec.name}, {"code", received.error().code}, {"error", received.error().message}});
      reader->pause = longer(reader->pause);
      continue;
    }
    // One after the other: the order of a FIFO queue is kept.
    std::vector<std::string> accepted;
    bool slow_down = false;
    for (const SqsMessage& message : *received) {
      if (co_await deps_.accept(reader->spec.name, event_of(source, message)))
        accepted.push_back(message.receipt_handle);
      else
        slow_down = true;
      if (slow_down) break;
    }
    if (!accepted.empty())
      if (auto removed = co_await client.remove(std::move(accepted)); !removed)
        log::warn("messages stay in an SQS queue and come again", {{"trigger", reader->spec.name}, {"error", removed.error().message}});
    reader->pause = slow_down ? longer(reader->pause) : Millis{0};
  }
}

}  // namespace mayfly::trigger
