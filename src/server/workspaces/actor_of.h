#pragma once

#include "server/auth.h"
#include "workspace/types.h"

namespace mayfly {

/// Who a caller is in workspaces: "key:ID". Without the scope `files` (or admin) it only reads.
workspace::Actor actor_of(const Principal& principal);

}  // namespace mayfly
