#pragma once

#include "mcp/server/task_port.h"
#include "server/context.h"

namespace mayfly {

/// Runs of the engine as tasks: those of MCP tools ("mcp:call", for who started them) and those of agents. What an agent asks a person is
/// asked of the client, as elicitations named question_OPERATION.
std::unique_ptr<mcp::TaskPort> make_run_tasks(AppContext& app);

}  // namespace mayfly
