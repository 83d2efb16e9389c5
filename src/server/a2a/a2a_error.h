#pragma once

#include "base/json.h"
#include "net/http_server.h"

/// A2A 1.0 (https://a2a-protocol.org, package lf.a2a.v1): Mayfly's agents as agents of that protocol.
namespace mayfly::a2a {

/// {"code", "message", "data": [google.rpc.ErrorInfo]} of the JSON-RPC binding.
JsonObject to_rpc_error(const Error& error);
/// google.rpc.Status of the HTTP+JSON binding.
net::Response to_rest_error(const Error& error);

}  // namespace mayfly::a2a
