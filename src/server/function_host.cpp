#include "server/function_host.h"

#include <filesystem>

#include "agent/service.h"
#include "base/log.h"
#include "function/runtimes.h"
#include "server/lambda/lambda_api.h"
#include "server/targets.h"

namespace mayfly {
namespace {

/// Stands in where there is no sandbox: says why.
class NoSandbox final : public sandbox::Sandbox {
 public:
  explicit NoSandbox(Error why) : why_(std::move(why)) {}
  std::vector<sandbox::LayerState> layers() const override {
    std::vector<sandbox::LayerState> out;
    for (const sandbox::Layer layer : sandbox::all_layers()) out.push_back({layer, false, why_.message});
    return out;
  }
  Task<Result<std::unique_ptr<sandbox::SandboxProcess>>> launch(sandbox::SandboxSpec) override { co_return fail(why_); }
  Task<Result<void>> add_zygote(sandbox::ZygoteSpec) override { co_return fail(why_); }
  void remove_zygote(const std::string&) override {}
  Task<> stop() override { co_return; }

 private:
  Error why_;
};

Result<sandbox::Layers> layers_of(const std::vector<std::string>& names) {
  sandbox::Layers out;
  for (const std::string& name : names) {
    const auto layer = sandbox::layer_from_string(name);
    if (layer) {
      out.insert(*layer);
      continue;
    }
    std::string known;
    for (const sandbox::Layer each : sandbox::all_layers()) known += (known.empty() ? "" : ", ") + std::string(sandbox::to_string(each));
    return fail("server.config", "the sandbox has no layer '" + name.substr(0, 60) + "'; there are " + known);
  }
  return out;
}

/// With versions only: what an alias provisions is that of its version.
function::ConcurrencySettings concurrency_of(const function::FunctionRegistry& functions, const std::string& name) {
  const function::FunctionRecord* record = functions.record(name);
  if (!record) return {};
  function::ConcurrencySettings out{record->concurrency.reserved, {}};
  for (const auto& [qualifier, count] : record->concurrency.provisioned) {
    const auto alias = record->aliases.find(qualifier);
    out.provisioned[alias == record->aliases.end() ? qualifier : alias->second.version] += count;
  }
  return out;
}

}  // namespace

struct FunctionHost::Parts {
  Parts(AppContext& app, function::FunctionRegistry& the_functions, agent::AgentRegistry& the_agents)
      : context(app), functions(the_functions), agents(the_agents) {}

  AppContext& context;
  function::FunctionRegistry& functions;
  agent::AgentRegistry& agents;
  std::unique_ptr<sandbox::Sandbox> sandbox;
  std::unique_ptr<function::Supervisor> supervisor;
  std::unique_ptr<function::FunctionPrograms> programs;
  std::unique_ptr<function::FunctionService> service;
  std::unique_ptr<function::DurableService> durable;
  std::shared_ptr<faces::FaceState> faces;

  Task<> open_sandbox();
  void make_supervisor(function::SupervisorOptions options);
  function::FunctionServiceDependencies dependencies();
};

FunctionHost::FunctionHost(AppContext& context, function::FunctionRegistry& functions, agent::AgentRegistry& agents)
    : parts_(std::make_unique<Parts>(context, functions, agents)) {}
FunctionHost::~FunctionHost() = default;

Task<> FunctionHost::Parts::open_sandbox() {
  sandbox::JailerOptions options;
  options.jailer = context.config->functions.jailer;
  auto made = co_await sandbox::make_jailer_sandbox(context.executor, *context.clock, std::move(options));
  if (made) {
    sandbox = std::move(*made);
    context.sandbox = sandbox.get();
    co_return;
  }
  log::warn("functions cannot run on this machine; everything else works", {{"code", made.error().code}, {"error", made.error().message}});
  sandbox = std::make_unique<NoSandbox>(made.error());
  context.sandbox = sandbox.get();  // says why
}

void FunctionHost::Parts::make_supervisor(function::SupervisorOptions options) {
  function::SupervisorDependencies deps{.executor = context.executor, .clock = context.clock, .random = context.random};
  deps.sandbox = sandbox.get();
  deps.concurrency = [this](const std::string& name) { return concurrency_of(functions, name); };
  deps.platform = [this](function::InstanceIdentity identity, net::Request& request, net::Responder& responder) {
    return lambda::serve_instance(&context, faces, std::move(identity), &request, &responder);
  };
  supervisor = function::make_supervisor(std::move(deps), std::move(options));
  context.supervisor = supervisor.get();
}

function::FunctionServiceDependencies FunctionHost::Parts::dependencies() {
  function::FunctionServiceDependencies out{.executor = context.executor, .clock = context.clock, .random = context.random};
  out.registry = &functions;
  out.supervisor = supervisor.get();
  out.agent_start = [this](const std::string& name, const Json& payload) { return agent_start_of_payload(agents, name, payload); };
  return out;
}

Task<Result<void>> FunctionHost::open() {
  const FunctionSettings& settings = parts_->context.config->functions;
  function::SupervisorOptions options;
  auto required = layers_of(settings.sandbox_require), without = layers_of(settings.sandbox_without);
  if (!required) co_return fail(required.error());
  if (!without) co_return fail(without.error());
  options.required_layers = std::move(*required);
  options.without_layers = std::move(*without);
  options.runtimes_directory = settings.runtimes_dir.empty() ? function::runtimes_directory() : settings.runtimes_dir;
  options.log_directory = std::filesystem::absolute(parts_->context.config->data_dir) / "logs";
  options.instances_max = settings.instances_max;
  options.idle_timeout = settings.idle_timeout;
  co_await parts_->open_sandbox();
  parts_->make_supervisor(std::move(options));
  parts_->programs = function::make_function_programs(parts_->dependencies());
  co_return Result<void>{};
}

function::FunctionPrograms& FunctionHost::programs() { return *parts_->programs; }

void FunctionHost::attach(engine::Engine& engine, agent::AgentSteps& agents) {
  parts_->programs->attach(engine);
  parts_->service = function::make_function_service(parts_->dependencies(), engine);
  parts_->durable = function::make_durable_service(parts_->dependencies(), engine);
  agents.use_functions(*parts_->service);
  AppContext& context = parts_->context;
  context.functions = &parts_->functions;
  context.function_service = parts_->service.get();
  context.durable = parts_->durable.get();
}

void FunctionHost::use_faces(std::shared_ptr<faces::FaceState> faces) { parts_->faces = std::move(faces); }

void FunctionHost::warm_provisioned() {
  for (const function::FunctionRecord* record : parts_->functions.list())
    for (const auto& [version, count] : concurrency_of(parts_->functions, record->name).provisioned)
      if (const auto found = parts_->functions.resolve({record->name, version})) parts_->supervisor->warm(found->revision, found->version);
}

void FunctionHost::changed(const std::string& function, std::int64_t revision) {
  if (parts_->supervisor) parts_->supervisor->changed(function, revision);
}

Task<> FunctionHost::stop(Millis grace) {
  if (parts_->supervisor) co_await parts_->supervisor->stop(grace);
  if (parts_->sandbox) co_await parts_->sandbox->stop();
}

}  // namespace mayfly
