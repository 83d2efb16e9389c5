#include "net/event_stream.h"

#include <algorithm>
#include <array>
#include <set>

#include "base/id.h"
#include "base/json.h"

namespace mayfly::net {
namespace {

constexpr std::size_t kPreludeBytes = 12;
constexpr std::size_t kChecksumBytes = 4;
constexpr std::size_t kNameBytesMax = 255;
constexpr std::size_t kValueBytesMax = 32'767;
constexpr std::size_t kHeadersMax = 256;
constexpr std::size_t kErrorBytesMax = 4'096;

enum class HeaderType : unsigned char { True, False, Byte, Short, Integer, Long, Bytes, String, Timestamp, Uuid };

constexpr std::array<std::uint32_t, 256> make_crc_table() {
  std::array<std::uint32_t, 256> table{};
  for (std::uint32_t i = 0; i < 256; ++i) {
    std::uint32_t value = i;
    for (int bit = 0; bit < 8; ++bit) value = (value & 1) != 0 ? 0xedb88320u ^ (value >> 1) : value >> 1;
    table[i] = value;
  }
  return table;
}

/// CRC-32 of ISO 3309, as in gzip.
std::uint32_t crc32(std::string_view bytes) {
  static constexpr auto kTable = make_crc_table();
  std::uint32_t crc = 0xffffffffu;
  for (const char c : bytes) crc = kTable[(crc ^ static_cast<unsigned char>(c)) & 0xff] ^ (crc >> 8);
  return ~crc;
}

void put(std::string& out, std::uint64_t value, int bytes) {
  for (int shift = 8 * (bytes - 1); shift >= 0; shift -= 8) out += static_cast<char>(value >> shift & 0xff);
}

/// Big-endian, of at most 8 bytes.
std::uint64_t number(std::string_view bytes) {
  std::uint64_t value = 0;
  for (const char c : bytes) value = value << 8 | static_cast<unsigned char>(c);
  return value;
}

std::int64_t signed_number(std::string_view bytes) {
  const int unused = 64 - 8 * static_cast<int>(bytes.size());
  return static_cast<std::int64_t>(number(bytes) << unused) >> unused;
}

std::string to_uuid(std::string_view bytes) {
  std::string out = to_hex(bytes);
  for (const std::size_t at : {8, 13, 18, 23}) out.insert(at, 1, '-');
  return out;
}

/// Takes `count` bytes from the front, or nothing when there are fewer.
std::optional<std::string_view> take(std::string_view& bytes, std::size_t count) {
  if (bytes.size() < count) return std::nullopt;
  const std::string_view out = bytes.substr(0, count);
  bytes.remove_prefix(count);
  return out;
}

std::optional<std::string> take_sized(std::string_view& bytes) {
  const auto size = take(bytes, 2);
  const auto text = size ? take(bytes, number(*size)) : std::nullopt;
  return text ? std::optional<std::string>(*text) : std::nullopt;
}

std::optional<std::string> take_value(std::string_view& bytes) {
  const auto type = take(bytes, 1);
  if (!type) return std::nullopt;
  const auto decimal = [&bytes](std::size_t size) {
    const auto value = take(bytes, size);
    return value ? std::optional(std::to_string(signed_number(*value))) : std::nullopt;
  };
  switch (static_cast<HeaderType>(type->front())) {
    case HeaderType::True: return "true";
    case HeaderType::False: return "false";
    case HeaderType::Byte: return decimal(1);
    case HeaderType::Short: return decimal(2);
    case HeaderType::Integer: return decimal(4);
    case HeaderType::Long:
    case HeaderType::Timestamp: return decimal(8);
    case HeaderType::Bytes:
    case HeaderType::String: return take_sized(bytes);
    case HeaderType::Uuid: {
      const auto value = take(bytes, 16);
      return value ? std::optional(to_uuid(*value)) : std::nullopt;
    }
  }
  return std::nullopt;
}

/// Nothing when malformed.
std::optional<std::vector<std::pair<std::string, std::string>>> read_headers(std::string_view bytes) {
  std::vector<std::pair<std::string, std::string>> headers;
  std::set<std::string_view> names;
  while (!bytes.empty()) {
    const std::size_t size = number(*take(bytes, 1));
    const auto name = take(bytes, size);
    if (!name || size == 0 || headers.size() >= kHeadersMax || !names.insert(*name).second) return std::nullopt;
    auto value = take_value(bytes);
    if (!value) return std::nullopt;
    headers.emplace_back(*name, std::move(*value));
  }
  return headers;
}

EventStreamMessage event(std::string type, std::string content_type, std::string payload) {
  return {.headers = {{":event-type", std::move(type)}, {":content-type", std::move(content_type)}, {":message-type", "event"}},
          .payload = std::move(payload)};
}

}  // namespace

std::optional<std::string_view> EventStreamMessage::find(std::string_view name) const {
  const auto found = std::find_if(headers.begin(), headers.end(), [&](const auto& header) { return header.first == name; });
  return found == headers.end() ? std::nullopt : std::optional<std::string_view>(found->second);
}

Result<std::string> encode_event_stream(const EventStreamMessage& message) {
  const EventStreamLimits limits;
  std::string headers;
  std::set<std::string_view> names;
  for (const auto& [name, value] : message.headers) {
    if (name.empty() || name.size() > kNameBytesMax || !names.insert(name).second) {
      return fail("event_stream.invalid", "The name of an event header is empty, longer than 255 bytes or repeated; name each once.");
    }
    if (value.size() > kValueBytesMax) return fail("event_stream.too_large", "An event header is longer than 32 KiB; shorten it.");
    put(headers, name.size(), 1);
    headers += name;
    put(headers, static_cast<std::uint64_t>(HeaderType::String), 1);
    put(headers, value.size(), 2);
    headers += value;
  }
  if (headers.size() > limits.header_bytes_max || names.size() > kHeadersMax || message.payload.size() > limits.payload_bytes_max) {
    return fail("event_stream.too_large", "The event exceeds 24 MiB of payload, 128 KiB of headers or 256 headers; split it.");
  }
  const std::size_t total = kPreludeBytes + headers.size() + message.payload.size() + kChecksumBytes;
  std::string out;
  out.reserve(total);
  put(out, total, 4);
  put(out, headers.size(), 4);
  put(out, crc32(out), 4);
  out.append(headers).append(message.payload);
  put(out, crc32(out), 4);
  return out;
}

EventStreamMessage payload_chunk(std::string payload) { return event("PayloadChunk", "application/octet-stream", std::move(payload)); }

EventStreamMessage invoke_complete(const InvokeComplete& outcome) {
  JsonObject members;
  const auto add = [&members](std::string_view name, const std::string& value) {
    if (!value.empty()) members[name] = to_utf8_lossy(value);
  };
  add("ErrorCode", outcome.error_code);
  add("ErrorDetails", outcome.error_details);
  add("LogResult", outcome.log_result);
  return event("InvokeComplete", "application/json", to_text(members));
}

EventStreamMessage event_stream_error(std::string code, std::string_view message) {
  return {.headers = {{":error-code", std::move(code)},
                      {":error-message", to_utf8_lossy(message.substr(0, kErrorBytesMax))},
                      {":message-type", "error"}},
          .payload = {}};
}

EventStreamMessage event_stream_exception(std::string type, std::string_view message) {
  return {.headers = {{":exception-type", std::move(type)}, {":content-type", "application/json"}, {":message-type", "exception"}},
          .payload = to_text(JsonObject{{"message", to_utf8_lossy(message)}})};
}

void EventStreamDecoder::feed(std::string_view bytes) {
  if (failure_) return;
  buffer_.erase(0, std::exchange(begin_, 0));
  buffer_ += bytes;
}

Result<std::optional<EventStreamMessage>> EventStreamDecoder::next() {
  const auto fail_for_ever = [this](std::string code, std::string why) {
    failure_ = Error{std::move(code), std::move(why), Retry::Never};
    return fail(*failure_);
  };
  if (failure_) return fail(*failure_);
  std::string_view rest = std::string_view(buffer_).substr(begin_);
  if (rest.size() < kPreludeBytes) return std::nullopt;
  const std::size_t total = number(rest.substr(0, 4)), header_bytes = number(rest.substr(4, 4));
  if (crc32(rest.substr(0, 8)) != number(rest.substr(8, 4))) {
    return fail_for_ever("event_stream.checksum",
                         "The prelude of an event has a wrong checksum; the stream is damaged or no event stream.");
  }
  const std::size_t frame = kPreludeBytes + kChecksumBytes;
  if (total < frame || header_bytes > total - frame) {
    return fail_for_ever("event_stream.malformed", "The lengths of an event contradict each other; the sender is broken.");
  }
  if (header_bytes > limits_.header_bytes_max || total - frame - header_bytes > limits_.payload_bytes_max) {
    return fail_for_ever("event_stream.too_large", "An event is larger than the limit; ask for smaller ones.");
  }
  if (rest.size() < total) return std::nullopt;
  rest = rest.substr(0, total);
  if (crc32(rest.substr(0, total - kChecksumBytes)) != number(rest.substr(total - kChecksumBytes))) {
    return fail_for_ever("event_stream.checksum", "An event has a wrong checksum; the stream is damaged.");
  }
  auto headers = read_headers(rest.substr(kPreludeBytes, header_bytes));
  if (!headers) return fail_for_ever("event_stream.malformed", "The headers of an event are malformed; the sender is broken.");
  begin_ += total;
  return EventStreamMessage{.headers = std::move(*headers),
                            .payload = std::string(rest.substr(kPreludeBytes + header_bytes, total - frame - header_bytes))};
}

}  // namespace mayfly::net
