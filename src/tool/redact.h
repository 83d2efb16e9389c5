#pragma once

#include <cstddef>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace mayfly {

/// Reads one variable of the server's environment (or of a vault); nothing when it is not set.
using EnvLookup = std::function<std::optional<std::string>(std::string_view name)>;

/// [A-Za-z_][A-Za-z0-9_]*, at most 256 characters.
bool is_env_name(std::string_view name);

/// Takes known secret values out of texts before they reach a model, a log or an error.
/// A value shorter than four bytes is not looked for: it would tear innocent words apart.
class Redactor {
 public:
  /// Also looks for its JSON-escaped form and, when it has several lines, for each line of eight bytes or more.
  void add(std::string_view secret);
  /// `text` from byte `from` on, with "[secret]" in place of each value. A value that begins before `from` is left out whole,
  /// so that no cut shows a part of one.
  std::string apply(std::string_view text, std::size_t from = 0) const;
  /// Bytes of the longest value; 0 when there is none.
  std::size_t longest() const { return longest_; }

 private:
  void add_one(std::string secret);

  std::vector<std::string> secrets_;  // longest first, so that a value that contains another one is taken out whole
  std::size_t longest_ = 0;
};

/// Makes any bytes a text for a model: valid UTF-8, at most `bytes_max` bytes of it, with a note for what was changed or cut.
std::string text_for_model(std::string text, std::size_t bytes_max);

}  // namespace mayfly
