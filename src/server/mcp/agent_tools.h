#pragma once

#include <memory>

#include "agent/agent_spec.h"
#include "agent/mcp_tool.h"
#include "server/context.h"

namespace mayfly {

/// Makes tools of what `spec->mcp` names, with the definitions as they are now: those of the workspace (which is made when it is missing), and those that its MCP servers list,
/// named SERVER__TOOL. With Pins::Keep, what the agent's current version has of a server whose entry is the same stays as it is, and the server is not asked: a restart accepts no changes,
/// and needs nobody. Errors: `agent.invalid` (naming the server or tool), those of the servers.
enum class Pins { Renew, Keep };
Task<Result<void>> pin_mcp_tools(AppContext* app, agent::AgentSpec* spec, Pins pins);

/// The tools of workspaces, called by agents.
std::unique_ptr<agent::OwnTools> make_agent_own_tools(AppContext& app);

}  // namespace mayfly
