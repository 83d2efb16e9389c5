#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>

#include "agent/agent_spec.h"
#include "agent/loop_state.h"
#include "engine/core/program.h"
#include "llm/prices.h"
#include "schema/json_schema.h"

namespace mayfly::agent {

/// Kinds of operations that the loop starts (`Operation::kind`), and what their inputs and results are.
/// The first operation of a run in a session also has {context_tokens} in its input: the size of the conversation before the run.
namespace kind {
inline constexpr std::string_view kModel = "llm";          ///< STEP. input {step, output_tokens_max}; result {message, stop_reason}
inline constexpr std::string_view kCompact = "compact";    ///< STEP. result {summary, run, upto, kept_bytes}
inline constexpr std::string_view kTool = "tool";          ///< STEP. input {call, arguments}; result {text, is_error}
inline constexpr std::string_view kMemory = "memory";      ///< STEP. the same
inline constexpr std::string_view kRefused = "refused";    ///< STEP. input {call, text}; result {text, is_error}
inline constexpr std::string_view kFeedback = "feedback";  ///< STEP. input {text}: a note to the model; result {text}
inline constexpr std::string_view kSleep = "sleep";        ///< WAIT. input {call, arguments}
inline constexpr std::string_view kAsk = "ask";            ///< CALLBACK. input {call, arguments, question, …}; result {answer, by}
inline constexpr std::string_view kApproval =
    "approval";                                      ///< CALLBACK. input {call, tool, arguments, question}; result {approved, comment, by}
inline constexpr std::string_view kLimit = "limit";  ///< CALLBACK. input {limit, used, max, question}; result {continue, add, by}
inline constexpr std::string_view kEvent = "event";  ///< CALLBACK. input {call, arguments, type, key}; result: the event's JSON
/// CHAINED_INVOKE of another agent: input {call?, agent, input, session?, wall_time_ms?, lineage} (see AgentRegistry::chained), result: that
/// run's; meta {run, summary}.
inline constexpr std::string_view kDelegate = "delegate";
inline constexpr std::string_view kTask = "fan_out_task";
inline constexpr std::string_view kHandOff = "hand_off";
inline constexpr std::string_view kForward = "forward";        ///< the input of the run, or a message that joined, for who holds the conversation
inline constexpr std::string_view kFanOut = "fan_out";         ///< CONTEXT. input {call, gather, needed, tasks}; result {met, tasks: [{agent, state, …}]}
inline constexpr std::string_view kTranscript = "transcript";  ///< STEP before a hand_off. input {call}; result {text}
inline constexpr std::string_view kHandBack = "hand_back";     ///< CONTEXT. input {call, message}
}  // namespace kind

/// The agent loop as a persisted state machine: model → tools → model … → answer. Pure (see engine::Program).
///
/// Budget: before a model call its worst case is reserved, together with the intent; afterwards the reservation is replaced by what the
/// call cost, together with the result. A call that was cut off may have been billed: its reservation stays spent. Another agent's run gets a
/// share of the budget in the same way: reserved with the invoke, replaced by what it and all below it used when its end comes back.
class AgentProgram final : public engine::Program {
 public:
  /// Error: `agent.invalid` (a schema does not compile).
  static Result<std::shared_ptr<const AgentProgram>> make(AgentSpec spec, const llm::PriceTable& prices);

  engine::Decision begin(engine::ProgramContext context, const Json& input) const override;
  engine::Decision ended(engine::ProgramContext context, const engine::Operation& operation) const override;
  engine::Decision message(engine::ProgramContext context, const engine::Operation& operation) const override;
  bool may_repeat(engine::ProgramContext context, const engine::PendingOperation& operation, const Error& error) const override;
  engine::OnUnknownOutcome on_unknown(engine::ProgramContext context, const engine::PendingOperation& operation) const override;
  void completing(engine::ProgramContext context, const engine::Completion& completion) const override;
  std::vector<Json> farewell(const engine::Execution& run) const override;

  const AgentSpec& spec() const { return spec_; }

 private:
  struct Tool {
    const ToolSpec* spec = nullptr;
    JsonSchema parameters;
    std::optional<JsonSchema> approval;
    bool always_approve = false;
  };
  struct Turn;                          ///< one event being worked on
  enum class Ending { Whole, CutOff };  ///< of a model's answer; cut off at the output limit, it is never repaired

  AgentProgram(AgentSpec spec, const llm::PriceTable& prices);

  void call_model(Turn& turn) const;
  bool reserve(Turn& turn, std::int64_t output_max) const;
  void settle(Turn& turn, const engine::Operation& operation) const;
  void assume_spent(LoopState& state) const;
  void breach(Turn& turn, std::string_view limit) const;
  void model_answered(Turn& turn, const engine::Operation& operation) const;
  void model_failed(Turn& turn, const engine::Operation& operation) const;
  void take_calls(Turn& turn, const llm::Message& message, Ending ending) const;
  void answer(Turn& turn, std::string text, Ending ending) const;
  void feed_back(Turn& turn, std::string text) const;
  void advance_calls(Turn& turn) const;
  void start_call(Turn& turn, CallState& call) const;
  void request_tool(Turn& turn, CallState& call, const Tool& tool) const;
  void call_ended(Turn& turn, const engine::Operation& operation) const;
  void approval_ended(Turn& turn, const engine::Operation& operation) const;
  void limit_answered(Turn& turn, const engine::Operation& operation) const;
  void compacted(Turn& turn, const engine::Operation& operation) const;
  void fail_run(Turn& turn, Error error) const;

  // agent_budget.cpp
  Amounts own_limits(const LoopState& state) const;
  Amounts limits_of(const LoopState& state) const;  ///< what the run itself and its share from above allow; 0: no limit
  Amounts used_of(const LoopState& state) const;    ///< what counts against them, without the model call under way
  Result<Amounts> share_for(const LoopState& state, const Delegation& delegation, std::int64_t sharers) const;
  void settle_child(Turn& turn, const engine::Operation& operation) const;
  void drop_child(Turn& turn, std::int64_t operation) const;

  // agent_children.cpp
  bool can_hand_back(const LoopState& state) const;
  void keep_holder(engine::ProgramContext context, const LoopState& state) const;  ///< the session is written when a run ends, not before
  bool ends_turn(const LoopState& state, const CallState& call) const;  ///< hand_off and hand_back: after all other calls
  std::string refusal_of(const LoopState& state, const Delegation* delegation) const;
  void invoke(Turn& turn, const Delegation& delegation, std::string_view kind, JsonObject input, const Amounts& share) const;
  std::string conversation_key(const Turn& turn) const;
  void start_delegate(Turn& turn, CallState& call) const;
  void start_fan_out(Turn& turn, CallState& call) const;
  void fill_fan_out(Turn& turn, CallState& call) const;
  void finish_fan_out(Turn& turn, CallState& call) const;
  void start_hand_off(Turn& turn, CallState& call) const;
  void hand_back(Turn& turn, CallState& call) const;
  void transcript_ended(Turn& turn, const engine::Operation& operation) const;
  bool forward(Turn& turn, const Json& input) const;  ///< false: this agent holds its conversation itself
  void child_ended(Turn& turn, const engine::Operation& operation) const;
  void task_ended(Turn& turn, CallState& call, TaskState& task, const engine::Operation& operation) const;
  void answer_came(Turn& turn, const engine::Operation& operation) const;
  void refuse_call(Turn& turn, CallState& call, std::string why) const;

  /// Adds to the decision what destinations want to know of it. agent_tell.cpp
  void tell(Turn& turn, const engine::Operation* ended) const;

  void save(Turn& turn) const;
  engine::OperationRetry retry_of(const RetryPolicy& policy) const;
  llm::NanoUsd worst_price(std::int64_t input, std::int64_t output) const;

  AgentSpec spec_;
  std::vector<llm::Price> prices_;
  std::map<std::string, Tool, std::less<>> tools_;
  std::optional<JsonSchema> output_schema_;
  std::optional<JsonSchema> hand_back_;  ///< of its arguments
  std::int64_t fixed_bytes_ = 0;  ///< instructions and tool definitions: part of every request
};

/// What a broken JSON text may have meant (code fences, a trailing comma, missing closing brackets), if it is an object then.
std::optional<Json> repair_json_object(std::string_view text);

}  // namespace mayfly::agent
