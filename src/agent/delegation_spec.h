#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/json.h"
#include "base/time.h"
#include "llm/prices.h"
#include "trigger/target.h"

namespace mayfly::agent {

/// What a run and all that it has others do may use. 0 in a limit: none.
struct Amounts {
  std::int64_t steps = 0;
  std::int64_t input_tokens = 0;
  std::int64_t output_tokens = 0;
  llm::NanoUsd usd = 0;

  Amounts& operator+=(const Amounts& other);
  Amounts& operator-=(const Amounts& other);
  bool operator==(const Amounts&) const = default;
};
Json to_json(const Amounts& amounts);
Amounts amounts_from_json(const Json& value);

/// Another agent that an agent may give work to.
struct Delegation {
  enum class Mode {
    Delegate,  ///< a run of its own does a task; its answer comes back as a tool result
    Handoff,   ///< the conversation moves to it
  };
  enum class Session {
    Run,     ///< every task is a new conversation
    Shared,  ///< the tasks of one conversation continue one conversation of the other agent's
  };
  enum class OnFailure {
    Tell,  ///< the model is told and goes on
    Fail,  ///< the run fails
  };
  std::string agent;
  Mode mode = Mode::Delegate;
  std::string description;  ///< tells the model when to use it
  Amounts budget;           ///< of one child; 0: an equal share of what is left, where the run has a limit
  Millis deadline{0};       ///< of one child, waits included; 0: its own
  Session session = Session::Run;
  OnFailure on_failure = OnFailure::Tell;
};

struct FanOutPolicy {
  static constexpr std::int64_t kParallelMax = 16;
  static constexpr std::int64_t kChildrenMax = 64;
  std::int64_t parallel = 4;   ///< tasks of fan_out at work at the same time
  std::int64_t children = 16;  ///< tasks of one run, all together
};

/// Where the end of a run and what happens in it is told.
struct Destinations {
  static constexpr std::size_t kTargetsMax = 4;
  static constexpr std::int64_t kHopsMax = 16;  ///< from run to run by destinations; more is taken for a loop
  struct OnEvent {
    std::vector<std::string> events;  ///< see `run_event_names`
    trigger::Target target;
  };
  std::vector<trigger::Target> on_success;
  std::vector<trigger::Target> on_failure;  ///< of runs that failed, timed out or were stopped, begun or not
  std::vector<OnEvent> on_event;

  bool empty() const { return on_success.empty() && on_failure.empty() && on_event.empty(); }
};
/// "run.started", "tool.ended", "question.asked", …
const std::vector<std::string>& run_event_names();

/// The deployed JSON forms. The readers report the first problem as a sentence that starts with the key.
Json to_json(const Delegation& delegation);
Result<Delegation> delegation_from_json(const Json& value);
Json to_json(const Destinations& destinations);
Result<Destinations> destinations_from_json(const Json& value);

}  // namespace mayfly::agent
