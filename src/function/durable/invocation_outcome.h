#pragma once

#include "engine/core/program.h"
#include "function/durable/state.h"

namespace mayfly::function {

inline constexpr std::int64_t kFailedInvocationsMax = 5;  ///< in a row
inline constexpr std::int64_t kInvalidPendingMax = 3;     ///< in a row: PENDING although nothing is pending
inline constexpr Millis kInvocationBackoff{5'000};

/// Asks for the next invocation, unless one is under way or soon to come.
void invoke_if_idle(engine::ProgramContext context, DurableState& state, engine::Decision& decision);
/// What follows from the end of the hidden STEP "invocation".
engine::Decision after_invocation(engine::ProgramContext context, DurableState& state, const engine::Operation& invocation);
/// The end of the execution; `outcome`: {"Status","Result","Error"}.
engine::Completion completion_of(const engine::Execution& run, const DurableState& state, const JsonObject& outcome);
engine::Completion failure_of(const engine::Execution& run, const DurableState& state, Json error);
std::string arn_of(const engine::Execution& run, const DurableState& state);

}  // namespace mayfly::function
