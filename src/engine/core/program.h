#pragma once

#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/result.h"
#include "engine/core/types.h"

namespace mayfly::engine {

/// An operation that a program wants started. Its id will be `Execution::next_operation` at that moment, counting up in order.
struct OperationRequest {
  OperationType type = OperationType::Step;
  std::string name;
  std::string kind;
  Json input;
  Performer performer = Performer::Engine;
  std::string key;
  Json note;
  Repeat repeat = Repeat::Freely;
  OperationRetry retry;
  std::optional<TimePoint> due;  ///< WAIT: its end (required). CALLBACK: its timeout. Others: unused.
};

/// An operation that the program itself ends; `ended` is not called for it.
struct OperationEnd {
  std::int64_t operation = 0;
  OperationStatus status = OperationStatus::Succeeded;
  Json result;
  std::optional<Error> error;
};

/// Sets (or, without `due`, stops) the timer of a CALLBACK, or of a STEP of the program's. Such a STEP becomes Pending and,
/// when the timer fires, Ready with attempt + 1.
struct OperationTimer {
  std::int64_t operation = 0;
  std::optional<TimePoint> due;
};

struct Completion {
  ExecutionStatus status = ExecutionStatus::Succeeded;
  Json result;
  std::optional<Error> error;
};

/// What a program wants after an event. Empty means: go on waiting for what is pending. Carried out in the order of the fields, so
/// that an operation may be ended by the decision that starts it (its id: the first one's is `Execution::next_operation`).
struct Decision {
  std::vector<std::int64_t> cancel;  ///< pending operations that are no longer wanted
  std::vector<OperationRequest> start;
  std::vector<OperationEnd> end;
  std::vector<OperationTimer> timers;
  /// Messages to other parts of the program: committed with all the rest, then given to `EngineDependencies::deliver` at least once, each
  /// with an id that stays the same.
  std::vector<Json> send;
  std::optional<Completion> complete;
};

/// An ended operation, by its key.
struct EndedKey {
  std::int64_t operation = 0;
  OperationStatus status = OperationStatus::Succeeded;
};
using EndedKeys = std::unordered_map<std::string, EndedKey>;

/// The answer to a command, given once its changes are durable.
struct Reaction {
  std::optional<Decision> decision;  ///< nothing: the context is untouched and nothing is committed
  Json answer;
};

struct ProgramContext {
  Execution& run;    ///< the program owns `state`, `summary` and the operations' `note`s, and reads the rest
  Session* session;  ///< null for a run without a session; the program owns its `state`
  TimePoint now;
  const EndedKeys* ended = nullptr;  ///< set in `command`: all ended operations that have keys
};

enum class OnUnknownOutcome { Ask, Fail, Retry };

/// The logic of a run: a state machine without I/O, time or randomness of its own, so that every crash resumes where the journal
/// ends. `agent` implements it for agents, `function` for asynchronous invocations and durable functions.
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

  /// `operation` is about to be journalled as ended, whoever ended it: the last chance to write its `note`. Followed by `ended`, except
  /// where the program ended it itself.
  virtual void closing(ProgramContext context, Operation& operation) const {
    (void)context;
    (void)operation;
  }
  /// The run is about to end, for whatever reason (also by cancellation or its deadline): the last chance to write `state`.
  virtual void completing(ProgramContext context, const Completion& completion) const {
    (void)context;
    (void)completion;
  }
  /// The run has ended, for whatever reason: what the outside is told of it, as messages like `Decision::send` of the same commit. A run that
  /// was stopped in its session's inbox was never begun.
  virtual std::vector<Json> farewell(const Execution& run) const {
    (void)run;
    return {};
  }
  /// The timer of a STEP that the program performs has fired: it is Ready.
  virtual Decision ready(ProgramContext context, const PendingOperation& operation) const {
    (void)context;
    (void)operation;
    return {};
  }
  /// Somebody who acts for the program wants something (`Engine::command`). An error changes nothing: the program must not have touched the
  /// context then. After a commit without an answer the same command can come again: it must be recognised, and answered alike.
  virtual Result<Reaction> command(ProgramContext context, const Json& body) const {
    (void)context;
    (void)body;
    return fail("program.no_commands", "a run of this kind takes no commands");
  }
};

}  // namespace mayfly::engine
