#include "workspace/files/lock_rows.h"

#include <algorithm>

namespace mayfly::workspace {
namespace {

constexpr std::size_t kLocksMax = 10'000;

Task<Outcome<std::vector<StoredLock>>> locks_in(Rows rows, std::string prefix) {
  std::vector<StoredLock> out;
  auto found = co_await rows.rows->scan(KeyRange::prefix(prefix), kLocksMax);
  if (!found) co_return std::unexpected(Refusal(found.error()));
  for (const auto& [key, text] : *found) {
    auto lock = row_as<StoredLock>(key, text);
    if (!lock) co_return std::unexpected(Refusal(lock.error()));
    out.push_back(std::move(*lock));
  }
  co_return out;
}

}  // namespace

std::string row_text(const StoredLock& stored) {
  const Lock& lock = stored.lock;
  JsonObject out{{"id", lock.id},
                 {"node", lock.node},
                 {"holder", lock.holder},
                 {"fence", lock.fence},
                 {"acquired", to_unix_ms(lock.acquired)},
                 {"expires", to_unix_ms(lock.expires)},
                 {"ttl", stored.ttl_ms},
                 {"etag", stored.etag}};
  if (lock.mode == LockMode::Shared) out["shared"] = true;
  if (!lock.holder_label.empty()) out["label"] = lock.holder_label;
  if (!lock.run.empty()) out["run"] = lock.run;
  if (!lock.deep) out["flat"] = true;
  if (!lock.note.empty()) out["note"] = lock.note;
  if (stored.lapsed) out["lapsed"] = true;
  return to_text(out);
}

template <>
Result<StoredLock> row_as<StoredLock>(const std::string& key, const std::string& text) {
  auto value = parse_json(text);
  if (!value || !value->is_object())
    return fail("store.damaged", "the row " + key + " cannot be read: restore a backup, or remove the row by hand");
  const JsonObject& object = value->get_object();
  StoredLock out;
  out.lock.id = get_string(object, "id");
  out.lock.node = get_string(object, "node");
  out.lock.holder = get_string(object, "holder");
  out.lock.holder_label = get_string(object, "label");
  out.lock.run = get_string(object, "run");
  out.lock.mode = get_bool(object, "shared") ? LockMode::Shared : LockMode::Exclusive;
  out.lock.deep = !get_bool(object, "flat");
  out.lock.note = get_string(object, "note");
  out.lock.fence = static_cast<std::uint64_t>(get_int(object, "fence"));
  out.lock.acquired = from_unix_ms(get_int(object, "acquired"));
  out.lock.expires = from_unix_ms(get_int(object, "expires"));
  out.ttl_ms = get_int(object, "ttl", 60'000);
  out.etag = get_string(object, "etag");
  out.lapsed = get_bool(object, "lapsed");
  return out;
}

void put_lock(Rows rows, const StoredLock& lock) { rows.rows->put(rows.row('k', lock.lock.node + "/" + lock.lock.id), row_text(lock)); }
void erase_lock(Rows rows, const StoredLock& lock) { rows.rows->erase(rows.row('k', lock.lock.node + "/" + lock.lock.id)); }

Task<Outcome<std::vector<StoredLock>>> locks_of(Rows rows, std::string node) { return locks_in(rows, rows.prefix('k', node)); }
Task<Outcome<std::vector<StoredLock>>> all_locks(Rows rows) { return locks_in(rows, rows.prefix('k')); }

Refusal locked_by(const StoredLock& stored, TimePoint now) {
  const Lock& lock = stored.lock;
  const std::string holder = lock.holder_label.empty() ? lock.holder : lock.holder_label;
  const std::int64_t left = std::max<std::int64_t>((lock.expires - now).count(), 0);
  return {
      Error{"ws.locked", holder + " holds a lock until " + to_rfc3339(lock.expires) + "; wait for it with lock_acquire, or write elsewhere",
            Retry::Safe},
      {{"holder", holder},
       {"mode", lock.mode == LockMode::Shared ? "shared" : "exclusive"},
       {"expires_at", to_rfc3339(lock.expires)},
       {"retry_after_ms", left},
       {"node", lock.node},
       {"path", lock.path}}};
}

Refusal lock_lost(std::uint64_t fence, std::optional<std::uint64_t> given, const std::string& why) {
  Refusal out{Error{"ws.lock_lost", why + "; read the file again and take a new lock", Retry::Never}, {{"fence", fence}}};
  if (given) out.details["given"] = *given;
  return out;
}

}  // namespace mayfly::workspace
