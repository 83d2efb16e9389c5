#pragma once

#include <sys/types.h>

#include <vector>

#include "sandbox/jail/plan.h"

namespace mayfly::jail {

struct FirstFds {
  int sync = -1;    ///< to the jailer
  int output = -1;  ///< the program's standard output and error
  int jailer = -1;  ///< the jailer's program, to become a small first process (zygote's children)
  std::vector<int> mounts;
  std::vector<int> groups;  ///< `tasks` files of its cgroups
};

/// The life of a first process that the jailer cloned: sets up, runs the program, reaps, reports.
[[noreturn]] void first_process(const Plan& plan, const FirstFds& fds);

/// The life of a zygote from the jailer's clone on: sets up and executes it with `control` as descriptor 3.
[[noreturn]] void become_zygote(const Plan& plan, const FirstFds& fds, int control);

/// Forwards SIGTERM to `program`, reaps everyone, reports the program's end on `sync`; then everything inside dies: by the
/// process namespace, or, without one (`children` from `watch_children`, else -1), by hand.
[[noreturn]] void reap_until_end(int sync, pid_t program, int children);
/// Nobody of the same user may look into this process or change it, from its next instruction on until it executes something.
void close_memory();
/// Makes this process the parent of orphans. Their list, opened while there is a /proc to see.
int watch_children();

/// Blocks all signals, as long as a process is not what it is to become.
void block_signals();
/// Connects standard input (nothing), output and error and closes all other descriptors but those below `keep`. System calls alone.
bool connect_output(int output, unsigned keep = 3);
/// Default handlers and nothing blocked. System calls alone.
void reset_signals();

}  // namespace mayfly::jail
