#include <algorithm>

#include "base/hash.h"
#include "workflow/interpreter.h"

namespace mayfly::workflow {
namespace {

using engine::Decision;
using engine::Operation;
using engine::ProgramContext;

class Program final : public engine::Program {
 public:
  Program(std::shared_ptr<const StateMachine> machine, Expressions& expressions)
      : machine_(std::move(machine)), expressions_(expressions) {}

  Decision begin(ProgramContext context, const Json& input) const override {
    context.run.summary = JsonObject{{"kind", "workflow"}};
    Interpreter run(context, *machine_, expressions_);
    return saved(run, run.begin(input));
  }
  Decision ended(ProgramContext context, const Operation& operation) const override {
    Interpreter run(context, *machine_, expressions_);
    return saved(run, run.ended(operation));
  }
  Decision message(ProgramContext, const Operation&) const override { return {}; }
  bool may_repeat(ProgramContext, const engine::PendingOperation&, const Error&) const override { return true; }
  engine::OnUnknownOutcome on_unknown(ProgramContext, const engine::PendingOperation&) const override {
    return engine::OnUnknownOutcome::Retry;
  }

  void closing(ProgramContext context, Operation& operation) const override {
    JsonObject* state = context.run.state.if_object();
    JsonArray* log = state ? state->at("log").if_array() : nullptr;
    if (!log || log->empty()) return;
    operation.note = JsonObject{{"events", std::exchange(*log, {})}};
  }
  void completing(ProgramContext context, const engine::Completion& completion) const override {
    Interpreter run(context, *machine_, expressions_);
    run.completing(completion);
    run.save();
  }
  Result<engine::Reaction> command(ProgramContext context, const Json& body) const override {
    if (!body.is_object()) return fail("program.no_commands", "a command of a state machine is an object");
    Interpreter run(context, *machine_, expressions_);
    auto decision = run.command(body.get_object());
    if (!decision) return std::unexpected(decision.error());
    run.save();
    return engine::Reaction{std::move(*decision), nullptr};
  }

 private:
  /// The state is written after the decision was made: it may still end the run because it became too large.
  static Decision saved(Interpreter& run, Decision decision) {
    if (auto too_large = run.save()) decision.complete = std::move(*too_large);
    return decision;
  }

  std::shared_ptr<const StateMachine> machine_;
  Expressions& expressions_;
};

}  // namespace

std::shared_ptr<const engine::Program> make_workflow_program(std::shared_ptr<const StateMachine> machine, std::string, std::int64_t,
                                                             Expressions& expressions) {
  return std::make_shared<Program>(std::move(machine), expressions);
}

Json execution_input(const ExecutionIdentity& identity, const Json& input) {
  return JsonObject{{"workflow", identity.state_machine}, {"version", identity.version}, {"name", identity.name}, {"input", input}};
}

std::vector<JsonObject> history_of(const engine::Execution& run, const std::vector<Operation>& operations) {
  std::vector<JsonObject> out;
  const auto add = [&](const Json& holder, std::string_view key) {
    const JsonObject* object = holder.if_object();
    const JsonArray* events = object ? get_array(*object, key) : nullptr;
    if (!events) return;
    for (const Json& event : *events)
      if (event.is_object()) out.push_back(event.get_object());
  };
  for (const Operation& operation : operations) add(operation.note, "events");
  add(run.state, "log");
  std::ranges::sort(out, {}, [](const JsonObject& event) { return get_int(event, "id"); });
  for (JsonObject& event : out) {
    for (auto& member : event) {
      JsonObject* details = member.value().if_object();
      if (!details) continue;
      for (const std::string_view value : {"input", "output"})
        if (details->contains(value)) (*details)[std::string(value) + "Details"] = JsonObject{{"truncated", false}};
      if (details->contains("assignedVariables")) (*details)["assignedVariablesDetails"] = JsonObject{{"truncated", false}};
    }
  }
  return out;
}

std::string make_task_token(const std::string& run, std::int64_t operation) {
  return to_base64url("1/" + run + "/" + std::to_string(operation));
}

Result<TaskRef> parse_task_token(std::string_view token) {
  const auto refuse = [] {
    return fail("workflow.invalid_token", "the task token is not one that Mayfly has given out; pass it on unchanged");
  };
  std::string standard(token.substr(0, 1025));
  if (standard.size() > 1024) return refuse();
  std::ranges::replace(standard, '-', '+');
  std::ranges::replace(standard, '_', '/');
  while (standard.size() % 4 != 0) standard += '=';
  const auto text = from_base64(standard);
  if (!text || !text->starts_with("1/")) return refuse();
  const std::size_t slash = text->rfind('/');
  if (slash < 2) return refuse();
  TaskRef out{text->substr(2, slash - 2), 0};
  const std::string digits = text->substr(slash + 1);
  if (out.run.empty() || digits.empty() || digits.size() > 15 || digits.find_first_not_of("0123456789") != std::string::npos)
    return refuse();
  out.operation = std::stoll(digits);
  if (!engine::keys::partition_of_run(out.run)) return refuse();
  return out;
}

engine::Resolved task_succeeded(const TaskRef& task, Json output) {
  engine::Resolved out;
  out.run = task.run;
  out.operation = task.operation;
  out.result = std::move(output);
  return out;
}

engine::Resolved task_failed(const TaskRef& task, std::string error, std::string cause) {
  engine::Resolved out;
  out.run = task.run;
  out.operation = task.operation;
  out.action = engine::Resolved::Action::Fail;
  out.error = Error{"task.failed", cause.empty() ? "the task failed" : cause, Retry::Never};
  out.result = JsonObject{{"Error", std::move(error)}, {"Cause", std::move(cause)}};
  return out;
}

Json heartbeat_command(const TaskRef& task) { return JsonObject{{"do", "heartbeat"}, {"operation", task.operation}}; }
Json activity_started_command(const TaskRef& task, const std::string& worker) {
  return JsonObject{{"do", "activity_started"}, {"operation", task.operation}, {"worker", worker}};
}

}  // namespace mayfly::workflow
