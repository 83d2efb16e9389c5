#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"

/// The framing `application/vnd.amazon.eventstream` of AWS's streamed answers: messages of a prelude (two lengths and
/// their CRC-32), typed headers, a payload and a CRC-32 over all (Amazon Transcribe guide, "Event stream encoding").
namespace mayfly::net {

inline constexpr std::string_view kEventStreamType = "application/vnd.amazon.eventstream";

struct EventStreamLimits {
  std::size_t header_bytes_max = 128 * 1024;         ///< AWS's own limit
  std::size_t payload_bytes_max = 24 * 1024 * 1024;  ///< AWS's own limit
};

/// One message. Values of headers are strings (at most 32 KiB each); other types are read as text or in decimal.
struct EventStreamMessage {
  std::vector<std::pair<std::string, std::string>> headers;
  std::string payload;

  /// The value, or nothing.
  std::optional<std::string_view> find(std::string_view name) const;
  bool operator==(const EventStreamMessage&) const = default;
};

/// The bytes of one message. Errors: `event_stream.too_large`, `event_stream.invalid` (an empty, long or repeated name).
Result<std::string> encode_event_stream(const EventStreamMessage& message);

/// The events of Lambda's InvokeWithResponseStream (API_InvokeWithResponseStream).
EventStreamMessage payload_chunk(std::string payload);
struct InvokeComplete {
  std::string error_code;  ///< empty: the function succeeded
  std::string error_details;
  std::string log_result;  ///< base64, the last 4 KB of the log; empty: not asked for
};
EventStreamMessage invoke_complete(const InvokeComplete& outcome);
/// Ends a stream by an error that the service's model does not list, as Lambda's lists none; long messages are cut.
EventStreamMessage event_stream_error(std::string code, std::string_view message);
/// Ends a stream by an exception of the service's model ("ThrottlingException" of Bedrock).
EventStreamMessage event_stream_exception(std::string type, std::string_view message);

/// Bytes in any pieces to messages. Errors, after which it stays failed: `event_stream.malformed`,
/// `event_stream.checksum`, `event_stream.too_large`.
class EventStreamDecoder {
 public:
  explicit EventStreamDecoder(EventStreamLimits limits = {}) : limits_(limits) {}
  void feed(std::string_view bytes);
  /// The next whole message, or nothing until more bytes come.
  Result<std::optional<EventStreamMessage>> next();
  /// False when the stream ended in the middle of a message.
  bool is_at_boundary() const { return begin_ == buffer_.size(); }

 private:
  EventStreamLimits limits_;
  std::string buffer_;
  std::size_t begin_ = 0;
  std::optional<Error> failure_;
};

}  // namespace mayfly::net
