#include "llm/claude_model.h"

#include <algorithm>
#include <optional>
#include <vector>

namespace mayfly::llm {
namespace {

struct Version {
  int major = 0;
  int minor = 0;
  auto operator<=>(const Version&) const = default;
};

std::vector<std::string_view> split(std::string_view text) {
  std::vector<std::string_view> out;
  while (!text.empty()) {
    const auto end = std::min(text.find_first_of("-@:.[/"), text.size());
    if (end > 0) out.push_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return out;
}

/// "4" in "claude-opus-4-20250514", "3" and "5" in "claude-3-5-sonnet-20241022": numbers of one or two digits.
std::optional<Version> version_of(const std::vector<std::string_view>& words) {
  std::vector<int> numbers;
  for (const std::string_view word : words) {
    const bool digits = std::ranges::all_of(word, [](char c) { return c >= '0' && c <= '9'; });
    if (!digits || word.size() > 2) {
      if (!numbers.empty()) break;
      continue;
    }
    numbers.push_back(word.size() == 1 ? word[0] - '0' : (word[0] - '0') * 10 + (word[1] - '0'));
    if (numbers.size() == 2) break;
  }
  if (numbers.empty()) return std::nullopt;
  return Version{numbers[0], numbers.size() > 1 ? numbers[1] : 0};
}

}  // namespace

ClaudeModel claude_model(std::string_view name) {
  const std::vector<std::string_view> words = split(name);
  const auto has = [&](std::string_view word) { return std::ranges::find(words, word) != words.end(); };
  const bool always_thinks = has("fable") || has("mythos");
  const Version version = version_of(words).value_or(Version{99, 0});
  ClaudeModel out;
  out.thinks_adaptively = version >= Version{4, 6};
  out.thinks_by_budget = !out.thinks_adaptively && version >= Version{3, 7};
  out.thinks_by_default = version >= Version{5, 0};
  out.can_disable_thinking = !always_thinks && version < Version{5, 5};
  out.takes_temperature = !always_thinks && version < Version{4, 7};
  out.takes_forced_tools = !always_thinks && version < Version{5, 5};
  out.takes_output_format = version >= Version{4, 5};
  return out;
}

}  // namespace mayfly::llm
