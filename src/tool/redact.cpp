#include "tool/redact.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/json.h"

namespace mayfly {
namespace {

constexpr std::size_t kSecretBytesMin = 4;
constexpr std::size_t kSecretLineBytesMin = 8;

bool is_alpha(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }
bool is_digit(char c) { return c >= '0' && c <= '9'; }

}  // namespace

bool is_env_name(std::string_view name) {
  return !name.empty() && name.size() <= 256 && is_alpha(name.front()) &&
         std::ranges::all_of(name, [](char c) { return is_alpha(c) || is_digit(c); });
}

void Redactor::add_one(std::string secret) {
  if (secret.size() < kSecretBytesMin || std::ranges::find(secrets_, secret) != secrets_.end()) return;
  longest_ = std::max(longest_, secret.size());
  const auto shorter = std::ranges::find_if(secrets_, [&](const std::string& other) { return other.size() < secret.size(); });
  secrets_.insert(shorter, std::move(secret));
}

void Redactor::add(std::string_view secret) {
  add_one(std::string(secret));
  const std::string escaped = to_text(Json(to_utf8_lossy(secret)));
  add_one(escaped.substr(1, escaped.size() - 2));
  if (secret.find('\n') == std::string_view::npos) return;
  while (!secret.empty()) {
    const std::size_t end = std::min(secret.find('\n'), secret.size());
    std::string_view line = secret.substr(0, end);
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (line.size() >= kSecretLineBytesMin) add_one(std::string(line));
    secret.remove_prefix(std::min(end + 1, secret.size()));
  }
}

std::string Redactor::apply(std::string_view text, std::size_t from) const {
  if (secrets_.empty()) return std::string(text.substr(std::min(from, text.size())));
  std::string out;
  std::size_t at = 0;
  while (at < text.size()) {
    const std::string_view rest = text.substr(at);
    const auto hit = std::ranges::find_if(secrets_, [&](const std::string& secret) { return rest.starts_with(secret); });
    if (hit == secrets_.end()) {
      if (at >= from) out += text[at];
      ++at;
    } else {
      if (at >= from) out += "[secret]";
      at += hit->size();
    }
  }
  return out;
}

std::string text_for_model(std::string text, std::size_t bytes_max) {
  std::string notes;
  if (!is_utf8(text)) {
    text = to_utf8_lossy(text);
    notes += "\n[Mayfly: bytes that are not UTF-8 were replaced by U+FFFD]";
  }
  if (text.size() > bytes_max) {
    std::size_t cut = bytes_max;
    while (cut > 0 && (static_cast<unsigned char>(text[cut]) & 0xc0) == 0x80) --cut;
    notes += fmt::format("\n[Mayfly: cut here; the first {} of {} bytes are shown]", cut, text.size());
    text.resize(cut);
  }
  return text + notes;
}

}  // namespace mayfly
