#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "llm/message.h"

namespace mayfly::llm {

/// Money in 10⁻⁹ US dollars: integers, so that sums are exact.
using NanoUsd = std::int64_t;

/// Prices of one model in NanoUsd per token (1 USD per million tokens = 1,000).
struct Price {
  NanoUsd input = 0;
  NanoUsd cache_read = 0;
  NanoUsd cache_write = 0;
  NanoUsd output = 0;
};

/// A versioned table: costs are stored with the version that made them and can be recomputed from Usage.
/// A model is found by its longest matching prefix ("claude-sonnet-4-5" matches "claude-sonnet-4-5-20250929").
class PriceTable {
 public:
  /// The table that ships with Mayfly (`llm/prices.json`, embedded).
  static const PriceTable& built_in();
  /// {"version": "...", "models": {"name": {"input": 3.0, "output": 15.0, "cache_read": 0.3, "cache_write": 3.75}}} in USD per
  /// million tokens. Error: `prices.invalid`.
  static Result<PriceTable> parse(std::string_view json_text);
  /// This table with `other`'s entries in front of it.
  PriceTable overlaid_with(const PriceTable& other) const;

  const std::string& version() const { return version_; }
  std::optional<Price> find(std::string_view model) const;
  /// 0 for an unknown model.
  NanoUsd cost(std::string_view model, const Usage& usage) const;

 private:
  std::string version_;
  std::map<std::string, Price, std::less<>> models_;
};

}  // namespace mayfly::llm
