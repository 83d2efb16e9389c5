#include <algorithm>
#include <charconv>

#include "server/webdav/dav.h"
#include "workspace/paths.h"

namespace mayfly::webdav {
namespace {

using workspace::Lock;
using workspace::LockMode;
using workspace::Place;

constexpr Millis kTtlMin{5'000}, kTtlMax{3'600'000}, kTtlDefault{600'000};
constexpr std::size_t kOwnerBytesMax = 2'048;

/// Of `Timeout: Second-600, Infinite`: the first that can be read, within what workspaces allow.
Millis read_timeout(const net::Headers& headers) {
  std::string_view text = headers.find("timeout").value_or("");
  while (!text.empty()) {
    const auto end = std::min(text.find(','), text.size());
    std::string_view item = text.substr(0, end);
    while (item.starts_with(' ')) item.remove_prefix(1);
    if (net::equal_ignoring_case(item.substr(0, 8), "infinite")) return kTtlMax;
    if (item.size() > 7 && net::equal_ignoring_case(item.substr(0, 7), "second-")) {
      std::uint64_t seconds = 0;
      const auto [last, error] = std::from_chars(item.data() + 7, item.data() + item.size(), seconds);
      if (error == std::errc::result_out_of_range) return kTtlMax;
      if (error == std::errc()) return std::clamp(Millis{static_cast<std::int64_t>(std::min<std::uint64_t>(seconds, 3'600)) * 1'000}, kTtlMin, kTtlMax);
    }
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return kTtlDefault;
}

struct Wanted {
  LockMode mode = LockMode::Exclusive;
  std::string owner;
};

Outcome<Wanted> read_lockinfo(std::string_view body) {
  const auto root = parse_xml(body);
  if (!root) return std::unexpected(root.error());
  const XmlNode* scope = root->child("lockscope");
  const XmlNode* type = root->child("locktype");
  const bool is_exclusive = scope && scope->child("exclusive"), is_shared = scope && scope->child("shared");
  if (!root->name.is_dav("lockinfo") || !type || !type->child("write") || is_exclusive == is_shared)
    return workspace::refuse("dav.invalid", "the body must be a DAV:lockinfo with the scope exclusive or shared and the type write");
  Wanted out;
  if (is_shared) out.mode = LockMode::Shared;
  if (const XmlNode* owner = root->child("owner")) out.owner = to_xml(*owner);
  if (out.owner.size() > kOwnerBytesMax) return workspace::refuse("dav.invalid", "the owner of the lock has more than 2 KiB; say it in fewer words");
  return out;
}

/// What the lock's note says as XML. A note that came from elsewhere is plain text.
std::string owner_xml(const Lock& lock) {
  if (lock.note.starts_with('<'))
    if (const auto node = parse_xml(lock.note); node && node->name.is_dav("owner")) return to_xml(*node);
  return "<D:owner>" + escape_xml(lock.note.empty() ? lock.holder_label : lock.note) + "</D:owner>";
}

net::Response lock_answer(const Dav& dav, int status, const Lock& lock) {
  net::Response out;
  out.status = status;
  out.headers.add("Content-Type", "application/xml; charset=utf-8");
  out.body = "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<D:prop xmlns:D=\"DAV:\"><D:lockdiscovery>" + active_locks(dav, dav.at.workspace, {lock}) +
             "</D:lockdiscovery></D:prop>\n";
  return out;
}

void remember(Dav* dav, const Lock& lock, const std::string& token) {
  dav->tokens->put(lock.id, {token, dav->space, lock.node, lock.expires}, dav->app->clock->now());
}

Task<Outcome<Reply>> refresh(Dav* dav) {
  if (dav->submitted.empty())
    co_return workspace::refuse("dav.invalid", "a LOCK without a body renews a lock: name its token in the If header, or send a DAV:lockinfo");
  auto view = co_await look_at_locks(dav, dav->space, dav->at.path);
  if (!view) co_return std::unexpected(view.error());
  for (const Lock& lock : view->covering) {
    const std::string token = token_for(*dav, lock);
    if (token.empty()) continue;
    auto grant = co_await dav->all->files->renew_lock(dav->actor, dav->space, Place::of(lock.node), token, read_timeout(dav->headers()));
    if (!grant) co_return std::unexpected(grant.error());
    Lock renewed = lock;
    renewed.expires = grant->lock.expires;
    remember(dav, renewed, token);
    co_return lock_answer(*dav, 200, renewed);
  }
  co_return workspace::refuse("dav.precondition", "the lock that the If header names is not here, or has expired; take a new one");
}

/// What stands in the way of a new lock.
const Lock* conflict(const LockView& view, LockMode mode, bool deep) {
  const auto excludes = [&](const Lock& lock) { return mode == LockMode::Exclusive || lock.mode == LockMode::Exclusive; };
  if (const auto found = std::ranges::find_if(view.covering, excludes); found != view.covering.end()) return &*found;
  if (!deep) return nullptr;
  const auto found = std::ranges::find_if(view.below, excludes);
  return found == view.below.end() ? nullptr : &*found;
}

/// A lock on what is not there yet makes an empty file (RFC 4918 §7.3).
Task<Outcome<void>> check_creation(Dav* dav) {
  auto parent = co_await dav->all->files->stat(dav->actor, dav->space, Place::at(workspace::parent_path(dav->at.path)));
  if (!parent && is_missing(parent.error())) co_return workspace::refuse("dav.conflict", "the folder above does not exist; make it first");
  if (!parent) co_return std::unexpected(parent.error());
  if (parent->kind != workspace::NodeKind::Folder) co_return workspace::refuse("dav.conflict", "what is above is a file, not a folder");
  auto allowed = co_await check_locks(dav, dav->space, dav->at.path, Touches::Member);
  if (!allowed) co_return std::unexpected(allowed.error());
  co_return Outcome<void>{};
}

}  // namespace

std::string supported_lock() {
  constexpr std::string_view kType = "<D:locktype><D:write/></D:locktype></D:lockentry>";
  return "<D:lockentry><D:lockscope><D:exclusive/></D:lockscope>" + std::string(kType) + "<D:lockentry><D:lockscope><D:shared/></D:lockscope>" +
         std::string(kType);
}

std::string active_locks(const Dav& dav, std::string_view workspace, const std::vector<Lock>& locks) {
  std::string out;
  for (const Lock& lock : locks) {
    const std::int64_t seconds = std::max<std::int64_t>(0, (lock.expires - dav.app->clock->now()).count() / 1'000);
    out += "<D:activelock><D:locktype><D:write/></D:locktype><D:lockscope>";
    out += lock.mode == LockMode::Exclusive ? "<D:exclusive/>" : "<D:shared/>";
    out += "</D:lockscope><D:depth>" + std::string(lock.deep ? "infinity" : "0") + "</D:depth>" + owner_xml(lock);
    out += "<D:timeout>Second-" + std::to_string(seconds) + "</D:timeout>";
    const auto* known = dav.tokens->find(lock.id);
    if (known && lock.holder == dav.actor.id)
      out += "<D:locktoken><D:href>" + escape_xml(token_uri(known->token)) + "</D:href></D:locktoken>";
    out += "<D:lockroot><D:href>" + escape_xml(href_of(workspace, lock.path, false)) + "</D:href></D:lockroot></D:activelock>";
  }
  return out;
}

Task<Outcome<Reply>> do_lock(Dav* dav) {
  if (dav->call->request.body.empty()) co_return co_await refresh(dav);
  auto wanted = read_lockinfo(dav->call->request.body);
  if (!wanted) co_return std::unexpected(wanted.error());
  auto depth = read_depth(dav->headers(), Depth::Infinity);
  if (!depth) co_return std::unexpected(depth.error());
  if (*depth == Depth::One) co_return workspace::refuse("dav.invalid_depth", "a lock has the depth 0 or infinity");
  auto view = co_await look_at_locks(dav, dav->space, dav->at.path);
  if (!view) co_return std::unexpected(view.error());
  if (const Lock* other = conflict(*view, wanted->mode, *depth == Depth::Infinity))
    co_return error_answer(423, "no-conflicting-lock", "this is locked by " + other->holder_label + " until " + to_rfc3339(other->expires),
                           href_of(dav->at.workspace, other->path, false));
  auto node = co_await dav->all->files->stat(dav->actor, dav->space, Place::at(dav->at.path));
  if (!node && !is_missing(node.error())) co_return std::unexpected(node.error());
  if (!node)
    if (auto allowed = co_await check_creation(dav); !allowed) co_return std::unexpected(allowed.error());
  workspace::LockRequest request;
  request.at = Place::at(dav->at.path);
  request.mode = wanted->mode;
  request.ttl = read_timeout(dav->headers());
  request.deep = *depth == Depth::Infinity;
  request.create = !node;
  request.note = std::move(wanted->owner);
  auto grant = co_await dav->all->files->lock(dav->actor, dav->space, std::move(request));
  if (!grant) co_return std::unexpected(grant.error());
  remember(dav, grant->lock, grant->token);
  net::Response out = lock_answer(*dav, node ? 200 : 201, grant->lock);
  out.headers.add("Lock-Token", "<" + token_uri(grant->token) + ">");
  co_return out;
}

Task<Outcome<Reply>> do_unlock(Dav* dav) {
  std::string_view text = dav->headers().find("lock-token").value_or("");
  if (!text.starts_with('<') || !text.ends_with('>') || text.size() < 3)
    co_return workspace::refuse("dav.invalid", "the header Lock-Token must name the lock as <opaquelocktoken:…>");
  const std::string token = token_of_uri(text.substr(1, text.size() - 2));
  if (!token.empty()) dav->submitted = {token};
  auto view = co_await look_at_locks(dav, dav->space, dav->at.path);
  if (!view) co_return std::unexpected(view.error());
  const auto lock = std::ranges::find_if(view->covering, [&](const Lock& candidate) { return !token.empty() && token_for(*dav, candidate) == token; });
  if (lock == view->covering.end())
    co_return error_answer(409, "lock-token-matches-request-uri", "there is no lock with this token here; it may have expired or been released");
  auto released = co_await dav->all->files->unlock(dav->actor, dav->space, Place::of(lock->node), token);
  if (!released) co_return std::unexpected(released.error());
  dav->tokens->erase(lock->id);
  co_return net::Response{204, {}, {}};
}

}  // namespace mayfly::webdav
