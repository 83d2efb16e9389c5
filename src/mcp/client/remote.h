#pragma once

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/json.h"
#include "net/http_client.h"
#include "runtime/cancel.h"

namespace mayfly::mcp {

/// A tool as a server tells it.
struct RemoteTool {
  std::string name, description;
  Json input_schema;
  bool read_only = false, idempotent = false;
  std::string digest;  ///< SHA-256 of name, description and schema: what a person has seen when he deployed it
};

struct RemoteResult {
  std::string text;     ///< its text blocks; what is no text is named
  bool is_error = false;
};

struct RemoteOptions {
  std::string url;
  std::vector<std::pair<std::string, std::string>> headers;  ///< secrets filled in
  net::EgressPolicy egress;
  Millis timeout{60'000};
  std::size_t body_bytes_max = 8 * 1024 * 1024;
};

/// A server over Streamable HTTP, in the era of 2025-11-25: a session is opened at the first need, and again when the server has forgotten it. It declares no
/// capabilities, so the server has nothing to ask. Used on one loop; calls may run side by side.
/// Errors: those of the HTTP client; `mcp.unauthorized`, `mcp.protocol` (no MCP spoken there, or an error of JSON-RPC), `mcp.too_many_tools`.
class Remote {
 public:
  Remote(net::HttpClient& http, RemoteOptions options) : http_(http), options_(std::move(options)) {}

  Task<Result<std::vector<RemoteTool>>> tools(CancelToken cancel);
  Task<Result<RemoteResult>> call(std::string tool, JsonObject arguments, CancelToken cancel);

 private:
  Task<Result<void>> open(CancelToken cancel);
  Task<Result<JsonObject>> request(std::string method, JsonObject params, CancelToken cancel);
  Task<Result<std::optional<JsonObject>>> post(Json message, bool wants_answer, CancelToken cancel, int* status);

  net::HttpClient& http_;
  RemoteOptions options_;
  std::string session_, version_;
  bool open_ = false;
  std::int64_t next_id_ = 1;
};

}  // namespace mayfly::mcp
