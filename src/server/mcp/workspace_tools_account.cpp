#include <fmt/format.h>

#include "server/mcp/workspace_toolkit.h"

namespace mayfly::workspace_tools {
namespace {

using workspace::Outcome;
using workspace::Role;

Task<Outcome<Shown>> whoami(Call call) {
  const workspace::Actor& actor = call.actor();
  JsonObject out{{"actor", actor.id}, {"label", actor.label}, {"organisation", actor.organisation}, {"kind", actor.kind == workspace::ActorKind::Person ? "person" : "agent"}, {"read_only", actor.read_only}};
  if (!actor.run.empty()) out["run"] = actor.run;
  if (actor.only_workspace) out["workspace"] = *actor.only_workspace;
  out["server_time"] = to_rfc3339(call.app().clock->now());
  JsonArray mine;
  std::string names;
  for (const auto& each : call.all().spaces->list(actor, false)) {
    mine.push_back(JsonObject{{"id", each.id}, {"name", each.name}, {"role", to_string(call.all().spaces->role_of(actor, each))}});
    if (mine.size() <= 20) names += (names.empty() ? "" : ", ") + each.name;
    if (mine.size() >= 100) break;
  }
  out["workspaces"] = std::move(mine);
  co_return Shown{fmt::format("You are {} ({}) of organisation {}{}. Workspaces: {}.", actor.label, actor.id, actor.organisation, actor.read_only ? ", read-only" : "", names.empty() ? "none" : names), std::move(out)};
}

Task<Outcome<Shown>> quota_get(Call call) {
  auto found = call.all().spaces->find(call.actor(), call.workspace(), Role::Viewer);
  if (!found) co_return std::unexpected(found.error());
  auto usage = co_await call.all().spaces->usage(call.actor(), found->id);
  if (!usage) co_return std::unexpected(usage.error());
  const auto part = [](std::int64_t used, std::int64_t limit) { return JsonObject{{"used", used}, {"limit", limit}}; };
  JsonObject out{{"bytes", part(usage->bytes, found->quota.bytes)}, {"files", part(usage->files, found->quota.files)}, {"credits", part(usage->credits, found->quota.credits)},
                 {"file_bytes_max", found->quota.file_bytes}, {"month", usage->month}};
  co_return Shown{fmt::format("{}: {} of {}, {} of {} nodes, {} of {} credits in {}.", found->name, human_bytes(usage->bytes), human_bytes(found->quota.bytes), usage->files, found->quota.files, usage->credits,
                              found->quota.credits, usage->month),
                  std::move(out)};
}

Task<Outcome<Shown>> workspace_list(Call call) {
  JsonArray list;
  std::string text;
  for (const auto& each : call.all().spaces->list(call.actor(), call.flag("archived"))) {
    if (list.size() >= 200) break;
    text += fmt::format("- {} ({}){}{}\n", each.name, to_string(call.all().spaces->role_of(call.actor(), each)), each.archived ? ", archived" : "", each.title.empty() ? "" : ": " + each.title);
    list.push_back(view(each, call.actor(), *call.all().spaces));
  }
  co_return Shown{text.empty() ? "No workspaces yet; make one with workspace_create." : text, {{"workspaces", std::move(list)}}};
}

Shown shown(const Call& call, const workspace::Workspace& found, std::string_view what) {
  return {fmt::format("{}{} (id {}), owner {}, you are its {}.", what, found.name, found.id, found.owner, to_string(call.all().spaces->role_of(call.actor(), found))), view(found, call.actor(), *call.all().spaces)};
}

Task<Outcome<Shown>> workspace_get(Call call) {
  auto found = call.all().spaces->find(call.actor(), call.workspace(), Role::Viewer);
  if (!found) co_return std::unexpected(found.error());
  co_return shown(call, *found, "");
}

Task<Outcome<Shown>> workspace_create(Call call) {
  workspace::Workspace wanted;
  wanted.name = call.text("name");
  wanted.title = call.text("title");
  wanted.description = call.text("description");
  auto made = co_await call.all().spaces->create(call.actor(), std::move(wanted));
  if (!made) co_return std::unexpected(made.error());
  co_return shown(call, *made, "Created ");
}

Task<Outcome<Shown>> workspace_update(Call call) {
  JsonObject changes;
  for (const std::string_view name : {"name", "title", "description", "policy", "index", "quota"})
    if (const Json* value = get(call.arguments(), name == "name" ? "new_name" : name)) changes[name] = *value;
  auto made = co_await call.all().spaces->update(call.actor(), call.workspace(), std::move(changes));
  if (!made) co_return std::unexpected(made.error());
  co_return shown(call, *made, "Updated ");
}

Task<Outcome<Shown>> workspace_archive(Call call) {
  auto made = co_await call.all().spaces->archive(call.actor(), call.workspace(), call.flag("archived", true));
  if (!made) co_return std::unexpected(made.error());
  co_return shown(call, *made, made->archived ? "Archived " : "Unarchived ");
}

JsonObject member_view(const workspace::Member& member) {
  JsonObject out{{"actor", member.actor}, {"role", to_string(member.role)}, {"label", member.label}, {"added_at", to_rfc3339(member.added)}};
  if (member.expires) out["expires_at"] = to_rfc3339(*member.expires);
  return out;
}

Task<Outcome<Shown>> member_list(Call call) {
  auto found = co_await call.all().sharing->members(call.actor(), call.workspace());
  if (!found) co_return std::unexpected(found.error());
  JsonArray list;
  std::string text;
  for (const auto& member : *found) {
    text += fmt::format("- {} {}: {}\n", member.actor, member.label, to_string(member.role));
    list.push_back(member_view(member));
  }
  co_return Shown{std::move(text), {{"members", std::move(list)}}};
}

Task<Outcome<Shown>> member_put(Call call) {
  workspace::Member member;
  member.actor = call.text("actor");
  member.label = call.text("label");
  const auto role = workspace::role_from_string(call.text("role"));
  if (!role) co_return workspace::refuse("ws.invalid", "role is viewer, commenter, editor or owner");
  member.role = *role;
  if (const std::string text = call.text("expires_at"); !text.empty()) {
    auto expires = parse_rfc3339(text);
    if (!expires) co_return workspace::refuse("ws.invalid", "expires_at is a time such as 2026-12-31T00:00:00Z");
    member.expires = *expires;
  }
  auto put = co_await call.all().sharing->put_member(call.actor(), call.workspace(), std::move(member));
  if (!put) co_return std::unexpected(put.error());
  co_return Shown{fmt::format("{} is now {}.", put->actor, to_string(put->role)), member_view(*put)};
}

Task<Outcome<Shown>> member_remove(Call call) {
  auto gone = co_await call.all().sharing->remove_member(call.actor(), call.workspace(), call.text("actor"));
  if (!gone) co_return std::unexpected(gone.error());
  co_return Shown{"Removed " + call.text("actor") + ".", {{"removed", call.text("actor")}}};
}

}  // namespace

std::vector<Tool> account_tools() {
  using enum Tool::Hint;
  return {
      {"whoami", "Who am I", "Who you are here, and the workspaces you may see. Start here.", "account", true, Reads, "", whoami},
      {"quota_get", "Quota", "What a workspace uses and may use.", "account", true, Reads, "workspace s Name or id", quota_get},
      {"workspace_list", "List workspaces", "The workspaces you may see.", "workspaces", true, Reads, "archived b Also archived ones", workspace_list},
      {"workspace_get", "Show a workspace", "One workspace: role, policy, owner.", "workspaces", true, Reads, "workspace s Name or id", workspace_get},
      {"workspace_create", "Create a workspace", "Makes a workspace that you own.", "workspaces", true, Adds, "name! s a-z, 0-9, - and _; title s; description s", workspace_create},
      {"workspace_update", "Change a workspace", "Name, title, description, policy on blind overwrites, index, quota.", "workspaces", false, Changes,
       "workspace! s; new_name s; title s; description s; policy e(strict_for_agents,lenient,strict); index b; quota o", workspace_update},
      {"workspace_archive", "Archive a workspace", "Makes a workspace read-only, or undoes that.", "workspaces", false, Changes, "workspace! s; archived b Default true", workspace_archive},
      {"member_list", "List members", "Who may do what in a workspace.", "members", false, Reads, "workspace s", member_list},
      {"member_put", "Add or change a member", "Gives somebody a role. Owners only.", "members", false, Changes,
       "workspace s; actor! s key:ID or agent:NAME; role! e(viewer,commenter,editor,owner); label s; expires_at s RFC 3339", member_put},
      {"member_remove", "Remove a member", "Takes a role away. Owners only.", "members", false, Destroys, "workspace s; actor! s", member_remove},
  };
}

}  // namespace mayfly::workspace_tools
