#include <algorithm>

#include "workspace/files/answers.h"
#include "workspace/files/files_service.h"
#include "workspace/paths.h"

/// What was deleted: it can come back until it is purged.
namespace mayfly::workspace {
namespace {

constexpr std::string_view kPurging = "purging";
constexpr std::size_t kRowsAtOnce = 45;

std::string trash_row(const Rows& rows, const Node& node) {
  return rows.row('g', keys::number(static_cast<std::uint64_t>(to_unix_ms(*node.deleted))) + "/" + node.id);
}

std::unexpected<Refusal> not_in_trash(const std::string& node) {
  return refuse("ws.not_found", "there is no '" + node.substr(0, 100) + "' in the trash; list the trash for what can be restored");
}

}  // namespace

Task<Outcome<NodePage>> FilesService::trash(Actor actor, std::string workspace, std::size_t limit, std::string after) {
  auto seen = view(actor, workspace);
  if (!seen) co_return std::unexpected(seen.error());
  limit = std::clamp<std::size_t>(limit, 1, 1'000);
  const std::string prefix = seen->rows.prefix('g');
  KeyRange range = KeyRange::prefix(prefix);
  if (!after.empty()) range.end = prefix + after;
  auto found = co_await seen->rows.rows->scan(range, limit, Direction::Backward);
  if (!found) co_return std::unexpected(Refusal(found.error()));
  NodePage page;
  for (const auto& [key, text] : *found) {
    if (text == kPurging) continue;
    auto node = co_await read_node(seen->rows, key.substr(key.rfind('/') + 1));
    if (!node) co_return std::unexpected(node.error());
    if (!*node) continue;
    (*node)->path = (*node)->deleted_from;
    page.nodes.push_back(std::move(**node));
  }
  if (found->size() == limit) page.next = found->back().first.substr(prefix.size());
  co_return page;
}

Task<Outcome<Node>> FilesService::restore_in(Space* space, std::string id, std::string to, WriteOptions options) {
  const Rows rows = rows_of(*space);
  auto before = co_await answer_of(space, "restore", options.idempotency_key);
  if (!before) co_return std::unexpected(before.error());
  if (*before) co_return node_of(**before);
  auto found = co_await read_node(rows, id);
  if (!found) co_return std::unexpected(found.error());
  if (!*found || !(*found)->deleted) co_return not_in_trash(id);
  Node node = std::move(**found);
  auto row = co_await rows.rows->get(trash_row(rows, node));
  if (!row) co_return std::unexpected(Refusal(row.error()));
  if (!*row || **row == kPurging) co_return not_in_trash(id);
  auto spot = co_await resolve(rows, Place::at(to.empty() ? node.deleted_from : to));
  if (!spot) co_return std::unexpected(spot.error());
  if (spot->exists()) {
    auto there = co_await node_at(rows, *spot);
    if (!there) co_return std::unexpected(there.error());
    co_return std::unexpected(exists_already(*there));
  }
  if (options.when.if_match && *options.when.if_match != "*" && *options.when.if_match != node.etag)
    co_return refuse("ws.conflict", "what is in the trash has another etag; list the trash again",
                     {{"etag", node.etag}, {"version", node.version}});
  if (options.when.fence && *options.when.fence != node.fence)
    co_return std::unexpected(lock_lost(node.fence, options.when.fence, "somebody had a lock since this was begun"));
  Preconditions when;
  when.lock_token = options.when.lock_token;
  if (auto free = co_await guard_locks(space, *spot, std::nullopt, when, Touch::Entry); !free) co_return std::unexpected(free.error());
  auto parent = co_await make_parents(space, *spot, true);
  if (!parent) co_return std::unexpected(parent.error());
  rows.rows->erase(trash_row(rows, node));
  const std::string from = std::exchange(node.deleted_from, {});
  node.parent = *parent;
  node.name = base_name(spot->path);
  node.path = spot->path;
  node.deleted.reset();
  node.deleted_by.clear();
  tell(*space, &node, "file.restored", {}, from);
  put_node(rows, node);
  put_entry(rows, node);
  if (node.kind == NodeKind::File && space->workspace().index)
    rows.rows->put(rows.row('i', node.id),
                   to_text(JsonObject{{"state", "pending"}, {"version", node.version}, {"updated", to_unix_ms(space->now())}}));
  keep_answer(space, "restore", options.idempotency_key, to_record_of(node));
  co_return node;
}

Task<Outcome<Node>> FilesService::restore(Actor actor, std::string workspace, std::string node, std::string to, WriteOptions options) {
  std::function<Task<Outcome<Node>>(Space&)> change = [this, node, to, options](Space& space) {
    return restore_in(&space, node, to, options);
  };
  co_return co_await change_space<Node>(&spaces_, std::move(actor), std::move(workspace), Role::Editor, std::move(change));
}

/// Takes rows away from the leaves on, as many as a commit holds; the node itself goes last. From the first step on it cannot be restored.
Task<Outcome<FilesService::PurgeStep>> FilesService::purge_step(Space* space, std::string id) {
  const Rows rows = rows_of(*space);
  auto top = co_await read_node(rows, id);
  if (!top) co_return std::unexpected(top.error());
  if (!*top || !(*top)->deleted) co_return not_in_trash(id);
  rows.rows->put(trash_row(rows, **top), std::string(kPurging));
  PurgeStep out;
  std::int64_t bytes = 0;
  std::size_t left = kRowsAtOnce;
  while (left > 4 && !out.done) {
    Node node = **top;
    while (node.kind == NodeKind::Folder) {
      auto first = co_await entries(rows, node.id, "", 1);
      if (!first) co_return std::unexpected(first.error());
      if (first->empty()) break;
      auto child = co_await read_node(rows, first->front().id);
      if (!child) co_return std::unexpected(child.error());
      if (!*child) co_return refuse("store.damaged", "a folder in the trash names a node that is not there: restore a backup");
      node = std::move(**child);
    }
    bool whole = true;
    for (const char kind : {'v', 'm', 'k'}) {
      auto found = co_await rows.rows->scan(KeyRange::prefix(rows.prefix(kind, node.id)), left + 1);
      if (!found) co_return std::unexpected(Refusal(found.error()));
      for (const auto& [key, text] : *found) {
        if (left <= 4) {
          whole = false;
          break;
        }
        --left;
        rows.rows->erase(key);
        if (kind != 'v') continue;
        if (auto version = row_as<FileVersion>(key, text)) bytes += version->size;
      }
    }
    if (!whole) break;
    rows.rows->erase(rows.row('n', node.id));
    rows.rows->erase(rows.row('i', node.id));
    left -= std::min<std::size_t>(left, 3);
    ++out.nodes;
    if (node.id != id) {
      erase_entry(rows, node);
      continue;
    }
    rows.rows->erase(trash_row(rows, node));
    node.path = node.deleted_from;
    tell(*space, &node, "file.purged");
    out.done = true;
  }
  if (auto charged = space->charge(-bytes, -out.nodes, 0); !charged) co_return std::unexpected(charged.error());
  co_return out;
}

Task<Outcome<std::int64_t>> FilesService::purge_one(Actor actor, std::string workspace, std::string node, Role needed) {
  std::int64_t count = 0;
  for (;;) {
    std::function<Task<Outcome<PurgeStep>>(Space&)> change = [this, node](Space& space) { return purge_step(&space, node); };
    auto step = co_await change_space<PurgeStep>(&spaces_, actor, workspace, needed, std::move(change));
    if (!step) co_return std::unexpected(step.error());
    count += step->nodes;
    if (step->done) co_return count;
  }
}

Task<Outcome<std::int64_t>> FilesService::purge(Actor actor, std::string workspace, std::string node) {
  if (!node.empty()) co_return co_await purge_one(std::move(actor), std::move(workspace), std::move(node), Role::Editor);
  if (auto may = spaces_.find(actor, workspace, Role::Editor); !may) co_return std::unexpected(may.error());
  std::int64_t count = 0;
  std::string after;
  do {
    auto page = co_await trash(actor, workspace, 1'000, after);
    if (!page) co_return std::unexpected(page.error());
    for (const Node& each : page->nodes) {
      auto done = co_await purge_one(actor, workspace, each.id, Role::Editor);
      if (!done && done.error().code == "ws.not_found") continue;  // somebody else was faster
      if (!done) co_return std::unexpected(done.error());
      count += *done;
    }
    after = page->next;
  } while (!after.empty());
  co_return count;
}

/// What a crash left half purged.
Task<Result<void>> FilesService::purge_on(std::string workspace, Actor system) {
  KeyRange range = KeyRange::prefix(keys::prefix(spaces_.partition_of(workspace), workspace, 'g'));
  for (;;) {
    auto found = co_await spaces_.dependencies().store->scan(range, 1'000, Direction::Forward);
    if (!found) co_return std::unexpected(found.error());
    for (const Record& row : *found) {
      if (row.value != kPurging || stopping_.cancelled()) continue;
      auto done = co_await purge_one(system, workspace, row.key.substr(row.key.rfind('/') + 1), Role::Viewer);
      if (!done && done.error().code != "ws.not_found") co_return fail(Error(done.error()));
    }
    if (found->size() < 1'000) co_return Result<void>{};
    range.begin = found->back().key + '\0';
  }
}

}  // namespace mayfly::workspace
