#include "workspace/keys.h"

#include <fmt/format.h>

#include "base/hash.h"

namespace mayfly::workspace::keys {

Partition partition_of_workspace(std::string_view workspace, Partition partitions) {
  return static_cast<Partition>(stable_hash64(workspace) % partitions);
}
std::string directory_prefix(Partition partition) { return engine::keys::partition_prefix(partition) + "D/"; }
std::string directory(Partition partition, std::string_view workspace) { return directory_prefix(partition).append(workspace); }
std::string prefix(Partition partition, std::string_view workspace, char kind, std::string_view rest) {
  std::string out = row(partition, workspace, kind, rest);
  if (!rest.empty()) out += '/';
  return out;
}
std::string row(Partition partition, std::string_view workspace, char kind, std::string_view rest) {
  return fmt::format("{}F/{}/{}/{}", engine::keys::partition_prefix(partition), workspace, kind, rest);
}
std::string number(std::uint64_t number) { return fmt::format("{:016x}", number); }

}  // namespace mayfly::workspace::keys
