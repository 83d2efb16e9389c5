#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/assert.h"
#include "expression/expression.h"

/// The input is an expression, a line break, and the JSON that it is evaluated on.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static mayfly::Expressions expressions({.memory_bytes_max = 8 * 1024 * 1024, .work_max = 200'000});
  static const auto reference = expressions.evaluate("$sum([1,2]) & $string($random())", nullptr, {}, {});
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto split = text.find('\n');
  const auto input = split == std::string_view::npos ? mayfly::Json(nullptr) : mayfly::parse_json(text.substr(split + 1)).value_or(nullptr);
  const auto result = expressions.evaluate(text.substr(0, split), input, {}, {});
  if (!result) MAYFLY_ASSERT(result.error().code.starts_with("expression.") && !result.error().message.empty(), "a refusal says why");
  const auto again = expressions.evaluate("$sum([1,2]) & $string($random())", nullptr, {}, {});
  MAYFLY_ASSERT(again == reference, "an expression leaves nothing behind");
  return 0;
}
