#pragma once

#include <string>

#include "engine/engine.h"
#include "function/function_service.h"

/// How runs of functions begin. Every program "function:NAME" reads one of these inputs.
namespace mayfly::function {

inline constexpr std::size_t kAsyncPayloadBytesMax = 1024 * 1024;
inline constexpr std::string_view kAgentArnPrefix = "arn:mayfly:agent:";
inline constexpr std::string_view kAgentTargetPrefix = "agent:";

FunctionLookup lookup_of(const FunctionServiceDependencies& dependencies);

/// What a run of a function is given, beside its payload: the JSON text or a reference to it.
struct RunInput {
  Json payload;
  std::string invoked_arn;
  std::string client_context;
  std::string tenant_id;
  std::string request_id;
  std::string trace_header;
  bool answer_as_value = false;  ///< of a call: an answer of at most 256 KiB is no reference
};

/// A durable execution; `name` is its own.
engine::StartRequest durable_start(const ResolvedFunction& function, std::string name, RunInput input);
/// An Event invocation of a plain function: retried, then told to its destinations.
engine::StartRequest async_start(const ResolvedFunction& function, RunInput input);
/// One invocation whose answer is the run's result: {"Result"} or {"Error"}.
engine::StartRequest call_start(const ResolvedFunction& function, RunInput input);
/// An Event invocation, durable or plain. `name`: of the execution, if it is durable.
engine::StartRequest event_start(const ResolvedFunction& function, std::string name, RunInput input);

/// As the engine's outbox wants a run to invoke; `target` is "agent" or "function".
JsonObject invoke_json(const engine::StartRequest& start, std::string_view target);

/// X-Amzn-Trace-Id and W3C trace context, either way; empty for what is neither.
std::string traceparent_of(std::string_view trace_header);
std::string trace_header_of(std::string_view traceparent);

/// 1 to 64 characters of [a-zA-Z0-9-_]. Error: `execution.invalid_name`.
Result<void> check_execution_name(std::string_view name);

}  // namespace mayfly::function
