#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "runtime/cancel.h"
#include "runtime/clock.h"
#include "runtime/task.h"
#include "tool/spawn.h"

namespace mayfly {

struct ProcessRequest {
  std::vector<std::string> argv;         ///< no shell; `find_program` says how the first is looked up
  std::string directory;                 ///< absolute; the working directory
  std::string path;                      ///< where a program without '/' is looked for
  std::vector<std::string> environment;  ///< "NAME=value", complete
  std::string input;                     ///< all of standard input
  KernelLimits limits;
  std::size_t stdout_bytes_max = 1024 * 1024;
  std::size_t stderr_bytes_kept = 4096;  ///< the last ones; the rest is read and dropped
  Millis timeout{60'000};
  Millis grace{2'000};  ///< from SIGTERM to SIGKILL
  CancelToken cancel;
  std::function<void(std::string_view)> on_stderr;  ///< bytes as they come; may be empty
};

struct ProcessResult {
  enum class End {
    Exited,     ///< `exit_code` says how
    Signalled,  ///< by `signal`, not by us
    TimedOut,
    Cancelled,
    TooMuchOutput,  ///< on standard output
    Lost,           ///< someone else reaped it: how it ended is not known
  };
  End end = End::Lost;
  int exit_code = 0;
  int signal = 0;
  std::string output;  ///< at most stdout_bytes_max
  std::string stderr_tail;
  bool stderr_cut = false;  ///< there was more before `stderr_tail`
};

/// Runs one program to its end, on the loop and without a thread. At a timeout or a cancellation its process group gets SIGTERM,
/// after `grace` SIGKILL; too much output is SIGKILL at once. When the program ends, what is left of its group is killed too, and
/// the program is always reaped, also when the loop is destroyed meanwhile (which kills it). A descendant that leaves
/// the group on purpose (setsid) is out of reach here: only a sandbox can hold it.
///
/// Errors: those of `find_program` and `spawn`, `tool.invalid_command` (Never), `tool.cancelled` (Safe: it was not started).
Task<Result<ProcessResult>> run_process(Clock& clock, ProcessRequest request);

}  // namespace mayfly
