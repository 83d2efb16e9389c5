#include "workspace/search/chunks.h"

#include <algorithm>

namespace mayfly::workspace {
namespace {

constexpr std::size_t kChunkBytes = 2'000, kChunkBytesMax = 4'000;
constexpr std::size_t kWordsMax = 32;

std::string_view heading_in(std::string_view line) {
  const std::size_t marks = line.find_first_not_of('#');
  if (marks == 0 || marks == std::string_view::npos || marks > 6 || line[marks] != ' ') return {};
  line.remove_prefix(marks + 1);
  while (line.ends_with('\r') || line.ends_with('#') || line.ends_with(' ')) line.remove_suffix(1);
  return line;
}

bool is_word(unsigned char c) { return c >= 0x80 || (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }

}  // namespace

std::vector<Chunk> chunks_of(std::string_view text) {
  std::vector<Chunk> out;
  Chunk now;
  std::int64_t line_number = 0;
  const auto close = [&](std::int64_t next) {
    if (now.text.find_first_not_of(" \t\r\n") != std::string::npos) out.push_back(now);
    now.text.clear();
    now.line = next;
  };
  for (std::size_t from = 0; from < text.size();) {
    const std::size_t end = std::min(text.find('\n', from), text.size());
    std::string_view line = text.substr(from, end - from);
    from = end + 1;
    ++line_number;
    if (const std::string_view heading = heading_in(line); !heading.empty()) {
      close(line_number);
      now.heading = heading;
    } else if ((line.empty() && now.text.size() > kChunkBytes) || now.text.size() > kChunkBytesMax) {
      close(line_number);
    }
    // A line without end (minified code, data) is cut into pieces.
    while (line.size() > kChunkBytesMax) {
      std::size_t cut = kChunkBytesMax;
      while (cut > 1 && (static_cast<unsigned char>(line[cut]) & 0xc0) == 0x80) --cut;
      now.text += line.substr(0, cut);
      close(line_number);
      line.remove_prefix(cut);
    }
    now.text += line;
    now.text += '\n';
  }
  close(line_number);
  return out;
}

std::string title_of(std::string_view text) {
  for (std::size_t from = 0, lines = 0; from < text.size() && lines < 30; ++lines) {
    const std::size_t end = std::min(text.find('\n', from), text.size());
    if (const std::string_view heading = heading_in(text.substr(from, end - from)); !heading.empty()) return std::string(heading.substr(0, 200));
    from = end + 1;
  }
  return "";
}

std::string match_of(std::string_view text) {
  std::string out;
  std::size_t words = 0;
  for (std::size_t at = 0; at < text.size() && words < kWordsMax;) {
    while (at < text.size() && !is_word(static_cast<unsigned char>(text[at]))) ++at;
    std::size_t end = at;
    while (end < text.size() && is_word(static_cast<unsigned char>(text[end]))) ++end;
    if (end > at) {
      out += (out.empty() ? "\"" : " OR \"") + std::string(text.substr(at, std::min<std::size_t>(end - at, 100))) + "\"";
      ++words;
    }
    at = end;
  }
  return out;
}

}  // namespace mayfly::workspace
