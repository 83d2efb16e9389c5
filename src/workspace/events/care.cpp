#include "base/log.h"
#include "workspace/bytes/link_token.h"
#include "workspace/events/events_service.h"
#include "workspace/rows.h"

/// What happens by itself: old events go, and disabled webhooks are told of.
namespace mayfly::workspace {
namespace {

constexpr Millis kCareEvery{3'600'000};
constexpr Millis kKept{30LL * 86'400'000};
constexpr std::uint64_t kKeptNumber = 100'000;
constexpr std::size_t kTrimStep = 50;

struct Trim {
  std::uint64_t keep_from = 0;  ///< by number
  TimePoint keep_since{};
  std::size_t trimmed = 0;
};

Task<Outcome<Json>> trim_step(Space& space, std::shared_ptr<Trim> trim) {
  auto oldest = co_await space.rows().scan(KeyRange::prefix(space.prefix('e')), kTrimStep);
  if (!oldest) co_return std::unexpected(Refusal(oldest.error()));
  auto unsent = co_await space.rows().scan(KeyRange::prefix(space.prefix('o')), 1);
  if (!unsent) co_return std::unexpected(Refusal(unsent.error()));
  trim->trimmed = 0;
  for (const auto& [key, value] : *oldest) {
    const std::uint64_t number = number_of_key(key);
    if (!unsent->empty() && number >= number_of_key(unsent->front().first)) break;
    auto event = row_as<FileEvent>(key, value);
    if (number >= trim->keep_from && (!event || event->at >= trim->keep_since)) break;
    space.rows().erase(key);
    ++trim->trimmed;
  }
  co_return Json(nullptr);
}

struct Disabled {
  std::string webhook, reason;
};

Task<Outcome<Json>> disable_in(Space& space, std::shared_ptr<const Disabled> disabled) {
  const std::string key = space.row('w', disabled->webhook);
  auto record = co_await read_object(space.rows(), key);
  if (!record) co_return std::unexpected(record.error());
  if (!*record) co_return Json(nullptr);
  Webhook webhook = webhook_from_record(disabled->webhook, **record);
  if (!webhook.enabled) co_return Json(nullptr);
  webhook.enabled = false;
  webhook.disabled_reason = disabled->reason;
  space.rows().put(key, to_text(to_record(webhook)));
  FileEvent event;
  event.type = "webhook.disabled";
  event.data = {{"webhook", webhook.id}, {"url", webhook.url}, {"reason", webhook.disabled_reason}};
  space.emit(std::move(event));
  co_return Json(nullptr);
}

/// "ws.WORKSPACE.ID" → workspace, id.
std::pair<std::string, std::string> parts_of(const std::string& name) {
  const std::size_t dot = name.rfind('.');
  return {name.substr(3, dot < 3 ? std::string::npos : dot - 3), name.substr(dot + 1)};
}

}  // namespace

void EventsService::arm_care(Millis delay) {
  if (!is_open_) return;
  care_timer_ = clock_.call_after(delay, [this] { tasks_.spawn(care()); });
}

Task<> EventsService::care() {
  for (const std::string& id : spaces_.ids()) {
    for (bool more = true; more && is_open_;) {
      auto trimmed = co_await trim(id);
      if (!trimmed) log::warn("old events could not be removed", {{"workspace", id}, {"error", trimmed.error().message}});
      more = trimmed && *trimmed == kTrimStep;
    }
    if (!is_open_) co_return;
  }
  if (deps_.triggers) co_await drop_orphans();
  look_for_disabled();
  arm_care(kCareEvery);
}

Task<Result<std::size_t>> EventsService::trim(std::string workspace) {
  const Workspace* found = spaces_.by_id(workspace);
  if (!found) co_return 0;
  const Actor actor = system_actor(*found);
  const auto rows = spaces_.read();
  const KeyRange all = KeyRange::prefix(keys::prefix(spaces_.partition_of(workspace), workspace, 'e'));
  auto last = co_await rows->scan(all, 1, Direction::Backward);
  if (!last) co_return std::unexpected(last.error());
  auto first = co_await rows->scan(all, 1);
  if (!first) co_return std::unexpected(first.error());
  if (last->empty() || first->empty()) co_return 0;
  const auto request = std::make_shared<Trim>();
  const std::uint64_t newest = number_of_key(last->front().first);
  request->keep_from = newest > kKeptNumber ? newest - kKeptNumber + 1 : 0;
  request->keep_since = clock_.now() - kKept;
  const auto event = row_as<FileEvent>(first->front().first, first->front().second);
  if (number_of_key(first->front().first) >= request->keep_from && event && event->at >= request->keep_since) co_return 0;
  auto done = co_await spaces_.mutate(actor, workspace, Role::Viewer, [request](Space& space) { return trim_step(space, request); });
  if (!done) co_return std::unexpected(Error(done.error()));
  co_return request->trimmed;
}

void EventsService::look_for_disabled() {
  if (!is_open_ || !deps_.triggers || disabled_timer_) return;
  // Not inside the call that changed the endpoint.
  disabled_timer_ = clock_.call_after(Millis{0}, [this] { tasks_.spawn(tell_disabled()); });
}

Task<> EventsService::tell_disabled() {
  disabled_timer_.reset();
  for (const trigger::Endpoint& endpoint : deps_.triggers->internal_endpoints("ws.")) {
    if (endpoint.enabled || endpoint.disabled_reason.empty() || !is_open_) continue;
    const auto [workspace, webhook] = parts_of(endpoint.name);
    if (auto told = co_await tell_disabled_in(workspace, webhook, endpoint.disabled_reason); !told)
      log::warn("a webhook is disabled, and its workspace was not told", {{"endpoint", endpoint.name}, {"error", told.error().message}});
  }
}

Task<Result<void>> EventsService::tell_disabled_in(std::string workspace, std::string webhook, std::string reason) {
  const Workspace* found = spaces_.by_id(workspace);
  if (!found) co_return Result<void>{};
  const Actor actor = system_actor(*found);
  auto hooks = co_await load_webhooks(workspace);
  if (!hooks) co_return std::unexpected(hooks.error());
  bool is_news = false;
  for (const Webhook& hook : *hooks) is_news = is_news || (hook.id == webhook && hook.enabled);
  if (!is_news) co_return Result<void>{};
  const auto disabled = std::make_shared<const Disabled>(Disabled{webhook, reason});
  auto done = co_await spaces_.mutate(actor, workspace, Role::Viewer, [disabled](Space& space) { return disable_in(space, disabled); });
  if (!done) co_return std::unexpected(Error(done.error()));
  co_return Result<void>{};
}

/// Endpoints whose workspace or webhook is gone: a crash came between the two, or the workspace was deleted.
Task<> EventsService::drop_orphans() {
  for (const trigger::Endpoint& endpoint : deps_.triggers->internal_endpoints("ws.")) {
    const auto [workspace, webhook] = parts_of(endpoint.name);
    if (spaces_.by_id(workspace)) {
      // Once calls come, one may be between its endpoint and its row.
      if (is_open_) continue;
      const auto rows = spaces_.read();
      auto row = co_await rows->get(keys::row(spaces_.partition_of(workspace), workspace, 'w', webhook));
      if (!row || *row) continue;
    }
    if (auto gone = co_await deps_.triggers->remove_endpoint(endpoint.name); !gone)
      log::warn("the endpoint of a removed webhook is still there", {{"endpoint", endpoint.name}, {"error", gone.error().message}});
  }
}

}  // namespace mayfly::workspace
