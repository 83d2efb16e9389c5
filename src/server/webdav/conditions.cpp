#include <algorithm>

#include "server/webdav/dav.h"
#include "workspace/paths.h"

namespace mayfly::webdav {
namespace {

using workspace::Lock;
using workspace::Place;

bool is_above(std::string_view folder, std::string_view path) {
  if (folder == "/") return path != "/";
  return path.size() > folder.size() && path.starts_with(folder) && path[folder.size()] == '/';
}

/// The locks on a place, around it and below; of a place where nothing is, those of the nearest folder.
Task<Outcome<std::vector<Lock>>> locks_near(Dav* dav, std::string space, std::string path) {
  while (true) {
    auto status = co_await dav->all->files->locks(dav->actor, space, Place::at(path));
    if (status) co_return std::move(status->locks);
    if (!is_missing(status.error()) || path == "/") co_return std::unexpected(status.error());
    path = workspace::parent_path(path);
  }
}

/// Whether the caller holds this lock by this token, as far as it can be seen here.
bool opens(const Dav& dav, const Lock& lock, const std::string& token) {
  if (lock.holder != dav.actor.id) return false;
  const auto* known = dav.tokens->find(lock.id);
  return known ? known->token == token : token.starts_with("lk_");
}

std::string tag_of(const std::string& etag) { return "\"" + etag + "\""; }

Task<Outcome<bool>> holds(Dav* dav, IfCondition condition, std::string space, std::string path) {
  if (condition.kind == IfCondition::Kind::Etag) {
    auto node = co_await dav->all->files->stat(dav->actor, space, Place::at(path));
    if (!node && !is_missing(node.error())) co_return std::unexpected(node.error());
    co_return node && !node->etag.empty() && condition.value == tag_of(node->etag);
  }
  const std::string token = token_of_uri(condition.value);
  if (token.empty()) co_return false;
  auto view = co_await look_at_locks(dav, space, path);
  if (!view) co_return std::unexpected(view.error());
  co_return std::ranges::any_of(view->covering, [&](const Lock& lock) { return opens(*dav, lock, token); });
}

Task<Outcome<bool>> list_holds(Dav* dav, IfList list) {
  std::string space = dav->space, path = dav->at.path;
  if (!list.resource.empty()) {
    auto at = parse_dav_url(list.resource, dav->headers());
    if (!at) co_return false;
    auto found = dav->all->spaces->find(dav->actor, at->workspace, workspace::Role::Viewer);
    if (!found) co_return false;
    space = found->id;
    path = at->path;
  }
  for (const IfCondition& condition : list.conditions) {
    auto held = co_await holds(dav, condition, space, path);
    if (!held) co_return std::unexpected(held.error());
    if (*held == condition.negated) co_return false;
  }
  co_return true;
}

/// Whether an entity tag is in a list like `"a", W/"b"`, or the list is "*" and there is one. Weak tags never match (RFC 9110 §13.1.1).
bool lists_tag(std::string_view list, const std::string& etag) {
  if (list == "*") return true;
  while (!list.empty()) {
    const auto end = std::min(list.find(','), list.size());
    std::string_view item = list.substr(0, end);
    while (item.starts_with(' ')) item.remove_prefix(1);
    while (item.ends_with(' ')) item.remove_suffix(1);
    if (!etag.empty() && item == tag_of(etag)) return true;
    list.remove_prefix(std::min(end + 1, list.size()));
  }
  return false;
}

Task<Outcome<void>> check_tags(Dav* dav) {
  const auto match = dav->headers().find("if-match"), none = dav->headers().find("if-none-match");
  if (!match && !none) co_return Outcome<void>{};
  auto node = co_await dav->all->files->stat(dav->actor, dav->space, Place::at(dav->at.path));
  if (!node && !is_missing(node.error())) co_return std::unexpected(node.error());
  const bool matches = !match || (node && lists_tag(*match, node->etag));
  const bool is_other = !none || !node || !lists_tag(*none, node->etag);
  if (matches && is_other) co_return Outcome<void>{};
  co_return workspace::refuse("dav.precondition", "what is there is not what If-Match or If-None-Match says; look again and repeat the change");
}

std::unexpected<workspace::Refusal> locked_by(const Dav& dav, const Lock& lock) {
  return workspace::refuse("ws.locked",
                           "this is locked by " + lock.holder_label + " until " + to_rfc3339(lock.expires) + "; wait, or send the lock's token in the If header",
                           {{"href", href_of(dav.at.workspace, lock.path, false)}});
}

}  // namespace

Task<Outcome<LockView>> look_at_locks(Dav* dav, std::string space, std::string path) {
  auto locks = co_await locks_near(dav, space, path);
  if (!locks) co_return std::unexpected(locks.error());
  if (path != "/") {
    auto around = co_await locks_near(dav, space, workspace::parent_path(path));
    if (!around) co_return std::unexpected(around.error());
    for (Lock& lock : *around)
      if (std::ranges::find(*locks, lock.id, &Lock::id) == locks->end()) locks->push_back(std::move(lock));
  }
  LockView out;
  for (Lock& lock : *locks) {
    if (lock.path == path || (lock.deep && is_above(lock.path, path))) {
      out.covering.push_back(std::move(lock));
    } else if (is_above(path, lock.path)) {
      out.below.push_back(std::move(lock));
    } else if (lock.path == workspace::parent_path(path)) {
      out.parent.push_back(std::move(lock));
    }
  }
  co_return out;
}

std::string token_for(const Dav& dav, const Lock& lock) {
  for (const std::string& token : dav.submitted)
    if (opens(dav, lock, token)) return token;
  return {};
}

Task<Outcome<std::string>> check_locks(Dav* dav, std::string space, std::string path, Touches touches) {
  auto view = co_await look_at_locks(dav, space, path);
  if (!view) co_return std::unexpected(view.error());
  // Of several shared locks on one place one token is enough.
  std::vector<std::vector<Lock>> groups{std::move(view->covering)};
  if (touches == Touches::Member) {
    groups.push_back(std::move(view->parent));
    std::map<std::string, std::vector<Lock>> below;
    for (Lock& lock : view->below) below[lock.path].push_back(std::move(lock));
    for (auto& [at, locks] : below) groups.push_back(std::move(locks));
  }
  std::string out;
  for (const auto& group : groups) {
    if (group.empty()) continue;
    std::string token;
    for (const Lock& lock : group)
      if (token.empty()) token = token_for(*dav, lock);
    if (token.empty()) co_return locked_by(*dav, group.front());
    if (out.empty()) out = std::move(token);
  }
  co_return out;
}

Task<Outcome<void>> check_if(Dav* dav) {
  bool any = dav->if_lists.empty();
  for (const IfList& list : dav->if_lists) {
    if (any) break;
    auto held = co_await list_holds(dav, list);
    if (!held) co_return std::unexpected(held.error());
    any = *held;
  }
  if (!any) co_return workspace::refuse("dav.precondition", "nothing of what the If header says holds; look at the resource and its locks again");
  const std::string& method = dav->call->request.method;
  if (method == "GET" || method == "HEAD" || dav->at.workspace.empty()) co_return Outcome<void>{};
  co_return co_await check_tags(dav);
}

}  // namespace mayfly::webdav
