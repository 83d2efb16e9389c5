#include "engine/shell/address.h"

#include "base/hash.h"

namespace mayfly::engine {

Address address_of(const std::string& program, const std::string& session_key, const std::string& idempotency_key, keys::Partition partitions) {
  Address out;
  if (!session_key.empty()) {
    out.session = program + "/" + session_key;
    out.partition = keys::partition_of_session(out.session, partitions);
  } else if (!idempotency_key.empty()) {
    out.partition = keys::partition_of_session(program + "\n" + idempotency_key, partitions);
  }
  if (!idempotency_key.empty()) out.idempotency_hash = sha256_hex(out.session + "\n" + program + "\n" + idempotency_key);
  return out;
}

std::string chained_key(const std::string& run, std::int64_t operation) { return "chained-" + run + "-" + std::to_string(operation); }

}  // namespace mayfly::engine
