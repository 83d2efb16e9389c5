#pragma once

#include <vector>

#include "agent/agent_spec.h"
#include "agent/registry.h"
#include "function/code_package.h"
#include "function/function_registry.h"
#include "server/config.h"
#include "server/context.h"

namespace mayfly {

struct FunctionUpload {
  agent::FunctionSpec spec;
  function::CodePackage code;
};

/// What one project brings: deployed in the order providers, functions, agents, so that nothing ever names what is not there yet.
struct Deployment {
  std::vector<agent::AgentSpec> agents;
  std::vector<ProviderSetting> providers;
  std::vector<FunctionUpload> functions;
};

struct Deployed {
  std::vector<agent::AgentVersion> agents;
  std::vector<function::ResolvedFunction> functions;
};

/// What can be known before anything changes: that agents' models have providers, and that the functions of their tools are deployed or in
/// `deployment`. The functions' code is not looked at. Errors: `agent.invalid`, `function.unavailable`, `function.invalid`.
Result<void> check_deployment(const AppContext& app, const Deployment& deployment);
/// Checks, then changes. An error after the check (the store, a package that cannot be unpacked) leaves what was deployed before it.
Task<Result<Deployed>> deploy(AppContext* app, Deployment deployment);

/// One function with what is kept of it beside its revisions: what the specification does not name is taken away. Without code only the
/// configuration of a function that exists is changed.
Task<Result<function::ResolvedFunction>> deploy_function(AppContext* app, agent::FunctionSpec spec,
                                                         std::optional<function::CodePackage> code);
/// Its specification as `deploy_function` would take it.
agent::FunctionSpec spec_of(const function::FunctionRecord& record, const function::FunctionRevision& revision);

/// A project read from files, with the code of its functions packed. Blocks. Errors: those of `pack_folder`, naming the function.
Result<Deployment> deployment_of(agent::Project project);

}  // namespace mayfly
