#pragma once

#include <map>

#include "store/store.h"
#include "workspace/mirror/mirror.h"

namespace mayfly::workspace {

/// What was alike on both sides when it was last looked at.
struct Seen {
  bool is_folder = false;
  std::string hash, node;
  std::int64_t size = 0, changed_ns = 0;
  bool operator==(const Seen&) const = default;
};

/// Rows `meta/mirror/ID` (the spec) and `meta/mirror/ID/HASH OF PATH` (what was seen).
namespace mirror_rows {

std::string id_of(const MirrorSpec& spec);
std::string spec_key(const MirrorSpec& spec);
std::string seen_key(const MirrorSpec& spec, const std::string& path);
std::string to_row(const MirrorSpec& spec);
std::string to_row(const std::string& path, const Seen& seen);

struct Loaded {
  MirrorSpec spec;
  std::map<std::string, Seen> seen;
};
Task<Result<std::vector<Loaded>>> load(Store* store);
Task<Result<void>> commit(Store* store, Batch batch);
/// The spec and all that was seen.
Task<Result<void>> erase(Store* store, MirrorSpec spec);

}  // namespace mirror_rows
}  // namespace mayfly::workspace
