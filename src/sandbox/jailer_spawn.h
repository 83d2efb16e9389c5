#pragma once

#include <string>

#include "base/result.h"
#include "sandbox/jail/wire.h"
#include "sandbox/sandbox.h"

namespace mayfly::sandbox {

struct JailerFiles {
  std::string jailer;
  std::string zygote_library;  ///< empty: not installed, there are no zygotes
  std::string cgroup_root;
};
struct SpawnedJailer {
  int pid = -1;
  jail::Fd pidfd;
  jail::Fd control;  ///< non-blocking
};

/// Error: `sandbox.jailer_missing`.
Result<JailerFiles> find_jailer(const JailerOptions& options);
/// Errors: `sandbox.jailer_failed`.
Result<SpawnedJailer> spawn_jailer(const JailerFiles& files);

}  // namespace mayfly::sandbox
