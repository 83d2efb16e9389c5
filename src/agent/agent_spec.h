#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "agent/delegation_spec.h"
#include "agent/function_spec.h"
#include "base/json.h"
#include "base/time.h"
#include "llm/gateway.h"
#include "tool/tool.h"

namespace mayfly::agent {

/// What happens to a message for a session whose run is busy.
enum class WhenBusy {
  Queue,   ///< it waits in the session's inbox and starts the next run
  Reject,  ///< 409 `session.busy`
  Steer,   ///< it joins the running loop before the next model call
};

struct SessionPolicy {
  bool keyed = false;  ///< false: every run has a conversation of its own
  WhenBusy when_busy = WhenBusy::Queue;
  std::int64_t queue_max = 100;  ///< messages waiting; more are refused with `session.inbox_full`
};

/// 0 or empty means no limit, except `steps`.
struct Limits {
  std::int64_t steps = 50;           ///< model calls of one run
  Millis wall_time{24 * 3'600'000};  ///< of one run, waits included
  std::int64_t input_tokens = 0;
  std::int64_t output_tokens = 0;
  llm::NanoUsd usd = 0;
  static constexpr std::int64_t kParallelToolCallsMax = 32;
  std::int64_t parallel_tool_calls = 8;
  static constexpr std::int64_t kDepthMax = 32;
  std::int64_t depth = 8;  ///< agents below the one that a person or an event started; an agent below has its own and its ancestors' limit
  enum class OnBreach { Ask, Stop } on_breach = OnBreach::Ask;  ///< steps, tokens and money; wall time always stops
};

struct RetryPolicy {
  std::int64_t attempts_max = 4;  ///< 1: no retry
  Millis delay_first{500};
  Millis delay_max{60'000};
};

enum class OnUnknown { Ask, Fail, Retry };

struct ToolSpec {
  /// Delegate, FanOut and HandOff are made from AgentSpec::agents (see delegation_tools.h).
  enum class Kind { Http, Command, AskPerson, Sleep, WaitUntil, Memory, Function, WaitForEvent, A2a, Mcp, Delegate, FanOut, HandOff };
  Kind kind = Kind::Http;
  std::string name;  ///< [a-zA-Z0-9_-]{1,64}
  std::string description;
  Json parameters;  ///< JSON Schema of an object
  Effect effect = Effect::ReadOnly;
  Millis timeout{60'000};
  RetryPolicy retry;
  OnUnknown on_unknown = OnUnknown::Ask;  ///< for at-most-once effects
  /// A person must approve a call whose arguments are valid against this schema (`true`: every call).
  std::optional<Json> approval_when;
  Millis approval_timeout{0};    ///< 0: waits for ever
  std::string approval_default;  ///< "approve" or "deny" when the time is up; empty means deny
  Json config;                   ///< of the kind, checked; see docs/tools.md
};

struct ContextPolicy {
  std::int64_t tokens_max = 120'000;  ///< compaction starts before a request would exceed it
  std::int64_t keep_messages = 8;     ///< the newest ones, kept word by word
};

/// One agent as deployed: complete in itself (files named in the YAML are inlined).
struct AgentSpec {
  std::string name;  ///< [a-z0-9][a-z0-9-]{0,62}
  std::string description;
  std::vector<std::string> models;  ///< "provider/model": the first, then its fallbacks
  std::string instructions;
  std::int64_t output_tokens_max = 4096;  ///< of one model call
  std::optional<double> temperature;
  llm::ReasoningEffort reasoning = llm::ReasoningEffort::Default;
  Millis first_token_timeout{60'000};
  Millis between_tokens_timeout{60'000};
  RetryPolicy model_retry{.attempts_max = 6, .delay_first = Millis{1'000}, .delay_max = Millis{120'000}};
  SessionPolicy session;
  Limits limits;
  ContextPolicy context;
  std::vector<ToolSpec> tools;
  /// {"workspace": {"name", "role", "tools"?}, "servers": {NAME: {"url", "headers", "tools"?, "private_network", "effect"?, "approve"}}}; null: none. Deploying makes tools of the
  /// kind Mcp of it, with the definitions that were found then.
  Json mcp;
  std::vector<Delegation> agents;  ///< whom it may give work to
  FanOutPolicy fan_out;
  Destinations destinations;
  std::optional<Json> output_schema;
  std::int64_t output_retries = 2;
  std::string base_dir;  ///< absolute: where command tools run

  const ToolSpec* find_tool(std::string_view name) const;
  const Delegation* find_delegation(std::string_view agent_name) const;
};

/// The deployed JSON form; `spec_from_json(to_json(s))` equals `s`.
Json to_json(const AgentSpec& spec);
Result<AgentSpec> spec_from_json(const Json& value);

/// A whole mayfly.yaml.
struct Project {
  std::vector<AgentSpec> agents;
  std::vector<FunctionSpec> functions;
  std::vector<llm::ProviderConfig> providers;  ///< `api_key` still empty: filled from `api_key_env` by the server
  std::vector<std::string> provider_key_env;   ///< parallel to `providers`: name of the environment variable, or empty
  /// What starts and connects them, by kind (see project_resources.h) and name, in the form of the file and of PUT /v1/KIND/NAME: checked.
  std::map<std::string, JsonObject> resources;
  std::string directory;                       ///< absolute
};

/// A problem in a user's file, ready to print: "mayfly.yaml:12:7: agents.support.limits.usd must be a number".
struct SpecProblem {
  std::string where;    ///< FILE:LINE:COLUMN
  std::string pointer;  ///< JSON Pointer
  std::string message;
};

/// Reads and checks mayfly.yaml (or the folder that holds one) and the files that it names. All problems are reported, not just the first.
std::expected<Project, std::vector<SpecProblem>> load_project(const std::string& path);

/// The JSON Schema of mayfly.yaml (draft 2020-12), for editors; served and printed by `mayfly init --schema`.
std::string_view project_schema_text();

}  // namespace mayfly::agent
