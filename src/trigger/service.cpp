#include "trigger/service.h"

#include <algorithm>

#include "base/hash.h"
#include "base/log.h"
#include "engine/core/keys.h"
#include "trigger/policy.h"

namespace mayfly::trigger {
namespace {

constexpr std::string_view kTriggerRows = "meta/trigger/";
constexpr std::string_view kEndpointRows = "meta/endpoint/";
constexpr std::string_view kScheduleGroup = "triggers";
constexpr std::size_t kTriggersMax = 10'000;
constexpr std::size_t kOwnSecretBytes = 32;

std::unexpected<Error> invalid(std::string message) { return fail("trigger.invalid", std::move(message)); }
std::unexpected<Error> no_endpoint(const std::string& name) {
  return fail("endpoint.not_found", "there is no endpoint '" + name + "'; list them with `mayfly endpoints list`");
}

/// "POST /tickets/{}": routes that cannot be told apart have equal texts.
std::string route_of(const TriggerSpec& spec) {
  std::string method = "POST", path;
  if (const auto* http = std::get_if<HttpSource>(&spec.source)) {
    method = http->method;
    path = http->path;
  } else if (const auto* webhook = std::get_if<WebhookSource>(&spec.source)) {
    path = webhook->path;
  } else {
    return {};
  }
  std::string out = method + " ";
  for (std::size_t i = 0; i < path.size(); ++i) {
    out += path[i];
    if (path[i] == '{') {
      i = std::min(path.find('}', i), path.size() - 1);
      out += '}';
    }
  }
  return out;
}

}  // namespace

std::string scoped_key(std::string_view scope, std::string_view key) { return sha256_hex(std::string(scope) + '\0' + std::string(key)); }

std::string target_text(const Target& target) {
  constexpr std::array<std::string_view, 6> kKinds{"agent", "function", "workflow", "queue", "url", "webhook"};
  return std::string(kKinds[static_cast<std::size_t>(target.kind)]) + ":" + target.name;
}

std::string delivery_program(const Target& target) {
  // An address may be long, or hold what does not belong into lists.
  if (target.kind == Target::Kind::Url) return std::string(kDeliveryPrefix) + "url:" + sha256_hex(target.name).substr(0, 16);
  return std::string(kDeliveryPrefix) + target_text(target);
}

std::unique_ptr<TriggerService> make_trigger_service(TriggerDependencies dependencies) {
  return std::make_unique<TriggerServiceImpl>(std::move(dependencies));
}

TriggerServiceImpl::TriggerServiceImpl(TriggerDependencies deps) : deps_(std::move(deps)) {
  program_ = std::make_shared<DeliveryProgram>([this](const std::string& trigger, bool delivered, bool dead) {
    const auto found = triggers_.find(trigger);
    if (found == triggers_.end()) return;
    TriggerCounters& counters = found->second.counters;
    ++(delivered ? counters.delivered : dead ? counters.dead : counters.failed);
  });
}
TriggerServiceImpl::~TriggerServiceImpl() = default;

std::shared_ptr<const engine::Program> TriggerServiceImpl::find(const std::string& name, std::int64_t) {
  return name.starts_with(kDeliveryPrefix) ? program_ : nullptr;
}

Task<Result<void>> TriggerServiceImpl::open(engine::Engine& engine) {
  engine_ = &engine;
  if (auto loaded = co_await load(); !loaded) co_return loaded;
  waits_ = std::make_unique<Waits>(deps_.executor, *deps_.store, *deps_.clock, engine);
  if (auto opened = co_await waits_->open(); !opened) co_return opened;
  ConsumerDependencies consumers{.executor = deps_.executor};
  consumers.clock = deps_.clock;
  consumers.http = deps_.http;
  consumers.queues = deps_.queues;
  consumers.environment = deps_.environment;
  consumers.parallel = deps_.consumers_parallel;
  consumers.consume = [this](std::string trigger, std::vector<queue::Received> messages) {
    return consume(std::move(trigger), std::move(messages));
  };
  consumers.accept = [this](std::string trigger, Event event) { return accept_foreign(std::move(trigger), std::move(event)); };
  consumers_ = std::make_unique<Consumers>(std::move(consumers));
  for (const auto& [name, entry] : triggers_) consumers_->update(entry.spec);
  co_return Result<void>{};
}

Task<Result<void>> TriggerServiceImpl::load() {
  for (const std::string_view prefix : {kTriggerRows, kEndpointRows}) {
    KeyRange range = KeyRange::prefix(prefix);
    for (bool more = true; more;) {
      auto rows = co_await deps_.store->scan(range, 1'000, Direction::Forward);
      if (!rows) co_return std::unexpected(rows.error());
      more = rows->size() == 1'000;
      for (const Record& row : *rows) {
        range.begin = row.key + '\0';
        const std::string name = row.key.substr(prefix.size());
        const auto value = parse_json(row.value);
        const JsonObject* object = value ? value->if_object() : nullptr;
        const Json* written = object ? get(*object, "spec") : nullptr;
        if (!written) continue;
        if (prefix == kTriggerRows) {
          auto spec = trigger_spec_from_json(name, *written);
          if (spec)
            triggers_[name].spec = *std::move(spec);
          else
            log::error("a trigger cannot be read and is left out", {{"trigger", name}, {"error", spec.error().message}});
        } else if (auto endpoint = endpoint_from_json(is_internal_endpoint(name) ? "internal" : name, *written)) {
          endpoint->name = name;
          endpoint->disabled_reason = get_string(*object, "disabled_reason");
          endpoints_[name] = {*std::move(endpoint), get_string(*object, "sealed"), get_string(*object, "sealed_before"),
                              from_unix_ms(get_int(*object, "before_until"))};
        }
      }
    }
  }
  co_return Result<void>{};
}

Task<> TriggerServiceImpl::stop(Millis) {
  stopping_.cancel();
  if (consumers_) co_await consumers_->stop();
  if (waits_) co_await waits_->stop();
}

void TriggerServiceImpl::crash() {
  crashed_ = true;
  stopping_.cancel();
  if (consumers_) consumers_->crash();
  if (waits_) waits_->crash();
}

void TriggerServiceImpl::tell_changed() {
  for (const auto& changed : changed_) changed();
}

Task<Result<void>> TriggerServiceImpl::write_meta(std::string key, std::optional<std::string> value) {
  Batch batch;
  if (value)
    batch.puts.push_back({std::move(key), *std::move(value)});
  else
    batch.deletes.push_back(std::move(key));
  auto written = co_await deps_.store->commit(std::move(batch));
  if (!written) co_return std::unexpected(written.error());
  co_return Result<void>{};
}

Result<void> TriggerServiceImpl::check_target(const Target& target, std::string_view pointer) const {
  if (target.kind == Target::Kind::Webhook) {
    if (endpoints_.contains(target.name)) return {};
    return invalid(std::string(pointer) + ": there is no endpoint '" + target.name + "'; register it with `PUT /v1/endpoints/" + target.name + "`");
  }
  if (auto there = deps_.targets->check(target); !there) return invalid(std::string(pointer) + ": " + there.error().message);
  return {};
}

Result<void> TriggerServiceImpl::check_trigger(const TriggerSpec& spec) const {
  const std::pair<std::string_view, const std::string*> expressions[] = {
      {"/filter", &spec.filter},
      {"/session", &spec.session},
      {"/input", &spec.input},
      {"/idempotency_key", &spec.idempotency_key},
      {"/correlation", &spec.correlation},
      {"/target/group", &spec.target.group}};
  for (const auto& [pointer, text] : expressions)
    if (!text->empty())
      if (auto valid = deps_.expressions->check(*text); !valid) return invalid(std::string(pointer) + ": " + valid.error().message);
  if (auto there = check_target(spec.target, "/target"); !there) return there;
  if (const auto* source = std::get_if<QueueSource>(&spec.source)) {
    if (auto there = deps_.queues->info(source->queue); !there) return invalid("/queue/name: " + there.error().message);
    for (const auto& [name, other] : triggers_) {
      const auto* reads = std::get_if<QueueSource>(&other.spec.source);
      if (reads && reads->queue == source->queue && name != spec.name && spec.enabled && other.spec.enabled)
        return invalid("/queue/name: the trigger '" + name + "' reads this queue already, and each message goes to one reader; remove or disable that trigger, or publish events to reach several");
    }
  }
  if (!spec.delivery.dead_letter_queue.empty())
    if (auto there = deps_.queues->info(spec.delivery.dead_letter_queue); !there)
      return invalid("/dead_letter_queue: " + there.error().message);
  const std::string route = route_of(spec);
  for (const auto& [name, other] : triggers_)
    if (!route.empty() && name != spec.name && route_of(other.spec) == route)
      return invalid("/" + std::string(spec.source.index() == 0 ? "http" : "webhook") + "/path: the trigger '" + name + "' has the route " + route +
                     " already; choose another path or method");
  if (!triggers_.contains(spec.name) && triggers_.size() >= kTriggersMax) return fail("trigger.limit", "there are 10000 triggers; remove some");
  return {};
}

Task<Result<TriggerSpec>> TriggerServiceImpl::put(TriggerSpec spec) {
  if (auto valid = check_trigger(spec); !valid) co_return std::unexpected(valid.error());
  const auto* scheduled = std::get_if<ScheduleSource>(&spec.source);
  const auto before = triggers_.find(spec.name);
  const bool was_scheduled = before != triggers_.end() && std::holds_alternative<ScheduleSource>(before->second.spec.source);
  // The trigger first: a schedule without its trigger would fire into nothing.
  if (auto written = co_await write_meta(std::string(kTriggerRows) + spec.name, to_text(JsonObject{{"spec", to_json(spec)}})); !written)
    co_return std::unexpected(written.error());
  triggers_[spec.name].spec = spec;
  if (consumers_) consumers_->update(spec);
  tell_changed();
  if (scheduled) {
    schedule::ScheduleSpec row = scheduled->schedule;
    row.name = spec.name;
    row.group = kScheduleGroup;
    row.target = to_json(spec.target);
    row.enabled = row.enabled && spec.enabled;
    if (auto stored = co_await deps_.schedules->put(std::move(row)); !stored) co_return std::unexpected(stored.error());
  } else if (was_scheduled) {
    (void)co_await deps_.schedules->remove(std::string(kScheduleGroup), spec.name);
  }
  co_return spec;
}

Task<Result<void>> TriggerServiceImpl::remove(std::string name) {
  const auto found = triggers_.find(name);
  if (found == triggers_.end()) co_return fail("trigger.not_found", "there is no trigger '" + name + "'; list them with `mayfly triggers list`");
  if (std::holds_alternative<ScheduleSource>(found->second.spec.source))
    if (auto gone = co_await deps_.schedules->remove(std::string(kScheduleGroup), name); !gone && gone.error().code != "schedule.not_found")
      co_return gone;
  if (auto written = co_await write_meta(std::string(kTriggerRows) + name, std::nullopt); !written) co_return written;
  triggers_.erase(name);
  if (consumers_) consumers_->remove(name);
  tell_changed();
  co_return Result<void>{};
}

std::vector<TriggerSpec> TriggerServiceImpl::list() const {
  std::vector<TriggerSpec> out;
  for (const auto& [name, entry] : triggers_) out.push_back(entry.spec);
  return out;
}
std::optional<TriggerSpec> TriggerServiceImpl::find(const std::string& name) const {
  const auto found = triggers_.find(name);
  return found == triggers_.end() ? std::nullopt : std::optional(found->second.spec);
}
TriggerCounters TriggerServiceImpl::counters(const std::string& name) const {
  const auto found = triggers_.find(name);
  return found == triggers_.end() ? TriggerCounters{} : found->second.counters;
}

Task<Result<Endpoint>> TriggerServiceImpl::put_endpoint(Endpoint endpoint) {
  const auto before = endpoints_.find(endpoint.name);
  EndpointEntry entry = before == endpoints_.end() ? EndpointEntry{} : before->second;
  if (endpoint.secret_env.empty() && entry.sealed.empty()) entry.sealed = new_secret();
  if (endpoint.enabled) endpoint.disabled_reason.clear();
  entry.endpoint = endpoint;
  if (auto stored = co_await store_endpoint(std::move(entry)); !stored) co_return std::unexpected(stored.error());
  co_return endpoint;
}

std::string TriggerServiceImpl::new_secret() const { return deps_.seal("whsec_" + to_base64(secure_random_bytes(kOwnSecretBytes))); }

Task<Result<void>> TriggerServiceImpl::store_endpoint(EndpointEntry entry) {
  JsonObject row{{"spec", to_json(entry.endpoint)}, {"sealed", entry.sealed}, {"disabled_reason", entry.endpoint.disabled_reason}};
  if (!entry.sealed_before.empty()) {
    row["sealed_before"] = entry.sealed_before;
    row["before_until"] = to_unix_ms(entry.before_until);
  }
  const std::string name = entry.endpoint.name;
  if (auto written = co_await write_meta(std::string(kEndpointRows) + name, to_text(row)); !written) co_return written;
  endpoints_[name] = std::move(entry);
  tell_changed();
  co_return Result<void>{};
}

Task<Result<std::string>> TriggerServiceImpl::rotate_endpoint_secret(std::string name, Millis overlap) {
  const auto found = endpoints_.find(name);
  if (found == endpoints_.end()) co_return no_endpoint(name);
  EndpointEntry entry = found->second;
  if (!entry.endpoint.secret_env.empty())
    co_return fail("endpoint.secret_elsewhere", "its secret is in the server's environment variable " + entry.endpoint.secret_env.front() + "; change it there");
  entry.sealed_before = std::exchange(entry.sealed, new_secret());
  entry.before_until = deps_.clock->now() + overlap;
  if (auto stored = co_await store_endpoint(std::move(entry)); !stored) co_return std::unexpected(stored.error());
  co_return endpoint_secret(name);
}

Task<Result<void>> TriggerServiceImpl::remove_endpoint(std::string name) {
  if (!endpoints_.contains(name)) co_return no_endpoint(name);
  for (const auto& [trigger, entry] : triggers_)
    if (entry.spec.target.kind == Target::Kind::Webhook && entry.spec.target.name == name)
      co_return fail("endpoint.in_use", "the trigger '" + trigger + "' sends to it; change the trigger first");
  if (auto written = co_await write_meta(std::string(kEndpointRows) + name, std::nullopt); !written) co_return written;
  endpoints_.erase(name);
  tell_changed();
  co_return Result<void>{};
}

std::vector<Endpoint> TriggerServiceImpl::endpoints() const {
  std::vector<Endpoint> out;
  for (const auto& [name, entry] : endpoints_)
    if (!is_internal_endpoint(name)) out.push_back(entry.endpoint);
  return out;
}

std::vector<Endpoint> TriggerServiceImpl::internal_endpoints(std::string_view prefix) const {
  std::vector<Endpoint> out;
  for (auto at = endpoints_.lower_bound(std::string(prefix)); at != endpoints_.end() && at->first.starts_with(prefix); ++at)
    if (is_internal_endpoint(at->first)) out.push_back(at->second.endpoint);
  return out;
}

std::optional<Endpoint> TriggerServiceImpl::find_endpoint(const std::string& name) const {
  const auto found = endpoints_.find(name);
  return found == endpoints_.end() ? std::nullopt : std::optional(found->second.endpoint);
}

Result<std::vector<std::string>> TriggerServiceImpl::secrets_of(const EndpointEntry& entry) const {
  std::vector<std::string> out;
  for (const std::string& variable : entry.endpoint.secret_env) {
    const auto value = deps_.environment ? deps_.environment(variable) : std::nullopt;
    if (value && !value->empty()) out.push_back(*value);
  }
  if (!entry.endpoint.secret_env.empty()) {
    if (out.empty())
      return fail("endpoint.no_secret", "the environment variable " + entry.endpoint.secret_env.front() + " is not set; set it and start the server again",
                  Retry::Safe);
    return out;
  }
  auto own = deps_.open_sealed(entry.sealed);
  if (!own) return std::unexpected(own.error());
  out.push_back(*std::move(own));
  if (!entry.sealed_before.empty() && deps_.clock->now() < entry.before_until)
    if (auto before = deps_.open_sealed(entry.sealed_before)) out.push_back(*std::move(before));
  return out;
}

Result<std::string> TriggerServiceImpl::endpoint_secret(const std::string& name) const {
  const auto found = endpoints_.find(name);
  if (found == endpoints_.end()) return no_endpoint(name);
  if (!found->second.endpoint.secret_env.empty())
    return fail("endpoint.secret_elsewhere", "its secret is in the server's environment variable " + found->second.endpoint.secret_env.front());
  auto secrets = secrets_of(found->second);
  if (!secrets) return std::unexpected(secrets.error());
  return secrets->front();
}

Task<Result<void>> TriggerServiceImpl::disable_endpoint(std::string name, std::string reason) {
  const auto found = endpoints_.find(name);
  if (found == endpoints_.end() || !found->second.endpoint.enabled) co_return Result<void>{};
  Endpoint endpoint = found->second.endpoint;
  endpoint.enabled = false;
  endpoint.disabled_reason = std::move(reason);
  log::warn("an endpoint is disabled", {{"endpoint", name}, {"reason", endpoint.disabled_reason}});
  auto stored = co_await put_endpoint(std::move(endpoint));
  if (!stored) co_return std::unexpected(stored.error());
  co_return Result<void>{};
}

}  // namespace mayfly::trigger
