#include "trigger/http/route_pattern.h"

#include <algorithm>
#include <array>
#include <set>

#include "base/json.h"
#include "net/http.h"

namespace mayfly::trigger {
namespace {

/// First segments that are Mayfly's own or kept for it.
constexpr std::array<std::string_view, 26> kOwn{
    "v1",         "openai",     "gateway",    "mcp",        "a2a",        "healthz", "readyz",     "metrics",      "openapi.json",
    "console",    "docs",       "api",        "lambda-url", "code",       "sqs",     "queue",      "states",       "mayfly.schema.json",
    "2015-03-31", "2017-03-31", "2017-10-31", "2018-06-01", "2019-09-30", "assets",  "favicon.ico", ".well-known"};

/// Versions of AWS's APIs: "2020-06-30".
bool is_date(std::string_view segment) {
  if (segment.size() != 10) return false;
  for (std::size_t i = 0; i < 10; ++i)
    if (i == 4 || i == 7 ? segment[i] != '-' : segment[i] < '0' || segment[i] > '9') return false;
  return true;
}

bool is_parameter(std::string_view segment) { return segment.starts_with('{'); }

bool is_good_parameter(std::string_view segment) {
  if (segment.size() < 3 || segment.size() > 66 || !segment.ends_with('}')) return false;
  const std::string_view name = segment.substr(1, segment.size() - 2);
  return !(name[0] >= '0' && name[0] <= '9') && std::ranges::all_of(name, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
  });
}

bool is_good_literal(std::string_view segment) {
  return segment != "." && segment != ".." && std::ranges::all_of(segment, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || std::string_view("-._~!$&'()*+,;=:@").contains(c);
  });
}

std::vector<std::string_view> split(std::string_view path) {
  std::vector<std::string_view> out;
  while (!path.empty() && out.size() <= kSegmentsMax) {
    path.remove_prefix(1);
    const auto end = std::min(path.find('/'), path.size());
    out.push_back(path.substr(0, end));
    path.remove_prefix(end);
  }
  return out;
}

std::unexpected<Error> invalid(std::string message) { return fail("trigger.invalid", std::move(message)); }

}  // namespace

Result<RoutePattern> parse_route_pattern(std::string_view path) {
  if (!path.starts_with('/') || path.size() < 2 || path.size() > kPathBytesMax)
    return invalid("must be a path that starts with \"/\", such as /tickets/{customer}, of at most 512 bytes");
  RoutePattern out;
  std::set<std::string_view> names;
  for (const std::string_view segment : split(path)) {
    if (segment.empty()) return invalid("must have no empty segment and no \"/\" at the end");
    if (is_parameter(segment) ? !is_good_parameter(segment) : !is_good_literal(segment))
      return invalid("has a segment that is neither plain text nor {name}: " + to_text(Json(to_utf8_lossy(segment.substr(0, 60)))));
    if (is_parameter(segment) && !names.insert(segment).second) return invalid("has a parameter twice: " + std::string(segment));
    out.segments.emplace_back(segment);
  }
  if (out.segments.size() > kSegmentsMax) return invalid("has more than 32 segments");
  const std::string& first = out.segments[0];
  if (is_parameter(first)) return invalid("must start with a literal segment, such as /hooks/{name}");
  if (std::ranges::find(kOwn, std::string_view(first)) != kOwn.end() || is_date(first))
    return invalid("/" + first + " belongs to Mayfly's own API; choose another first segment");
  return out;
}

std::optional<std::map<std::string, std::string>> RoutePattern::match(std::string_view path) const {
  if (!path.starts_with('/')) return std::nullopt;
  const auto given = split(path);
  if (given.size() != segments.size()) return std::nullopt;
  std::map<std::string, std::string> out;
  for (std::size_t i = 0; i < given.size(); ++i) {
    auto value = net::percent_decode(given[i], false);
    if (!value || value->empty() || !is_utf8(*value)) return std::nullopt;
    const std::string& segment = segments[i];
    if (is_parameter(segment)) out.emplace(segment.substr(1, segment.size() - 2), std::move(*value));
    else if (*value != segment) return std::nullopt;
  }
  return out;
}

bool RoutePattern::same_shape(const RoutePattern& other) const {
  return std::ranges::equal(segments, other.segments, [](const std::string& a, const std::string& b) {
    return is_parameter(a) ? is_parameter(b) : a == b;
  });
}

bool RoutePattern::before(const RoutePattern& other) const {
  for (std::size_t i = 0; i < std::min(segments.size(), other.segments.size()); ++i)
    if (is_parameter(segments[i]) != is_parameter(other.segments[i])) return is_parameter(other.segments[i]);
  return false;
}

}  // namespace mayfly::trigger
