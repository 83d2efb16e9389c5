#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "base/time.h"

/// Texts for people: pure functions, so that what a terminal shows can be tested without one.
namespace mayfly::cli {

/// `text` without anything that could steer a terminal: control characters (but newline and tab), malformed UTF-8 and
/// bidirectional overrides become visible stand-ins. Everything that a model, a tool or a user wrote goes through this.
std::string printable(std::string_view text);
/// Columns that a terminal needs for one line of UTF-8 (East Asian wide: 2, combining: 0).
std::size_t display_width(std::string_view text);
/// `text` as one printable line of at most `width` columns; what does not fit ends in "…". 0: no limit.
std::string one_line(std::string_view text, std::size_t width);
/// `text` cut or filled with spaces to exactly `width` columns.
std::string padded(std::string_view text, std::size_t width);

enum class Ink { Plain, Dim, Bold, Red, Green, Yellow, Cyan };
/// `text` in ANSI colours (ECMA-48 SGR), or as it is when `colour` is false.
std::string inked(Ink ink, std::string_view text, bool colour);

struct Cell {
  std::string text;
  Ink ink = Ink::Plain;
};
enum class Align { Left, Right };
struct Column {
  std::string title;
  Align align = Align::Left;
};
/// A table with a heading; when it is wider than `width` (0: no limit) its last column is cut.
std::string table(const std::vector<Column>& columns, const std::vector<std::vector<Cell>>& rows, std::size_t width, bool colour);

/// "now", "12s", "5m", "3h", "4d": how long ago.
std::string age(Millis since);
/// "$0.0021"; "-" for nothing.
std::string money(double usd);
/// "950", "1.2k", "3.4M".
std::string count(std::int64_t number);
/// What a run or tool gave, for reading: a text as it is, everything else as indented JSON.
std::string readable(const Json& value);
/// The same in one line of at most `width` columns.
std::string brief(const Json& value, std::size_t width);

}  // namespace mayfly::cli
