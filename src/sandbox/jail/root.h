#pragma once

#include <string>
#include <vector>

#include "sandbox/jail/fault.h"
#include "sandbox/jail/plan.h"
#include "sandbox/jail/wire.h"

namespace mayfly::jail {

/// Replaces the root by a small read-only one made of `mounts` (detached, in the order of `plan.mounts`), a /tmp, /dev/shm and /proc of its
/// own. The old root is gone afterwards. `has_proc`: false when the kernel does not grant that /proc. In a new mount namespace, with its
/// capabilities.
MaybeFault make_root(const Plan& plan, const std::vector<int>& mounts, bool& has_proc);

/// A file system of its own in memory, not attached yet.
Fd new_tmpfs(std::uint64_t bytes_max, const char* mode);
/// Attaches a detached mount at `path`.
bool attach(int mount, const char* path);
/// mkdir -p; every part that is missing gets 0755.
bool make_folders(const std::string& path);

}  // namespace mayfly::jail
