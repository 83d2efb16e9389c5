#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/assert.h"
#include "schema/yaml.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto document = mayfly::parse_yaml(text, "fuzz.yaml");
  if (!document) {
    MAYFLY_ASSERT(document.error().message.starts_with("fuzz.yaml:"), "every refusal names its place");
    return 0;
  }
  MAYFLY_ASSERT(mayfly::parse_json(mayfly::to_text(document->value)).has_value(), "what was read is valid JSON");
  MAYFLY_ASSERT(document->position_of("/no/such/value").line > 0, "an unknown value has the place of its ancestor");
  return 0;
}
