#pragma once

#include <optional>
#include <string>

#include "function/function_registry.h"
#include "server/lambda/lambda_call.h"

/// Function URLs speak payload format 2.0: https://docs.aws.amazon.com/lambda/latest/dg/urls-invocation.html
namespace mayfly::lambda {

/// The event that a request becomes. `path` is what follows the URL's own part.
std::string url_event(const LambdaCall& call, const function::FunctionUrl& url, const std::string& path);

/// What the function answered, as HTTP: {"statusCode","headers","cookies","body","isBase64Encoded"}, or any JSON as the body itself.
/// Nothing when it cannot be one.
std::optional<net::Response> url_response(const std::string& payload);
/// The part before the body of a streamed answer: statusCode, headers, cookies.
std::optional<net::Response> url_prelude(std::string_view json);

/// Checks and stores what CreateFunctionUrlConfig says of CORS.
Result<Json> read_cors(const JsonObject& cors);
/// The answer to a preflight request, when it is one and CORS is configured.
std::optional<net::Response> preflight(const net::Request& request, const function::FunctionUrl& url);
/// Cookies are this URL's alone: their Path becomes the URL's, whatever the function said.
void confine_cookies(const function::FunctionUrl& url, net::Headers* headers);
/// Adds what CORS says about the answer to this request.
void add_cors(const net::Request& request, const function::FunctionUrl& url, net::Headers* headers);

}  // namespace mayfly::lambda
