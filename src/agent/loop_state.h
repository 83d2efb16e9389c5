#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "agent/lineage.h"
#include "base/json.h"
#include "llm/message.h"
#include "llm/prices.h"

namespace mayfly::agent {

/// One task of a `fan_out`.
struct TaskState {
  enum class Stage { Waiting, Running, Succeeded, Failed, Cancelled, Refused };
  Stage stage = Stage::Waiting;
  std::string agent;
  std::int64_t operation = 0;  ///< once it was started
  std::string why;             ///< refused
  Json task;                   ///< {task, data?}, until its operation holds it
};

std::string_view to_string(TaskState::Stage stage);

/// A run of another agent that works for this one.
struct ChildRun {
  std::int64_t operation = 0;
  std::string kind;  ///< of the operation
  Amounts reserved;
};

/// One tool call of the newest model answer.
struct CallState {
  enum class Stage { Waiting, Approval, Running, Done };
  std::string id;  ///< the model's
  std::string tool;
  Stage stage = Stage::Waiting;
  std::int64_t operation = 0;
  Json arguments;       ///< until its operation holds them
  std::string refusal;  ///< set: the call is not made, and this is what the model is told
  std::vector<TaskState> tasks = {};  ///< of fan_out; `operation` is its CONTEXT
  std::string gather = {};            ///< all, first or quorum
  std::int64_t needed = 0;       ///< tasks that must succeed
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

  Lineage lineage;
  std::string holder;                ///< who answers in this conversation instead; the session's from the run's end on
  std::int64_t children = 0;         ///< started so far
  std::vector<ChildRun> child_runs;  ///< at work
  Amounts children_used;             ///< of those that ended, with all below them; of those cut off what was reserved
  Amounts children_reserved;         ///< of those at work
  std::int64_t charged_steps = 0;    ///< of `children_used.steps`, those that count against this run's limit
  std::int64_t answered_by = 0;      ///< the newest operation through which another agent answered for this one
  Json answer;                       ///< its answer, while more are awaited

  static LoopState from_json(const Json& value);
  Json to_json() const;

  std::int64_t input_used() const { return usage.total_input() + assumed_input; }
  std::int64_t output_used() const { return usage.output + assumed_output; }
};

}  // namespace mayfly::agent
