#include "cli/text.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <utility>

namespace mayfly::cli {
namespace {

struct CodePoint {
  char32_t value;
  std::size_t bytes;
};

/// `text` is well-formed UTF-8 and not empty.
CodePoint first_of(std::string_view text) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char lead = byte(0);
  if (lead < 0x80) return {lead, 1};
  const std::size_t size = lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
  char32_t value = lead & (0x7F >> size);
  for (std::size_t i = 1; i < size; ++i) value = (value << 6) | (byte(i) & 0x3F);
  return {value, size};
}

using Range = std::pair<char32_t, char32_t>;

template <std::size_t N>
bool is_in(const std::array<Range, N>& ranges, char32_t value) {
  return std::ranges::any_of(ranges, [value](const Range& range) { return value >= range.first && value <= range.second; });
}

/// C1 controls and what reorders or hides text (Unicode TR 36).
constexpr std::array<Range, 5> kHidden{{{0x80, 0x9F}, {0x200E, 0x200F}, {0x202A, 0x202E}, {0x2066, 0x2069}, {0xFEFF, 0xFEFF}}};
constexpr std::array<Range, 6> kNarrow{
    {{0x300, 0x36F}, {0x200B, 0x200D}, {0x1AB0, 0x1AFF}, {0x20D0, 0x20FF}, {0xFE00, 0xFE0F}, {0xFE20, 0xFE2F}}};
constexpr std::array<Range, 8> kWide{{{0x1100, 0x115F},
                                      {0x2E80, 0x303E},
                                      {0x3041, 0xA4CF},
                                      {0xAC00, 0xD7A3},
                                      {0xF900, 0xFAFF},
                                      {0xFE30, 0xFE6F},
                                      {0xFF00, 0xFF60},
                                      {0x1F300, 0x1FAFF}}};

std::size_t width_of(char32_t value) {
  if (is_in(kNarrow, value)) return 0;
  return is_in(kWide, value) ? 2 : 1;
}

/// The longest prefix of at most `width` columns.
std::string_view prefix(std::string_view text, std::size_t width) {
  std::size_t at = 0, used = 0;
  while (at < text.size()) {
    const CodePoint point = first_of(text.substr(at));
    used += width_of(point.value);
    if (used > width) break;
    at += point.bytes;
  }
  return text.substr(0, at);
}

std::string cut(std::string text, std::size_t width) {
  if (width == 0 || display_width(text) <= width) return text;
  return std::string(prefix(text, width - 1)) + "…";
}

}  // namespace

std::string printable(std::string_view text) {
  const std::string safe = is_utf8(text) ? std::string(text) : to_utf8_lossy(text);
  std::string out;
  out.reserve(safe.size());
  std::string_view rest = safe;
  while (!rest.empty()) {
    const CodePoint point = first_of(rest);
    if ((point.value < 0x20 && point.value != '\n' && point.value != '\t') || point.value == 0x7F) {
      if (point.value != '\r')
        out += point.value == 0x7F ? "\xE2\x90\xA1" : std::string("\xE2\x90") + static_cast<char>(0x80 + point.value);
    } else if (is_in(kHidden, point.value)) {
      out += fmt::format("<U+{:04X}>", static_cast<std::uint32_t>(point.value));
    } else {
      out += rest.substr(0, point.bytes);
    }
    rest.remove_prefix(point.bytes);
  }
  return out;
}

std::size_t display_width(std::string_view text) {
  const std::string safe = is_utf8(text) ? std::string(text) : to_utf8_lossy(text);
  std::size_t width = 0;
  for (std::string_view rest = safe; !rest.empty();) {
    const CodePoint point = first_of(rest);
    width += width_of(point.value);
    rest.remove_prefix(point.bytes);
  }
  return width;
}

std::string one_line(std::string_view text, std::size_t width) {
  std::string out;
  bool space = false;
  for (const char c : printable(text)) {
    if (c == '\n' || c == '\t' || c == ' ') {
      space = !out.empty();
      continue;
    }
    if (space) out += ' ';
    space = false;
    out += c;
  }
  return cut(std::move(out), width);
}

std::string padded(std::string_view text, std::size_t width) {
  std::string out = cut(std::string(text), width);
  const std::size_t used = display_width(out);
  if (used < width) out.append(width - used, ' ');
  return out;
}

std::string inked(Ink ink, std::string_view text, bool colour) {
  static constexpr std::array<std::string_view, 7> kCodes{"", "2", "1", "31", "32", "33", "36"};
  if (!colour || ink == Ink::Plain || text.empty()) return std::string(text);
  return fmt::format("\x1b[{}m{}\x1b[0m", kCodes[static_cast<std::size_t>(ink)], text);
}

std::string table(const std::vector<Column>& columns, const std::vector<std::vector<Cell>>& rows, std::size_t width, bool colour) {
  std::vector<std::size_t> widths;
  for (const Column& column : columns) widths.push_back(display_width(column.title));
  for (const auto& row : rows)
    for (std::size_t i = 0; i < row.size() && i < widths.size(); ++i) widths[i] = std::max(widths[i], display_width(row[i].text));
  std::size_t before = 0;
  for (std::size_t i = 0; i + 1 < widths.size(); ++i) before += widths[i] + 2;
  if (width > 0 && !widths.empty() && before + widths.back() > width)
    widths.back() = std::max<std::size_t>(8, width > before ? width - before : 0);

  const auto render = [&](const std::vector<Cell>& row) {
    std::string out;
    for (std::size_t i = 0; i < columns.size(); ++i) {
      const Cell cell = i < row.size() ? row[i] : Cell{};
      const std::string text = cut(cell.text, widths[i]);
      const std::string fill(widths[i] - std::min(widths[i], display_width(text)), ' ');
      const bool is_last = i + 1 == columns.size();
      if (columns[i].align == Align::Right) out += fill;
      out += inked(cell.ink, text, colour);
      if (columns[i].align == Align::Left && !is_last) out += fill;
      if (!is_last) out += "  ";
    }
    while (out.ends_with(' ')) out.pop_back();
    return out + "\n";
  };
  std::vector<Cell> heading;
  for (const Column& column : columns) heading.push_back({column.title, Ink::Dim});
  std::string out = render(heading);
  for (const auto& row : rows) out += render(row);
  return out;
}

std::string age(Millis since) {
  const std::int64_t seconds = since.count() / 1'000;
  if (seconds < 1) return "now";
  if (seconds < 60) return fmt::format("{}s", seconds);
  if (seconds < 3'600) return fmt::format("{}m", seconds / 60);
  if (seconds < 86'400) return fmt::format("{}h", seconds / 3'600);
  return fmt::format("{}d", seconds / 86'400);
}

std::string money(double usd) {
  if (!(usd > 0)) return "-";
  return usd < 1 ? fmt::format("${:.4f}", usd) : fmt::format("${:.2f}", usd);
}

std::string count(std::int64_t number) {
  if (std::abs(number) < 1'000) return std::to_string(number);
  const auto value = static_cast<double>(number);
  return std::abs(number) < 999'500 ? fmt::format("{:.1f}k", value / 1e3) : fmt::format("{:.1f}M", value / 1e6);
}

std::string readable(const Json& value) {
  if (value.is_null()) return {};
  if (const auto* text = value.if_string()) return printable(*text);
  if (const auto* object = value.if_object()) {
    // An agent's result: {"text"}, with {"output"} when its answer has a schema.
    if (const Json* output = get(*object, "output")) return printable(to_pretty_text(*output));
    if (const Json* text = get(*object, "text"); text && text->is_string()) return printable(text->get_string());
  }
  return printable(to_pretty_text(value));
}

std::string brief(const Json& value, std::size_t width) {
  if (value.is_null()) return {};
  if (const auto* text = value.if_string()) return one_line(*text, width);
  if (const auto* object = value.if_object(); object && object->contains("text") && object->at("text").is_string())
    return one_line(object->at("text").get_string(), width);
  return one_line(to_text(value), width);
}

}  // namespace mayfly::cli
