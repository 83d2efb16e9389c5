#include "server/config.h"

#include <algorithm>
#include <charconv>
#include <cstdlib>

namespace mayfly {
namespace {

ProviderSetting provider(std::string name, std::string kind, std::string base_url, std::string api_key_env) {
  llm::ProviderConfig config;
  config.name = std::move(name);
  config.kind = std::move(kind);
  config.base_url = std::move(base_url);
  return {std::move(config), std::move(api_key_env)};
}

std::vector<std::string> names_in(std::string_view text) {
  std::vector<std::string> out;
  while (!text.empty()) {
    const auto end = std::min(text.find_first_of(", "), text.size());
    if (end > 0) out.emplace_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return out;
}

FunctionSettings function_settings(const Environment& environment) {
  FunctionSettings out;
  const auto text = [&](std::string_view name) { return environment(name).value_or(std::string()); };
  out.enabled = text("MAYFLY_FUNCTIONS") != "off";
  if (const auto idle = parse_duration(text("MAYFLY_FUNCTION_IDLE_TIMEOUT"))) out.idle_timeout = *idle;
  const std::string count = text("MAYFLY_FUNCTION_INSTANCES_MAX");
  std::size_t instances = 0;
  std::from_chars(count.data(), count.data() + count.size(), instances);
  if (instances > 0) out.instances_max = std::min<std::size_t>(instances, 10'000);
  out.sandbox_require = names_in(text("MAYFLY_SANDBOX_REQUIRE"));
  out.sandbox_without = names_in(text("MAYFLY_SANDBOX_WITHOUT"));
  return out;
}

}  // namespace

Environment process_environment() {
  return [](std::string_view name) -> std::optional<std::string> {
    const char* value = std::getenv(std::string(name).c_str());
    if (!value) return std::nullopt;
    return std::string(value);
  };
}

bool ServerConfig::is_loopback() const { return address == "localhost" || address == "::1" || address.starts_with("127."); }

ServerConfig config_from_environment(Environment environment) {
  ServerConfig out;
  const auto text = [&](std::string_view name) { return environment(name).value_or(std::string()); };
  if (!text("ANTHROPIC_API_KEY").empty())
    out.providers.push_back(provider("anthropic", "anthropic", text("ANTHROPIC_BASE_URL"), "ANTHROPIC_API_KEY"));
  if (!text("OPENAI_API_KEY").empty()) {
    out.providers.push_back(provider("openai", "openai", text("OPENAI_BASE_URL"), "OPENAI_API_KEY"));
    out.providers.push_back(provider("openai-responses", "openai-responses", text("OPENAI_BASE_URL"), "OPENAI_API_KEY"));
  }
  out.functions = function_settings(environment);
  out.environment = std::move(environment);
  return out;
}

}  // namespace mayfly
