#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace mayfly::workspace {

/// A piece of a text that is found as one: it begins at a heading, or where a long one is cut.
struct Chunk {
  std::string heading;
  std::string text;
  std::int64_t line = 1;
};
/// Follows Markdown's headings ("#", underlines) and blank lines; pieces of about 2 KB.
std::vector<Chunk> chunks_of(std::string_view text);
/// The first heading, or nothing.
std::string title_of(std::string_view text);
/// An FTS5 query: the words of `text`, each quoted, joined by OR; empty: there is no word. Nothing in `text` is syntax.
std::string match_of(std::string_view text);

}  // namespace mayfly::workspace
