#pragma once

#include "server/router.h"

namespace mayfly {

/// The paths of triggers with an HTTP or webhook source, for all requests that no route of Mayfly's own takes, and GET /v1/results/{result}, where
/// callers without a key find what became of theirs. Once for a router; `app.triggers` may come later.
void add_http_triggers(Router& router, AppContext& app);

}  // namespace mayfly
