#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace mayfly {

/// The candidate that `name` is most likely a slip of (few edits, case ignored), or an empty text. For "did you mean" in messages.
std::string closest_name(std::string_view name, const std::vector<std::string>& candidates);

}  // namespace mayfly
