#pragma once

#include "server/lambda/lambda_call.h"

namespace mayfly::lambda {

/// Who signed the request (SigV4 for the service, with the access key of an API key), or whose API key it bears.
/// Errors: `auth.…`, `sigv4.…`.
Result<Principal> authenticate(const AppContext& app, const net::Request& request, std::string_view service = "lambda");
/// Error: `auth.forbidden`.
Result<void> check_scope(const Principal& principal, Scope scope, std::string_view operation);

}  // namespace mayfly::lambda
