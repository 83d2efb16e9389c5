#include "base/glob.h"

#include <cstddef>

namespace mayfly {
namespace {

constexpr int kStepsMax = 1'000'000;

bool fits(std::string_view text, std::string_view pattern, int* steps) {
  while (!pattern.empty()) {
    if (--*steps <= 0) return false;
    if (pattern.starts_with("**")) {
      pattern.remove_prefix(2);
      // "a/**/b" also fits "a/b".
      if (pattern.starts_with('/') && fits(text, pattern.substr(1), steps)) return true;
      for (std::size_t at = 0; at <= text.size(); ++at)
        if (fits(text.substr(at), pattern, steps)) return true;
      return false;
    }
    if (pattern.front() == '*') {
      pattern.remove_prefix(1);
      for (std::size_t at = 0;; ++at) {
        if (fits(text.substr(at), pattern, steps)) return true;
        if (at == text.size() || text[at] == '/') return false;
      }
    }
    if (text.empty() || (pattern.front() == '?' ? text.front() == '/' : pattern.front() != text.front())) return false;
    text.remove_prefix(1);
    pattern.remove_prefix(1);
  }
  return text.empty();
}

}  // namespace

bool matches_path_glob(std::string_view path, std::string_view pattern) {
  int steps = kStepsMax;
  if (!pattern.contains('/')) return fits(path.substr(path.rfind('/') + 1), pattern, &steps);
  if (path.starts_with('/')) path.remove_prefix(1);
  if (pattern.starts_with('/')) pattern.remove_prefix(1);
  return fits(path, pattern, &steps);
}

}  // namespace mayfly
