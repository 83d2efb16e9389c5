#include "agent/agent_spec.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace mayfly::agent {
namespace {

template <class E>
struct Named {
  E value;
  std::string_view name;
};

constexpr std::array kKinds{
    Named{ToolSpec::Kind::Http, "http"},        Named{ToolSpec::Kind::Command, "command"},      Named{ToolSpec::Kind::AskPerson, "ask"},
    Named{ToolSpec::Kind::Sleep, "sleep"},      Named{ToolSpec::Kind::WaitUntil, "wait_until"}, Named{ToolSpec::Kind::Memory, "memory"},
    Named{ToolSpec::Kind::Function, "function"},
    Named{ToolSpec::Kind::WaitForEvent, "wait_for_event"},
    Named{ToolSpec::Kind::A2a, "a2a"},
    Named{ToolSpec::Kind::Mcp, "mcp"},
    Named{ToolSpec::Kind::Delegate, "delegate"},
    Named{ToolSpec::Kind::FanOut, "fan_out"},
    Named{ToolSpec::Kind::HandOff, "hand_off"}};
constexpr std::array kWhenBusy{Named{WhenBusy::Queue, "queue"}, Named{WhenBusy::Reject, "reject"}, Named{WhenBusy::Steer, "steer"}};
constexpr std::array kOnUnknown{Named{OnUnknown::Ask, "ask"}, Named{OnUnknown::Fail, "fail"}, Named{OnUnknown::Retry, "retry"}};
constexpr std::array kOnBreach{Named{Limits::OnBreach::Ask, "ask"}, Named{Limits::OnBreach::Stop, "stop"}};
constexpr std::array kReasoning{Named{llm::ReasoningEffort::Default, "default"}, Named{llm::ReasoningEffort::None, "none"},
                                Named{llm::ReasoningEffort::Low, "low"}, Named{llm::ReasoningEffort::Medium, "medium"},
                                Named{llm::ReasoningEffort::High, "high"}};

template <class E, std::size_t N>
Json name_of(const std::array<Named<E>, N>& names, E value) {
  for (const auto& each : names)
    if (each.value == value) return Json(each.name);
  return Json(names.front().name);
}

Json ms(Millis duration) { return Json(static_cast<std::int64_t>(duration.count())); }

Json to_json(const RetryPolicy& retry) {
  return JsonObject{{"attempts_max", retry.attempts_max}, {"delay_first_ms", ms(retry.delay_first)}, {"delay_max_ms", ms(retry.delay_max)}};
}

Json to_json(const ToolSpec& tool) {
  JsonObject out{{"kind", name_of(kKinds, tool.kind)},
                 {"name", tool.name},
                 {"description", tool.description},
                 {"parameters", tool.parameters},
                 {"effect", to_string(tool.effect)},
                 {"timeout_ms", ms(tool.timeout)},
                 {"retry", to_json(tool.retry)},
                 {"on_unknown", name_of(kOnUnknown, tool.on_unknown)},
                 {"config", tool.config}};
  if (tool.approval_when) {
    out["approval"] =
        JsonObject{{"when", *tool.approval_when}, {"timeout_ms", ms(tool.approval_timeout)}, {"default", tool.approval_default}};
  }
  return out;
}

Json to_json(const Limits& limits) {
  return JsonObject{{"steps", limits.steps},
                    {"wall_time_ms", ms(limits.wall_time)},
                    {"input_tokens", limits.input_tokens},
                    {"output_tokens", limits.output_tokens},
                    {"nano_usd", limits.usd},
                    {"parallel_tool_calls", limits.parallel_tool_calls},
                    {"depth", limits.depth},
                    {"on_breach", name_of(kOnBreach, limits.on_breach)}};
}

struct BadSpec {
  std::string message;
};

/// One object of the deployed form. Throws BadSpec; `spec_from_json` catches it.
class Fields {
 public:
  Fields(const Json& value, std::string path) : path_(std::move(path)) {
    object_ = value.if_object();
    if (object_ == nullptr) throw BadSpec{fmt::format("`{}` must be an object", path_)};
  }

  const Json* find(std::string_view key) const { return get(*object_, key); }
  const Json& need(std::string_view key) const {
    const Json* value = find(key);
    if (value == nullptr) throw BadSpec{fmt::format("`{}` is missing", at(key))};
    return *value;
  }
  std::string text(std::string_view key) const {
    const Json& value = need(key);
    if (!value.is_string()) throw BadSpec{fmt::format("`{}` must be a text", at(key))};
    return std::string(value.get_string());
  }
  std::int64_t integer(std::string_view key, std::int64_t least = 0) const {
    const Json& value = need(key);
    if (!value.is_int64() || value.get_int64() < least)
      throw BadSpec{fmt::format("`{}` must be an integer of at least {}", at(key), least)};
    return value.get_int64();
  }
  /// Of a key that earlier versions did not write.
  std::int64_t integer_or(std::string_view key, std::int64_t least, std::int64_t most, std::int64_t otherwise) const {
    return find(key) != nullptr ? std::min(integer(key, least), most) : otherwise;
  }
  Millis millis(std::string_view key) const { return Millis{integer(key)}; }
  bool boolean(std::string_view key) const {
    const Json& value = need(key);
    if (!value.is_bool()) throw BadSpec{fmt::format("`{}` must be true or false", at(key))};
    return value.get_bool();
  }
  const JsonArray& list(std::string_view key) const {
    const JsonArray* value = need(key).if_array();
    if (value == nullptr) throw BadSpec{fmt::format("`{}` must be a list", at(key))};
    return *value;
  }
  Fields inner(std::string_view key) const { return {need(key), at(key)}; }

  template <class E, std::size_t N>
  E word(std::string_view key, const std::array<Named<E>, N>& names) const {
    const std::string wanted = text(key);
    for (const auto& each : names)
      if (each.name == wanted) return each.value;
    throw BadSpec{fmt::format("`{}` has the unknown value `{}`", at(key), wanted)};
  }

  std::string at(std::string_view key) const { return path_.empty() ? std::string(key) : fmt::format("{}.{}", path_, key); }

 private:
  const JsonObject* object_;
  std::string path_;
};

RetryPolicy retry_from(const Fields& in) {
  return {
      .attempts_max = in.integer("attempts_max", 1), .delay_first = in.millis("delay_first_ms"), .delay_max = in.millis("delay_max_ms")};
}

ToolSpec tool_from(const Fields& in) {
  ToolSpec tool;
  tool.kind = in.word("kind", kKinds);
  tool.name = in.text("name");
  tool.description = in.text("description");
  tool.parameters = in.need("parameters");
  const auto effect = effect_from_string(in.text("effect"));
  if (!effect) throw BadSpec{fmt::format("`{}` is not an effect", in.at("effect"))};
  tool.effect = *effect;
  tool.timeout = in.millis("timeout_ms");
  tool.retry = retry_from(in.inner("retry"));
  tool.on_unknown = in.word("on_unknown", kOnUnknown);
  tool.config = in.need("config");
  if (in.find("approval") != nullptr) {
    const Fields approval = in.inner("approval");
    tool.approval_when = approval.need("when");
    tool.approval_timeout = approval.millis("timeout_ms");
    tool.approval_default = approval.text("default");
  }
  return tool;
}

Limits limits_from(const Fields& in) {
  return {.steps = in.integer("steps", 1),
          .wall_time = in.millis("wall_time_ms"),
          .input_tokens = in.integer("input_tokens"),
          .output_tokens = in.integer("output_tokens"),
          .usd = in.integer("nano_usd"),
          .parallel_tool_calls = std::min(in.integer("parallel_tool_calls", 1), Limits::kParallelToolCallsMax),
          .depth = in.integer_or("depth", 0, Limits::kDepthMax, Limits{}.depth),
          .on_breach = in.word("on_breach", kOnBreach)};
}

template <class T>
T taken(Result<T> read, const std::string& where) {
  if (!read) throw BadSpec{fmt::format("`{}`: {}", where, read.error().message)};
  return *std::move(read);
}

/// What earlier versions did not write.
void read_delegation(AgentSpec& spec, const Fields& in) {
  if (in.find("agents") != nullptr) {
    const JsonArray& agents = in.list("agents");
    for (std::size_t i = 0; i < agents.size(); ++i)
      spec.agents.push_back(taken(delegation_from_json(agents[i]), fmt::format("agents.{}", i)));
  }
  if (in.find("fan_out") != nullptr) {
    const Fields fan_out = in.inner("fan_out");
    spec.fan_out = {.parallel = std::min(fan_out.integer("parallel", 1), FanOutPolicy::kParallelMax),
                    .children = std::min(fan_out.integer("children", 1), FanOutPolicy::kChildrenMax)};
  }
  if (const Json* destinations = in.find("destinations")) spec.destinations = taken(destinations_from_json(*destinations), "destinations");
}

AgentSpec agent_from(const Fields& in) {
  AgentSpec spec;
  spec.name = in.text("name");
  spec.description = in.text("description");
  for (const Json& model : in.list("models")) {
    if (!model.is_string()) throw BadSpec{"`models` must be a list of texts"};
    spec.models.emplace_back(model.get_string());
  }
  if (spec.models.empty()) throw BadSpec{"`models` must name at least one model"};
  spec.instructions = in.text("instructions");
  spec.output_tokens_max = in.integer("output_tokens_max", 1);
  if (const Json* temperature = in.find("temperature")) {
    if (!temperature->is_number()) throw BadSpec{"`temperature` must be a number"};
    spec.temperature = temperature->to_number<double>();
  }
  spec.reasoning = in.word("reasoning", kReasoning);
  spec.first_token_timeout = in.millis("first_token_timeout_ms");
  spec.between_tokens_timeout = in.millis("between_tokens_timeout_ms");
  spec.model_retry = retry_from(in.inner("model_retry"));
  const Fields session = in.inner("session");
  spec.session = {
      .keyed = session.boolean("keyed"), .when_busy = session.word("when_busy", kWhenBusy), .queue_max = session.integer("queue_max", 1)};
  spec.limits = limits_from(in.inner("limits"));
  const Fields context = in.inner("context");
  spec.context = {.tokens_max = context.integer("tokens_max", 1), .keep_messages = context.integer("keep_messages")};
  const JsonArray& tools = in.list("tools");
  for (std::size_t i = 0; i < tools.size(); ++i) spec.tools.push_back(tool_from({tools[i], fmt::format("tools.{}", i)}));
  read_delegation(spec, in);
  if (const Json* schema = in.find("output_schema")) spec.output_schema = *schema;
  if (const Json* mcp = in.find("mcp")) spec.mcp = *mcp;
  spec.output_retries = in.integer("output_retries");
  spec.base_dir = in.text("base_dir");
  return spec;
}

}  // namespace

const ToolSpec* AgentSpec::find_tool(std::string_view tool_name) const {
  const auto found = std::ranges::find(tools, tool_name, &ToolSpec::name);
  return found == tools.end() ? nullptr : &*found;
}

const Delegation* AgentSpec::find_delegation(std::string_view agent_name) const {
  const auto found = std::ranges::find(agents, agent_name, &Delegation::agent);
  return found == agents.end() ? nullptr : &*found;
}

Json to_json(const AgentSpec& spec) {
  JsonArray models, tools;
  for (const std::string& model : spec.models) models.emplace_back(model);
  for (const ToolSpec& tool : spec.tools) tools.push_back(to_json(tool));
  JsonObject out{{"name", spec.name},
                 {"description", spec.description},
                 {"models", std::move(models)},
                 {"instructions", spec.instructions},
                 {"output_tokens_max", spec.output_tokens_max},
                 {"reasoning", name_of(kReasoning, spec.reasoning)},
                 {"first_token_timeout_ms", ms(spec.first_token_timeout)},
                 {"between_tokens_timeout_ms", ms(spec.between_tokens_timeout)},
                 {"model_retry", to_json(spec.model_retry)},
                 {"session", JsonObject{{"keyed", spec.session.keyed},
                                        {"when_busy", name_of(kWhenBusy, spec.session.when_busy)},
                                        {"queue_max", spec.session.queue_max}}},
                 {"limits", to_json(spec.limits)},
                 {"context", JsonObject{{"tokens_max", spec.context.tokens_max}, {"keep_messages", spec.context.keep_messages}}},
                 {"tools", std::move(tools)},
                 {"output_retries", spec.output_retries},
                 {"base_dir", spec.base_dir}};
  if (spec.temperature) out["temperature"] = *spec.temperature;
  if (spec.output_schema) out["output_schema"] = *spec.output_schema;
  if (!spec.mcp.is_null()) out["mcp"] = spec.mcp;
  if (!spec.agents.empty()) {
    JsonArray agents;
    for (const Delegation& each : spec.agents) agents.push_back(to_json(each));
    out["agents"] = std::move(agents);
    out["fan_out"] = JsonObject{{"parallel", spec.fan_out.parallel}, {"children", spec.fan_out.children}};
  }
  if (!spec.destinations.empty()) out["destinations"] = to_json(spec.destinations);
  return out;
}

Result<AgentSpec> spec_from_json(const Json& value) {
  try {
    return agent_from({value, ""});
  } catch (const BadSpec& bad) {
    return fail("agent.invalid_spec", fmt::format("the agent's deployed form is invalid: {}; deploy it again", bad.message));
  }
}

}  // namespace mayfly::agent
