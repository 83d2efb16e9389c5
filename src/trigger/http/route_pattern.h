#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

/// Paths of triggers' routes: literal segments and {name}, which stands for one whole segment.
namespace mayfly::trigger {

inline constexpr std::size_t kPathBytesMax = 512;
inline constexpr std::size_t kSegmentsMax = 32;

struct RoutePattern {
  std::vector<std::string> segments;  ///< "{name}" stands for any

  /// The decoded parameters, or nothing when the path (percent-encoded, without query) does not fit.
  std::optional<std::map<std::string, std::string>> match(std::string_view path) const;
  /// Whether every path that fits one fits the other, so that both cannot be told apart.
  bool same_shape(const RoutePattern& other) const;
  /// Among patterns that fit one path the one with the earlier literal segment wins.
  bool before(const RoutePattern& other) const;
};

/// Refuses what is malformed and what lies under a path of Mayfly's own. Error: `trigger.invalid`, without pointer.
Result<RoutePattern> parse_route_pattern(std::string_view path);

}  // namespace mayfly::trigger
