#pragma once

#include <memory>
#include <string>
#include <vector>

#include "runtime/clock.h"
#include "tool/process.h"
#include "tool/redact.h"
#include "tool/tool.h"

namespace mayfly {

struct CommandToolOptions {
  std::string name;
  std::string description;
  Json parameters;  ///< JSON Schema of an object
  Effect effect = Effect::AtMostOnce;
  std::vector<std::string> argv;  ///< no shell; a program without '/' is found in PATH, ./x is relative to `directory`
  std::string directory;          ///< absolute; working directory and HOME
  std::vector<std::string> env;   ///< names of further variables that the program may see
  KernelLimits limits;
  std::size_t stdout_bytes_max = 1024 * 1024;
  std::size_t model_bytes_max = 64 * 1024;  ///< of the output that goes back to the model; the rest is cut with a note
  Millis timeout{60'000};                   ///< the smaller of this and the call's counts
};

/// A program as a tool: the arguments come as one JSON object on standard input, its standard output is the result.
///
/// Exit status 0: success. 75 (EX_TEMPFAIL): `tool.temporary`, Retry::Safe: the program says that nothing happened. Any other: the
/// model gets the status and the last 4 KiB of standard error. Lines on standard error go to `on_output` as progress.
/// The environment is PATH, LANG, HOME, TMPDIR, MAYFLY_RUN_ID, MAYFLY_SESSION_ID, MAYFLY_IDEMPOTENCY_KEY, MAYFLY_ATTEMPT, TRACEPARENT
/// and the named variables, whose values are taken out of every text that leaves.
///
/// Errors of `call`: `tool.timeout`, `tool.cancelled`, `tool.failed` (killed by a signal), `tool.output_too_large`: OutcomeUnknown unless
/// the effect is read-only; `tool.missing_variable` and `tool.invalid_command` (Never); those of `run_process`. Error here: `tool.invalid`.
/// `clock` outlives the tool.
Result<std::unique_ptr<Tool>> make_command_tool(CommandToolOptions options, Clock& clock, EnvLookup env);

}  // namespace mayfly
