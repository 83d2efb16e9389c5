#pragma once

#include "server/router.h"

namespace mayfly {

/// /claim/{token}: a page that tells a person what is offered, and takes the answer. Who gives no key gets one, shown once: a person's of an organisation of their own.
void add_claim_routes(Router& router);

}  // namespace mayfly
