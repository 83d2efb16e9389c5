#pragma once

#include "base/json.h"
#include "net/http_server.h"

namespace mayfly {

/// The HTTP status that an Error of ours means.
int status_of(const Error& error);
/// RFC 9457 problem details with `code`; 401 with WWW-Authenticate, 429 and 503 with Retry-After.
net::Response to_problem(const Error& error);
net::Response json_response(int status, const Json& body);

}  // namespace mayfly
