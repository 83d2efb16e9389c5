#pragma once

#include "engine/core/program.h"

namespace mayfly::function {

inline constexpr std::string_view kFunctionKind = "function";        ///< STEP: one invocation of the function
inline constexpr std::string_view kDestinationKind = "destination";  ///< STEP: tells a destination what became of it
inline constexpr std::string_view kRetryKind = "retry";              ///< WAIT before the next invocation

/// Invocations of plain functions: Event invocations with Lambda's retries and destinations
/// (https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-error-handling.html), and single calls for durable executions.
///
/// Input: function_starts.h. A STEP "function" results in {"Payload"} or {"Payload","Error","FunctionError"}, each with "bytes",
/// "RequestId" and "ExecutedVersion". Result: {"Result"} or {"Error"}.
class AsyncProgram final : public engine::Program {
 public:
  engine::Decision begin(engine::ProgramContext context, const Json& input) const override;
  engine::Decision ended(engine::ProgramContext context, const engine::Operation& operation) const override;
  engine::Decision message(engine::ProgramContext context, const engine::Operation& operation) const override;
  bool may_repeat(engine::ProgramContext context, const engine::PendingOperation& operation, const Error& error) const override;
  engine::OnUnknownOutcome on_unknown(engine::ProgramContext context, const engine::PendingOperation& operation) const override;
};

}  // namespace mayfly::function
