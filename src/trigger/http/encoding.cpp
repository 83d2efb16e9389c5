#include "trigger/http/encoding.h"

#include <algorithm>

#include "base/hash.h"

namespace mayfly::trigger {
namespace {

bool is_alphanumeric(char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

int hex_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

}  // namespace

std::optional<std::string> decode_base64(std::string_view text) {
  std::string_view digits = text;
  for (int i = 0; i < 2 && digits.ends_with('='); ++i) digits.remove_suffix(1);
  if (text.size() % 4 != 0 || !std::ranges::all_of(digits, [](char c) { return is_alphanumeric(c) || c == '+' || c == '/'; })) return std::nullopt;
  return from_base64(text);
}

std::optional<std::string> decode_base64url(std::string_view text) {
  if (!std::ranges::all_of(text, [](char c) { return is_alphanumeric(c) || c == '-' || c == '_'; })) return std::nullopt;
  std::string padded(text);
  for (char& c : padded) c = c == '-' ? '+' : c == '_' ? '/' : c;
  padded.append((4 - padded.size() % 4) % 4, '=');
  auto out = from_base64(padded);
  if (!out || to_base64url(*out) != text) return std::nullopt;
  return out;
}

std::optional<std::string> decode_hex(std::string_view text) {
  if (text.size() % 2 != 0) return std::nullopt;
  std::string out;
  for (std::size_t i = 0; i < text.size(); i += 2) {
    const int high = hex_value(text[i]), low = hex_value(text[i + 1]);
    if (high < 0 || low < 0) return std::nullopt;
    out += static_cast<char>(high * 16 + low);
  }
  return out;
}

}  // namespace mayfly::trigger
