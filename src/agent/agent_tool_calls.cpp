#include <fmt/format.h>

#include <algorithm>

#include "agent/agent_input.h"
#include "agent/agent_turn.h"
#include "agent/delegation_tools.h"
#include "agent/object_of.h"

namespace mayfly::agent {
namespace {

using engine::Operation;
using engine::OperationRequest;
using engine::OperationStatus;
using engine::OperationType;

/// "the arguments": one line for a person.
std::string brief(const Json& value) {
  std::string text = to_text(value);
  if (text.size() > 300) text = to_utf8_lossy(text.substr(0, 300)) + "…";
  return text;
}

}  // namespace

void AgentProgram::take_calls(Turn& turn, const llm::Message& message, Ending ending) const {
  turn.state.calls.clear();
  turn.state.continuations = 0;
  for (const llm::Content& part : message.content) {
    if (part.kind != llm::Content::Kind::ToolCall) continue;
    // Cut-off arguments can often be completed to something valid that the model never meant; `{}` may be the very beginning of some.
    const bool may_be_cut = ending == Ending::CutOff && &part == &message.content.back();
    const bool cut_off = ending == Ending::CutOff && (!part.arguments.is_object() || (may_be_cut && part.arguments.get_object().empty()));
    CallState call{part.id, part.name, CallState::Stage::Waiting, 0, part.arguments, {}};
    const auto tool = tools_.find(part.name);
    const bool hands_back = part.name == tool_name::kHandBack && can_hand_back(turn.state);
    if (tool == tools_.end() && !hands_back) {
      std::string names;
      for (const auto& [name, entry] : tools_) names += (names.empty() ? "" : ", ") + name;
      call.refusal = "There is no tool '" + part.name + "'. " + (names.empty() ? "You have no tools." : "You have: " + names + ".");
    } else if (cut_off) {
      call.refusal =
          "Your call was cut off at the output limit: it was not made. "
          "Make it again with shorter arguments, or in smaller parts.";
    } else {
      if (!call.arguments.is_object())
        if (auto repaired = repair_json_object(part.text)) call.arguments = std::move(*repaired);
      if (!call.arguments.is_object()) {
        call.refusal = "The arguments are not a JSON object. Call the tool again with valid JSON.";
      } else if (const auto problems = (hands_back ? *hand_back_ : tool->second.parameters).validate(call.arguments);
                 !problems.empty()) {
        call.refusal = "The arguments do not match the tool's schema:";
        for (std::size_t i = 0; i < std::min<std::size_t>(problems.size(), 10); ++i) call.refusal += "\n- " + problems[i];
      }
    }
    if (!call.refusal.empty()) {
      call.refusal = cut(std::move(call.refusal));
      call.arguments = nullptr;
    }
    turn.state.calls.push_back(std::move(call));
  }
}

void AgentProgram::advance_calls(Turn& turn) const {
  const std::int64_t parallel = std::max<std::int64_t>(spec_.limits.parallel_tool_calls, 1);
  std::vector<CallState>& calls = turn.state.calls;
  const auto running = [&] {
    return std::ranges::count_if(
        calls, [](const CallState& call) { return call.stage == CallState::Stage::Running || call.stage == CallState::Stage::Approval; });
  };
  for (CallState& call : calls) {
    if (running() >= parallel) return;
    if (call.stage == CallState::Stage::Waiting && !ends_turn(turn.state, call)) start_call(turn, call);
    if (turn.decision.complete) return;
  }
  if (running() > 0) return;
  // What moves the conversation comes last, and once.
  for (CallState& call : calls) {
    if (call.stage != CallState::Stage::Waiting) continue;
    if (running() > 0) call.refusal = "Not done: the conversation can move only once at a time.";
    if (turn.decision.complete) return;
    start_call(turn, call);
  }
  if (running() > 0 || turn.decision.complete) return;
  calls.clear();
  call_model(turn);
}

void AgentProgram::start_call(Turn& turn, CallState& call) const {
  call.operation = turn.next_operation();
  call.stage = CallState::Stage::Running;
  OperationRequest request;
  request.name = call.tool;
  if (!call.refusal.empty()) {
    request.kind = kind::kRefused;
    request.input = JsonObject{{"call", call.id}, {"text", std::exchange(call.refusal, {})}};
    return turn.start(std::move(request));
  }
  if (call.tool == tool_name::kHandBack && can_hand_back(turn.state)) return hand_back(turn, call);
  const Tool& tool = tools_.find(call.tool)->second;
  const bool needs_approval = tool.always_approve || (tool.approval && tool.approval->validate(call.arguments).empty());
  if (!needs_approval) return request_tool(turn, call, tool);
  call.stage = CallState::Stage::Approval;
  request.type = OperationType::Callback;
  request.kind = kind::kApproval;
  request.input = JsonObject{{"call", call.id},
                             {"tool", call.tool},
                             {"arguments", call.arguments},
                             {"question", fmt::format("May {} call {} with {}?", spec_.name, call.tool, brief(call.arguments))}};
  if (tool.spec->approval_timeout.count() > 0) request.due = turn.context.now + tool.spec->approval_timeout;
  turn.start(std::move(request));
}

void AgentProgram::request_tool(Turn& turn, CallState& call, const Tool& tool) const {
  const ToolSpec& spec = *tool.spec;
  if (spec.kind == ToolSpec::Kind::Delegate) return start_delegate(turn, call);
  if (spec.kind == ToolSpec::Kind::FanOut) return start_fan_out(turn, call);
  if (spec.kind == ToolSpec::Kind::HandOff) return start_hand_off(turn, call);
  const JsonObject& config = object_of(spec.config);
  const Json arguments_value = std::exchange(call.arguments, nullptr);
  const JsonObject& arguments = object_of(arguments_value);
  JsonObject input{{"call", call.id}, {"arguments", arguments_value}};
  OperationRequest request;
  request.name = spec.name;
  switch (spec.kind) {
    case ToolSpec::Kind::Sleep:
    case ToolSpec::Kind::WaitUntil: {
      request.type = OperationType::Wait;
      request.kind = kind::kSleep;
      const Millis longest{get_int(config, "max_ms", 366LL * 86'400'000)};
      TimePoint until = turn.context.now + Millis{static_cast<std::int64_t>(get_double(arguments, "seconds") * 1000)};
      if (spec.kind == ToolSpec::Kind::WaitUntil) until = parse_rfc3339(get_string(arguments, "time")).value_or(turn.context.now);
      request.due = std::clamp(until, turn.context.now, turn.context.now + longest);
      break;
    }
    case ToolSpec::Kind::AskPerson: {
      request.type = OperationType::Callback;
      request.kind = kind::kAsk;
      std::string question = get_string(config, "question");
      const std::string asked = get_string(arguments, question.empty() ? "question" : "details");
      if (!asked.empty()) question += (question.empty() ? "" : "\n") + asked;
      input["question"] = std::move(question);
      input["answer_kind"] = get_string(config, "kind", "text");
      if (const JsonArray* options = get_array(config, "options"))
        input["options"] = *options;
      else if (const JsonArray* offered = get_array(arguments, "options"))
        input["options"] = *offered;
      if (const Json* otherwise = get(config, "default")) input["default"] = *otherwise;
      if (const Millis timeout{get_int(config, "timeout_ms")}; timeout.count() > 0) request.due = turn.context.now + timeout;
      break;
    }
    case ToolSpec::Kind::WaitForEvent: {
      request.type = OperationType::Callback;
      request.kind = kind::kEvent;
      const std::string type = get_string(config, "type"), key = get_string(config, "key", get_string(arguments, "key"));
      const TimePoint until = turn.context.now + Millis{get_int(config, "timeout_ms")};
      request.due = until;
      input["type"] = type;
      input["key"] = key;
      turn.decision.send.push_back(JsonObject{{"kind", "wait"},
                                              {"run", turn.context.run.id},
                                              {"operation", turn.next_operation()},
                                              {"type", type},
                                              {"key", key},
                                              {"until", to_unix_ms(until)}});
      break;
    }
    case ToolSpec::Kind::Delegate:
    case ToolSpec::Kind::FanOut:
    case ToolSpec::Kind::HandOff: break;  // above
    case ToolSpec::Kind::Memory:
      request.kind = kind::kMemory;
      request.retry = retry_of(spec.retry);
      break;
    case ToolSpec::Kind::Http:
    case ToolSpec::Kind::Command:
    case ToolSpec::Kind::Function:
    case ToolSpec::Kind::A2a:
    case ToolSpec::Kind::Mcp:
      request.kind = kind::kTool;
      request.retry = retry_of(spec.retry);
      if (spec.effect == Effect::AtMostOnce) request.repeat = engine::Repeat::Never;
      break;
  }
  request.input = std::move(input);
  turn.start(std::move(request));
}

void AgentProgram::approval_ended(Turn& turn, const Operation& operation) const {
  const auto call = std::ranges::find(turn.state.calls, operation.id, &CallState::operation);
  if (call == turn.state.calls.end()) return;
  const Tool& tool = tools_.find(call->tool)->second;
  const bool approved = operation.status == OperationStatus::TimedOut ? tool.spec->approval_default == "approve"
                                                                      : get_bool(object_of(operation.result), "approved");
  if (!approved) return call_ended(turn, operation);
  call->stage = CallState::Stage::Running;
  call->operation = turn.next_operation();
  request_tool(turn, *call, tool);
}

void AgentProgram::call_ended(Turn& turn, const Operation& operation) const {
  const auto call = std::ranges::find(turn.state.calls, operation.id, &CallState::operation);
  if (call == turn.state.calls.end()) return;
  call->stage = CallState::Stage::Done;
  call->arguments = nullptr;
  turn.state.new_bytes += static_cast<std::int64_t>(tool_result_text(operation).size()) + kMessageOverheadBytes;
  advance_calls(turn);
}

engine::OnUnknownOutcome AgentProgram::on_unknown(engine::ProgramContext, const engine::PendingOperation& operation) const {
  const ToolSpec* tool = spec_.find_tool(operation.name);
  if (!tool || tool->on_unknown == OnUnknown::Ask) return engine::OnUnknownOutcome::Ask;
  return tool->on_unknown == OnUnknown::Fail ? engine::OnUnknownOutcome::Fail : engine::OnUnknownOutcome::Retry;
}

std::optional<Json> repair_json_object(std::string_view text) {
  const std::size_t first = text.find('{');
  if (first == std::string_view::npos || text.size() > 1024 * 1024) return std::nullopt;
  std::string out, closers;
  bool in_string = false, escaped = false;
  for (const char c : text.substr(first)) {
    if (in_string) {
      out += c;
      if (escaped)
        escaped = false;
      else if (c == '\\')
        escaped = true;
      else if (c == '"')
        in_string = false;
      continue;
    }
    if (c == '"') in_string = true;
    if (c == '{') closers += '}';
    if (c == '[') closers += ']';
    if (c == '}' || c == ']') {
      while (!out.empty() && (out.back() == ',' || out.back() == ' ' || out.back() == '\n')) out.pop_back();
      if (closers.empty() || closers.back() != c) return std::nullopt;
      closers.pop_back();
    }
    out += c;
    if (closers.empty()) break;
  }
  if (in_string) out += '"';
  while (!out.empty() && (out.back() == ',' || out.back() == ' ' || out.back() == '\n')) out.pop_back();
  out.append(closers.rbegin(), closers.rend());
  auto value = parse_json(out);
  if (!value || !value->is_object()) return std::nullopt;
  return std::move(*value);
}

}  // namespace mayfly::agent
