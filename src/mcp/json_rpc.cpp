#include "mcp/json_rpc.h"

#include <fmt/format.h>

namespace mayfly::mcp {
namespace {

std::unexpected<RpcRefusal> refuse(std::optional<RpcId> id, int code, std::string message) {
  return std::unexpected(RpcRefusal{std::move(id), RpcError{code, std::move(message), std::nullopt}});
}

std::expected<RpcMessage, RpcRefusal> read_response(const JsonObject& object, std::optional<RpcId> id) {
  const auto* result = object.if_contains("result");
  const auto* error = object.if_contains("error");
  if (result && error) return refuse(std::move(id), rpc_code::kInvalidRequest, "a response has a result or an error, not both");
  if (result) {
    if (!id) return refuse(std::nullopt, rpc_code::kInvalidRequest, "a result needs the request's id, a string or an integer");
    if (!result->is_object()) return refuse(std::move(id), rpc_code::kInvalidRequest, "a result is an object");
    return RpcResponse{std::move(id), result->get_object()};
  }
  const auto* fields = error->if_object();
  const auto* code = fields ? fields->if_contains("code") : nullptr;
  if (!code || !code->is_int64()) {
    return refuse(std::move(id), rpc_code::kInvalidRequest, "an error is an object with an integer code and a message");
  }
  const auto number = code->get_int64();
  if (number < INT32_MIN || number > INT32_MAX) return refuse(std::move(id), rpc_code::kInvalidRequest, "the error's code is out of range");
  RpcError read{static_cast<int>(number), get_string(*fields, "message"), std::nullopt};
  if (const auto* data = fields->if_contains("data")) read.data = *data;
  return RpcResponse{std::move(id), std::move(read)};
}

}  // namespace

std::optional<RpcId> RpcId::from(const Json& value) {
  if (const auto* text = value.if_string()) return RpcId(std::string(*text));
  if (const auto* number = value.if_int64()) return RpcId(*number);
  return std::nullopt;
}

Json RpcId::to_json() const {
  if (const auto* number = std::get_if<std::int64_t>(&value_)) return *number;
  return Json(std::get<std::string>(value_));
}

std::string RpcId::key() const {
  if (const auto* number = std::get_if<std::int64_t>(&value_)) return fmt::format("n:{}", *number);
  return "s:" + std::get<std::string>(value_);
}

std::expected<RpcMessage, RpcRefusal> parse_rpc(std::string_view text, const RpcLimits& limits) {
  auto value = parse_json(text, JsonLimits{.depth_max = limits.depth_max, .bytes_max = limits.bytes_max});
  if (!value) return refuse(std::nullopt, rpc_code::kParse, "the message is no JSON that this server reads: " + value.error().message);
  return read_rpc(*value, limits);
}

std::expected<RpcMessage, RpcRefusal> read_rpc(const Json& value, const RpcLimits& limits) {
  const auto* object = value.if_object();
  if (!object) {
    return refuse(std::nullopt, rpc_code::kInvalidRequest,
                  value.is_array() ? "batches are not supported: send one message at a time" : "a message is a JSON object");
  }
  const auto* raw_id = object->if_contains("id");
  auto id = raw_id ? RpcId::from(*raw_id) : std::nullopt;
  if (id && id->key().size() > limits.id_chars_max + 2) {
    return refuse(std::nullopt, rpc_code::kInvalidRequest, fmt::format("an id has at most {} characters", limits.id_chars_max));
  }
  if (get_string(*object, "jsonrpc") != "2.0") return refuse(id, rpc_code::kInvalidRequest, R"(a message needs "jsonrpc": "2.0")");

  const auto* method = object->if_contains("method");
  if (!method) {
    if (object->contains("result") || object->contains("error")) return read_response(*object, std::move(id));
    return refuse(id, rpc_code::kInvalidRequest, "a message needs a method, a result or an error");
  }
  if (!method->is_string() || method->get_string().empty() || method->get_string().size() > limits.method_chars_max) {
    return refuse(id, rpc_code::kInvalidRequest, fmt::format("a method is a text of 1 to {} characters", limits.method_chars_max));
  }
  if (raw_id && !id) return refuse(std::nullopt, rpc_code::kInvalidRequest, "an id is a string or an integer");

  JsonObject params;
  if (const auto* given = object->if_contains("params")) {
    if (!given->is_object()) return refuse(id, rpc_code::kInvalidRequest, "params are an object");
    params = given->get_object();
  }
  std::string name(method->get_string());
  if (id) return RpcRequest{*id, std::move(name), std::move(params)};
  return RpcNotification{std::move(name), std::move(params)};
}

JsonObject rpc_request(const RpcId& id, std::string_view method, JsonObject params) {
  return {{"jsonrpc", "2.0"}, {"id", id.to_json()}, {"method", method}, {"params", std::move(params)}};
}

JsonObject rpc_notification(std::string_view method, JsonObject params) {
  JsonObject message{{"jsonrpc", "2.0"}, {"method", method}};
  if (!params.empty()) message["params"] = std::move(params);
  return message;
}

JsonObject rpc_result(const RpcId& id, JsonObject result) {
  return {{"jsonrpc", "2.0"}, {"id", id.to_json()}, {"result", std::move(result)}};
}

JsonObject rpc_error(const std::optional<RpcId>& id, const RpcError& error) {
  JsonObject fields{{"code", error.code}, {"message", error.message}};
  if (error.data) fields["data"] = *error.data;
  return {{"jsonrpc", "2.0"}, {"id", id ? id->to_json() : Json(nullptr)}, {"error", std::move(fields)}};
}

}  // namespace mayfly::mcp
