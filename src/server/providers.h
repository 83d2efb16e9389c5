#pragma once

#include <map>
#include <string>
#include <vector>

#include "base/json.h"
#include "llm/gateway.h"
#include "server/config.h"
#include "store/store.h"

namespace mayfly {

/// The providers of models: those of this process's environment and those that were deployed (rows `meta/provider/NAME`: the names of
/// environment variables, never keys).
class ProviderSettings {
 public:
  ProviderSettings(Store& store, const ServerConfig& config) : store_(store), config_(config) {}
  Task<Result<void>> load();
  /// Stores them and gives the gateway all; nothing changes when one cannot be used. Errors: `provider.invalid`, those of the store.
  Task<Result<void>> deploy(std::vector<ProviderSetting> settings, llm::LlmGateway* gateway);
  /// Gives the gateway all that can be used, at a start; returns what is wrong with the others (a script that has gone, …).
  std::vector<std::string> apply(llm::LlmGateway* gateway) const;

 private:
  std::vector<llm::ProviderConfig> configs_with(const std::map<std::string, ProviderSetting>& deployed) const;

  Store& store_;
  const ServerConfig& config_;
  std::map<std::string, ProviderSetting> deployed_;
};

/// {name, kind, base_url, api_key_env, script, concurrency_max, requests_per_minute, tokens_per_minute}. A relative script is found in
/// `directory`. Error: `provider.invalid`.
Result<ProviderSetting> provider_from_json(const Json& value, const std::string& directory);
JsonObject to_json(const ProviderSetting& setting);

}  // namespace mayfly
