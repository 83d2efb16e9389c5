#include "server/app.h"

#include <fcntl.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "base/hash.h"
#include "base/log.h"
#include "blob/fs_blob_store.h"
#include "function/function_registry.h"
#include "function/secret_box.h"
#include "server/a2a/a2a_routes.h"
#include "server/api.h"
#include "server/auth.h"
#include "server/aws_target.h"
#include "server/deployment.h"
#include "server/faces/faces.h"
#include "server/function_host.h"
#include "server/lambda/lambda_api.h"
#include "server/event_host.h"
#include "server/http_triggers/http_triggers.h"
#include "server/mcp/agent_tools.h"
#include "server/mcp/mcp_endpoint.h"
#include "server/mcp/task_program.h"
#include "server/metrics.h"
#include "server/oauth/oauth.h"
#include "server/program_mux.h"
#include "server/providers.h"
#include "server/webdav/webdav.h"
#include "server/workspaces/workspace_host.h"
#include "store/sqlite_store.h"
#include "telemetry/run_spans.h"

namespace mayfly {
namespace {

constexpr Millis kTraceGrace{2'000};
constexpr Millis kFunctionGrace{1'000};

/// The built-in prices, with the operator's in front.
Result<llm::PriceTable> load_prices(const std::string& file) {
  if (file.empty()) return llm::PriceTable::built_in();
  std::ifstream in(file);
  std::stringstream text;
  text << in.rdbuf();
  if (!in) return fail("prices.invalid", "cannot read the price file " + file);
  auto own = llm::PriceTable::parse(text.str());
  if (!own) return fail("prices.invalid", file + ": " + own.error().message);
  return llm::PriceTable::built_in().overlaid_with(*own);
}

/// A file that only its owner can read, from its first moment on.
Result<void> write_private_file(const std::string& path, std::string_view text) {
  ::unlink(path.c_str());
  const int file = ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (file < 0) return fail("server.admin_key", "cannot write " + path + "; make the data directory writable");
  const bool written = ::write(file, text.data(), text.size()) == static_cast<ssize_t>(text.size()) && ::fsync(file) == 0;
  ::close(file);
  if (!written) return fail("server.admin_key", "cannot write " + path + "; is the disk full?");
  return {};
}

}  // namespace

struct App::Parts {
  Parts(Executor executor_, ServerConfig config_)
      : executor(executor_),
        config(std::move(config_)),
        clock(executor),
        random(make_system_random()),
        tasks(executor),
        context{.executor = executor},
        router(context) {}

  Task<Result<void>> open_storage();
  Task<Result<void>> open_functions();
  Task<Result<void>> open_models();
  Task<Result<void>> open_engine();
  Task<Result<void>> ensure_admin_key();
  Task<Result<void>> deploy_project(App* app);
  Result<void> listen();
  Task<> close();

  const Executor executor;
  ServerConfig config;
  SystemClock clock;
  SeededRandom random;
  CancelSource stopping;
  TaskGroup tasks;
  AppContext context;
  Router router;
  // Each is made of those above it; destroyed in the opposite order.
  std::unique_ptr<Store> store;
  std::unique_ptr<BlobStore> blobs;
  std::optional<function::SecretBox> secrets;
  std::unique_ptr<function::FunctionRegistry> functions;
  std::unique_ptr<net::HttpClient> http;
  std::unique_ptr<KeyRing> keys;
  std::unique_ptr<ProviderSettings> providers;
  std::unique_ptr<llm::LlmGateway> gateway;
  std::unique_ptr<telemetry::TraceExporter> exporter;
  std::unique_ptr<telemetry::RunObserver> observer;
  std::unique_ptr<ServerMetrics> metrics;
  std::unique_ptr<agent::AgentRegistry> registry;
  std::shared_ptr<a2a::PushNotifier> a2a_push;
  std::unique_ptr<OAuthServer> oauth;
  ProgramMux programs;
  std::unique_ptr<FunctionHost> function_host;
  std::unique_ptr<EventHost> events;
  std::unique_ptr<WorkspaceHost> workspaces;
  std::unique_ptr<McpTaskPrograms> mcp_tasks;
  std::unique_ptr<McpEndpoint> mcp;
  std::unique_ptr<agent::OwnTools> own_tools;
  std::unique_ptr<agent::AgentSteps> steps;
  std::unique_ptr<engine::Engine> engine;
  std::unique_ptr<agent::AgentService> service;
  std::unique_ptr<net::HttpServer> server;
  bool made_admin_key = false;
  bool is_open = false;
};

App::App(Executor executor, ServerConfig config) : parts_(std::make_unique<Parts>(executor, std::move(config))) {
  AppContext& context = parts_->context;
  context.config = &parts_->config;
  context.clock = &parts_->clock;
  context.random = &parts_->random;
  context.tasks = &parts_->tasks;
  context.stopping = parts_->stopping.token();
  context.download_key = secure_random_bytes(32);
  add_agent_routes(parts_->router);
  add_function_routes(parts_->router);
  add_queue_routes(parts_->router);
  add_schedule_routes(parts_->router);
  add_trigger_routes(parts_->router);
  add_workflow_routes(parts_->router);
  add_run_routes(parts_->router);
  add_event_routes(parts_->router);
  add_key_routes(parts_->router);
  add_workspace_routes(parts_->router);
  add_webdav_routes(parts_->router);
  add_ops_routes(parts_->router);
  lambda::add_lambda_routes(parts_->router);
  add_aws_routes(parts_->router);
  add_http_triggers(parts_->router, context);
  parts_->a2a_push = a2a::add_a2a_routes(parts_->router);
  parts_->oauth = add_oauth_routes(parts_->router, context);
  parts_->mcp = add_mcp_routes(parts_->router, context);
}

App::~App() = default;

Task<Result<void>> App::Parts::open_storage() {
  SqliteStoreOptions options;
  options.directory = config.data_dir;
  options.view_sql = engine::view_sql();
  auto opened = open_sqlite_store(executor, std::move(options));
  if (!opened) co_return fail(opened.error());
  store = std::move(*opened);
  auto opened_blobs = open_fs_blob_store(executor, {.directory = config.data_dir + "/blobs"});
  if (!opened_blobs) co_return fail(opened_blobs.error());
  blobs = std::move(*opened_blobs);
  if (auto loaded = co_await open_functions(); !loaded) co_return loaded;
  keys = std::make_unique<KeyRing>(*store, clock, &*secrets);
  if (auto loaded = co_await keys->load(); !loaded) co_return loaded;
  context.store = store.get();
  context.keys = keys.get();
  co_return co_await ensure_admin_key();
}

/// Their key first: API keys are sealed with the same.
Task<Result<void>> App::Parts::open_functions() {
  function::FunctionRegistry::Dependencies deps{.store = store.get(), .blobs = blobs.get(), .clock = &clock, .random = &random};
  deps.directory = std::filesystem::absolute(config.data_dir).string();  // mounted into sandboxes
  deps.changed = [this](const std::string& name, std::int64_t revision) {
    if (function_host) function_host->changed(name, revision);
  };
  functions = std::make_unique<function::FunctionRegistry>(std::move(deps));
  if (auto loaded = co_await functions->load(); !loaded) co_return loaded;
  auto opened = function::SecretBox::open(config.data_dir + "/function.key", function::SecretBox::IfMissing::Fail);
  if (!opened) co_return fail(opened.error());
  secrets = std::move(*opened);
  co_return Result<void>{};
}

Task<Result<void>> App::Parts::ensure_admin_key() {
  if (keys->has_admin()) co_return Result<void>{};
  auto created = co_await keys->create("admin (made by the first start)", {Scope::Admin}, std::nullopt);
  if (!created) co_return fail(created.error());
  auto written = write_private_file(config.data_dir + "/admin.key", created->text + "\n");
  if (!written) co_return written;
  made_admin_key = true;
  co_return Result<void>{};
}

Task<Result<void>> App::Parts::open_models() {
  http = net::make_http_client(executor, clock);
  auto otlp = config.otlp.enabled() ? Result<telemetry::OtlpOptions>(config.otlp) : telemetry::otlp_options_from(config.environment);
  if (!otlp) co_return fail(otlp.error());
  exporter = std::make_unique<telemetry::TraceExporter>(executor, clock, random, *http, std::move(*otlp));
  observer = std::make_unique<telemetry::RunObserver>(executor, *exporter);
  metrics = std::make_unique<ServerMetrics>(context, *exporter);
  context.metrics = metrics.get();
  providers = std::make_unique<ProviderSettings>(*store, config);
  if (auto loaded = co_await providers->load(); !loaded) co_return loaded;
  auto prices = load_prices(config.price_file);
  if (!prices) co_return fail(prices.error());
  auto made = llm::make_gateway({executor, &clock, &random, http.get(), *prices}, std::vector<llm::ProviderConfig>());
  if (!made) co_return fail(made.error());
  gateway = std::move(*made);
  for (const std::string& problem : providers->apply(gateway.get())) log::warn("a provider cannot be used", {{"error", problem}});
  registry = std::make_unique<agent::AgentRegistry>(*store, clock, *prices);
  context.http = http.get();
  context.providers = providers.get();
  context.gateway = gateway.get();
  context.registry = registry.get();
  if (auto opened = co_await oauth->open(); !opened) co_return opened;
  co_return co_await registry->load();
}

Task<Result<void>> App::Parts::open_engine() {
  agent::ServiceDependencies deps{.executor = executor};
  deps.store = store.get();
  deps.clock = &clock;
  deps.random = &random;
  deps.gateway = gateway.get();
  deps.http = http.get();
  deps.registry = registry.get();
  deps.environment = config.environment;
  steps = agent::make_agent_steps(deps);
  own_tools = make_agent_own_tools(context);
  steps->use_own_tools(*own_tools);
  if (config.functions.enabled) {
    function_host = std::make_unique<FunctionHost>(context, *functions, *registry);
    if (auto opened = co_await function_host->open(); !opened) co_return opened;
  }
  programs.add({"", registry.get(), steps.get()});
  if (function_host) programs.add({std::string(function::kProgramPrefix), &function_host->programs(), &function_host->programs()});
  mcp_tasks = make_mcp_task_programs(context);
  programs.add({std::string(kMcpPrefix), mcp_tasks.get(), mcp_tasks.get()});
  engine::EngineDependencies engine_deps{.executor = executor,
                                         .store = store.get(),
                                         .blobs = blobs.get(),
                                         .clock = &clock,
                                         .random = &random,
                                         .programs = &programs,
                                         .steps = &programs};
  events = std::make_unique<EventHost>(context, *blobs, *secrets, programs);
  engine_deps.deliver = [this](std::string id, Json message) { return events->message(std::move(id), std::move(message)); };
  workspaces = std::make_unique<WorkspaceHost>(context);
  engine_deps.run_ended = [this](const std::string& run) {
    workspaces->run_ended(run);
    if (exporter->enabled()) observer->run_ended(run);
  };
  engine = engine::make_engine(std::move(engine_deps), {});
  observer->start(*engine);
  steps->attach(*engine);
  if (function_host) function_host->attach(*engine, *steps);
  service = agent::make_agent_service(std::move(deps), *engine);
  context.engine = engine.get();
  context.service = service.get();
  auto faces = add_face_routes(router, context);
  if (function_host) function_host->use_faces(std::move(faces));
  if (auto taken = co_await engine->take_leases(); !taken) co_return taken;
  if (auto opened = co_await events->open(*engine); !opened) co_return opened;
  if (auto opened = co_await workspaces->open(*engine); !opened) co_return opened;
  if (auto opened = co_await engine->open(); !opened) co_return opened;
  if (auto opened = co_await mcp->open(); !opened) co_return opened;
  co_return co_await a2a_push->open();
}

Task<Result<void>> App::Parts::deploy_project(App* app) {
  if (config.project.empty()) co_return Result<void>{};
  auto project = agent::load_project(config.project);
  if (!project) {
    std::string all;
    for (const agent::SpecProblem& problem : project.error()) all += (all.empty() ? "" : "\n") + problem.where + ": " + problem.message;
    co_return fail("project.invalid", std::move(all));
  }
  auto deployed = co_await app->deploy(std::move(*project));
  if (!deployed) co_return fail(deployed.error());
  co_return Result<void>{};
}

Result<void> App::Parts::listen() {
  net::ServerOptions options;
  options.address = config.address;
  options.port = config.port;
  options.body_bytes_max = config.body_bytes_max;
  options.header_bytes_max = config.header_bytes_max;
  options.connections_max = config.connections_max;
  options.body_policy = [bytes_max = config.body_bytes_max](const net::Request& head) {
    if (const auto policy = workspace_body_policy(head)) return *policy;
    if (const auto policy = webdav_body_policy(head)) return *policy;
    return lambda::body_policy(head, bytes_max);
  };
  server = net::make_http_server(executor, clock, std::move(options),
                                 [this](net::Request& request, net::Responder& responder) { return router.handle(request, responder); });
  if (auto listening = server->listen(); !listening) return listening;
  context.server = server.get();
  context.ready = true;
  if (function_host) function_host->warm_provisioned();
  return {};
}

Task<Result<void>> App::start() {
  Parts& parts = *parts_;
  parts.is_open = true;
  auto done = co_await parts.open_storage();
  if (done) done = co_await parts.open_models();
  if (done) done = co_await parts.open_engine();
  if (done) done = co_await parts.deploy_project(this);
  if (done) done = parts.listen();
  if (!done) {
    co_await parts.close();
    co_return done;
  }
  if (!parts.config.is_loopback())
    log::warn("the API is reachable from other machines without TLS; put a reverse proxy with TLS in front",
              {{"address", parts.config.address}});
  log::info("listening", {{"url", url()}, {"data", parts.config.data_dir}, {"agents", parts.registry->list().size()}});
  co_return Result<void>{};
}

Task<> App::stop() {
  if (!parts_->is_open) co_return;
  log::info("stopping; running steps get some time to end", {{"grace", to_human(parts_->config.shutdown_grace)}});
  co_await parts_->close();
  log::info("stopped");
}

Task<> App::Parts::close() {
  if (!std::exchange(is_open, false)) co_return;
  context.ready = false;
  const auto deadline = clock.monotonic() + config.shutdown_grace;
  stopping.cancel();
  if (mcp) co_await mcp->stop();
  if (server) co_await server->stop(config.shutdown_grace);
  if (workspaces) co_await workspaces->stop();
  const auto left = std::chrono::ceil<Millis>(deadline - clock.monotonic());
  if (events) co_await events->stop(std::max(left, Millis{0}));
  const auto still_left = std::chrono::ceil<Millis>(deadline - clock.monotonic());
  if (engine) co_await engine->stop(std::max(still_left, Millis{0}));
  if (workspaces) co_await workspaces->close();
  if (events) co_await events->close();
  if (function_host) co_await function_host->stop(kFunctionGrace);
  if (observer) co_await observer->stop();
  if (exporter) co_await exporter->stop(kTraceGrace);
  co_await tasks.join();
  if (store) co_await store->close();
}

Task<Result<std::vector<agent::AgentVersion>>> App::deploy(agent::Project project) {
  auto deployment = deployment_of(std::move(project));
  if (!deployment) co_return fail(deployment.error());
  deployment->keep_pins = true;
  auto deployed = co_await mayfly::deploy(&parts_->context, *std::move(deployment));
  if (!deployed) co_return fail(deployed.error());
  co_return std::move(deployed->agents);
}

std::uint16_t App::port() const { return parts_->server ? parts_->server->port() : 0; }

std::string App::url() const {
  const std::string& address = parts_->config.address;
  const bool is_v6 = address.find(':') != std::string::npos;
  const std::string host = address == "0.0.0.0" ? "127.0.0.1" : address == "::" ? "[::1]" : is_v6 ? "[" + address + "]" : address;
  return "http://" + host + ":" + std::to_string(port());
}

std::string App::admin_key_path() const { return parts_->config.data_dir + "/admin.key"; }
bool App::made_admin_key() const { return parts_->made_admin_key; }
AppContext& App::context() { return parts_->context; }
Router& App::router() { return parts_->router; }

}  // namespace mayfly
