#include "server/states/states_api.h"

#include <algorithm>
#include <array>

#include "base/log.h"
#include "function/uuid.h"
#include "server/states/states_call.h"

namespace mayfly::states {
namespace {

struct Operation {
  std::string_view name;
  Scopes any_of;
  Answer (*handler)(StatesCall* call) = nullptr;  ///< null: not supported
  std::string_view why = {};
};

constexpr std::string_view kNoTestState = "validate the definition with ValidateStateMachineDefinition and run it with StartSyncExecution";
constexpr std::string_view kNoMapRun = "Map states run inline here: there are no map runs";

const std::array kOperations = std::to_array<Operation>({
    {"CreateActivity", {Scope::Deploy}, create_activity},
    {"CreateStateMachine", {Scope::Deploy}, create_state_machine},
    {"CreateStateMachineAlias", {Scope::Deploy}, create_alias},
    {"DeleteActivity", {Scope::Deploy}, delete_activity},
    {"DeleteStateMachine", {Scope::Deploy}, delete_state_machine},
    {"DeleteStateMachineAlias", {Scope::Deploy}, delete_alias},
    {"DeleteStateMachineVersion", {Scope::Deploy}, delete_version},
    {"DescribeActivity", {Scope::Read}, describe_activity},
    {"DescribeExecution", {Scope::Read, Scope::Invoke}, describe_execution},
    {"DescribeMapRun", {Scope::Read}, nullptr, kNoMapRun},
    {"DescribeStateMachine", {Scope::Read}, describe_state_machine},
    {"DescribeStateMachineAlias", {Scope::Read}, describe_alias},
    {"DescribeStateMachineForExecution", {Scope::Read}, describe_machine_of_execution},
    {"GetActivityTask", {Scope::Invoke, Scope::Answer}, get_activity_task},
    {"GetExecutionHistory", {Scope::Read}, get_history},
    {"ListActivities", {Scope::Read}, list_activities},
    {"ListExecutions", {Scope::Read}, list_executions},
    {"ListMapRuns", {Scope::Read}, list_map_runs},
    {"ListStateMachineAliases", {Scope::Read}, list_aliases},
    {"ListStateMachineVersions", {Scope::Read}, list_versions},
    {"ListStateMachines", {Scope::Read, Scope::Invoke}, list_state_machines},
    {"ListTagsForResource", {Scope::Read}, list_tags},
    {"PublishStateMachineVersion", {Scope::Deploy}, publish_version},
    {"RedriveExecution", {Scope::Invoke}, redrive_execution},
    {"SendTaskFailure", {Scope::Invoke, Scope::Answer}, send_task_failure},
    {"SendTaskHeartbeat", {Scope::Invoke, Scope::Answer}, send_task_heartbeat},
    {"SendTaskSuccess", {Scope::Invoke, Scope::Answer}, send_task_success},
    {"StartExecution", {Scope::Invoke}, start_execution},
    {"StartSyncExecution", {Scope::Invoke}, start_sync_execution},
    {"StopExecution", {Scope::Invoke}, stop_execution},
    {"TagResource", {Scope::Deploy}, tag_resource},
    {"TestState", {Scope::Invoke}, nullptr, kNoTestState},
    {"UntagResource", {Scope::Deploy}, untag_resource},
    {"UpdateMapRun", {Scope::Deploy}, nullptr, kNoMapRun},
    {"UpdateStateMachine", {Scope::Deploy}, update_state_machine},
    {"UpdateStateMachineAlias", {Scope::Deploy}, update_alias},
    {"ValidateStateMachineDefinition", {Scope::Read, Scope::Deploy}, validate_definition},
});

struct Rule {
  std::string_view code;
  std::string_view exception;
  int status = 400;
};
constexpr auto kRules = std::to_array<Rule>({{"workflow.not_found", "StateMachineDoesNotExist"},
                                             {"workflow.invalid", "InvalidDefinition"},
                                             {"workflow.invalid_name", "InvalidName"},
                                             {"workflow.exists", "StateMachineAlreadyExists"},
                                             {"workflow.limit", "ServiceQuotaExceededException"},
                                             {"workflow.conflict", "ConflictException"},
                                             {"workflow.type_change", "ValidationException"},
                                             {"workflow.input_too_large", "ValidationException"},
                                             {"workflow.invalid_token", "InvalidToken"},
                                             {"execution.exists", "ExecutionAlreadyExists"},
                                             {"execution.not_found", "ExecutionDoesNotExist"},
                                             {"run.not_found", "ExecutionDoesNotExist"},
                                             {"task.not_found", "TaskDoesNotExist"},
                                             {"task.ended", "TaskTimedOut"},
                                             {"activity.not_found", "ActivityDoesNotExist"},
                                             {"activity.limit", "ActivityLimitExceeded"},
                                             {"input.too_large", "ValidationException"},
                                             {"engine.overloaded", "ThrottlingException"},
                                             {"auth.forbidden", "AccessDeniedException"},
                                             {"auth.missing", "MissingAuthenticationTokenException"}});

Rule rule_of(const Error& error) {
  if (error.code.starts_with("aws.")) return {{}, std::string_view(error.code).substr(4)};
  const auto rule = std::ranges::find(kRules, error.code, &Rule::code);
  if (rule != kRules.end()) return *rule;
  if (error.retry == Retry::Safe || error.code.starts_with("store.")) return {{}, "ServiceUnavailable", 503};
  return {{}, "InternalFailure", 500};
}

Result<void> check_scope(const Principal& principal, const Operation& operation) {
  if (principal.scopes.has(Scope::Admin) || principal.scopes.intersects(operation.any_of)) return {};
  std::string needed;
  for (const std::string_view name : operation.any_of.names()) needed += (needed.empty() ? "" : " or ") + std::string(name);
  return fail("auth.forbidden", "The API key '" + principal.name + "' is not authorized to perform: states:" + std::string(operation.name) +
                                    " because it lacks the scope " + needed + "; create a key that has it with `mayfly keys create`");
}

Task<Result<JsonObject>> answer(AppContext* app, Principal principal, std::string name, const JsonObject* input, CancelToken disconnected) {
  const auto operation = std::ranges::find(kOperations, name, &Operation::name);
  if (operation == kOperations.end())
    co_return aws_error("UnknownOperationException", "Step Functions has no operation '" + to_utf8_lossy(name.substr(0, 100)) + "'");
  if (auto allowed = check_scope(principal, *operation); !allowed) co_return fail(allowed.error());
  if (!operation->handler)
    co_return aws_error("ValidationException", "Mayfly does not support " + name + ": " + std::string(operation->why));
  if (!app->workflows) co_return fail("engine.starting", "the server is starting; try again in a moment", Retry::Safe);
  StatesCall call{*app, *input, disconnected};
  co_return co_await operation->handler(&call);
}

}  // namespace

std::vector<OperationInfo> operations() {
  std::vector<OperationInfo> out;
  for (const Operation& operation : kOperations) out.push_back({operation.name, operation.any_of, operation.handler != nullptr});
  return out;
}

net::Response error_answer(const Error& error) {
  const Rule rule = rule_of(error);
  const bool is_definition = error.code == "workflow.invalid";
  const bool is_name = error.code == "workflow.invalid_name";
  std::string message = is_definition ? "Invalid State Machine Definition: '" + error.message + "'"
                        : is_name     ? "Invalid Name: " + error.message
                                      : error.message;
  net::Response out{rule.status, {{"Content-Type", "application/x-amz-json-1.0"}}, {}};
  out.headers.add("x-amzn-ErrorType", std::string(rule.exception));
  out.body = to_text(JsonObject{{"__type", rule.exception}, {"message", std::move(message)}});
  return out;
}

Task<net::Response> handle(AppContext* app, Principal principal, std::string operation, JsonObject input, CancelToken disconnected) {
  const std::string request_id = function::make_uuid(*app->random);
  auto result = co_await answer(app, std::move(principal), operation, &input, disconnected);
  net::Response out =
      result ? net::Response{200, {{"Content-Type", "application/x-amz-json-1.0"}}, to_text(*result)} : error_answer(result.error());
  if (out.status >= 500)
    log::error("a request to the Step Functions API failed", {{"operation", to_utf8_lossy(operation)},
                                                              {"code", result.error().code},
                                                              {"error", result.error().message},
                                                              {"request_id", request_id}});
  out.headers.add("x-amzn-RequestId", request_id);
  co_return out;
}

}  // namespace mayfly::states
