#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <optional>

#include "schema/internal/yaml_scalar.h"

namespace mayfly {
namespace {

bool is_digit(char c) { return c >= '0' && c <= '9'; }

bool one_of(std::string_view text, std::initializer_list<std::string_view> words) { return std::ranges::find(words, text) != words.end(); }

std::string_view without_sign(std::string_view text) {
  if (!text.empty() && (text[0] == '-' || text[0] == '+')) text.remove_prefix(1);
  return text;
}

bool looks_like_integer(std::string_view text) {
  text = without_sign(text);
  return !text.empty() && std::ranges::all_of(text, is_digit);
}

bool looks_like_float(std::string_view text) {
  text = without_sign(text);
  std::size_t i = 0;
  const auto skip_digits = [&] {
    const std::size_t from = i;
    while (i < text.size() && is_digit(text[i])) ++i;
    return i - from;
  };
  const auto whole = skip_digits();
  if (i < text.size() && text[i] == '.') {
    ++i;
    if (skip_digits() == 0 && whole == 0) return false;
  } else if (whole == 0) {
    return false;
  }
  if (i < text.size() && (text[i] == 'e' || text[i] == 'E')) {
    ++i;
    if (i < text.size() && (text[i] == '-' || text[i] == '+')) ++i;
    if (skip_digits() == 0) return false;
  }
  return i == text.size();
}

std::expected<Json, std::string> to_double(std::string_view text) {
  const std::string_view digits = text.starts_with('+') ? text.substr(1) : text;
  double value = 0;
  const auto [end, code] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  if (code != std::errc{} || end != digits.data() + digits.size() || !std::isfinite(value)) {
    return std::unexpected(fmt::format("the number {} is out of range; put quotes around it if it is a text", text.substr(0, 40)));
  }
  return Json(value);
}

std::expected<Json, std::string> to_integer(std::string_view text) {
  const std::string_view digits = text.starts_with('+') ? text.substr(1) : text;
  std::int64_t value = 0;
  if (const auto [end, code] = std::from_chars(digits.data(), digits.data() + digits.size(), value); code == std::errc{}) return Json(value);
  return std::unexpected(fmt::format("the integer {} does not fit 64 bits; put quotes around it if it is a text", text.substr(0, 40)));
}

std::optional<std::expected<Json, std::string>> to_based_integer(std::string_view text) {
  const int base = text.starts_with("0x") ? 16 : text.starts_with("0o") ? 8 : 0;
  if (base == 0 || text.size() == 2) return std::nullopt;
  std::int64_t value = 0;
  const auto* const end_wanted = text.data() + text.size();
  const auto [end, code] = std::from_chars(text.data() + 2, end_wanted, value, base);
  if (end != end_wanted || text[2] == '-') return std::nullopt;
  if (code != std::errc{}) return std::unexpected(fmt::format("the integer {} does not fit 64 bits", text.substr(0, 40)));
  return Json(value);
}

std::expected<Json, std::string> resolve_plain(std::string_view text) {
  if (text.empty() || one_of(text, {"~", "null", "Null", "NULL"})) return Json(nullptr);
  if (one_of(text, {"true", "True", "TRUE"})) return Json(true);
  if (one_of(text, {"false", "False", "FALSE"})) return Json(false);
  if (looks_like_integer(text)) return to_integer(text);
  if (auto value = to_based_integer(text)) return *std::move(value);
  if (looks_like_float(text)) return to_double(text);
  if (one_of(without_sign(text), {".inf", ".Inf", ".INF"}) || one_of(text, {".nan", ".NaN", ".NAN"})) {
    return std::unexpected(fmt::format("{} has no JSON form; write a finite number", text));
  }
  return Json(text);
}

}  // namespace

std::expected<Json, std::string> resolve_yaml_scalar(std::string_view tag, std::string_view text) {
  constexpr std::string_view kCore = "tag:yaml.org,2002:";
  if (tag == "!" || tag == "tag:yaml.org,2002:str") return Json(text);
  if (tag == "?" || tag.empty()) return resolve_plain(text);
  const auto type = tag.starts_with(kCore) ? tag.substr(kCore.size()) : std::string_view{};
  if (!one_of(type, {"int", "float", "bool", "null"})) {
    return std::unexpected(fmt::format("the tag `{}` is not supported; remove it", tag.substr(0, 80)));
  }
  auto value = resolve_plain(text);
  if (!value) return value;
  const bool fits = (type == "int" && value->is_int64()) || (type == "float" && value->is_number()) ||
                    (type == "bool" && value->is_bool()) || (type == "null" && value->is_null());
  if (!fits) return std::unexpected(fmt::format("`{}` is not what its tag `!!{}` says; remove the tag", text.substr(0, 40), type));
  if (type == "float" && value->is_int64()) return Json(static_cast<double>(value->get_int64()));
  return value;
}

}  // namespace mayfly
