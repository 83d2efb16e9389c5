#include <fmt/format.h>

#include "server/mcp/workspace_toolkit.h"

namespace mayfly::workspace_tools {
namespace {

using workspace::Outcome;
using workspace::refuse;

workspace::EventFilter filter_of(const Call& call) {
  workspace::EventFilter out;
  out.types = call.texts("types");
  out.path_prefix = call.text("path");
  out.glob = call.text("glob");
  out.actor = call.text("actor");
  return out;
}

Task<Outcome<Shown>> events(Call call, Millis wait) {
  std::uint64_t cursor = static_cast<std::uint64_t>(call.number("cursor"));
  if (wait.count() > 0 && !call.has("cursor")) {
    auto newest = co_await call.all().events->newest(call.actor(), call.workspace());
    if (!newest) co_return std::unexpected(newest.error());
    cursor = *newest;
  }
  auto page = co_await call.all().events->list(call.actor(), call.workspace(), filter_of(call), cursor, static_cast<std::size_t>(std::clamp<std::int64_t>(call.number("limit", 50), 1, 500)), wait, call.context().cancel);
  if (!page) co_return std::unexpected(page.error());
  JsonArray list;
  std::string text;
  for (const auto& event : page->events) {
    text += fmt::format("- {} {} {} by {}\n", event.number, event.type, event.path.empty() ? "" : "`" + event.path + "`", event.actor_label.empty() ? event.actor : event.actor_label);
    list.push_back(view(event));
  }
  if (text.empty()) text = "No event.";
  text += fmt::format("\nNext: cursor {}", page->cursor);
  co_return Shown{std::move(text), {{"events", std::move(list)}, {"cursor", page->cursor}, {"more", page->more}}};
}

Task<Outcome<Shown>> event_list(Call call) { co_return co_await events(std::move(call), Millis{0}); }
Task<Outcome<Shown>> event_wait(Call call) {
  const std::int64_t wait = call.number("wait_ms", 20'000);
  if (wait < 1 || wait > 25'000) co_return refuse("ws.invalid", "wait_ms is 1 to 25000");
  co_return co_await events(std::move(call), Millis{wait});
}

JsonObject view(const workspace::Webhook& hook) {
  JsonArray types;
  for (const std::string& type : hook.filter.types) types.emplace_back(type);
  JsonObject out{{"webhook_id", hook.id}, {"url", hook.url}, {"enabled", hook.enabled}, {"types", std::move(types)}, {"path", hook.filter.path_prefix}, {"created_at", to_rfc3339(hook.created)}};
  if (!hook.disabled_reason.empty()) out["disabled_reason"] = hook.disabled_reason;
  return out;
}

Shown with_secret(const workspace::Events::NewWebhook& made) {
  JsonObject out = view(made.webhook);
  out["secret"] = made.secret;
  return {fmt::format("Webhook {} to {}. Its secret, shown once: {}", made.webhook.id, made.webhook.url, made.secret), std::move(out)};
}

Task<Outcome<Shown>> webhook_create(Call call) {
  auto made = co_await call.all().events->create_webhook(call.actor(), call.workspace(), call.text("url"), filter_of(call));
  if (!made) co_return std::unexpected(made.error());
  co_return with_secret(*made);
}
Task<Outcome<Shown>> webhook_rotate(Call call) {
  auto made = co_await call.all().events->rotate_webhook(call.actor(), call.workspace(), call.text("webhook_id"));
  if (!made) co_return std::unexpected(made.error());
  co_return with_secret(*made);
}
Task<Outcome<Shown>> webhook_list(Call call) {
  auto hooks = co_await call.all().events->webhooks(call.actor(), call.workspace());
  if (!hooks) co_return std::unexpected(hooks.error());
  JsonArray list;
  std::string text;
  for (const auto& hook : *hooks) {
    text += fmt::format("- {} {}{}\n", hook.id, hook.url, hook.enabled ? "" : " (off: " + hook.disabled_reason + ")");
    list.push_back(view(hook));
  }
  co_return Shown{text.empty() ? "No webhooks." : std::move(text), {{"webhooks", std::move(list)}}};
}
Task<Outcome<Shown>> webhook_update(Call call) {
  JsonObject changes;
  for (const std::string_view name : {"url", "enabled", "types", "path", "glob", "actor"})
    if (const Json* value = get(call.arguments(), name)) changes[name] = *value;
  auto hook = co_await call.all().events->update_webhook(call.actor(), call.workspace(), call.text("webhook_id"), std::move(changes));
  if (!hook) co_return std::unexpected(hook.error());
  co_return Shown{"Updated " + hook->id + ".", view(*hook)};
}
Task<Outcome<Shown>> webhook_remove(Call call) {
  auto done = co_await call.all().events->remove_webhook(call.actor(), call.workspace(), call.text("webhook_id"));
  if (!done) co_return std::unexpected(done.error());
  co_return Shown{"Removed.", {{"removed", call.text("webhook_id")}}};
}

}  // namespace

std::vector<Tool> event_tools() {
  using enum Tool::Hint;
  return {
      {"event_list", "List events", "What happened in a workspace, from a cursor on.", "events", true, Reads, "workspace s; cursor i; types S file.*, lock.acquired; path s; glob s; actor s; limit i", event_list},
      {"event_wait", "Wait for an event", "Waits until something happens (from now, or from a cursor).", "events", true, Reads, "workspace s; cursor i; types S; path s; glob s; actor s; wait_ms i Up to 25000; limit i", event_wait},
      {"webhook_create", "Create a webhook", "Sends signed events (Standard Webhooks) to a URL.", "webhooks", false, Adds, "workspace s; url! s; types S; path s; glob s; actor s", webhook_create},
      {"webhook_list", "List webhooks", "Where events are sent.", "webhooks", false, Reads, "workspace s", webhook_list},
      {"webhook_update", "Change a webhook", "URL, filter, on or off.", "webhooks", false, Changes, "workspace s; webhook_id! s; url s; enabled b; types S; path s; glob s; actor s", webhook_update},
      {"webhook_rotate", "Rotate a secret", "A new secret; the old one signs too for a day.", "webhooks", false, Changes, "workspace s; webhook_id! s", webhook_rotate},
      {"webhook_remove", "Remove a webhook", "Sends nothing there any more.", "webhooks", false, Destroys, "workspace s; webhook_id! s", webhook_remove},
  };
}

}  // namespace mayfly::workspace_tools
