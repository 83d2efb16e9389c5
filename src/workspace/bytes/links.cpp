#include <algorithm>

#include "workspace/bytes/bytes_service.h"
#include "workspace/bytes/link_token.h"

namespace mayfly::workspace {
namespace {

constexpr Millis kLifetimeMin{1'000};
constexpr Millis kLifetimeMax{7LL * 86'400'000};
constexpr std::size_t kLinksMax = 5'000;

/// The maker, for this alone. A run's own appointment stays what it was; it is not made by limiting it.
Actor limited(Actor actor, const std::string& workspace, Role role) {
  if (!actor.only_workspace) actor.run.clear();
  actor.only_workspace = workspace;
  actor.role_max = std::min(actor.role_max, role);
  return actor;
}

struct Creation {
  std::string id;
  Place place;  ///< of a download
  LinkRow row;
};

Task<Outcome<Json>> create_in(Space& space, Files* files, std::shared_ptr<Creation> creation) {
  LinkRow& row = creation->row;
  auto all = co_await space.rows().scan(KeyRange::prefix(space.prefix('l')), kLinksMax);
  if (!all) co_return std::unexpected(Refusal(all.error()));
  if (all->size() >= kLinksMax) co_return refuse("ws.quota", "5000 links of this workspace have not expired yet; make them shorter-lived");
  auto node = co_await files->find_in(space, creation->place);
  if (!node && (!row.upload || node.error().code != "ws.not_found")) co_return std::unexpected(node.error());
  if (node && node->kind == NodeKind::Folder) co_return refuse("ws.is_folder", "a link leads to a file; share the folder instead");
  if (row.upload) {
    if (!row.request.options.when.fence && node) row.request.options.when.fence = node->fence;
  } else {
    row.node = node->id;
  }
  space.rows().put(space.row('l', creation->id), to_text(to_record(row)));
  co_return Json(nullptr);
}

struct Following {
  LinkToken token;
  bool upload = false;
  LinkRow row;
};

Task<Outcome<Json>> follow_in(Space& space, Spaces* spaces, Files* files, std::shared_ptr<Following> following) {
  const std::string key = space.row('l', following->token.id);
  auto record = co_await read_object(space.rows(), key);
  if (!record) co_return std::unexpected(record.error());
  if (!*record) co_return link_invalid();
  LinkRow row = link_from_record(**record);
  if (!following->token.fits(row.token_hash) || space.now() >= row.expires || row.upload != following->upload) co_return link_invalid();
  // Whoever made it must still be allowed to do this.
  if (!spaces->find(row.maker, space.workspace().id, row.upload ? Role::Editor : Role::Viewer)) co_return link_invalid();
  if (!row.upload) {
    auto node = co_await files->find_in(space, Place::of(row.node));
    if (!node) {
      if (node.error().code == "ws.not_found") co_return link_invalid();
      co_return std::unexpected(node.error());
    }
    if (node->deleted) co_return link_invalid();
  }
  if (row.single_use) space.rows().erase(key);
  following->row = std::move(row);
  co_return Json(nullptr);
}

}  // namespace

Task<Outcome<SignedLink>> BytesService::download_link(Actor actor, std::string workspace, Place place, std::uint64_t version,
                                                      Millis lifetime, bool single_use) {
  auto found = spaces_.find(actor, workspace, Role::Viewer);
  if (!found) co_return std::unexpected(found.error());
  // Also checks that the version is there.
  auto opened = co_await files_.open(actor, found->id, place, version);
  if (!opened) co_return std::unexpected(opened.error());
  const auto creation = std::make_shared<Creation>();
  creation->id = make_id("");
  creation->place = Place::of(opened->first.id);
  creation->row.single_use = single_use;
  creation->row.version = version;
  creation->row.expires = clock_.now() + std::clamp(lifetime, kLifetimeMin, kLifetimeMax);
  creation->row.maker = limited(actor, found->id, Role::Viewer);
  const LinkToken token = make_link_token(found->id, creation->id);
  creation->row.token_hash = token.hash();
  auto done = co_await spaces_.mutate(std::move(actor), found->id, Role::Viewer,
                                      [creation, files = &files_](Space& space) { return create_in(space, files, creation); });
  if (!done) co_return std::unexpected(done.error());
  co_return SignedLink{token.text, "/dl/" + token.text, creation->row.expires, single_use};
}

Task<Outcome<SignedLink>> BytesService::upload_link(Actor actor, std::string workspace, UploadRequest request) {
  auto found = spaces_.find(actor, workspace, Role::Editor);
  if (!found) co_return std::unexpected(found.error());
  if (auto valid = co_await check_target(actor, found->id, &request); !valid) co_return std::unexpected(valid.error());
  const auto creation = std::make_shared<Creation>();
  creation->id = make_id("");
  creation->place = Place::at(request.path);
  creation->row.upload = true;
  creation->row.expires = clock_.now() + std::clamp(request.lifetime, kLifetimeMin, kLifetimeMax);
  creation->row.maker = limited(actor, found->id, Role::Editor);
  creation->row.request = std::move(request);
  const LinkToken token = make_link_token(found->id, creation->id);
  creation->row.token_hash = token.hash();
  auto done = co_await spaces_.mutate(std::move(actor), found->id, Role::Editor,
                                      [creation, files = &files_](Space& space) { return create_in(space, files, creation); });
  if (!done) co_return std::unexpected(done.error());
  co_return SignedLink{token.text, "/ul/" + token.text, creation->row.expires, true};
}

Task<Outcome<Bytes::LinkTarget>> BytesService::follow(std::string token, bool upload) {
  const auto parsed = parse_link_token(token);
  if (!parsed) co_return link_invalid();
  const Workspace* workspace = spaces_.by_id(parsed->workspace);
  if (!workspace) co_return link_invalid();
  const Actor actor = system_actor(*workspace);
  const std::string id = workspace->id;
  const auto following = std::make_shared<Following>();
  following->token = *parsed;
  following->upload = upload;
  auto done = co_await spaces_.mutate(actor, id, Role::Viewer,
                                      [this, following](Space& space) { return follow_in(space, &spaces_, &files_, following); });
  if (!done) {
    if (done.error().code == "ws.not_found") co_return link_invalid();
    co_return std::unexpected(done.error());
  }
  LinkTarget out;
  out.actor = following->row.maker;
  out.workspace = id;
  out.upload = following->row.request;
  if (upload) co_return out;
  auto opened = co_await files_.open(out.actor, id, Place::of(following->row.node), following->row.version);
  if (!opened) {
    if (opened.error().code == "ws.not_found") co_return link_invalid();
    co_return std::unexpected(opened.error());
  }
  out.node = std::move(opened->first);
  out.version = std::move(opened->second);
  co_return out;
}

}  // namespace mayfly::workspace
