#pragma once

#include "expression/expression.h"
#include "server/http_triggers/route_auth.h"
#include "trigger/event.h"

namespace mayfly::http_triggers {

/// What a request to a route says: a CloudEvent that it carries, or an event of type "mayfly.http" whose source is the request's path.
/// Errors: `event.…`, `json.…`, `form.invalid`, `idempotency.invalid_key`.
Result<trigger::Event> event_of(AppContext& app, const net::Request& request, const Caller& caller);

/// $path, $query, $headers (without credentials and signatures) and $claims.
Result<Variables> variables_of(const TriggerRoute& route, const net::Request& request, const std::map<std::string, std::string>& parameters,
                               const JsonObject& claims);

}  // namespace mayfly::http_triggers
