#include <algorithm>

#include "base/hash.h"
#include "workspace/files/files_service.h"

/// Leases on nodes: asking for them and waiting in line.
namespace mayfly::workspace {
namespace {

constexpr Millis kTtlMin{5'000}, kTtlMax{3'600'000}, kWaitMax{25'000};
constexpr std::size_t kLocksOfNodeMax = 100, kWaitersMax = 1'000, kNoteBytesMax = 4'096;

Outcome<void> check_ttl(Millis ttl) {
  if (ttl < kTtlMin || ttl > kTtlMax) return refuse("ws.invalid", "a lock lasts from 5 to 3,600 seconds; renew it to hold it longer");
  return {};
}

bool conflicts(LockMode a, LockMode b) { return a == LockMode::Exclusive || b == LockMode::Exclusive; }

}  // namespace

/// Tokens are not stored: they follow from the lock's id and a secret of the workspace, so that a grant can be given again.
Task<Outcome<std::string>> FilesService::token_of(Rows rows, std::string lock) {
  auto secret = co_await rows.rows->get(rows.row('c', "secret"));
  if (!secret) co_return std::unexpected(Refusal(secret.error()));
  if (!*secret) co_return std::string();
  co_return "lk_" + to_hex(hmac_sha256(**secret, lock)).substr(0, 32);
}

Task<Outcome<std::optional<StoredLock>>> FilesService::find_token(Rows rows, std::vector<std::string> chain, std::string token) {
  for (const std::string& node : chain) {
    auto held = co_await locks_of(rows, node);
    if (!held) co_return std::unexpected(held.error());
    for (StoredLock& lock : *held) {
      auto its = co_await token_of(rows, lock.lock.id);
      if (!its) co_return std::unexpected(its.error());
      if (!its->empty() && equal_constant_time(*its, token)) co_return std::optional(std::move(lock));
    }
  }
  co_return std::optional<StoredLock>();
}

Task<Outcome<std::optional<StoredLock>>> FilesService::conflict_of(Space* space, Spot spot, Node node, LockMode mode, bool deep,
                                                                   std::string except) {
  const Rows rows = rows_of(*space);
  const auto is_in_the_way = [&](const StoredLock& lock) {
    return lock.active(space->now()) && lock.lock.id != except && conflicts(lock.lock.mode, mode);
  };
  for (const std::string& id : spot.chain) {
    auto held = co_await locks_of(rows, id);
    if (!held) co_return std::unexpected(held.error());
    for (StoredLock& lock : *held)
      if (is_in_the_way(lock) && (id == node.id || lock.lock.deep)) co_return std::optional(std::move(lock));
  }
  if (node.kind != NodeKind::Folder || !deep) co_return std::optional<StoredLock>();
  auto held = co_await all_locks(rows);
  if (!held) co_return std::unexpected(held.error());
  for (StoredLock& lock : *held) {
    if (!is_in_the_way(lock) || lock.lock.node == node.id) continue;
    auto at = co_await resolve(rows, Place::of(lock.lock.node));
    if (!at && at.error().code != "ws.not_found") co_return std::unexpected(at.error());
    if (at && std::ranges::find(at->chain, node.id) != at->chain.end()) co_return std::optional(std::move(lock));
  }
  co_return std::optional<StoredLock>();
}

Task<Outcome<Grant>> FilesService::grant_of(Space* space, StoredLock stored, Node node) {
  Grant out;
  auto token = co_await token_of(rows_of(*space), stored.lock.id);
  if (!token) co_return std::unexpected(token.error());
  out.token = std::move(*token);
  out.etag = node.etag;
  out.version = node.version;
  out.server_time = space->now();
  out.lock = std::move(stored.lock);
  out.lock.path = node.path;
  co_return out;
}

Task<Outcome<Grant>> FilesService::grant_again(Space* space, JsonObject before) {
  const Rows rows = rows_of(*space);
  const std::string id = get_string(before, "lock"), node_id = get_string(before, "lock_node");
  auto held = co_await locks_of(rows, node_id);
  if (!held) co_return std::unexpected(held.error());
  const auto lock = std::ranges::find_if(*held, [&](const StoredLock& one) { return one.lock.id == id && one.active(space->now()); });
  if (lock == held->end()) co_return std::unexpected(lock_lost(0, std::nullopt, "the lock of this idempotency key is over"));
  auto node = co_await find_node(rows, Place::of(node_id));
  if (!node) co_return std::unexpected(node.error());
  co_return co_await grant_of(space, *lock, *node);
}

Task<Outcome<Grant>> FilesService::grant_in(Space* space, LockRequest request, std::shared_ptr<Waiter> waiter) {
  const Rows rows = rows_of(*space);
  auto before = co_await answer_of(space, "lock", request.idempotency_key);
  if (!before) co_return std::unexpected(before.error());
  if (*before) co_return co_await grant_again(space, **before);
  auto spot = co_await resolve(rows, request.at);
  if (!spot) co_return std::unexpected(spot.error());
  if (!spot->exists() && request.create) {
    Content empty;
    empty.hash = sha256_hex("");
    auto written = co_await put_checked(space, request.at, empty, {});
    if (!written) co_return std::unexpected(written.error());
    spot = co_await resolve(rows, request.at);
    if (!spot) co_return std::unexpected(spot.error());
  }
  auto node = co_await node_at(rows, *spot);
  if (!node) co_return std::unexpected(node.error());
  auto conflict = co_await conflict_of(space, *spot, *node, request.mode, request.deep, "");
  if (!conflict) co_return std::unexpected(conflict.error());
  waiter->node = node->id;
  const std::size_t before_us = earlier(space->workspace().id, node->id, request.mode, waiter->ticket == 0 ? nullptr : waiter.get());
  if (*conflict) {
    StoredLock& other = **conflict;
    waiter->blocked_on = other.lock.node;
    if (auto at = co_await resolve(rows, Place::of(other.lock.node))) other.lock.path = at->path;
    Refusal refusal = locked_by(other, space->now());
    refusal.details["queue_position"] = before_us + 1;
    co_return std::unexpected(std::move(refusal));
  }
  if (before_us > 0)
    co_return refuse("ws.locked", "others wait for this lock before you; wait with wait_ms to stand in line",
                     {{"holder", "who waits for it"},
                      {"mode", "exclusive"},
                      {"expires_at", to_rfc3339(space->now() + Millis{1'000})},
                      {"retry_after_ms", 1'000},
                      {"queue_position", before_us + 1},
                      {"node", node->id},
                      {"path", node->path}},
                     Retry::Safe);
  co_return co_await grant_new(space, std::move(request), std::move(*node));
}

Task<Outcome<Grant>> FilesService::grant_new(Space* space, LockRequest request, Node node) {
  const Rows rows = rows_of(*space);
  auto held = co_await locks_of(rows, node.id);
  if (!held) co_return std::unexpected(held.error());
  std::size_t active = 0;
  for (StoredLock& old : *held) {
    if (old.active(space->now())) {
      ++active;
    } else if (request.mode == LockMode::Exclusive) {
      // Nobody can renew it now.
      old.lock.path = node.path;
      if (!old.lapsed) tell(*space, &node, "lock.expired", {{"lock", old.lock.id}, {"holder", old.lock.holder}});
      erase_lock(rows, old);
      forget_lock(space, old);
    }
  }
  if (active >= kLocksOfNodeMax)
    co_return refuse("ws.busy", "100 hold locks on this already; wait until some are released", {}, Retry::Safe);
  auto secret = co_await rows.rows->get(rows.row('c', "secret"));
  if (!secret) co_return std::unexpected(Refusal(secret.error()));
  if (!*secret) rows.rows->put(rows.row('c', "secret"), to_hex(secure_random_bytes(32)));
  StoredLock stored;
  Lock& lock = stored.lock;
  lock.id = make_id("l_");
  lock.node = node.id;
  lock.path = node.path;
  lock.mode = request.mode;
  lock.holder = space->actor().id;
  lock.holder_label = space->actor().label;
  lock.run = space->actor().run;
  if (request.mode == LockMode::Exclusive) ++node.fence;
  lock.fence = node.fence;
  lock.acquired = space->now();
  lock.expires = space->now() + request.ttl;
  lock.deep = request.deep;
  lock.note = std::move(request.note);
  stored.etag = node.etag;
  stored.ttl_ms = request.ttl.count();
  tell(*space, &node, "lock.acquired",
       {{"lock", lock.id},
        {"mode", lock.mode == LockMode::Shared ? "shared" : "exclusive"},
        {"holder", lock.holder},
        {"expires_at", to_rfc3339(lock.expires)}});
  put_node(rows, node);
  put_lock(rows, stored);
  keep_answer(space, "lock", request.idempotency_key, {{"lock", lock.id}, {"lock_node", node.id}});
  note_lock(space, stored);
  co_return co_await grant_of(space, stored, node);
}

/// True when it is worth trying again.
Task<bool> FilesService::wait(std::shared_ptr<Waiter> waiter, Millis left, CancelToken cancel) {
  if (std::exchange(waiter->woken, false)) co_return true;
  const auto timer = clock_.call_after(left, [waiter] { waiter->call(false); });
  CancelToken::Registration by_caller, by_us;
  const bool in_time = co_await suspend<bool>([&](Resume<bool> resume) {
    waiter->resume = std::move(resume);
    by_caller = cancel.on_cancel([waiter] { waiter->call(false); });
    by_us = stopping_.token().on_cancel([waiter] { waiter->call(false); });
  });
  waiter->woken = false;
  co_return in_time;
}

Task<Outcome<Grant>> FilesService::lock(Actor actor, std::string workspace, LockRequest request) {
  if (auto ok = check_ttl(request.ttl); !ok) co_return std::unexpected(ok.error());
  if (request.wait < Millis{0} || request.wait > kWaitMax)
    co_return refuse("ws.invalid", "one waits at most 25,000 ms for a lock; ask again to go on waiting");
  if (request.note.size() > kNoteBytesMax) co_return refuse("ws.invalid", "a lock's note has at most 4,096 bytes");
  auto found = spaces_.find(actor, workspace, Role::Editor);
  if (!found) co_return std::unexpected(found.error());
  if (request.create)
    if (auto put = co_await blobs_.put(""); !put) co_return std::unexpected(Refusal(put.error()));
  const auto waiter = std::make_shared<Waiter>();
  waiter->mode = request.mode;
  if (request.wait > Millis{0}) {
    Waiters& line = waiters_[found->id];
    if (line.size() >= kWaitersMax)
      co_return refuse("ws.busy", "1,000 wait for locks in this workspace; try again in a moment", {}, Retry::Safe);
    waiter->ticket = ++tickets_;
    line.push_back(waiter);
  }
  const TimePoint until = clock_.now() + request.wait;
  Outcome<Grant> out = refuse("ws.busy", "the server is stopping; try again in a moment", {}, Retry::Safe);
  for (;;) {
    std::function<Task<Outcome<Grant>>(Space&)> change = [this, request, waiter](Space& space) {
      return grant_in(&space, request, waiter);
    };
    out = co_await change_space<Grant>(&spaces_, actor, found->id, Role::Editor, std::move(change));
    const Millis left = until - clock_.now();
    if (out || out.error().code != "ws.locked" || left <= Millis{0} || request.cancel.cancelled() || stopping_.cancelled()) break;
    if (!co_await wait(waiter, left, request.cancel)) break;
  }
  leave(found->id, waiter);
  co_return out;
}

Task<Outcome<Grant>> FilesService::renew_in(Space* space, Place place, std::string token, Millis ttl) {
  const Rows rows = rows_of(*space);
  auto spot = co_await resolve(rows, place);
  if (!spot) co_return std::unexpected(spot.error());
  if (!spot->exists()) co_return std::unexpected(no_such(Place::at(spot->path)));
  auto found = co_await find_token(rows, spot->chain, token);
  if (!found) co_return std::unexpected(found.error());
  auto node = co_await find_node(rows, Place::of(*found ? (*found)->lock.node : spot->id()));
  if (!node) co_return std::unexpected(node.error());
  if (!*found) co_return std::unexpected(lock_lost(node->fence, std::nullopt, "this lock was released, broken or taken by another"));
  StoredLock stored = **found;
  if (!stored.active(space->now())) {
    auto at = co_await resolve(rows, Place::of(node->id));
    if (!at) co_return std::unexpected(at.error());
    auto conflict = co_await conflict_of(space, *at, *node, stored.lock.mode, stored.lock.deep, stored.lock.id);
    if (!conflict) co_return std::unexpected(conflict.error());
    const bool unchanged =
        node->fence == stored.lock.fence && node->etag == stored.etag && space->now() < stored.lock.expires + kRenewableAfterExpiry;
    if (!unchanged || *conflict || earlier(space->workspace().id, node->id, stored.lock.mode, nullptr) > 0)
      co_return std::unexpected(lock_lost(node->fence, stored.lock.fence, "this lock expired and things went on without it"));
    if (stored.lapsed) tell(*space, &*node, "lock.acquired", {{"lock", stored.lock.id}, {"holder", stored.lock.holder}, {"renewed", true}});
    put_node(rows, *node);
    stored.lapsed = false;
  }
  stored.lock.expires = space->now() + ttl;
  stored.ttl_ms = ttl.count();
  put_lock(rows, stored);
  note_lock(space, stored);
  co_return co_await grant_of(space, stored, *node);
}

Task<Outcome<Grant>> FilesService::renew_lock(Actor actor, std::string workspace, Place place, std::string token, Millis ttl) {
  if (auto ok = check_ttl(ttl); !ok) co_return std::unexpected(ok.error());
  std::function<Task<Outcome<Grant>>(Space&)> change = [this, place, token, ttl](Space& space) {
    return renew_in(&space, place, token, ttl);
  };
  co_return co_await change_space<Grant>(&spaces_, std::move(actor), std::move(workspace), Role::Editor, std::move(change));
}

std::size_t FilesService::earlier(const std::string& workspace, const std::string& node, LockMode mode, const Waiter* self) const {
  const auto line = waiters_.find(workspace);
  if (line == waiters_.end()) return 0;
  std::size_t out = 0;
  for (const auto& waiter : line->second) {
    if (waiter.get() == self) break;
    if (waiter->node == node && conflicts(waiter->mode, mode)) ++out;
  }
  return out;
}

}  // namespace mayfly::workspace
