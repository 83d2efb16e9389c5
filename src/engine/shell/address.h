#pragma once

#include <optional>
#include <string>

#include "engine/core/keys.h"

namespace mayfly::engine {

/// Where a start goes, and how its repeat is recognised there.
struct Address {
  std::string session;                       ///< the session's id, or empty
  std::optional<keys::Partition> partition;  ///< nothing: any
  std::string idempotency_hash;              ///< empty: without a key
};
/// Stable for ever. Without a session the idempotency key decides the partition, so that its repeat meets it there.
Address address_of(const std::string& program, const std::string& session_key, const std::string& idempotency_key, keys::Partition partitions);

/// The idempotency key of the run that a CHAINED_INVOKE starts.
std::string chained_key(const std::string& run, std::int64_t operation);

}  // namespace mayfly::engine
