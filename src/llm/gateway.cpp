#include "llm/gateway.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/assert.h"
#include "llm/anthropic_provider.h"
#include "llm/llm_error.h"
#include "llm/openai_chat_provider.h"
#include "llm/openai_responses_provider.h"
#include "llm/rate_limiter.h"
#include "llm/retry.h"
#include "llm/scripted_provider.h"
#include "llm/stream_text.h"

namespace mayfly::llm {
namespace {

constexpr std::size_t kModelsMax = 16;          // of one call
constexpr std::size_t kCountersMax = 1'000;
constexpr std::int64_t kBytesPerToken = 4;

struct Route {
  std::unique_ptr<LlmProvider> provider;
  std::unique_ptr<RateLimiter> limiter;
};

struct Target {
  std::string name;      ///< "provider/model"
  std::string model;
  std::shared_ptr<Route> route;  ///< a call under way keeps its own when the providers are replaced
};

using Routes = std::map<std::string, std::shared_ptr<Route>, std::less<>>;

/// A rough guess before the call; settled by the real usage after it.
std::int64_t estimated_tokens(const LlmRequest& request) {
  std::size_t bytes = request.system.size();
  for (const Message& message : request.messages)
    for (const Content& content : message.content) bytes += content.text.size() + content.name.size();
  return std::max<std::int64_t>(1, static_cast<std::int64_t>(bytes) / kBytesPerToken);
}

/// Remembers whether anything has been told to the watcher, so that a later attempt can take it back.
struct Watcher {
  std::function<void(const LlmDelta&)> on_delta;
  bool told = false;
};

/// Whether the call is needed again when an attempt fails. Conversations are large: one that is not is moved, not copied.
enum class Reuse { Possible, Never };

class Gateway final : public LlmGateway {
 public:
  Gateway(GatewayDependencies dependencies, Routes routes) : deps_(std::move(dependencies)), routes_(std::move(routes)) {}

  Task<std::expected<GatewayAnswer, LlmError>> complete(GatewayCall call) override;
  std::vector<std::string> provider_names() const override;
  Result<void> check_model(const std::string& model) const override;
  std::map<std::string, GatewayCounters> counters() const override { return {counters_.begin(), counters_.end()}; }
  const PriceTable& prices() const override { return deps_.prices; }
  Result<void> set_providers(std::vector<ProviderConfig> providers) override;
  void set_tap(std::shared_ptr<LlmTap> tap) override { tap_ = std::move(tap); }

 private:
  Result<Target> resolve(const std::string& model);
  Result<std::vector<Target>> resolve_all(const std::vector<std::string>& models);
  GatewayCounters& counters_of(const std::string& model);
  Task<LlmResult> attempt(const Target* target, LlmCall call);
  Task<LlmResult> attempts(const Target* target, std::shared_ptr<LlmCall> call, Reuse reuse, std::shared_ptr<Watcher> watcher,
                           std::chrono::nanoseconds started);
  static void emit_restart(Watcher& watcher);

  GatewayDependencies deps_;
  Routes routes_;
  std::map<std::string, GatewayCounters, std::less<>> counters_;
  std::shared_ptr<LlmTap> tap_;
};

std::vector<std::string> Gateway::provider_names() const {
  std::vector<std::string> out;
  for (const auto& [name, route] : routes_) out.push_back(name);
  return out;
}

Result<void> Gateway::check_model(const std::string& model) const {
  const auto slash = model.find('/');
  if (slash == 0 || slash == std::string::npos || slash + 1 == model.size())
    return fail("llm.not_found", fmt::format("`{}` does not name a model; write \"provider/model\", such as \"anthropic/claude-sonnet-4-5\"", model));
  const std::string_view provider = std::string_view(model).substr(0, slash);
  if (routes_.contains(provider)) return {};
  return fail("llm.not_found", fmt::format("the provider `{}` of model `{}` is not configured; {}", provider, model,
                                           routes_.empty() ? "none is" : fmt::format("there are {}", fmt::join(provider_names(), ", "))));
}

Result<Target> Gateway::resolve(const std::string& model) {
  if (auto checked = check_model(model); !checked) return fail(std::move(checked.error()));
  const auto slash = model.find('/');
  return Target{model, model.substr(slash + 1), routes_.find(std::string_view(model).substr(0, slash))->second};
}

Result<std::vector<Target>> Gateway::resolve_all(const std::vector<std::string>& models) {
  if (models.empty() || models.size() > kModelsMax)
    return fail("llm.invalid_request", fmt::format("a call names from 1 to {} models; this one names {}", kModelsMax, models.size()));
  std::vector<Target> out;
  for (const std::string& model : models) {
    auto target = resolve(model);
    if (!target) return fail(std::move(target.error()));
    out.push_back(std::move(*target));
  }
  return out;
}

GatewayCounters& Gateway::counters_of(const std::string& model) {
  if (const auto found = counters_.find(model); found != counters_.end()) return found->second;
  if (counters_.size() < kCountersMax) return counters_[model];
  return counters_[model.substr(0, model.find('/') + 1) + "*"];
}

void Gateway::emit_restart(Watcher& watcher) {
  if (!std::exchange(watcher.told, false)) return;
  watcher.on_delta({.kind = LlmDelta::Kind::Restart});
}

/// One call to one provider, or the tap's answer in its place.
Task<LlmResult> Gateway::attempt(const Target* target, LlmCall call) {
  const auto tap = tap_;
  if (tap) {
    if (auto answer = tap->before(target->name, call)) {
      if (*answer) emit_as_deltas((*answer)->message, call.on_delta);
      co_return std::move(*answer);
    }
  }
  RateLimiter& limiter = *target->route->limiter;
  const std::int64_t estimate = limiter.counts_tokens() ? estimated_tokens(call.request) : 0;
  const auto admission = co_await limiter.acquire(estimate, call.cancel);
  if (admission == RateLimiter::Admission::Cancelled) {
    co_return std::unexpected(make_error("llm.cancelled", "the call was cancelled while it waited for its provider; start it again if it is still wanted", Retry::Safe));
  }
  if (admission == RateLimiter::Admission::QueueFull) {
    co_return std::unexpected(make_error("llm.overloaded", "too many calls wait for this provider; raise its `concurrency_max` or send fewer", Retry::Safe));
  }
  std::optional<LlmRequest> request;
  if (tap) request = call.request;
  LlmResult result = co_await target->route->provider->complete(std::move(call));
  const std::int64_t used = result ? result->usage.total_input() + result->usage.output : 0;
  limiter.release(estimate - used);
  if (tap) tap->after(target->name, *request, result);
  co_return result;
}

/// Retries of one model.
Task<LlmResult> Gateway::attempts(const Target* target, std::shared_ptr<LlmCall> call, Reuse reuse, std::shared_ptr<Watcher> watcher,
                                  std::chrono::nanoseconds started) {
  const CancelToken cancel = call->cancel;
  const Millis budget = call->retry_budget;
  for (int number = 0;; ++number) {
    LlmCall one = reuse == Reuse::Never ? std::move(*call) : LlmCall(*call);
    one.request.model = target->model;
    if (watcher) {
      one.on_delta = [watcher](const LlmDelta& delta) {
        watcher->told = true;
        watcher->on_delta(delta);
      };
    }
    LlmResult result = co_await attempt(target, std::move(one));
    if (result || reuse == Reuse::Never || cancel.cancelled() || !may_retry(result.error())) co_return result;
    const Millis delay = retry_delay(number, result.error(), *deps_.random);
    if (deps_.clock->monotonic() - started + delay > budget) co_return result;
    ++counters_of(target->name).retries;
    if (!co_await sleep_for(*deps_.clock, delay, cancel)) co_return std::unexpected(cancelled_error());
    if (watcher) emit_restart(*watcher);
  }
}

Task<std::expected<GatewayAnswer, LlmError>> Gateway::complete(GatewayCall call) {
  const auto targets = resolve_all(call.models);
  if (!targets) co_return std::unexpected(LlmError{targets.error(), std::nullopt, 0});
  std::shared_ptr<Watcher> watcher;
  if (call.call.on_delta) watcher = std::make_shared<Watcher>(std::move(call.call.on_delta));
  const auto shared = std::make_shared<LlmCall>(std::move(call.call));
  const CancelToken cancel = shared->cancel;
  const auto started = deps_.clock->monotonic();
  for (std::size_t i = 0;; ++i) {
    const Target& target = (*targets)[i];
    ++counters_of(target.name).calls;
    const bool is_last = i + 1 == targets->size();
    const Reuse reuse = is_last && shared->retry_budget <= Millis{0} ? Reuse::Never : Reuse::Possible;
    LlmResult result = co_await attempts(&target, shared, reuse, watcher, started);
    GatewayCounters& counters = counters_of(target.name);
    if (result) {
      GatewayAnswer answer{std::move(*result), target.name, 0, deps_.prices.version()};
      const std::string& priced = deps_.prices.find(target.model) ? target.model : answer.response.model;
      answer.cost = deps_.prices.cost(priced, answer.response.usage);
      counters.usage += answer.response.usage;
      counters.cost += answer.cost;
      co_return answer;
    }
    ++counters.failures;
    if (is_last || cancel.cancelled() || !may_fail_over(result.error())) co_return std::unexpected(std::move(result.error()));
    ++counters.failovers;
    if (watcher) emit_restart(*watcher);
  }
}

Result<void> check(const ProviderConfig& config, const Routes& known) {
  const auto refuse = [&](std::string_view why) {
    return fail("llm.invalid_configuration", fmt::format("provider `{}`: {}", config.name, why));
  };
  if (config.name.empty() || config.name.find('/') != std::string::npos) return refuse("`name` must be a text without '/'");
  if (known.contains(config.name)) return refuse("the name is used twice; choose another");
  if (config.concurrency_max < 1 || config.concurrency_max > 100'000) return refuse("`concurrency_max` must be from 1 to 100000");
  if (!(config.requests_per_minute >= 0) || !(config.tokens_per_minute >= 0))
    return refuse("`requests_per_minute` and `tokens_per_minute` must be numbers from 0 (0: unlimited)");
  const bool has_url = config.base_url.starts_with("https://") || config.base_url.starts_with("http://");
  if (!config.base_url.empty() && !has_url) return refuse("`base_url` must begin with https:// or http://");
  return {};
}

Result<std::unique_ptr<LlmProvider>> make_provider(const GatewayDependencies& dependencies, const ProviderConfig& config) {
  if (config.kind == "scripted") {
    auto scripted = load_scripted_provider(*dependencies.clock, config.name, config.script_path);
    if (!scripted) return fail("llm.invalid_configuration", fmt::format("provider `{}`: {}", config.name, scripted.error().message));
    return scripted;
  }
  MAYFLY_ASSERT(dependencies.http, "providers over HTTP need an HTTP client");
  if (config.kind == "anthropic") return make_anthropic_provider(config, *dependencies.http, *dependencies.clock);
  if (config.kind == "openai") return make_openai_chat_provider(config, *dependencies.http, *dependencies.clock);
  if (config.kind == "openai-responses") return make_openai_responses_provider(config, *dependencies.http, *dependencies.clock);
  return fail("llm.invalid_configuration",
              fmt::format("provider `{}`: unknown kind `{}`; use anthropic, openai, openai-responses or scripted", config.name, config.kind));
}

std::shared_ptr<Route> make_route(const GatewayDependencies& dependencies, std::unique_ptr<LlmProvider> provider, RateLimits limits) {
  return std::make_shared<Route>(std::move(provider), std::make_unique<RateLimiter>(*dependencies.clock, limits));
}

Result<Routes> make_routes(const GatewayDependencies& dependencies, const std::vector<ProviderConfig>& providers) {
  Routes routes;
  for (const ProviderConfig& config : providers) {
    if (auto checked = check(config, routes); !checked) return fail(std::move(checked.error()));
    auto provider = make_provider(dependencies, config);
    if (!provider) return fail(std::move(provider.error()));
    const RateLimits limits{config.concurrency_max, config.requests_per_minute, config.tokens_per_minute};
    routes.emplace(config.name, make_route(dependencies, std::move(*provider), limits));
  }
  return routes;
}

Result<void> Gateway::set_providers(std::vector<ProviderConfig> providers) {
  auto routes = make_routes(deps_, providers);
  if (!routes) return fail(std::move(routes.error()));
  routes_ = std::move(*routes);
  return {};
}

}  // namespace

Result<std::unique_ptr<LlmGateway>> make_gateway(GatewayDependencies dependencies, std::vector<ProviderConfig> providers) {
  auto routes = make_routes(dependencies, providers);
  if (!routes) return fail(std::move(routes.error()));
  return std::make_unique<Gateway>(std::move(dependencies), std::move(*routes));
}

std::unique_ptr<LlmGateway> make_gateway(GatewayDependencies dependencies,
                                         std::map<std::string, std::unique_ptr<LlmProvider>> providers) {
  Routes routes;
  for (auto& [name, provider] : providers) routes.emplace(name, make_route(dependencies, std::move(provider), {}));
  return std::make_unique<Gateway>(std::move(dependencies), std::move(routes));
}

}  // namespace mayfly::llm
