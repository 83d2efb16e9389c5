#include "workspace/spaces.h"

#include <algorithm>

#include "base/log.h"
#include "workspace/spaces_service.h"

namespace mayfly::workspace {
namespace {

constexpr std::size_t kTitleBytesMax = 200, kDescriptionBytesMax = 4'096;

Refusal not_found(const std::string& workspace) {
  return {Error{"ws.not_found", "there is no workspace '" + workspace.substr(0, 100) + "' that you may see; list yours, or ask its owner to add you", Retry::Never}};
}

bool is_name(std::string_view name) {
  if (name.empty() || name.size() > 63) return false;
  const auto alphanumeric = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); };
  return alphanumeric(name.front()) && std::ranges::all_of(name, [&](char c) { return alphanumeric(c) || c == '-' || c == '_'; });
}

std::unexpected<Refusal> bad_name() {
  return refuse("ws.invalid", "a workspace's name has 1 to 63 of a-z, 0-9, '-' and '_', and begins with a letter or digit");
}

std::optional<WritePolicy> policy_of(std::string_view text) {
  if (text == "strict_for_agents") return WritePolicy::StrictForAgents;
  if (text == "lenient") return WritePolicy::Lenient;
  if (text == "strict") return WritePolicy::StrictForAll;
  return std::nullopt;
}

}  // namespace

Role SpacesService::role_of(const Actor& actor, const Workspace& workspace) const {
  if (actor.kind == ActorKind::System) return Role::Owner;
  if (actor.only_workspace && *actor.only_workspace != workspace.id &&
      (*actor.only_workspace != workspace.name || actor.organisation != workspace.organisation))
    return Role::None;
  Role role = Role::None;
  const auto member = workspace.members.find(actor.id);
  if (member != workspace.members.end() && (!member->second.expires || *member->second.expires > deps_.clock->now())) role = member->second.role;
  if (actor.id == workspace.owner || (actor.administrator && actor.organisation == workspace.organisation)) role = Role::Owner;
  // Links, and agents whose deployment names this workspace, are nobody's members: what they may is said by who made them.
  const bool appointed = actor.only_workspace && actor.organisation == workspace.organisation && (actor.id.starts_with("link:") || !actor.run.empty());
  if (appointed) role = std::max(role, actor.run.empty() ? std::min(actor.role_max, Role::Editor) : actor.role_max);
  return std::min(role, actor.role_max);
}

Outcome<Workspace> SpacesService::allowed(const Actor& actor, const Workspace& workspace, Role needed) const {
  const Role role = role_of(actor, workspace);
  if (role == Role::None) return std::unexpected(not_found(workspace.id));
  if (role < needed)
    return refuse("ws.forbidden", "your role in '" + workspace.name + "' is " + std::string(to_string(role)) + "; this needs " + std::string(to_string(needed)) +
                                      ": ask an owner");
  if (needed > Role::Viewer && actor.read_only)
    return refuse("ws.forbidden", "your key only reads; use one with the scope 'files'");
  if (needed > Role::Viewer && workspace.archived) return refuse("ws.archived", "the workspace '" + workspace.name + "' is archived; an owner can unarchive it");
  return workspace;
}

SpacesService::SlotPtr SpacesService::slot_of(const Actor& actor, const std::string& workspace) const {
  if (const auto found = slots_.find(workspace); found != slots_.end()) return found->second;
  for (const auto& [id, slot] : slots_)
    if (slot->workspace.name == workspace && slot->workspace.organisation == actor.organisation) return slot;
  return nullptr;
}

Outcome<Workspace> SpacesService::find(const Actor& actor, const std::string& workspace, Role needed) const {
  const SlotPtr slot = slot_of(actor, workspace);
  if (!slot || slot->removed) return std::unexpected(not_found(workspace));
  auto out = allowed(actor, slot->workspace, needed);
  if (!out && out.error().code == "ws.not_found") return std::unexpected(not_found(workspace));
  return out;
}

std::vector<Workspace> SpacesService::list(const Actor& actor, bool archived) const {
  std::vector<Workspace> out;
  for (const auto& [id, slot] : slots_)
    if (!slot->removed && slot->workspace.archived <= archived && role_of(actor, slot->workspace) > Role::None) out.push_back(slot->workspace);
  std::ranges::sort(out, {}, &Workspace::name);
  return out;
}

std::vector<std::string> SpacesService::ids() const {
  std::vector<std::string> out;
  for (const auto& [id, slot] : slots_)
    if (!slot->removed) out.push_back(id);
  return out;
}

const Workspace* SpacesService::by_id(const std::string& id) const {
  const auto found = slots_.find(id);
  return found == slots_.end() || found->second->removed ? nullptr : &found->second->workspace;
}

bool SpacesService::name_taken(const std::string& organisation, const std::string& name, const std::string& except) const {
  return std::ranges::any_of(slots_, [&](const auto& entry) {
    const Workspace& workspace = entry.second->workspace;
    return !entry.second->removed && workspace.id != except && workspace.organisation == organisation && workspace.name == name;
  });
}

std::string SpacesService::make_id() {
  constexpr std::string_view kDigits = "abcdefghijklmnopqrstuvwxyz234567";
  std::string out = "ws_";
  std::uint64_t bits = deps_.random->next();
  for (int i = 0; i < 16; ++i) {
    if (i == 12) bits = deps_.random->next();
    out += kDigits[bits & 31];
    bits >>= 5;
  }
  return out;
}

Task<Outcome<Workspace>> SpacesService::create(Actor actor, Workspace wanted) {
  if (!open_) co_return refuse("ws.busy", "the server is starting", {}, Retry::Safe);
  if (actor.read_only || actor.only_workspace)
    co_return refuse("ws.forbidden", "your key may not create workspaces; use one with the scope 'files' that is not bound to one workspace");
  if (!is_name(wanted.name)) co_return bad_name();
  if (wanted.title.size() > kTitleBytesMax || wanted.description.size() > kDescriptionBytesMax)
    co_return refuse("ws.invalid", "a title has at most 200 bytes, a description 4,096");
  const std::pair key{actor.organisation, wanted.name};
  if (name_taken(actor.organisation, wanted.name, "") || being_made_.contains(key))
    co_return refuse("ws.exists", "there is a workspace '" + wanted.name + "' in this organisation; choose another name");
  std::size_t count = 0;
  for (const auto& [id, slot] : slots_) count += slot->workspace.organisation == actor.organisation ? 1 : 0;
  if (count >= deps_.workspaces_max)
    co_return refuse("ws.quota", "the organisation has all the workspaces that it may have; remove one",
                     {{"quota", "workspaces"}, {"limit", deps_.workspaces_max}, {"used", count}});
  Workspace workspace;
  workspace.id = make_id();
  workspace.name = std::move(wanted.name);
  workspace.title = std::move(wanted.title);
  workspace.description = std::move(wanted.description);
  workspace.policy = wanted.policy;
  workspace.index = wanted.index;
  workspace.organisation = actor.organisation;
  workspace.owner = actor.id;
  workspace.quota = deps_.quota_default;
  workspace.created = workspace.updated = deps_.clock->now();
  workspace.members[actor.id] = {actor.id, actor.label, Role::Owner, std::nullopt, actor.id, workspace.created};
  being_made_.insert(key);
  const keys::Partition partition = partition_of(workspace.id);
  Node root;
  root.id = "root";
  root.kind = NodeKind::Folder;
  root.created = root.modified = workspace.created;
  root.created_by = root.modified_by = actor.id;
  Batch batch;
  batch.require = {deps_.lease(partition), Precondition::absent(keys::directory(partition, workspace.id))};
  batch.puts = {{keys::directory(partition, workspace.id), row_text(workspace)},
                {keys::row(partition, workspace.id, 'n', "root"), row_text(root)},
                {keys::row(partition, workspace.id, 'c', ""), row_text(Counters{})}};
  auto outcome = co_await deps_.store->commit(std::move(batch));
  being_made_.erase(key);
  const bool unknown = !outcome && outcome.error().retry == Retry::OutcomeUnknown;
  if (!outcome && !unknown) co_return std::unexpected(Refusal(outcome.error()));
  if (outcome && !outcome->committed()) co_return refuse("ws.busy", "another server took over: ask it", {}, Retry::Safe);
  auto slot = std::make_shared<SpaceSlot>();
  slot->workspace = workspace;
  if (unknown) {
    // Whether it is there decides a read; without an answer to that it is looked for at the next start.
    auto there = co_await deps_.store->get(keys::directory(partition, workspace.id));
    if (!there) co_return std::unexpected(Refusal(outcome.error()));
    if (!*there) co_return refuse("ws.busy", "the workspace could not be stored; try again", {}, Retry::Safe);
  }
  slots_[workspace.id] = std::move(slot);
  auto told = co_await mutate(actor, workspace.id, Role::Owner, [](Space& space) -> Task<Outcome<Json>> {
    FileEvent event;
    event.type = "workspace.created";
    event.data["name"] = space.workspace().name;
    space.emit(std::move(event));
    co_return Json();
  });
  if (!told) log::warn("a workspace was created without its event", {{"workspace", workspace.id}, {"error", told.error().message}});
  co_return workspace;
}

Task<Outcome<Usage>> SpacesService::usage(Actor actor, std::string workspace) {
  auto found = find(actor, workspace, Role::Viewer);
  if (!found) co_return std::unexpected(found.error());
  const std::string key = keys::row(partition_of(found->id), found->id, 'c', "");
  auto row = co_await deps_.store->get(key);
  if (!row) co_return std::unexpected(Refusal(row.error()));
  auto counters = *row ? row_as<Counters>(key, (*row)->value) : Result<Counters>(Counters{});
  if (!counters) co_return std::unexpected(Refusal(counters.error()));
  Usage usage = counters->usage;
  const std::string month = to_rfc3339(deps_.clock->now()).substr(0, 7);
  if (usage.month != month) usage.month = month, usage.credits = 0;
  co_return usage;
}

Outcome<Workspace> SpacesService::changed(const Actor& actor, Workspace out, const JsonObject& changes) const {
  for (const auto& [name, value] : changes) {
    const bool text = value.is_string();
    if ((name == "name" || name == "title" || name == "description" || name == "policy") && !text)
      return refuse("ws.invalid", std::string(name) + " must be a text");
    if (name == "name") {
      if (!is_name(value.get_string())) return bad_name();
      out.name = std::string_view(value.get_string());
      if (name_taken(out.organisation, out.name, out.id)) return refuse("ws.exists", "there is a workspace '" + out.name + "' in this organisation; choose another name");
    } else if (name == "title" && value.get_string().size() <= kTitleBytesMax) {
      out.title = std::string_view(value.get_string());
    } else if (name == "description" && value.get_string().size() <= kDescriptionBytesMax) {
      out.description = std::string_view(value.get_string());
    } else if (name == "policy" && policy_of(value.get_string())) {
      out.policy = *policy_of(value.get_string());
    } else if (name == "index" && value.is_bool()) {
      out.index = value.get_bool();
    } else if (name == "quota" && value.is_object()) {
      if (!actor.administrator && actor.kind != ActorKind::System) return refuse("ws.forbidden", "quotas are set by an administrator of the organisation");
      const JsonObject& quota = value.get_object();
      for (const auto& [field, into] : {std::pair{"bytes", &out.quota.bytes}, {"file_bytes", &out.quota.file_bytes}, {"files", &out.quota.files}, {"credits", &out.quota.credits}}) {
        *into = get_int(quota, field, *into);
        if (*into < 0) return refuse("ws.invalid", "a quota is not negative");
      }
    } else {
      return refuse("ws.invalid", "cannot set " + std::string(name).substr(0, 50) +
                                      ": name, title (200 bytes), description (4,096), policy (strict_for_agents, lenient, strict), index (true, false) and quota can be");
    }
  }
  out.updated = deps_.clock->now();
  return out;
}

Task<Outcome<Workspace>> SpacesService::update(Actor actor, std::string workspace, JsonObject changes) {
  auto done = co_await mutate(actor, workspace, Role::Owner, [this, &changes](Space& space) -> Task<Outcome<Json>> {
    auto next = changed(space.actor(), space.workspace(), changes);
    if (!next) co_return std::unexpected(next.error());
    space.change(std::move(*next));
    FileEvent event;
    event.type = "workspace.updated";
    for (const auto& [name, value] : changes)
      if (name != "description") event.data[name] = value;
    space.emit(std::move(event));
    co_return Json();
  });
  if (!done) co_return std::unexpected(done.error());
  if (auto found = find(actor, workspace, Role::Viewer)) co_return found;
  co_return find(actor, get_string(changes, "name", workspace), Role::Viewer);
}

Task<Outcome<Workspace>> SpacesService::archive(Actor actor, std::string workspace, bool archived) {
  auto done = co_await mutate(actor, workspace, Role::Viewer, [this, archived](Space& space) -> Task<Outcome<Json>> {
    if (role_of(space.actor(), space.workspace()) < Role::Owner || space.actor().read_only)
      co_return refuse("ws.forbidden", "only an owner archives a workspace");
    if (space.workspace().archived == archived) co_return Json();
    Workspace next = space.workspace();
    next.archived = archived;
    next.updated = space.now();
    space.change(std::move(next));
    FileEvent event;
    event.type = archived ? "workspace.archived" : "workspace.updated";
    if (!archived) event.data["archived"] = false;
    space.emit(std::move(event));
    co_return Json();
  });
  if (!done) co_return std::unexpected(done.error());
  co_return find(actor, workspace, Role::Viewer);
}

std::unique_ptr<Spaces> make_spaces(SpacesDependencies dependencies) { return std::make_unique<SpacesService>(std::move(dependencies)); }

}  // namespace mayfly::workspace
