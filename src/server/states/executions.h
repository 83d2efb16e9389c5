#pragma once

#include <optional>
#include <string>
#include <vector>

#include "engine/engine.h"
#include "server/context.h"
#include "workflow/workflow_registry.h"

/// Executions of state machines as runs of the engine: what both Step Functions' API and our own need.
namespace mayfly::states {

/// An execution with what only its input says.
struct ExecutionDetails {
  engine::Execution run;
  std::string workflow;
  std::string name;  ///< as it was given, or the run's id
  std::string qualifier;
  std::int64_t published = 0;  ///< version; 0: none
  bool is_express = false;
  Json input;

  std::string arn() const;
  std::string status() const;  ///< RUNNING, SUCCEEDED, FAILED, TIMED_OUT or ABORTED
  /// Of one that did not succeed: {error, cause}.
  std::string error() const;
  std::string cause() const;
};

/// Starting under a name that is taken gives the execution that is running when its input is equal. Errors: `execution.exists`, and those
/// of WorkflowRegistry::start and Engine::start. Express executions' names may be used again.
Task<Result<ExecutionDetails>> start_execution(AppContext* app, workflow::ResolvedWorkflow workflow, std::string name, Json input,
                                               std::string traceparent);

/// By name or by run. Error: `execution.not_found`.
Task<Result<engine::Execution>> find_execution(AppContext* app, std::string workflow, std::string name);
Task<Result<ExecutionDetails>> details_of(AppContext* app, engine::Execution run);
/// What it gave in the end, put back from the blob store.
Task<Result<Json>> output_of(AppContext* app, engine::Execution run);

/// GetExecutionHistory's events, oldest first; times in milliseconds.
Task<Result<std::vector<JsonObject>>> history_of(AppContext* app, std::string run);

/// Errors: `run.not_found`; stopping one that has ended does nothing.
Task<Result<void>> stop_execution(AppContext* app, std::string run, std::string error, std::string cause);

/// Answers of whoever has a task's token. Errors: `workflow.invalid_token`, `task.not_found`, `task.ended`.
Task<Result<void>> task_succeeded(AppContext* app, std::string token, Json output);
Task<Result<void>> task_failed(AppContext* app, std::string token, std::string error, std::string cause);
Task<Result<void>> task_heartbeat(AppContext* app, std::string token);

}  // namespace mayfly::states
