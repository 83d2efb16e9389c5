#include <fmt/format.h>

#include "server/mcp/workspace_toolkit.h"

namespace mayfly::workspace_tools {
namespace {

using workspace::Outcome;
using workspace::refuse;

Task<Outcome<Shown>> version_list(Call call) {
  auto page = co_await call.all().files->versions(call.actor(), call.workspace(), call.place(), static_cast<std::size_t>(std::clamp<std::int64_t>(call.number("limit", 20), 1, 1'000)), call.text("cursor"));
  if (!page) co_return std::unexpected(page.error());
  JsonArray list;
  std::string text;
  for (const auto& version : page->versions) {
    text += fmt::format("- v{} {} {} by {} ({}){}\n", version.version, to_rfc3339(version.at).substr(0, 19), human_bytes(version.size), version.author_label.empty() ? version.author : version.author_label, version.cause,
                        version.note.empty() ? "" : ": " + version.note);
    list.push_back(view(version));
  }
  JsonObject out{{"versions", std::move(list)}};
  if (!page->next.empty()) out["next_cursor"] = page->next;
  co_return Shown{std::move(text), std::move(out)};
}

Task<Outcome<Shown>> version_diff(Call call) {
  auto diff = co_await call.all().files->diff(call.actor(), call.workspace(), call.place(), static_cast<std::uint64_t>(call.number("from")), static_cast<std::uint64_t>(call.number("to")));
  if (!diff) co_return std::unexpected(diff.error());
  co_return Shown{diff->empty() ? "The versions are equal." : "```diff\n" + *diff + "```", {{"diff", *diff}}};
}

Task<Outcome<Shown>> version_restore(Call call) {
  auto done = co_await call.all().files->restore_version(call.actor(), call.workspace(), call.place(), static_cast<std::uint64_t>(call.number("version")), call.write_options());
  if (!done) co_return std::unexpected(done.error());
  co_return Shown{fmt::format("`{}` is as it was in version {}; that is version {} now", done->node.path, call.number("version"), done->node.version), view(done->node)};
}

Task<Outcome<Shown>> trash_list(Call call) {
  auto page = co_await call.all().files->trash(call.actor(), call.workspace(), static_cast<std::size_t>(std::clamp<std::int64_t>(call.number("limit", 50), 1, 1'000)), call.text("cursor"));
  if (!page) co_return std::unexpected(page.error());
  JsonArray list;
  std::string text;
  for (const auto& node : page->nodes) {
    text += fmt::format("- `{}` (node_id {}), deleted {}\n", node.deleted_from, node.id, node.deleted ? to_rfc3339(*node.deleted).substr(0, 19) : "");
    list.push_back(view(node));
  }
  JsonObject out{{"nodes", std::move(list)}};
  if (!page->next.empty()) out["next_cursor"] = page->next;
  co_return Shown{text.empty() ? "The trash is empty." : std::move(text), std::move(out)};
}

Task<Outcome<Shown>> trash_restore(Call call) {
  auto node = co_await call.all().files->restore(call.actor(), call.workspace(), call.text("node_id"), call.text("to"), call.write_options());
  if (!node) co_return std::unexpected(node.error());
  co_return Shown{fmt::format("Restored `{}`", node->path), view(*node)};
}

Task<Outcome<Shown>> trash_purge(Call call) {
  if (!call.has("node_id") && !call.flag("all")) co_return refuse("ws.invalid", "give the node_id of what is to go for good, or all: true");
  auto count = co_await call.all().files->purge(call.actor(), call.workspace(), call.text("node_id"));
  if (!count) co_return std::unexpected(count.error());
  co_return Shown{fmt::format("{} gone for good.", *count), {{"purged", *count}}};
}

Shown granted(const workspace::Grant& grant) {
  JsonObject out = view(grant.lock);
  out["lock_token"] = grant.token;
  out["etag"] = grant.etag;
  out["version"] = grant.version;
  out["server_time"] = to_rfc3339(grant.server_time);
  return {fmt::format("You hold `{}` until {} (fence {}). lock_token: {} — give it with each write, renew it in time, release it.", grant.lock.path, to_rfc3339(grant.lock.expires), grant.lock.fence, grant.token),
          std::move(out)};
}

Task<Outcome<Shown>> lock_acquire(Call call) {
  workspace::LockRequest request;
  request.at = call.place();
  request.mode = call.text("mode") == "shared" ? workspace::LockMode::Shared : workspace::LockMode::Exclusive;
  request.ttl = Millis{call.number("ttl_s", 60) * 1'000};
  request.wait = Millis{call.number("wait_ms")};
  if (request.ttl < Millis{5'000} || request.ttl > Millis{3'600'000}) co_return refuse("ws.invalid", "ttl_s is 5 to 3600");
  if (request.wait < Millis{0} || request.wait > Millis{25'000}) co_return refuse("ws.invalid", "wait_ms is 0 to 25000");
  request.idempotency_key = call.text("idempotency_key");
  request.note = call.text("note");
  request.cancel = call.context().cancel;
  auto grant = co_await call.all().files->lock(call.actor(), call.workspace(), std::move(request));
  if (!grant) co_return std::unexpected(grant.error());
  co_return granted(*grant);
}

Task<Outcome<Shown>> lock_renew(Call call) {
  auto grant = co_await call.all().files->renew_lock(call.actor(), call.workspace(), call.place(), call.text("lock_token"), Millis{call.number("ttl_s") * 1'000});
  if (!grant) co_return std::unexpected(grant.error());
  co_return granted(*grant);
}

Task<Outcome<Shown>> lock_release(Call call) {
  auto done = co_await call.all().files->unlock(call.actor(), call.workspace(), call.place(), call.text("lock_token"));
  if (!done) co_return std::unexpected(done.error());
  co_return Shown{"Released.", {{"released", true}}};
}

Task<Outcome<Shown>> lock_status(Call call) {
  auto status = co_await call.all().files->locks(call.actor(), call.workspace(), call.place());
  if (!status) co_return std::unexpected(status.error());
  JsonArray list;
  std::string text;
  for (const auto& lock : status->locks) {
    text += fmt::format("- `{}` {} by {} until {}\n", lock.path, lock.mode == workspace::LockMode::Shared ? "shared" : "exclusive", lock.holder_label.empty() ? lock.holder : lock.holder_label, to_rfc3339(lock.expires));
    list.push_back(view(lock));
  }
  co_return Shown{text.empty() ? "Not locked." : std::move(text), {{"locks", std::move(list)}, {"waiting", status->waiting}, {"fence", status->fence}}};
}

Task<Outcome<Shown>> lock_break(Call call) {
  auto done = co_await call.all().files->break_lock(call.actor(), call.workspace(), call.place(), call.text("reason"));
  if (!done) co_return std::unexpected(done.error());
  co_return Shown{"Broken; its holder's writes are refused from now on.", {{"broken", true}}};
}

}  // namespace

std::vector<Tool> history_tools() {
  using enum Tool::Hint;
  return {
      {"version_list", "List versions", "The history of a file, newest first.", "history", true, Reads, "workspace s; path s; node_id s; limit i; cursor s", version_list},
      {"version_diff", "Compare versions", "What changed between two versions.", "history", false, Reads, "workspace s; path s; node_id s; from! i; to i Default: the newest", version_diff},
      {"version_restore", "Restore a version", "Makes an older version the newest.", "history", true, Changes, "workspace s; path s; node_id s; version! i; lock_token s; fence i; idempotency_key s", version_restore},
      {"trash_list", "List the trash", "What was deleted.", "history", true, Reads, "workspace s; limit i; cursor s", trash_list},
      {"trash_restore", "Restore from the trash", "Brings back what was deleted.", "history", true, Adds, "workspace s; node_id! s; to s Another path", trash_restore},
      {"trash_purge", "Purge the trash", "Removes something in the trash for good.", "history", true, Destroys, "workspace s; node_id s; all b Everything in the trash", trash_purge},
  };
}

std::vector<Tool> lock_tools() {
  using enum Tool::Hint;
  return {
      {"lock_acquire", "Take a lock", "A lease on a file or folder: others' writes are refused while you hold it. Waits in line up to wait_ms.", "locks", true, Changes,
       "workspace s; path s; node_id s; mode e(exclusive,shared); ttl_s i 5-3600, default 60; wait_ms i 0-25000; idempotency_key s; note s", lock_acquire},
      {"lock_renew", "Renew a lock", "Prolongs a lease, also an expired one while nothing changed.", "locks", true, Changes, "workspace s; path s; node_id s; lock_token! s; ttl_s i", lock_renew},
      {"lock_release", "Release a lock", "Ends your lease. Twice is no error.", "locks", true, Changes, "workspace s; path s; node_id s; lock_token! s", lock_release},
      {"lock_status", "Look at locks", "Who holds what, and how many wait.", "locks", true, Reads, "workspace s; path s; node_id s", lock_status},
      {"lock_break", "Break a lock", "Ends somebody's lease; their writes fail from then on. Owners only.", "locks", false, Destroys, "workspace s; path s; node_id s; reason s", lock_break},
  };
}

}  // namespace mayfly::workspace_tools
