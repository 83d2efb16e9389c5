#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "engine/engine.h"
#include "expression/expression.h"

/// State machines in the Amazon States Language (https://states-language.net/spec.html, and AWS's JSONata and `Assign` of 2024), run on the
/// durable engine: an execution is a run of the program "workflow:NAME".
namespace mayfly::workflow {

inline constexpr std::size_t kDefinitionBytesMax = 1024 * 1024;
inline constexpr std::size_t kStateBytesMax = 256 * 1024;  ///< data between two states; `States.DataLimitExceeded`
inline constexpr std::int64_t kEventsMax = 25'000;         ///< of one execution's history

/// As ValidateStateMachineDefinition gives it.
struct Diagnostic {
  enum class Severity { Error, Warning } severity = Severity::Error;
  std::string code;      ///< SCHEMA_VALIDATION_FAILED, MISSING_TRANSITION_TARGET, …
  std::string message;   ///< what is wrong and what to do
  std::string location;  ///< JSON Pointer: "/States/Review/Next"
};
/// Empty when it can run here. Also compiles all JSONPaths, intrinsic functions and JSONata.
std::vector<Diagnostic> validate(const Json& definition, Expressions& expressions);

/// A compiled definition. Immutable.
class StateMachine;
/// Error: `workflow.invalid` with all problems, one a line.
Result<std::shared_ptr<const StateMachine>> compile(const Json& definition, Expressions& expressions);

/// What a Task's Resource may be:
///   arn:aws:lambda:…:function:NAME[:QUALIFIER] · arn:aws:states:::lambda:invoke[.waitForTaskToken] · arn:mayfly:agent:NAME
///   arn:aws:states:::states:startExecution[.sync|.sync:2|.waitForTaskToken] · arn:aws:states:::sqs:sendMessage[.waitForTaskToken]
///   arn:aws:states:::mayfly:agent.invoke[.waitForTaskToken] · arn:aws:states:…:activity:NAME
/// A Task becomes CHAINED_INVOKE (its `input` for ProgramHost::chained: {"target": trigger::Target's JSON, "input", "session"?, …}), a
/// CALLBACK (task tokens, activities) with a message through Decision::send, or both.
class WorkflowProgram;

/// Identity of one execution, for the context object ($$ and $states.context).
struct ExecutionIdentity {
  std::string state_machine;  ///< name
  std::int64_t version = 0;
  std::string name;           ///< of the execution
};

/// The run's input: {"workflow", "version", "name", "input"}.
Json execution_input(const ExecutionIdentity& identity, const Json& input);

/// The program of one version. Pure: expressions get their time and seed from the run.
std::shared_ptr<const engine::Program> make_workflow_program(std::shared_ptr<const StateMachine> machine, std::string name, std::int64_t version,
                                                             Expressions& expressions);

/// GetExecutionHistory's events, derived from the run's operations (each carries in `note` what it caused): [{"id", "previousEventId", "timestamp"
/// (ms), "type", "…EventDetails"}], oldest first.
std::vector<JsonObject> history_of(const engine::Execution& run, const std::vector<engine::Operation>& operations);

/// An opaque token that names a CALLBACK, and back. Error: `workflow.invalid_token`.
std::string make_task_token(const std::string& run, std::int64_t operation);
struct TaskRef {
  std::string run;
  std::int64_t operation = 0;
};
Result<TaskRef> parse_task_token(std::string_view token);

/// What SendTaskSuccess / SendTaskFailure / SendTaskHeartbeat give to Engine::resolve and Engine::command.
engine::Resolved task_succeeded(const TaskRef& task, Json output);
engine::Resolved task_failed(const TaskRef& task, std::string error, std::string cause);
Json heartbeat_command(const TaskRef& task);
/// A worker took the activity's task: for the history.
Json activity_started_command(const TaskRef& task, const std::string& worker);

}  // namespace mayfly::workflow
