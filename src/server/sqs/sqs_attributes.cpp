#include "server/sqs/sqs_attributes.h"

#include <algorithm>
#include <array>
#include <charconv>

#include "base/json.h"
#include "server/sqs/sqs_call.h"

namespace mayfly::sqs {
namespace {

using queue::QueueKind;
using queue::QueueSpec;
using DeduplicationScope = QueueSpec::DeduplicationScope;
using ThroughputLimit = QueueSpec::ThroughputLimit;

constexpr std::array<std::string_view, 22> kNames{"All",
                                                  "ApproximateNumberOfMessages",
                                                  "ApproximateNumberOfMessagesDelayed",
                                                  "ApproximateNumberOfMessagesNotVisible",
                                                  "ContentBasedDeduplication",
                                                  "CreatedTimestamp",
                                                  "DeduplicationScope",
                                                  "DelaySeconds",
                                                  "FifoQueue",
                                                  "FifoThroughputLimit",
                                                  "KmsDataKeyReusePeriodSeconds",
                                                  "KmsMasterKeyId",
                                                  "LastModifiedTimestamp",
                                                  "MaximumMessageSize",
                                                  "MessageRetentionPeriod",
                                                  "Policy",
                                                  "QueueArn",
                                                  "ReceiveMessageWaitTimeSeconds",
                                                  "RedriveAllowPolicy",
                                                  "RedrivePolicy",
                                                  "SqsManagedSseEnabled",
                                                  "VisibilityTimeout"};

std::unexpected<Error> unknown_name(std::string_view name) {
  return sqs_error("InvalidAttributeName", "Unknown Attribute " + std::string(name.substr(0, 100)) + ".");
}
std::unexpected<Error> bad_value(std::string_view name) {
  return sqs_error("InvalidAttributeValue", "Invalid value for the parameter " + std::string(name) + ".");
}

Result<std::int64_t> whole(std::string_view name, std::string_view text, std::int64_t least, std::int64_t most) {
  std::int64_t out = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  if (text.empty() || error != std::errc() || end != text.data() + text.size() || out < least || out > most) return bad_value(name);
  return out;
}

std::optional<bool> truth(std::string_view text) {
  if (text == "true" || text == "True" || text == "TRUE") return true;
  if (text == "false" || text == "False" || text == "FALSE") return false;
  return std::nullopt;
}

std::unexpected<Error> bad_redrive(std::string_view text, std::string_view why) {
  return invalid_value("Value " + std::string(text.substr(0, 300)) +
                       " for parameter RedrivePolicy is invalid. Reason: " + std::string(why));
}

using Find = std::function<Result<queue::QueueInfo>(const std::string&)>;

Result<void> apply_redrive_policy(QueueSpec& spec, const std::string& text, const Find& find) {
  if (text.empty() || text == "{}") {
    spec.dead_letter_queue.clear();
    spec.receives_max = 0;
    return {};
  }
  const auto value = parse_json(text, {.depth_max = 4, .bytes_max = 8 * 1024});
  if (!value || !value->is_object()) return bad_redrive(text, "Redrive policy is not a valid JSON map.");
  const JsonObject& policy = value->get_object();
  const Json* count = get(policy, "maxReceiveCount");
  const std::string arn = get_string(policy, "deadLetterTargetArn");
  if (arn.empty()) return bad_redrive(text, "Redrive policy does not contain mandatory attribute: deadLetterTargetArn.");
  if (!count) return bad_redrive(text, "Redrive policy does not contain mandatory attribute: maxReceiveCount.");
  std::string digits = count->is_string() ? std::string(std::string_view(count->get_string())) : to_text(*count);
  const auto receives = whole("maxReceiveCount", digits, 1, 1'000);
  if (!receives)
    return bad_redrive(text,
                       "Invalid value for maxReceiveCount: " + digits.substr(0, 40) + ", valid values are from 1 to 1000 both inclusive.");
  const std::string name = queue_of_arn(arn);
  if (name.empty()) return bad_redrive(text, "Invalid value for deadLetterTargetArn.");
  const auto target = find(name);
  if (!target) return bad_redrive(text, "Dead letter target does not exist.");
  if (target->spec.kind != spec.kind) return bad_redrive(text, "Dead-letter queue must be same type of queue as the source.");
  spec.dead_letter_queue = name;
  spec.receives_max = *receives;
  return {};
}

Result<void> apply_redrive_allow_policy(QueueSpec& spec, const std::string& text) {
  if (text.empty() || text == "{}") {
    spec.redrive_allow_policy.clear();
    return {};
  }
  const auto value = parse_json(text, {.depth_max = 4, .bytes_max = 8 * 1024});
  const auto permission = value && value->is_object() ? get_string(value->get_object(), "redrivePermission") : std::string();
  const auto* sources = value && value->is_object() ? get_array(value->get_object(), "sourceQueueArns") : nullptr;
  const bool by_queue = permission == "byQueue";
  if ((permission != "allowAll" && permission != "denyAll" && !by_queue) || by_queue != (sources != nullptr) ||
      (sources && (sources->empty() || sources->size() > 10)))
    return invalid_value("Value " + text.substr(0, 300) +
                         " for parameter RedriveAllowPolicy is invalid. Reason: redrivePermission must be allowAll, denyAll, or byQueue "
                         "with 1 to 10 sourceQueueArns.");
  spec.redrive_allow_policy = text;
  return {};
}

Result<void> apply_fifo(QueueSpec& spec, std::string_view name, const std::string& value) {
  const auto flag = truth(value);
  if (name == "FifoQueue") {
    if (!flag) return bad_value(name);
    if (*flag != (spec.kind == QueueKind::Fifo)) return unknown_name(name);
    return {};
  }
  if (spec.kind != QueueKind::Fifo) return unknown_name(name);
  if (name == "ContentBasedDeduplication") {
    if (!flag) return bad_value(name);
    spec.content_deduplication = *flag;
  } else if (name == "DeduplicationScope") {
    if (value != "queue" && value != "messageGroup") return bad_value(name);
    spec.deduplication_scope = value == "queue" ? DeduplicationScope::Queue : DeduplicationScope::MessageGroup;
  } else {
    if (value != "perQueue" && value != "perMessageGroupId") return bad_value(name);
    spec.throughput_limit = value == "perQueue" ? ThroughputLimit::PerQueue : ThroughputLimit::PerMessageGroupId;
  }
  return {};
}

Result<void> apply_number(QueueSpec& spec, std::string_view name, const std::string& text, bool* known) {
  struct Limits {
    std::string_view name;
    std::int64_t least, most;
  };
  static constexpr auto kNumbers = std::to_array<Limits>({{"VisibilityTimeout", 0, 43'200},
                                                          {"DelaySeconds", 0, 900},
                                                          {"MessageRetentionPeriod", 60, 1'209'600},
                                                          {"ReceiveMessageWaitTimeSeconds", 0, 20},
                                                          {"MaximumMessageSize", 1'024, 1'048'576}});
  const auto limits = std::ranges::find(kNumbers, name, &Limits::name);
  *known = limits != kNumbers.end();
  if (!*known) return {};
  const auto number = whole(name, text, limits->least, limits->most);
  if (!number) return fail(number.error());
  const Millis span = std::chrono::seconds(*number);
  if (name == "VisibilityTimeout") spec.visibility_timeout = span;
  if (name == "DelaySeconds") spec.delay = span;
  if (name == "MessageRetentionPeriod") spec.retention = span;
  if (name == "ReceiveMessageWaitTimeSeconds") spec.receive_wait = span;
  if (name == "MaximumMessageSize") spec.message_bytes_max = static_cast<std::size_t>(*number);
  return {};
}

/// What is only kept for clients.
Result<void> apply_kept(QueueSpec& spec, const std::string& name, const std::string& value) {
  if (name == "Policy" && !value.empty()) {
    const auto policy = parse_json(value, {.depth_max = 16, .bytes_max = 64 * 1024});
    if (!policy || !policy->is_object()) return bad_value(name);
  } else if (name == "KmsDataKeyReusePeriodSeconds") {
    if (const auto number = whole(name, value, 60, 86'400); !number) return fail(number.error());
  } else if (name == "SqsManagedSseEnabled") {
    if (!truth(value)) return bad_value(name);
  } else if (name != "Policy" && name != "KmsMasterKeyId") {
    return unknown_name(name);
  }
  if (value.size() > 64 * 1024) return bad_value(name);
  if (value.empty())
    spec.other_attributes.erase(name);
  else
    spec.other_attributes[name] = value;
  return {};
}

Result<void> apply_one(QueueSpec& spec, const std::string& name, const std::string& value, const Find& find) {
  bool known = false;
  if (const auto number = apply_number(spec, name, value, &known); known || !number) return number;
  if (name == "RedrivePolicy") return apply_redrive_policy(spec, value, find);
  if (name == "RedriveAllowPolicy") return apply_redrive_allow_policy(spec, value);
  if (name == "FifoQueue" || name == "ContentBasedDeduplication" || name == "DeduplicationScope" || name == "FifoThroughputLimit")
    return apply_fifo(spec, name, value);
  return apply_kept(spec, name, value);
}

std::string seconds(Millis span) { return std::to_string(std::chrono::duration_cast<std::chrono::seconds>(span).count()); }

}  // namespace

Result<void> apply_attributes(QueueSpec& spec, const std::map<std::string, std::string>& attributes, const Find& find) {
  for (const auto& [name, value] : attributes)
    if (const auto done = apply_one(spec, name, value, find); !done) return done;
  if (spec.throughput_limit == ThroughputLimit::PerMessageGroupId && spec.deduplication_scope != DeduplicationScope::MessageGroup)
    return invalid_value(
        "Value perMessageGroupId for parameter FifoThroughputLimit is invalid. Reason: it needs DeduplicationScope to be messageGroup.");
  return {};
}

std::map<std::string, std::string> to_attributes(const QueueSpec& spec, const std::function<std::string(std::string_view)>& arn_of) {
  std::map<std::string, std::string> out = spec.other_attributes;
  out["VisibilityTimeout"] = seconds(spec.visibility_timeout);
  out["DelaySeconds"] = seconds(spec.delay);
  out["MessageRetentionPeriod"] = seconds(spec.retention);
  out["ReceiveMessageWaitTimeSeconds"] = seconds(spec.receive_wait);
  out["MaximumMessageSize"] = std::to_string(spec.message_bytes_max);
  out.try_emplace("SqsManagedSseEnabled", "false");
  if (out.contains("KmsMasterKeyId")) out.try_emplace("KmsDataKeyReusePeriodSeconds", "300");
  if (!spec.dead_letter_queue.empty())
    out["RedrivePolicy"] =
        to_text(JsonObject{{"deadLetterTargetArn", arn_of(spec.dead_letter_queue)}, {"maxReceiveCount", spec.receives_max}});
  if (!spec.redrive_allow_policy.empty()) out["RedriveAllowPolicy"] = spec.redrive_allow_policy;
  if (spec.kind == QueueKind::Fifo) {
    out["FifoQueue"] = "true";
    out["ContentBasedDeduplication"] = spec.content_deduplication ? "true" : "false";
    out["DeduplicationScope"] = spec.deduplication_scope == DeduplicationScope::Queue ? "queue" : "messageGroup";
    out["FifoThroughputLimit"] = spec.throughput_limit == ThroughputLimit::PerQueue ? "perQueue" : "perMessageGroupId";
  }
  return out;
}

bool is_attribute(std::string_view name) { return std::ranges::find(kNames, name) != kNames.end(); }

}  // namespace mayfly::sqs
