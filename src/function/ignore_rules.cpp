#include "function/ignore_rules.h"

#include <algorithm>

namespace mayfly::function {
namespace {

/// The length of the bracket expression at the start of `pattern`, or 0 when it is not closed.
std::size_t bracket_length(std::string_view pattern) {
  std::size_t at = 1;
  if (at < pattern.size() && (pattern[at] == '!' || pattern[at] == '^')) ++at;
  if (at < pattern.size() && pattern[at] == ']') ++at;
  const auto end = pattern.find(']', std::min(at, pattern.size()));
  return end == std::string_view::npos ? 0 : end + 1;
}

bool bracket_has(std::string_view bracket, char c) {
  std::string_view inside = bracket.substr(1, bracket.size() - 2);
  const bool is_negated = inside.starts_with('!') || inside.starts_with('^');
  if (is_negated) inside.remove_prefix(1);
  bool found = false;
  for (std::size_t i = 0; i < inside.size(); ++i) {
    if (i + 2 < inside.size() && inside[i + 1] == '-') {
      found = found || (inside[i] <= c && c <= inside[i + 2]);
      i += 2;
    } else {
      found = found || inside[i] == c;
    }
  }
  return found != is_negated;
}

/// One step of the pattern against one character: how much of the pattern it took, or 0.
std::size_t match_one(std::string_view pattern, char c) {
  if (c == '/') return pattern[0] == '/' ? 1 : 0;
  if (pattern[0] == '?') return 1;
  if (pattern[0] == '[')
    if (const std::size_t length = bracket_length(pattern)) return bracket_has(pattern.substr(0, length), c) ? length : 0;
  if (pattern[0] == '\\' && pattern.size() > 1) return pattern[1] == c ? 2 : 0;
  return pattern[0] == c ? 1 : 0;
}

/// Where to go on when a match fails: the newest "*" and the newest "**". Going back no further keeps the time quadratic.
struct Retreat {
  std::string_view pattern, text;
  bool possible = false;
};

bool glob(std::string_view pattern, std::string_view text) {
  Retreat star, stars;
  while (true) {
    if (pattern.starts_with("**")) {
      pattern.remove_prefix(2);
      // "**/" also means no folder at all.
      const bool any_folders = pattern.starts_with('/');
      if (pattern.empty()) return true;
      stars = {pattern, text, true};
      star.possible = false;
      if (any_folders) pattern.remove_prefix(1);
      continue;
    }
    if (pattern.starts_with('*')) {
      pattern.remove_prefix(1);
      star = {pattern, text, true};
      continue;
    }
    if (pattern.empty() && text.empty()) return true;
    const std::size_t took = pattern.empty() || text.empty() ? 0 : match_one(pattern, text[0]);
    if (took > 0) {
      pattern.remove_prefix(took);
      text.remove_prefix(1);
      continue;
    }
    if (star.possible && !star.text.empty() && star.text[0] != '/') {
      star.text.remove_prefix(1);
      pattern = star.pattern;
      text = star.text;
      continue;
    }
    if (!stars.possible || stars.text.empty()) return false;
    stars.text.remove_prefix(1);
    star.possible = false;
    pattern = stars.pattern;
    text = stars.text;
  }
}

std::string_view trimmed(std::string_view line) {
  if (line.ends_with('\r')) line.remove_suffix(1);
  while (line.ends_with(' ') && !line.ends_with("\\ ")) line.remove_suffix(1);
  return line;
}

}  // namespace

void IgnoreRules::add(std::string_view text) {
  while (!text.empty()) {
    const auto end = std::min(text.find('\n'), text.size());
    std::string_view line = trimmed(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
    if (line.empty() || line.starts_with('#')) continue;
    Rule rule;
    rule.takes_back = line.starts_with('!');
    if (rule.takes_back) line.remove_prefix(1);
    rule.folders_only = line.ends_with('/');
    if (rule.folders_only) line.remove_suffix(1);
    rule.whole_path = line.find('/') != std::string_view::npos;
    if (line.starts_with('/')) line.remove_prefix(1);
    rule.pattern = line;
    if (!rule.pattern.empty()) rules_.push_back(std::move(rule));
  }
}

bool IgnoreRules::ignores(std::string_view path, bool is_folder) const {
  const std::string_view name = path.substr(path.rfind('/') + 1);
  bool out = false;
  for (const Rule& rule : rules_)
    if ((is_folder || !rule.folders_only) && glob(rule.pattern, rule.whole_path ? path : name)) out = !rule.takes_back;
  return out;
}

}  // namespace mayfly::function
