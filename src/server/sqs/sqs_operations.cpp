#include <array>

#include "server/sqs/sqs_call.h"

namespace mayfly::sqs {
namespace {

constexpr auto kOperations = std::to_array<SqsOperation>({
    {"AddPermission", Scope::Deploy, HasResult::No, add_permission},
    {"CancelMessageMoveTask", Scope::Deploy, HasResult::Yes, cancel_message_move_task},
    {"ChangeMessageVisibility", Scope::Invoke, HasResult::No, change_message_visibility},
    {"ChangeMessageVisibilityBatch", Scope::Invoke, HasResult::Yes, change_message_visibility_batch},
    {"CreateQueue", Scope::Deploy, HasResult::Yes, create_queue},
    {"DeleteMessage", Scope::Invoke, HasResult::No, delete_message},
    {"DeleteMessageBatch", Scope::Invoke, HasResult::Yes, delete_message_batch},
    {"DeleteQueue", Scope::Deploy, HasResult::No, delete_queue},
    {"GetQueueAttributes", Scope::Read, HasResult::Yes, get_queue_attributes},
    {"GetQueueUrl", Scope::Read, HasResult::Yes, get_queue_url},
    {"ListDeadLetterSourceQueues", Scope::Read, HasResult::Yes, list_dead_letter_source_queues},
    {"ListMessageMoveTasks", Scope::Read, HasResult::Yes, list_message_move_tasks},
    {"ListQueueTags", Scope::Read, HasResult::Yes, list_queue_tags},
    {"ListQueues", Scope::Read, HasResult::Yes, list_queues},
    {"PurgeQueue", Scope::Deploy, HasResult::No, purge_queue},
    {"ReceiveMessage", Scope::Invoke, HasResult::Yes, receive_message},
    {"RemovePermission", Scope::Deploy, HasResult::No, remove_permission},
    {"SendMessage", Scope::Invoke, HasResult::Yes, send_message},
    {"SendMessageBatch", Scope::Invoke, HasResult::Yes, send_message_batch},
    {"SetQueueAttributes", Scope::Deploy, HasResult::No, set_queue_attributes},
    {"StartMessageMoveTask", Scope::Deploy, HasResult::Yes, start_message_move_task},
    {"TagQueue", Scope::Deploy, HasResult::No, tag_queue},
    {"UntagQueue", Scope::Deploy, HasResult::No, untag_queue},
});

}  // namespace

std::span<const SqsOperation> operations() { return kOperations; }

Result<queue::QueueInfo> SqsCall::queue() const {
  const Json* value = get(input, "QueueUrl");
  if (!value || !value->is_string() || value->get_string().empty()) return missing("QueueUrl");
  std::string_view url = value->get_string();
  while (url.ends_with('/')) url.remove_suffix(1);
  auto found = queues().info(std::string(url.substr(url.rfind('/') + 1)));
  if (!found) return fail(found.error());
  return found;
}

std::string queue_of_arn(std::string_view arn) {
  // arn:PARTITION:sqs:REGION:ACCOUNT:NAME
  std::array<std::string_view, 6> parts;
  for (std::size_t i = 0; i < parts.size(); ++i) {
    const auto end = i + 1 == parts.size() ? arn.size() : arn.find(':');
    if (end == std::string_view::npos) return {};
    parts[i] = arn.substr(0, end);
    arn.remove_prefix(std::min(end + 1, arn.size()));
  }
  if (parts[0] != "arn" || parts[2] != "sqs" || parts[4] != kAccount || parts[5].contains(':')) return {};
  return std::string(parts[5]);
}

}  // namespace mayfly::sqs
