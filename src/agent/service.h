#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "agent/mcp_tool.h"
#include "agent/registry.h"
#include "engine/engine.h"
#include "function/function_service.h"
#include "llm/gateway.h"
#include "net/http_client.h"

namespace mayfly::agent {

/// What starts an agent.
struct Invocation {
  std::string agent;
  /// A text; or {"message": text or content parts
  /// [{"type":"text","text":…},{"type":"image","media_type":…,"data":…}|{"type":"image","url":…}], "data": any JSON}; any other JSON is
  /// given to the model as its text. Content as in llm/message.h's JSON form.
  Json input;
  std::string session;  ///< needed by agents whose sessions are keyed, refused by the others
  std::string idempotency_key;
  std::string traceparent;
  std::optional<std::int64_t> version;  ///< instead of the current one
};

/// Something that a run asks a person. `kind`: "approval" (may this tool call be made?), "ask" (the ask-a-person tool),
/// "limit" (a budget is used up: continue?), "unknown" (an at-most-once call was cut off: what became of it?).
struct Question {
  std::string run;
  std::int64_t operation = 0;
  std::string agent;
  std::string session;
  std::string kind;
  std::string text;  ///< the question, for people
  Json details;      ///< tool, arguments, options, limit, …
  TimePoint asked{};
  std::optional<TimePoint> until;
};

/// A person's answer; what counts depends on the question's kind.
struct PersonAnswer {
  /// approval: "approve" | "deny". ask (approve): "approve" | "deny"; ask (choose): one of the options; ask (text): any text.
  /// limit: "continue" | "stop". unknown: "retry" | "succeeded" | "failed".
  std::string decision;
  std::string comment;  ///< told to the model where it helps; for unknown/succeeded: the tool's result
  std::string by;       ///< who answered, for the record
  Json add;             ///< limit/continue: {"usd": 1.0, "steps": 10, "input_tokens": …, "output_tokens": …}; empty: as much again.
                        ///< Counts up to 10⁹, usd up to 10⁶; anything else is `question.invalid_answer`
};

struct ForkRequest {
  std::string run;
  std::int64_t at = 0;  ///< the model call (operation id) to make anew, with all before it as it was; 0: the first one
  std::optional<std::string> instructions;
  std::optional<std::string> model;
};

struct Difference {
  std::int64_t operation = 0;  ///< of the recorded run; 0 when there is none
  std::string what;            ///< one sentence with the JSON path and both values
};
struct ReplayReport {
  std::int64_t model_calls = 0;  ///< compared
  std::optional<Difference> first_difference;
};

/// Everything that can be done with agents and their runs, above the engine: what the API and the CLI call.
class AgentService {
 public:
  virtual ~AgentService() = default;

  /// Errors: `agent.not_found`, `agent.no_such_version`, `input.invalid`, `session.required`, `session.not_keyed`, and those of
  /// `Engine::start`.
  virtual Task<Result<engine::Started>> invoke(Invocation invocation) = 0;
  /// Open questions, oldest first; of one run or of all (`run` empty), at most `limit`.
  virtual Task<Result<std::vector<Question>>> questions(std::string run, std::size_t limit) = 0;
  /// `operation` 0: the run's only open question. Errors: `question.not_found`, `question.invalid_answer` (says what is accepted).
  virtual Task<Result<void>> answer(std::string run, std::int64_t operation, PersonAnswer answer) = 0;
  /// A new run without a session that has the same past up to `at`. Returns its id. Errors: `run.not_found`, `fork.invalid`.
  virtual Task<Result<engine::Started>> fork(ForkRequest request) = 0;
  /// Drives the agent's logic through the recorded answers, offline, and compares every model request and tool call with the record;
  /// with `spec`, as that agent would have asked. Nothing is called, nothing is written but the report.
  virtual Task<Result<ReplayReport>> replay(std::string run, std::optional<AgentSpec> spec) = 0;
  /// The run's model traffic as JSON lines {"model","request","response"}.
  virtual Task<Result<std::string>> cassette(std::string run) = 0;
  /// The run's conversation as the model saw it.
  virtual Task<Result<std::vector<llm::Message>>> transcript(std::string run) = 0;
};

struct ServiceDependencies {
  Executor executor;
  Store* store = nullptr;
  Clock* clock = nullptr;
  Random* random = nullptr;
  llm::LlmGateway* gateway = nullptr;
  net::HttpClient* http = nullptr;
  AgentRegistry* registry = nullptr;
  /// Values of `${NAME}` in tool headers and `env` of commands; by default the process environment.
  std::function<std::optional<std::string>(std::string_view)> environment;
};

/// The executor and the service know each other; the engine is made between them: make the steps, give them to the engine,
/// then make the service.
class AgentSteps : public engine::StepExecutor {
 public:
  /// Once, before the engine opens.
  virtual void attach(engine::Engine& engine) = 0;
  /// What tools of the kind `function` call; outlives the steps. Before the engine opens; without it they fail.
  virtual void use_functions(function::FunctionService& functions) = 0;
  /// What tools of this server's own (workspaces) are called by; outlives the steps. Before the engine opens; without it they fail.
  virtual void use_own_tools(OwnTools& tools) = 0;
};
std::unique_ptr<AgentSteps> make_agent_steps(ServiceDependencies dependencies);
std::unique_ptr<AgentService> make_agent_service(ServiceDependencies dependencies, engine::Engine& engine);

}  // namespace mayfly::agent
