#include <fmt/format.h>

#include <algorithm>

#include "agent/agent_turn.h"
#include "agent/object_of.h"
#include "base/log.h"
#include "trigger/event.h"

namespace mayfly::agent {
namespace {

using engine::Operation;
using engine::OperationRequest;
using engine::OperationType;

constexpr std::size_t kResultBytesMax = 256 * 1024;
constexpr std::size_t kDetailBytesMax = 16 * 1024;

std::string session_key(const engine::Execution& run) {
  return run.keyed && run.session.size() > run.program.size() + 1 ? run.session.substr(run.program.size() + 1) : std::string();
}

/// A value, or a note that it is too large to be passed on.
Json bounded(const Json& value, std::size_t bytes_max) {
  const auto bytes = static_cast<std::size_t>(size_of(value));
  return bytes <= bytes_max ? value : Json(JsonObject{{"too_large", true}, {"bytes", bytes}});
}

std::string_view group_of(std::string_view operation_kind, OperationType type) {
  if (type == OperationType::ChainedInvoke) return "child";
  if (operation_kind == kind::kModel) return "model";
  if (operation_kind == kind::kTool || operation_kind == kind::kMemory) return "tool";
  if (operation_kind == kind::kSleep || operation_kind == kind::kEvent) return "wait";
  if (operation_kind == kind::kAsk || operation_kind == kind::kApproval || operation_kind == kind::kLimit) return "question";
  return "";
}

std::string event_name(std::string_view group, bool started) {
  if (group.empty()) return "";
  if (group == "question") return started ? "question.asked" : "question.answered";
  return std::string(group) + (started ? ".started" : ".ended");
}

JsonObject data_of(const engine::Execution& run) {
  JsonObject out{{"run", run.id}, {"agent", run.program}, {"session", run.keyed ? Json(session_key(run)) : Json(nullptr)}};
  return out;
}

trigger::Event event_of(const engine::Execution& run, std::string_view number, std::string_view type, TimePoint now, JsonObject data) {
  trigger::Event out;
  out.id = fmt::format("{}-{}", run.id, number);
  out.source = "/agents/" + run.program;
  out.type = fmt::format("mayfly.{}", type);
  out.subject = run.id;
  out.time = now;
  out.data_content_type = "application/json";
  out.data = std::move(data);
  return out;
}

/// What an agent is told: a message to read, and the event's data beside it.
Json message_for_agent(const engine::Execution& run, const trigger::Event& event) {
  const JsonObject& data = event.data.get_object();
  std::string text = fmt::format("{}: {}", event.type, run.id);
  if (const JsonObject* result = get_object(data, "result"); result && !get_string(*result, "text").empty()) text = get_string(*result, "text");
  if (const JsonObject* error = get_object(data, "error"))
    text = fmt::format("The run {} of {} did not succeed: {}", run.id, run.program, get_string(*error, "message"));
  return JsonObject{{"message", text}, {"data", event.data}};
}

Json delivery(const engine::Execution& run, const trigger::Target& target, const trigger::Event& event) {
  JsonObject out{{"kind", "deliver"}, {"target", trigger::to_json(target)}, {"event", trigger::to_json(event)}};
  if (run.keyed) out["session"] = session_key(run);
  if (target.kind == trigger::Target::Kind::Agent) out["input"] = message_for_agent(run, event);
  return out;
}

bool too_far(const engine::Execution& run, std::int64_t hops) {
  if (hops < Destinations::kHopsMax) return false;
  log::warn("a destination is not told: the work has been passed on too often, perhaps in a circle",
            {{"run", run.id}, {"agent", run.program}, {"hops", hops}});
  return true;
}

}  // namespace

void AgentProgram::tell(Turn& turn, const Operation* ended) const {
  if (spec_.destinations.on_event.empty()) return;
  const engine::Execution& run = turn.context.run;
  const std::int64_t hops = turn.state.lineage.hops;
  const auto wants = [&](const std::string& name, const Destinations::OnEvent& each) {
    return std::ranges::find(each.events, name) != each.events.end();
  };
  const auto send = [&](const std::string& name, std::string_view number, JsonObject operation) {
    const bool wanted = std::ranges::any_of(spec_.destinations.on_event, [&](const auto& each) { return wants(name, each); });
    if (!wanted || too_far(run, hops)) return;
    JsonObject data = data_of(run);
    data["hops"] = hops + 1;
    if (!operation.empty()) data["operation"] = std::move(operation);
    const trigger::Event event = event_of(run, number, name, turn.context.now, std::move(data));
    for (const Destinations::OnEvent& each : spec_.destinations.on_event)
      if (wants(name, each)) turn.decision.send.push_back(delivery(run, each.target, event));
  };
  if (run.next_operation == 1 && !ended) send("run.started", "started", {});
  if (ended) {
    if (const std::string name = event_name(group_of(ended->kind, ended->type), false); !name.empty()) {
      JsonObject operation{{"id", ended->id}, {"name", ended->name}, {"kind", ended->kind}, {"status", engine::to_string(ended->status)},
                           {"result", bounded(ended->result, kDetailBytesMax)}};
      if (ended->error) operation["error"] = JsonObject{{"code", ended->error->code}, {"message", ended->error->message}};
      send(name, fmt::format("{}.ended", ended->id), std::move(operation));
    }
  }
  std::int64_t id = run.next_operation;
  for (const OperationRequest& request : turn.decision.start) {
    const std::int64_t number = id++;
    const std::string name = event_name(group_of(request.kind, request.type), true);
    if (name.empty()) continue;
    send(name, fmt::format("{}.started", number),
         {{"id", number}, {"name", request.name}, {"kind", request.kind}, {"input", bounded(request.input, kDetailBytesMax)}});
  }
}

std::vector<Json> AgentProgram::farewell(const engine::Execution& run) const {
  const bool ok = run.status == engine::ExecutionStatus::Succeeded;
  const std::vector<trigger::Target>& targets = ok ? spec_.destinations.on_success : spec_.destinations.on_failure;
  if (targets.empty()) return {};
  const std::int64_t hops = LoopState::from_json(run.state).lineage.hops;
  if (too_far(run, hops)) return {};
  JsonObject data = data_of(run);
  data["hops"] = hops + 1;
  if (ok)
    data["result"] = bounded(run.result, kResultBytesMax);
  else if (run.error)
    data["error"] = JsonObject{{"code", run.error->code}, {"message", run.error->message}};
  data["summary"] = run.summary;
  std::string status(engine::to_string(run.status));
  std::ranges::transform(status, status.begin(), [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
  const trigger::Event event = event_of(run, "ended", "run." + status, run.ended.value_or(run.updated), std::move(data));
  std::vector<Json> out;
  for (const trigger::Target& target : targets) out.push_back(delivery(run, target, event));
  return out;
}

}  // namespace mayfly::agent
