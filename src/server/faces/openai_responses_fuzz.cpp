#include <cstddef>
#include <cstdint>
#include <string_view>

#include "server/faces/openai_responses.h"

/// Any bytes give a request or an error that says something.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const mayfly::faces::Recall known = [](std::string_view id) {
    return id.size() % 2 == 0 ? std::optional(mayfly::llm::Content::make_text("known")) : std::nullopt;
  };
  const auto decoded = mayfly::faces::decode_responses(text, known);
  if (!decoded && decoded.error().message.empty()) __builtin_trap();
  if (decoded && (decoded->request.model.empty() || decoded->request.output_tokens_max < 1)) __builtin_trap();
  return 0;
}
