#pragma once

#include <memory>

#include "trigger/event.h"
#include "trigger/trigger_service.h"
#include "workspace/files/files.h"

namespace mayfly::workspace {

struct EventFilter {
  std::vector<std::string> types;  ///< "file.*" too; empty: all
  std::string path_prefix, glob, actor;
};
struct EventPage {
  std::vector<FileEvent> events;  ///< oldest first
  std::uint64_t cursor = 0;       ///< to go on from
  bool more = false;
};
struct Webhook {
  std::string id, url;
  EventFilter filter;
  bool enabled = true;
  std::string disabled_reason;
  std::string created_by;
  TimePoint created{};
};

/// The CloudEvent: type "dev.mayfly.workspace.TYPE", source "/workspaces/ID", subject the path, id "WS-NUMBER", extensions `sequence` and `organisation`.
trigger::Event to_cloud_event(const FileEvent& event);
bool wants(const EventFilter& filter, const FileEvent& event);

/// Events, and their way out: the outbox rows of each commit go to triggers (TriggerService::publish) and to the workspace's webhooks, at least once,
/// in order per node, and are taken away when both are durable there.
class Events {
 public:
  virtual ~Events() = default;
  virtual Task<Result<void>> open() = 0;
  virtual Task<> stop() = 0;
  virtual void crash() = 0;

  /// Those after `cursor` (0: from the oldest kept). Waits up to `wait` (≤ 25 s) when there is none. Error: `ws.cursor_expired` (older than what is kept: 30 days or 100,000).
  virtual Task<Outcome<EventPage>> list(Actor actor, std::string workspace, EventFilter filter, std::uint64_t cursor, std::size_t limit, Millis wait, CancelToken cancel) = 0;
  virtual Task<Outcome<std::uint64_t>> newest(Actor actor, std::string workspace) = 0;

  struct NewWebhook {
    Webhook webhook;
    std::string secret;  ///< whsec_…, shown once
  };
  virtual Task<Outcome<NewWebhook>> create_webhook(Actor actor, std::string workspace, std::string url, EventFilter filter) = 0;
  virtual Task<Outcome<std::vector<Webhook>>> webhooks(Actor actor, std::string workspace) = 0;
  virtual Task<Outcome<Webhook>> update_webhook(Actor actor, std::string workspace, std::string webhook, JsonObject changes) = 0;
  virtual Task<Outcome<NewWebhook>> rotate_webhook(Actor actor, std::string workspace, std::string webhook) = 0;
  virtual Task<Outcome<void>> remove_webhook(Actor actor, std::string workspace, std::string webhook) = 0;
  virtual Task<Outcome<std::vector<trigger::DeliveryRecord>>> deliveries(Actor actor, std::string workspace, std::string webhook, std::size_t limit) = 0;
  virtual Task<Outcome<void>> redeliver(Actor actor, std::string workspace, std::string webhook, std::string delivery) = 0;
};

struct EventsDependencies {
  Spaces* spaces = nullptr;
  Files* files = nullptr;
  trigger::TriggerService* triggers = nullptr;
  /// Hosts ("build.internal", "127.0.0.1:8080") that webhooks may reach although their addresses are private.
  std::vector<std::string> private_hosts = {};
};
std::unique_ptr<Events> make_events(EventsDependencies dependencies);

}  // namespace mayfly::workspace
