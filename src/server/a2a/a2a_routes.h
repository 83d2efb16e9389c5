#pragma once

#include <memory>

#include "server/a2a/a2a_push.h"
#include "server/router.h"

namespace mayfly::a2a {

/// Per agent: the card `/a2a/AGENT/.well-known/agent-card.json`, JSON-RPC at `/a2a/AGENT` and HTTP+JSON below it. `/.well-known/agent-card.json`
/// is the card of the only agent, or says which there are. Cards need a key like all the rest.
/// The notifier must be opened once the engine is, and outlives the router's last request.
std::shared_ptr<PushNotifier> add_a2a_routes(Router& router);

}  // namespace mayfly::a2a
