#pragma once

#include "net/http_server.h"
#include "workspace/outcome.h"

namespace mayfly {

/// The HTTP status of a refusal: 404, 403, 423 (`ws.locked`), 412 (`ws.lock_lost`, `ws.conflict`, `ws.exists`), 428, 413, 416, 507/429 (quotas) …
int status_of(const workspace::Refusal& refusal);
/// RFC 9457 problem details with the refusal's details as members; Retry-After when it says when.
net::Response problem_of(const workspace::Refusal& refusal);

}  // namespace mayfly
