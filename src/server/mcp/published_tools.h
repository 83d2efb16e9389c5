#pragma once

#include "mcp/provider.h"
#include "server/context.h"

namespace mayfly {

/// Every agent as agent_NAME and every function with a tool description as function_NAME (toolsets "agents", "functions"), and runs
/// (toolset "runs"): run_get, run_cancel, run_answer.
std::unique_ptr<mcp::ToolProvider> make_published_tools(AppContext& app);

}  // namespace mayfly
