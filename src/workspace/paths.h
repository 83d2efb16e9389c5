#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "workspace/outcome.h"

/// Names and paths. A path never names anything outside its workspace, and two texts that a person cannot tell apart are one name.
namespace mayfly::workspace {

inline constexpr std::size_t kNameBytesMax = 255;
inline constexpr std::size_t kPathBytesMax = 2'048;
inline constexpr std::size_t kDepthMax = 64;

/// The normal form of a name: valid UTF-8, NFC. Refused: empty, ".", "..", '/', '\\', NUL and other control characters (C0, C1, bidi controls,
/// zero-width, line separators, noncharacters, unpaired surrogates), leading or trailing spaces, trailing dots, over 255 bytes.
/// Error: `ws.invalid_name`, naming the character.
Outcome<std::string> normal_name(std::string_view name);
/// "/a/b" of "a//b/", "/a/b". No "." or ".." is resolved: they are refused. Not percent-decoded: that is the edge's, once. Error: `ws.invalid_path`.
Outcome<std::string> normal_path(std::string_view path);
/// The names of a normal path.
std::vector<std::string> split_path(std::string_view path);
std::string join_path(std::string_view folder, std::string_view name);
std::string parent_path(std::string_view path);
std::string base_name(std::string_view path);
/// '*' and '?' within a name, '**' over folders.
bool matches_glob(std::string_view path, std::string_view glob);
std::string content_type_of(std::string_view name);
/// Valid UTF-8 without NUL: what can be edited and compared as text.
bool is_text(std::string_view bytes);

}  // namespace mayfly::workspace
