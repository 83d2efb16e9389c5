#pragma once

#include "server/http_triggers/result_links.h"
#include "server/http_triggers/route_auth.h"
#include "trigger/trigger_service.h"

namespace mayfly::http_triggers {

/// 202 {run, status_url, …}, or {"filtered": true}.
Task<Result<net::Response>> accepted_response(AppContext* app, ResultLinks* links, const Caller* caller, const trigger::Accepted* accepted);

/// What the target answered, when its run has ended.
Task<Result<net::Response>> ended_response(AppContext* app, const trigger::Target* target, const Caller* caller, engine::Execution run);

/// GET /v1/results/{result}: {run, status, result, error}; `?wait=30s` as for runs.
Task<Result<net::Response>> result_response(AppContext* app, ResultLinks* links, Call* call);

/// An error as a problem; routes have statuses that the rest of the API does not know.
net::Response problem_of(const Error& error);

}  // namespace mayfly::http_triggers
