#pragma once

#include <string_view>

namespace mayfly {

/// Whether the whole path fits: '*' and '?' stay within one name, "**" crosses '/', everything else is itself. A pattern without '/' is held against
/// the last name of the path alone. Linear in both for sane patterns, bounded for hostile ones (at most a million steps, then false).
bool matches_path_glob(std::string_view path, std::string_view pattern);

}  // namespace mayfly
