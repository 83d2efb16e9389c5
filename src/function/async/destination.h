#pragma once

#include <string>

#include "engine/engine.h"
#include "function/function_service.h"

namespace mayfly::function {

/// Whether invocations can be sent there: functions and agents ("arn:mayfly:agent:NAME"). Error: `function.unsupported_destination`, which
/// says what to use instead. For whoever takes configurations.
Result<void> check_destination(std::string_view arn);

/// One attempt of a STEP "destination": Lambda's invocation record (version 1.0), or for a dead-letter target the bare event, starts a run.
Task<engine::StepOutcome> deliver(const FunctionServiceDependencies& dependencies, engine::Engine& engine, engine::StepCall call);

}  // namespace mayfly::function
