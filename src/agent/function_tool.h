#pragma once

#include <memory>
#include <string>

#include "function/function_service.h"
#include "runtime/clock.h"
#include "tool/tool.h"

namespace mayfly::agent {

struct FunctionToolOptions {
  std::string name;
  std::string description;
  Json parameters;  ///< JSON Schema of an object
  Effect effect = Effect::AtLeastOnce;
  function::FunctionRef function;
  Millis timeout{900'000};                  ///< the smaller of this and the call's counts
  std::size_t model_bytes_max = 64 * 1024;  ///< of the answer that goes back to the model; the rest is cut with a note
};

/// A deployed function as a tool: the arguments are its event, its answer is the result (a JSON string without its quotes).
///
/// The client context's `custom` holds mayfly_idempotency_key, mayfly_run_id, mayfly_session_id, mayfly_agent and mayfly_attempt. The name
/// of a durable execution is made of the idempotency key, so that a repeated call finds the execution that it started.
///
/// What the function itself does wrong (an error, a timeout, a crash) goes to the model as `is_error`. Errors of `call`: `tool.timeout` and
/// `tool.cancelled` (OutcomeUnknown unless the effect is read-only), `tool.invalid` (there is no such function), and those of
/// FunctionService (throttling is Safe).
std::unique_ptr<Tool> make_function_tool(FunctionToolOptions options, function::FunctionService& functions, Clock& clock);

}  // namespace mayfly::agent
