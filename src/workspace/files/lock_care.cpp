#include <algorithm>

#include "base/log.h"
#include "workspace/files/files_service.h"

/// Locks while they last and when they end: release, break, expiry, the locks of runs.
namespace mayfly::workspace {
namespace {

constexpr std::size_t kToldOneByOne = 12, kBrokenAtOnceMax = 40;
constexpr Millis kTryAgain{1'000};

Actor system_of(const Workspace& workspace) {
  Actor out;
  out.id = "system";
  out.label = "Mayfly";
  out.kind = ActorKind::System;
  out.organisation = workspace.organisation;
  return out;
}

std::string timer_key(const std::string& workspace, const std::string& lock) { return workspace + "/" + lock; }

JsonObject lock_data(const StoredLock& stored, const std::string& reason) {
  JsonObject out{
      {"lock", stored.lock.id}, {"holder", stored.lock.holder}, {"mode", stored.lock.mode == LockMode::Shared ? "shared" : "exclusive"}};
  if (!reason.empty()) out["reason"] = reason.substr(0, 500);
  return out;
}

}  // namespace

void FilesService::note_lock(Space* space, const StoredLock& stored) {
  space->after_commit([this, workspace = space->workspace().id, stored] {
    if (!stored.lock.run.empty()) runs_[stored.lock.run].emplace(workspace, stored.lock.node + "/" + stored.lock.id);
    arm(workspace, stored);
  });
}

void FilesService::forget_lock(Space* space, const StoredLock& stored) {
  space->after_commit([this, workspace = space->workspace().id, stored] {
    timers_.erase(timer_key(workspace, stored.lock.id));
    if (const auto run = runs_.find(stored.lock.run); run != runs_.end()) {
      run->second.erase({workspace, stored.lock.node + "/" + stored.lock.id});
      if (run->second.empty()) runs_.erase(run);
    }
    wake(workspace, stored.lock.node);
  });
}

void FilesService::arm(const std::string& workspace, const StoredLock& stored) {
  if (stopping_.cancelled()) return;
  const TimePoint at = stored.lapsed ? stored.lock.expires + kRenewableAfterExpiry : stored.lock.expires;
  const Millis delay = std::max<Millis>(at - clock_.now(), Millis{1});
  timers_[timer_key(workspace, stored.lock.id)] = clock_.call_after(
      delay, [this, workspace, node = stored.lock.node, id = stored.lock.id] { tasks_.spawn(expire(workspace, node, id)); });
}

Task<> FilesService::expire(std::string workspace, std::string node, std::string lock) {
  while (!stopping_.cancelled()) {
    const Workspace* there = spaces_.by_id(workspace);
    if (!there) co_return;
    Spaces::Change change = [this, node, lock](Space& space) { return expire_in(&space, node, lock); };
    auto done = co_await spaces_.mutate(system_of(*there), workspace, Role::Viewer, std::move(change));
    if (done) co_return;
    log::debug("a lock's expiry could not be stored yet", {{"workspace", workspace}, {"error", done.error().message}});
    if (!co_await sleep_for(clock_, kTryAgain, stopping_.token())) co_return;
  }
}

Task<Outcome<Json>> FilesService::expire_in(Space* space, std::string node_id, std::string id) {
  const Rows rows = rows_of(*space);
  auto held = co_await locks_of(rows, node_id);
  if (!held) co_return std::unexpected(held.error());
  const auto found = std::ranges::find_if(*held, [&](const StoredLock& one) { return one.lock.id == id; });
  if (found == held->end()) co_return Json();
  if (found->active(space->now())) {
    note_lock(space, *found);
    co_return Json();
  }
  if (found->lapsed) {
    if (space->now() >= found->lock.expires + kRenewableAfterExpiry) {
      erase_lock(rows, *found);
      forget_lock(space, *found);
    }
    co_return Json();
  }
  found->lapsed = true;
  put_lock(rows, *found);
  auto node = co_await read_node(rows, node_id);
  if (!node) co_return std::unexpected(node.error());
  if (*node) {
    if (auto at = co_await resolve(rows, Place::of(node_id))) (*node)->path = at->path;
    tell(*space, &**node, "lock.expired", lock_data(*found, ""));
    put_node(rows, **node);
  }
  space->after_commit([this, workspace = space->workspace().id, stored = *found] {
    if (const auto run = runs_.find(stored.lock.run); run != runs_.end()) {
      run->second.erase({workspace, stored.lock.node + "/" + stored.lock.id});
      if (run->second.empty()) runs_.erase(run);
    }
    arm(workspace, stored);
    wake(workspace, stored.lock.node);
  });
  co_return Json();
}

/// Takes a lock away and tells it when it still counted. The node's fence moves when it was broken.
Task<Outcome<void>> FilesService::end_lock(Space* space, StoredLock stored, std::string event, std::string reason) {
  const Rows rows = rows_of(*space);
  erase_lock(rows, stored);
  forget_lock(space, stored);
  if (stored.lapsed) co_return Outcome<void>{};
  auto node = co_await read_node(rows, stored.lock.node);
  if (!node) co_return std::unexpected(node.error());
  if (!*node) co_return Outcome<void>{};
  if (auto at = co_await resolve(rows, Place::of(stored.lock.node))) (*node)->path = at->path;
  if (event == "lock.broken") ++(*node)->fence;
  if (!event.empty()) tell(*space, &**node, event, lock_data(stored, reason));
  put_node(rows, **node);
  co_return Outcome<void>{};
}

Task<Outcome<Json>> FilesService::unlock_in(Space* space, Place place, std::string token) {
  const Rows rows = rows_of(*space);
  auto spot = co_await resolve(rows, place);
  if (!spot && spot.error().code == "ws.not_found") co_return Json();
  if (!spot) co_return std::unexpected(spot.error());
  auto found = co_await find_token(rows, spot->chain, token);
  if (!found) co_return std::unexpected(found.error());
  if (*found)
    if (auto ended = co_await end_lock(space, **found, "lock.released", ""); !ended) co_return std::unexpected(ended.error());
  co_return Json();
}

Task<Outcome<void>> FilesService::unlock(Actor actor, std::string workspace, Place place, std::string token) {
  Spaces::Change change = [this, place, token](Space& space) { return unlock_in(&space, place, token); };
  auto done = co_await spaces_.mutate(std::move(actor), std::move(workspace), Role::Editor, std::move(change));
  if (!done) co_return std::unexpected(done.error());
  co_return Outcome<void>{};
}

Task<Outcome<Json>> FilesService::break_in(Space* space, Place place, std::string reason) {
  const Rows rows = rows_of(*space);
  auto node = co_await find_node(rows, place);
  if (!node) co_return std::unexpected(node.error());
  auto held = co_await locks_of(rows, node->id);
  if (!held) co_return std::unexpected(held.error());
  std::size_t broken = 0;
  for (const StoredLock& stored : *held) {
    if (++broken > kToldOneByOne) break;
    if (auto ended = co_await end_lock(space, stored, "lock.broken", reason); !ended) co_return std::unexpected(ended.error());
  }
  co_return Json(held->size() > kToldOneByOne);
}

Task<Outcome<void>> FilesService::break_lock(Actor actor, std::string workspace, Place place, std::string reason) {
  for (int round = 0; round < 10; ++round) {
    Spaces::Change change = [this, place, reason](Space& space) { return break_in(&space, place, reason); };
    auto more = co_await spaces_.mutate(actor, workspace, Role::Owner, std::move(change));
    if (!more) co_return std::unexpected(more.error());
    if (!more->is_bool() || !more->get_bool()) break;
  }
  co_return Outcome<void>{};
}

Task<Outcome<void>> FilesService::break_all_in(Space& space, std::string reason) {
  auto held = co_await all_locks(rows_of(space));
  if (!held) co_return std::unexpected(held.error());
  if (held->size() > kBrokenAtOnceMax)
    co_return refuse("ws.too_large", "more than 40 locks are held in this workspace; break some of them first");
  const bool one_by_one = held->size() <= kToldOneByOne;
  for (const StoredLock& stored : *held) {
    const Rows rows = rows_of(space);
    if (one_by_one) {
      if (auto ended = co_await end_lock(&space, stored, "lock.broken", reason); !ended) co_return std::unexpected(ended.error());
      continue;
    }
    auto node = co_await read_node(rows, stored.lock.node);
    if (!node) co_return std::unexpected(node.error());
    if (*node) ++(*node)->fence, put_node(rows, **node);
    erase_lock(rows, stored);
    forget_lock(&space, stored);
  }
  if (!one_by_one) {
    FileEvent event;
    event.type = "lock.broken";
    event.data = {{"locks", held->size()}, {"reason", reason.substr(0, 500)}};
    space.emit(std::move(event));
  }
  co_return Outcome<void>{};
}

Task<Outcome<Files::LockStatus>> FilesService::locks(Actor actor, std::string workspace, Place place) {
  auto seen = view(actor, workspace);
  if (!seen) co_return std::unexpected(seen.error());
  auto spot = co_await resolve(seen->rows, place);
  if (!spot) co_return std::unexpected(spot.error());
  auto node = co_await node_at(seen->rows, *spot);
  if (!node) co_return std::unexpected(node.error());
  LockStatus out;
  out.fence = node->fence;
  auto held = co_await all_locks(seen->rows);
  if (!held) co_return std::unexpected(held.error());
  for (StoredLock& stored : *held) {
    if (!stored.active(clock_.now())) continue;
    const bool here = stored.lock.node == node->id;
    const bool above = !here && stored.lock.deep && std::ranges::find(spot->chain, stored.lock.node) != spot->chain.end();
    if (!here && !above && node->kind != NodeKind::Folder) continue;
    auto at = co_await resolve(seen->rows, Place::of(stored.lock.node));
    if (!at) continue;
    const bool below = std::ranges::find(at->chain, node->id) != at->chain.end();
    if (!here && !above && !below) continue;
    stored.lock.path = at->path;
    out.locks.push_back(std::move(stored.lock));
  }
  if (const auto line = waiters_.find(seen->workspace.id); line != waiters_.end())
    out.waiting =
        static_cast<std::size_t>(std::ranges::count_if(line->second, [&](const auto& waiter) { return waiter->node == node->id; }));
  co_return out;
}

void FilesService::leave(const std::string& workspace, const std::shared_ptr<Waiter>& waiter) {
  const auto line = waiters_.find(workspace);
  if (line == waiters_.end()) return;
  std::erase(line->second, waiter);
  if (line->second.empty())
    waiters_.erase(line);
  else
    wake(workspace, waiter->node);
}

/// The first in the line of this node, and of those that it keeps waiting; with a first that shares all next that share.
void FilesService::wake(const std::string& workspace, const std::string& node) {
  const auto line = waiters_.find(workspace);
  if (line == waiters_.end()) return;
  std::map<std::string, LockMode> first;
  std::vector<std::shared_ptr<Waiter>> called;
  for (const auto& waiter : line->second) {
    if (!waiter->node.empty() && waiter->node != node && waiter->blocked_on != node) continue;
    const auto [at, is_first] = first.emplace(waiter->node, waiter->mode);
    if (!is_first && !waiter->node.empty() && (at->second == LockMode::Exclusive || waiter->mode == LockMode::Exclusive)) {
      at->second = LockMode::Exclusive;
      continue;
    }
    called.push_back(waiter);
  }
  for (const auto& waiter : called) waiter->call(true);
}

std::set<std::string> FilesService::runs_with_locks() const {
  std::set<std::string> out;
  for (const auto& [run, locks] : runs_) out.insert(run);
  return out;
}

Task<Outcome<Json>> FilesService::extend_in(Space* space, std::string node, std::string id) {
  auto held = co_await locks_of(rows_of(*space), node);
  if (!held) co_return std::unexpected(held.error());
  for (StoredLock& stored : *held) {
    if (stored.lock.id != id || !stored.active(space->now())) continue;
    stored.lock.expires = space->now() + Millis{stored.ttl_ms};
    put_lock(rows_of(*space), stored);
    note_lock(space, stored);
  }
  co_return Json();
}

Task<Outcome<Json>> FilesService::end_in(Space* space, std::string node, std::string id) {
  auto held = co_await locks_of(rows_of(*space), node);
  if (!held) co_return std::unexpected(held.error());
  for (const StoredLock& stored : *held)
    if (stored.lock.id == id)
      if (auto ended = co_await end_lock(space, stored, "lock.released", "its run has ended"); !ended)
        co_return std::unexpected(ended.error());
  co_return Json();
}

Task<Outcome<void>> FilesService::renew_run(std::string run) {
  const auto found = runs_.find(run);
  if (found == runs_.end()) co_return Outcome<void>{};
  const auto locks = found->second;
  for (const auto& [workspace, name] : locks) {
    const Workspace* there = spaces_.by_id(workspace);
    if (!there) continue;
    const std::size_t slash = name.find('/');
    Spaces::Change change = [this, node = name.substr(0, slash), id = name.substr(slash + 1)](Space& space) {
      return extend_in(&space, node, id);
    };
    if (auto done = co_await spaces_.mutate(system_of(*there), workspace, Role::Viewer, std::move(change)); !done)
      co_return std::unexpected(done.error());
  }
  co_return Outcome<void>{};
}

Task<Outcome<void>> FilesService::release_run(std::string run) {
  const auto found = runs_.find(run);
  if (found == runs_.end()) co_return Outcome<void>{};
  const auto locks = found->second;
  for (const auto& [workspace, name] : locks) {
    const Workspace* there = spaces_.by_id(workspace);
    if (!there) continue;
    const std::size_t slash = name.find('/');
    Spaces::Change change = [this, node = name.substr(0, slash), id = name.substr(slash + 1)](Space& space) {
      return end_in(&space, node, id);
    };
    if (auto done = co_await spaces_.mutate(system_of(*there), workspace, Role::Viewer, std::move(change)); !done)
      co_return std::unexpected(done.error());
  }
  runs_.erase(run);
  co_return Outcome<void>{};
}

}  // namespace mayfly::workspace
