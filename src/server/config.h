#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/time.h"
#include "llm/gateway.h"
#include "telemetry/otlp.h"

namespace mayfly {

/// The value of an environment variable, or nothing. Tests give their own.
using Environment = std::function<std::optional<std::string>(std::string_view name)>;
Environment process_environment();

/// A provider without its key: what is stored, shown and sent. The key is read from the variable `api_key_env`.
struct ProviderSetting {
  llm::ProviderConfig config;  ///< `api_key` stays empty here
  std::string api_key_env;     ///< name of the environment variable, or empty
};

/// How functions run.
struct FunctionSettings {
  bool enabled = true;
  Millis idle_timeout{300'000};              ///< a process that idles so long ends
  std::size_t instances_max = 256;           ///< processes at a time
  std::vector<std::string> sandbox_require;  ///< names of layers (sandbox/sandbox.h): without one of them no function runs
  std::vector<std::string> sandbox_without;  ///< layers that are left out
  std::string jailer;                        ///< path of mayfly-jailer; empty: beside the running program
  std::string runtimes_dir;                  ///< empty: found beside the running program
};

/// Everything that an operator decides about one server.
struct ServerConfig {
  std::string data_dir = ".mayfly";
  std::string address = "127.0.0.1";
  std::uint16_t port = 7400;      ///< 0: any free port
  std::string project;            ///< a mayfly.yaml or its folder, deployed at the start; empty: none
  Millis shutdown_grace{10'000};  ///< for running requests and steps
  std::size_t body_bytes_max = 8 * 1024 * 1024;
  std::size_t header_bytes_max = 32 * 1024;
  std::size_t connections_max = 8'000;
  std::vector<std::string> allowed_hosts;  ///< Host names besides localhost that a server on a loopback address answers to

  std::string public_url;  ///< "https://agents.example.com": in links, OAuth and MCP metadata; empty: what listens here
  std::vector<std::string> mirror_roots;  ///< directories of this machine that workspaces may mirror; empty: none
  std::vector<std::string> import_hosts;  ///< "host" or "host:port" that imports, webhooks' endpoints apart, may reach though they are private
  bool open_mcp = false;   ///< /mcp without a key for callers on this machine, who may read and invoke

  telemetry::OtlpOptions otlp;  ///< without an endpoint, what OTEL_… in the environment says (see telemetry/otlp.h)
  bool open_metrics = false;    ///< /metrics without a key for callers on this machine
  FunctionSettings functions;
  std::string price_file;                  ///< JSON as in llm/prices.h, in front of the built-in table
  std::vector<ProviderSetting> providers;  ///< of this process; a deployed provider of the same name wins
  Environment environment = process_environment();

  bool is_loopback() const;
};

/// The defaults with what the environment says: ANTHROPIC_API_KEY makes the provider "anthropic"; OPENAI_API_KEY makes "openai" and
/// "openai-responses" (both honour OPENAI_BASE_URL). MAYFLY_FUNCTIONS=off switches functions off; MAYFLY_FUNCTION_IDLE_TIMEOUT ("5m"),
/// MAYFLY_FUNCTION_INSTANCES_MAX, MAYFLY_SANDBOX_REQUIRE and MAYFLY_SANDBOX_WITHOUT (layers, separated by commas) say how they run; what
/// cannot be understood there counts as not set.
ServerConfig config_from_environment(Environment environment = process_environment());

}  // namespace mayfly
