#pragma once

#include <vector>

#include "workspace/files/tree.h"

namespace mayfly::workspace {

/// A lock as it lies in PPPP/F/WS/k/NODE/LOCK.
struct StoredLock {
  Lock lock;
  std::string etag;  ///< of the node when it was granted, or of the holder's own last write
  std::int64_t ttl_ms = 60'000;
  bool lapsed = false;  ///< its time is over and that was told; it may be renewed until another one comes
  bool active(TimePoint now) const { return !lapsed && lock.expires > now; }
};

/// The time after its expiry in which a lock can be renewed.
inline constexpr Millis kRenewableAfterExpiry{3'600'000};

std::string row_text(const StoredLock& lock);
template <>
Result<StoredLock> row_as<StoredLock>(const std::string& key, const std::string& text);

void put_lock(Rows rows, const StoredLock& lock);
void erase_lock(Rows rows, const StoredLock& lock);
/// Of one node, lapsed ones too.
Task<Outcome<std::vector<StoredLock>>> locks_of(Rows rows, std::string node);
/// Of the whole workspace.
Task<Outcome<std::vector<StoredLock>>> all_locks(Rows rows);
Refusal locked_by(const StoredLock& lock, TimePoint now);
Refusal lock_lost(std::uint64_t fence, std::optional<std::uint64_t> given, const std::string& why);

}  // namespace mayfly::workspace
