#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "server/auth.h"
#include "server/context.h"
#include "server/lambda/lambda_body.h"
#include "server/states/states_arn.h"
#include "workflow/workflow_registry.h"

/// What the handlers of the operations share.
namespace mayfly::states {

/// Reads a request's members one after the other and keeps the first error.
class Input : public lambda::Fields {
 public:
  explicit Input(const JsonObject& object) : lambda::Fields(object), object_(object) {}

  /// A text that must be there; error `aws.ValidationException`.
  std::string required(std::string_view name, std::size_t bytes_max = 2'000);
  std::string text_or(std::string_view name, std::string_view otherwise, std::size_t bytes_max);
  Arn arn(std::string_view name, Arn::Kind kind);
  /// Configurations that are kept as they are.
  Json kept(std::string_view name);
  /// [{"key", "value"}]
  std::map<std::string, std::string> tags(std::string_view name);

 private:
  void check_length(std::string_view name, const std::string& value, std::size_t bytes_max);
  const JsonObject& object_;
};

/// Lives until the handler has returned.
struct StatesCall {
  AppContext& app;
  const JsonObject& input;
  CancelToken disconnected;
};
using Answer = Task<Result<JsonObject>>;

/// Timestamps are seconds with milliseconds.
inline double seconds(TimePoint time) { return static_cast<double>(to_unix_ms(time)) / 1000.0; }

std::unexpected<Error> aws_error(std::string_view exception, std::string message);
Error state_machine_missing(const Arn& arn);
/// What the ARN names now. Error: `aws.StateMachineDoesNotExist`.
Result<workflow::ResolvedWorkflow> resolve(const AppContext& app, const Arn& arn);

/// maxResults and nextToken of a list that is all in memory.
struct Page {
  std::size_t begin = 0, end = 0;
  std::string next;  ///< nextToken, or empty
};
Result<Page> page_of(const JsonObject& input, std::size_t count);
Result<std::size_t> page_size(const JsonObject& input);

Answer create_state_machine(StatesCall* call);
Answer update_state_machine(StatesCall* call);
Answer delete_state_machine(StatesCall* call);
Answer describe_state_machine(StatesCall* call);
Answer list_state_machines(StatesCall* call);
Answer validate_definition(StatesCall* call);
Answer tag_resource(StatesCall* call);
Answer untag_resource(StatesCall* call);
Answer list_tags(StatesCall* call);

Answer publish_version(StatesCall* call);
Answer delete_version(StatesCall* call);
Answer list_versions(StatesCall* call);
Answer create_alias(StatesCall* call);
Answer update_alias(StatesCall* call);
Answer describe_alias(StatesCall* call);
Answer delete_alias(StatesCall* call);
Answer list_aliases(StatesCall* call);

Answer start_execution(StatesCall* call);
Answer start_sync_execution(StatesCall* call);
Answer describe_execution(StatesCall* call);
Answer describe_machine_of_execution(StatesCall* call);
Answer list_executions(StatesCall* call);
Answer get_history(StatesCall* call);
Answer stop_execution(StatesCall* call);
Answer redrive_execution(StatesCall* call);
Answer list_map_runs(StatesCall* call);

Answer send_task_success(StatesCall* call);
Answer send_task_failure(StatesCall* call);
Answer send_task_heartbeat(StatesCall* call);
Answer create_activity(StatesCall* call);
Answer delete_activity(StatesCall* call);
Answer describe_activity(StatesCall* call);
Answer list_activities(StatesCall* call);
Answer get_activity_task(StatesCall* call);

/// What DescribeStateMachine and DescribeStateMachineForExecution have in common.
JsonObject revision_view(const workflow::WorkflowRevision& revision, bool with_definition);

}  // namespace mayfly::states
