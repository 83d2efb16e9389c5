#include "tool/tool.h"

#include <array>
#include <utility>

namespace mayfly {
namespace {

constexpr std::array<std::pair<Effect, std::string_view>, 4> kEffects{{
    {Effect::ReadOnly, "read_only"},
    {Effect::Idempotent, "idempotent"},
    {Effect::AtLeastOnce, "at_least_once"},
    {Effect::AtMostOnce, "at_most_once"},
}};

}  // namespace

std::string_view to_string(Effect effect) {
  for (const auto& [value, text] : kEffects) {
    if (value == effect) return text;
  }
  return "unknown";
}

std::optional<Effect> effect_from_string(std::string_view text) {
  for (const auto& [value, name] : kEffects) {
    if (name == text) return value;
  }
  return std::nullopt;
}

}  // namespace mayfly
