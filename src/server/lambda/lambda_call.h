#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "function/durable/durable_service.h"
#include "function/function_registry.h"
#include "function/function_service.h"
#include "net/http_server.h"
#include "server/auth.h"
#include "server/context.h"

/// AWS Lambda's API (2015-03-31 and its later paths) over Mayfly's functions: JSON as in the API reference, errors as AWS shapes them.
namespace mayfly::lambda {

/// One request to an operation. Lives until the handler has returned.
struct LambdaCall {
  AppContext& app;
  net::Request& request;
  net::Responder& responder;
  std::map<std::string, std::string, std::less<>> parameters;  ///< of the path, decoded
  Principal principal;
  std::string request_id;  ///< UUID: x-amzn-RequestId

  const std::string& parameter(std::string_view name) const;
  std::string query(std::string_view name) const { return request.query_parameter(name).value_or(std::string()); }
  /// The function that the path and the query parameter Qualifier name. Errors: `function.invalid_name`, `function.invalid`.
  Result<function::FunctionRef> function() const;
  /// The same, but it must exist.
  Result<function::FunctionRef> existing_function() const;
  /// Where the caller reached us: "http://127.0.0.1:7400".
  std::string base_url() const;
};

/// Status 0: the handler has answered by itself, in pieces.
using LambdaHandler = Task<Result<net::Response>> (*)(LambdaCall* call);

struct Operation {
  std::string_view method;
  std::string_view path;  ///< a template
  std::string_view name;  ///< as the API reference calls it
  Scope scope;
  LambdaHandler handler;  ///< null: not supported
};

/// An error that is already one of AWS: `aws_error("ResourceConflictException", "…")`.
inline std::unexpected<Error> aws_error(std::string_view exception, std::string message, Retry retry = Retry::Never) {
  return fail("aws." + std::string(exception), std::move(message), retry);
}
inline std::unexpected<Error> invalid_parameter(std::string message) {
  return aws_error("InvalidParameterValueException", std::move(message));
}

net::Response json_answer(int status, const JsonObject& body);
inline net::Response empty_answer(int status) { return {status, {}, {}}; }

}  // namespace mayfly::lambda
