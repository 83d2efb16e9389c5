#include "server/config.h"

#include <cstdlib>

#include "net/http.h"

namespace mayfly {
namespace {

ProviderSetting provider(std::string name, std::string kind, std::string base_url, std::string api_key_env) {
  llm::ProviderConfig config;
  config.name = std::move(name);
  config.kind = std::move(kind);
  config.base_url = std::move(base_url);
  return {std::move(config), std::move(api_key_env)};
}

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

/// "a=b,c=d", values percent-encoded (the format of OTEL_EXPORTER_OTLP_HEADERS).
std::vector<std::pair<std::string, std::string>> parse_headers(std::string_view text) {
  std::vector<std::pair<std::string, std::string>> out;
  while (!text.empty()) {
    const auto end = text.find(',');
    const std::string_view item = text.substr(0, end);
    text = end == std::string_view::npos ? std::string_view() : text.substr(end + 1);
    const auto equals = item.find('=');
    if (equals == std::string_view::npos) continue;
    const std::string_view raw = trimmed(item.substr(equals + 1));
    out.emplace_back(trimmed(item.substr(0, equals)), net::percent_decode(raw, false).value_or(std::string(raw)));
  }
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
  out.otlp_endpoint = text("OTEL_EXPORTER_OTLP_ENDPOINT");
  out.otlp_headers = parse_headers(text("OTEL_EXPORTER_OTLP_HEADERS"));
  if (!text("OTEL_SERVICE_NAME").empty()) out.service_name = text("OTEL_SERVICE_NAME");
  out.environment = std::move(environment);
  return out;
}

}  // namespace mayfly
