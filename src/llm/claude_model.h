#pragma once

#include <string_view>

namespace mayfly::llm {

/// What a Claude model accepts, from its name. Unknown names count as the newest generation.
/// Sources: Claude docs "Extended thinking", "Adaptive thinking", "Effort", "Structured outputs" and the migration guides of
/// Claude Opus 4.7, 5 and 5.5.
struct ClaudeModel {
  bool thinks_by_budget = false;     ///< thinking: {type: enabled, budget_tokens} (3.7 up to 4.5)
  bool thinks_adaptively = false;    ///< thinking: {type: adaptive} with output_config.effort (from 4.6)
  bool thinks_by_default = false;    ///< without being asked (from 5)
  bool can_disable_thinking = true;  ///< thinking: {type: disabled} is accepted
  bool takes_temperature = true;     ///< rejected from 4.7
  bool takes_forced_tools = true;    ///< tool_choice any; rejected from 5.5 and by Fable and Mythos
  bool takes_output_format = false;  ///< output_config.format (from 4.5)
};

ClaudeModel claude_model(std::string_view name);

}  // namespace mayfly::llm
