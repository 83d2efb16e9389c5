#include "agent/loop_state.h"

#include <algorithm>
#include <array>

namespace mayfly::agent {
namespace {

constexpr std::array<std::string_view, 4> kStages{"waiting", "approval", "running", "done"};

struct NumberField {
  std::string_view name;
  std::int64_t LoopState::* member;
};
constexpr std::array kNumbers{
    NumberField{"steps", &LoopState::steps},
    NumberField{"spent", &LoopState::spent},
    NumberField{"assumed_input", &LoopState::assumed_input},
    NumberField{"assumed_output", &LoopState::assumed_output},
    NumberField{"reserved_input", &LoopState::reserved_input},
    NumberField{"reserved_output", &LoopState::reserved_output},
    NumberField{"reserved", &LoopState::reserved},
    NumberField{"granted_steps", &LoopState::granted_steps},
    NumberField{"granted_input", &LoopState::granted_input},
    NumberField{"granted_output", &LoopState::granted_output},
    NumberField{"granted_usd", &LoopState::granted_usd},
    NumberField{"context_tokens", &LoopState::context_tokens},
    NumberField{"new_bytes", &LoopState::new_bytes},
    NumberField{"unseen", &LoopState::unseen},
    NumberField{"output_retries", &LoopState::output_retries},
    NumberField{"continuations", &LoopState::continuations},
    NumberField{"children", &LoopState::children},
    NumberField{"charged_steps", &LoopState::charged_steps},
    NumberField{"answered_by", &LoopState::answered_by},
};

constexpr std::array<std::string_view, 6> kTaskStages{"waiting", "running", "succeeded", "failed", "cancelled", "refused"};

TaskState::Stage task_stage_from(std::string_view text) {
  const auto found = std::ranges::find(kTaskStages, text);
  return found == kTaskStages.end() ? TaskState::Stage::Waiting : static_cast<TaskState::Stage>(found - kTaskStages.begin());
}

void read_tasks(CallState& call, const JsonObject& in) {
  call.gather = get_string(in, "gather");
  call.needed = get_int(in, "needed");
  const JsonArray* tasks = get_array(in, "tasks");
  for (std::size_t i = 0; tasks && i < tasks->size(); ++i) {
    const JsonObject* task = (*tasks)[i].if_object();
    if (!task) continue;
    const Json* what = get(*task, "task");
    call.tasks.push_back({task_stage_from(get_string(*task, "stage")), get_string(*task, "agent"), get_int(*task, "operation"),
                          get_string(*task, "why"), what ? *what : Json(nullptr)});
  }
}

void write_tasks(const CallState& call, JsonObject& out) {
  if (call.tasks.empty()) return;
  out["gather"] = call.gather;
  out["needed"] = call.needed;
  JsonArray list;
  for (const TaskState& task : call.tasks) {
    JsonObject entry{{"stage", to_string(task.stage)}, {"agent", task.agent}};
    if (task.operation) entry["operation"] = task.operation;
    if (!task.why.empty()) entry["why"] = task.why;
    if (!task.task.is_null()) entry["task"] = task.task;
    list.push_back(std::move(entry));
  }
  out["tasks"] = std::move(list);
}

void read_children(LoopState& out, const JsonObject& in) {
  if (const Json* lineage = get(in, "lineage")) out.lineage = Lineage::from_json(*lineage);
  if (const Json* used = get(in, "children_used")) out.children_used = amounts_from_json(*used);
  if (const Json* reserved = get(in, "children_reserved")) out.children_reserved = amounts_from_json(*reserved);
  if (const Json* answer = get(in, "answer")) out.answer = *answer;
  const JsonArray* runs = get_array(in, "child_runs");
  for (std::size_t i = 0; runs && i < runs->size(); ++i) {
    const JsonObject* run = (*runs)[i].if_object();
    if (!run) continue;
    const Json* reserved = get(*run, "reserved");
    out.child_runs.push_back({get_int(*run, "operation"), get_string(*run, "kind"), reserved ? amounts_from_json(*reserved) : Amounts{}});
  }
}

void write_children(const LoopState& state, JsonObject& out) {
  if (Json lineage = state.lineage.to_json(); !lineage.get_object().empty()) out["lineage"] = std::move(lineage);
  if (state.children_used != Amounts{}) out["children_used"] = to_json(state.children_used);
  if (state.children_reserved != Amounts{}) out["children_reserved"] = to_json(state.children_reserved);
  if (!state.answer.is_null()) out["answer"] = state.answer;
  if (state.child_runs.empty()) return;
  JsonArray runs;
  for (const ChildRun& run : state.child_runs)
    runs.push_back(JsonObject{{"operation", run.operation}, {"kind", run.kind}, {"reserved", to_json(run.reserved)}});
  out["child_runs"] = std::move(runs);
}

CallState::Stage stage_from(std::string_view text) {
  for (std::size_t i = 0; i < kStages.size(); ++i)
    if (kStages[i] == text) return static_cast<CallState::Stage>(i);
  return CallState::Stage::Waiting;
}

}  // namespace

std::string_view to_string(TaskState::Stage stage) { return kTaskStages[static_cast<std::size_t>(stage)]; }

LoopState LoopState::from_json(const Json& value) {
  LoopState out;
  const JsonObject* in = value.if_object();
  if (!in) return out;
  for (const NumberField& field : kNumbers) out.*field.member = get_int(*in, field.name);
  if (const Json* usage = get(*in, "usage")) out.usage = llm::usage_from_json(*usage);
  out.partial = get_string(*in, "partial");
  out.holder = get_string(*in, "holder");
  out.breached = get_string(*in, "breached");
  out.compacted = get_bool(*in, "compacted");
  read_children(out, *in);
  if (const JsonArray* calls = get_array(*in, "calls")) {
    for (const Json& element : *calls) {
      const JsonObject* call = element.if_object();
      if (!call) continue;
      const Json* arguments = get(*call, "arguments");
      out.calls.push_back({get_string(*call, "id"), get_string(*call, "tool"), stage_from(get_string(*call, "stage")),
                           get_int(*call, "operation"), arguments ? *arguments : Json(nullptr), get_string(*call, "refusal"), {}, {}, 0});
      read_tasks(out.calls.back(), *call);
    }
  }
  return out;
}

Json LoopState::to_json() const {
  JsonObject out;
  for (const NumberField& field : kNumbers)
    if (this->*field.member != 0) out[field.name] = this->*field.member;
  if (usage != llm::Usage{}) out["usage"] = llm::to_json(usage);
  if (!partial.empty()) out["partial"] = partial;
  if (!holder.empty()) out["holder"] = holder;
  if (!breached.empty()) out["breached"] = breached;
  if (compacted) out["compacted"] = true;
  write_children(*this, out);
  if (!calls.empty()) {
    JsonArray list;
    for (const CallState& call : calls) {
      JsonObject entry{{"id", call.id}, {"tool", call.tool}, {"stage", kStages[static_cast<std::size_t>(call.stage)]}};
      if (call.operation) entry["operation"] = call.operation;
      if (!call.arguments.is_null()) entry["arguments"] = call.arguments;
      if (!call.refusal.empty()) entry["refusal"] = call.refusal;
      write_tasks(call, entry);
      list.push_back(std::move(entry));
    }
    out["calls"] = std::move(list);
  }
  return out;
}

}  // namespace mayfly::agent
