#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "base/time.h"
#include "net/http.h"

/// CloudEvents 1.0.2 (https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/spec.md): the one form of everything that starts an agent.
namespace mayfly::trigger {

inline constexpr std::size_t kEventBytesMax = 1024 * 1024;
inline constexpr std::size_t kEventBatchMax = 100;

struct Event {
  std::string id;      ///< unique with `source`
  std::string source;  ///< URI reference
  std::string type;
  std::string subject;
  std::optional<TimePoint> time;
  std::string data_content_type;  ///< "application/json" when `data` is JSON
  std::string data_schema;
  Json data;                               ///< null: none
  std::optional<std::string> data_bytes;   ///< instead of `data`, when the content is not JSON
  std::map<std::string, Json> extensions;  ///< names [a-z0-9]{1,20}; text, integer or boolean
};

/// The JSON event format: what expressions see, functions are given, and `application/cloudevents+json` holds. Bytes are `data_base64`, or text
/// in `data` when `data_content_type` says text.
Json to_json(const Event& event);
/// Error: `event.invalid`, naming the attribute and the rule.
Result<Event> event_from_json(const Json& value);

/// The HTTP binding (https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/bindings/http-protocol-binding.md): binary mode (ce-… headers),
/// structured mode and batches. Errors: `event.invalid`, `event.too_large`, `event.unsupported_media_type`.
Result<std::vector<Event>> events_from_http(const net::Headers& headers, std::string_view body);
struct HttpContent {
  net::Headers headers;
  std::string body;
};
HttpContent to_binary_http(const Event& event);
HttpContent to_structured_http(const Event& event);

}  // namespace mayfly::trigger
