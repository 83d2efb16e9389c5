#pragma once

#include <string_view>
#include <vector>

#include "agent/agent_spec.h"
#include "llm/provider.h"

namespace mayfly::agent {

namespace tool_name {
inline constexpr std::string_view kDelegate = "delegate";
inline constexpr std::string_view kFanOut = "fan_out";
inline constexpr std::string_view kHandOff = "hand_off";
inline constexpr std::string_view kHandBack = "hand_back";
}  // namespace tool_name

/// The tools that `spec.agents` gives the model: delegate {agent, task, data?} and fan_out {tasks, gather?, count?} when some agent's mode is
/// delegate, hand_off {agent, message, reason} when one's is handoff.
std::vector<ToolSpec> delegation_tools(const AgentSpec& spec);

/// What an agent that holds another one's conversation has besides: hand_back {message}.
const llm::ToolDefinition& hand_back_tool();

}  // namespace mayfly::agent
