#include "function/durable/tokens.h"

#include <algorithm>
#include <charconv>

#include "base/hash.h"

namespace mayfly::function {
namespace {

constexpr std::string_view kContextPrefix = "context/";
constexpr std::string_view kRunPrefix = "run_";
constexpr std::size_t kArnBytesMax = 1024;

Result<JsonObject> decode(std::string_view text) {
  const auto bytes = from_base64(text);
  if (!bytes) return fail("token.invalid", "not base64");
  auto value = parse_json(*bytes, {.depth_max = 4, .bytes_max = 2048});
  if (!value || !value->is_object()) return fail("token.invalid", "not a token");
  return std::move(value->get_object());
}

bool is_name(std::string_view text, std::size_t bytes_max) {
  return !text.empty() && text.size() <= bytes_max && std::ranges::all_of(text, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
  });
}

/// The text up to `end`, which is taken away from `rest` with it.
std::optional<std::string_view> cut(std::string_view& rest, std::string_view end) {
  const auto at = rest.find(end);
  if (at == std::string_view::npos) return std::nullopt;
  const std::string_view out = rest.substr(0, at);
  rest.remove_prefix(at + end.size());
  return out;
}

}  // namespace

Json to_json(const CheckpointToken& token) {
  return JsonObject{{"o", token.operation}, {"a", token.attempt}, {"s", token.sequence}, {"c", token.change}};
}

CheckpointToken checkpoint_token_from_json(const Json& value) {
  if (!value.is_object()) return {};
  const JsonObject& from = value.get_object();
  return {get_int(from, "o"), get_int(from, "a"), get_int(from, "s"), get_int(from, "c")};
}

std::string encode(const CheckpointToken& token) { return to_base64(to_text(to_json(token))); }

std::optional<CheckpointToken> parse_checkpoint_token(std::string_view text) {
  auto object = decode(text);
  if (!object) return std::nullopt;
  CheckpointToken token = checkpoint_token_from_json(*object);
  if (token.operation <= 0) return std::nullopt;
  return token;
}

bool owns(const engine::Execution& run, const DurableState& state, const CheckpointToken& token) {
  if (!run.open() || state.invocation == 0 || token.operation != state.invocation) return false;
  const engine::PendingOperation* invocation = run.find_pending(state.invocation);
  return invocation && invocation->attempt == token.attempt;
}

std::string encode(const CallbackId& id) {
  return to_base64(to_text(JsonObject{{"run", id.run}, {"op", id.operation}, {"key", id.secret}}));
}

std::optional<CallbackId> parse_callback_id(std::string_view text) {
  const auto object = decode(text);
  if (!object) return std::nullopt;
  CallbackId out{get_string(*object, "run"), get_string(*object, "op"), get_string(*object, "key")};
  if (out.run.empty() || out.operation.empty() || out.secret.empty()) return std::nullopt;
  return out;
}

std::string operation_key(engine::OperationType type, std::string_view id) {
  return (type == engine::OperationType::Context ? std::string(kContextPrefix) : std::string()) + std::string(id);
}

std::string id_of_key(std::string_view key) {
  if (key.starts_with(kContextPrefix)) key.remove_prefix(kContextPrefix.size());
  return std::string(key);
}

std::string execution_operation_id(const engine::Execution& run) {
  return run.id.starts_with(kRunPrefix) ? run.id.substr(kRunPrefix.size()) : run.id;
}

std::string to_string(const ExecutionArn& arn) {
  std::string_view run = arn.run;
  if (run.starts_with(kRunPrefix)) run.remove_prefix(kRunPrefix.size());
  return function_arn(arn.function, arn.version) + "/durable-execution/" + arn.name + "/" + std::string(run);
}

Result<ExecutionArn> parse_execution_arn(std::string_view text) {
  const auto invalid = [&] {
    return fail("execution.invalid_arn",
                "this is not the ARN of a durable execution; it looks like "
                "arn:aws:lambda:REGION:ACCOUNT:function:NAME:VERSION/durable-execution/EXECUTION_NAME/ID");
  };
  std::string_view rest = text.substr(0, kArnBytesMax + 1);
  if (rest.size() > kArnBytesMax || !cut(rest, ":function:")) return invalid();
  const auto function = cut(rest, ":");
  const auto version = cut(rest, "/durable-execution/");
  const auto name = cut(rest, "/");
  if (!text.starts_with("arn:") || !function || !version || !name) return invalid();
  const bool numbered = !version->empty() && std::ranges::all_of(*version, [](char c) { return c >= '0' && c <= '9'; });
  if (!is_name(*function, 64) || !(numbered || *version == kLatest) || !is_name(*name, 64) || !is_name(rest, 64)) return invalid();
  return ExecutionArn{std::string(*function), std::string(*version), std::string(*name), std::string(rest)};
}

}  // namespace mayfly::function
