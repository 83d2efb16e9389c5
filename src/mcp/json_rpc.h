#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "base/json.h"

/// JSON-RPC 2.0 as MCP uses it, for both sides: one message a body, no batches (they left MCP with 2025-06-18).
namespace mayfly::mcp {

inline constexpr std::string_view kVersionStateless = "2026-07-28";
inline constexpr std::string_view kVersionSessions = "2025-11-25";

/// A message of at most so many bytes, nested so deep, with ids of so many characters.
struct RpcLimits {
  std::size_t bytes_max = 8 * 1024 * 1024;
  std::size_t depth_max = 64;
  std::size_t id_chars_max = 256;
  std::size_t method_chars_max = 256;
};

/// Codes of the JSON-RPC specification and of MCP.
namespace rpc_code {
inline constexpr int kParse = -32700;
inline constexpr int kInvalidRequest = -32600;
inline constexpr int kMethodNotFound = -32601;
inline constexpr int kInvalidParams = -32602;
inline constexpr int kInternal = -32603;
inline constexpr int kResourceNotFound = -32002;                 ///< up to 2025-11-25; newer clients get kInvalidParams
inline constexpr int kHeaderMismatch = -32020;                   ///< 2026-07-28
inline constexpr int kMissingRequiredClientCapability = -32021;  ///< 2026-07-28
inline constexpr int kUnsupportedProtocolVersion = -32022;       ///< 2026-07-28
inline constexpr int kUrlElicitationRequired = -32042;
}  // namespace rpc_code

/// A request's id: a string or an integer, given back as it came.
class RpcId {
 public:
  RpcId(std::int64_t number) : value_(number) {}
  RpcId(std::string text) : value_(std::move(text)) {}
  /// Nothing for anything but a string or an integer.
  static std::optional<RpcId> from(const Json& value);
  Json to_json() const;
  /// "n:7" or "s:abc": for maps; 7 and "7" are different ids.
  std::string key() const;
  bool operator==(const RpcId&) const = default;

 private:
  std::variant<std::int64_t, std::string> value_;
};

struct RpcError {
  int code = rpc_code::kInternal;
  std::string message;
  std::optional<Json> data;
};

struct RpcRequest {
  RpcId id;
  std::string method;
  JsonObject params;
};
struct RpcNotification {
  std::string method;
  JsonObject params;
};
struct RpcResponse {
  std::optional<RpcId> id;  ///< nothing: an error about a message whose id could not be read
  std::variant<JsonObject, RpcError> outcome;
  bool ok() const { return outcome.index() == 0; }
  const JsonObject& result() const { return std::get<0>(outcome); }
  const RpcError& error() const { return std::get<1>(outcome); }
};
using RpcMessage = std::variant<RpcRequest, RpcNotification, RpcResponse>;

/// What could not be read, with the answer that it deserves (`id` where it could be read).
struct RpcRefusal {
  std::optional<RpcId> id;
  RpcError error;
};

/// Reads one message. Refused: text that is no JSON (kParse), arrays, messages without "jsonrpc":"2.0", ids of other types (null too),
/// `params` that are no object, results that are no object, messages with both result and error (kInvalidRequest).
std::expected<RpcMessage, RpcRefusal> parse_rpc(std::string_view text, const RpcLimits& limits = {});
std::expected<RpcMessage, RpcRefusal> read_rpc(const Json& value, const RpcLimits& limits = {});

/// The values that leave.
JsonObject rpc_request(const RpcId& id, std::string_view method, JsonObject params);
JsonObject rpc_notification(std::string_view method, JsonObject params);
JsonObject rpc_result(const RpcId& id, JsonObject result);
/// Without an id: "id" is null.
JsonObject rpc_error(const std::optional<RpcId>& id, const RpcError& error);

}  // namespace mayfly::mcp
