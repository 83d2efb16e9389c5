#include "agent/delegation_tools.h"

#include <fmt/format.h>

namespace mayfly::agent {
namespace {

constexpr std::int64_t kTextBytesMax = 32'768;

Json closed_object(JsonObject properties, JsonArray required) {
  return JsonObject{
      {"type", "object"}, {"properties", std::move(properties)}, {"required", std::move(required)}, {"additionalProperties", false}};
}

Json text_parameter(std::string_view description) {
  return JsonObject{{"type", "string"}, {"minLength", 1}, {"maxLength", kTextBytesMax}, {"description", description}};
}

/// The agents of one mode: their names, and a list that describes them.
struct Group {
  JsonArray names;
  std::string list;
};

Group group_of(const AgentSpec& spec, Delegation::Mode mode) {
  Group out;
  for (const Delegation& each : spec.agents) {
    if (each.mode != mode) continue;
    out.names.emplace_back(each.agent);
    out.list += fmt::format("\n- {}{}{}", each.agent, each.description.empty() ? "" : ": ", each.description);
  }
  return out;
}

ToolSpec make(ToolSpec::Kind kind, std::string_view name, std::string description, Json parameters) {
  ToolSpec out;
  out.kind = kind;
  out.name = name;
  out.description = std::move(description);
  out.parameters = std::move(parameters);
  out.effect = Effect::Idempotent;
  out.config = JsonObject{};
  return out;
}

JsonObject task_properties(const Group& group) {
  return {{"agent", JsonObject{{"type", "string"}, {"enum", group.names}, {"description", "Who does it."}}},
          {"task", text_parameter("The task, complete in itself: the agent sees nothing of this conversation.")},
          {"data", JsonObject{{"description", "Any JSON that the task needs."}}}};
}

}  // namespace

std::vector<ToolSpec> delegation_tools(const AgentSpec& spec) {
  std::vector<ToolSpec> out;
  const Group workers = group_of(spec, Delegation::Mode::Delegate), others = group_of(spec, Delegation::Mode::Handoff);
  if (!workers.names.empty()) {
    out.push_back(make(ToolSpec::Kind::Delegate, tool_name::kDelegate,
                       "Gives a task to another agent and waits for its answer. The agents:" + workers.list,
                       closed_object(task_properties(workers), {"agent", "task"})));
    JsonObject properties{
        {"tasks", JsonObject{{"type", "array"},
                             {"minItems", 1},
                             {"maxItems", spec.fan_out.children},
                             {"items", closed_object(task_properties(workers), {"agent", "task"})},
                             {"description", "Independent tasks."}}},
        {"gather", JsonObject{{"type", "string"},
                              {"enum", {"all", "first", "quorum"}},
                              {"description",
                               "What to wait for: all tasks (default), the first that succeeds, or `count` that succeed. "
                               "Tasks that are no longer needed are cancelled."}}},
        {"count", JsonObject{{"type", "integer"}, {"minimum", 1}, {"description", "For quorum. Default: more than half."}}}};
    out.push_back(make(ToolSpec::Kind::FanOut, tool_name::kFanOut,
                       "Gives several tasks to other agents at the same time and gathers their answers. The agents:" + workers.list,
                       closed_object(std::move(properties), {"tasks"})));
  }
  if (!others.names.empty()) {
    JsonObject properties{
        {"agent", JsonObject{{"type", "string"}, {"enum", others.names}, {"description", "Who takes over."}}},
        {"message", text_parameter("What the agent should do now. It sees the conversation so far.")},
        {"reason", text_parameter("Why the conversation moves, for the record.")}};
    out.push_back(make(ToolSpec::Kind::HandOff, tool_name::kHandOff,
                       "Hands this whole conversation over to another agent, which answers from now on instead of you. The agents:" + others.list,
                       closed_object(std::move(properties), {"agent", "message", "reason"})));
  }
  return out;
}

const llm::ToolDefinition& hand_back_tool() {
  static const llm::ToolDefinition tool{
      std::string(tool_name::kHandBack),
      "Hands the conversation back to the agent that gave it to you, which answers from now on instead of you. "
      "Use it when your part is done or the user wants something that is not yours.",
      closed_object({{"message", text_parameter("What the other agent should know: what was done, and what the user wants now.")}}, {"message"})};
  return tool;
}

}  // namespace mayfly::agent
