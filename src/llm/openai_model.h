#pragma once

#include <string>
#include <string_view>

#include "llm/provider.h"

namespace mayfly::llm {

/// What an OpenAI model accepts, from its name: o1, o3, o4 and GPT-5 or later (without "-chat") reason; they reject temperature.
struct OpenAiModel {
  bool reasons = false;
  /// The lowest effort that it accepts for ReasoningEffort::None: "none" from GPT-5.1, "minimal" for GPT-5, "low" for the o series.
  std::string_view least_effort = "none";
};

OpenAiModel openai_model(std::string_view name);

/// The wire name of an effort; empty for Default.
std::string_view effort_name(ReasoningEffort effort, const OpenAiModel& model);

/// OpenAI itself or its deployments on Azure, as opposed to servers that imitate the API and often know only its older fields.
bool is_openai_host(std::string_view base_url);

/// "data:image/png;base64,…" or the URL.
std::string image_url(const Content& image);

}  // namespace mayfly::llm
