#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "base/time.h"

/// What the engine keeps of a run, in the terms of AWS Lambda's durable functions (API of 2025-12-01): a durable
/// *execution* is a list of *operations*. Everything here is a value with a stable JSON form.
namespace mayfly::engine {

enum class ExecutionStatus { Running, Succeeded, Failed, TimedOut, Stopped };
std::string_view to_string(ExecutionStatus status);
std::optional<ExecutionStatus> execution_status_from_string(std::string_view text);

enum class OperationType { Execution, Context, Step, Wait, Callback, ChainedInvoke };
std::string_view to_string(OperationType type);

/// Started: under way (or waiting for its timer or callback). Pending: waits for its next attempt. Ready: its next attempt
/// may begin, and its program performs it. OutcomeUnknown: was cut off and must not be repeated without a decision. The others are final.
enum class OperationStatus { Started, Pending, Ready, OutcomeUnknown, Succeeded, Failed, Cancelled, TimedOut, Stopped };
std::string_view to_string(OperationStatus status);

/// How a STEP may be repeated after its attempt was cut off; the meaning of `Effect` in tool/tool.h.
enum class Repeat {
  Freely,  ///< no effect, or one that absorbs repeats (the idempotency key stays the same)
  Never,   ///< becomes OutcomeUnknown
};

struct OperationRetry {
  std::int64_t attempts_max = 1;
  Millis delay_first{500};
  Millis delay_max{60'000};
};

/// Who carries an operation out and says when it has ended. WAITs and CALLBACKs are the engine's, CONTEXTs the program's.
enum class Performer {
  Engine,   ///< a STEP: a `StepExecutor`; a CHAINED_INVOKE: the run that the engine starts
  Program,  ///< the user's own process, which reports through `Engine::command`
};

/// An operation that has not ended; lives inside its Execution, so that one record says all about an open run.
struct PendingOperation {
  std::int64_t id = 0;  ///< from 1, in the order of starting; unique in the run
  OperationType type = OperationType::Step;
  OperationStatus status = OperationStatus::Started;
  std::string name;  ///< "model", a tool's name, …
  std::string kind;  ///< what executes it: "llm", "tool", "approval", … (AWS's SubType)
  Json input;        ///< small: large inputs are named by reference
  Performer performer = Performer::Engine;
  std::string key;  ///< the program's own name for it, unique in the run; empty: none
  Json note;        ///< what the program keeps with it; stays with the ended operation
  Repeat repeat = Repeat::Freely;
  OperationRetry retry;
  std::int64_t attempt = 1;
  std::int64_t unknown_attempts = 0;  ///< of them, those that ended without anybody knowing how
  std::int64_t started_event = 0;
  TimePoint started{};
  std::optional<TimePoint> due;  ///< of its timer: wait's end, callback's timeout, next attempt
  std::string last_error;        ///< of the attempt before

  /// A `StepExecutor` works on it, or would if the server had not stopped.
  bool is_executing() const { return type == OperationType::Step && status == OperationStatus::Started && performer == Performer::Engine; }
};

/// An operation that has ended: written once, never changed.
struct Operation {
  std::int64_t id = 0;  ///< 0 is the EXECUTION operation, which holds the run's input
  OperationType type = OperationType::Step;
  OperationStatus status = OperationStatus::Succeeded;
  std::string name;
  std::string kind;
  std::string key;  ///< as PendingOperation::key
  Json note;        ///< as PendingOperation::note
  Json input;
  Json result;                 ///< when it succeeded; of a failed CHAINED_INVOKE what its run left
  std::optional<Error> error;  ///< when it did not
  std::int64_t attempts = 1;
  std::int64_t unknown_attempts = 0;
  std::int64_t started_event = 0;
  std::int64_t ended_event = 0;
  TimePoint started{};
  TimePoint ended{};
  Json meta;  ///< measured by the executor: model, tokens, cost, …
};

/// Why nothing of a run is executing: one reason, for machines.
struct WaitReason {
  enum class Kind { Timer, Callback, Retry, OutcomeUnknown, SessionBusy, ChainedInvoke };
  Kind kind = Kind::Timer;
  std::int64_t operation = 0;
  std::string name;
  std::optional<TimePoint> until;
};
std::string_view to_string(WaitReason::Kind kind);

struct ParentLink {
  std::string run;
  std::int64_t operation = 0;
};

struct Execution {
  std::string id;            ///< "run_" and a ULID that carries the partition
  std::string program;       ///< the agent's (later: function's) name
  std::int64_t version = 0;  ///< of the program; a run keeps the one that it started with
  std::string session;       ///< "agent/key", or the run's own id when it has no session
  bool keyed = false;        ///< `session` is a session's
  ExecutionStatus status = ExecutionStatus::Running;
  bool begun = false;               ///< false while it waits in its session's inbox
  std::int64_t queue_position = 0;  ///< its inbox number while it waits there
  std::optional<WaitReason> wait;
  TimePoint created{};
  TimePoint updated{};
  std::optional<TimePoint> ended;
  std::optional<TimePoint> deadline;
  std::int64_t revision = 0;  ///< counts its commits
  std::int64_t events = 0;    ///< the newest event's number
  std::int64_t next_operation = 1;
  std::int64_t next_message = 1;  ///< numbers what it has sent
  std::vector<PendingOperation> pending;
  Json state;    ///< the program's
  Json summary;  ///< what lists show: tokens, cost, steps, …
  Json result;
  std::optional<Error> error;
  std::optional<ParentLink> parent;
  std::string traceparent;  ///< W3C trace context of the event that started it

  bool open() const { return status == ExecutionStatus::Running; }
  PendingOperation* find_pending(std::int64_t operation);
  const PendingOperation* find_pending(std::int64_t operation) const;
};

/// One conversation: a single-writer actor with an inbox.
struct Session {
  std::string id;  ///< "agent/key"
  std::string program;
  std::string running;          ///< the run that holds it, or empty
  std::int64_t inbox_head = 1;  ///< number of the oldest waiting message
  std::int64_t inbox_next = 1;  ///< number that the next one gets
  std::int64_t waiting = 0;
  std::int64_t runs = 0;  ///< numbers its history rows
  Json state;             ///< the program's, carried from run to run
  TimePoint created{};
  TimePoint updated{};
};

/// Parses a record of ours: deeper than what is accepted from outside, because it holds such values inside.
Result<Json> parse_record(std::string_view text);

Json to_json(const Execution& execution);
Result<Execution> execution_from_json(const Json& value);
Json to_json(const Operation& operation);
Result<Operation> operation_from_json(const Json& value);
Json to_json(const PendingOperation& operation);
Json to_json(const WaitReason& reason);
Json to_json(const Session& session);
Result<Session> session_from_json(const Json& value);
Json to_json(const Error& error);
Error error_from_json(const JsonObject& object);

}  // namespace mayfly::engine
