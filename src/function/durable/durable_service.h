#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/engine.h"
#include "function/function_service.h"

/// Durable executions in AWS's terms (API of 2025-12-01), over the engine's runs and operations. Requests and answers are the API's own
/// JSON documents (camel case as on the wire, timestamps as epoch seconds); the routes only move them.
namespace mayfly::function {

/// "arn:aws:lambda:REGION:ACCOUNT:function:NAME:VERSION/durable-execution/EXECUTION_NAME/RUN_ID", where the run's id is the engine's
/// without "run_".
struct ExecutionArn {
  std::string function;
  std::string version;
  std::string name;
  std::string run;
};
std::string to_string(const ExecutionArn& arn);
Result<ExecutionArn> parse_execution_arn(std::string_view text);  ///< Errors: `execution.invalid_arn`

struct Page {
  std::string marker;           ///< opaque; empty: the first page
  std::size_t items_max = 100;  ///< at most 1,000
};

struct ExecutionFilter {
  FunctionRef function;
  std::string name;
  std::vector<std::string> statuses;
  std::optional<TimePoint> started_after, started_before;
  bool reverse = false;
  Page page;
};

class DurableService {
 public:
  virtual ~DurableService() = default;

  /// CheckpointDurableExecution. `request`: {"CheckpointToken","Updates","ClientToken"}. Errors: `checkpoint.invalid` (what is wrong with
  /// which update), `checkpoint.invalid_token` (a later invocation or a later checkpoint owns the execution), `run.not_found`, `run.ended`.
  virtual Task<Result<Json>> checkpoint(std::string arn, Json request) = 0;
  /// GetDurableExecutionState: the operations that the token's owner has.
  virtual Task<Result<Json>> state(std::string arn, std::string checkpoint_token, Page page) = 0;
  virtual Task<Result<Json>> get(std::string arn, bool include_data) = 0;
  /// GetDurableExecutionHistory.
  virtual Task<Result<Json>> history(std::string arn, bool include_data, bool reverse, Page page) = 0;
  virtual Task<Result<Json>> list(ExecutionFilter filter) = 0;
  /// StopDurableExecution, with the ErrorObject (or {"Error":{…}}) or null.
  virtual Task<Result<Json>> stop(std::string arn, Json error) = 0;
  /// SendDurableExecutionCallback*. Errors: `callback.not_found`, `callback.ended` (AWS CallbackTimeoutException where it timed out).
  virtual Task<Result<void>> callback_succeed(std::string callback_id, std::string result) = 0;
  virtual Task<Result<void>> callback_fail(std::string callback_id, Json error) = 0;
  virtual Task<Result<void>> callback_heartbeat(std::string callback_id) = 0;
};
std::unique_ptr<DurableService> make_durable_service(FunctionServiceDependencies dependencies, engine::Engine& engine);

}  // namespace mayfly::function
