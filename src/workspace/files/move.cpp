#include <algorithm>

#include "workspace/files/answers.h"
#include "workspace/files/files_service.h"
#include "workspace/paths.h"

/// Nodes change their places: moves, and the way to the trash.
namespace mayfly::workspace {
namespace {

std::unexpected<Refusal> not_the_root(std::string_view what) {
  return refuse("ws.invalid", "the root of a workspace cannot be " + std::string(what) + "; name something in it");
}

}  // namespace

/// The token where it counts: what is at another place may lie under other locks.
Task<Preconditions> FilesService::token_for(Rows rows, Spot spot, std::string token) {
  Preconditions out;
  if (token.empty()) co_return out;
  auto own = co_await find_token(rows, spot.chain, token);
  if (own && *own) out.lock_token = std::move(token);
  co_return out;
}

Task<Outcome<Node>> FilesService::to_trash(Space* space, Node node) {
  const Rows rows = rows_of(*space);
  auto held = co_await locks_of(rows, node.id);
  if (!held) co_return std::unexpected(held.error());
  for (const StoredLock& stored : *held) {
    erase_lock(rows, stored);
    forget_lock(space, stored);
  }
  erase_entry(rows, node);
  node.deleted = space->now();
  node.deleted_from = node.path;
  node.deleted_by = space->actor().id;
  rows.rows->put(rows.row('g', keys::number(static_cast<std::uint64_t>(to_unix_ms(space->now()))) + "/" + node.id), "trash");
  tell(*space, &node, node.kind == NodeKind::Folder ? "folder.deleted" : "file.deleted");
  put_node(rows, node);
  co_return node;
}

Task<Outcome<Node>> FilesService::remove_in(Space* space, Place place, WriteOptions options) {
  const Rows rows = rows_of(*space);
  auto before = co_await answer_of(space, "remove", options.idempotency_key);
  if (!before) co_return std::unexpected(before.error());
  if (*before) co_return node_of(**before);
  auto spot = co_await resolve(rows, place);
  if (!spot) co_return std::unexpected(spot.error());
  auto node = co_await node_at(rows, *spot);
  if (!node) co_return std::unexpected(node.error());
  if (node->id == "root") co_return not_the_root("deleted");
  if (auto may = co_await guard(space, *spot, *node, options, Touch::Entry); !may) co_return std::unexpected(may.error());
  if (node->kind == NodeKind::Folder)
    if (auto free = co_await guard_below(space, *spot); !free) co_return std::unexpected(free.error());
  auto out = co_await to_trash(space, *node);
  if (out) keep_answer(space, "remove", options.idempotency_key, to_record_of(*out));
  co_return out;
}

Task<Outcome<Node>> FilesService::remove(Actor actor, std::string workspace, Place place, WriteOptions options) {
  std::function<Task<Outcome<Node>>(Space&)> change = [this, place, options](Space& space) { return remove_in(&space, place, options); };
  auto done = co_await change_space<Node>(&spaces_, actor, workspace, Role::Editor, std::move(change));
  if (!done && done.error().code == "ws.conflict" && options.when.if_match)
    co_return std::unexpected(co_await with_diff(done.error(), actor, workspace, place, *options.when.if_match));
  co_return done;
}

/// Makes room at the target. Answer: the spot that is free now.
Task<Outcome<Spot>> FilesService::clear_target(Space* space, Spot from, std::string to, bool overwrite, std::string token) {
  const Rows rows = rows_of(*space);
  auto target = co_await resolve(rows, Place::at(to));
  if (!target) co_return std::unexpected(target.error());
  if (!target->exists()) {
    const Preconditions there = co_await token_for(rows, *target, token);
    if (auto free = co_await guard_locks(space, *target, std::nullopt, there, Touch::Entry); !free) co_return std::unexpected(free.error());
    co_return target;
  }
  auto node = co_await node_at(rows, *target);
  if (!node) co_return std::unexpected(node.error());
  if (std::ranges::find(from.chain, node->id) != from.chain.end())
    co_return refuse("ws.invalid", "a folder cannot be replaced by something in it; choose another path");
  if (!overwrite) co_return std::unexpected(exists_already(*node));
  const Preconditions there = co_await token_for(rows, *target, token);
  if (auto free = co_await guard_locks(space, *target, *node, there, Touch::Entry); !free) co_return std::unexpected(free.error());
  if (node->kind == NodeKind::Folder)
    if (auto free = co_await guard_below(space, *target); !free) co_return std::unexpected(free.error());
  if (auto gone = co_await to_trash(space, *node); !gone) co_return std::unexpected(gone.error());
  co_return co_await resolve(rows, Place::at(to));
}

Task<Outcome<Node>> FilesService::move_in(Space* space, Place from, std::string to, bool overwrite, WriteOptions options) {
  const Rows rows = rows_of(*space);
  auto before = co_await answer_of(space, "move", options.idempotency_key);
  if (!before) co_return std::unexpected(before.error());
  if (*before) co_return node_of(**before);
  auto spot = co_await resolve(rows, from);
  if (!spot) co_return std::unexpected(spot.error());
  auto node = co_await node_at(rows, *spot);
  if (!node) co_return std::unexpected(node.error());
  if (node->id == "root") co_return not_the_root("moved");
  auto wanted = co_await resolve(rows, Place::at(to));
  if (!wanted) co_return std::unexpected(wanted.error());
  if (wanted->path == node->path) co_return node;
  if (std::ranges::find(wanted->chain, node->id) != wanted->chain.end())
    co_return refuse("ws.invalid", "a folder cannot be moved into itself; choose a path outside of '" + node->path + "'");
  WriteOptions own = options;
  own.when.if_none_match = false;
  own.when.lock_token = (co_await token_for(rows, *spot, options.when.lock_token)).lock_token;
  // A token that is of no lock at either place is a lost one.
  if (own.when.lock_token.empty() && !options.when.lock_token.empty() &&
      (co_await token_for(rows, *wanted, options.when.lock_token)).lock_token.empty())
    co_return std::unexpected(lock_lost(node->fence, options.when.fence, "this lock has expired, was released or broken"));
  if (auto may = co_await guard(space, *spot, *node, own, Touch::Entry); !may) co_return std::unexpected(may.error());
  if (node->kind == NodeKind::Folder)
    if (auto free = co_await guard_below(space, *spot); !free) co_return std::unexpected(free.error());
  auto target = co_await clear_target(space, *spot, to, overwrite && !options.when.if_none_match, options.when.lock_token);
  if (!target) co_return std::unexpected(target.error());
  auto parent = co_await make_parents(space, *target, options.make_folders);
  if (!parent) co_return std::unexpected(parent.error());
  erase_entry(rows, *node);
  const std::string old_path = node->path;
  node->parent = *parent;
  node->name = base_name(target->path);
  node->path = target->path;
  tell(*space, &*node, "file.moved", {}, old_path);
  put_node(rows, *node);
  put_entry(rows, *node);
  keep_answer(space, "move", options.idempotency_key, to_record_of(*node));
  co_return node;
}

Task<Outcome<Node>> FilesService::move(Actor actor, std::string workspace, Place from, std::string to, bool overwrite,
                                       WriteOptions options) {
  std::function<Task<Outcome<Node>>(Space&)> change = [this, from, to, overwrite, options](Space& space) {
    return move_in(&space, from, to, overwrite, options);
  };
  co_return co_await change_space<Node>(&spaces_, std::move(actor), std::move(workspace), Role::Editor, std::move(change));
}

}  // namespace mayfly::workspace
