#pragma once

#include <map>
#include <string>
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

/// What one project brings: deployed in the order providers, functions, agents, resources, so that nothing ever names what is not there yet.
struct Deployment {
  std::vector<agent::AgentSpec> agents;
  std::vector<ProviderSetting> providers;
  std::vector<FunctionUpload> functions;
  std::map<std::string, JsonObject> resources;  ///< as agent::Project::resources
  bool keep_pins = false;  ///< of MCP servers' tools: nobody looks on (see server/mcp/agent_tools.h)
};

struct Deployed {
  std::vector<agent::AgentVersion> agents;
  std::vector<function::ResolvedFunction> functions;
  std::map<std::string, std::vector<std::string>> resources;  ///< names, by kind
};

/// What can be known before anything changes: that agents' models have providers, and that the functions of their tools are deployed or in
/// `deployment`. The functions' code is not looked at. Errors: `agent.invalid`, `function.unavailable`, `function.invalid`.
Result<void> check_deployment(const AppContext& app, const Deployment& deployment);
/// Checks, then changes. An error after the check (the store, a package that cannot be unpacked) leaves what was deployed before it.
Task<Result<Deployed>> deploy(AppContext* app, Deployment deployment);

/// Queues, state machines, endpoints, schedules and triggers as somebody sent them: known kinds, each definition checked by itself.
/// Errors: `request.invalid`, and those of the kinds, naming the resource.
Result<std::map<std::string, JsonObject>> resources_from_json(const JsonObject& body);
/// Names of the kinds: keys of a deployment's body.
std::vector<std::string_view> resource_keys();
/// In the order of agent::resource_kinds. An error names the resource; those before it are deployed.
Task<Result<std::map<std::string, std::vector<std::string>>>> deploy_resources(AppContext* app, std::map<std::string, JsonObject> resources);

/// One function with what is kept of it beside its revisions: what the specification does not name is taken away. Without code only the
/// configuration of a function that exists is changed.
Task<Result<function::ResolvedFunction>> deploy_function(AppContext* app, agent::FunctionSpec spec,
                                                         std::optional<function::CodePackage> code);
/// Its specification as `deploy_function` would take it.
agent::FunctionSpec spec_of(const function::FunctionRecord& record, const function::FunctionRevision& revision);

/// A project read from files, with the code of its functions packed. Blocks. Errors: those of `pack_folder`, naming the function.
Result<Deployment> deployment_of(agent::Project project);

}  // namespace mayfly
