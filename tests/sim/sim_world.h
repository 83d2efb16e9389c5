#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "agent/service.h"
#include "blob/memory_blob_store.h"
#include "engine/engine.h"
#include "testing/sim_clock.h"
#include "testing/sim_store.h"

/// A whole Mayfly without sockets: the real engine, agent loop, gateway and HTTP tools on a simulated store, clock, network and model.
namespace mayfly::sim {

/// A bug put in on purpose, to prove that the checkers see it.
enum class Plant {
  None,
  AckBeforeDurable,      ///< the store acknowledges batches that a crash then loses
  FreshIdempotencyKeys,  ///< every attempt of a tool call gets a key of its own
  RepeatAtMostOnce,      ///< a cut-off call is repeated although its outcome is unknown
  NoReservation,         ///< the budget is checked against what was reported only
  EarlyTimers,           ///< the engine's clock runs ahead at times
  NoFencing,             ///< the store ignores preconditions, so that a paused old owner goes on writing
};
std::string_view to_string(Plant plant);

struct WorldOptions {
  std::uint64_t seed = 1;
  Plant plant = Plant::None;
  int invocations = 12;
  int crashes_max = 4;
  bool verbose = false;
};

struct WorldReport {
  std::vector<std::string> violations;
  std::string trace_hash;  ///< of everything durable in the end and of the outside effects
  int crashes = 0;
  std::uint64_t commits = 0, model_calls = 0, tool_calls = 0;
};

/// Runs one seed: a phase of faults and crashes, then a healed one in which everything must finish.
WorldReport run_world(const WorldOptions& options);

}  // namespace mayfly::sim
