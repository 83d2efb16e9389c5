#include "agent/agent_program.h"

#include <fmt/format.h>

#include <algorithm>

#include "agent/agent_input.h"
#include "agent/agent_turn.h"
#include "agent/delegation_tools.h"
#include "agent/object_of.h"
#include "base/assert.h"

namespace mayfly::agent {
namespace {

using engine::Decision;
using engine::ExecutionStatus;
using engine::Operation;
using engine::OperationRequest;
using engine::OperationStatus;
using engine::OperationType;

constexpr std::int64_t kContinuationsMax = 3;
}  // namespace

Result<std::shared_ptr<const AgentProgram>> AgentProgram::make(AgentSpec spec, const llm::PriceTable& prices) {
  std::shared_ptr<AgentProgram> out(new AgentProgram(std::move(spec), prices));
  const auto bad = [](const std::string& where, const Error& error) {
    return fail("agent.invalid", where + ": " + error.message + "; run `mayfly validate`");
  };
  for (const ToolSpec& tool : out->spec_.tools) {
    auto parameters = JsonSchema::compile(tool.parameters);
    if (!parameters) return bad("tool " + tool.name + ", parameters", parameters.error());
    Tool entry{&tool, std::move(*parameters), {}, tool.approval_when && tool.approval_when->is_bool()};
    if (tool.approval_when && !tool.approval_when->is_bool()) {
      auto approval = JsonSchema::compile(*tool.approval_when);
      if (!approval) return bad("tool " + tool.name + ", approval.when", approval.error());
      entry.approval = std::move(*approval);
    }
    out->fixed_bytes_ += static_cast<std::int64_t>(tool.name.size() + tool.description.size()) + size_of(tool.parameters) + 40;
    out->tools_.emplace(tool.name, std::move(entry));
  }
  if (auto parameters = JsonSchema::compile(hand_back_tool().parameters)) out->hand_back_.emplace(std::move(*parameters));
  if (out->spec_.output_schema) {
    auto schema = JsonSchema::compile(*out->spec_.output_schema);
    if (!schema) return bad("output.schema", schema.error());
    out->output_schema_ = std::move(*schema);
    out->fixed_bytes_ += size_of(*out->spec_.output_schema);
  }
  out->fixed_bytes_ += static_cast<std::int64_t>(out->spec_.instructions.size()) + 100;
  return out;
}

AgentProgram::AgentProgram(AgentSpec spec, const llm::PriceTable& prices) : spec_(std::move(spec)) {
  for (const std::string& model : spec_.models)
    if (const auto price = prices.find(model.substr(model.find('/') + 1))) prices_.push_back(*price);
}

engine::OperationRetry AgentProgram::retry_of(const RetryPolicy& policy) const {
  return {policy.attempts_max, policy.delay_first, policy.delay_max};
}

llm::NanoUsd AgentProgram::worst_price(std::int64_t input, std::int64_t output) const {
  llm::NanoUsd worst = 0;
  for (const llm::Price& price : prices_) worst = std::max(worst, std::max(price.input, price.cache_write) * input + price.output * output);
  return worst;
}

Decision AgentProgram::begin(engine::ProgramContext context, const Json& input) const {
  Turn turn{context, {}, {}};
  LoopState& state = turn.state;
  state.lineage = lineage_of_input(input);
  state.new_bytes = fixed_bytes_ + size_of(input) + kMessageOverheadBytes;
  if (context.session) state.context_tokens = get_int(object_of(context.session->state), "context_tokens");
  if (context.session)
    if (const JsonObject* holder = get_object(object_of(context.session->state), "holder")) state.holder = get_string(*holder, "agent");
  const std::int64_t carried = state.context_tokens;
  if (!forward(turn, input)) {
    call_model(turn);
    // For replay: the journal of a run does not hold its session.
    if (carried > 0 && !turn.decision.start.empty()) turn.decision.start.front().input.as_object()["context_tokens"] = carried;
  }
  tell(turn, nullptr);
  save(turn);
  return std::move(turn.decision);
}

Decision AgentProgram::message(engine::ProgramContext context, const Operation& operation) const {
  Turn turn{context, LoopState::from_json(context.run.state), {}};
  turn.state.new_bytes += size_of(operation.input) + kMessageOverheadBytes;
  // Another agent answers in this conversation now: it is the one to read this.
  const bool moved = std::ranges::any_of(turn.state.child_runs, [](const ChildRun& child) { return child.kind != kind::kDelegate && child.kind != kind::kTask; });
  if (!moved || !forward(turn, operation.input)) ++turn.state.unseen;
  tell(turn, nullptr);
  save(turn);
  return std::move(turn.decision);
}

Decision AgentProgram::ended(engine::ProgramContext context, const Operation& operation) const {
  Turn turn{context, LoopState::from_json(context.run.state), {}};
  if (operation.kind == kind::kModel) {
    settle(turn, operation);
    if (operation.status == OperationStatus::Succeeded)
      model_answered(turn, operation);
    else
      model_failed(turn, operation);
  } else if (operation.kind == kind::kCompact) {
    settle(turn, operation);
    compacted(turn, operation);
  } else if (operation.kind == kind::kApproval) {
    approval_ended(turn, operation);
  } else if (operation.kind == kind::kLimit) {
    limit_answered(turn, operation);
  } else if (operation.kind == kind::kFeedback) {
    call_model(turn);
  } else if (operation.kind == kind::kTranscript) {
    transcript_ended(turn, operation);
  } else if (operation.type == OperationType::ChainedInvoke) {
    child_ended(turn, operation);
  } else {
    call_ended(turn, operation);
  }
  tell(turn, &operation);
  save(turn);
  return std::move(turn.decision);
}

void AgentProgram::fail_run(Turn& turn, Error error) const {
  turn.decision.complete = engine::Completion{ExecutionStatus::Failed, nullptr, std::move(error)};
}

// --- model calls and their budget

void AgentProgram::call_model(Turn& turn) const {
  LoopState& state = turn.state;
  const Amounts limits = limits_of(state), used = used_of(state);
  if (limits.steps > 0 && used.steps >= limits.steps) return breach(turn, "steps");
  const std::int64_t context = state.context_tokens + state.new_bytes / kBytesPerTokenTypical;
  const bool compact = context + spec_.output_tokens_max > spec_.context.tokens_max && !state.compacted && state.context_tokens > 0;
  std::int64_t output_max = spec_.output_tokens_max;
  if (limits.output_tokens > 0) output_max = std::min(output_max, limits.output_tokens - used.output_tokens);
  if (output_max < std::min(kOutputTokensMin, spec_.output_tokens_max)) return breach(turn, "output_tokens");
  if (!reserve(turn, output_max)) return;
  OperationRequest request;
  request.name = compact ? "compact" : "model";
  request.kind = compact ? kind::kCompact : kind::kModel;
  request.retry = retry_of(spec_.model_retry);
  if (!compact) {
    ++state.steps;
    state.unseen = 0;
    state.compacted = false;
  }
  request.input = JsonObject{{"step", state.steps}, {"output_tokens_max", state.reserved_output}};
  if (can_hand_back(state)) request.input.as_object()["hand_back"] = true;
  turn.start(std::move(request));
}

void AgentProgram::model_failed(Turn& turn, const Operation& operation) const {
  if (!turn.state.breached.empty()) {
    const std::string limit = std::exchange(turn.state.breached, {});
    return breach(turn, limit);
  }
  const Error error = operation.error.value_or(Error{"llm.failed", "the model call failed", Retry::Never});
  if (error.code == "llm.context_too_long" && !turn.state.compacted && turn.state.context_tokens > 0) {
    turn.state.context_tokens = std::max(turn.state.context_tokens, spec_.context.tokens_max);
    return call_model(turn);
  }
  fail_run(turn, error);
}

void AgentProgram::compacted(Turn& turn, const Operation& operation) const {
  LoopState& state = turn.state;
  state.compacted = true;
  if (operation.status != OperationStatus::Succeeded) {
    if (!state.breached.empty()) {
      const std::string limit = std::exchange(state.breached, {});
      return breach(turn, limit);
    }
    return fail_run(turn, operation.error.value_or(Error{"llm.failed", "the conversation could not be summarised", Retry::Never}));
  }
  const JsonObject& result = object_of(operation.result);
  state.context_tokens = 0;
  state.new_bytes = fixed_bytes_ + static_cast<std::int64_t>(get_string(result, "summary").size()) + get_int(result, "kept_bytes");
  if (turn.context.session) {
    JsonObject carried = object_of(turn.context.session->state);
    carried["compact"] = JsonObject{{"run", turn.context.run.id}, {"operation", operation.id}};
    turn.context.session->state = std::move(carried);
  }
  call_model(turn);
}

// --- what the model said

void AgentProgram::model_answered(Turn& turn, const Operation& operation) const {
  const JsonObject& result = object_of(operation.result);
  const Json* body = get(result, "message");
  const auto message = body ? llm::message_from_json(*body) : Result<llm::Message>(fail("llm.bad_response", "the answer has no message"));
  if (!message) return fail_run(turn, message.error());
  const std::string stop = get_string(result, "stop_reason");
  if (stop == to_string(llm::StopReason::Refusal))
    return fail_run(turn, Error{"model.refused", "the model refused: " + cut(llm::text_of(*message)), Retry::Never});
  if (stop == to_string(llm::StopReason::ContentFilter))
    return fail_run(turn, Error{"model.content_filter", "the provider's content filter stopped the answer", Retry::Never});

  const Ending ending = stop == to_string(llm::StopReason::Length) ? Ending::CutOff : Ending::Whole;
  const bool calls =
      std::ranges::any_of(message->content, [](const llm::Content& part) { return part.kind == llm::Content::Kind::ToolCall; });
  if (calls) {
    turn.state.partial.clear();
    take_calls(turn, *message, ending);
    return advance_calls(turn);
  }
  std::string text = turn.state.partial + llm::text_of(*message);
  if (ending == Ending::CutOff && turn.state.continuations < kContinuationsMax) {
    ++turn.state.continuations;
    turn.state.partial = std::move(text);
    return feed_back(turn, "Your answer was cut off at its length limit. Continue exactly where it stopped, without repeating anything.");
  }
  if (turn.state.unseen > 0) {
    turn.state.partial.clear();
    return call_model(turn);
  }
  answer(turn, std::move(text), ending);
}

void AgentProgram::answer(Turn& turn, std::string text, Ending ending) const {
  JsonObject result{{"text", text}};
  if (ending == Ending::CutOff) result["truncated"] = true;
  if (output_schema_) {
    auto value = parse_json(text);
    if ((!value || !value->is_object()) && ending == Ending::Whole)
      if (auto repaired = repair_json_object(text)) value = std::move(*repaired);
    std::vector<std::string> problems;
    if (ending == Ending::CutOff)
      problems.push_back("It was cut off at the output limit (max_output_tokens); it must be shorter.");
    else if (!value)
      problems.push_back(value.error().message);
    else
      problems = output_schema_->validate(*value);
    if (!problems.empty()) {
      std::string list;
      for (std::size_t i = 0; i < std::min<std::size_t>(problems.size(), 10); ++i) list += "\n- " + problems[i];
      if (turn.state.output_retries >= spec_.output_retries)
        return fail_run(turn, Error{"output.invalid", "the answer does not match the output schema:" + cut(list), Retry::Never});
      ++turn.state.output_retries;
      turn.state.partial.clear();
      return feed_back(turn,
                       "Your answer does not match the required JSON schema:" + cut(list) + "\nAnswer again with only the JSON value.");
    }
    result["output"] = std::move(*value);
  }
  turn.decision.complete = engine::Completion{ExecutionStatus::Succeeded, std::move(result), {}};
}

void AgentProgram::feed_back(Turn& turn, std::string text) const {
  turn.state.new_bytes += static_cast<std::int64_t>(text.size()) + kMessageOverheadBytes;
  OperationRequest request;
  request.name = "feedback";
  request.kind = kind::kFeedback;
  request.input = JsonObject{{"text", std::move(text)}};
  turn.start(std::move(request));
}

}  // namespace mayfly::agent
