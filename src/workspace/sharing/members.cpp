#include <algorithm>

#include "workspace/bytes/link_token.h"
#include "workspace/sharing/sharing_service.h"

namespace mayfly::workspace {
namespace {

constexpr std::size_t kMembersMax = 200;
constexpr std::size_t kActorBytesMax = 200;
constexpr std::size_t kLabelBytesMax = 400;

std::unexpected<Refusal> invalid(std::string message) { return refuse("ws.invalid", std::move(message)); }

Outcome<void> check(const Member& member, TimePoint now) {
  const bool is_plain = !member.actor.empty() && member.actor.size() <= kActorBytesMax &&
                        std::ranges::all_of(member.actor, [](char c) { return c > ' ' && c < 0x7f; });
  if (!is_plain)
    return invalid(
        "a member is named by an actor such as \"key:1a2b3c4d\" or \"agent:NAME\", in ASCII of at most 200 characters without spaces");
  if (member.actor == "system" || member.actor.starts_with("link:")) return invalid("'" + member.actor + "' cannot be a member");
  if (member.role == Role::None) return invalid("a member's role is viewer, commenter, editor or owner; remove the member instead");
  if (member.label.size() > kLabelBytesMax || !is_utf8(member.label)) return invalid("a member's label is UTF-8 of at most 400 bytes");
  if (member.expires && *member.expires <= now) return invalid("the membership has expired already; give a later time");
  return {};
}

/// Somebody must be there who may do everything, and for good.
bool has_owner(const Workspace& workspace) {
  return std::ranges::any_of(workspace.members,
                             [](const auto& entry) { return entry.second.role == Role::Owner && !entry.second.expires; });
}

std::unexpected<Refusal> last_owner() {
  return refuse("ws.forbidden", "this is the last owner without an expiry; make somebody else the owner first");
}

/// The owner by name follows the owners there are.
void settle_owner(Workspace& workspace) {
  const auto found = workspace.members.find(workspace.owner);
  if (found != workspace.members.end() && found->second.role == Role::Owner && !found->second.expires) return;
  for (const auto& [actor, member] : workspace.members)
    if (member.role == Role::Owner && !member.expires) {
      workspace.owner = actor;
      return;
    }
}

Task<Outcome<Json>> put_in(Space& space, std::shared_ptr<Member> wanted) {
  if (auto valid = check(*wanted, space.now()); !valid) co_return std::unexpected(valid.error());
  Workspace workspace = space.workspace();
  const auto before = workspace.members.find(wanted->actor);
  const bool is_new = before == workspace.members.end();
  if (is_new && workspace.members.size() >= kMembersMax)
    co_return refuse("ws.quota", "a workspace has at most 200 members; remove some first");
  wanted->added = is_new ? space.now() : before->second.added;
  wanted->added_by = is_new ? space.actor().id : before->second.added_by;
  JsonObject data{{"member", wanted->actor}, {"role", to_string(wanted->role)}};
  if (!is_new) data["role_before"] = to_string(before->second.role);
  workspace.members[wanted->actor] = *wanted;
  if (!has_owner(workspace)) co_return last_owner();
  settle_owner(workspace);
  workspace.updated = space.now();
  space.change(std::move(workspace));
  FileEvent event;
  event.type = "member.added";
  event.data = std::move(data);
  space.emit(std::move(event));
  co_return Json(nullptr);
}

Task<Outcome<Json>> remove_in(Space& space, std::shared_ptr<const std::string> member) {
  Workspace workspace = space.workspace();
  if (workspace.members.erase(*member) == 0) co_return Json(nullptr);
  if (!has_owner(workspace)) co_return last_owner();
  settle_owner(workspace);
  workspace.updated = space.now();
  space.change(std::move(workspace));
  FileEvent event;
  event.type = "member.removed";
  event.data = {{"member", *member}};
  space.emit(std::move(event));
  co_return Json(nullptr);
}

}  // namespace

Task<Outcome<std::vector<Member>>> SharingService::members(Actor actor, std::string workspace) {
  auto found = spaces_.find(actor, workspace, Role::Viewer);
  if (!found) co_return std::unexpected(found.error());
  std::vector<Member> out;
  for (const auto& [id, member] : found->members)
    if (!member.expires || *member.expires > clock_.now()) out.push_back(member);
  co_return out;
}

Task<Outcome<Member>> SharingService::put_member(Actor actor, std::string workspace, Member member) {
  const auto wanted = std::make_shared<Member>(std::move(member));
  auto done = co_await spaces_.mutate(std::move(actor), std::move(workspace), Role::Owner,
                                      [wanted](Space& space) { return put_in(space, wanted); });
  if (!done) co_return std::unexpected(done.error());
  co_return *wanted;
}

Task<Outcome<void>> SharingService::remove_member(Actor actor, std::string workspace, std::string member) {
  const auto name = std::make_shared<const std::string>(std::move(member));
  auto done =
      co_await spaces_.mutate(std::move(actor), std::move(workspace), Role::Owner, [name](Space& space) { return remove_in(space, name); });
  if (!done) co_return std::unexpected(done.error());
  co_return Outcome<void>{};
}

}  // namespace mayfly::workspace
