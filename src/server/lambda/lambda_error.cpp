#include "server/lambda/lambda_error.h"

#include <algorithm>
#include <array>

#include "base/json.h"
#include "net/sigv4.h"

namespace mayfly::lambda {
namespace {

struct Known {
  std::string_view exception;
  int status;
  bool capital = false;  ///< its member is "Message", not "message"
};
constexpr std::array<Known, 23> kKnown{{{"AccessDeniedException", 403, true},
                                        {"CallbackTimeoutException", 400, true},
                                        {"CodeSigningConfigNotFoundException", 404, true},
                                        {"CodeStorageExceededException", 400},
                                        {"DurableExecutionAlreadyStartedException", 409, true},
                                        {"ExpiredTokenException", 403},
                                        {"IncompleteSignatureException", 400},
                                        {"InvalidParameterValueException", 400},
                                        {"InvalidRequestContentException", 400},
                                        {"InvalidRuntimeException", 502, true},
                                        {"InvalidSignatureException", 403},
                                        {"MissingAuthenticationTokenException", 403},
                                        {"PreconditionFailedException", 412},
                                        {"ProvisionedConcurrencyConfigNotFoundException", 404},
                                        {"RequestTooLargeException", 413},
                                        {"ResourceConflictException", 409},
                                        {"ResourceNotFoundException", 404, true},
                                        {"SerializationException", 400},
                                        {"ServiceException", 500, true},
                                        {"TooManyRequestsException", 429},
                                        {"UnknownOperationException", 404},
                                        {"UnrecognizedClientException", 403},
                                        {"UnsupportedOperationException", 501}}};

struct Rule {
  std::string_view code;
  std::string_view exception;
};
constexpr std::array<Rule, 34> kRules{{{"auth.missing", "MissingAuthenticationTokenException"},
                                       {"auth.invalid", "UnrecognizedClientException"},
                                       {"auth.expired", "ExpiredTokenException"},
                                       {"auth.forbidden", "AccessDeniedException"},
                                       {"function.not_found", "ResourceNotFoundException"},
                                       {"function.exists", "ResourceConflictException"},
                                       {"function.in_use", "ResourceConflictException"},
                                       {"function.conflict", "ResourceConflictException"},
                                       {"function.revision_mismatch", "PreconditionFailedException"},
                                       {"function.invalid", "InvalidParameterValueException"},
                                       {"function.invalid_name", "InvalidParameterValueException"},
                                       {"function.unsupported_destination", "InvalidParameterValueException"},
                                       {"function.not_durable", "InvalidParameterValueException"},
                                       {"function.unknown_runtime", "InvalidRuntimeException"},
                                       {"function.runtime_missing", "InvalidRuntimeException"},
                                       {"function.throttled", "TooManyRequestsException"},
                                       {"function.payload_too_large", "RequestTooLargeException"},
                                       {"input.too_large", "RequestTooLargeException"},
                                       {"package.invalid", "InvalidParameterValueException"},
                                       {"package.too_large", "InvalidParameterValueException"},
                                       {"execution.name_in_use", "DurableExecutionAlreadyStartedException"},
                                       {"execution.still_running", "InvalidParameterValueException"},
                                       {"idempotency.mismatch", "DurableExecutionAlreadyStartedException"},
                                       {"execution.invalid_arn", "InvalidParameterValueException"},
                                       {"execution.not_found", "ResourceNotFoundException"},
                                       {"run.not_found", "ResourceNotFoundException"},
                                       {"run.ended", "InvalidParameterValueException"},
                                       {"checkpoint.invalid", "InvalidParameterValueException"},
                                       {"checkpoint.invalid_token", "InvalidParameterValueException"},
                                       {"callback.not_found", "ResourceNotFoundException"},
                                       {"callback.ended", "CallbackTimeoutException"},
                                       {"engine.overloaded", "TooManyRequestsException"},
                                       {"session.inbox_full", "TooManyRequestsException"},
                                       {"sandbox.exec", "InvalidRuntimeException"}}};

std::string exception_of(const Error& error) {
  if (error.code.starts_with("aws.")) return error.code.substr(4);
  if (error.code.starts_with("sigv4.")) return std::string(net::aws_auth_exception(error.code).name);
  if (error.code.starts_with("json.")) return "InvalidRequestContentException";
  const auto rule = std::ranges::find(kRules, error.code, &Rule::code);
  if (rule != kRules.end()) return std::string(rule->exception);
  // Pages and filters of the durable API name the field.
  const std::string_view last = std::string_view(error.code).substr(error.code.rfind('.') + 1);
  if (last.starts_with("invalid")) return "InvalidParameterValueException";
  if (last == "not_found") return "ResourceNotFoundException";
  return "ServiceException";
}

}  // namespace

AwsError to_aws(const Error& error) {
  std::string exception = exception_of(error);
  const auto known = std::ranges::find(kKnown, exception, &Known::exception);
  int status = known != kKnown.end() ? known->status : 400;
  if (error.code.starts_with("sigv4.")) status = net::aws_auth_exception(error.code).status;
  if (exception == "ServiceException" && error.retry == Retry::Safe) status = 503;
  return {status, std::move(exception), error.message};
}

net::Response error_answer(const Error& error, std::string_view request_id) {
  const AwsError aws = to_aws(error);
  const auto known = std::ranges::find(kKnown, aws.exception, &Known::exception);
  JsonObject body{{"Type", aws.status < 500 ? "User" : "Service"}};
  body[known != kKnown.end() && known->capital ? "Message" : "message"] = aws.message;
  net::Response out{aws.status, {{"Content-Type", "application/json"}}, {}};
  if (aws.status == 429) {
    body["Reason"] = error.code == "function.throttled" ? "ReservedFunctionConcurrentInvocationLimitExceeded" : "CallerRateLimitExceeded";
    out.headers.add("Retry-After", "1");
  }
  out.headers.add("x-amzn-ErrorType", aws.exception);
  out.headers.add("x-amzn-RequestId", std::string(request_id));
  out.body = to_text(body);
  return out;
}

}  // namespace mayfly::lambda
