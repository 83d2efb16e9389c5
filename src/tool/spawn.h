#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"

namespace mayfly {

/// Limits that the kernel enforces in each process of a program (setrlimit(2)); 0 leaves the server's own limit.
/// A value above the server's hard limit is lowered to it. Core dumps are always off.
struct KernelLimits {
  std::uint64_t cpu_seconds = 300;
  std::uint64_t address_space_bytes = 8ULL << 30;
  std::uint64_t file_bytes = 1ULL << 30;
  std::uint64_t open_files = 1024;
  std::uint64_t processes = 0;  ///< counts all processes of the user, not only those of the program
};

struct SpawnRequest {
  std::string path;  ///< of the executable, see `find_program`
  std::vector<std::string> argv;
  std::vector<std::string> environment;  ///< "NAME=value", complete
  std::string directory;
  KernelLimits limits;
  int stdin_fd = -1;  ///< these three stay the caller's and are at least 3
  int stdout_fd = -1;
  int stderr_fd = -1;
};

struct Spawned {
  pid_t pid = -1;  ///< leader of a session and process group of its own
  int pidfd = -1;  ///< owned by the caller, close-on-exec
};

/// Where `program` is: a name is looked up in `path_variable` ("a:b"), anything with a '/' is relative to `directory`.
/// Errors: `tool.program_not_found` (Never), `tool.not_executable` (Never).
Result<std::string> find_program(const std::string& program, const std::string& directory, const std::string& path_variable);

/// Starts a program with default signals, nothing open but the three descriptors, no way to gain privileges, and SIGKILL when
/// the calling thread ends: call it on a thread that lives as long as the program may. Takes well under a millisecond whatever
/// the size of the server. Errors: `tool.spawn_failed` (nothing was run; Safe when the machine is short of something).
Result<Spawned> spawn(const SpawnRequest& request);

}  // namespace mayfly
