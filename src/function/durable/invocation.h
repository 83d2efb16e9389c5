#pragma once

#include "engine/engine.h"
#include "function/function_service.h"

namespace mayfly::function {

/// One attempt of the hidden STEP "invocation": gives the function what it has recorded so far, and reads its answer.
/// The result is as durable_program.h says.
Task<engine::StepOutcome> invoke_durable(const FunctionServiceDependencies& dependencies, engine::Engine& engine, engine::StepCall call);

/// The ErrorObject of a handler's failure, from Lambda's error document.
Json error_of_result(const InvocationResult& result);
/// What the journal keeps of how an invocation went.
Json meta_of(const InvocationResult& result, TimePoint started);

}  // namespace mayfly::function
