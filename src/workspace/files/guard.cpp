#include <algorithm>

#include "base/hash.h"
#include "workspace/files/files_service.h"
#include "workspace/paths.h"

/// What must hold for a change to land.
namespace mayfly::workspace {
namespace {

std::string path_of_part(const Spot& spot, std::size_t depth) {
  const auto names = split_path(spot.path);
  std::string out;
  for (std::size_t i = 0; i < depth && i < names.size(); ++i) out += "/" + names[i];
  return out.empty() ? "/" : out;
}

bool must_say_what_it_saw(const Space& space) {
  const ActorKind kind = space.actor().kind;
  switch (space.workspace().policy) {
    case WritePolicy::StrictForAll: return kind != ActorKind::System;
    case WritePolicy::StrictForAgents: return kind == ActorKind::Agent;
    default: return false;
  }
}

Refusal changed_meanwhile(const Node& node) {
  return {Error{"ws.conflict",
                "'" + node.path + "' was changed by " + node.modified_by + " meanwhile; read it again and write with its new etag",
                Retry::Never},
          {{"etag", node.etag}, {"version", node.version}, {"author", node.modified_by}, {"modified_at", to_rfc3339(node.modified)}}};
}

}  // namespace

Task<Outcome<void>> FilesService::guard(Space* space, Spot spot, std::optional<Node> node, WriteOptions options, Touch touch) {
  Preconditions when = std::move(options.when);
  // Within a run its own lock need not be shown: the run is who holds it.
  if (when.lock_token.empty() && !space->actor().run.empty()) {
    auto token = co_await token_of_run(space, spot);
    if (!token) co_return std::unexpected(token.error());
    when.lock_token = std::move(*token);
  }
  if (auto free = co_await guard_locks(space, spot, node, when, touch); !free) co_return std::unexpected(free.error());
  if (!node) {
    if (!when.if_match) co_return Outcome<void>{};
    co_return refuse("ws.conflict", "there is nothing at '" + spot.path + "' that the etag could be of; create it with if_none_match");
  }
  if (when.if_none_match) co_return std::unexpected(exists_already(*node));
  if (when.if_match && *when.if_match != "*" && *when.if_match != node->etag) co_return std::unexpected(changed_meanwhile(*node));
  const bool said = when.if_match || when.force || !when.lock_token.empty() || when.fence;
  if (touch == Touch::Overwrite && !said && must_say_what_it_saw(*space))
    co_return refuse(
        "ws.precondition_required",
        "'" + node->path +
            "' is there already; read it and give its etag as if_match (or if_none_match to only create, or force to overwrite knowingly)",
        {{"etag", node->etag}, {"version", node->version}});
  co_return Outcome<void>{};
}

/// Empty: the run of this actor has no lock there.
Task<Outcome<std::string>> FilesService::token_of_run(Space* space, Spot spot) {
  const Rows rows = rows_of(*space);
  for (const std::string& node : spot.chain) {
    auto held = co_await locks_of(rows, node);
    if (!held) co_return std::unexpected(held.error());
    for (const StoredLock& lock : *held)
      if (lock.lock.run == space->actor().run && lock.active(space->now())) co_return co_await token_of(rows, lock.lock.id);
  }
  co_return std::string();
}

Task<Outcome<void>> FilesService::guard_locks(Space* space, Spot spot, std::optional<Node> node, Preconditions when, Touch touch) {
  const Rows rows = rows_of(*space);
  const std::uint64_t fence = node ? node->fence : 0;
  std::vector<Held> groups;
  std::optional<StoredLock> own;
  for (std::size_t i = 0; i < spot.chain.size(); ++i) {
    auto held = co_await locks_of(rows, spot.chain[i]);
    if (!held) co_return std::unexpected(held.error());
    const bool is_target = node && i + 1 == spot.chain.size();
    const bool is_folder_of_it = !is_target && (node ? touch == Touch::Entry && i + 2 == spot.chain.size() : i + 1 == spot.chain.size());
    std::erase_if(
        *held, [&](const StoredLock& lock) { return !lock.active(space->now()) || (!is_target && !is_folder_of_it && !lock.lock.deep); });
    for (StoredLock& lock : *held) {
      lock.lock.path = path_of_part(spot, i);
      if (when.lock_token.empty()) continue;
      auto token = co_await token_of(rows, lock.lock.id);
      if (!token) co_return std::unexpected(token.error());
      if (equal_constant_time(*token, when.lock_token)) own = lock;
    }
    if (!held->empty()) groups.push_back(std::move(*held));
  }
  if (!when.lock_token.empty() && !own)
    co_return std::unexpected(lock_lost(fence, when.fence, "this lock has expired, was released or broken"));
  const bool fits =
      !when.fence || *when.fence == fence || (own && own->lock.fence == *when.fence && own->lock.node != (node ? node->id : ""));
  if (!fits) co_return std::unexpected(lock_lost(fence, when.fence, "somebody had a lock since this was begun"));
  for (const Held& held : groups) {
    // Who shows one of his locks may pass his others, too.
    const bool passes = own && std::ranges::any_of(held, [&](const StoredLock& lock) {
                          return lock.lock.id == own->lock.id || lock.lock.holder == own->lock.holder;
                        });
    if (!passes) co_return std::unexpected(locked_by(held.front(), space->now()));
  }
  co_return Outcome<void>{};
}

/// A folder that goes takes what is below with it: nobody else may have a lock there.
Task<Outcome<void>> FilesService::guard_below(Space* space, Spot spot) {
  const Rows rows = rows_of(*space);
  auto held = co_await all_locks(rows);
  if (!held) co_return std::unexpected(held.error());
  for (StoredLock& lock : *held) {
    if (!lock.active(space->now()) || lock.lock.holder == space->actor().id) continue;
    auto at = co_await resolve(rows, Place::of(lock.lock.node));
    if (!at && at.error().code == "ws.not_found") continue;
    if (!at) co_return std::unexpected(at.error());
    if (at->id() == spot.id() || std::ranges::find(at->chain, spot.id()) == at->chain.end()) continue;
    lock.lock.path = at->path;
    co_return std::unexpected(locked_by(lock, space->now()));
  }
  co_return Outcome<void>{};
}

}  // namespace mayfly::workspace
