#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/json.h"
#include "llm/message.h"
#include "llm/prices.h"

namespace mayfly::agent {

/// One tool call of the newest model answer.
struct CallState {
  enum class Stage { Waiting, Approval, Running, Done };
  std::string id;  ///< the model's
  std::string tool;
  Stage stage = Stage::Waiting;
  std::int64_t operation = 0;
  Json arguments;       ///< until its operation holds them
  std::string refusal;  ///< set: the call is not made, and this is what the model is told
};

/// What the loop remembers between two events: the `state` of its Execution. Bounded; the conversation is in the journal.
struct LoopState {
  std::int64_t steps = 0;  ///< model calls begun, repeats not counted
  llm::Usage usage;        ///< reported by the providers
  llm::NanoUsd spent = 0;
  std::int64_t assumed_input = 0;  ///< of calls that were cut off: they may have been billed, so they count
  std::int64_t assumed_output = 0;
  std::int64_t reserved_input = 0;  ///< of the model call under way
  std::int64_t reserved_output = 0;
  llm::NanoUsd reserved = 0;
  std::int64_t granted_steps = 0;  ///< by persons, beyond the limits
  std::int64_t granted_input = 0;
  std::int64_t granted_output = 0;
  llm::NanoUsd granted_usd = 0;
  std::int64_t context_tokens = 0;  ///< of the conversation after the last model call, as the provider counted it
  std::int64_t new_bytes = 0;       ///< what came since
  std::int64_t unseen = 0;          ///< messages that joined and that no model call has seen
  std::int64_t output_retries = 0;
  std::int64_t continuations = 0;
  std::string partial;     ///< the answer so far, of model calls that stopped at their length
  std::string breached;    ///< a limit that forbade repeating a model call
  bool compacted = false;  ///< since the last model call
  std::vector<CallState> calls;

  static LoopState from_json(const Json& value);
  Json to_json() const;

  std::int64_t input_used() const { return usage.total_input() + assumed_input; }
  std::int64_t output_used() const { return usage.output + assumed_output; }
};

}  // namespace mayfly::agent
