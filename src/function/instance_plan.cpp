#include "function/instance_plan.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <set>

#include "base/hash.h"
#include "base/id.h"

namespace mayfly::function {
namespace {

// AWS gives one CPU at this memory; less memory still gets a whole one here, so that starts are quick.
constexpr std::int64_t kMemoryMbOfOneCpu = 1'769;
constexpr std::uint32_t kProcessesMax = 1'024;
constexpr std::uint32_t kOpenFilesMax = 1'024;

using Environment = std::map<std::string, std::string>;

bool is_executable(const std::string& path) {
  std::error_code error;
  return std::filesystem::is_regular_file(path, error) && ::access(path.c_str(), X_OK) == 0;
}

std::string absolute(const std::string& path) {
  std::error_code error;
  const auto out = std::filesystem::absolute(path, error);
  return error ? path : out.lexically_normal().string();
}

std::string random_key(std::size_t bytes) { return to_base64url(secure_random_bytes(bytes)); }

std::string log_stream(const InstancePlace& place) {
  const std::string day = to_rfc3339(place.started);
  return fmt::format("{}/{}/{}/[{}]{}", day.substr(0, 4), day.substr(5, 2), day.substr(8, 2), place.version,
                     to_hex(secure_random_bytes(16)));
}

/// What goes past the proxy. The loopback device inside is the function's own, unless its allow-list means the host's.
std::string no_proxy(const Egress& egress) {
  const bool means_host = std::ranges::any_of(egress.allow, [](const std::string& pattern) {
    return pattern.starts_with("127.") || pattern.starts_with("localhost") || pattern.starts_with("[::1]");
  });
  return means_host ? "127.0.0.2" : "127.0.0.2,127.0.0.1,localhost";
}

/// What the user's configuration may replace.
void add_defaults(Environment& out, const InstancePlan& plan, const Egress& egress, const SupervisorOptions& options, const std::string& address) {
  const std::string key = options.gateway_key_prefix + random_key(24);
  std::string access = to_hex(secure_random_bytes(8));
  std::ranges::transform(access, access.begin(), [](char c) { return c >= 'a' && c <= 'f' ? static_cast<char>(c - 32) : c; });
  out["AWS_ACCESS_KEY_ID"] = "ASIA" + access;
  out["AWS_SECRET_ACCESS_KEY"] = to_base64(secure_random_bytes(30));
  out["AWS_SESSION_TOKEN"] = random_key(48);
  out["AWS_ENDPOINT_URL_LAMBDA"] = "http://" + address;
  out["OPENAI_BASE_URL"] = "http://" + address + "/v1";
  out["OPENAI_API_KEY"] = key;
  out["ANTHROPIC_BASE_URL"] = "http://" + address;
  out["ANTHROPIC_API_KEY"] = key;
  out["LANG"] = "en_US.UTF-8";
  out["TZ"] = ":UTC";
  out["HOME"] = "/tmp";
  out["PATH"] = "/usr/local/bin:/usr/bin:/bin:/opt/bin";
  out["LD_LIBRARY_PATH"] = "/var/runtime:/var/runtime/lib:/var/task:/var/task/lib:/opt/lib";
  if (plan.language == Language::Node) out["NODE_PATH"] = "/opt/nodejs/node_modules:/var/runtime/node_modules:/var/runtime:/var/task";
  if (plan.language == Language::Python) out["PYTHONPATH"] = "/var/runtime";
  if (plan.language == Language::Http) out["PORT"] = std::to_string(kHttpPort);
  if (plan.has_proxy) {
    const std::string proxy = "http://" + std::string(kProxyAddress);
    for (const char* name : {"HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"}) out[name] = proxy;
    for (const char* name : {"NO_PROXY", "no_proxy"}) out[name] = no_proxy(egress);
    out["NODE_USE_ENV_PROXY"] = "1";
  }
}

/// What AWS reserves.
void add_reserved(Environment& out, const InstancePlace& place, const InstancePlan& plan, const std::string& address) {
  const FunctionConfig& config = place.revision->config;
  out["_HANDLER"] = config.handler;
  out["AWS_REGION"] = std::string(kRegion);
  out["AWS_DEFAULT_REGION"] = std::string(kRegion);
  out["AWS_LAMBDA_FUNCTION_NAME"] = config.name;
  out["AWS_LAMBDA_FUNCTION_VERSION"] = place.version;
  out["AWS_LAMBDA_FUNCTION_MEMORY_SIZE"] = std::to_string(config.memory_mb);
  out["AWS_LAMBDA_INITIALIZATION_TYPE"] = place.initialization;
  out["AWS_LAMBDA_LOG_GROUP_NAME"] = "/aws/lambda/" + config.name;
  out["AWS_LAMBDA_LOG_STREAM_NAME"] = log_stream(place);
  out["AWS_LAMBDA_RUNTIME_API"] = address;
  out["LAMBDA_TASK_ROOT"] = "/var/task";
  out["LAMBDA_RUNTIME_DIR"] = "/var/runtime";
  out["MAYFLY_URL"] = "http://" + address;
  if (plan.language == Language::Python || plan.language == Language::Node) out["AWS_EXECUTION_ENV"] = "AWS_Lambda_" + config.runtime;
}

Result<void> add_command(InstancePlan& plan, const FunctionRevision& revision, const SupervisorOptions& options) {
  auto& spec = plan.spec;
  spec.mounts.push_back({.source = absolute(revision.code_directory), .target = "/var/task"});
  spec.directory = "/var/task";
  const std::string bootstrap = revision.code_directory + "/bootstrap";
  const bool needs_bootstrap = plan.language == Language::Native || (plan.language == Language::Http && revision.config.handler.empty());
  if (needs_bootstrap) {
    if (!is_executable(bootstrap)) {
      return fail("function.invalid_entrypoint", "Couldn't find valid bootstrap(s): [/var/task/bootstrap]: the package needs an executable file of that name");
    }
    spec.argv = {"/var/task/bootstrap"};
    if (plan.language == Language::Native) return {};
  }
  // What translates between events and a web server of the function is a Python program itself.
  const bool python = plan.language != Language::Node;
  const auto interpreter = find_interpreter(python ? Language::Python : Language::Node, python && plan.language == Language::Http ? "python3" : revision.config.runtime);
  if (!interpreter) return fail(interpreter.error());
  const std::string folder = absolute(options.runtimes_directory + (python ? "/python" : "/nodejs"));
  if (!std::filesystem::is_directory(folder)) {
    return fail("function.runtime_missing", "Mayfly's own runtime is not installed at " + folder + "; reinstall Mayfly with its runtimes folder.");
  }
  spec.mounts.push_back({.source = folder, .target = "/var/runtime"});
  if (!interpreter->prefix.empty()) spec.mounts.push_back({.source = interpreter->prefix, .target = interpreter->prefix});
  if (plan.language == Language::Http) {
    const std::string command = needs_bootstrap ? "/var/task/bootstrap" : revision.config.handler;
    spec.argv = {interpreter->path, "-s", "/var/runtime/http_adapter.py", command};
  } else if (python) {
    spec.argv = {interpreter->path, "-s", "/var/runtime/bootstrap.py"};
  } else {
    const auto heap_mb = std::max<std::int64_t>(revision.config.memory_mb * 9 / 10, 64);
    spec.argv = {interpreter->path, fmt::format("--max-old-space-size={}", heap_mb), "/var/runtime/bootstrap.mjs"};
  }
  return {};
}

void add_zygote(InstancePlan& plan, const FunctionRevision& revision, const SupervisorOptions& options) {
  const std::string script = options.runtimes_directory + "/python/zygote.py";
  if (plan.language != Language::Python || !std::filesystem::exists(script)) return;
  std::string preload;
  const std::set<std::string> modules(revision.config.preload.begin(), revision.config.preload.end());
  for (const auto& module : modules) preload += (preload.empty() ? "" : ",") + module;
  sandbox::ZygoteSpec zygote;
  zygote.name = plan.spec.argv.front() + "/" + preload;
  zygote.argv = {plan.spec.argv.front(), "-s", "/var/runtime/zygote.py"};
  zygote.environment = {"MAYFLY_PRELOAD=" + preload, "PATH=/usr/local/bin:/usr/bin:/bin", "LANG=en_US.UTF-8", "TZ=:UTC"};
  for (const auto& mount : plan.spec.mounts) {
    if (mount.target != "/var/task") zygote.mounts.push_back(mount);
  }
  plan.spec.zygote = zygote.name;
  plan.zygote = std::move(zygote);
}

}  // namespace

Result<InstancePlan> plan_instance(const InstancePlace& place, const SupervisorOptions& options) {
  const FunctionConfig& config = place.revision->config;
  const auto language = language_of(config.runtime);
  if (!language) return fail(language.error());
  InstancePlan plan;
  plan.language = *language;
  plan.spec.id = place.id;
  plan.has_proxy = config.egress.mode != Egress::Mode::None;
  plan.allow = config.egress.mode == Egress::Mode::Open ? std::vector<std::string>{"*:*"} : config.egress.allow;
  plan.spec.listen = {std::string(kRuntimeApiAddress)};
  if (plan.has_proxy) plan.spec.listen.emplace_back(kProxyAddress);
  plan.spec.hostname = "mayfly";
  plan.spec.without = options.without_layers;
  plan.spec.required = options.required_layers;
  // Its own loopback is what makes the Runtime API's socket an identity: without it another process could answer for this function.
  plan.spec.required.insert(sandbox::Layer::NetNamespace);
  auto& limits = plan.spec.limits;
  limits.memory_bytes_max = static_cast<std::uint64_t>(config.memory_mb) << 20;
  limits.tmp_bytes_max = static_cast<std::uint64_t>(config.tmp_mb) << 20;
  limits.file_bytes_max = std::max(limits.tmp_bytes_max, limits.file_bytes_max);
  limits.cpu_milli_max = static_cast<std::uint32_t>(std::max<std::int64_t>(1'000, config.memory_mb * 1'000 / kMemoryMbOfOneCpu));
  limits.processes_max = kProcessesMax;
  limits.open_files_max = kOpenFilesMax;
  if (auto added = add_command(plan, *place.revision, options); !added) return fail(added.error());
  // A zygote's copies are made with all namespaces at once: where one is left out, the interpreter is started anew.
  if (options.without_layers.empty()) add_zygote(plan, *place.revision, options);

  const std::string address(kRuntimeApiAddress);
  Environment environment;
  add_defaults(environment, plan, config.egress, options, address);
  for (const auto& [name, value] : config.environment) environment[name] = value;
  add_reserved(environment, place, plan, address);
  for (const auto& [name, value] : environment) plan.spec.environment.push_back(name + "=" + value);
  return plan;
}

}  // namespace mayfly::function
