#include <algorithm>

#include "net/ssrf.h"
#include "workspace/bytes/link_token.h"
#include "workspace/events/events_service.h"

namespace mayfly::workspace {
namespace {

constexpr Millis kSecretOverlap{86'400'000};
constexpr std::size_t kUrlBytesMax = 2'048;
constexpr std::size_t kDeliveriesMax = 100;

std::unexpected<Refusal> no_webhook(const std::string& id) {
  return refuse("ws.not_found", "there is no webhook '" + to_utf8_lossy(id.substr(0, 80)) + "' in this workspace; list them first");
}

Outcome<void> check_url(const std::string& url) {
  if (url.size() > kUrlBytesMax) return refuse("ws.invalid", "a webhook's url has at most 2048 bytes");
  if (auto target = net::parse_target(url); !target) return refuse("ws.invalid", "url: " + target.error().message);
  return {};
}

struct Change {
  std::string id;
  Webhook webhook;  ///< what there is then
  JsonObject changes;
  bool create = false, remove = false;
};

Outcome<void> apply(Webhook& webhook, const JsonObject& changes) {
  for (const auto& [name, value] : changes) {
    const std::string_view key(name.data(), name.size());
    if (key == "url" && value.is_string()) {
      webhook.url = std::string_view(value.get_string());
      if (auto valid = check_url(webhook.url); !valid) return valid;
    } else if (key == "enabled" && value.is_bool()) {
      webhook.enabled = value.get_bool();
      if (webhook.enabled) webhook.disabled_reason.clear();
    } else if (key == "filter" && value.is_object()) {
      auto filter = filter_from_json(value.get_object());
      if (!filter) return std::unexpected(filter.error());
      webhook.filter = *std::move(filter);
    } else {
      return refuse("ws.invalid", "'" + std::string(key.substr(0, 64)) +
                                      "' cannot be changed so; give url (text), enabled (true or false) or filter (object)");
    }
  }
  return {};
}

Task<Outcome<Json>> change_in(Space& space, std::shared_ptr<Change> change) {
  const std::string key = space.row('w', change->id);
  if (change->create) {
    auto all = co_await space.rows().scan(KeyRange::prefix(space.prefix('w')), kWebhooksMax);
    if (!all) co_return std::unexpected(Refusal(all.error()));
    if (all->size() >= kWebhooksMax) co_return refuse("ws.quota", "a workspace has at most 20 webhooks; remove one first");
    change->webhook.created = space.now();
    space.rows().put(key, to_text(to_record(change->webhook)));
    co_return Json(nullptr);
  }
  auto record = co_await read_object(space.rows(), key);
  if (!record) co_return std::unexpected(record.error());
  if (!*record) co_return no_webhook(change->id);
  change->webhook = webhook_from_record(change->id, **record);
  if (change->remove) {
    space.rows().erase(key);
    co_return Json(nullptr);
  }
  if (auto applied = apply(change->webhook, change->changes); !applied) co_return std::unexpected(applied.error());
  space.rows().put(key, to_text(to_record(change->webhook)));
  co_return Json(nullptr);
}

}  // namespace

Task<Outcome<void>> EventsService::put_endpoint(std::string workspace, Webhook webhook) {
  trigger::Endpoint endpoint;
  endpoint.name = endpoint_name(workspace, webhook.id);
  endpoint.url = webhook.url;
  endpoint.enabled = webhook.enabled;
  endpoint.disabled_reason = webhook.disabled_reason;
  endpoint.policy = webhook_policy();
  if (const auto target = net::parse_target(webhook.url)) {
    net::EgressPolicy allowed;
    allowed.allow_hosts = deps_.private_hosts;
    endpoint.private_network = net::is_allowed_by_name(allowed, target->host, target->port);
  }
  auto stored = co_await deps_.triggers->put_endpoint(std::move(endpoint));
  if (!stored) co_return std::unexpected(Refusal(stored.error()));
  co_return Outcome<void>{};
}

Task<Outcome<Events::NewWebhook>> EventsService::create_webhook(Actor actor, std::string workspace, std::string url, EventFilter filter) {
  auto found = spaces_.find(actor, workspace, Role::Editor);
  if (!found) co_return std::unexpected(found.error());
  if (!deps_.triggers) co_return refuse("ws.invalid", "this server sends no webhooks");
  if (auto valid = check_url(url); !valid) co_return std::unexpected(valid.error());
  if (auto valid = check_filter(filter); !valid) co_return std::unexpected(valid.error());
  const auto change = std::make_shared<Change>();
  change->create = true;
  change->id = "wh_" + make_ulid(clock_.now(), *spaces_.dependencies().random);
  change->webhook.id = change->id;
  change->webhook.url = std::move(url);
  change->webhook.filter = std::move(filter);
  change->webhook.created_by = actor.id;
  // The endpoint first: a webhook without one would send nothing. One that is left alone is removed at the next start.
  if (auto put = co_await put_endpoint(found->id, change->webhook); !put) co_return std::unexpected(put.error());
  const std::string name = endpoint_name(found->id, change->id);
  auto done = co_await spaces_.mutate(actor, found->id, Role::Editor, [change](Space& space) { return change_in(space, change); });
  if (!done) {
    if (done.error().retry != Retry::OutcomeUnknown) (void)co_await deps_.triggers->remove_endpoint(name);
    co_return std::unexpected(done.error());
  }
  auto secret = deps_.triggers->endpoint_secret(name);
  if (!secret) co_return std::unexpected(Refusal(secret.error()));
  co_return NewWebhook{change->webhook, *std::move(secret)};
}

Task<Outcome<std::vector<Webhook>>> EventsService::webhooks(Actor actor, std::string workspace) {
  auto found = spaces_.find(actor, workspace, Role::Editor);
  if (!found) co_return std::unexpected(found.error());
  auto hooks = co_await load_webhooks(found->id);
  if (!hooks) co_return std::unexpected(Refusal(hooks.error()));
  co_return *std::move(hooks);
}

Task<Outcome<Webhook>> EventsService::find_webhook(Actor actor, std::string workspace, std::string webhook) {
  auto hooks = co_await webhooks(std::move(actor), std::move(workspace));
  if (!hooks) co_return std::unexpected(hooks.error());
  for (Webhook& hook : *hooks)
    if (hook.id == webhook) co_return std::move(hook);
  co_return no_webhook(webhook);
}

Task<Outcome<Webhook>> EventsService::update_webhook(Actor actor, std::string workspace, std::string webhook, JsonObject changes) {
  auto found = spaces_.find(actor, workspace, Role::Editor);
  if (!found) co_return std::unexpected(found.error());
  const auto change = std::make_shared<Change>();
  change->id = std::move(webhook);
  change->changes = std::move(changes);
  auto done = co_await spaces_.mutate(actor, found->id, Role::Editor, [change](Space& space) { return change_in(space, change); });
  if (!done) co_return std::unexpected(done.error());
  if (auto put = co_await put_endpoint(found->id, change->webhook); !put) co_return std::unexpected(put.error());
  co_return change->webhook;
}

Task<Outcome<Events::NewWebhook>> EventsService::rotate_webhook(Actor actor, std::string workspace, std::string webhook) {
  auto found = spaces_.find(actor, workspace, Role::Editor);
  if (!found) co_return std::unexpected(found.error());
  auto hook = co_await find_webhook(actor, found->id, webhook);
  if (!hook) co_return std::unexpected(hook.error());
  auto secret = co_await deps_.triggers->rotate_endpoint_secret(endpoint_name(found->id, hook->id), kSecretOverlap);
  if (!secret) co_return std::unexpected(Refusal(secret.error()));
  co_return NewWebhook{*std::move(hook), *std::move(secret)};
}

Task<Outcome<void>> EventsService::remove_webhook(Actor actor, std::string workspace, std::string webhook) {
  auto found = spaces_.find(actor, workspace, Role::Editor);
  if (!found) co_return std::unexpected(found.error());
  const auto change = std::make_shared<Change>();
  change->id = std::move(webhook);
  change->remove = true;
  auto done = co_await spaces_.mutate(actor, found->id, Role::Editor, [change](Space& space) { return change_in(space, change); });
  if (!done) co_return std::unexpected(done.error());
  auto gone = co_await deps_.triggers->remove_endpoint(endpoint_name(found->id, change->id));
  if (!gone && gone.error().code != "endpoint.not_found") co_return std::unexpected(Refusal(gone.error()));
  co_return Outcome<void>{};
}

Task<Outcome<std::vector<trigger::DeliveryRecord>>> EventsService::deliveries(Actor actor, std::string workspace, std::string webhook,
                                                                              std::size_t limit) {
  auto found = spaces_.find(actor, workspace, Role::Editor);
  if (!found) co_return std::unexpected(found.error());
  auto hook = co_await find_webhook(actor, found->id, webhook);
  if (!hook) co_return std::unexpected(hook.error());
  auto all = co_await deps_.triggers->deliveries("webhook:" + endpoint_name(found->id, hook->id),
                                                 std::clamp<std::size_t>(limit, 1, kDeliveriesMax));
  if (!all) co_return std::unexpected(Refusal(all.error()));
  co_return *std::move(all);
}

Task<Outcome<void>> EventsService::redeliver(Actor actor, std::string workspace, std::string webhook, std::string delivery) {
  auto found = spaces_.find(actor, workspace, Role::Editor);
  if (!found) co_return std::unexpected(found.error());
  auto hook = co_await find_webhook(actor, found->id, webhook);
  if (!hook) co_return std::unexpected(hook.error());
  auto record = co_await deps_.triggers->delivery(delivery);
  if (!record || record->target.kind != trigger::Target::Kind::Webhook || record->target.name != endpoint_name(found->id, hook->id))
    co_return refuse("ws.not_found", "there is no such delivery of this webhook; list them first");
  auto sent = co_await deps_.triggers->redeliver(std::move(delivery));
  if (!sent) co_return std::unexpected(Refusal(sent.error()));
  co_return Outcome<void>{};
}

}  // namespace mayfly::workspace
