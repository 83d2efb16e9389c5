#pragma once

#include <string>

#include "agent/registry.h"
#include "base/json.h"

namespace mayfly::a2a {

/// The agent card; `base` is the origin as the client reached it: "http://127.0.0.1:7400".
JsonObject card_of(const agent::AgentVersion& agent, const std::string& base);

}  // namespace mayfly::a2a
