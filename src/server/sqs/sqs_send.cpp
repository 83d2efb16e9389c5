#include <algorithm>

#include "server/sqs/sqs_batch.h"
#include "trigger/sqs/sqs_wire.h"

namespace mayfly::sqs {
namespace {

constexpr std::size_t kBatchBytesMax = 1024 * 1024;
constexpr std::int64_t kDelayMax = 900;

/// What a producer sent, and the digests of it that its SDK compares.
struct Outgoing {
  queue::SendRequest request;
  std::string md5_of_attributes;
  std::string md5_of_system_attributes;
};

std::unexpected<Error> wrong_for_type(const std::string& value, std::string_view parameter) {
  return invalid_value("Value " + value.substr(0, 128) + " for parameter " + std::string(parameter) +
                       " is invalid. Reason: The request include parameter that is not valid for this queue type.");
}

Result<void> check_token(std::string_view parameter, const std::optional<std::string>& value) {
  if (!value) return {};
  const bool fine = !value->empty() && value->size() <= 128 && std::ranges::all_of(*value, [](char c) { return c > ' ' && c < 0x7f; });
  if (fine) return {};
  return invalid_value("Value " + value->substr(0, 128) + " for parameter " + std::string(parameter) + " is invalid. Reason: " +
                       std::string(parameter) + " can only include alphanumeric and punctuation characters. 1 to 128 in length.");
}

Result<void> read_group(const queue::QueueSpec& spec, Fields& fields, queue::SendRequest& out) {
  const auto group = fields.text("MessageGroupId");
  const auto deduplication = fields.text("MessageDeduplicationId");
  if (const auto fine = fields.done(); !fine) return fine;
  if (spec.kind != queue::QueueKind::Fifo) {
    if (deduplication) return wrong_for_type(*deduplication, "MessageDeduplicationId");
  } else {
    if (!group) return missing("MessageGroupId");
    if (!deduplication && !spec.content_deduplication)
      return invalid_value("The queue should either have ContentBasedDeduplication enabled or MessageDeduplicationId provided explicitly");
  }
  if (const auto fine = check_token("MessageGroupId", group); !fine) return fine;
  if (const auto fine = check_token("MessageDeduplicationId", deduplication); !fine) return fine;
  out.group = group.value_or("");
  out.deduplication_id = deduplication.value_or("");
  return {};
}

Result<void> read_delay(const queue::QueueSpec& spec, Fields& fields, queue::SendRequest& out) {
  const auto delay = fields.integer("DelaySeconds");
  if (const auto fine = fields.done(); !fine || !delay) return fine;
  if (*delay < 0 || *delay > kDelayMax)
    return invalid_value("Value " + std::to_string(*delay) +
                         " for parameter DelaySeconds is invalid. Reason: DelaySeconds must be >= 0 and <= 900.");
  if (spec.kind == queue::QueueKind::Fifo) {
    if (*delay > 0) return wrong_for_type(std::to_string(*delay), "DelaySeconds");
    return {};
  }
  out.delay = std::chrono::seconds(*delay);
  return {};
}

Result<void> read_attributes(Fields& fields, Outgoing& out) {
  const JsonObject* user = fields.object("MessageAttributes");
  const JsonObject* system = fields.object("MessageSystemAttributes");
  if (const auto fine = fields.done(); !fine) return fine;
  if (user) {
    auto attributes = trigger::attributes_from_json(*user);
    if (!attributes) return fail(attributes.error());
    out.md5_of_attributes = trigger::md5_of_attributes(*attributes);
    out.request.attributes = std::move(*attributes);
  }
  if (!system || system->empty()) return {};
  if (system->size() > 1 || !system->contains("AWSTraceHeader"))
    return invalid_value("The request contains an unknown message system attribute; there is only AWSTraceHeader.");
  const JsonObject* fields_of = get_object(*system, "AWSTraceHeader");
  queue::MessageAttribute header{fields_of ? get_string(*fields_of, "DataType") : "",
                                 fields_of ? get_string(*fields_of, "StringValue") : ""};
  if (header.data_type != "String" || header.value.empty() || header.value.size() > 1'024)
    return invalid_value("Message system attribute 'AWSTraceHeader' must be a non-empty String of at most 1024 bytes.");
  out.request.trace_header = header.value;
  out.md5_of_system_attributes = trigger::md5_of_attributes({{"AWSTraceHeader", std::move(header)}});
  return {};
}

Result<Outgoing> read_message(const queue::QueueSpec& spec, const JsonObject& object) {
  Fields fields(object);
  Outgoing out;
  const auto body = fields.text("MessageBody");
  if (const auto fine = fields.done(); !fine) return fail(fine.error());
  if (!body || body->empty()) return missing("MessageBody");
  if (!trigger::is_sqs_text(*body))
    return sqs_error("InvalidMessageContents",
                     "Invalid characters found. Valid unicode characters are #x9 | #xA | #xD | #x20 to #xD7FF | "
                     "#xE000 to #xFFFD | #x10000 to #x10FFFF.");
  out.request.body = *body;
  if (const auto fine = read_attributes(fields, out); !fine) return fail(fine.error());
  if (trigger::sqs_bytes(out.request.body, out.request.attributes) > spec.message_bytes_max)
    return invalid_value("One or more parameters are invalid. Reason: Message must be shorter than " +
                         std::to_string(spec.message_bytes_max) + " bytes.");
  if (const auto fine = read_group(spec, fields, out.request); !fine) return fail(fine.error());
  if (const auto fine = read_delay(spec, fields, out.request); !fine) return fail(fine.error());
  return out;
}

/// `body_md5` was taken before the body went to the queue.
JsonObject sent_view(const queue::Sent& sent, const Outgoing& message, const std::string& body_md5) {
  JsonObject out{{"MessageId", sent.id}, {"MD5OfMessageBody", body_md5}};
  if (!message.md5_of_attributes.empty()) out["MD5OfMessageAttributes"] = message.md5_of_attributes;
  if (!message.md5_of_system_attributes.empty()) out["MD5OfMessageSystemAttributes"] = message.md5_of_system_attributes;
  if (!sent.sequence_number.empty()) out["SequenceNumber"] = sent.sequence_number;
  return out;
}

}  // namespace

Task<Result<JsonObject>> send_message(SqsCall* call) {
  const auto info = call->queue();
  if (!info) co_return fail(info.error());
  auto message = read_message(info->spec, call->input);
  if (!message) co_return fail(message.error());
  const std::string md5 = trigger::md5_hex(message->request.body);
  std::vector<queue::SendRequest> requests;
  requests.push_back(std::move(message->request));
  const auto sent = co_await call->queues().send(info->spec.name, std::move(requests));
  if (!sent.at(0)) co_return fail(sent[0].error());
  co_return sent_view(*sent[0], *message, md5);
}

Task<Result<JsonObject>> send_message_batch(SqsCall* call) {
  const auto info = call->queue();
  if (!info) co_return fail(info.error());
  const auto entries = read_batch(*call, "Send");
  if (!entries) co_return fail(entries.error());
  struct Pending {
    std::string id, md5;
    Outgoing message;
  };
  std::vector<Pending> pending;
  std::vector<queue::SendRequest> requests;
  BatchAnswer answer;
  std::size_t bytes = 0;
  for (const BatchEntry& entry : *entries) {
    bytes += get_string(*entry.fields, "MessageBody").size();
    auto message = read_message(info->spec, *entry.fields);
    if (!message) {
      answer.fail(entry.id, message.error());
      continue;
    }
    bytes += trigger::sqs_bytes({}, message->request.attributes);
    pending.push_back({entry.id, trigger::md5_hex(message->request.body), std::move(*message)});
    requests.push_back(std::move(pending.back().message.request));
  }
  if (bytes > kBatchBytesMax)
    co_return sqs_error("BatchRequestTooLong", "Batch requests cannot be longer than " + std::to_string(kBatchBytesMax) +
                                                   " bytes. You have sent " + std::to_string(bytes) + " bytes.");
  if (!requests.empty()) {
    const auto sent = co_await call->queues().send(info->spec.name, std::move(requests));
    for (std::size_t i = 0; i < pending.size(); ++i) {
      if (sent.at(i))
        answer.succeed(pending[i].id, sent_view(*sent[i], pending[i].message, pending[i].md5));
      else
        answer.fail(pending[i].id, sent[i].error());
    }
  }
  co_return answer.take();
}

}  // namespace mayfly::sqs
