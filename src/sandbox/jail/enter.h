#pragma once

#include <string>
#include <vector>

#include "sandbox/jail/fault.h"
#include "sandbox/jail/plan.h"
#include "sandbox/jail/wire.h"

namespace mayfly::jail {

/// A new process on its way in.
struct Entry {
  const Plan& plan;
  int sync = -1;                   ///< to the jailer
  const std::vector<int>& mounts;  ///< detached mounts, in the order of `plan.mounts`
  const std::vector<int>& groups;  ///< `tasks` files of its cgroups: a thread that moves itself waits for nobody
  bool has_proc = true;            ///< told by `enter`
};

/// Everything that needs privileges inside: ids, network, host name, root, cgroup namespace. To be called in the new namespaces. Ends the
/// process when the jailer is gone.
MaybeFault enter(Entry& entry);

/// Walls that are clone(2) flags, as such.
unsigned long clone_flags(Walls walls);

bool report_fault(int sync, const Fault& fault);
bool report_started(const Entry& entry);

/// Ends without any clean-up of the process' memory, which may be borrowed.
[[noreturn]] void exit_now(int code);

}  // namespace mayfly::jail
