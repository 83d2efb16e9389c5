#pragma once

#include <memory>
#include <span>

#include "function/supervisor.h"
#include "server/faces/face_app.h"
#include "server/lambda/lambda_call.h"
#include "server/router.h"

namespace mayfly::lambda {

/// Every operation of the API, also those that are not supported.
std::span<const Operation> operations();

/// The operations, the locations of code and the function URLs.
void add_lambda_routes(Router& router);

/// Requests that come from a function's own process, over its own socket: the durable API for its own executions, Invoke, and the LLM
/// gateway's faces at /v1/…; all else is refused with 403. Needs no credentials and looks at none.
Task<> serve_instance(AppContext* app, std::shared_ptr<faces::FaceState> faces, function::InstanceIdentity identity, net::Request* request,
                      net::Responder* responder);

/// How much of a request's body to take: code is larger than other bodies.
net::BodyPolicy body_policy(const net::Request& head, std::size_t body_bytes_max);

}  // namespace mayfly::lambda
