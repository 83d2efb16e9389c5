#include <fmt/format.h>

#include <algorithm>

#include "agent/agent_input.h"
#include "agent/agent_turn.h"
#include "agent/delegation_tools.h"
#include "agent/object_of.h"
#include "base/hash.h"

namespace mayfly::agent {
namespace {

using engine::ExecutionStatus;
using engine::Operation;
using engine::OperationRequest;
using engine::OperationStatus;
using engine::OperationType;
using Stage = TaskState::Stage;

constexpr std::size_t kSessionKeyBytesMax = 180;
constexpr std::size_t kForwardBytesMax = 256 * 1024;  ///< part of the run's record while it is under way
constexpr std::size_t kChildrenAtOnceMax = 32;        ///< so that cancelling them all fits into one commit

Json task_input(const JsonObject& task) {
  JsonObject out{{"message", JsonArray{llm::to_json(llm::Content::make_text(get_string(task, "task")))}}};
  if (const Json* data = get(task, "data")) out["data"] = *data;
  return out;
}

std::int64_t in_stage(const CallState& call, Stage stage) { return std::ranges::count(call.tasks, stage, &TaskState::stage); }

bool moves_conversation(const ChildRun& child) { return child.kind == kind::kHandOff || child.kind == kind::kForward; }

}  // namespace

void AgentProgram::completing(engine::ProgramContext context, const engine::Completion&) const {
  keep_holder(context, LoopState::from_json(context.run.state));
}

void AgentProgram::keep_holder(engine::ProgramContext context, const LoopState& state) const {
  if (!context.session) return;
  JsonObject kept = object_of(context.session->state);
  kept.erase("holder");
  if (!state.holder.empty()) kept["holder"] = JsonObject{{"agent", state.holder}};
  context.session->state = std::move(kept);
}

bool AgentProgram::can_hand_back(const LoopState& state) const {
  return state.lineage.handed_over && hand_back_ && !spec_.find_tool(tool_name::kHandBack);
}

bool AgentProgram::ends_turn(const LoopState& state, const CallState& call) const {
  if (!call.refusal.empty()) return false;
  if (call.tool == tool_name::kHandBack && can_hand_back(state)) return true;
  const ToolSpec* tool = spec_.find_tool(call.tool);
  return tool && tool->kind == ToolSpec::Kind::HandOff;
}

void AgentProgram::refuse_call(Turn& turn, CallState& call, std::string why) const {
  call.operation = turn.next_operation();
  call.stage = CallState::Stage::Running;
  call.arguments = nullptr;
  OperationRequest request;
  request.name = call.tool;
  request.kind = kind::kRefused;
  request.input = JsonObject{{"call", call.id}, {"text", std::move(why)}};
  turn.start(std::move(request));
}

std::string AgentProgram::refusal_of(const LoopState& state, const Delegation* delegation) const {
  if (!delegation) return "You cannot give work to that agent.";
  const std::vector<std::string>& above = state.lineage.agents;
  const std::string& agent = delegation->agent;
  if (agent == spec_.name || std::ranges::find(above, agent) != above.end())
    return fmt::format("Not done: {} is already at work above you, and waiting for you. Do it yourself, or answer with what you have.", agent);
  const std::int64_t own = spec_.limits.depth, depth = state.lineage.below() ? std::min(own, state.lineage.depth_max) : own;
  if (static_cast<std::int64_t>(above.size()) + 1 > depth)
    return fmt::format("Not done: agents are nested {} deep already, which is the limit. Do it yourself.", above.size());
  if (delegation->mode == Delegation::Mode::Delegate && state.children >= spec_.fan_out.children)
    return fmt::format("Not done: this run has given {} tasks to others, which is its limit. Go on with what you have.", state.children);
  return {};
}

std::string AgentProgram::conversation_key(const Turn& turn) const {
  const engine::Execution& run = turn.context.run;
  const std::string key = run.keyed ? run.session : spec_.name + "/" + run.id;
  return key.size() <= kSessionKeyBytesMax ? key : "shared-" + sha256_hex(key);
}

void AgentProgram::invoke(Turn& turn, const Delegation& delegation, std::string_view kind, JsonObject input, const Amounts& share) const {
  const engine::Execution& run = turn.context.run;
  LoopState& state = turn.state;
  const bool moves = delegation.mode == Delegation::Mode::Handoff;
  Lineage lineage = state.lineage;
  lineage.depth_max = lineage.below() ? std::min(lineage.depth_max, spec_.limits.depth) : spec_.limits.depth;
  lineage.agents.push_back(spec_.name);
  lineage.budget = share;
  lineage.handed_over = moves;
  input["agent"] = delegation.agent;
  input["lineage"] = lineage.to_json();
  if (moves ? run.keyed : delegation.session == Delegation::Session::Shared) input["session"] = conversation_key(turn);
  std::int64_t wall_time = delegation.deadline.count();
  if (run.deadline) {
    const std::int64_t left = std::max<std::int64_t>(to_unix_ms(*run.deadline) - to_unix_ms(turn.context.now), 1);
    wall_time = wall_time > 0 ? std::min(wall_time, left) : left;
  }
  if (wall_time > 0) input["wall_time_ms"] = wall_time;
  state.child_runs.push_back({turn.next_operation(), std::string(kind), share});
  state.children_reserved += share;
  ++state.children;
  OperationRequest request;
  request.type = OperationType::ChainedInvoke;
  request.name = delegation.agent;
  request.kind = kind;
  request.input = std::move(input);
  turn.start(std::move(request));
}

// --- one task

void AgentProgram::start_delegate(Turn& turn, CallState& call) const {
  const JsonObject arguments = object_of(call.arguments);
  const Delegation* delegation = spec_.find_delegation(get_string(arguments, "agent"));
  std::string refusal = refusal_of(turn.state, delegation);
  if (refusal.empty() && turn.state.child_runs.size() >= kChildrenAtOnceMax) refusal = "Not done: too many agents work for you. Ask again later.";
  if (!refusal.empty()) return refuse_call(turn, call, std::move(refusal));
  const auto sharers = std::ranges::count_if(turn.state.calls, [](const CallState& each) {
    return each.stage == CallState::Stage::Waiting && (each.tool == tool_name::kDelegate || each.tool == tool_name::kFanOut);
  });
  const auto share = share_for(turn.state, *delegation, sharers + 1);
  if (!share) return refuse_call(turn, call, "Not done: " + share.error().message + ".");
  call.arguments = nullptr;
  call.operation = turn.next_operation();
  invoke(turn, *delegation, kind::kDelegate, {{"call", call.id}, {"input", task_input(arguments)}}, *share);
}

// --- several tasks

void AgentProgram::start_fan_out(Turn& turn, CallState& call) const {
  const JsonObject arguments = object_of(std::exchange(call.arguments, nullptr));
  if (const JsonArray* tasks = get_array(arguments, "tasks")) {
    for (const Json& each : *tasks) {
      JsonObject task = object_of(each);
      const std::string agent = get_string(task, "agent");
      task.erase("agent");
      call.tasks.push_back({Stage::Waiting, agent, 0, {}, std::move(task)});
    }
  }
  const auto count = static_cast<std::int64_t>(call.tasks.size());
  call.gather = get_string(arguments, "gather", "all");
  call.needed = call.gather == "all" ? count : call.gather == "first" ? 1 : std::clamp<std::int64_t>(get_int(arguments, "count", count / 2 + 1), 1, count);
  OperationRequest request;
  request.type = OperationType::Context;
  request.name = call.tool;
  request.kind = kind::kFanOut;
  request.performer = engine::Performer::Program;
  request.input = JsonObject{{"call", call.id}, {"gather", call.gather}, {"needed", call.needed}, {"tasks", count}};
  turn.start(std::move(request));
  fill_fan_out(turn, call);
}

void AgentProgram::fill_fan_out(Turn& turn, CallState& call) const {
  LoopState& state = turn.state;
  for (TaskState& task : call.tasks) {
    if (task.stage != Stage::Waiting) continue;
    const auto at_work = std::ranges::count(state.child_runs, kind::kTask, &ChildRun::kind);
    if (at_work >= spec_.fan_out.parallel || state.child_runs.size() >= kChildrenAtOnceMax) break;
    const Delegation* delegation = spec_.find_delegation(task.agent);
    std::string why = refusal_of(state, delegation);
    auto share = Result<Amounts>(Amounts{});
    if (why.empty()) share = share_for(state, *delegation, in_stage(call, Stage::Waiting));
    if (!share) why = "Not done: " + share.error().message + ".";
    const JsonObject what = object_of(std::exchange(task.task, nullptr));
    if (!why.empty()) {
      task.stage = Stage::Refused;
      task.why = std::move(why);
      continue;
    }
    task.stage = Stage::Running;
    task.operation = turn.next_operation();
    invoke(turn, *delegation, kind::kTask, {{"call", call.id}, {"context", call.operation}, {"input", task_input(what)}}, *share);
  }
  const std::int64_t good = in_stage(call, Stage::Succeeded), running = in_stage(call, Stage::Running), waiting = in_stage(call, Stage::Waiting);
  const bool met = good >= call.needed, over = running + waiting == 0;
  // Everybody is heard when all were asked for, even if one has failed.
  const bool hopeless = call.gather == "quorum" && good + running + waiting < call.needed;
  if (met || over || hopeless) finish_fan_out(turn, call);
}

void AgentProgram::finish_fan_out(Turn& turn, CallState& call) const {
  JsonArray tasks;
  for (TaskState& task : call.tasks) {
    if (task.stage == Stage::Running) drop_child(turn, task.operation);
    if (task.stage == Stage::Running || task.stage == Stage::Waiting) task.stage = Stage::Cancelled;
    JsonObject entry{{"agent", task.agent}, {"state", to_string(task.stage)}};
    if (task.operation) entry["operation"] = task.operation;
    if (!task.why.empty()) entry["why"] = task.why;
    turn.state.new_bytes += static_cast<std::int64_t>(task.why.size()) + kMessageOverheadBytes;
    tasks.push_back(std::move(entry));
  }
  const bool met = in_stage(call, Stage::Succeeded) >= call.needed;
  const auto insists = [&](const TaskState& task) {
    const Delegation* delegation = spec_.find_delegation(task.agent);
    return task.stage == Stage::Failed && delegation && delegation->on_failure == Delegation::OnFailure::Fail;
  };
  turn.decision.end.push_back(
      {call.operation, OperationStatus::Succeeded, JsonObject{{"met", met}, {"gather", call.gather}, {"tasks", std::move(tasks)}}, {}});
  if (const auto failed = std::ranges::find_if(call.tasks, insists); !met && failed != call.tasks.end())
    fail_run(turn, Error{"delegation.failed", fmt::format("{} failed (operation {}), and nothing is to go on without it", failed->agent, failed->operation),
                         Retry::Never});
  call.stage = CallState::Stage::Done;
  call.tasks.clear();
}

void AgentProgram::task_ended(Turn& turn, CallState& call, TaskState& task, const Operation& operation) const {
  task.stage = operation.status == OperationStatus::Succeeded ? Stage::Succeeded : Stage::Failed;
  const auto bytes = std::min(tool_result_text(operation).size(), gathered_bytes_max(call.tasks.size()));
  turn.state.new_bytes += static_cast<std::int64_t>(bytes);
  const Delegation* delegation = spec_.find_delegation(task.agent);
  const bool insists = delegation && delegation->on_failure == Delegation::OnFailure::Fail;
  if (task.stage == Stage::Failed && insists && call.gather == "all") return finish_fan_out(turn, call);
  fill_fan_out(turn, call);
}

// --- the conversation moves

void AgentProgram::start_hand_off(Turn& turn, CallState& call) const {
  const Delegation* delegation = spec_.find_delegation(get_string(object_of(call.arguments), "agent"));
  if (std::string refusal = refusal_of(turn.state, delegation); !refusal.empty()) return refuse_call(turn, call, std::move(refusal));
  OperationRequest request;
  request.name = kind::kTranscript;
  request.kind = kind::kTranscript;
  request.retry = retry_of(RetryPolicy{.attempts_max = 20});
  request.input = JsonObject{{"call", call.id}};
  turn.start(std::move(request));
}

void AgentProgram::transcript_ended(Turn& turn, const Operation& operation) const {
  const auto call = std::ranges::find(turn.state.calls, operation.id, &CallState::operation);
  if (call == turn.state.calls.end()) return;
  if (operation.status != OperationStatus::Succeeded)
    return fail_run(turn, operation.error.value_or(Error{"handoff.failed", "the conversation could not be read", Retry::Never}));
  const JsonObject arguments = object_of(std::exchange(call->arguments, nullptr));
  const Delegation* delegation = spec_.find_delegation(get_string(arguments, "agent"));
  const auto share = share_for(turn.state, *delegation, 0);
  if (!share) return refuse_call(turn, *call, "Not done: " + share.error().message + ".");
  const std::string transcript = get_string(object_of(operation.result), "text");
  Json input = task_input({{"task", get_string(arguments, "message")}});
  if (!transcript.empty())
    input.as_object()["history"] = JsonArray{llm::to_json(llm::Message::user(fmt::format(
        "You take over a conversation from {}. Reason: {}\nThe conversation so far:\n\n{}", spec_.name, get_string(arguments, "reason"), transcript)))};
  call->operation = turn.next_operation();
  invoke(turn, *delegation, kind::kHandOff, {{"call", call->id}, {"reason", get_string(arguments, "reason")}, {"input", std::move(input)}}, *share);
  turn.state.holder = delegation->agent;
}

bool AgentProgram::forward(Turn& turn, const Json& input) const {
  const std::string& holder = turn.state.holder;
  if (holder.empty() || !turn.context.session) return false;
  const Delegation* delegation = spec_.find_delegation(holder);
  if (!delegation || delegation->mode != Delegation::Mode::Handoff || !refusal_of(turn.state, delegation).empty()) {
    turn.state.holder.clear();
    return false;
  }
  const auto share = share_for(turn.state, *delegation, 0);
  JsonObject passed;
  for (const std::string_view key : {"message", "data"})
    if (const Json* value = get(object_of(input), key)) passed[key] = *value;
  if (!share || static_cast<std::size_t>(size_of(passed)) > kForwardBytesMax || turn.state.child_runs.size() >= kChildrenAtOnceMax) return false;
  turn.state.new_bytes -= turn.state.answered_by == 0 && turn.state.child_runs.empty() ? fixed_bytes_ : 0;
  invoke(turn, *delegation, kind::kForward, {{"input", std::move(passed)}}, *share);
  return true;
}

void AgentProgram::answer_came(Turn& turn, const Operation& operation) const {
  LoopState& state = turn.state;
  JsonObject result = object_of(operation.result);
  const Delegation* delegation = spec_.find_delegation(operation.name);
  const bool ok = operation.status == OperationStatus::Succeeded, back = ok && get_bool(result, "handed_back");
  state.new_bytes += static_cast<std::int64_t>(tool_result_text(operation).size()) + kMessageOverheadBytes;
  if (!ok || back) turn.state.holder.clear();
  if (!ok && delegation && delegation->on_failure == Delegation::OnFailure::Fail)
    return fail_run(turn, operation.error.value_or(Error{"delegation.failed", operation.name + " failed", Retry::Never}));
  if (ok && !back && operation.id > state.answered_by) {
    state.answered_by = operation.id;
    state.answer = std::move(result);
  }
  if (const auto call = std::ranges::find(state.calls, operation.id, &CallState::operation); call != state.calls.end())
    call->stage = CallState::Stage::Done;
  if (std::ranges::any_of(state.child_runs, moves_conversation)) return;
  Json answer = std::exchange(state.answer, nullptr);
  if (answer.is_object() && !state.holder.empty() && state.unseen == 0 && ok && !back) {
    state.calls.clear();
    turn.decision.complete = engine::Completion{ExecutionStatus::Succeeded, std::move(answer), {}};
    return;
  }
  state.new_bytes += operation.kind == kind::kForward ? fixed_bytes_ : 0;
  advance_calls(turn);
}

void AgentProgram::hand_back(Turn& turn, CallState& call) const {
  const std::string message = get_string(object_of(call.arguments), "message");
  OperationRequest request;
  request.type = OperationType::Context;
  request.name = call.tool;
  request.kind = kind::kHandBack;
  request.performer = engine::Performer::Program;
  request.input = JsonObject{{"call", call.id}, {"message", message}};
  call.arguments = nullptr;
  turn.decision.end.push_back({turn.next_operation(), OperationStatus::Succeeded, JsonObject{{"text", "Handed back."}}, {}});
  turn.start(std::move(request));
  call.stage = CallState::Stage::Done;
  turn.decision.complete =
      engine::Completion{ExecutionStatus::Succeeded, JsonObject{{"text", message}, {"handed_back", true}}, {}};
}

// --- an answer

void AgentProgram::child_ended(Turn& turn, const Operation& operation) const {
  settle_child(turn, operation);
  if (operation.kind == kind::kHandOff || operation.kind == kind::kForward) return answer_came(turn, operation);
  for (CallState& call : turn.state.calls) {
    const auto task = std::ranges::find(call.tasks, operation.id, &TaskState::operation);
    if (task != call.tasks.end()) {
      task_ended(turn, call, *task, operation);
      if (!turn.decision.complete) advance_calls(turn);
      return;
    }
  }
  const Delegation* delegation = spec_.find_delegation(operation.name);
  if (operation.status != OperationStatus::Succeeded && delegation && delegation->on_failure == Delegation::OnFailure::Fail)
    return fail_run(turn, Error{"delegation.failed", operation.name + " failed: " + (operation.error ? cut(operation.error->message) : "no reason given"),
                                Retry::Never});
  call_ended(turn, operation);
}

}  // namespace mayfly::agent
