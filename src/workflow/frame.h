#pragma once

#include <map>
#include <string>
#include <vector>

#include "base/json.h"
#include "base/time.h"

namespace mayfly::workflow {

/// One thread of an execution: the machine itself, a branch of a Parallel, an iteration of a Map. It is in one state.
struct Frame {
  enum class Phase { Entering, Working, Retrying, Gathering };
  std::int64_t id = 0;
  std::int64_t parent = 0;  ///< 0: none
  std::int64_t index = 0;   ///< branch or iteration
  std::string state;
  Phase phase = Phase::Entering;
  Json input;  ///< the state's raw input
  TimePoint entered{};
  std::int64_t last_event = 0;
  std::map<std::string, Json> variables;
  std::vector<std::int64_t> retries;  ///< by retrier
  std::int64_t retry_count = 0;
  std::int64_t invoke = 0;   ///< pending CHAINED_INVOKE
  std::int64_t waiting = 0;  ///< pending WAIT or CALLBACK
  std::int64_t timer = 0;    ///< pending WAIT that limits it
  std::int64_t heartbeat_ms = 0;
  TimePoint timeout_at{};  ///< of a CALLBACK; 0: none
  Json item;               ///< {"Index", "Value"} of an iteration
  Json items;              ///< of a Map
  JsonArray results;       ///< of branches and iterations
  std::int64_t next = 0, open = 0, failed = 0, concurrency = 0, tolerated = 0;
};
Json to_json(const Frame& frame);
Frame frame_from_json(const JsonObject& object);

/// What a run keeps between two events.
struct WorkflowState {
  std::map<std::int64_t, Frame> frames;
  std::int64_t next_frame = 1;
  std::int64_t events = 0;
  std::vector<std::int64_t> ready;  ///< frames that can go on
  std::int64_t yield = 0;           ///< pending WAIT that lets others go first
  std::int64_t deadline = 0;        ///< pending WAIT: TimeoutSeconds of the machine
  JsonObject identity;              ///< {"workflow", "version", "name"}
  Json input;                       ///< of the execution
  TimePoint started{};
  JsonArray log;  ///< events that no operation holds yet
};
Json to_json(const WorkflowState& state);
WorkflowState workflow_state_from_json(const Json& value);

}  // namespace mayfly::workflow
