#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "function/function_types.h"
#include "net/http_server.h"
#include "runtime/cancel.h"
#include "runtime/clock.h"
#include "runtime/random.h"
#include "sandbox/sandbox.h"

/// Runs functions: finds or starts a process, speaks the Lambda Runtime API with it, and takes it away when it idles.
namespace mayfly::function {

struct InvocationRequest {
  std::shared_ptr<const FunctionRevision> function;
  std::string version;       ///< "$LATEST" or a number: AWS_LAMBDA_FUNCTION_VERSION
  std::string invoked_arn;   ///< as the caller named it, qualifier included
  std::string payload;       ///< JSON text, passed on unparsed
  std::string request_id;    ///< UUID; empty: one is made
  std::string client_context;  ///< base64, as it came; or empty
  std::string trace_header;  ///< X-Amzn-Trace-Id
  std::string tenant_id;     ///< or empty: tenants never share a process
  bool want_log_tail = false;
  CancelToken cancel;        ///< nobody waits any more: the invocation is aborted and its process ended
  /// Streaming: gets the content type first, then the body in pieces as the function writes them. Returning false aborts. Empty: the answer is
  /// collected.
  std::function<Task<bool>(std::string content_type)> on_stream_start;
  std::function<Task<bool>(std::string bytes)> on_stream;
  /// Called when a streaming invocation ends early (timeout, crash): `on_stream` must give up what it waits for, since the invocation
  /// is not over before it returns. May be empty.
  std::function<void()> abort_stream;
};

struct InvocationResult {
  std::string payload;         ///< the handler's answer, or the error document {"errorMessage","errorType","stackTrace"}
  std::string function_error;  ///< "" or "Unhandled" (Lambda's X-Amz-Function-Error)
  std::string error_type;      ///< "Sandbox.Timedout", "Runtime.ExitError", "Runtime.ImportModuleError", … when there is an error
  std::string request_id;
  std::string log_tail;        ///< at most the last 4 KiB
  bool cold = false;
  Millis duration{0};
  Millis billed{0};
  Millis init{0};              ///< of a cold start
  std::uint64_t memory_peak_bytes = 0;
};

struct InstanceInfo {
  std::string id;
  std::string function;
  std::int64_t revision = 0;
  std::string state;  ///< "starting", "busy", "idle", "ending"
  int pid = 0;
  std::uint64_t memory_bytes = 0;
  TimePoint started{};
  std::uint64_t invocations = 0;
};

struct SupervisorCounters {
  std::uint64_t invocations = 0, cold_starts = 0, errors = 0, timeouts = 0, crashes = 0, throttles = 0, reaped = 0;
  std::size_t instances = 0, busy = 0;
};

struct SupervisorOptions {
  std::string runtimes_directory;       ///< holds python/ and nodejs/
  std::string log_directory;            ///< one folder a function
  std::size_t instances_max = 256;      ///< of the node
  std::int64_t concurrency_max = 1'000; ///< of the account: busy at a time
  Millis idle_timeout{300'000};         ///< idle for so long: gone
  Millis init_timeout{10'000};
  Millis grace{500};                    ///< from SIGTERM to SIGKILL
  std::size_t payload_bytes_max = 6 * 1024 * 1024;
  std::size_t stream_bytes_max = 200 * 1024 * 1024;
  sandbox::Layers required_layers, without_layers;
  std::string gateway_key_prefix = "mfi_";
};

/// Reserved and provisioned concurrency, by function; changes at any time.
struct ConcurrencySettings {
  std::optional<std::int64_t> reserved;     ///< at most so many at a time; 0: throttled
  std::map<std::string, std::int64_t> provisioned;  ///< by version: kept warm
};

/// Who a process is, for what it asks of Mayfly itself on its own listener (`platform`): the socket is its identity.
struct InstanceIdentity {
  std::string function;
  std::int64_t revision = 0;
  std::string instance;
};

struct SupervisorDependencies {
  Executor executor;
  Clock* clock = nullptr;
  Random* random = nullptr;
  sandbox::Sandbox* sandbox = nullptr;
  std::function<ConcurrencySettings(const std::string& function)> concurrency;
  /// Serves requests of a function's process that are not the Runtime API's: the Lambda API for durable executions and invokes, the
  /// LLM gateway. Reached at the same address as the Runtime API. May be empty (404).
  std::function<Task<>(InstanceIdentity, net::Request&, net::Responder&)> platform;
};

class Supervisor {
 public:
  virtual ~Supervisor() = default;
  /// The result also of failing handlers, timeouts and crashes: those are the function's. Errors are ours:
  /// `function.throttled` (Safe; reserved, account or node concurrency), `function.payload_too_large`, `function.cancelled`,
  /// `function.stopping`, and those of the sandbox.
  virtual Task<Result<InvocationResult>> invoke(InvocationRequest request) = 0;
  /// Starts what `concurrency` asks to be provisioned of this version and is not there yet. `invoke` does so by itself.
  virtual void warm(std::shared_ptr<const FunctionRevision> /*function*/, std::string /*version*/) {}
  /// The function's newest revision is `revision`: idle processes of older ones that no version or alias names end now, busy ones after
  /// their invocation. 0: the function was deleted.
  virtual void changed(const std::string& function, std::int64_t revision) = 0;
  virtual std::vector<InstanceInfo> instances() const = 0;
  virtual SupervisorCounters counters() const = 0;
  /// The last lines of a function's log, oldest first; at most `lines_max`.
  virtual Task<std::vector<std::string>> log(std::string function, std::size_t lines_max) = 0;
  /// Ends all processes: idle ones now, busy ones after `grace`.
  virtual Task<> stop(Millis grace) = 0;
};

std::unique_ptr<Supervisor> make_supervisor(SupervisorDependencies dependencies, SupervisorOptions options);

}  // namespace mayfly::function
