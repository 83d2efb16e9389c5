#pragma once

#include "base/json.h"
#include "engine/engine.h"

namespace mayfly {

inline constexpr std::size_t kTreeRunsMax = 200;

/// The runs that `run` has started, with all below them: [{run, agent, operation, status, wait, summary, created, ended, children: […]}] in the
/// order of their operations; at most `*budget` runs in all, which is counted down. A run that could not be read is left out.
Task<Result<JsonArray>> children_view(engine::Engine& engine, engine::Execution run, std::size_t* budget);

}  // namespace mayfly
