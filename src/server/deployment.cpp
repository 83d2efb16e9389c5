#include "server/mcp/agent_tools.h"
#include "server/deployment.h"

#include <algorithm>
#include <filesystem>

#include "server/api.h"
#include "server/providers.h"

namespace mayfly {
namespace {

constexpr std::size_t kUrlIdLength = 32;

std::unexpected<Error> no_functions() {
  return fail("function.unavailable", "this server runs no functions; enable them in its configuration and start it again", Retry::Never);
}

std::string provider_of(std::string_view model) { return std::string(model.substr(0, model.find('/'))); }

Result<void> check_models(const AppContext& app, const Deployment& deployment, const agent::AgentSpec& spec) {
  for (const std::string& model : spec.models) {
    const bool is_new = std::ranges::any_of(deployment.providers,
                                            [&](const ProviderSetting& setting) { return setting.config.name == provider_of(model); });
    if (is_new) continue;
    if (const auto known = app.gateway->check_model(model); !known)
      return fail("agent.invalid", "agent '" + spec.name + "': " + known.error().message);
  }
  return {};
}

Result<void> check_tools(const AppContext& app, const Deployment& deployment, const agent::AgentSpec& spec) {
  for (const agent::ToolSpec& tool : spec.tools) {
    if (tool.kind != agent::ToolSpec::Kind::Function) continue;
    const std::string where = "agent '" + spec.name + "', tool '" + tool.name + "': ";
    const auto* config = tool.config.if_object();
    const auto ref = function::parse_function_ref(config ? get_string(*config, "function") : std::string());
    if (!ref) return fail("agent.invalid", where + ref.error().message);
    if (!app.functions) return no_functions();
    const bool comes = ref->qualifier.empty() && std::ranges::any_of(deployment.functions, [&](const FunctionUpload& upload) {
                         return upload.spec.config.name == ref->name;
                       });
    if (!comes && !app.functions->resolve(*ref))
      return fail("agent.invalid", where + "the function '" + ref->name + (ref->qualifier.empty() ? "" : ":" + ref->qualifier) +
                                       "' is not deployed; deploy it first, or add it under `functions`");
  }
  return {};
}

std::string make_url_id(Random& random) {
  static constexpr std::string_view kDigits = "abcdefghijklmnopqrstuvwxyz0123456789";
  std::string out;
  while (out.size() < kUrlIdLength) out += kDigits[random.below(kDigits.size())];
  return out;
}

bool same(const function::AsyncConfig& a, const function::AsyncConfig& b) {
  return a.retries_max == b.retries_max && a.age_max == b.age_max && a.on_success == b.on_success && a.on_failure == b.on_failure;
}

/// The record as the specification wants it; nothing when it is so already.
std::optional<function::FunctionRecord> settled(const function::FunctionRecord& record, const agent::FunctionSpec& spec, AppContext& app) {
  const std::string latest(function::kLatest);
  function::FunctionRecord out = record;
  bool changed = out.concurrency.reserved != spec.reserved;
  out.concurrency.reserved = spec.reserved;
  const auto provisioned = out.concurrency.provisioned.find(latest);
  if ((provisioned == out.concurrency.provisioned.end() ? 0 : provisioned->second) != spec.provisioned) {
    changed = true;
    out.concurrency.provisioned.erase(latest);
    if (spec.provisioned > 0) out.concurrency.provisioned[latest] = spec.provisioned;
  }
  const auto async = out.async.find(latest);
  if ((async != out.async.end()) != spec.async.has_value() || (spec.async && !same(async->second, *spec.async))) {
    changed = true;
    out.async.erase(latest);
    if (spec.async) out.async[latest] = *spec.async;
  }
  const auto url = out.urls.find("");
  if (!spec.url) {
    changed |= out.urls.erase("") > 0;
  } else if (url == out.urls.end()) {
    changed = true;
    out.urls[""] = {.id = make_url_id(*app.random),
                    .qualifier = "",
                    .needs_iam = spec.url->needs_iam,
                    .streams = spec.url->streams,
                    .cors = nullptr,
                    .created = app.clock->now(),
                    .modified = app.clock->now()};
  } else if (url->second.needs_iam != spec.url->needs_iam || url->second.streams != spec.url->streams) {
    changed = true;
    url->second.needs_iam = spec.url->needs_iam;
    url->second.streams = spec.url->streams;
    url->second.modified = app.clock->now();
  }
  return changed ? std::optional(std::move(out)) : std::nullopt;
}

}  // namespace

Result<void> check_deployment(const AppContext& app, const Deployment& deployment) {
  if (!deployment.functions.empty() && !app.functions) return no_functions();
  for (const agent::AgentSpec& spec : deployment.agents) {
    if (auto fine = check_models(app, deployment, spec); !fine) return fine;
    if (auto fine = check_tools(app, deployment, spec); !fine) return fine;
  }
  return {};
}

Task<Result<function::ResolvedFunction>> deploy_function(AppContext* app, agent::FunctionSpec spec,
                                                         std::optional<function::CodePackage> code) {
  if (!app->functions) co_return no_functions();
  const std::string name = spec.config.name;
  // What this form does not say stays as other clients set it.
  if (const auto known = app->functions->resolve({name, {}})) {
    spec.config.role = known->revision->config.role;
    spec.config.dead_letter_arn = known->revision->config.dead_letter_arn;
  }
  auto deployed = code ? co_await app->functions->deploy(spec.config, *std::move(code))
                       : co_await app->functions->update_config(spec.config, std::string());
  if (!deployed) co_return deployed;
  if (const auto* record = app->functions->record(name); record && settled(*record, spec, *app)) {
    auto changed = co_await app->functions->change(name, [&](function::FunctionRecord& now) -> Result<void> {
      if (auto wanted = settled(now, spec, *app)) now = *std::move(wanted);
      return {};
    });
    if (!changed) co_return fail(changed.error());
  }
  co_return app->functions->resolve({name, {}});
}

Task<Result<Deployed>> deploy(AppContext* app, Deployment deployment) {
  if (auto fine = check_deployment(*app, deployment); !fine) co_return fail(fine.error());
  if (auto done = co_await app->providers->deploy(std::move(deployment.providers), app->gateway); !done) co_return fail(done.error());
  for (const agent::AgentSpec& spec : deployment.agents)
    if (const auto checked = check_deployable(*app->gateway, spec); !checked) co_return fail(checked.error());
  Deployed out;
  for (FunctionUpload& upload : deployment.functions) {
    const std::string name = upload.spec.config.name;
    auto function = co_await deploy_function(app, std::move(upload.spec), std::move(upload.code));
    if (!function) co_return fail({function.error().code, "function '" + name + "': " + function.error().message, function.error().retry});
    out.functions.push_back(*std::move(function));
  }
  for (agent::AgentSpec& spec : deployment.agents) {
    if (auto pinned = co_await pin_mcp_tools(app, &spec, deployment.keep_pins ? Pins::Keep : Pins::Renew); !pinned)
      co_return fail({pinned.error().code, "agent '" + spec.name + "': " + pinned.error().message, pinned.error().retry});
    auto version = co_await app->registry->deploy(std::move(spec));
    if (!version) co_return fail(version.error());
    out.agents.push_back(*std::move(version));
  }
  auto resources = co_await deploy_resources(app, std::move(deployment.resources));
  if (!resources) co_return fail(resources.error());
  out.resources = *std::move(resources);
  co_return out;
}

agent::FunctionSpec spec_of(const function::FunctionRecord& record, const function::FunctionRevision& revision) {
  const std::string latest(function::kLatest);
  agent::FunctionSpec out;
  out.config = revision.config;
  out.reserved = record.concurrency.reserved;
  if (const auto found = record.concurrency.provisioned.find(latest); found != record.concurrency.provisioned.end())
    out.provisioned = found->second;
  if (const auto found = record.async.find(latest); found != record.async.end()) out.async = found->second;
  if (const auto found = record.urls.find(""); found != record.urls.end())
    out.url = agent::FunctionUrlSpec{.needs_iam = found->second.needs_iam, .streams = found->second.streams};
  return out;
}

Result<Deployment> deployment_of(agent::Project project) {
  Deployment out;
  for (std::size_t i = 0; i < project.providers.size(); ++i) {
    llm::ProviderConfig config = std::move(project.providers[i]);
    config.api_key.clear();
    if (!config.script_path.empty() && std::filesystem::path(config.script_path).is_relative())
      config.script_path = (std::filesystem::path(project.directory) / config.script_path).lexically_normal().string();
    out.providers.push_back({std::move(config), i < project.provider_key_env.size() ? project.provider_key_env[i] : std::string()});
  }
  for (agent::FunctionSpec& spec : project.functions) {
    auto code = function::pack_folder(spec.code_folder);
    if (!code) return fail({code.error().code, "function '" + spec.config.name + "': " + code.error().message, code.error().retry});
    out.functions.push_back({std::move(spec), *std::move(code)});
  }
  out.agents = std::move(project.agents);
  out.resources = std::move(project.resources);
  return out;
}

}  // namespace mayfly
