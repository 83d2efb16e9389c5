#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace mayfly::workspace {

/// A unified diff of two texts with three lines of context, at most `bytes_max` (a last line says when it was cut). Empty when they are
/// equal. Work is bounded: texts that differ in more than a few thousand lines come as one hunk. Source of the algorithm: E. W. Myers, "An
/// O(ND) Difference Algorithm and Its Variations" (1986).
std::string unified_diff(std::string_view before, std::string_view after, std::string_view before_name, std::string_view after_name,
                         std::size_t bytes_max);

}  // namespace mayfly::workspace
