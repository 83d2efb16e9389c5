#pragma once

#include <memory>
#include <string>
#include <variant>

#include "engine/engine.h"
#include "function/function_registry.h"
#include "function/supervisor.h"

namespace mayfly::function {

/// What an Invoke asks for.
struct Invoke {
  FunctionRef function;
  std::string payload;  ///< JSON text; empty: null
  std::string client_context;
  std::string trace_header;
  std::string tenant_id;
  std::string execution_name;  ///< X-Amz-Durable-Execution-Name: an idempotency key; or empty
  bool want_log_tail = false;
  CancelToken cancel;
  std::function<Task<bool>(std::string content_type)> on_stream_start;  ///< as InvocationRequest's
  std::function<Task<bool>(std::string bytes)> on_stream;
};

struct Invoked {
  InvocationResult result;
  std::string executed_version;
  std::string durable_execution_arn;  ///< of a durable function
};

/// Functions above the supervisor and the engine: what APIs, agents and other functions call.
class FunctionService {
 public:
  virtual ~FunctionService() = default;

  /// RequestResponse. A plain function: straight to the supervisor. A durable one: starts an execution (or finds that of the same name) and
  /// waits for its end, at most 15 minutes. Errors: `function.not_found`, those of Supervisor::invoke, and for durable ones those of
  /// Engine::start; `execution.name_in_use` (AWS DurableExecutionAlreadyStartedException: same name, other payload).
  virtual Task<Result<Invoked>> invoke(Invoke invoke) = 0;
  /// Event: durable when it returns; then run with retries, and delivered to destination or dead-letter target. At most 1 MiB.
  virtual Task<Result<Invoked>> invoke_async(Invoke invoke) = 0;
  /// DryRun: would it be accepted?
  virtual Result<void> check(const Invoke& invoke) = 0;
};

/// How functions are found; simulations have no registry.
struct FunctionLookup {
  std::function<Result<ResolvedFunction>(const FunctionRef&)> resolve;
  std::function<std::shared_ptr<const FunctionRevision>(const std::string& name, std::int64_t number)> revision;
};

struct FunctionServiceDependencies {
  Executor executor;
  Clock* clock = nullptr;
  Random* random = nullptr;
  FunctionRegistry* registry = nullptr;
  Supervisor* supervisor = nullptr;
  /// Starts of agents' runs, for chained invokes ("agent:NAME") and destinations ("arn:mayfly:agent:NAME"): program, version, input and
  /// limits, from the payload's JSON. Empty: agents are no targets.
  std::function<Result<engine::StartRequest>(const std::string& agent, const Json& payload)> agent_start;
  FunctionLookup lookup;  ///< empty: the registry's
};

/// The programs and steps of functions in the engine ("function:NAME" programs: asynchronous invocations and durable executions).
/// Made before the engine, attached to it before it opens; the service comes after.
class FunctionPrograms : public engine::ProgramHost, public engine::StepExecutor {
 public:
  virtual void attach(engine::Engine& engine) = 0;
};
std::unique_ptr<FunctionPrograms> make_function_programs(FunctionServiceDependencies dependencies);
std::unique_ptr<FunctionService> make_function_service(FunctionServiceDependencies dependencies, engine::Engine& engine);

}  // namespace mayfly::function
