#include "server/sqs/sqs_error.h"

#include <algorithm>
#include <array>

#include "base/json.h"
#include "net/sigv4.h"
#include "server/sqs/sqs_xml.h"

namespace mayfly::sqs {
namespace {

struct Shape {
  std::string_view name;
  std::string_view query_code;
  int status = 400;
  bool is_of_the_framework = false;
};
/// Source: the service's Smithy model (traits httpError and awsQueryError) and the API reference's "Common Error Types".
constexpr auto kShapes = std::to_array<Shape>({
    {"BatchEntryIdsNotDistinct", "AWS.SimpleQueueService.BatchEntryIdsNotDistinct"},
    {"BatchRequestTooLong", "AWS.SimpleQueueService.BatchRequestTooLong"},
    {"EmptyBatchRequest", "AWS.SimpleQueueService.EmptyBatchRequest"},
    {"InvalidAddress", "InvalidAddress", 404},
    {"InvalidAttributeName", "InvalidAttributeName"},
    {"InvalidAttributeValue", "InvalidAttributeValue"},
    {"InvalidBatchEntryId", "AWS.SimpleQueueService.InvalidBatchEntryId"},
    {"InvalidMessageContents", "InvalidMessageContents"},
    {"InvalidParameterValueException", "InvalidParameterValue"},
    {"MessageNotInflight", "AWS.SimpleQueueService.MessageNotInflight"},
    {"MissingRequiredParameterException", "MissingParameter"},
    {"OverLimit", "OverLimit", 403},
    {"PurgeQueueInProgress", "AWS.SimpleQueueService.PurgeQueueInProgress", 403},
    {"QueueDeletedRecently", "AWS.SimpleQueueService.QueueDeletedRecently"},
    {"QueueDoesNotExist", "AWS.SimpleQueueService.NonExistentQueue"},
    {"QueueNameExists", "QueueAlreadyExists"},
    {"ReceiptHandleIsInvalid", "ReceiptHandleIsInvalid", 404},
    {"RequestThrottled", "RequestThrottled", 403},
    {"ResourceNotFoundException", "ResourceNotFoundException", 404},
    {"TooManyEntriesInBatchRequest", "AWS.SimpleQueueService.TooManyEntriesInBatchRequest"},
    {"UnsupportedOperation", "AWS.SimpleQueueService.UnsupportedOperation"},
    {"AccessDeniedException", "AccessDenied", 403, true},
    {"ExpiredTokenException", "ExpiredToken", 403, true},
    {"IncompleteSignatureException", "IncompleteSignature", 400, true},
    {"InternalFailure", "InternalFailure", 500, true},
    {"InvalidSignatureException", "SignatureDoesNotMatch", 403, true},
    {"MissingAuthenticationTokenException", "MissingAuthenticationToken", 403, true},
    {"SerializationException", "MalformedInput", 400, true},
    {"ServiceUnavailable", "ServiceUnavailable", 503, true},
    {"UnknownOperationException", "InvalidAction", 400, true},
    {"UnrecognizedClientException", "InvalidClientTokenId", 403, true},
});

struct Rule {
  std::string_view code;
  std::string_view shape;
  std::string_view message = {};  ///< empty: the error's own
};
constexpr auto kRules = std::to_array<Rule>({
    {"auth.missing", "MissingAuthenticationTokenException"},
    {"auth.invalid", "UnrecognizedClientException"},
    {"auth.expired", "ExpiredTokenException"},
    {"auth.forbidden", "AccessDeniedException"},
    {"queue.not_found", "QueueDoesNotExist", "The specified queue does not exist."},
    {"queue.exists", "QueueNameExists"},
    {"queue.deleted_recently", "QueueDeletedRecently",
     "You must wait 60 seconds after deleting a queue before you can create another with the same name."},
    {"queue.full", "RequestThrottled"},
    {"queue.invalid", "InvalidParameterValueException"},
    {"queue.too_large", "InvalidParameterValueException"},
    {"queue.invalid_attribute", "InvalidParameterValueException"},
    {"queue.missing_group", "MissingRequiredParameterException", "The request must contain the parameter MessageGroupId."},
    {"queue.missing_deduplication_id", "InvalidParameterValueException",
     "The queue should either have ContentBasedDeduplication enabled or MessageDeduplicationId provided explicitly"},
    {"queue.receipt_invalid", "ReceiptHandleIsInvalid", "The input receipt handle is invalid."},
    {"queue.receipt_expired", "InvalidParameterValueException"},
    {"queue.in_flight_limit", "OverLimit"},
    {"queue.purge_in_progress", "PurgeQueueInProgress"},
});

std::string shape_of(const Error& error, std::string& message) {
  if (error.code.starts_with("aws.")) return error.code.substr(4);
  if (error.code.starts_with("sigv4.")) return std::string(net::aws_auth_exception(error.code).name);
  if (error.code.starts_with("json.")) return "SerializationException";
  const auto rule = std::ranges::find(kRules, error.code, &Rule::code);
  if (rule == kRules.end()) return error.retry == Retry::Safe ? "ServiceUnavailable" : "InternalFailure";
  if (!rule->message.empty()) message = rule->message;
  return std::string(rule->shape);
}

}  // namespace

std::unexpected<Error> missing(std::string_view parameter) {
  return sqs_error("MissingRequiredParameterException", "The request must contain the parameter " + std::string(parameter) + ".");
}

AwsError to_aws(const Error& error) {
  AwsError out;
  out.message = error.message;
  out.shape = shape_of(error, out.message);
  const auto known = std::ranges::find(kShapes, out.shape, &Shape::name);
  out.query_code = known == kShapes.end() ? out.shape : std::string(known->query_code);
  out.status = known == kShapes.end() ? 400 : known->status;
  out.is_senders = out.status < 500;
  return out;
}

net::Response json_error(const Error& error, std::string_view request_id) {
  const AwsError aws = to_aws(error);
  const auto known = std::ranges::find(kShapes, aws.shape, &Shape::name);
  const bool is_ours = known != kShapes.end() && !known->is_of_the_framework;
  const JsonObject body{{"__type", (is_ours ? "com.amazonaws.sqs#" : "com.amazon.coral.service#") + aws.shape}, {"message", aws.message}};
  net::Response out{aws.status, {{"Content-Type", "application/x-amz-json-1.0"}}, to_text(body)};
  out.headers.add("x-amzn-query-error", aws.query_code + (aws.is_senders ? ";Sender" : ";Receiver"));
  out.headers.add("x-amzn-RequestId", std::string(request_id));
  if (aws.status == 503 || aws.shape == "RequestThrottled") out.headers.add("Retry-After", "1");
  return out;
}

net::Response query_error(const Error& error, std::string_view request_id) {
  const AwsError aws = to_aws(error);
  std::string body = "<?xml version=\"1.0\"?>";
  body += "<ErrorResponse xmlns=\"" + std::string(kXmlNamespace) + "\"><Error><Type>";
  body += aws.is_senders ? "Sender" : "Receiver";
  body +=
      "</Type><Code>" + xml_text(aws.query_code) + "</Code><Message>" + xml_text(aws.message) + "</Message><Detail/></Error><RequestId>";
  body += xml_text(request_id) + "</RequestId></ErrorResponse>";
  net::Response out{aws.status, {{"Content-Type", "text/xml"}}, std::move(body)};
  out.headers.add("x-amzn-RequestId", std::string(request_id));
  if (aws.status == 503 || aws.shape == "RequestThrottled") out.headers.add("Retry-After", "1");
  return out;
}

}  // namespace mayfly::sqs
