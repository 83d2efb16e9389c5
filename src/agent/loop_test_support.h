#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <stdexcept>

#include "agent/agent_input.h"
#include "agent/agent_program.h"

/// Tests of the loop without an engine.
namespace mayfly::agent {

using engine::Decision;
using engine::ExecutionStatus;
using engine::Operation;
using engine::OperationStatus;
using engine::OperationType;

inline llm::PriceTable prices() {
  return *llm::PriceTable::parse(R"({"version":"t","models":{"m":{"input":1.0,"output":10.0,"cache_read":0.1,"cache_write":1.25}}})");
}

inline ToolSpec tool(const std::string& name, ToolSpec::Kind kind = ToolSpec::Kind::Command) {
  ToolSpec out;
  out.kind = kind;
  out.name = name;
  out.parameters = *parse_json(R"({"type":"object","properties":{"n":{"type":"number"}},"required":["n"]})");
  return out;
}

inline AgentSpec spec() {
  AgentSpec out;
  out.name = "a";
  out.models = {"p/m"};
  out.instructions = "Be brief.";
  out.output_tokens_max = 1000;
  out.tools = {tool("look"), tool("pay")};
  out.tools[1].effect = Effect::AtMostOnce;
  return out;
}

/// Plays the engine: starts what the program asks for, and lets the test end operations one by one.
class Loop {
 public:
  /// With `carried`: a run in a session whose conversation has so many tokens.
  explicit Loop(AgentSpec agent, std::int64_t carried = 0) : spec(std::move(agent)), program(*AgentProgram::make(spec, prices())) {
    run.id = "run_1";
    run.program = spec.name;
    run.keyed = carried > 0;
    session.state = JsonObject{{"context_tokens", carried}};
    Operation input;
    input.type = OperationType::Execution;
    input.input = *normalise_input("hello");
    journal.push_back(input);
    take(program->begin(context(), input.input));
  }
  /// A run below others, or in a session with some state.
  Loop(AgentSpec agent, Json run_input, Json session_state = nullptr) : spec(std::move(agent)), program(*AgentProgram::make(spec, prices())) {
    run.id = "run_1";
    run.program = spec.name;
    run.keyed = !session_state.is_null();
    run.session = run.keyed ? spec.name + "/s1" : run.id;
    session.state = std::move(session_state);
    Operation input;
    input.type = OperationType::Execution;
    input.input = std::move(run_input);
    journal.push_back(input);
    take(program->begin(context(), input.input));
  }

  engine::ProgramContext context() { return {run, run.keyed ? &session : nullptr, now}; }

  void take(Decision decision) {
    last_started.clear();
    for (auto& request : decision.start) {
      engine::PendingOperation op;
      op.id = run.next_operation++;
      op.type = request.type;
      op.name = request.name;
      op.kind = request.kind;
      op.input = request.input;
      op.repeat = request.repeat;
      op.retry = request.retry;
      op.due = request.due;
      run.pending.push_back(op);
      last_started.push_back(op.kind + ":" + op.name);
    }
    for (const auto& end : decision.end) {
      Operation op = pop(end.operation);
      op.status = end.status;
      op.result = end.result;
      op.error = end.error;
      if (op.type == OperationType::ChainedInvoke) cancelled.push_back(op.id);
      journal.push_back(std::move(op));
    }
    for (Json& message : decision.send) sent.push_back(std::move(message));
    if (decision.complete) completion = decision.complete;
    std::ranges::sort(journal, {}, &Operation::id);
  }

  Operation pop(std::int64_t id) {
    const auto at = std::ranges::find(run.pending, id, &engine::PendingOperation::id);
    if (at == run.pending.end()) throw std::logic_error(fmt::format("operation {} is not pending", id));
    Operation op;
    op.id = at->id;
    op.type = at->type;
    op.name = at->name;
    op.kind = at->kind;
    op.input = at->input;
    op.started = op.ended = now;
    op.ended_event = ++run.events;
    op.unknown_attempts = at->unknown_attempts;
    run.pending.erase(at);
    return op;
  }
  void end(Operation op) {
    journal.push_back(op);
    std::ranges::sort(journal, {}, &Operation::id);
    take(program->ended(context(), op));
  }
  void succeed(std::int64_t id, Json result, Json meta = nullptr) {
    Operation op = pop(id);
    op.result = std::move(result);
    op.meta = std::move(meta);
    end(std::move(op));
  }
  void fail_with(std::int64_t id, Error error) {
    Operation op = pop(id);
    op.status = OperationStatus::Failed;
    op.error = std::move(error);
    end(std::move(op));
  }
  /// The model says a text and makes calls, given as {id, name, arguments text}.
  void say(std::int64_t id, const std::string& text, const std::vector<std::array<std::string, 3>>& calls = {},
           const std::string& stop = "", llm::Usage usage = {.input = 100, .output = 50}) {
    llm::Message message;
    message.role = llm::Role::Assistant;
    if (!text.empty()) message.content.push_back(llm::Content::make_text(text));
    for (const auto& [call, name, arguments] : calls) {
      auto parsed = parse_json(arguments);
      llm::Content part = llm::Content::make_tool_call(call, name, parsed && parsed->is_object() ? *parsed : Json(nullptr));
      if (part.arguments.is_null()) part.text = arguments;
      message.content.push_back(std::move(part));
    }
    const std::string reason =
        !stop.empty() ? stop : std::string(to_string(calls.empty() ? llm::StopReason::End : llm::StopReason::ToolCalls));
    succeed(id, JsonObject{{"message", llm::to_json(message)}, {"stop_reason", reason}},
            JsonObject{{"usage", llm::to_json(usage)}, {"nano_usd", prices().cost("m", usage)}});
  }
  /// Another agent's run has ended, and used so much in all.
  void child(std::int64_t id, const std::string& text, llm::NanoUsd usd = 0, std::int64_t steps = 1, JsonObject more = {}) {
    more["text"] = text;
    succeed(id, std::move(more), child_meta(usd, steps));
  }
  void child_failed(std::int64_t id, const std::string& why, llm::NanoUsd usd = 0) {
    Operation op = pop(id);
    op.status = OperationStatus::Failed;
    op.error = Error{"run.failed", why, Retry::Never};
    op.meta = child_meta(usd, 1);
    end(std::move(op));
  }
  static Json child_meta(llm::NanoUsd usd, std::int64_t steps) {
    return JsonObject{{"run", "run_child"}, {"summary", JsonObject{{"nano_usd", 1}, {"total", JsonObject{{"nano_usd", usd}, {"steps", steps}}}}}};
  }
  const JsonObject& input_of(std::int64_t id) { return run.find_pending(id)->input.as_object(); }
  std::string last_text() { return conversation().back().content.back().text; }
  /// An attempt was cut off; says whether another may follow.
  bool cut_off(std::int64_t id) {
    engine::PendingOperation& op = *run.find_pending(id);
    ++op.unknown_attempts;
    return program->may_repeat(context(), op, Error{"llm.bad_response", "cut", Retry::OutcomeUnknown});
  }
  Json result_text(const std::string& text) { return JsonObject{{"text", text}, {"is_error", false}}; }
  std::vector<llm::Message> conversation() { return conversation_of(journal); }
  LoopState state() const { return LoopState::from_json(run.state); }

  AgentSpec spec;
  std::shared_ptr<const AgentProgram> program;
  engine::Execution run;
  engine::Session session;
  TimePoint now = from_unix_ms(1'700'000'000'000);
  std::vector<Operation> journal;
  std::vector<std::string> last_started;
  std::vector<std::int64_t> cancelled;  ///< runs of others that are not wanted any more
  std::vector<Json> sent;
  std::optional<engine::Completion> completion;
};

}  // namespace mayfly::agent
