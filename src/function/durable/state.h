#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/json.h"
#include "engine/core/types.h"

namespace mayfly::function {

/// Kinds (AWS SubType) of operations that are Mayfly's own and never shown by the durable API. They have no key.
inline constexpr std::string_view kInvocationKind = "invocation";
inline constexpr std::string_view kBackoffKind = "backoff";  ///< the pause before an invocation is tried again
inline constexpr std::string_view kEventsKind = "events";    ///< holds events of other operations

/// One entry of GetDurableExecutionHistory, kept with the operation that it is about.
struct HistoryEvent {
  std::int64_t id = 0;
  std::string type;  ///< "StepStarted", …
  TimePoint time{};
  std::int64_t operation = 0;         ///< whose it is; 0: of the one that holds it, or of the execution
  std::int64_t attempt = 0;           ///< RetryDetails.CurrentAttempt; 0: none
  std::optional<std::int64_t> delay;  ///< RetryDetails.NextAttemptDelaySeconds
  Json result;                        ///< only of an attempt that was not the last one
  Json error;
};
Json to_json(const HistoryEvent& event);
HistoryEvent history_event_from_json(const JsonObject& object);

/// The `note` of an operation: what the API tells of it beyond what the engine keeps.
struct OperationNote {
  std::string status;  ///< AWS's, also of ended operations
  std::string parent;
  std::int64_t attempt = 0;
  std::optional<TimePoint> next_attempt;
  Json result;  ///< of a STEP between two attempts: the text or a reference to it
  Json error;   ///< ErrorObject
  bool replay_children = false;
  std::string callback_id;
  std::int64_t timeout = 0;    ///< seconds, of a CALLBACK
  std::int64_t heartbeat = 0;  ///< seconds
  std::optional<TimePoint> timeout_at, heartbeat_at;
  std::string function;  ///< of a CHAINED_INVOKE, as the handler named it
  std::string executed_version;
  std::string tenant;
  std::string child;  ///< ARN of the invoked execution, once known
  std::vector<HistoryEvent> events;
};
Json to_json(const OperationNote& note);
OperationNote note_from_json(const Json& note);

/// The `state` of a durable execution's run.
struct DurableState {
  struct Change {
    std::int64_t operation = 0;
    std::int64_t number = 0;
  };
  /// The newest checkpoint, so that its repeat gets the same answer.
  struct Checkpoint {
    std::int64_t sequence = -1;  ///< of the token that it came with
    std::string client_token;
    std::string fingerprint;
    std::vector<std::int64_t> operations;  ///< of the answer
  };
  std::string name;     ///< of the execution
  std::string version;  ///< of the function: "$LATEST" or a number
  std::int64_t timeout = 0;
  std::int64_t events = 0;      ///< number of the newest history event
  std::int64_t operations = 0;  ///< of the handler's, for the limit
  std::int64_t sequence = 0;    ///< of the token that is accepted next
  std::int64_t change = 0;      ///< counts changes of operations
  std::int64_t invocation = 0;  ///< the operation under way; 0: none
  std::int64_t backoff = 0;     ///< as above
  std::int64_t failures = 0;    ///< invocations in a row that did not end well
  std::vector<Change> changed;  ///< what the handler may not have been told, by operation
  Checkpoint last;
  Json outcome;                       ///< what an EXECUTION update said: {"Status","Result","Error"}
  std::vector<std::string> requests;  ///< the newest ones of outside callers, to recognise repeats
  /// Events of operations that ended while an invocation was under way and has not been told yet: as AWS, they get their numbers when it
  /// is.
  std::vector<HistoryEvent> held;
  std::vector<HistoryEvent> tail;  ///< once the execution has ended: its last events

  std::int64_t next_event() { return ++events; }
  void touch(std::int64_t operation);
};
Json to_json(const DurableState& state);
DurableState durable_state_from_json(const Json& state);

/// AWS's name of the state that an ended operation is in.
std::string aws_status(const engine::Operation& operation, const OperationNote& note);

}  // namespace mayfly::function
