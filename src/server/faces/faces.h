#pragma once

#include "server/context.h"
#include "server/router.h"

namespace mayfly {

/// /openai/v1/… (agents as models) and /gateway/… (models for code).
void add_face_routes(Router& router, AppContext& app);

}  // namespace mayfly
