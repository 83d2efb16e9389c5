#include <algorithm>

#include "base/hash.h"
#include "workspace/files/answers.h"
#include "workspace/files/files_service.h"
#include "workspace/paths.h"

/// Content and folders come into the tree here and nowhere else.
namespace mayfly::workspace {
namespace {

constexpr std::size_t kFoldersAtOnce = 8;
constexpr std::size_t kContentTypeBytesMax = 200;

Outcome<void> check_content(const Workspace& workspace, const Content& content) {
  if (auto ok = check_blob_hash(content.hash); !ok) return std::unexpected(Refusal(ok.error()));
  if (content.size < 0) return refuse("ws.invalid", "a size is not negative");
  if (content.content_type.size() > kContentTypeBytesMax || !is_utf8(content.content_type))
    return refuse("ws.invalid", "a content type has at most 200 bytes; leave it out to have it from the name");
  if (content.size > workspace.quota.file_bytes)
    return refuse(
        "ws.quota",
        "a file in this workspace has at most " + std::to_string(workspace.quota.file_bytes) + " bytes; split it, or ask for more",
        {{"quota", "file_bytes"}, {"limit", workspace.quota.file_bytes}, {"used", 0}, {"asked", content.size}});
  return {};
}

void put_version(Space& space, const Node& node, const Content& content) {
  const Rows rows = rows_of(space);
  FileVersion version{node.version,        node.etag, node.hash,   node.content_type, space.actor().id,
                      space.actor().label, node.size, space.now(), content.cause,     content.note};
  rows.rows->put(rows.row('v', node.id + "/" + keys::number(node.version)), row_text(version));
  if (!space.workspace().index) return;
  rows.rows->put(rows.row('i', node.id),
                 to_text(JsonObject{{"state", "pending"}, {"version", node.version}, {"updated", to_unix_ms(space.now())}}));
}

void fill(Space& space, Node* node, const Content& content) {
  ++node->version;
  node->hash = content.hash;
  node->size = content.size;
  node->content_type = content.content_type.empty() ? content_type_of(node->name) : content.content_type;
  node->etag = etag_of(node->id, node->version, node->hash);
  node->modified = space.now();
  node->modified_by = space.actor().id;
}

}  // namespace

/// The folders that are missing on the way. Answer: the id of the folder that the last name belongs in.
Task<Outcome<std::string>> FilesService::make_parents(Space* space, Spot spot, bool allowed) {
  const Rows rows = rows_of(*space);
  auto deepest = co_await read_node(rows, spot.id());
  if (!deepest) co_return std::unexpected(deepest.error());
  if (!*deepest) co_return std::unexpected(no_such(Place::at(spot.path)));
  const auto names = split_path(spot.path);
  (*deepest)->path = "/";
  for (std::size_t i = 0; i + spot.missing.size() < names.size(); ++i) (*deepest)->path = join_path((*deepest)->path, names[i]);
  if ((*deepest)->kind != NodeKind::Folder) co_return std::unexpected(wrong_kind(**deepest));
  if (spot.missing.size() > 1 && !allowed)
    co_return refuse("ws.not_found",
                     "the folder '" + parent_path(spot.path) + "' is not there; make it first, or ask for missing folders to be made");
  if (spot.missing.size() > kFoldersAtOnce + 1)
    co_return refuse("ws.too_large", "more than 8 folders are missing on the way; make them first");
  std::string parent = spot.id(), path = (*deepest)->path;
  for (std::size_t i = 0; i + 1 < spot.missing.size(); ++i) {
    if (auto charged = space->charge(0, 1, 0); !charged) co_return std::unexpected(charged.error());
    Node folder;
    folder.id = make_id("n_");
    folder.kind = NodeKind::Folder;
    folder.parent = parent;
    folder.name = spot.missing[i];
    folder.path = path = join_path(path, folder.name);
    folder.etag = etag_of(folder.id, 0, "");
    folder.created = folder.modified = space->now();
    folder.created_by = folder.modified_by = space->actor().id;
    tell(*space, &folder, "folder.created");
    put_node(rows, folder);
    put_entry(rows, folder);
    parent = folder.id;
  }
  co_return parent;
}

Task<Outcome<Written>> FilesService::put_in(Space& space, Place place, Content content, WriteOptions options) {
  if (auto ok = check_content(space.workspace(), content); !ok) co_return std::unexpected(ok.error());
  auto before = co_await answer_of(&space, "put", options.idempotency_key);
  if (!before) co_return std::unexpected(before.error());
  if (*before) co_return written_of(**before);
  auto written = co_await put_checked(&space, place, content, options);
  if (written) keep_answer(&space, "put", options.idempotency_key, to_record_of(*written));
  co_return written;
}

Task<Outcome<Written>> FilesService::put_checked(Space* space, Place place, Content content, WriteOptions options) {
  const Rows rows = rows_of(*space);
  auto spot = co_await resolve(rows, place);
  if (!spot) co_return std::unexpected(spot.error());
  if (!spot->exists()) {
    if (auto may = co_await guard(space, *spot, std::nullopt, options, Touch::Overwrite); !may) co_return std::unexpected(may.error());
    auto parent = co_await make_parents(space, *spot, options.make_folders);
    if (!parent) co_return std::unexpected(parent.error());
    spot->chain.push_back(*parent);
    co_return co_await create_content(space, *spot, content, options);
  }
  auto node = co_await node_at(rows, *spot);
  if (!node) co_return std::unexpected(node.error());
  if (node->kind == NodeKind::Folder) co_return std::unexpected(wrong_kind(*node));
  if (auto may = co_await guard(space, *spot, *node, options, Touch::Overwrite); !may) co_return std::unexpected(may.error());
  co_return co_await replace_content(space, *node, content, options);
}

/// In the folder whose id is the last of the spot's chain.
Task<Outcome<Written>> FilesService::create_content(Space* space, Spot spot, Content content, WriteOptions) {
  const Rows rows = rows_of(*space);
  if (auto charged = space->charge(content.size, 1, 1); !charged) co_return std::unexpected(charged.error());
  Written out;
  out.created = true;
  Node& node = out.node;
  node.id = make_id("n_");
  node.parent = spot.id();
  node.name = base_name(spot.path);
  node.path = spot.path;
  node.created = space->now();
  node.created_by = space->actor().id;
  fill(*space, &node, content);
  put_version(*space, node, content);
  out.event = tell(*space, &node, content.cause == "copy" ? "file.copied" : "file.created", {{"cause", content.cause}});
  put_node(rows, node);
  put_entry(rows, node);
  co_return out;
}

Task<Outcome<Written>> FilesService::replace_content(Space* space, Node node, Content content, WriteOptions options) {
  const Rows rows = rows_of(*space);
  Written out;
  const bool same_type = content.content_type.empty() || content.content_type == node.content_type;
  if (node.hash == content.hash && node.size == content.size && same_type) {
    out.node = std::move(node);
    out.unchanged = true;
    co_return out;
  }
  if (auto charged = space->charge(content.size, 0, 1); !charged) co_return std::unexpected(charged.error());
  if (content.content_type.empty()) content.content_type = node.content_type;
  fill(*space, &node, content);
  put_version(*space, node, content);
  if (!options.when.lock_token.empty()) {
    auto own = co_await find_token(rows, {node.id}, options.when.lock_token);
    if (!own) co_return std::unexpected(own.error());
    if (*own) {
      (*own)->etag = node.etag;
      put_lock(rows, **own);
    }
  }
  out.event = tell(*space, &node, "file.updated", {{"cause", content.cause}});
  put_node(rows, node);
  out.node = std::move(node);
  co_return out;
}

Task<Outcome<Written>> FilesService::put(Actor actor, std::string workspace, Place place, Content content, WriteOptions options) {
  if (place.node.empty() && options.make_folders && std::ranges::count(place.path, '/') > static_cast<std::ptrdiff_t>(kFoldersAtOnce)) {
    auto path = normal_path(place.path);
    if (!path) co_return std::unexpected(path.error());
    if (auto made = co_await make_folder(actor, workspace, parent_path(*path), true, {}); !made) co_return std::unexpected(made.error());
  }
  std::function<Task<Outcome<Written>>(Space&)> change = [this, place, content, options](Space& space) {
    return put_in(space, place, content, options);
  };
  auto written = co_await change_space<Written>(&spaces_, actor, workspace, Role::Editor, std::move(change));
  if (!written && written.error().code == "ws.conflict" && options.when.if_match)
    co_return std::unexpected(co_await with_diff(written.error(), actor, workspace, place, *options.when.if_match));
  co_return written;
}

Task<Outcome<Written>> FilesService::write(Actor actor, std::string workspace, Place place, std::string bytes, std::string content_type,
                                           WriteOptions options) {
  auto found = spaces_.find(actor, workspace, Role::Editor);
  if (!found) co_return std::unexpected(found.error());
  Content content;
  content.size = static_cast<std::int64_t>(bytes.size());
  content.content_type = std::move(content_type);
  if (content.size > found->quota.file_bytes) {
    content.hash = std::string(64, '0');
    co_return std::unexpected(check_content(*found, content).error());
  }
  auto hash = co_await blobs_.put(std::move(bytes));
  if (!hash) co_return std::unexpected(Refusal(hash.error()));
  content.hash = *hash;
  co_return co_await put(actor, workspace, place, content, options);
}

Task<Outcome<Node>> FilesService::folder_in(Space* space, std::string path, bool parents, WriteOptions options) {
  const Rows rows = rows_of(*space);
  auto spot = co_await resolve(rows, Place::at(path));
  if (!spot) co_return std::unexpected(spot.error());
  if (spot->exists()) {
    auto node = co_await node_at(rows, *spot);
    if (!node) co_return std::unexpected(node.error());
    if (node->kind != NodeKind::Folder || !parents || options.when.if_none_match) co_return std::unexpected(exists_already(*node));
    co_return node;
  }
  if (auto may = co_await guard(space, *spot, std::nullopt, options, Touch::Entry); !may) co_return std::unexpected(may.error());
  Spot below = *spot;
  below.path = join_path(below.path, "x");
  below.missing.push_back("x");
  if (!parents && spot->missing.size() > 1)
    co_return refuse("ws.not_found",
                     "the folder '" + parent_path(spot->path) + "' is not there; make it first, or ask for missing folders to be made");
  auto id = co_await make_parents(space, below, true);
  if (!id) co_return std::unexpected(id.error());
  co_return co_await find_node(rows, Place::of(*id));
}

Task<Outcome<Node>> FilesService::make_folder(Actor actor, std::string workspace, std::string path, bool parents, WriteOptions options) {
  auto normal = normal_path(path);
  if (!normal) co_return std::unexpected(normal.error());
  if (parents) {
    // So many that a commit holds them.
    const auto names = split_path(*normal);
    std::string part;
    for (std::size_t i = 0; i + 1 < names.size(); ++i) {
      part += "/" + names[i];
      if ((i + 1) % kFoldersAtOnce != 0) continue;
      std::function<Task<Outcome<Node>>(Space&)> change = [this, part](Space& space) { return folder_in(&space, part, true, {}); };
      auto made = co_await change_space<Node>(&spaces_, actor, workspace, Role::Editor, std::move(change));
      if (!made) co_return std::unexpected(made.error());
    }
  }
  std::function<Task<Outcome<Node>>(Space&)> change = [this, path = *normal, parents, options](Space& space) {
    return folder_in(&space, path, parents, options);
  };
  co_return co_await change_space<Node>(&spaces_, actor, workspace, Role::Editor, std::move(change));
}

}  // namespace mayfly::workspace
