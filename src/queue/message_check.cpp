#include "queue/message_check.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

namespace mayfly::queue {
namespace {

constexpr std::size_t kIdMax = 128;
constexpr std::size_t kKeyMax = 1024;
constexpr std::size_t kAttributesMax = 10;
constexpr std::size_t kAttributeNameMax = 256;
constexpr std::size_t kTraceMax = 8 * 1024;
constexpr Millis kDelayMax{15 * 60'000};
constexpr Millis kVisibilityMax{12LL * 3'600'000};

bool is_id(std::string_view text) {
  return text.size() <= kIdMax && std::ranges::all_of(text, [](char c) { return c > ' ' && c < '\x7f'; });
}

std::unexpected<Error> invalid(std::string message) { return fail("queue.invalid", std::move(message)); }

bool is_number(std::string_view text) {
  double value = 0;
  if (text.starts_with('+')) text.remove_prefix(1);
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return !text.empty() && error == std::errc() && end == text.data() + text.size();
}

Result<void> check_attribute(const std::string& name, const MessageAttribute& attribute) {
  const auto bad = [&](std::string_view what) {
    return fail("queue.invalid_attribute", fmt::format("message attribute '{}': {}", name.substr(0, kAttributeNameMax), what));
  };
  const bool good = !name.empty() && name.size() <= kAttributeNameMax && !name.starts_with('.') && !name.ends_with('.') &&
                    name.find("..") == std::string::npos && std::ranges::all_of(name, [](char c) {
                      return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-' || c == '.';
                    });
  if (!good) return bad("a name has 1 to 256 letters, digits, '_', '-' and single '.' inside");
  std::string lower = name;
  for (char& c : lower) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
  if (lower.starts_with("aws.") || lower.starts_with("amazon.")) return bad("names that start with 'AWS.' or 'Amazon.' are reserved");
  const std::string_view type = std::string_view(attribute.data_type).substr(0, attribute.data_type.find('.'));
  if ((type != "String" && type != "Number" && type != "Binary") || attribute.data_type.size() > kAttributeNameMax)
    return bad("its data type is String, Number or Binary, with an optional label behind a dot");
  if (attribute.value.empty()) return bad("its value is empty");
  if (type == "Number" && !is_number(attribute.value)) return bad("its value is not a number");
  if (type != "Binary" && !is_utf8(attribute.value)) return bad("its value is not UTF-8: use the type Binary");
  return {};
}

Result<void> check_fifo(const QueueSpec& spec, const SendRequest& request) {
  if (request.group.empty()) return fail("queue.missing_group", "a message for a FIFO queue names its message group");
  if (request.deduplication_id.empty() && !spec.content_deduplication)
    return fail("queue.missing_deduplication_id",
                "a message for this FIFO queue names a deduplication id: give one, or turn content_deduplication on");
  if (request.delay && *request.delay != Millis{0})
    return invalid("a message of a FIFO queue has no delay of its own: set the queue's");
  if (request.priority != 0) return invalid("priorities are for standard queues: a FIFO queue keeps its order");
  return {};
}

}  // namespace

Result<void> check_message(const QueueSpec& spec, const SendRequest& request) {
  if (!is_utf8(request.body)) return invalid("the body of a message is UTF-8 text: encode bytes as base64");
  if (request.attributes.size() > kAttributesMax)
    return fail("queue.invalid_attribute", fmt::format("a message has at most {} attributes: leave some out", kAttributesMax));
  std::size_t bytes = request.body.size();
  for (const auto& [name, attribute] : request.attributes) {
    if (auto ok = check_attribute(name, attribute); !ok) return ok;
    bytes += name.size() + attribute.data_type.size() + attribute.value.size();
  }
  if (bytes > spec.message_bytes_max)
    return fail("queue.too_large", fmt::format("the message has {} bytes, the queue takes {}: send less, or a reference to where it lies", bytes,
                                               spec.message_bytes_max));
  if (!is_id(request.group)) return invalid("a message group has at most 128 visible ASCII characters");
  if (!is_id(request.deduplication_id)) return invalid("a deduplication id has at most 128 visible ASCII characters");
  if (request.idempotency_key.size() > kKeyMax) return invalid("an idempotency key has at most 1,024 bytes");
  if (request.trace_header.size() > kTraceMax || !is_utf8(request.trace_header)) return invalid("a trace header has at most 8 KiB of text");
  if (request.priority < -100 || request.priority > 100) return invalid("a priority is -100 to 100");
  if (request.delay && (*request.delay < Millis{0} || *request.delay > kDelayMax)) return invalid("a delay is 0 to 900 seconds");
  if (spec.kind == QueueKind::Fifo) return check_fifo(spec, request);
  if (!request.deduplication_id.empty()) return invalid("deduplication ids are for FIFO queues: give an idempotency key instead");
  return {};
}

Result<void> check_receive(const ReceiveRequest& request, std::size_t messages_max, Millis wait_max) {
  if (request.messages_max < 1 || request.messages_max > messages_max)
    return invalid(fmt::format("1 to {} messages are received at once", messages_max));
  if (request.visibility && (*request.visibility < Millis{0} || *request.visibility > kVisibilityMax))
    return invalid("a visibility timeout is 0 to 43,200 seconds");
  if (request.wait && (*request.wait < Millis{0} || *request.wait > wait_max)) return invalid("a receive waits 0 to 20 seconds");
  if (request.attempt_id.size() > kIdMax) return invalid("a receive attempt id has at most 128 characters");
  return {};
}

}  // namespace mayfly::queue
