#pragma once

#include <string>
#include <string_view>

#include "base/json.h"
#include "queue/queue.h"

/// Shapes and digests of SQS's protocol that its clients and its server share.
/// Source: https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/ and, for digests of attributes, "Calculating the MD5
/// message digest for message attributes" in the developer guide.
namespace mayfly::trigger {

inline constexpr std::size_t kSqsAttributesMax = 10;

/// 32 lower-case hexadecimal digits. For SQS's digests, never for security.
std::string md5_hex(std::string_view bytes);
/// Of what SQS calls MD5OfMessageAttributes and MD5OfMessageSystemAttributes; empty when there are none.
std::string md5_of_attributes(const queue::MessageAttributes& attributes);

/// MessageAttributes of the JSON protocol: {"NAME": {"DataType": "String", "StringValue": "…"}}, binary values in base64.
JsonObject attributes_to_json(const queue::MessageAttributes& attributes);
/// Error: `queue.invalid_attribute`, in the words of SQS.
Result<queue::MessageAttributes> attributes_from_json(const JsonObject& value);

/// #x9 | #xA | #xD | #x20 to #xD7FF | #xE000 to #xFFFD | #x10000 to #x10FFFF, the characters that a message may hold.
bool is_sqs_text(std::string_view text);
/// Bytes that count towards the limits of messages and batches: body and attributes (names, types, values).
std::size_t sqs_bytes(std::string_view body, const queue::MessageAttributes& attributes);

}  // namespace mayfly::trigger
