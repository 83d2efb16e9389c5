#pragma once

#include <memory>

#include "mcp/provider.h"
#include "server/context.h"

namespace mayfly {

/// Workspaces as MCP tools (the list in docs/workspaces-mcp.md) and as resources ws://{workspace}/{path}.
std::unique_ptr<mcp::ToolProvider> make_workspace_tools(AppContext& context);
std::unique_ptr<mcp::ResourceProvider> make_workspace_resources(AppContext& context);

}  // namespace mayfly
