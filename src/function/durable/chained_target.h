#pragma once

#include "function/durable/updates.h"
#include "function/function_service.h"

namespace mayfly::function {

/// What a CHAINED_INVOKE's START asks for, decided before the checkpoint: a run to start, or why not.
struct ChainedTarget {
  JsonObject invoke;  ///< for the engine's outbox
  Json refused;       ///< ErrorObject, or null
};
/// `payload`: the update's, perhaps a reference. Error: `checkpoint.invalid`, for what the API refuses altogether.
Result<ChainedTarget> chained_target(const FunctionServiceDependencies& dependencies, const Update& update, Json payload);

}  // namespace mayfly::function
