#include "tool/url_template.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <optional>

#include "net/http.h"

namespace mayfly {
namespace {

constexpr std::size_t kTemplateBytesMax = 8 * 1024;
constexpr std::size_t kUrlBytesMax = 16 * 1024;

bool is_parameter_name(std::string_view name) {
  return !name.empty() && name.size() <= 64 && std::ranges::all_of(name, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-' || c == '.';
  });
}

bool has_space_or_control(std::string_view text) {
  return std::ranges::any_of(text, [](char c) { return static_cast<unsigned char>(c) <= 0x20 || c == 0x7f; });
}

bool is_dots(std::string_view segment) { return segment == "." || segment == ".."; }

/// A server may decode %2F (or take '\' for '/') before it resolves "..": such a value would climb out of its place.
bool climbs(std::string_view value) {
  while (true) {
    const std::size_t end = value.find_first_of("/\\");
    if (is_dots(value.substr(0, end))) return true;
    if (end == std::string_view::npos) return false;
    value.remove_prefix(end + 1);
  }
}

std::optional<std::string> decode_fully(std::string value) {
  for (int i = 0; i < 4 && value.find('%') != std::string::npos; ++i) {
    auto decoded = net::percent_decode(value, false);
    if (!decoded || *decoded == value) break;
    value = *std::move(decoded);
  }
  return value;
}

struct UrlParts {
  std::string_view scheme, authority, rest;
};

std::optional<UrlParts> split(std::string_view url) {
  const std::size_t colon = url.find("://");
  if (colon == std::string_view::npos) return std::nullopt;
  UrlParts parts{.scheme = url.substr(0, colon)};
  if (!net::equal_ignoring_case(parts.scheme, "http") && !net::equal_ignoring_case(parts.scheme, "https")) return std::nullopt;
  const std::string_view after = url.substr(colon + 3);
  const std::size_t end = std::min(after.find_first_of("/?#\\"), after.size());
  parts.authority = after.substr(0, end);
  parts.rest = after.substr(end);
  if (parts.authority.empty() || parts.authority.find('@') != std::string_view::npos || parts.rest.starts_with('\\')) return std::nullopt;
  return parts;
}

}  // namespace

Result<TextTemplate> TextTemplate::parse(std::string_view text) {
  TextTemplate out;
  while (!text.empty()) {
    const std::size_t open = std::min(text.find_first_of("{}"), text.size());
    if (open > 0) out.parts_.push_back({std::string(text.substr(0, open))});
    text.remove_prefix(open);
    if (text.empty()) break;
    const std::size_t close = text.find('}');
    if (text.front() == '}' || close == std::string_view::npos || !is_parameter_name(text.substr(1, close - 1))) {
      return fail("tool.invalid", fmt::format("\"{}\" is not a placeholder: write {{parameter}}, with letters, digits, '_', '-' and '.'",
                                              text.substr(0, 40)));
    }
    out.parts_.push_back({std::string(text.substr(1, close - 1)), true});
    text.remove_prefix(close + 1);
  }
  return out;
}

std::set<std::string> TextTemplate::parameters() const {
  std::set<std::string> out;
  for (const Part& part : parts_) {
    if (part.is_parameter) out.insert(part.text);
  }
  return out;
}

std::expected<std::optional<std::string>, std::string> scalar_text(const Json* value, std::string_view name) {
  if (value == nullptr || value->is_null()) return std::optional<std::string>();
  if (value->is_string()) return std::string(value->as_string());
  if (value->is_bool()) return std::string(value->as_bool() ? "true" : "false");
  if (value->is_int64()) return std::to_string(value->as_int64());
  if (value->is_uint64()) return std::to_string(value->as_uint64());
  if (value->is_double()) {
    const double number = value->as_double();
    if (number == std::floor(number) && std::abs(number) < 0x1p53) return std::to_string(static_cast<std::int64_t>(number));
    return fmt::format("{}", number);
  }
  return std::unexpected(fmt::format("The argument \"{}\" must be a string, a number or a boolean.", name));
}

Result<UrlTemplate> UrlTemplate::parse(std::string_view url) {
  const auto invalid = [&](std::string_view why) {
    return fail("tool.invalid", fmt::format("the URL \"{}\" {}", url.substr(0, 200), why));
  };
  if (url.size() > kTemplateBytesMax) return invalid(fmt::format("is longer than {} bytes", kTemplateBytesMax));
  if (has_space_or_control(url)) return invalid("holds a space or a control character: percent-encode it");
  if (url.find('#') != std::string_view::npos) return invalid("has a fragment: take out the # and what follows");
  const auto parts = split(url);
  if (!parts) return invalid("must be http://HOST/… or https://HOST/…, without user name and password");
  if (parts->authority.find_first_of("{}") != std::string_view::npos)
    return invalid("has a placeholder in its host: only path and query may have some");
  UrlTemplate out;
  out.origin_ = fmt::format("{}://{}", parts->scheme, parts->authority);
  const std::size_t question = parts->rest.find('?');
  out.has_query_ = question != std::string_view::npos;
  std::string path(parts->rest.substr(0, question));
  if (path.empty()) path = "/";
  auto path_template = TextTemplate::parse(path);
  if (!path_template) return fail(path_template.error());
  auto query_template = TextTemplate::parse(out.has_query_ ? parts->rest.substr(question + 1) : std::string_view());
  if (!query_template) return fail(query_template.error());
  out.path_ = *std::move(path_template);
  out.query_ = *std::move(query_template);
  return out;
}

std::set<std::string> UrlTemplate::parameters() const {
  std::set<std::string> out = path_.parameters();
  out.merge(query_.parameters());
  return out;
}

std::expected<std::string, std::string> UrlTemplate::render_path(const JsonObject& arguments) const {
  std::string encoded, plain;
  for (const TextTemplate::Part& part : path_.parts()) {
    if (!part.is_parameter) {
      encoded += part.text;
      plain += part.text;
      continue;
    }
    auto value = scalar_text(get(arguments, part.text), part.text);
    if (!value) return std::unexpected(value.error());
    if (!*value || (*value)->empty())
      return std::unexpected(fmt::format("The argument \"{}\" is part of the address and must not be empty.", part.text));
    if ((*value)->find('\0') != std::string::npos)
      return std::unexpected(fmt::format("The argument \"{}\" must not hold a NUL character.", part.text));
    if (climbs(**value) || climbs(*decode_fully(**value))) {
      return std::unexpected(fmt::format("The argument \"{}\" must not hold a \".\" or \"..\" path segment.", part.text));
    }
    encoded += net::percent_encode(**value);
    // Within a segment two harmless values may make ".." together: look at the whole path with separators kept apart.
    std::string flat = **value;
    std::ranges::replace_if(flat, [](char c) { return c == '/' || c == '\\' || c == '%'; }, '_');
    plain += flat;
  }
  for (std::string_view rest = plain; !rest.empty();) {
    rest.remove_prefix(1);
    const std::string_view segment = rest.substr(0, rest.find('/'));
    if (is_dots(segment) && !path_.parameters().empty())
      return std::unexpected("The arguments together make a \".\" or \"..\" path segment; change them.");
    rest.remove_prefix(segment.size());
  }
  return encoded;
}

std::expected<std::string, std::string> UrlTemplate::render(const JsonObject& arguments) const {
  auto path = render_path(arguments);
  if (!path) return path;
  std::string url = origin_ + *path;
  if (has_query_) url += '?';
  for (const TextTemplate::Part& part : query_.parts()) {
    if (!part.is_parameter) {
      url += part.text;
      continue;
    }
    auto value = scalar_text(get(arguments, part.text), part.text);
    if (!value) return std::unexpected(value.error());
    if (!*value) return std::unexpected(fmt::format("The argument \"{}\" is missing; the address needs it.", part.text));
    url += net::percent_encode(**value);
  }
  if (url.size() > kUrlBytesMax)
    return std::unexpected(fmt::format("The arguments make an address of more than {} bytes; shorten them.", kUrlBytesMax));
  return url;
}

std::string url_origin(std::string_view url) {
  const auto parts = split(url);
  if (!parts) return {};
  std::string out = fmt::format("{}://{}", parts->scheme, parts->authority);
  std::ranges::transform(out, out.begin(), [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
  return out;
}

std::string resolve_location(std::string_view base_url, std::string_view location) {
  const auto base = split(base_url);
  if (!base || location.empty() || location.size() > kUrlBytesMax || has_space_or_control(location)) return {};
  location = location.substr(0, location.find('#'));
  const std::string origin = fmt::format("{}://{}", base->scheme, base->authority);
  const std::string_view base_path = base->rest.substr(0, base->rest.find_first_of("?#"));
  if (location.find('\\') != std::string_view::npos) return {};
  if (location.starts_with("//")) {
    std::string url = fmt::format("{}:{}", base->scheme, location);
    return split(url) ? url : std::string();
  }
  if (location.starts_with('/')) return origin + std::string(location);
  if (location.starts_with('?') || location.empty()) return fmt::format("{}{}{}", origin, base_path.empty() ? "/" : base_path, location);
  if (location.substr(0, location.find_first_of("/?")).find(':') != std::string_view::npos) {
    return split(location) ? std::string(location) : std::string();
  }
  const std::size_t slash = base_path.rfind('/');
  return fmt::format("{}{}{}", origin, slash == std::string_view::npos ? "/" : base_path.substr(0, slash + 1), location);
}

}  // namespace mayfly
