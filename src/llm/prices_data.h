#pragma once

#include <string_view>

namespace mayfly::llm {
/// The JSON text of the built-in price table (see PriceTable::parse).
extern const std::string_view kBuiltInPrices;
}  // namespace mayfly::llm
