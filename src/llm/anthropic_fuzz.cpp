#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/assert.h"
#include "llm/anthropic_provider.h"

/// Any bytes give a response or an error, never a crash, and every response round-trips.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace mayfly;
  llm::AnthropicDecoder decoder("p", "claude-sonnet-4-5", [](const llm::LlmDelta& delta) { MAYFLY_ASSERT(is_utf8(delta.text), "deltas are UTF-8"); });
  net::SseParser parser([&](const net::SseEvent& event) { decoder.event(event); });
  if (!parser.feed({reinterpret_cast<const char*>(data), size})) return 0;
  const llm::LlmResult result = decoder.finish();
  if (result) MAYFLY_ASSERT(llm::response_from_json(llm::to_json(*result)).has_value(), "a response round-trips");
  return 0;
}
