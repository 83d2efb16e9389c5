#include "llm/prices.h"

#include <fmt/format.h>

#include <cmath>

#include "base/assert.h"
#include "llm/prices_data.h"

namespace mayfly::llm {
namespace {

constexpr std::size_t kModelsMax = 10'000;
constexpr double kUsdPerMillionMax = 1'000'000;

/// USD per million tokens to NanoUsd per token.
std::optional<NanoUsd> to_nano(const JsonObject& entry, std::string_view key, std::optional<double> otherwise) {
  const Json* value = get(entry, key);
  if (!value && !otherwise) return std::nullopt;
  if (value && !value->is_number()) return std::nullopt;
  const double usd = value ? get_double(entry, key) : *otherwise;
  if (!std::isfinite(usd) || usd < 0 || usd > kUsdPerMillionMax) return std::nullopt;
  return std::llround(usd * 1'000);
}

}  // namespace

const PriceTable& PriceTable::built_in() {
  static const PriceTable table = [] {
    auto parsed = parse(kBuiltInPrices);
    MAYFLY_ASSERT(parsed.has_value(), "the built-in price table must parse");
    return std::move(*parsed);
  }();
  return table;
}

Result<PriceTable> PriceTable::parse(std::string_view json_text) {
  const auto json = parse_json(json_text);
  if (!json) return fail("prices.invalid", "the price table is " + json.error().message);
  const JsonObject* object = json->if_object();
  const JsonObject* models = object ? get_object(*object, "models") : nullptr;
  PriceTable table;
  if (object) table.version_ = get_string(*object, "version");
  if (!models || table.version_.empty())
    return fail("prices.invalid", "the price table needs a `version` (a text) and `models` (an object); see the built-in table");
  if (models->size() > kModelsMax)
    return fail("prices.invalid", fmt::format("the price table lists {} models; at most {} are accepted", models->size(), kModelsMax));
  for (const auto& [name, value] : *models) {
    const std::string model(name);
    const JsonObject* entry = value.if_object();
    const auto input = entry ? to_nano(*entry, "input", std::nullopt) : std::nullopt;
    const auto output = entry ? to_nano(*entry, "output", std::nullopt) : std::nullopt;
    if (!input || !output || model.empty()) {
      return fail("prices.invalid",
                  fmt::format("model `{}` needs `input` and `output`, numbers of US dollars per million tokens from 0 to {}", model,
                              kUsdPerMillionMax));
    }
    const double input_usd = static_cast<double>(*input) / 1'000;
    const auto cache_read = to_nano(*entry, "cache_read", input_usd);
    const auto cache_write = to_nano(*entry, "cache_write", input_usd);
    if (!cache_read || !cache_write)
      return fail("prices.invalid", fmt::format("`cache_read` and `cache_write` of model `{}` must be numbers from 0", model));
    table.models_[model] = {*input, *cache_read, *cache_write, *output};
  }
  return table;
}

PriceTable PriceTable::overlaid_with(const PriceTable& other) const {
  PriceTable out = *this;
  for (const auto& [name, price] : other.models_) out.models_[name] = price;
  if (!other.version_.empty()) out.version_ = version_.empty() ? other.version_ : other.version_ + "+" + version_;
  return out;
}

std::optional<Price> PriceTable::find(std::string_view model) const {
  // A prefix counts only up to a '-' (or '@', ':'), so that "gpt-5" does not price "gpt-5.9".
  for (std::string_view prefix = model; !prefix.empty();) {
    if (const auto found = models_.find(prefix); found != models_.end()) return found->second;
    const auto cut = prefix.find_last_of("-@:");
    if (cut == std::string_view::npos) break;
    prefix = prefix.substr(0, cut);
  }
  return std::nullopt;
}

NanoUsd PriceTable::cost(std::string_view model, const Usage& usage) const {
  const auto price = find(model);
  if (!price) return 0;
  return usage.input * price->input + usage.cache_read * price->cache_read + usage.cache_write * price->cache_write +
         usage.output * price->output;
}

}  // namespace mayfly::llm
