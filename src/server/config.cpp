#include "server/config.h"

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
  out.environment = std::move(environment);
  return out;
}

}  // namespace mayfly
