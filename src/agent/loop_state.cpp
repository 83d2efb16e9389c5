#include "agent/loop_state.h"

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
};

CallState::Stage stage_from(std::string_view text) {
  for (std::size_t i = 0; i < kStages.size(); ++i)
    if (kStages[i] == text) return static_cast<CallState::Stage>(i);
  return CallState::Stage::Waiting;
}

}  // namespace

LoopState LoopState::from_json(const Json& value) {
  LoopState out;
  const JsonObject* in = value.if_object();
  if (!in) return out;
  for (const NumberField& field : kNumbers) out.*field.member = get_int(*in, field.name);
  if (const Json* usage = get(*in, "usage")) out.usage = llm::usage_from_json(*usage);
  out.partial = get_string(*in, "partial");
  out.breached = get_string(*in, "breached");
  out.compacted = get_bool(*in, "compacted");
  if (const JsonArray* calls = get_array(*in, "calls")) {
    for (const Json& element : *calls) {
      const JsonObject* call = element.if_object();
      if (!call) continue;
      const Json* arguments = get(*call, "arguments");
      out.calls.push_back({get_string(*call, "id"), get_string(*call, "tool"), stage_from(get_string(*call, "stage")),
                           get_int(*call, "operation"), arguments ? *arguments : Json(nullptr), get_string(*call, "refusal")});
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
  if (!breached.empty()) out["breached"] = breached;
  if (compacted) out["compacted"] = true;
  if (!calls.empty()) {
    JsonArray list;
    for (const CallState& call : calls) {
      JsonObject entry{{"id", call.id}, {"tool", call.tool}, {"stage", kStages[static_cast<std::size_t>(call.stage)]}};
      if (call.operation) entry["operation"] = call.operation;
      if (!call.arguments.is_null()) entry["arguments"] = call.arguments;
      if (!call.refusal.empty()) entry["refusal"] = call.refusal;
      list.push_back(std::move(entry));
    }
    out["calls"] = std::move(list);
  }
  return out;
}

}  // namespace mayfly::agent
