#include <algorithm>
#include <set>

#include "base/hash.h"
#include "base/log.h"
#include "trigger/service.h"
#include "trigger/sqs/sqs_wire.h"

namespace mayfly::trigger {
namespace {

using queue::Received;
using queue::Settlement;

const JsonObject& object_of(const Json& value) {
  static const JsonObject kEmpty;
  return value.is_object() ? value.get_object() : kEmpty;
}

Settlement settle(const Received& message, Settlement::Outcome outcome, std::string reason = {}) {
  return {message.receipt_handle, outcome, Millis{0}, std::move(reason)};
}

Event event_of(const std::string& queue, const Received& message) {
  Event out;
  out.id = message.id;
  out.source = "queue/" + queue;
  out.type = "mayfly.queue.message";
  out.subject = message.group;
  out.time = message.sent;
  out.data_content_type = "application/json";
  auto body = parse_json(message.body);
  out.data = body ? *std::move(body) : Json(message.body);
  out.extensions["receivecount"] = message.receive_count;
  for (const auto& [name, attribute] : message.attributes)
    if (name == "reason" || name == "attempts") out.extensions["deadletter" + name] = attribute.value;
  if (!message.dead_letter_reason.empty()) out.extensions["deadletterreason"] = message.dead_letter_reason;
  return out;
}

/// As Lambda gives messages to functions (https://docs.aws.amazon.com/lambda/latest/dg/with-sqs.html).
Json lambda_event(const std::string& queue, const std::vector<Received>& messages) {
  JsonArray records;
  for (const Received& message : messages) {
    JsonObject attributes{{"ApproximateReceiveCount", std::to_string(message.receive_count)},
                          {"SentTimestamp", std::to_string(to_unix_ms(message.sent))},
                          {"SenderId", "mayfly"},
                          {"ApproximateFirstReceiveTimestamp", std::to_string(to_unix_ms(message.first_received))}};
    if (!message.group.empty()) attributes["MessageGroupId"] = message.group;
    if (!message.sequence_number.empty()) attributes["SequenceNumber"] = message.sequence_number;
    if (!message.deduplication_id.empty()) attributes["MessageDeduplicationId"] = message.deduplication_id;
    JsonObject own;
    for (const auto& [name, attribute] : message.attributes) {
      const bool binary = attribute.data_type.starts_with("Binary");
      own[name] = JsonObject{{binary ? "binaryValue" : "stringValue", binary ? to_base64(attribute.value) : attribute.value},
                             {"stringListValues", JsonArray()},
                             {"binaryListValues", JsonArray()},
                             {"dataType", attribute.data_type}};
    }
    records.push_back(JsonObject{{"messageId", message.id},
                                 {"receiptHandle", message.receipt_handle},
                                 {"body", message.body},
                                 {"attributes", std::move(attributes)},
                                 {"messageAttributes", std::move(own)},
                                 {"md5OfBody", md5_hex(message.body)},
                                 {"eventSource", "aws:sqs"},
                                 {"eventSourceARN", "arn:aws:sqs:us-east-1:000000000000:" + queue},
                                 {"awsRegion", "us-east-1"}});
  }
  return JsonObject{{"Records", std::move(records)}};
}

}  // namespace

Task<BatchOutcome> TriggerServiceImpl::consume(std::string trigger, std::vector<Received> messages) {
  const auto found = triggers_.find(trigger);
  const auto* source = found == triggers_.end() ? nullptr : std::get_if<QueueSource>(&found->second.spec.source);
  BatchOutcome out;
  if (!source) {
    for (const Received& message : messages) out.settlements.push_back(settle(message, Settlement::Outcome::Released));
    out.overloaded = true;
    co_return out;
  }
  if (source->batch_max > 1 && found->second.spec.target.kind == Target::Kind::Function)
    co_return co_await consume_batch(std::move(trigger), std::move(messages));
  std::set<std::string> blocked;  // groups of a FIFO queue whose next message is not done
  for (Received& message : messages) {
    if (blocked.contains(message.group)) {
      out.settlements.push_back(settle(message, Settlement::Outcome::Released));
      continue;
    }
    const std::string group = message.sequence_number.empty() ? std::string() : message.group;
    out.settlements.push_back(co_await consume_one(trigger, std::move(message)));
    out.overloaded |= out.settlements.back().outcome == Settlement::Outcome::Released;
    if (!group.empty() && out.settlements.back().outcome != Settlement::Outcome::Done) blocked.insert(group);
  }
  co_return out;
}

Task<Settlement> TriggerServiceImpl::consume_one(std::string trigger, Received message) {
  const auto found = triggers_.find(trigger);
  const auto* source = found == triggers_.end() ? nullptr : std::get_if<QueueSource>(&found->second.spec.source);
  if (!source) co_return settle(message, Settlement::Outcome::Released);
  // The receive is part of the key: a message that failed is tried anew, one that a crash cut off finds its run again.
  const std::string key = source->queue + "/" + message.id + "/" + std::to_string(message.receive_count);
  auto taken = co_await dispatch_as(trigger, event_of(source->queue, message), {}, message.trace_header, TargetHost::Ask::Call, key);
  if (!taken) {
    const bool later = taken.error().retry != Retry::Never || taken.error().code == "trigger.disabled" || taken.error().code == "trigger.not_found";
    co_return settle(message, later ? Settlement::Outcome::Released : Settlement::Outcome::Failed, taken.error().code + ": " + taken.error().message);
  }
  if (taken->filtered || taken->run.empty()) co_return settle(message, Settlement::Outcome::Done);
  auto run = co_await wait_for_end(taken->run);
  if (!run) co_return settle(message, Settlement::Outcome::Released);
  const auto again = triggers_.find(trigger);
  if (run->status == engine::ExecutionStatus::Succeeded) {
    if (again != triggers_.end() && !taken->delivery) ++again->second.counters.delivered;
    co_return settle(message, Settlement::Outcome::Done);
  }
  if (again != triggers_.end() && !taken->delivery) ++again->second.counters.failed;
  const std::string reason = run->error ? run->error->code + ": " + run->error->message : "the run " + run->id + " did not succeed";
  co_return settle(message, Settlement::Outcome::Failed, reason);
}

Task<Result<engine::Execution>> TriggerServiceImpl::wait_for_end(std::string run) {
  while (!stopping_.cancelled()) {
    // Subscribed before looking, so that an end between the two is not missed.
    auto subscription = engine_->subscribe(run, engine::Interest::End);
    auto execution = co_await engine_->get(run);
    if (!execution && execution.error().retry == Retry::Never) co_return std::unexpected(execution.error());
    if (execution && !execution->open()) co_return execution;
    if (!execution) {
      co_await sleep_for(*deps_.clock, Millis{500}, stopping_.token());
      continue;
    }
    while (co_await subscription->next(stopping_.token())) {
      auto now = co_await engine_->get(run);
      if (now && !now->open()) co_return now;
    }
  }
  co_return fail("engine.stopping", "the server is stopping", Retry::Safe);
}

Task<BatchOutcome> TriggerServiceImpl::consume_batch(std::string trigger, std::vector<Received> messages) {
  const TriggerSpec spec = triggers_.at(trigger).spec;
  const std::string queue = std::get<QueueSource>(spec.source).queue;
  BatchOutcome out;
  std::vector<Received> wanted;
  for (Received& message : messages) {
    const Event event = event_of(queue, message);
    auto mapped = map(spec, event, to_json(event), {});
    if (!mapped)
      out.settlements.push_back(settle(message, Settlement::Outcome::Failed, mapped.error().message));
    else if (mapped->filtered)
      out.settlements.push_back(settle(message, Settlement::Outcome::Done));
    else
      wanted.push_back(std::move(message));
  }
  if (wanted.empty()) co_return out;
  auto answer = co_await deps_.targets->call(spec.target.name, lambda_event(queue, wanted), stopping_.token());
  std::set<std::string> failures;
  bool all_fail = !answer;
  if (answer) {
    if (const JsonArray* list = get_array(object_of(*answer), "batchItemFailures"))
      for (const Json& item : *list) {
        const std::string id = get_string(object_of(item), "itemIdentifier");
        // As Lambda has it: an entry that names no message makes the whole batch fail.
        const bool known = std::ranges::any_of(wanted, [&](const Received& message) { return message.id == id; });
        all_fail |= !known;
        failures.insert(id);
      }
  }
  out.overloaded = !answer && (answer.error().code == "function.throttled" || answer.error().code == "engine.overloaded" ||
                               answer.error().code == "function.unavailable" || answer.error().code == "function.stopping");
  const std::string reason = answer ? "the function named it in batchItemFailures" : answer.error().code + ": " + answer.error().message;
  TriggerCounters* counters = nullptr;
  if (const auto found = triggers_.find(trigger); found != triggers_.end()) counters = &found->second.counters;
  for (const Received& message : wanted) {
    const bool failed = all_fail || failures.contains(message.id);
    if (counters) ++counters->received, ++(failed ? counters->failed : counters->delivered);
    const auto outcome = out.overloaded ? Settlement::Outcome::Released : failed ? Settlement::Outcome::Failed : Settlement::Outcome::Done;
    out.settlements.push_back(settle(message, outcome, failed ? reason : std::string()));
  }
  co_return out;
}

Task<bool> TriggerServiceImpl::accept_foreign(std::string trigger, Event event) {
  auto taken = co_await dispatch(trigger, std::move(event), {}, {});
  if (taken) co_return true;
  log::warn("a trigger does not take a message; it stays in its queue", {{"trigger", trigger}, {"code", taken.error().code}, {"error", taken.error().message}});
  co_return false;
}

}  // namespace mayfly::trigger
