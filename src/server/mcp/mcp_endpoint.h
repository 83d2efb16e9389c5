#pragma once

#include <memory>

#include "mcp/provider.h"
#include "server/context.h"
#include "server/router.h"

namespace mayfly {

/// The server's MCP endpoint: adds /mcp to the router and holds what it offers.
class McpEndpoint {
 public:
  virtual ~McpEndpoint() = default;
  /// Once everything in `context` is open.
  virtual Task<Result<void>> open() = 0;
  virtual Task<> stop() = 0;
  /// What it offers; agents reach it in the process as the server "mayfly".
  virtual mcp::Offer& offer() = 0;
};
std::unique_ptr<McpEndpoint> add_mcp_routes(Router& router, AppContext& context);

}  // namespace mayfly
