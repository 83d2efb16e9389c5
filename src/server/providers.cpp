#include "server/providers.h"

#include <algorithm>
#include <array>
#include <filesystem>

namespace mayfly {
namespace {

constexpr std::string_view kPrefix = "meta/provider/";
constexpr std::size_t kProvidersMax = 50;
constexpr std::array<std::string_view, 4> kKinds{"anthropic", "openai", "openai-responses", "scripted"};
constexpr std::array<std::string_view, 8> kMembers{"name",   "kind",            "base_url",            "api_key_env",
                                                   "script", "concurrency_max", "requests_per_minute", "tokens_per_minute"};

std::unexpected<Error> invalid(const std::string& name, const std::string& what) {
  return fail("provider.invalid", "provider '" + name + "': " + what);
}

bool is_name(std::string_view name) {
  return !name.empty() && name.size() <= 63 && std::ranges::all_of(name, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.';
  });
}

bool is_variable_name(std::string_view name) {
  return name.size() <= 200 && std::ranges::all_of(name, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
  });
}

Result<void> check_members(const JsonObject& in, const std::string& name) {
  for (const auto& member : in) {
    const std::string_view key = member.key();
    if (std::ranges::find(kMembers, key) == kMembers.end())
      return invalid(name,
                     "unknown member " + to_text(Json(key)).substr(0, 80) +
                         (key == "api_key" ? "; keys are never sent: name the environment variable that holds it as \"api_key_env\"" : ""));
    const Json& value = member.value();
    const bool is_number = key == "concurrency_max" || key.ends_with("_per_minute");
    if (value.is_null()) continue;
    if (is_number ? !value.is_number() : !value.is_string())
      return invalid(name, "\"" + std::string(key) + "\" must be a " + (is_number ? "number" : "text"));
  }
  return {};
}

}  // namespace

Result<ProviderSetting> provider_from_json(const Json& value, const std::string& directory) {
  if (!value.is_object()) return fail("provider.invalid", "a provider must be an object with \"name\" and \"kind\"");
  const JsonObject& in = value.get_object();
  ProviderSetting out;
  llm::ProviderConfig& config = out.config;
  config.name = get_string(in, "name");
  if (!is_name(config.name)) return fail("provider.invalid", "a provider's name has 1 to 63 of the characters a-z, 0-9, '-', '_' and '.'");
  if (const auto known = check_members(in, config.name); !known) return fail(known.error());
  config.kind = get_string(in, "kind");
  if (std::ranges::find(kKinds, config.kind) == kKinds.end())
    return invalid(config.name, "\"kind\" must be anthropic, openai, openai-responses or scripted");
  config.base_url = get_string(in, "base_url");
  out.api_key_env = get_string(in, "api_key_env");
  if (!is_variable_name(out.api_key_env))
    return invalid(config.name, "\"api_key_env\" must be the name of an environment variable, not the key itself");
  if (config.kind == "scripted") {
    std::filesystem::path path = get_string(in, "script");
    if (path.empty()) return invalid(config.name, "a scripted provider needs \"script\", the path of its YAML file");
    if (path.is_relative() && directory.empty()) return invalid(config.name, "\"script\" must be an absolute path of the server's machine");
    if (path.is_relative()) path = std::filesystem::path(directory) / path;
    config.script_path = path.lexically_normal().string();
  }
  config.concurrency_max = static_cast<int>(std::clamp<std::int64_t>(get_int(in, "concurrency_max", config.concurrency_max), 1, 10'000));
  config.requests_per_minute = std::max(0.0, get_double(in, "requests_per_minute"));
  config.tokens_per_minute = std::max(0.0, get_double(in, "tokens_per_minute"));
  return out;
}

JsonObject to_json(const ProviderSetting& setting) {
  const llm::ProviderConfig& config = setting.config;
  JsonObject out{{"name", config.name}, {"kind", config.kind}, {"concurrency_max", config.concurrency_max}};
  if (!config.base_url.empty()) out["base_url"] = config.base_url;
  if (!setting.api_key_env.empty()) out["api_key_env"] = setting.api_key_env;
  if (!config.script_path.empty()) out["script"] = config.script_path;
  if (config.requests_per_minute > 0) out["requests_per_minute"] = config.requests_per_minute;
  if (config.tokens_per_minute > 0) out["tokens_per_minute"] = config.tokens_per_minute;
  return out;
}

Task<Result<void>> ProviderSettings::load() {
  auto rows = co_await store_.scan(KeyRange::prefix(kPrefix), kScanRecordsMax, Direction::Forward);
  if (!rows) co_return fail(rows.error());
  for (const Record& row : *rows) {
    const auto value = parse_json(row.value);
    if (!value) co_return fail("store.damaged", "the record " + row.key + " cannot be read; restore the data directory from a backup");
    auto setting = provider_from_json(*value, "");
    if (!setting) co_return fail(setting.error());
    std::string name = setting->config.name;
    deployed_.insert_or_assign(std::move(name), std::move(*setting));
  }
  co_return Result<void>{};
}

Task<Result<void>> ProviderSettings::deploy(std::vector<ProviderSetting> settings, llm::LlmGateway* gateway) {
  if (settings.empty()) co_return Result<void>{};
  std::map<std::string, ProviderSetting> next = deployed_;
  Batch batch;
  for (ProviderSetting& setting : settings) {
    std::string row = std::string(kPrefix) + setting.config.name;
    if (std::ranges::find(batch.puts, row, &Put::key) != batch.puts.end()) co_return invalid(setting.config.name, "it is named twice");
    batch.puts.push_back({std::move(row), to_text(to_json(setting))});
    std::string name = setting.config.name;
    next.insert_or_assign(std::move(name), std::move(setting));
  }
  if (next.size() > kProvidersMax) co_return fail("provider.invalid", "there would be more than 50 providers");
  if (auto taken = gateway->set_providers(configs_with(next)); !taken) co_return fail("provider.invalid", taken.error().message);
  auto outcome = co_await store_.commit(std::move(batch));
  if (!outcome) {
    (void)gateway->set_providers(configs_with(deployed_));
    co_return fail(outcome.error());
  }
  deployed_ = std::move(next);
  co_return Result<void>{};
}

std::vector<std::string> ProviderSettings::apply(llm::LlmGateway* gateway) const {
  std::vector<llm::ProviderConfig> all = configs_with(deployed_), usable;
  if (gateway->set_providers(all)) return {};
  std::vector<std::string> problems;
  for (llm::ProviderConfig& config : all) {
    usable.push_back(std::move(config));
    if (auto taken = gateway->set_providers(usable); !taken) {
      problems.push_back(usable.back().name + ": " + taken.error().message);
      usable.pop_back();
    }
  }
  (void)gateway->set_providers(usable);
  return problems;
}

std::vector<llm::ProviderConfig> ProviderSettings::configs_with(const std::map<std::string, ProviderSetting>& deployed) const {
  std::vector<llm::ProviderConfig> out;
  const auto add = [&](const ProviderSetting& setting) {
    out.push_back(setting.config);
    if (!setting.api_key_env.empty()) out.back().api_key = config_.environment(setting.api_key_env).value_or(std::string());
  };
  for (const ProviderSetting& setting : config_.providers)
    if (!deployed.contains(setting.config.name)) add(setting);
  for (const auto& [name, setting] : deployed) add(setting);
  return out;
}

}  // namespace mayfly
