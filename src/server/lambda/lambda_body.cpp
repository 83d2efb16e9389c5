#include "server/lambda/lambda_body.h"

#include <algorithm>
#include <charconv>

#include "base/hash.h"
#include "server/lambda/lambda_call.h"

namespace mayfly::lambda {
namespace {

constexpr JsonLimits kBodyLimits{.depth_max = 32, .bytes_max = 80 * 1024 * 1024};

std::optional<std::size_t> to_size(std::string_view text) {
  std::size_t out = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  if (text.empty() || error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return out;
}

std::string quoted(std::string_view name) { return "'" + std::string(name) + "'"; }

bool is_empty(const Json& value) {
  if (const auto* text = value.if_string()) return text->empty();
  if (const auto* array = value.if_array()) return array->empty();
  if (const auto* object = value.if_object())
    return std::ranges::all_of(*object, [](const auto& member) { return is_empty(member.value()); });
  return value.is_null() || (value.is_bool() && !value.get_bool());
}

}  // namespace

Result<JsonObject> read_body(const net::Request& request) {
  if (request.body.empty()) return JsonObject();
  auto value = parse_json(request.body, kBodyLimits);
  if (!value) return aws_error("SerializationException", value.error().message);
  if (!value->is_object()) return aws_error("SerializationException", "the body must be a JSON object");
  return std::move(value->get_object());
}

const Json* Fields::find(std::string_view name) const {
  const Json* value = get(object_, name);
  return value && !value->is_null() ? value : nullptr;
}

void Fields::fail_with(Error error) {
  if (!error_) error_ = std::move(error);
}

void Fields::wrong_type(std::string_view name, std::string_view wanted) {
  fail_with({"aws.SerializationException", quoted(name) + " must be " + std::string(wanted), Retry::Never});
}

Result<void> Fields::done() const {
  if (error_) return fail(*error_);
  return {};
}

std::optional<std::string> Fields::text(std::string_view name) {
  const Json* value = find(name);
  if (!value) return std::nullopt;
  if (value->is_string()) return std::string(std::string_view(value->get_string()));
  wrong_type(name, "a string");
  return std::nullopt;
}

std::optional<std::int64_t> Fields::integer(std::string_view name) {
  const Json* value = find(name);
  if (!value) return std::nullopt;
  if (const auto* number = value->if_int64()) return *number;
  wrong_type(name, "a whole number");
  return std::nullopt;
}

std::optional<double> Fields::number(std::string_view name) {
  const Json* value = find(name);
  if (!value) return std::nullopt;
  if (value->is_number()) return value->to_number<double>();
  wrong_type(name, "a number");
  return std::nullopt;
}

std::optional<bool> Fields::boolean(std::string_view name) {
  const Json* value = find(name);
  if (!value) return std::nullopt;
  if (value->is_bool()) return value->get_bool();
  wrong_type(name, "true or false");
  return std::nullopt;
}

const JsonObject* Fields::object(std::string_view name) {
  const Json* value = find(name);
  if (!value) return nullptr;
  if (value->is_object()) return &value->get_object();
  wrong_type(name, "an object");
  return nullptr;
}

std::optional<std::vector<std::string>> Fields::texts(std::string_view name) {
  const Json* value = find(name);
  if (!value) return std::nullopt;
  std::vector<std::string> out;
  const auto* array = value->if_array();
  if (!array || !std::ranges::all_of(*array, [](const Json& item) { return item.is_string(); })) {
    wrong_type(name, "a list of strings");
    return std::nullopt;
  }
  for (const Json& item : *array) out.emplace_back(std::string_view(item.get_string()));
  return out;
}

std::optional<std::map<std::string, std::string>> Fields::map(std::string_view name) {
  const auto* in = object(name);
  if (!in) return std::nullopt;
  std::map<std::string, std::string> out;
  for (const auto& member : *in) {
    if (!member.value().is_string()) {
      wrong_type(name, "an object of strings");
      return std::nullopt;
    }
    out.emplace(std::string_view(member.key()), std::string_view(member.value().get_string()));
  }
  return out;
}

void Fields::refuse(std::string_view name, std::string_view why) {
  if (const Json* value = find(name); value && !is_empty(*value))
    fail_with({"aws.InvalidParameterValueException", std::string(name) + " is not supported: " + std::string(why), Retry::Never});
}

Result<PageOf> page_of(const net::Request& request, std::size_t count, std::size_t items_default, std::size_t items_max) {
  PageOf out;
  if (const auto marker = request.query_parameter("Marker"); marker && !marker->empty()) {
    const auto text = from_base64(*marker);
    const auto begin = text ? to_size(*text) : std::nullopt;
    if (!begin) return invalid_parameter("the Marker is not one that this API gave; start without it");
    out.begin = std::min(*begin, count);
  }
  std::size_t items = items_default;
  if (const auto text = request.query_parameter("MaxItems")) {
    const auto wanted = to_size(*text);
    if (!wanted || *wanted < 1 || *wanted > 10'000) return invalid_parameter("MaxItems must be a number of 1 to 10000");
    items = std::min(*wanted, items_max);
  }
  out.end = std::min(count, out.begin + items);
  if (out.end < count) out.next = to_base64(std::to_string(out.end));
  return out;
}

}  // namespace mayfly::lambda
