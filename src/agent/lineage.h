#pragma once

#include <string>
#include <vector>

#include "agent/delegation_spec.h"

namespace mayfly::agent {

/// What an agent's run knows of those above it: part of its journalled input ("lineage"), never taken from a caller.
struct Lineage {
  std::vector<std::string> agents;  ///< from the one that was started first down to the parent; empty: nobody gave this work
  Amounts budget;                   ///< the most that the run and all below it may use; 0: no bound from above
  std::int64_t depth_max = 0;       ///< agents below the first one
  bool handed_over = false;         ///< the run answers in another agent's conversation
  std::int64_t hops = 0;            ///< destinations passed since a person or an outside event

  bool below() const { return !agents.empty(); }
  static Lineage from_json(const Json& value);
  Json to_json() const;
};

}  // namespace mayfly::agent
