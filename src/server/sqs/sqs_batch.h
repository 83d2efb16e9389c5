#pragma once

#include <functional>
#include <string>
#include <vector>

#include "server/sqs/sqs_call.h"

/// The rules of SQS's batches: 1 to 10 entries with ids of their own, each of which succeeds or fails by itself.
namespace mayfly::sqs {

struct BatchEntry {
  std::string id;
  const JsonObject* fields = nullptr;  ///< of the call's input
};
/// `verb` is that of the operation, for its messages: "Send". Errors: `aws.EmptyBatchRequest`, `aws.TooManyEntriesInBatchRequest`,
/// `aws.InvalidBatchEntryId`, `aws.BatchEntryIdsNotDistinct`, `aws.MissingRequiredParameterException`.
Result<std::vector<BatchEntry>> read_batch(const SqsCall& call, std::string_view verb);

/// Collects {"Successful": […], "Failed": […]}.
class BatchAnswer {
 public:
  void succeed(const std::string& id, JsonObject more = {});
  void fail(const std::string& id, const Error& error);
  JsonObject take();

 private:
  JsonArray successful_, failed_;
};

}  // namespace mayfly::sqs
