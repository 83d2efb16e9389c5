#pragma once

#include <string>
#include <vector>

#include "engine/engine.h"
#include "function/durable/durable_service.h"
#include "function/durable/history.h"
#include "function/durable/operation_json.h"

namespace mayfly::function {

/// A durable execution as it is in the journal; payloads may be references.
struct LoadedExecution {
  engine::Execution run;
  DurableState state;
  Json input;                             ///< that of its start, whole
  std::vector<OperationView> operations;  ///< pending and ended, hidden ones too, in the order of starting
};

/// Errors: `run.not_found` (also for runs that are no durable executions), and those of the store.
Task<Result<LoadedExecution>> load_execution(engine::Engine& engine, std::string run);
/// Only the run's own record.
Task<Result<engine::Execution>> load_run(engine::Engine& engine, std::string run);
/// The run that `arn` names. Errors: as above, and `execution.invalid_arn`.
Result<std::string> run_of(std::string_view arn);

/// The execution's input payload as text, or null.
Task<Result<Json>> input_payload(engine::Engine& engine, const LoadedExecution& execution);

struct StatePage {
  JsonArray operations;
  std::string next_marker;
};
/// A page of what a handler knows, the EXECUTION operation first. Error: `execution.invalid_marker`.
Task<Result<StatePage>> state_page(engine::Engine& engine, const LoadedExecution& execution, std::string marker, std::size_t items_max,
                                   TimeFormat format);

}  // namespace mayfly::function
