#pragma once

#include <memory>

#include "server/context.h"
#include "server/router.h"

namespace mayfly {

namespace faces {
struct FaceState;
}

/// /openai/v1/… (agents as models) and /gateway/… (models for code).
/// What they keep between requests is shared with who serves functions (`faces::serve_own_function`).
std::shared_ptr<faces::FaceState> add_face_routes(Router& router, AppContext& app);

}  // namespace mayfly
