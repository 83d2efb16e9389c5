#include <algorithm>

#include "workspace/bytes/link_token.h"
#include "workspace/sharing/sharing_service.h"

namespace mayfly::workspace {
namespace {

constexpr std::size_t kSharesMax = 1'000;
constexpr std::size_t kLabelBytesMax = 400;
constexpr std::size_t kPasswordBytesMax = 1'024;
constexpr int kWrongMax = 10;
constexpr Millis kWrongFor{10 * 60'000};
constexpr std::size_t kWrongKept = 10'000;

std::unexpected<Refusal> invalid(std::string message) { return refuse("ws.invalid", std::move(message)); }

bool is_open(const Share& share, TimePoint now) {
  return !share.revoked && (!share.expires || now < *share.expires) && (share.opens_max == 0 || share.opened < share.opens_max);
}

struct Creation {
  Place place;
  ShareRow row;
};

Task<Outcome<Json>> create_in(Space& space, Files* files, std::shared_ptr<Creation> creation) {
  auto node = co_await files->find_in(space, creation->place);
  if (!node) co_return std::unexpected(node.error());
  Share& share = creation->row.share;
  if (node->kind == NodeKind::File && share.kind != ShareKind::Download)
    co_return invalid("a file can be shared for download only; share its folder to receive uploads");
  auto all = co_await space.rows().scan(KeyRange::prefix(space.prefix('s')), kSharesMax);
  if (!all) co_return std::unexpected(Refusal(all.error()));
  if (all->size() >= kSharesMax)
    co_return refuse("ws.quota", "a workspace has at most 1000 share links; revoked and expired ones go after 30 days");
  share.node = node->id;
  share.path = node->path;
  share.created_by = space.actor().id;
  share.created = space.now();
  space.rows().put(space.row('s', share.id), to_text(to_record(creation->row)));
  FileEvent event;
  event.type = "share.created";
  event.node = node->id;
  event.path = node->path;
  event.data = {{"share", share.id}, {"kind", std::string(to_string(share.kind))}};
  space.emit(std::move(event));
  co_return Json(nullptr);
}

Task<Outcome<Json>> revoke_in(Space& space, std::shared_ptr<const std::string> id) {
  const std::string key = space.row('s', *id);
  auto record = co_await read_object(space.rows(), key);
  if (!record) co_return std::unexpected(record.error());
  if (!*record) co_return refuse("ws.not_found", "there is no such share link in this workspace; list them first");
  ShareRow row = share_from_record(*id, **record);
  if (row.share.revoked) co_return Json(nullptr);
  row.share.revoked = true;
  space.rows().put(key, to_text(to_record(row)));
  FileEvent event;
  event.type = "share.revoked";
  event.node = row.share.node;
  event.data = {{"share", *id}};
  space.emit(std::move(event));
  co_return Json(nullptr);
}

struct Opening {
  LinkToken token;
  std::string password;  ///< the stored one that was checked
  Share share;
  Node node;
};

Task<Outcome<Json>> open_in(Space& space, Files* files, std::shared_ptr<Opening> opening) {
  const std::string key = space.row('s', opening->token.id);
  auto record = co_await read_object(space.rows(), key);
  if (!record) co_return std::unexpected(record.error());
  if (!*record) co_return link_invalid();
  ShareRow row = share_from_record(opening->token.id, **record);
  // Once more: it was looked at before, outside this commit.
  if (!opening->token.fits(row.token_hash) || !is_open(row.share, space.now()) || row.password != opening->password)
    co_return link_invalid();
  auto node = co_await files->find_in(space, Place::of(row.share.node));
  if (!node) {
    if (node.error().code == "ws.not_found") co_return link_invalid();
    co_return std::unexpected(node.error());
  }
  if (node->deleted) co_return link_invalid();
  ++row.share.opened;
  row.share.path = node->path;
  space.rows().put(key, to_text(to_record(row)));
  FileEvent event;
  event.type = "share.accessed";
  event.node = node->id;
  event.path = node->path;
  event.data = {{"share", row.share.id}, {"opened", row.share.opened}};
  space.emit(std::move(event));
  opening->share = std::move(row.share);
  opening->node = *std::move(node);
  co_return Json(nullptr);
}

}  // namespace

Task<Outcome<NewShare>> SharingService::create_share(Actor actor, std::string workspace, Place place, Share wanted, std::string password) {
  auto found = spaces_.find(actor, workspace, Role::Editor);
  if (!found) co_return std::unexpected(found.error());
  if (wanted.label.size() > kLabelBytesMax || !is_utf8(wanted.label)) co_return invalid("a share's label is UTF-8 of at most 400 bytes");
  if (wanted.expires && *wanted.expires <= clock_.now()) co_return invalid("the link would have expired already; give a later time");
  if (wanted.opens_max < 0) co_return invalid("opens_max is 0 (any number) or more");
  if (password.size() > kPasswordBytesMax) co_return invalid("a password has at most 1024 bytes");
  const auto creation = std::make_shared<Creation>();
  creation->place = std::move(place);
  Share& share = creation->row.share;
  share = std::move(wanted);
  share.id = make_id("sh_");
  share.opened = 0;
  share.revoked = false;
  share.has_password = !password.empty();
  if (!password.empty()) {
    auto hashed = co_await passwords_.hash(std::move(password));
    if (!hashed) co_return std::unexpected(Refusal(hashed.error()));
    creation->row.password = *std::move(hashed);
  }
  const LinkToken token = make_link_token(found->id, share.id);
  creation->row.token_hash = token.hash();
  auto done = co_await spaces_.mutate(std::move(actor), found->id, Role::Editor,
                                      [creation, files = &files_](Space& space) { return create_in(space, files, creation); });
  if (!done) co_return std::unexpected(done.error());
  co_return NewShare{creation->row.share, token.text};
}

Task<Outcome<std::vector<Share>>> SharingService::shares(Actor actor, std::string workspace) {
  auto found = spaces_.find(actor, workspace, Role::Viewer);
  if (!found) co_return std::unexpected(found.error());
  const auto rows = spaces_.read();
  const std::string prefix = keys::prefix(spaces_.partition_of(found->id), found->id, 's');
  auto all = co_await rows->scan(KeyRange::prefix(prefix), kSharesMax);
  if (!all) co_return std::unexpected(Refusal(all.error()));
  std::vector<Share> out;
  for (const auto& [key, value] : *all) {
    auto record = parse_json(value);
    if (!record || !record->is_object()) continue;
    Share share = share_from_record(key.substr(prefix.size()), record->get_object()).share;
    // What is in the trash or purged has no path; its link opens nothing.
    if (auto node = co_await files_.stat(actor, found->id, Place::of(share.node))) share.path = node->path;
    out.push_back(std::move(share));
  }
  co_return out;
}

Task<Outcome<void>> SharingService::revoke_share(Actor actor, std::string workspace, std::string share) {
  const auto id = std::make_shared<const std::string>(std::move(share));
  auto done =
      co_await spaces_.mutate(std::move(actor), std::move(workspace), Role::Editor, [id](Space& space) { return revoke_in(space, id); });
  if (!done) co_return std::unexpected(done.error());
  co_return Outcome<void>{};
}

Task<Outcome<void>> SharingService::check_password(std::string share, std::string stored, std::string given) {
  if (stored.empty()) co_return Outcome<void>{};
  if (given.empty()) co_return refuse("link.password", "this link asks for a password");
  if (given.size() > kPasswordBytesMax) co_return refuse("link.password", "the password is not right");
  if (const auto found = wrong_.find(share); found != wrong_.end()) {
    if (clock_.now() - found->second.since >= kWrongFor)
      wrong_.erase(found);
    else if (found->second.count >= kWrongMax)
      co_return refuse("link.password", "too many wrong passwords; try again in ten minutes", {}, Retry::Safe);
  }
  // Counted before it is known: many at once are not many tries.
  if (wrong_.size() >= kWrongKept) wrong_.clear();
  Wrong& wrong = wrong_[share];
  if (wrong.count++ == 0) wrong.since = clock_.now();
  auto fits = co_await passwords_.fits(std::move(given), std::move(stored));
  if (!fits) co_return std::unexpected(Refusal(fits.error()));
  if (!*fits) co_return refuse("link.password", "the password is not right");
  wrong_.erase(share);
  co_return Outcome<void>{};
}

Task<Outcome<Sharing::Opened>> SharingService::open_share(std::string token, std::string password) {
  const auto parsed = parse_link_token(token);
  if (!parsed) co_return link_invalid();
  const Workspace* there = spaces_.by_id(parsed->workspace);
  if (!there) co_return link_invalid();
  const Workspace workspace = *there;
  const auto rows = spaces_.read();
  auto record = co_await read_object(*rows, keys::row(spaces_.partition_of(workspace.id), workspace.id, 's', parsed->id));
  if (!record) co_return std::unexpected(record.error());
  if (!*record) co_return link_invalid();
  const ShareRow row = share_from_record(parsed->id, **record);
  if (!parsed->fits(row.token_hash) || !is_open(row.share, clock_.now())) co_return link_invalid();
  if (auto right = co_await check_password(row.share.id, row.password, std::move(password)); !right)
    co_return std::unexpected(right.error());
  Actor guest = system_actor(workspace);
  guest.administrator = false;
  guest.id = "link:" + row.share.id;
  guest.label = row.share.label.empty() ? "share link" : row.share.label.substr(0, 100);
  guest.kind = ActorKind::Person;
  guest.only_workspace = workspace.id;
  guest.role_max = row.share.kind == ShareKind::Download ? Role::Viewer : Role::Editor;
  const auto opening = std::make_shared<Opening>();
  opening->token = *parsed;
  opening->password = row.password;
  auto done = co_await spaces_.mutate(guest, workspace.id, Role::Viewer,
                                      [opening, files = &files_](Space& space) { return open_in(space, files, opening); });
  if (!done) {
    if (done.error().code == "ws.not_found" || done.error().code == "ws.forbidden") co_return link_invalid();
    co_return std::unexpected(done.error());
  }
  co_return Opened{std::move(guest), workspace.id, std::move(opening->share), std::move(opening->node)};
}

}  // namespace mayfly::workspace
