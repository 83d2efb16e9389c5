#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/json.h"
#include "base/result.h"
#include "base/time.h"

/// Deployed code in AWS Lambda's terms (API of 2015-03-31): a *function* has a configuration and a package of code; every
/// change makes a new immutable *revision*; *versions* and *aliases* name revisions.
namespace mayfly::function {

/// Where user code may connect to. `Allow`: through the egress proxy, to `allow` only.
struct Egress {
  enum class Mode { None, Allow, Open } mode = Mode::None;
  std::vector<std::string> allow;  ///< patterns of net/egress_proxy.h
};

/// https://docs.aws.amazon.com/lambda/latest/api/API_DurableConfig.html
struct DurableConfig {
  std::chrono::seconds execution_timeout{0};  ///< 1 s to 366 days
  std::int64_t retention_days = 14;
};

/// EventInvokeConfig: what becomes of asynchronous invocations.
struct AsyncConfig {
  std::int64_t retries_max = 2;           ///< 0 to 2
  std::chrono::seconds age_max{6 * 3600};  ///< 60 s to 6 h
  std::string on_success;                 ///< ARN of a destination, or empty
  std::string on_failure;
  TimePoint modified{};
};

struct FunctionConfig {
  std::string name;
  std::string runtime;  ///< "python3.12", "nodejs22.x", "provided.al2023", …; "http": a web server of the user's
  std::string handler;
  std::string description;
  std::string role;
  std::int64_t memory_mb = 128;      ///< 128 to 10,240
  std::chrono::seconds timeout{3};   ///< of one invocation: 1 s to `timeout_max` of the server (default 900)
  std::int64_t tmp_mb = 512;         ///< 512 to 10,240
  std::map<std::string, std::string> environment;
  std::vector<std::string> architectures;
  std::string dead_letter_arn;
  std::optional<DurableConfig> durable;
  bool tenant_isolation = false;     ///< TenancyConfig PER_TENANT: every invocation must name its tenant
  // Mayfly's own; set by mayfly.yaml, or by the tags "mayfly:egress" ("none" | "open" | a list separated by spaces), "mayfly:preload", …
  Egress egress;
  std::vector<std::string> preload;     ///< modules that the zygote of this function loads
  std::int64_t per_process_max = 1;     ///< invocations at a time in one process ("http" only: more than 1)
  std::string tool_description;         ///< set: agents may use it as a tool
  Json tool_parameters;                 ///< JSON Schema
};

/// Immutable: a running durable execution keeps its revision for life.
struct FunctionRevision {
  std::int64_t number = 0;  ///< from 1, counts all changes of the function
  FunctionConfig config;
  std::string code_sha256;  ///< base64, as AWS shows it
  std::uint64_t code_bytes = 0;
  std::string code_directory;  ///< on the host, absolute; the unpacked package, read-only
  std::string revision_id;     ///< UUID
  TimePoint modified{};
};

inline constexpr std::string_view kLatest = "$LATEST";
inline constexpr std::string_view kRegion = "us-east-1";
inline constexpr std::string_view kAccount = "000000000000";

/// "arn:aws:lambda:us-east-1:000000000000:function:NAME" and ":QUALIFIER" if there is one.
std::string function_arn(std::string_view name, std::string_view qualifier = {});

/// What clients write for a function: a name, "NAME:QUALIFIER", a partial ARN or an ARN (whatever its region and account).
struct FunctionRef {
  std::string name;
  std::string qualifier;  ///< version, alias, "$LATEST" or empty
};
/// Errors: `function.invalid_name`.
Result<FunctionRef> parse_function_ref(std::string_view text);

/// The engine's name of a function's program: "function:NAME". Agents' names have no ':'.
inline constexpr std::string_view kProgramPrefix = "function:";
std::string program_name(std::string_view function);
std::optional<std::string> function_of_program(std::string_view program);

}  // namespace mayfly::function
