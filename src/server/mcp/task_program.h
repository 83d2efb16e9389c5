#pragma once

#include "engine/engine.h"
#include "server/context.h"

namespace mayfly {

/// Calls of MCP tools as runs of the engine, "mcp:call": a STEP invokes the tool's function; what the function asks the client for becomes
/// CALLBACKs by name; when all are answered it is invoked again. The run's result is MCP's result of the tool.
inline constexpr std::string_view kMcpPrefix = "mcp:";
inline constexpr std::string_view kMcpCallProgram = "mcp:call";
inline constexpr std::string_view kMcpInputKind = "mcp_input";

class McpTaskPrograms : public engine::ProgramHost, public engine::StepExecutor {};
std::unique_ptr<McpTaskPrograms> make_mcp_task_programs(AppContext& app);

/// The start of one. `event` as `mcp_event` makes it.
engine::StartRequest mcp_call_start(const std::string& function, const std::string& tool, const std::string& caller, JsonObject event);

}  // namespace mayfly
