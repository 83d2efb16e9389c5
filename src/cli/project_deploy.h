#pragma once

#include <vector>

#include "agent/agent_spec.h"
#include "cli/commands.h"

namespace mayfly::cli {

/// Gives the server a whole project: first everything is checked, there and here, then the functions are sent one by one, then providers
/// and agents. Says what is done as notes. The answer: {"agents": […], "functions": […]}, as POST /v1/deploy gives them. Errors: those of
/// `pack_folder` and of the server; after the check nothing but a failing server or package stops it half-way.
Task<Result<Json>> deploy_to_server(Env& env, const agent::Project& project);

}  // namespace mayfly::cli
