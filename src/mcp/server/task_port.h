#pragma once

#include <memory>

#include "mcp/json_rpc.h"
#include "mcp/provider.h"

namespace mayfly::mcp {

inline constexpr std::string_view kTasksExtension = "io.modelcontextprotocol/tasks";

/// A run of the engine as the tasks extension (SEP-2663) shows it.
struct TaskState {
  std::string id;
  enum class Status { Working, InputRequired, Completed, Failed, Cancelled } status = Status::Working;
  std::string message;
  TimePoint created{}, updated{};
  JsonObject input_requests;      ///< of InputRequired
  JsonObject result;              ///< of Completed: a tool's result as MCP has it
  std::optional<RpcError> error;  ///< of Failed
  bool ended() const { return status != Status::Working && status != Status::InputRequired; }
};

/// Port: what `CallResult::run` names. Error of each call: `mcp.unknown_task`, also for tasks that the caller may not see.
class TaskPort {
 public:
  virtual ~TaskPort() = default;
  virtual Task<Result<TaskState>> get(Caller caller, std::string id) = 0;
  /// Answers some of its `input_requests`; names that nobody asked for are ignored.
  virtual Task<Result<void>> update(Caller caller, std::string id, JsonObject responses) = 0;
  /// Of one that has ended: nothing happens.
  virtual Task<Result<void>> cancel(Caller caller, std::string id) = 0;
  /// Until it has ended, waits for input, or `cancel`. Tells `progress` (may be empty) of its steps.
  virtual Task<Result<TaskState>> wait(Caller caller, std::string id,
                                       std::function<void(double, std::optional<double>, std::string)> progress, CancelToken cancel) = 0;
  /// Until its status is no longer `status` or `cancel`.
  virtual Task<Result<TaskState>> next_status(Caller caller, std::string id, TaskState::Status status, CancelToken cancel) = 0;
};

}  // namespace mayfly::mcp
