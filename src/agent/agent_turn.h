#pragma once

#include "agent/agent_program.h"

/// Private to the loop: shared by agent_program.cpp (the loop), agent_budget.cpp, agent_tool_calls.cpp, agent_children.cpp and agent_tell.cpp.
namespace mayfly::agent {

inline constexpr std::int64_t kMessageOverheadBytes = 80;  ///< roles, ids and framing of one message, generously
inline constexpr std::int64_t kOutputTokensMin = 16;       ///< less is no useful answer
inline constexpr std::int64_t kBytesPerTokenLow = 2;       ///< for reservations: few texts have fewer bytes a token
inline constexpr std::int64_t kBytesPerTokenTypical = 3;

inline std::int64_t size_of(const Json& value) {
  if (const auto* text = value.if_string()) return static_cast<std::int64_t>(text->size());
  return value.is_null() ? 0 : static_cast<std::int64_t>(to_text(value).size());
}

/// Model, tool and error texts that go back to the model are bounded.
inline std::string cut(std::string text) {
  constexpr std::size_t kRefusalBytesMax = 2'000;
  if (text.size() > kRefusalBytesMax) text = to_utf8_lossy(text.substr(0, kRefusalBytesMax)) + "…";
  return text;
}

struct AgentProgram::Turn {
  engine::ProgramContext context;
  LoopState state;
  engine::Decision decision;

  std::int64_t next_operation() const { return context.run.next_operation + static_cast<std::int64_t>(decision.start.size()); }
  void start(engine::OperationRequest request) { decision.start.push_back(std::move(request)); }
};

}  // namespace mayfly::agent
