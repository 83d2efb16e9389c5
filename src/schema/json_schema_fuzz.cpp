#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/assert.h"
#include "schema/json_schema.h"

/// The input is a schema, a line break, and a value.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto split = text.find('\n');
  const auto source = mayfly::parse_json(text.substr(0, split));
  if (!source) return 0;
  const auto schema = mayfly::JsonSchema::compile(*source);
  if (!schema) {
    MAYFLY_ASSERT(!schema.error().message.empty(), "a refusal says why");
    return 0;
  }
  const auto value = split == std::string_view::npos ? *source : mayfly::parse_json(text.substr(split + 1)).value_or(nullptr);
  for (const auto& problem : schema->validate(value)) MAYFLY_ASSERT(problem.starts_with('/'), "a problem names its place");
  return 0;
}
