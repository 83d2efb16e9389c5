#pragma once

#include <string>

#include "base/result.h"
#include "net/http_server.h"

namespace mayfly::lambda {

struct AwsError {
  int status = 500;
  std::string exception;
  std::string message;
};

/// What AWS Lambda would call an error of ours.
AwsError to_aws(const Error& error);
/// {"Type","Message"} (or "message", as the API's model has it) with x-amzn-ErrorType.
net::Response error_answer(const Error& error, std::string_view request_id);

}  // namespace mayfly::lambda
