#include "llm/openai_model.h"

namespace mayfly::llm {
namespace {

bool is_digit(char c) { return c >= '0' && c <= '9'; }

}  // namespace

OpenAiModel openai_model(std::string_view name) {
  OpenAiModel out;
  if (name.size() >= 2 && name[0] == 'o' && is_digit(name[1])) {
    out.reasons = true;
    out.least_effort = "low";
  } else if (name.starts_with("gpt-") && name.size() > 4 && is_digit(name[4]) && name[4] >= '5') {
    out.reasons = name.find("-chat") == std::string_view::npos;
    const bool is_first_five = name[4] == '5' && (name.size() == 5 || name[5] != '.');
    out.least_effort = is_first_five ? "minimal" : "none";
  }
  return out;
}

std::string_view effort_name(ReasoningEffort effort, const OpenAiModel& model) {
  switch (effort) {
    case ReasoningEffort::Default: return "";
    case ReasoningEffort::None: return model.least_effort;
    case ReasoningEffort::Low: return "low";
    case ReasoningEffort::Medium: return "medium";
    case ReasoningEffort::High: return "high";
  }
  return "";
}

bool is_openai_host(std::string_view base_url) {
  if (base_url.empty()) return true;
  if (const auto scheme = base_url.find("://"); scheme != std::string_view::npos) base_url.remove_prefix(scheme + 3);
  const std::string_view host = base_url.substr(0, base_url.find_first_of(":/?#"));
  return host == "api.openai.com" || host.ends_with(".api.openai.com") || host.ends_with(".openai.azure.com");
}

std::string image_url(const Content& image) {
  return image.url.empty() ? "data:" + image.media_type + ";base64," + image.data : image.url;
}

}  // namespace mayfly::llm
