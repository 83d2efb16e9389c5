#include "server/states/states_call.h"

#include <charconv>

#include "base/hash.h"

namespace mayfly::states {
namespace {

constexpr std::size_t kPageDefault = 100, kPageMax = 1'000;
constexpr std::size_t kTagBytesMax = 256 * 4;

std::string constraint(std::string_view name, std::string_view value, std::string_view rule) {
  return "1 validation error detected: Value " + std::string(value) + " at '" + std::string(name) +
         "' failed to satisfy constraint: " + std::string(rule);
}

}  // namespace

std::unexpected<Error> aws_error(std::string_view exception, std::string message) {
  return fail("aws." + std::string(exception), std::move(message));
}

void Input::check_length(std::string_view name, const std::string& value, std::size_t bytes_max) {
  if (value.size() <= bytes_max) return;
  fail_with({"aws.ValidationException", constraint(name, "", "Member must have length less than or equal to " + std::to_string(bytes_max)),
             Retry::Never});
}

std::string Input::required(std::string_view name, std::size_t bytes_max) {
  auto value = text(name);
  const Json* given = mayfly::get(object_, name);
  if (!given || given->is_null())
    fail_with({"aws.ValidationException", constraint(name, "null", "Member must not be null"), Retry::Never});
  else if (value && value->empty())
    fail_with({"aws.ValidationException", constraint(name, "''", "Member must have length greater than or equal to 1"), Retry::Never});
  std::string out = std::move(value).value_or(std::string());
  check_length(name, out, bytes_max);
  return out;
}

std::string Input::text_or(std::string_view name, std::string_view otherwise, std::size_t bytes_max) {
  std::string out = text(name).value_or(std::string(otherwise));
  check_length(name, out, bytes_max);
  return out;
}

Arn Input::arn(std::string_view name, Arn::Kind kind) {
  const std::string value = required(name);
  if (value.empty()) return {};
  auto out = parse_arn(value, kind);
  if (out) return *std::move(out);
  fail_with(out.error());
  return {};
}

Json Input::kept(std::string_view name) {
  const JsonObject* value = object(name);
  return value ? Json(*value) : Json();
}

std::map<std::string, std::string> Input::tags(std::string_view name) {
  std::map<std::string, std::string> out;
  const JsonArray* list = get_array(object_, name);
  if (!list) return out;
  for (const Json& item : *list) {
    const JsonObject* tag = item.if_object();
    const std::string key = tag ? get_string(*tag, "key") : std::string();
    const std::string value = tag ? get_string(*tag, "value") : std::string();
    if (key.empty() || key.size() > kTagBytesMax || value.size() > kTagBytesMax)
      fail_with({"aws.ValidationException", constraint(name, "", "each tag has a key of 1 to 128 and a value of 0 to 256 characters"),
                 Retry::Never});
    out[key] = value;
  }
  return out;
}

Error state_machine_missing(const Arn& arn) {
  return {"aws.StateMachineDoesNotExist",
          "State Machine Does Not Exist: '" + to_utf8_lossy(state_machine_arn(arn.name, arn.qualifier)) + "'", Retry::Never};
}

Result<workflow::ResolvedWorkflow> resolve(const AppContext& app, const Arn& arn) {
  auto out = app.workflows->resolve(arn.name, arn.qualifier);
  if (!out) return fail(state_machine_missing(arn));
  return out;
}

Result<std::size_t> page_size(const JsonObject& input) {
  lambda::Fields fields(input);
  const std::int64_t wanted = fields.integer("maxResults").value_or(0);
  if (auto read = fields.done(); !read) return fail(read.error());
  if (wanted < 0 || wanted > static_cast<std::int64_t>(kPageMax))
    return aws_error("ValidationException",
                     constraint("maxResults", "'" + std::to_string(wanted) + "'", "Member must have value between 0 and 1000"));
  return wanted == 0 ? kPageDefault : static_cast<std::size_t>(wanted);
}

Result<Page> page_of(const JsonObject& input, std::size_t count) {
  const auto size = page_size(input);
  if (!size) return fail(size.error());
  Page out;
  if (const Json* token = get(input, "nextToken"); token && !token->is_null()) {
    const auto text = token->is_string() ? from_base64(std::string_view(token->get_string())) : std::nullopt;
    const char* end = text ? text->data() + text->size() : nullptr;
    if (!text || text->empty() || std::from_chars(text->data(), end, out.begin).ptr != end || out.begin > count)
      return aws_error("InvalidToken", "Invalid Token: 'Invalid token'");
  }
  out.end = std::min(count, out.begin + *size);
  if (out.end < count) out.next = to_base64(std::to_string(out.end));
  return out;
}

}  // namespace mayfly::states
