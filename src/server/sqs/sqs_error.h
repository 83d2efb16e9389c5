#pragma once

#include <string>
#include <string_view>

#include "net/http_server.h"

/// Errors as Amazon SQS shapes them, in both of its protocols.
namespace mayfly::sqs {

/// An error that is already one of SQS: `sqs_error("QueueDoesNotExist", "…")`, by the name of its shape.
inline std::unexpected<Error> sqs_error(std::string_view shape, std::string message) {
  return fail("aws." + std::string(shape), std::move(message));
}
inline std::unexpected<Error> invalid_value(std::string message) { return sqs_error("InvalidParameterValueException", std::move(message)); }
std::unexpected<Error> missing(std::string_view parameter);

struct AwsError {
  std::string shape;       ///< "QueueDoesNotExist"
  std::string query_code;  ///< "AWS.SimpleQueueService.NonExistentQueue": what clients of both protocols show
  int status = 400;
  bool is_senders = true;
  std::string message;
};
AwsError to_aws(const Error& error);

/// {"__type", "message"} with x-amzn-query-error (Smithy's awsQueryCompatible).
net::Response json_error(const Error& error, std::string_view request_id);
/// ErrorResponse in XML.
net::Response query_error(const Error& error, std::string_view request_id);

}  // namespace mayfly::sqs
