#pragma once

#include "net/http_server.h"
#include "trigger/trigger_spec.h"

/// Cross-origin requests (WHATWG Fetch §3.2).
namespace mayfly::http_triggers {

bool is_preflight(const net::Request& request);
/// The fields of every answer of a route.
net::Headers cors_fields(const trigger::Cors& cors, const net::Request& request);
/// Those of the answer to a preflight in addition.
net::Headers preflight_fields(const trigger::Cors& cors, const net::Request& request, const std::string& method);

}  // namespace mayfly::http_triggers
