#pragma once

#include <functional>
#include <map>
#include <string>

#include "base/json.h"
#include "mcp/provider.h"
#include "mcp/server/changes.h"
#include "net/http_server.h"

namespace mayfly {

/// Calls of functions that are under way for MCP clients. A function tells of its work while it is at it by
/// POST /mayfly/mcp/calls/{call} on its own Runtime API address (AWS_LAMBDA_RUNTIME_API), {call} being the event's `call`:
///   {"progress": 50, "total": 100, "message": "…"} · {"log": {"level", "logger", "data"}} · {"pause": true}
///   {"changed": "tools" | "prompts" | "resources"} · {"updated": "URI"}
/// Answers 204; 404 when the call has ended or belongs to another function; 422 for anything else.
class McpCalls {
 public:
  /// Told of `updated`.
  std::function<void(const std::string& uri)> updated;
  mcp::Changes changes;

  /// Registers a call until it is destroyed; `context` outlives it.
  class Registration {
   public:
    Registration(McpCalls* owner, std::string token) : owner_(owner), token_(std::move(token)) {}
    Registration(const Registration&) = delete;
    ~Registration() { owner_->calls_.erase(token_); }
    const std::string& token() const { return token_; }

   private:
    McpCalls* owner_;
    std::string token_;
  };
  [[nodiscard]] std::unique_ptr<Registration> add(const std::string& function, const mcp::CallContext* context);
  net::Response serve(const std::string& function, const net::Request& request);

  static constexpr std::string_view kPath = "/mayfly/mcp/calls/";

 private:
  struct Running {
    std::string function;
    const mcp::CallContext* context = nullptr;
  };
  std::map<std::string, Running, std::less<>> calls_;
};

}  // namespace mayfly
