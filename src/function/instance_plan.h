#pragma once

#include <optional>
#include <string>

#include "function/runtimes.h"
#include "function/supervisor.h"

namespace mayfly::function {

/// Who a process will be.
struct InstancePlace {
  std::string id;
  std::shared_ptr<const FunctionRevision> revision;
  std::string version;
  std::string initialization = "on-demand";  ///< AWS_LAMBDA_INITIALIZATION_TYPE
  TimePoint started{};
};

/// How to start it.
struct InstancePlan {
  sandbox::SandboxSpec spec;
  std::optional<sandbox::ZygoteSpec> zygote;  ///< when set, `spec.zygote` names it; `spec.argv` works without
  Language language = Language::Native;
  bool has_proxy = false;          ///< the second listener is the egress proxy's
  std::vector<std::string> allow;  ///< its patterns
};

/// Addresses inside every network namespace.
inline constexpr std::string_view kRuntimeApiAddress = "127.0.0.2:9001";
inline constexpr std::string_view kProxyAddress = "127.0.0.3:3128";
/// Where the web server of an "http" function listens.
inline constexpr std::uint16_t kHttpPort = 8080;

/// Nobody shares the host's network: whoever did could speak for the functions beside it. `Egress::Mode::Open` is a proxy to all
/// public hosts and ports. Environment, mounts, limits and command as AWS documents them
/// (https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html). Credentials are made up for each process.
/// Errors: `function.unknown_runtime`, `function.runtime_missing`, `function.invalid_entrypoint` (the package has no such program: the
/// function's fault).
Result<InstancePlan> plan_instance(const InstancePlace& place, const SupervisorOptions& options);

}  // namespace mayfly::function
