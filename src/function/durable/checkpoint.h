#pragma once

#include <string_view>
#include <unordered_map>
#include <vector>

#include "engine/core/program.h"
#include "function/durable/state.h"
#include "function/durable/updates.h"

/// What CheckpointDurableExecution does to a run, after AWS's rules. Pure.
namespace mayfly::function {

inline constexpr std::int64_t kOperationsMax = 3'000;  ///< of one execution

/// The operations of a run that a handler knows, by its own Ids.
class KnownOperations {
 public:
  explicit KnownOperations(engine::ProgramContext context);

  enum class Where { Nowhere, Pending, Ended };
  struct Found {
    Where where = Where::Nowhere;
    bool is_context = false;
    engine::PendingOperation* pending = nullptr;
    engine::EndedKey ended;
  };
  Found find(std::string_view id) const;

 private:
  std::unordered_map<std::string_view, engine::PendingOperation*> pending_;
  const engine::EndedKeys* ended_;
};

/// Errors: `checkpoint.invalid`, with AWS's own messages where it has one.
Result<void> validate(const std::vector<Update>& updates, engine::ProgramContext context, const DurableState& state);

/// Carries valid updates out: changes the notes of pending operations and `state`, and adds to `decision` what the engine is to do.
void apply(const std::vector<Update>& updates, engine::ProgramContext context, DurableState& state, engine::Decision& decision);

/// Ends WAITs and pauses of STEPs whose time has come, so that the answer tells of them.
void complete_due(engine::ProgramContext context, DurableState& state, engine::Decision& decision);

/// An operation of its own for events of others: those of a step's earlier attempt, and held ones.
void journal_events(engine::ProgramContext context, std::vector<HistoryEvent> events, engine::Decision& decision);
/// Gives the held events their numbers.
void release_held(engine::ProgramContext context, DurableState& state, engine::Decision& decision);

}  // namespace mayfly::function
