#pragma once

#include <functional>
#include <map>
#include <string>

#include "queue/queue.h"

/// The attributes of queues, which SQS keeps as texts: {"VisibilityTimeout": "30"}.
namespace mayfly::sqs {

/// Changes `spec` by what a client set. FifoQueue is only for CreateQueue; an empty RedrivePolicy, RedriveAllowPolicy or Policy removes it.
/// `find` looks a dead-letter queue up. Errors: `aws.InvalidAttributeName`, `aws.InvalidAttributeValue`,
/// `aws.InvalidParameterValueException`.
Result<void> apply_attributes(queue::QueueSpec& spec, const std::map<std::string, std::string>& attributes,
                              const std::function<Result<queue::QueueInfo>(const std::string&)>& find);

/// Those that a client may set, as GetQueueAttributes shows them. `arn_of` gives the ARN of a queue's name.
std::map<std::string, std::string> to_attributes(const queue::QueueSpec& spec, const std::function<std::string(std::string_view)>& arn_of);

/// Whether GetQueueAttributes knows the name ("All" too).
bool is_attribute(std::string_view name);

}  // namespace mayfly::sqs
