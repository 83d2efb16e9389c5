#pragma once

#include "agent/service.h"

namespace mayfly::agent {

/// Drives the logic of `spec` through a recorded run. `earlier` is the session's conversation before it; `recorded` is the spec that made
/// the record. Pure.
ReplayReport replay_run(const engine::RunDescription& description, const std::vector<llm::Message>& earlier, const AgentSpec& recorded,
                        const AgentSpec& spec, const llm::PriceTable& prices);

}  // namespace mayfly::agent
