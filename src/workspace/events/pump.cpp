#include "base/log.h"
#include "workspace/bytes/link_token.h"
#include "workspace/events/events_service.h"
#include "workspace/rows.h"

namespace mayfly::workspace {
namespace {

constexpr std::size_t kPumpsMax = 8;
constexpr std::size_t kBatch = 50;
constexpr Millis kRetryFirst{500};
constexpr Millis kRetryMax{60'000};

Task<Outcome<Json>> erase_rows(Space& space, std::shared_ptr<const std::vector<std::string>> keys) {
  for (const std::string& key : *keys) space.rows().erase(key);
  co_return Json(nullptr);
}

}  // namespace

void EventsService::mark(std::string workspace) {
  marked_.insert(std::move(workspace));
  kick();
}

void EventsService::kick() {
  if (!is_open_) return;
  for (auto at = marked_.begin(); at != marked_.end() && pumped_.size() < kPumpsMax;) {
    // Who is waited for comes back by its timer; who is being sent from looks once more at its end.
    if (pumped_.contains(*at) || retries_.contains(*at)) {
      ++at;
      continue;
    }
    std::string id = *at;
    at = marked_.erase(at);
    pumped_.insert(id);
    tasks_.spawn(pump(std::move(id)));
  }
}

Task<> EventsService::pump(std::string workspace) {
  auto sent = Result<std::size_t>(1);
  while (is_open_ && sent && *sent > 0) sent = co_await pump_batch(workspace);
  pumped_.erase(workspace);
  if (!sent && is_open_) {
    const int failures = ++failures_[workspace];
    Millis delay = kRetryFirst;
    for (int i = 1; i < failures && delay < kRetryMax; ++i) delay *= 2;
    log::warn(
        "events of a workspace wait to be sent",
        {{"workspace", workspace}, {"code", sent.error().code}, {"error", sent.error().message}, {"failures", std::to_string(failures)}});
    marked_.insert(workspace);
    retries_[workspace] = clock_.call_after(std::min(delay, kRetryMax), [this, workspace] {
      // The timer must not end itself while it runs.
      tasks_.spawn([](EventsService* self, std::string id) -> Task<> {
        self->retries_.erase(id);
        self->kick();
        co_return;
      }(this, workspace));
    });
  } else {
    failures_.erase(workspace);
  }
  kick();
}

Task<Result<std::size_t>> EventsService::pump_batch(std::string workspace) {
  const keys::Partition partition = spaces_.partition_of(workspace);
  const auto rows = spaces_.read();
  auto waiting = co_await rows->scan(KeyRange::prefix(keys::prefix(partition, workspace, 'o')), kBatch);
  if (!waiting) co_return std::unexpected(waiting.error());
  if (waiting->empty()) co_return 0;
  auto hooks = co_await load_webhooks(workspace);
  if (!hooks) co_return std::unexpected(hooks.error());
  const auto sent = std::make_shared<std::vector<std::string>>();
  std::optional<Error> failed;
  for (const auto& [key, value] : *waiting) {
    auto event = row_as<FileEvent>(key, value);
    if (event) {
      // In order: what cannot be sent now holds back what came after it, and nothing before it is sent again.
      if (auto done = co_await send(*std::move(event), *hooks); !done) {
        failed = done.error();
        break;
      }
    } else {
      log::error("an event cannot be read and is not sent", {{"workspace", workspace}, {"key", key}});
    }
    sent->push_back(key);
  }
  if (!sent->empty())
    if (auto taken = co_await take_away(workspace, sent); !taken) co_return std::unexpected(taken.error());
  if (failed) co_return std::unexpected(*std::move(failed));
  co_return sent->size();
}

Task<Result<void>> EventsService::take_away(std::string workspace, std::shared_ptr<const std::vector<std::string>> sent) {
  auto taken = co_await spaces_.mutate(system_actor({}), workspace, Role::Viewer, [sent](Space& space) { return erase_rows(space, sent); });
  if (taken) co_return Result<void>{};
  if (taken.error().code != "ws.not_found") co_return std::unexpected(Error(taken.error()));
  // A removed workspace takes no more changes, but waits until its last events have left.
  Batch batch;
  batch.require.push_back(spaces_.dependencies().lease(spaces_.partition_of(workspace)));
  batch.deletes = *sent;
  auto outcome = co_await spaces_.dependencies().store->commit(std::move(batch));
  if (!outcome) co_return std::unexpected(outcome.error());
  if (!outcome->committed()) co_return fail("engine.fenced", "another server took over: ask it");
  co_return Result<void>{};
}

Task<Result<void>> EventsService::send(FileEvent event, std::vector<Webhook> hooks) {
  if (!deps_.triggers) co_return Result<void>{};
  const trigger::Event cloud = to_cloud_event(event);
  std::optional<Error> again;
  const auto note = [&](const Error& error, std::string_view to) {
    if (error.retry != Retry::Never)
      again = error;
    else
      log::error("an event of a workspace is refused",
                 {{"event", cloud.id}, {"to", std::string(to)}, {"code", error.code}, {"error", error.message}});
  };
  if (auto published = co_await deps_.triggers->publish(cloud, {}); !published) note(published.error(), "triggers");
  for (const Webhook& hook : hooks) {
    if (!hook.enabled || !wants(hook.filter, event)) continue;
    trigger::Delivery delivery;
    delivery.event = cloud;
    delivery.target = {trigger::Target::Kind::Webhook, endpoint_name(event.workspace, hook.id), {}};
    delivery.idempotency_key = cloud.id;
    delivery.policy = webhook_policy();
    if (auto taken = co_await deps_.triggers->deliver(std::move(delivery)); !taken) note(taken.error(), hook.id);
  }
  // Those who took it already absorb the repeat.
  if (again) co_return std::unexpected(*std::move(again));
  co_return Result<void>{};
}

Task<Result<std::vector<Webhook>>> EventsService::load_webhooks(std::string workspace) {
  const auto rows = spaces_.read();
  const std::string prefix = keys::prefix(spaces_.partition_of(workspace), workspace, 'w');
  auto found = co_await rows->scan(KeyRange::prefix(prefix), kWebhooksMax + 1);
  if (!found) co_return std::unexpected(found.error());
  std::vector<Webhook> out;
  for (const auto& [key, value] : *found) {
    auto record = parse_json(value);
    if (record && record->is_object()) out.push_back(webhook_from_record(key.substr(prefix.size()), record->get_object()));
  }
  co_return out;
}

}  // namespace mayfly::workspace
