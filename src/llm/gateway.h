#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "llm/prices.h"
#include "llm/provider.h"
#include "net/http_client.h"
#include "runtime/clock.h"
#include "runtime/random.h"

namespace mayfly::llm {

/// One entry of `providers:` in the server's configuration.
struct ProviderConfig {
  std::string name;                 ///< "anthropic", "openai", "local", …: the part before '/' in "anthropic/claude-…"
  std::string kind;                 ///< "anthropic" | "openai" (Chat Completions) | "openai-responses" | "scripted"
  std::string base_url;             ///< without the path of the operation: "https://api.openai.com/v1"
  std::string api_key;              ///< never logged; empty: no authorization header
  std::string script_path;          ///< scripted
  int concurrency_max = 64;
  double requests_per_minute = 0;   ///< 0: unlimited
  double tokens_per_minute = 0;     ///< 0: unlimited
};

/// Names of models: "provider/model". Failover: the next model is tried when one fails before it answered, for errors another
/// provider may not have (rate limit, overload, timeout, unreachable, server error).
struct GatewayCall {
  LlmCall call;                     ///< call.request.model is ignored
  std::vector<std::string> models;  ///< "provider/model", the first that works answers
};

struct GatewayAnswer {
  LlmResponse response;
  std::string model;                ///< "provider/model" that answered
  NanoUsd cost = 0;
  std::string price_version;
};

struct GatewayCounters {
  std::uint64_t calls = 0, failures = 0, retries = 0, failovers = 0;
  Usage usage;
  NanoUsd cost = 0;
};

/// Watches or stands in for calls: recording and replaying cassettes.
class LlmTap {
 public:
  virtual ~LlmTap() = default;
  /// An answer instead of the call, or nothing.
  virtual std::optional<LlmResult> before(const std::string& model, const LlmCall& call) = 0;
  virtual void after(const std::string& model, const LlmRequest& request, const LlmResult& result) = 0;
};

/// The one door to all models: resolves names, limits concurrency and rate per provider (waiting calls queue, fairly, and can be
/// cancelled), retries within `retry_budget` honouring Retry-After with jittered backoff, fails over, prices.
class LlmGateway {
 public:
  virtual ~LlmGateway() = default;
  virtual Task<std::expected<GatewayAnswer, LlmError>> complete(GatewayCall call) = 0;
  virtual std::vector<std::string> provider_names() const = 0;
  /// Replaces all providers. Calls under way end with those they have; on an error nothing changes. Error: `llm.invalid_configuration`.
  virtual Result<void> set_providers(std::vector<ProviderConfig> providers) = 0;
  /// Error `llm.not_found` with the names that exist, when the provider of "provider/model" is not configured.
  virtual Result<void> check_model(const std::string& model) const = 0;
  virtual std::map<std::string, GatewayCounters> counters() const = 0;
  virtual const PriceTable& prices() const = 0;
  virtual void set_tap(std::shared_ptr<LlmTap> tap) = 0;
};

struct GatewayDependencies {
  Executor executor;
  Clock* clock = nullptr;
  Random* random = nullptr;
  net::HttpClient* http = nullptr;
  PriceTable prices;
};

/// Error: `llm.invalid_configuration`.
Result<std::unique_ptr<LlmGateway>> make_gateway(GatewayDependencies dependencies, std::vector<ProviderConfig> providers);
/// The same with given providers (tests, simulation).
std::unique_ptr<LlmGateway> make_gateway(GatewayDependencies dependencies,
                                         std::map<std::string, std::unique_ptr<LlmProvider>> providers);

}  // namespace mayfly::llm
