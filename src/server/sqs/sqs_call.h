#pragma once

#include <span>
#include <string>
#include <string_view>

#include "queue/queue.h"
#include "server/auth.h"
#include "server/context.h"
#include "server/lambda/lambda_body.h"
#include "server/sqs/sqs_error.h"
#include "server/sqs/sqs_xml.h"

/// Amazon SQS's API over Mayfly's queues. Source: https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/
namespace mayfly::sqs {

using lambda::Fields;

inline constexpr std::string_view kAccount = "000000000000";

/// One request to an operation. Lives until the handler has returned.
struct SqsCall {
  AppContext& app;
  JsonObject input;  ///< as the JSON protocol has it
  Principal principal;
  std::string base_url;      ///< where the caller reached us: "http://127.0.0.1:7400"
  std::string region;        ///< of the signature
  CancelToken disconnected;  ///< the client has gone

  queue::QueueService& queues() const { return *app.queues; }
  /// The queue that QueueUrl names: its last segment. Errors: `aws.MissingRequiredParameterException`, `aws.QueueDoesNotExist`.
  Result<queue::QueueInfo> queue() const;
  std::string url_of(std::string_view queue) const { return base_url + "/" + std::string(kAccount) + "/" + std::string(queue); }
  std::string arn_of(std::string_view queue) const {
    return "arn:aws:sqs:" + region + ":" + std::string(kAccount) + ":" + std::string(queue);
  }
};

/// The queue's name of an ARN of SQS in any region; empty when it is none.
std::string queue_of_arn(std::string_view arn);

using SqsHandler = Task<Result<JsonObject>> (*)(SqsCall* call);

struct SqsOperation {
  std::string_view name;
  Scope scope;
  HasResult has_result;
  SqsHandler handler;
};
std::span<const SqsOperation> operations();

// Queues
Task<Result<JsonObject>> create_queue(SqsCall* call);
Task<Result<JsonObject>> delete_queue(SqsCall* call);
Task<Result<JsonObject>> list_queues(SqsCall* call);
Task<Result<JsonObject>> get_queue_url(SqsCall* call);
Task<Result<JsonObject>> get_queue_attributes(SqsCall* call);
Task<Result<JsonObject>> set_queue_attributes(SqsCall* call);
Task<Result<JsonObject>> purge_queue(SqsCall* call);
Task<Result<JsonObject>> list_dead_letter_source_queues(SqsCall* call);
// What belongs to a queue
Task<Result<JsonObject>> tag_queue(SqsCall* call);
Task<Result<JsonObject>> untag_queue(SqsCall* call);
Task<Result<JsonObject>> list_queue_tags(SqsCall* call);
Task<Result<JsonObject>> add_permission(SqsCall* call);
Task<Result<JsonObject>> remove_permission(SqsCall* call);
Task<Result<JsonObject>> start_message_move_task(SqsCall* call);
Task<Result<JsonObject>> cancel_message_move_task(SqsCall* call);
Task<Result<JsonObject>> list_message_move_tasks(SqsCall* call);
// Messages
Task<Result<JsonObject>> send_message(SqsCall* call);
Task<Result<JsonObject>> send_message_batch(SqsCall* call);
Task<Result<JsonObject>> receive_message(SqsCall* call);
Task<Result<JsonObject>> delete_message(SqsCall* call);
Task<Result<JsonObject>> delete_message_batch(SqsCall* call);
Task<Result<JsonObject>> change_message_visibility(SqsCall* call);
Task<Result<JsonObject>> change_message_visibility_batch(SqsCall* call);

}  // namespace mayfly::sqs
