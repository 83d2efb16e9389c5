#include <algorithm>
#include <array>

#include "server/sqs/sqs_call.h"

namespace mayfly::sqs {
namespace {

constexpr std::size_t kTagsMax = 50;
constexpr std::size_t kActionsMax = 7, kAccountsMax = 20;
constexpr std::int64_t kTasksMax = 10, kMovesPerSecondMax = 500;
constexpr auto kGrantable =
    std::to_array<std::string_view>({"*", "ChangeMessageVisibility", "DeleteMessage", "GetQueueAttributes", "GetQueueUrl",
                                     "ListDeadLetterSourceQueues", "PurgeQueue", "ReceiveMessage", "SendMessage"});

Task<Result<JsonObject>> store(SqsCall* call, queue::QueueSpec spec) {
  const auto done = co_await call->queues().put(std::move(spec));
  if (!done) co_return fail(done.error());
  co_return JsonObject();
}

JsonObject policy_of(const SqsCall& call, const queue::QueueSpec& spec) {
  const auto found = spec.other_attributes.find("Policy");
  if (found != spec.other_attributes.end())
    if (auto value = parse_json(found->second); value && value->is_object()) {
      JsonObject policy = std::move(value->get_object());
      if (!get_array(policy, "Statement")) policy["Statement"] = JsonArray();
      return policy;
    }
  return {{"Version", "2012-10-17"}, {"Id", call.arn_of(spec.name) + "/SQSDefaultPolicy"}, {"Statement", JsonArray()}};
}

Json one_or_many(std::vector<std::string> texts) {
  if (texts.size() == 1) return Json(texts.front());
  return Json(JsonArray(texts.begin(), texts.end()));
}

bool has_label(const Json& statement, std::string_view label) {
  return statement.is_object() && get_string(statement.get_object(), "Sid") == label;
}

std::string_view status_text(queue::RedriveTask::Status status) {
  switch (status) {
    case queue::RedriveTask::Status::Running: return "RUNNING";
    case queue::RedriveTask::Status::Completed: return "COMPLETED";
    case queue::RedriveTask::Status::Cancelling: return "CANCELLING";
    case queue::RedriveTask::Status::Cancelled: return "CANCELLED";
    case queue::RedriveTask::Status::Failed: return "FAILED";
  }
  return "FAILED";
}

/// The queue that an ARN parameter names.
Result<std::string> queue_of(const SqsCall& call, std::string_view parameter, const std::string& arn) {
  const std::string name = queue_of_arn(arn);
  if (name.empty())
    return invalid_value("You must use this format to specify the " + std::string(parameter) +
                         ": arn:<partition>:<service>:<region>:<account-id>:<resource-id>");
  if (!call.queues().info(name))
    return sqs_error("ResourceNotFoundException",
                     "The resource that you specified for the " + std::string(parameter) + " parameter doesn't exist.");
  return name;
}

JsonObject task_view(const SqsCall& call, const queue::RedriveTask& task) {
  JsonObject out{{"Status", status_text(task.status)},
                 {"SourceArn", call.arn_of(task.source)},
                 {"ApproximateNumberOfMessagesMoved", task.moved},
                 {"ApproximateNumberOfMessagesToMove", task.to_move},
                 {"StartedTimestamp", to_unix_ms(task.started)}};
  if (task.status == queue::RedriveTask::Status::Running) out["TaskHandle"] = task.handle;
  if (!task.destination.empty()) out["DestinationArn"] = call.arn_of(task.destination);
  if (task.per_second_max > 0) out["MaxNumberOfMessagesPerSecond"] = task.per_second_max;
  if (!task.failure.empty()) out["FailureReason"] = task.failure;
  return out;
}

}  // namespace

Task<Result<JsonObject>> tag_queue(SqsCall* call) {
  auto info = call->queue();
  if (!info) co_return fail(info.error());
  Fields fields(call->input);
  const auto tags = fields.map("Tags");
  if (const auto fine = fields.done(); !fine) co_return fail(fine.error());
  if (!tags || tags->empty()) co_return missing("Tags");
  for (const auto& [key, value] : *tags) {
    if (key.empty() || key.size() > 512 || value.size() > 1'024)
      co_return invalid_value("Tag keys must be between 1 and 128 characters in length, tag values at most 256.");
    info->spec.tags[key] = value;
  }
  if (info->spec.tags.size() > kTagsMax) co_return invalid_value("Too many tags added for queue " + info->spec.name + ".");
  co_return co_await store(call, std::move(info->spec));
}

Task<Result<JsonObject>> untag_queue(SqsCall* call) {
  auto info = call->queue();
  if (!info) co_return fail(info.error());
  Fields fields(call->input);
  const auto keys = fields.texts("TagKeys");
  if (const auto fine = fields.done(); !fine) co_return fail(fine.error());
  if (!keys || keys->empty()) co_return invalid_value("Tag keys must be between 1 and 128 characters in length.");
  for (const std::string& key : *keys) info->spec.tags.erase(key);
  co_return co_await store(call, std::move(info->spec));
}

Task<Result<JsonObject>> list_queue_tags(SqsCall* call) {
  const auto info = call->queue();
  if (!info) co_return fail(info.error());
  JsonObject tags;
  for (const auto& [key, value] : info->spec.tags) tags[key] = value;
  if (tags.empty()) co_return JsonObject();
  co_return JsonObject{{"Tags", std::move(tags)}};
}

Task<Result<JsonObject>> add_permission(SqsCall* call) {
  auto info = call->queue();
  if (!info) co_return fail(info.error());
  Fields fields(call->input);
  const std::string label = fields.text("Label").value_or("");
  const auto accounts = fields.texts("AWSAccountIds").value_or(std::vector<std::string>());
  const auto actions = fields.texts("Actions").value_or(std::vector<std::string>());
  if (const auto fine = fields.done(); !fine) co_return fail(fine.error());
  if (label.empty()) co_return missing("Label");
  if (actions.empty()) co_return missing("Actions");
  if (accounts.empty()) co_return invalid_value("Value [] for parameter PrincipalId is invalid. Reason: Unable to verify.");
  if (actions.size() > kActionsMax)
    co_return sqs_error("OverLimit", std::to_string(actions.size()) + " Actions were found, maximum allowed is 7.");
  if (label.size() > 80 || accounts.size() > kAccountsMax)
    co_return sqs_error("OverLimit", "A label has at most 80 characters, and a statement at most 20 accounts.");
  std::vector<std::string> principals, grants;
  for (const std::string& account : accounts) principals.push_back("arn:aws:iam::" + account + ":root");
  for (const std::string& action : actions) {
    if (std::ranges::find(kGrantable, action) == kGrantable.end())
      co_return invalid_value("Value SQS:" + action.substr(0, 80) +
                              " for parameter ActionName is invalid. Reason: Only the queue owner is allowed to invoke this action.");
    grants.push_back("SQS:" + action);
  }
  JsonObject policy = policy_of(*call, info->spec);
  JsonArray& statements = policy["Statement"].get_array();
  if (std::ranges::any_of(statements, [&](const Json& statement) { return has_label(statement, label); }))
    co_return invalid_value("Value " + label + " for parameter Label is invalid. Reason: Already exists.");
  statements.push_back(JsonObject{{"Sid", label},
                                  {"Effect", "Allow"},
                                  {"Principal", JsonObject{{"AWS", one_or_many(std::move(principals))}}},
                                  {"Action", one_or_many(std::move(grants))},
                                  {"Resource", call->arn_of(info->spec.name)}});
  info->spec.other_attributes["Policy"] = to_text(policy);
  co_return co_await store(call, std::move(info->spec));
}

Task<Result<JsonObject>> remove_permission(SqsCall* call) {
  auto info = call->queue();
  if (!info) co_return fail(info.error());
  Fields fields(call->input);
  const std::string label = fields.text("Label").value_or("");
  if (const auto fine = fields.done(); !fine) co_return fail(fine.error());
  if (label.empty()) co_return missing("Label");
  JsonObject policy = policy_of(*call, info->spec);
  JsonArray kept;
  const JsonArray& statements = policy["Statement"].get_array();
  for (const Json& statement : statements)
    if (!has_label(statement, label)) kept.push_back(statement);
  if (kept.size() == statements.size())
    co_return invalid_value("Value " + label.substr(0, 80) +
                            " for parameter Label is invalid. Reason: can't find label on existing policy.");
  if (kept.empty()) {
    info->spec.other_attributes.erase("Policy");
  } else {
    policy["Statement"] = std::move(kept);
    info->spec.other_attributes["Policy"] = to_text(policy);
  }
  co_return co_await store(call, std::move(info->spec));
}

Task<Result<JsonObject>> start_message_move_task(SqsCall* call) {
  Fields fields(call->input);
  const std::string source_arn = fields.text("SourceArn").value_or("");
  const std::string destination_arn = fields.text("DestinationArn").value_or("");
  const auto per_second = fields.integer("MaxNumberOfMessagesPerSecond");
  if (const auto fine = fields.done(); !fine) co_return fail(fine.error());
  if (source_arn.empty()) co_return missing("SourceArn");
  if (per_second && (*per_second < 1 || *per_second > kMovesPerSecondMax))
    co_return invalid_value("Value for parameter MaxNumberOfMessagesPerSecond is invalid. You must specify a value between 1 and 500.");
  const auto source = queue_of(*call, "SourceArn", source_arn);
  if (!source) co_return fail(source.error());
  const auto destination = destination_arn.empty() ? Result<std::string>("") : queue_of(*call, "DestinationArn", destination_arn);
  if (!destination) co_return fail(destination.error());
  if (call->queues().sources_of(*source).empty()) co_return invalid_value("Source queue must be configured as a Dead Letter Queue.");
  for (const auto& task : call->queues().redrives(*source))
    if (task.status == queue::RedriveTask::Status::Running || task.status == queue::RedriveTask::Status::Cancelling)
      co_return sqs_error("UnsupportedOperation",
                          "There is already a task running. Only one active task is allowed for a source queue arn at a given time.");
  const auto task = co_await call->queues().start_redrive(*source, *destination, per_second.value_or(0));
  if (!task) co_return fail(task.error());
  co_return JsonObject{{"TaskHandle", task->handle}};
}

Task<Result<JsonObject>> cancel_message_move_task(SqsCall* call) {
  Fields fields(call->input);
  const std::string handle = fields.text("TaskHandle").value_or("");
  if (const auto fine = fields.done(); !fine) co_return fail(fine.error());
  if (handle.empty()) co_return missing("TaskHandle");
  const auto task = co_await call->queues().cancel_redrive(handle);
  if (!task) {
    const bool is_gone = task.error().code == "queue.not_found" || task.error().code == "queue.receipt_invalid";
    if (is_gone || task.error().code == "queue.invalid") co_return sqs_error("ResourceNotFoundException", "Task does not exist.");
    co_return fail(task.error());
  }
  co_return JsonObject{{"ApproximateNumberOfMessagesMoved", task->moved}};
}

Task<Result<JsonObject>> list_message_move_tasks(SqsCall* call) {
  Fields fields(call->input);
  const std::string arn = fields.text("SourceArn").value_or("");
  const auto most = fields.integer("MaxResults");
  if (const auto fine = fields.done(); !fine) co_return fail(fine.error());
  if (arn.empty()) co_return missing("SourceArn");
  if (most && (*most < 1 || *most > kTasksMax))
    co_return invalid_value("Value " + std::to_string(*most) + " for parameter MaxResults is invalid. Reason: Must be between 1 and 10.");
  const auto source = queue_of(*call, "SourceArn", arn);
  if (!source) co_return fail(source.error());
  auto tasks = call->queues().redrives(*source);
  std::ranges::sort(tasks, std::greater<>(), &queue::RedriveTask::started);
  JsonArray out;
  for (const auto& task : tasks)
    if (static_cast<std::int64_t>(out.size()) < most.value_or(1)) out.push_back(task_view(*call, task));
  co_return JsonObject{{"Results", std::move(out)}};
}

}  // namespace mayfly::sqs
