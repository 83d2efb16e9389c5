#include "agent/agent_program.h"

#include <fmt/format.h>

#include <algorithm>

#include "agent/agent_turn.h"
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
constexpr std::int64_t kOutputTokensMin = 16;  ///< less is no useful answer
constexpr std::int64_t kBytesPerTokenLow = 2;  ///< for reservations: few texts have fewer bytes a token
constexpr std::int64_t kBytesPerTokenTypical = 3;

std::int64_t size_of(const Json& value) {
  if (const auto* text = value.if_string()) return static_cast<std::int64_t>(text->size());
  return value.is_null() ? 0 : static_cast<std::int64_t>(to_text(value).size());
}

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

void AgentProgram::save(Turn& turn) const {
  const LoopState& state = turn.state;
  turn.context.run.state = state.to_json();
  JsonObject summary{
      {"steps", state.steps}, {"input_tokens", state.input_used()}, {"output_tokens", state.output_used()}, {"nano_usd", state.spent}};
  // A run that is cancelled during a model call ends with what that call may have cost beside what is known.
  if (state.reserved > 0) summary["reserved_nano_usd"] = state.reserved;
  turn.context.run.summary = std::move(summary);
  if (turn.decision.complete && turn.context.session) {
    JsonObject carried = object_of(turn.context.session->state);
    carried["context_tokens"] = state.context_tokens + state.new_bytes / kBytesPerTokenTypical;
    turn.context.session->state = std::move(carried);
  }
}

Decision AgentProgram::begin(engine::ProgramContext context, const Json& input) const {
  Turn turn{context, {}, {}};
  turn.state.new_bytes = fixed_bytes_ + size_of(input) + kMessageOverheadBytes;
  if (context.session) turn.state.context_tokens = get_int(object_of(context.session->state), "context_tokens");
  const std::int64_t carried = turn.state.context_tokens;
  call_model(turn);
  // For replay: the journal of a run does not hold its session.
  if (carried > 0 && !turn.decision.start.empty()) turn.decision.start.front().input.as_object()["context_tokens"] = carried;
  save(turn);
  return std::move(turn.decision);
}

Decision AgentProgram::message(engine::ProgramContext context, const Operation& operation) const {
  Turn turn{context, LoopState::from_json(context.run.state), {}};
  ++turn.state.unseen;
  turn.state.new_bytes += size_of(operation.input) + kMessageOverheadBytes;
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
  } else {
    call_ended(turn, operation);
  }
  save(turn);
  return std::move(turn.decision);
}

void AgentProgram::fail_run(Turn& turn, Error error) const {
  turn.decision.complete = engine::Completion{ExecutionStatus::Failed, nullptr, std::move(error)};
}

// --- model calls and their budget

void AgentProgram::call_model(Turn& turn) const {
  LoopState& state = turn.state;
  if (spec_.limits.steps > 0 && state.steps >= spec_.limits.steps + state.granted_steps) return breach(turn, "steps");
  const std::int64_t context = state.context_tokens + state.new_bytes / kBytesPerTokenTypical;
  const bool compact = context + spec_.output_tokens_max > spec_.context.tokens_max && !state.compacted && state.context_tokens > 0;
  std::int64_t output_max = spec_.output_tokens_max;
  if (spec_.limits.output_tokens > 0)
    output_max = std::min(output_max, spec_.limits.output_tokens + state.granted_output - state.output_used());
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
  turn.start(std::move(request));
}

bool AgentProgram::reserve(Turn& turn, std::int64_t output_max) const {
  LoopState& state = turn.state;
  const std::int64_t input = state.context_tokens + state.new_bytes / kBytesPerTokenLow + 1;
  if (spec_.limits.input_tokens > 0 && state.input_used() + input > spec_.limits.input_tokens + state.granted_input) {
    breach(turn, "input_tokens");
    return false;
  }
  if (spec_.limits.usd > 0) {
    const llm::NanoUsd room = spec_.limits.usd + state.granted_usd - state.spent;
    // A somewhat shorter answer may still fit; a stump would be of no use.
    const std::int64_t shortest = std::max(kOutputTokensMin, spec_.output_tokens_max / 2);
    if (worst_price(input, output_max) > room) output_max = std::min(output_max, shortest);
    if (worst_price(input, output_max) > room) {
      breach(turn, "usd");
      return false;
    }
  }
  state.reserved = worst_price(input, output_max);
  state.reserved_input = input;
  state.reserved_output = output_max;
  return true;
}

void AgentProgram::assume_spent(LoopState& state) const {
  state.spent += state.reserved;
  state.assumed_input += state.reserved_input;
  state.assumed_output += state.reserved_output;
}

void AgentProgram::settle(Turn& turn, const Operation& operation) const {
  LoopState& state = turn.state;
  if (operation.status == OperationStatus::Succeeded) {
    const JsonObject& meta = object_of(operation.meta);
    llm::Usage usage;
    if (const Json* given = get(meta, "usage")) usage = llm::usage_from_json(*given);
    // Every request has input: a provider that tells of none does not count.
    const bool counted = usage.total_input() > 0;
    if (counted) {
      state.usage += usage;
      state.spent += get_int(meta, "nano_usd");
    } else {
      assume_spent(state);
    }
    if (operation.kind == kind::kModel) {
      const std::int64_t estimate = state.context_tokens + (state.new_bytes + size_of(operation.result)) / kBytesPerTokenTypical;
      state.context_tokens = counted ? usage.total_input() + usage.output : estimate;
      state.new_bytes = 0;
    }
  } else if (operation.error && operation.error->retry == Retry::OutcomeUnknown && state.breached.empty()) {
    assume_spent(state);
  }
  state.reserved = state.reserved_input = state.reserved_output = 0;
}

bool AgentProgram::may_repeat(engine::ProgramContext context, const engine::PendingOperation& operation, const Error& error) const {
  if ((operation.kind != kind::kModel && operation.kind != kind::kCompact) || error.retry != Retry::OutcomeUnknown) return true;
  LoopState state = LoopState::from_json(context.run.state);
  assume_spent(state);
  const Limits& limits = spec_.limits;
  if (limits.usd > 0 && state.spent + state.reserved > limits.usd + state.granted_usd) state.breached = "usd";
  if (limits.input_tokens > 0 && state.input_used() + state.reserved_input > limits.input_tokens + state.granted_input)
    state.breached = "input_tokens";
  if (limits.output_tokens > 0 && state.output_used() + state.reserved_output > limits.output_tokens + state.granted_output)
    state.breached = "output_tokens";
  const bool allowed = state.breached.empty();
  Turn turn{context, std::move(state), {}};
  save(turn);
  return allowed;
}

void AgentProgram::breach(Turn& turn, std::string_view limit) const {
  const LoopState& state = turn.state;
  const Limits& limits = spec_.limits;
  JsonObject input{{"limit", limit}};
  std::string used, allowed;
  const auto numbers = [&](std::int64_t is, std::int64_t max) {
    input["used"] = is;
    input["max"] = max;
    used = std::to_string(is);
    allowed = std::to_string(max);
  };
  if (limit == "steps") numbers(state.steps, limits.steps + state.granted_steps);
  if (limit == "input_tokens") numbers(state.input_used(), limits.input_tokens + state.granted_input);
  if (limit == "output_tokens") numbers(state.output_used(), limits.output_tokens + state.granted_output);
  if (limit == "usd") {
    input["used"] = static_cast<double>(state.spent) / 1e9;
    input["max"] = static_cast<double>(limits.usd + state.granted_usd) / 1e9;
    used = fmt::format("${:.4f}", static_cast<double>(state.spent) / 1e9);
    allowed = fmt::format("${:.4f}", static_cast<double>(limits.usd + state.granted_usd) / 1e9);
  }
  std::string text = fmt::format("The next model call would exceed the limit on {}: {} of {} used.", limit, used, allowed);
  if (limits.on_breach == Limits::OnBreach::Stop)
    return fail_run(turn, Error{"limit.exceeded", text + " Raise limits." + std::string(limit), Retry::Never});
  input["question"] = text + " Continue or stop?";
  OperationRequest request;
  request.type = OperationType::Callback;
  request.name = "limit";
  request.kind = kind::kLimit;
  request.input = std::move(input);
  turn.start(std::move(request));
}

void AgentProgram::limit_answered(Turn& turn, const Operation& operation) const {
  LoopState& state = turn.state;
  const JsonObject& result = object_of(operation.result);
  const std::string limit = get_string(object_of(operation.input), "limit");
  if (operation.status != OperationStatus::Succeeded || !get_bool(result, "continue"))
    return fail_run(turn, Error{"limit.exceeded", "the limit on " + limit + " was reached and nobody extended it", Retry::Never});
  const JsonObject* add = get_object(result, "add");
  const JsonObject more = add ? *add : JsonObject{};
  // Nothing said: as much again as the limit allowed.
  const auto grant = [&](std::string_view name, std::int64_t as_before) {
    return more.empty() && limit == name ? as_before : get_int(more, name);
  };
  state.granted_steps += grant("steps", spec_.limits.steps);
  state.granted_input += grant("input_tokens", spec_.limits.input_tokens);
  state.granted_output += grant("output_tokens", spec_.limits.output_tokens);
  state.granted_usd += more.empty() && limit == "usd" ? spec_.limits.usd : static_cast<llm::NanoUsd>(get_double(more, "usd") * 1e9);
  call_model(turn);
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
