#include "server/api.h"
#include "server/api_functions.h"
#include "server/body_reader.h"
#include "server/json_views.h"
#include "server/problem.h"
#include "server/providers.h"

namespace mayfly {
namespace {

constexpr std::size_t kAgentsPerDeployMax = 100;

/// `body.agents`, read and checked one by one; the error names the agent.
Result<std::vector<agent::AgentSpec>> read_specs(const JsonObject& body) {
  std::vector<agent::AgentSpec> out;
  const Json* value = get(body, "agents");
  if (!value) return out;
  if (!value->is_array()) return fail("request.invalid", "\"agents\" must be an array of agents as `mayfly deploy` sends them");
  const JsonArray& agents = value->get_array();
  if (agents.size() > kAgentsPerDeployMax) return fail("request.invalid", "at most 100 agents can be deployed at once");
  for (std::size_t i = 0; i < agents.size(); ++i) {
    auto spec = agent::spec_from_json(agents[i]);
    if (!spec) return fail("agent.invalid", "agents[" + std::to_string(i) + "]: " + spec.error().message);
    out.push_back(std::move(*spec));
  }
  return out;
}

Result<std::vector<ProviderSetting>> read_providers(const JsonObject& body) {
  std::vector<ProviderSetting> out;
  const Json* value = get(body, "providers");
  if (!value) return out;
  if (!value->is_array()) return fail("request.invalid", "\"providers\" must be an array");
  const auto directory = read_text(body, "directory", 4096);
  if (!directory) return fail(directory.error());
  for (const Json& item : value->get_array()) {
    auto setting = provider_from_json(item, directory->value_or(std::string()));
    if (!setting) return fail(setting.error());
    out.push_back(std::move(*setting));
  }
  return out;
}

Task<Result<net::Response>> deploy_project(AppContext& app, Call& call) {
  std::vector<std::string_view> keys{"agents", "providers", "functions", "directory"};
  for (const std::string_view key : resource_keys()) keys.push_back(key);
  const auto body = read_object(call.request, std::span<const std::string_view>(keys));
  if (!body) co_return fail(body.error());
  const auto check = call.request.query_parameter("check");
  const bool check_only = check && *check != "0" && *check != "false";
  Deployment deployment;
  auto specs = read_specs(*body);
  if (!specs) co_return fail(specs.error());
  deployment.agents = *std::move(specs);
  auto providers = read_providers(*body);
  if (!providers) co_return fail(providers.error());
  deployment.providers = *std::move(providers);
  if (const Json* functions = get(*body, "functions")) {
    auto uploads = functions_from_json(*functions, check_only ? Code::MayBeAbsent : Code::Required);
    if (!uploads) co_return fail(uploads.error());
    deployment.functions = *std::move(uploads);
  }
  auto resources = resources_from_json(*body);
  if (!resources) co_return fail(resources.error());
  deployment.resources = *std::move(resources);
  if (deployment.agents.empty() && deployment.providers.empty() && deployment.functions.empty() && deployment.resources.empty())
    co_return fail("request.invalid", "there is nothing to deploy; send {\"agents\": […]} (`mayfly deploy` makes it from a mayfly.yaml)");
  JsonArray versions, functions;
  if (check_only) {
    if (auto fine = check_deployment(app, deployment); !fine) co_return fail(fine.error());
    co_return json_response(200, JsonObject{{"agents", std::move(versions)}, {"functions", std::move(functions)}, {"checked", true}});
  }
  auto deployed = co_await deploy(&app, std::move(deployment));
  if (!deployed) co_return fail(deployed.error());
  for (const agent::AgentVersion& version : deployed->agents) versions.push_back(agent_view(version));
  for (const function::ResolvedFunction& function : deployed->functions)
    functions.push_back(function_view(*app.functions->record(function.revision->config.name), *function.revision));
  JsonObject answer{{"agents", std::move(versions)}, {"functions", std::move(functions)}};
  for (const auto& [kind, names] : deployed->resources) answer[kind] = JsonArray(names.begin(), names.end());
  co_return json_response(200, std::move(answer));
}

Task<Result<net::Response>> list_agents(AppContext& app, Call&) {
  JsonArray agents;
  for (const auto& version : app.registry->list()) agents.push_back(agent_view(version));
  co_return json_response(200, JsonObject{{"agents", std::move(agents)}});
}

Task<Result<net::Response>> get_agent(AppContext& app, Call& call) {
  const auto version = app.registry->current(call.parameter("name"));
  if (!version) co_return fail(app.registry->not_found(call.parameter("name")));
  JsonObject out = agent_view(*version);
  out["spec"] = agent::to_json(version->spec);
  co_return json_response(200, std::move(out));
}

Task<Result<net::Response>> remove_agent(AppContext& app, Call& call) {
  auto removed = co_await app.registry->remove(call.parameter("name"));
  if (!removed) co_return fail(removed.error());
  co_return net::Response{204, {}, {}};
}

Task<Result<net::Response>> list_versions(AppContext& app, Call& call) {
  const std::string& name = call.parameter("name");
  const auto current = app.registry->current(name);
  if (!current) co_return fail(app.registry->not_found(name));
  JsonArray versions;
  for (const auto& version : app.registry->versions(name)) {
    JsonObject view = agent_view(version);
    view["current"] = version.version == current->version;
    versions.push_back(std::move(view));
  }
  co_return json_response(200, JsonObject{{"versions", std::move(versions)}});
}

Task<Result<net::Response>> roll_back(AppContext& app, Call& call) {
  const auto body = read_object(call.request, {"version"});
  if (!body) co_return fail(body.error());
  const auto version = read_int(*body, "version", 1, 1'000'000'000);
  if (!version) co_return fail(version.error());
  auto now = co_await app.registry->rollback(call.parameter("name"), *version);
  if (!now) co_return fail(now.error());
  co_return json_response(200, agent_view(*now));
}

}  // namespace

Result<void> check_deployable(const llm::LlmGateway& gateway, const agent::AgentSpec& spec) {
  for (const std::string& model : spec.models)
    if (const auto known = gateway.check_model(model); !known)
      return fail("agent.invalid", "agent '" + spec.name + "': " + known.error().message);
  return {};
}

void add_agent_routes(Router& router) {
  router.add("POST", "/v1/deploy", {{Scope::Deploy}}, deploy_project);
  router.add("GET", "/v1/agents", {{Scope::Read, Scope::Invoke}}, list_agents);
  router.add("GET", "/v1/agents/{name}", {{Scope::Read}}, get_agent);
  router.add("DELETE", "/v1/agents/{name}", {{Scope::Deploy}}, remove_agent);
  router.add("GET", "/v1/agents/{name}/versions", {{Scope::Read}}, list_versions);
  router.add("POST", "/v1/agents/{name}/rollback", {{Scope::Deploy}}, roll_back);
}

}  // namespace mayfly
