#pragma once

#include <optional>
#include <vector>

#include "engine/core/types.h"

namespace mayfly::engine {

/// An operation that a program wants started. Its id will be `Execution::next_operation` at that moment, counting up in order.
struct OperationRequest {
  OperationType type = OperationType::Step;
  std::string name;
  std::string kind;
  Json input;
  Repeat repeat = Repeat::Freely;
  OperationRetry retry;
  std::optional<TimePoint> due;  ///< WAIT: its end (required). CALLBACK: its timeout. Others: unused.
};

struct Completion {
  ExecutionStatus status = ExecutionStatus::Succeeded;
  Json result;
  std::optional<Error> error;
};

/// What a program wants after an event. Empty means: go on waiting for what is pending.
struct Decision {
  std::vector<OperationRequest> start;
  std::vector<std::int64_t> cancel;  ///< pending operations that are no longer wanted
  std::optional<Completion> complete;
};

struct ProgramContext {
  Execution& run;    ///< the program owns `state` and `summary`, and reads the rest
  Session* session;  ///< null for a run without a session; the program owns its `state`
  TimePoint now;
};

enum class OnUnknownOutcome { Ask, Fail, Retry };

/// The logic of a run: a state machine without I/O, time or randomness of its own, so that every crash resumes where the journal
/// ends. `agent` implements it for agents; durable functions will.
class Program {
 public:
  virtual ~Program() = default;
  virtual Decision begin(ProgramContext context, const Json& input) const = 0;
  /// `operation` has ended, by success, failure, timeout or cancellation by a person; not when the program itself cancelled it.
  virtual Decision ended(ProgramContext context, const Operation& operation) const = 0;
  /// A message joined the running loop (`WhenBusy::Steer`); `operation` is its journal entry.
  virtual Decision message(ProgramContext context, const Operation& operation) const = 0;
  /// An attempt of a repeatable operation was cut off or failed, and another would follow. False ends the operation as failed instead.
  virtual bool may_repeat(ProgramContext context, const PendingOperation& operation, const Error& error) const = 0;
  /// The outcome of an operation that must not be repeated is unknown.
  virtual OnUnknownOutcome on_unknown(ProgramContext context, const PendingOperation& operation) const = 0;
};

}  // namespace mayfly::engine
