#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"

/// The JSONPath of the Amazon States Language: `$` (input), `$$` (context object), `$name` (variable), then `.name`, `['name']`, `[0]`,
/// `[-1]`,
/// `[0,2]`, `[1:3]`, `.*`, `..name`, `[?(@.price < 10 && @.name == 'x')]`.
namespace mayfly::workflow {

inline constexpr std::size_t kPathBytesMax = 4096;
inline constexpr std::size_t kPathMatchesMax = 100'000;

/// What paths start from.
struct PathScope {
  const Json* input = nullptr;
  const Json* context = nullptr;
  const std::map<std::string, Json>* variables = nullptr;
};

class JsonPath {
 public:
  /// Error: `path.invalid`, with the position.
  static Result<JsonPath> parse(std::string_view text);
  /// The value; for a path with wildcards, slices, filters or descents the array of all matches. Nothing: there is no such value.
  std::optional<Json> find(const PathScope& scope) const;
  /// Names exactly one place.
  bool is_definite() const;
  /// Only names and one index at a time, from `$`: what ResultPath may be.
  bool is_reference() const;
  /// Puts `value` where the reference path points, making objects on the way. False: something there is not an object (or no such index).
  bool assign(Json& root, Json value) const;

  struct Condition;
  struct Segment {
    enum class Kind { Name, Index, Names, Indexes, Slice, Wildcard, Filter } kind = Kind::Name;
    bool descend = false;
    std::vector<std::string> names;
    std::vector<std::int64_t> indexes;
    std::optional<std::int64_t> from, to;
    std::int64_t step = 1;
    std::shared_ptr<const Condition> filter;
  };
  enum class Root { Input, Context, Variable, Item };
  Root root() const { return root_; }
  const std::string& variable() const { return variable_; }

 private:
  friend class PathParser;
  Root root_ = Root::Input;
  std::string variable_;
  std::vector<Segment> segments_;
};

}  // namespace mayfly::workflow
