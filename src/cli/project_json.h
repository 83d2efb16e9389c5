#pragma once

#include <string>
#include <vector>

#include "agent/agent_spec.h"
#include "cli/terminal.h"

namespace mayfly::cli {

/// The body of POST /v1/deploy.
Json deploy_body(const agent::Project& project);
/// One agent of the project in `path` in its deployed form; with an empty name the only one there is. Says all problems as notes.
/// Errors: `project.invalid`, `agent.not_found`, `usage` (several agents, none named).
Result<Json> agent_of_project(const Terminal& terminal, const std::string& path, const std::string& name);
/// Each problem as one note: FILE:LINE:COLUMN: what.
void say_problems(const Terminal& terminal, const std::vector<agent::SpecProblem>& problems);
/// The error that stands for problems already said.
Error problems_error(std::size_t count);

}  // namespace mayfly::cli
