#include "server/body_reader.h"

#include <algorithm>
#include <charconv>

namespace mayfly {
namespace {

constexpr Millis kWaitMax{600'000};

std::optional<std::int64_t> parse_int(std::string_view text) {
  std::int64_t out = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return out;
}

std::unexpected<Error> invalid(std::string message) { return fail("request.invalid", std::move(message)); }

std::string quoted(std::string_view name) { return "\"" + std::string(name) + "\""; }

/// The value of the preference `wait`, or nothing.
std::optional<std::string> wait_preference(const net::Headers& headers) {
  for (const auto& [name, value] : headers) {
    if (!net::equal_ignoring_case(name, "prefer")) continue;
    std::string_view rest = value;
    while (!rest.empty()) {
      const auto end = std::min(rest.find_first_of(",;"), rest.size());
      std::string item;
      for (const char c : rest.substr(0, end))
        if (c != ' ' && c != '\t' && c != '"') item += c;
      rest.remove_prefix(std::min(end + 1, rest.size()));
      if (item.size() > 5 && net::equal_ignoring_case(std::string_view(item).substr(0, 5), "wait=")) return item.substr(5);
    }
  }
  return std::nullopt;
}

}  // namespace

Result<JsonObject> read_object(const net::Request& request, std::initializer_list<std::string_view> known) {
  return read_object(request, std::span(known.begin(), known.size()));
}

Result<JsonObject> read_object(const net::Request& request, std::span<const std::string_view> known) {
  if (request.body.empty()) return JsonObject();
  auto value = parse_json(request.body);
  if (!value) return fail(value.error());
  if (!value->is_object()) return invalid("the body must be a JSON object");
  for (const auto& member : value->get_object()) {
    if (std::ranges::find(known, std::string_view(member.key())) != known.end()) continue;
    std::string names;
    for (const std::string_view name : known) names += (names.empty() ? "" : ", ") + quoted(name);
    return invalid("the body has an unknown member " + to_text(Json(member.key())).substr(0, 80) +
                   (names.empty() ? "; none is expected here" : "; known here are " + names));
  }
  return std::move(value->get_object());
}

Result<std::optional<std::string>> read_text(const JsonObject& body, std::string_view name, std::size_t bytes_max) {
  const Json* value = get(body, name);
  if (!value || value->is_null()) return std::nullopt;
  if (!value->is_string()) return invalid(quoted(name) + " must be a text");
  if (value->get_string().size() > bytes_max) return invalid(quoted(name) + " has more than " + std::to_string(bytes_max) + " bytes");
  return std::string(std::string_view(value->get_string()));
}

Result<std::optional<std::int64_t>> read_int(const JsonObject& body, std::string_view name, std::int64_t least, std::int64_t most) {
  const Json* value = get(body, name);
  if (!value || value->is_null()) return std::nullopt;
  const auto* number = value->if_int64();
  if (!number || *number < least || *number > most)
    return invalid(quoted(name) + " must be a whole number of " + std::to_string(least) + " to " + std::to_string(most));
  return *number;
}

Result<std::size_t> read_limit(const net::Request& request, std::size_t otherwise, std::size_t most) {
  const auto text = request.query_parameter("limit");
  if (!text) return otherwise;
  const auto number = parse_int(*text);
  if (!number || *number < 1 || *number > static_cast<std::int64_t>(most))
    return invalid("\"limit\" must be a whole number of 1 to " + std::to_string(most));
  return static_cast<std::size_t>(*number);
}

Result<std::optional<Millis>> read_wait(const net::Request& request) {
  auto text = request.query_parameter("wait");
  if (!text) text = wait_preference(request.headers);
  if (!text) return std::nullopt;
  if (const auto seconds = parse_int(*text)) {
    if (*seconds < 0) return invalid("the time to wait must not be negative");
    return std::min(Millis{std::min<std::int64_t>(*seconds, 1'000'000) * 1000}, kWaitMax);
  }
  const auto duration = parse_duration(*text);
  if (!duration) return invalid("the time to wait must be seconds or a duration such as 30s or 2m");
  return std::min(*duration, kWaitMax);
}

}  // namespace mayfly
