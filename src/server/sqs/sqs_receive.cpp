#include <algorithm>
#include <array>

#include "server/sqs/sqs_batch.h"
#include "trigger/sqs/sqs_wire.h"

namespace mayfly::sqs {
namespace {

constexpr std::int64_t kVisibilityMax = 43'200, kWaitMax = 20;
constexpr auto kSystemNames = std::to_array<std::string_view>(
    {"All", "AWSTraceHeader", "ApproximateFirstReceiveTimestamp", "ApproximateReceiveCount", "DeadLetterQueueSourceArn",
     "MessageDeduplicationId", "MessageGroupId", "SenderId", "SentTimestamp", "SequenceNumber"});

std::unexpected<Error> out_of_range(std::int64_t value, std::string_view parameter, std::string_view rule) {
  return invalid_value("Value " + std::to_string(value) + " for parameter " + std::string(parameter) +
                       " is invalid. Reason: " + std::string(rule));
}

Result<std::optional<Millis>> read_seconds(Fields& fields, std::string_view name, std::int64_t most, std::string_view rule) {
  const auto value = fields.integer(name);
  if (const auto fine = fields.done(); !fine) return fail(fine.error());
  if (!value) return std::nullopt;
  if (*value < 0 || *value > most) return out_of_range(*value, name, rule);
  return Millis(std::chrono::seconds(*value));
}

Result<std::optional<Millis>> read_visibility(Fields& fields) {
  return read_seconds(fields, "VisibilityTimeout", kVisibilityMax, "Must be between 0 and 43200, if provided.");
}

struct Wanted {
  std::vector<std::string> system, user;
  bool all_system() const { return std::ranges::find(system, "All") != system.end(); }
  bool has_system(std::string_view name) const { return all_system() || std::ranges::find(system, name) != system.end(); }
  /// "All", ".*", a name, or "prefix.*".
  bool has_user(std::string_view name) const {
    return std::ranges::any_of(user, [&](std::string_view wanted) {
      if (wanted == "All" || wanted == ".*" || wanted == name) return true;
      return wanted.ends_with(".*") && name.starts_with(wanted.substr(0, wanted.size() - 1));
    });
  }
};

Result<Wanted> read_wanted(Fields& fields) {
  Wanted out;
  out.system = fields.texts("AttributeNames").value_or(std::vector<std::string>());
  std::ranges::copy(fields.texts("MessageSystemAttributeNames").value_or(std::vector<std::string>()), std::back_inserter(out.system));
  out.user = fields.texts("MessageAttributeNames").value_or(std::vector<std::string>());
  if (const auto fine = fields.done(); !fine) return fail(fine.error());
  for (const std::string& name : out.system)
    if (std::ranges::find(kSystemNames, name) == kSystemNames.end())
      return sqs_error("InvalidAttributeName", "Unknown Attribute " + name.substr(0, 100) + ".");
  return out;
}

JsonObject system_attributes(const SqsCall& call, const queue::Received& message, const Wanted& wanted) {
  JsonObject out;
  const auto add = [&](std::string_view name, std::string value) {
    if (!value.empty() && wanted.has_system(name)) out[name] = std::move(value);
  };
  add("SenderId", std::string(kAccount));
  add("SentTimestamp", std::to_string(to_unix_ms(message.sent)));
  add("ApproximateReceiveCount", std::to_string(message.receive_count));
  add("ApproximateFirstReceiveTimestamp", std::to_string(to_unix_ms(message.first_received)));
  add("MessageDeduplicationId", message.deduplication_id);
  add("MessageGroupId", message.group);
  add("AWSTraceHeader", message.trace_header);
  add("SequenceNumber", message.sequence_number);
  if (!message.dead_letter_source.empty()) add("DeadLetterQueueSourceArn", call.arn_of(message.dead_letter_source));
  return out;
}

JsonObject message_view(const SqsCall& call, const queue::Received& message, const Wanted& wanted) {
  JsonObject out{{"MessageId", message.id},
                 {"ReceiptHandle", message.receipt_handle},
                 {"MD5OfBody", trigger::md5_hex(message.body)},
                 {"Body", message.body}};
  if (JsonObject attributes = system_attributes(call, message, wanted); !attributes.empty()) out["Attributes"] = std::move(attributes);
  queue::MessageAttributes chosen;
  for (const auto& [name, attribute] : message.attributes)
    if (wanted.has_user(name)) chosen.emplace(name, attribute);
  if (chosen.empty()) return out;
  out["MD5OfMessageAttributes"] = trigger::md5_of_attributes(chosen);
  out["MessageAttributes"] = trigger::attributes_to_json(chosen);
  return out;
}

Result<std::string> read_handle(const JsonObject& fields) {
  const Json* handle = get(fields, "ReceiptHandle");
  if (!handle || !handle->is_string() || handle->get_string().empty()) return missing("ReceiptHandle");
  return std::string(std::string_view(handle->get_string()));
}

/// Deleting what is gone, or was received again, succeeds; a FIFO queue says that the receipt is too old.
Result<void> deleted(const queue::QueueSpec& spec, const std::string& handle, Result<void> result) {
  if (result || result.error().code != "queue.receipt_expired") return result;
  if (spec.kind == queue::QueueKind::Standard) return {};
  return invalid_value("Value " + handle.substr(0, 200) +
                       " for parameter ReceiptHandle is invalid. Reason: The receipt handle has expired.");
}

Result<void> changed(const std::string& handle, Result<void> result) {
  if (result || result.error().code != "queue.receipt_expired") return result;
  return invalid_value("Value " + handle.substr(0, 200) +
                       " for parameter ReceiptHandle is invalid. Reason: Message does not exist or is not available for visibility timeout "
                       "change.");
}

}  // namespace

Task<Result<JsonObject>> receive_message(SqsCall* call) {
  const auto info = call->queue();
  if (!info) co_return fail(info.error());
  Fields fields(call->input);
  const auto wanted = read_wanted(fields);
  if (!wanted) co_return fail(wanted.error());
  const auto count = fields.integer("MaxNumberOfMessages").value_or(1);
  const auto attempt = fields.text("ReceiveRequestAttemptId");
  const auto visibility = read_visibility(fields);
  if (!visibility) co_return fail(visibility.error());
  const auto wait = read_seconds(fields, "WaitTimeSeconds", kWaitMax, "Must be >= 0 and <= 20, if provided.");
  if (!wait) co_return fail(wait.error());
  if (count < 1 || count > static_cast<std::int64_t>(queue::kBatchMax))
    co_return out_of_range(count, "MaxNumberOfMessages", "Must be between 1 and 10, if provided.");
  if (attempt && info->spec.kind != queue::QueueKind::Fifo)
    co_return invalid_value(
        "Value " + attempt->substr(0, 128) +
        " for parameter ReceiveRequestAttemptId is invalid. Reason: The request include parameter that is not valid for "
        "this queue type.");
  queue::ReceiveRequest request{.queue = info->spec.name,
                                .messages_max = static_cast<std::size_t>(count),
                                .visibility = *visibility,
                                .wait = *wait,
                                .attempt_id = attempt.value_or(""),
                                .cancel = call->disconnected};
  const auto received = co_await call->queues().receive(std::move(request));
  if (!received) co_return fail(received.error());
  if (received->empty()) co_return JsonObject();
  JsonArray messages;
  for (const queue::Received& message : *received) messages.push_back(message_view(*call, message, *wanted));
  co_return JsonObject{{"Messages", std::move(messages)}};
}

Task<Result<JsonObject>> delete_message(SqsCall* call) {
  const auto info = call->queue();
  if (!info) co_return fail(info.error());
  const auto handle = read_handle(call->input);
  if (!handle) co_return fail(handle.error());
  const auto results = co_await call->queues().remove_messages(info->spec.name, std::vector<std::string>{*handle});
  const auto done = deleted(info->spec, *handle, results.at(0));
  if (!done) co_return fail(done.error());
  co_return JsonObject();
}

Task<Result<JsonObject>> delete_message_batch(SqsCall* call) {
  const auto info = call->queue();
  if (!info) co_return fail(info.error());
  const auto entries = read_batch(*call, "Delete");
  if (!entries) co_return fail(entries.error());
  BatchAnswer answer;
  std::vector<std::string> ids, handles;
  for (const BatchEntry& entry : *entries) {
    auto handle = read_handle(*entry.fields);
    if (!handle) {
      answer.fail(entry.id, handle.error());
      continue;
    }
    ids.push_back(entry.id);
    handles.push_back(std::move(*handle));
  }
  const auto results = co_await call->queues().remove_messages(info->spec.name, handles);
  for (std::size_t i = 0; i < ids.size(); ++i) {
    const auto done = deleted(info->spec, handles[i], results.at(i));
    done ? answer.succeed(ids[i]) : answer.fail(ids[i], done.error());
  }
  co_return answer.take();
}

Task<Result<JsonObject>> change_message_visibility(SqsCall* call) {
  const auto info = call->queue();
  if (!info) co_return fail(info.error());
  const auto handle = read_handle(call->input);
  if (!handle) co_return fail(handle.error());
  Fields fields(call->input);
  const auto visibility = read_visibility(fields);
  if (!visibility) co_return fail(visibility.error());
  if (!*visibility) co_return missing("VisibilityTimeout");
  std::vector<queue::VisibilityChange> changes{{*handle, **visibility}};
  const auto results = co_await call->queues().change_visibility(info->spec.name, std::move(changes));
  const auto done = changed(*handle, results.at(0));
  if (!done) co_return fail(done.error());
  co_return JsonObject();
}

Task<Result<JsonObject>> change_message_visibility_batch(SqsCall* call) {
  const auto info = call->queue();
  if (!info) co_return fail(info.error());
  const auto entries = read_batch(*call, "ChangeMessageVisibility");
  if (!entries) co_return fail(entries.error());
  BatchAnswer answer;
  std::vector<std::string> ids;
  std::vector<queue::VisibilityChange> changes;
  for (const BatchEntry& entry : *entries) {
    auto handle = read_handle(*entry.fields);
    Fields fields(*entry.fields);
    const auto visibility = read_visibility(fields);
    if (!handle || !visibility) {
      answer.fail(entry.id, handle ? visibility.error() : handle.error());
      continue;
    }
    ids.push_back(entry.id);
    changes.push_back({std::move(*handle), visibility->value_or(info->spec.visibility_timeout)});
  }
  const auto results = co_await call->queues().change_visibility(info->spec.name, changes);
  for (std::size_t i = 0; i < ids.size(); ++i) {
    const auto done = changed(changes[i].receipt_handle, results.at(i));
    done ? answer.succeed(ids[i]) : answer.fail(ids[i], done.error());
  }
  co_return answer.take();
}

}  // namespace mayfly::sqs
