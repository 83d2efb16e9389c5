#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace mayfly::function {

/// The patterns of a `.mayflyignore`, as in gitignore(5): comments, "!" takes back, a "/" at the end means folders only, one elsewhere ties
/// the pattern to the top folder; "*", "?", "[…]" and "**". The last pattern that fits decides.
class IgnoreRules {
 public:
  void add(std::string_view text);
  /// `path` is relative, with '/' between its parts.
  bool ignores(std::string_view path, bool is_folder) const;

 private:
  struct Rule {
    std::string pattern;
    bool takes_back = false;
    bool folders_only = false;
    bool whole_path = false;
  };
  std::vector<Rule> rules_;
};

}  // namespace mayfly::function
