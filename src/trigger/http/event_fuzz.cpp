#include <cstdint>
#include <cstdlib>

#include "trigger/event.h"

/// What was read must be written in a form that reads back as the same, in both modes.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace mayfly;
  using namespace mayfly::trigger;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto cut = std::min(text.find('\n'), text.size());
  const std::string head(text.substr(0, cut)), body(text.substr(std::min(cut + 1, text.size())));
  for (const auto& headers : {net::Headers{{"content-type", "application/cloudevents+json"}}, net::Headers{{"content-type", "application/cloudevents-batch+json"}},
                              net::Headers{{"ce-specversion", "1.0"}, {"ce-id", "1"}, {"ce-source", "/"}, {"ce-type", "t"}, {"ce-subject", head}, {"content-type", "application/json"}},
                              net::Headers{{"ce-specversion", "1.0"}, {"ce-id", head}, {"ce-source", head}, {"ce-type", "t"}, {"content-type", head}}}) {
    const auto events = events_from_http(headers, body);
    if (!events) continue;
    for (const Event& event : *events) {
      const HttpContent whole = to_structured_http(event);
      const auto again = events_from_http(whole.headers, whole.body);
      if (!again || to_json(again->front()) != to_json(event)) std::abort();
      const HttpContent binary = to_binary_http(event);
      if (binary.body.size() <= kEventBytesMax && !events_from_http(binary.headers, binary.body)) std::abort();
    }
  }
  return 0;
}
