#include <fmt/format.h>

#include <algorithm>

#include "agent/agent_turn.h"
#include "agent/object_of.h"

namespace mayfly::agent {
namespace {

using engine::Operation;
using engine::OperationRequest;
using engine::OperationStatus;
using engine::OperationType;

/// The smaller of two limits, of which 0 is none.
std::int64_t tighter(std::int64_t a, std::int64_t b) { return a == 0 ? b : b == 0 ? a : std::min(a, b); }

std::int64_t granted(std::int64_t limit, std::int64_t more) { return limit == 0 ? 0 : limit + more; }

std::int64_t part(const Amounts& amounts, std::string_view limit) {
  return limit == "steps" ? amounts.steps : limit == "input_tokens" ? amounts.input_tokens : limit == "output_tokens" ? amounts.output_tokens : amounts.usd;
}

std::string shown(std::string_view limit, std::int64_t amount) {
  return limit == "usd" ? fmt::format("${:.4f}", static_cast<double>(amount) / 1e9) : std::to_string(amount);
}

}  // namespace

void AgentProgram::save(Turn& turn) const {
  const LoopState& state = turn.state;
  turn.context.run.state = state.to_json();
  JsonObject summary{
      {"steps", state.steps}, {"input_tokens", state.input_used()}, {"output_tokens", state.output_used()}, {"nano_usd", state.spent}};
  // A run that is cancelled during a model call ends with what that call may have cost beside what is known.
  if (state.reserved > 0) summary["reserved_nano_usd"] = state.reserved;
  if (state.children > 0) summary["children"] = state.children;
  if (state.children > 0 || state.lineage.below()) {
    // At most this: what is under way counts with its reservation, so that a parent never takes too little for spent.
    Amounts total{state.steps, state.input_used() + state.reserved_input, state.output_used() + state.reserved_output, state.spent + state.reserved};
    total += state.children_used;
    total += state.children_reserved;
    summary["total"] = JsonObject{
        {"steps", total.steps}, {"input_tokens", total.input_tokens}, {"output_tokens", total.output_tokens}, {"nano_usd", total.usd}};
  }
  turn.context.run.summary = std::move(summary);
  if (turn.decision.complete && turn.context.session) {
    JsonObject carried = object_of(turn.context.session->state);
    carried["context_tokens"] = state.context_tokens + state.new_bytes / kBytesPerTokenTypical;
    turn.context.session->state = std::move(carried);
    keep_holder(turn.context, state);
  }
}

Amounts AgentProgram::own_limits(const LoopState& state) const {
  const Limits& limits = spec_.limits;
  return {granted(limits.steps, state.granted_steps), granted(limits.input_tokens, state.granted_input),
          granted(limits.output_tokens, state.granted_output), granted(limits.usd, state.granted_usd)};
}

Amounts AgentProgram::limits_of(const LoopState& state) const {
  const Amounts own = own_limits(state);
  const Amounts& share = state.lineage.budget;
  return {tighter(own.steps, share.steps), tighter(own.input_tokens, share.input_tokens), tighter(own.output_tokens, share.output_tokens),
          tighter(own.usd, share.usd)};
}

Amounts AgentProgram::used_of(const LoopState& state) const {
  Amounts out{state.steps + state.charged_steps, state.input_used() + state.children_used.input_tokens,
              state.output_used() + state.children_used.output_tokens, state.spent + state.children_used.usd};
  out += state.children_reserved;
  return out;
}

bool AgentProgram::reserve(Turn& turn, std::int64_t output_max) const {
  LoopState& state = turn.state;
  const Amounts limits = limits_of(state), used = used_of(state);
  const std::int64_t input = state.context_tokens + state.new_bytes / kBytesPerTokenLow + 1;
  if (limits.input_tokens > 0 && used.input_tokens + input > limits.input_tokens) {
    breach(turn, "input_tokens");
    return false;
  }
  if (limits.usd > 0) {
    const llm::NanoUsd room = limits.usd - used.usd;
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
  const Amounts limits = limits_of(state), used = used_of(state);
  if (limits.usd > 0 && used.usd + state.reserved > limits.usd) state.breached = "usd";
  if (limits.input_tokens > 0 && used.input_tokens + state.reserved_input > limits.input_tokens) state.breached = "input_tokens";
  if (limits.output_tokens > 0 && used.output_tokens + state.reserved_output > limits.output_tokens) state.breached = "output_tokens";
  const bool allowed = state.breached.empty();
  Turn turn{context, std::move(state), {}};
  save(turn);
  return allowed;
}

void AgentProgram::breach(Turn& turn, std::string_view limit) const {
  const std::int64_t used = part(used_of(turn.state), limit), max = part(limits_of(turn.state), limit);
  const std::int64_t own = part(own_limits(turn.state), limit), share = part(turn.state.lineage.budget, limit);
  const std::string text =
      fmt::format("The next model call would exceed the limit on {}: {} of {} used.", limit, shown(limit, used), shown(limit, max));
  // A person may raise what the agent itself has, never what was taken out of its parent's budget.
  if (share > 0 && (own == 0 || share <= own))
    return fail_run(turn, Error{"limit.exceeded",
                                fmt::format("{} That is the share that {} gave. Raise `budget` there, or leave more of its own limits.", text,
                                            turn.state.lineage.agents.back()),
                                Retry::Never});
  if (spec_.limits.on_breach == Limits::OnBreach::Stop)
    return fail_run(turn, Error{"limit.exceeded", text + " Raise limits." + std::string(limit), Retry::Never});
  JsonObject input{{"limit", limit}, {"used", used}, {"max", max}, {"question", text + " Continue or stop?"}};
  if (limit == "usd") {
    input["used"] = static_cast<double>(used) / 1e9;
    input["max"] = static_cast<double>(max) / 1e9;
  }
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

// --- what others do for this run

Result<Amounts> AgentProgram::share_for(const LoopState& state, const Delegation& delegation, std::int64_t sharers) const {
  const Amounts limits = limits_of(state), used = used_of(state);
  const bool bounded_from_above = state.lineage.budget.steps > 0;
  std::string missing;
  const auto share = [&](std::string_view limit, bool counts) -> std::int64_t {
    const std::int64_t declared = part(delegation.budget, limit);
    if (!counts || part(limits, limit) == 0) return declared;
    const std::int64_t room = part(limits, limit) - part(used, limit);
    // One share more than there are tasks: the run itself must go on with the answers.
    const std::int64_t out = declared > 0 ? declared : room / (sharers + 1);
    if (out <= 0 || out > room)
      missing = fmt::format("{} of {} left, {} needed", shown(limit, std::max<std::int64_t>(room, 0)), limit, shown(limit, std::max<std::int64_t>(out, 1)));
    return out;
  };
  // The limit on steps is a run's own, unless a budget speaks of steps.
  const Amounts out{share("steps", bounded_from_above || delegation.budget.steps > 0), share("input_tokens", true), share("output_tokens", true),
                    share("usd", true)};
  if (!missing.empty()) return fail("delegation.no_budget", "the budget does not suffice: " + missing);
  return out;
}

void AgentProgram::settle_child(Turn& turn, const Operation& operation) const {
  LoopState& state = turn.state;
  const auto child = std::ranges::find(state.child_runs, operation.id, &ChildRun::operation);
  if (child == state.child_runs.end()) return;
  state.children_reserved -= child->reserved;
  const JsonObject* summary = get_object(object_of(operation.meta), "summary");
  Amounts used;  // nothing: it never began
  if (summary) {
    const Json* total = get(*summary, "total");
    used = amounts_from_json(total ? *total : Json(*summary));
    if (!total) used.usd += get_int(*summary, "reserved_nano_usd");
  }
  state.children_used += used;
  if (child->reserved.steps > 0) state.charged_steps += used.steps;
  state.child_runs.erase(child);
}

void AgentProgram::drop_child(Turn& turn, std::int64_t operation) const {
  LoopState& state = turn.state;
  const auto child = std::ranges::find(state.child_runs, operation, &ChildRun::operation);
  if (child == state.child_runs.end()) return;
  // What it spends until the cancellation reaches it is not known here: all that it was given counts.
  state.children_reserved -= child->reserved;
  state.children_used += child->reserved;
  state.charged_steps += child->reserved.steps;
  state.child_runs.erase(child);
  turn.decision.end.push_back({operation, OperationStatus::Cancelled, nullptr,
                               Error{"operation.cancelled", "the answers of others sufficed", Retry::Never}});
}

}  // namespace mayfly::agent
