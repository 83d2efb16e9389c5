#pragma once

#include <memory>
#include <string>
#include <vector>

#include "net/http_client.h"
#include "tool/redact.h"
#include "tool/tool.h"

namespace mayfly::agent {

/// Port: the tools of this server's own, for its agents. Implemented by `server`.
class OwnTools {
 public:
  virtual ~OwnTools() = default;
  /// As the agent, in one workspace; what its run locks is released when the run ends.
  virtual Task<Result<ToolOutput>> call(std::string agent, std::string workspace, std::string role, std::string tool, ToolCall call) = 0;
};

struct McpToolOptions {
  std::string name, description;
  Json parameters;
  Effect effect = Effect::AtMostOnce;
  std::string tool;       ///< its name at the server
  std::string server;     ///< the entry under `mcp`; empty: this server's own
  std::string pinned;     ///< digest of the definition that was deployed (mcp::RemoteTool)
  std::string url;
  std::vector<std::pair<std::string, std::string>> headers;  ///< values may hold ${NAME} of the environment
  bool private_network = false;
  std::string workspace, role, agent;  ///< of own tools
  Millis timeout{60'000};
  std::size_t model_bytes_max = 64 * 1024;
};

/// A tool of an MCP server. What a remote server says is marked as untrusted for the model. When its definition is no longer the one that was deployed, calls are refused until the
/// agent is deployed again: nobody agreed to the new one. Errors of `call`: `tool.missing_variable`, `mcp.…`, and those of the HTTP client. Error here: `tool.invalid`.
Result<std::unique_ptr<Tool>> make_mcp_tool(McpToolOptions options, net::HttpClient& http, OwnTools* own, EnvLookup environment);

}  // namespace mayfly::agent
