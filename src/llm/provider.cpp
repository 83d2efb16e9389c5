#include "llm/provider.h"

#include <fmt/format.h>

#include <array>

namespace mayfly::llm {
namespace {

constexpr std::array kStopReasons{StopReason::End,          StopReason::ToolCalls,     StopReason::Length, StopReason::Refusal,
                                  StopReason::StopSequence, StopReason::ContentFilter, StopReason::Other};
constexpr std::array<std::string_view, 3> kToolChoices{"auto", "none", "required"};
constexpr std::array<std::string_view, 5> kEfforts{"default", "none", "low", "medium", "high"};

/// The position of `name` in `names`, as the enumerator with that value.
template <class Enum, std::size_t N>
Result<Enum> enumerator(const std::array<std::string_view, N>& names, std::string_view name, std::string_view field) {
  for (std::size_t i = 0; i < N; ++i)
    if (names[i] == name) return static_cast<Enum>(i);
  return fail("llm.invalid_request", fmt::format("`{}` cannot be `{}`; use one of {}", field, name, fmt::join(names, ", ")));
}

JsonArray texts_to_json(const std::vector<std::string>& texts) {
  JsonArray out;
  for (const std::string& text : texts) out.emplace_back(boost::json::string_view(text));
  return out;
}

Json to_json(const ToolDefinition& tool) {
  JsonObject out;
  out["name"] = tool.name;
  out["description"] = tool.description;
  out["parameters"] = tool.parameters;
  return out;
}

Result<void> read_lists(const JsonObject& object, LlmRequest& out) {
  const JsonArray* messages = get_array(object, "messages");
  if (!messages) return fail("llm.invalid_request", "a request needs `messages`, a list");
  for (const Json& item : *messages) {
    auto message = message_from_json(item);
    if (!message) return fail("llm.invalid_request", message.error().message);
    out.messages.push_back(std::move(*message));
  }
  if (const JsonArray* tools = get_array(object, "tools")) {
    for (const Json& item : *tools) {
      const JsonObject* tool = item.if_object();
      if (!tool || get_string(*tool, "name").empty()) return fail("llm.invalid_request", "each of `tools` needs a `name`");
      const Json* parameters = get(*tool, "parameters");
      out.tools.push_back({get_string(*tool, "name"), get_string(*tool, "description"), parameters ? *parameters : Json()});
    }
  }
  if (const JsonArray* stop = get_array(object, "stop"))
    for (const Json& item : *stop)
      if (item.is_string()) out.stop.emplace_back(item.get_string());
  return {};
}

}  // namespace

std::string_view to_string(StopReason reason) {
  switch (reason) {
    case StopReason::End: return "end";
    case StopReason::ToolCalls: return "tool_calls";
    case StopReason::Length: return "length";
    case StopReason::Refusal: return "refusal";
    case StopReason::StopSequence: return "stop_sequence";
    case StopReason::ContentFilter: return "content_filter";
    case StopReason::Other: return "other";
  }
  return "other";
}

Json to_json(const LlmResponse& response) {
  JsonObject out;
  out["message"] = to_json(response.message);
  out["stop_reason"] = to_string(response.stop_reason);
  out["usage"] = to_json(response.usage);
  out["provider"] = response.provider;
  out["model"] = response.model;
  out["response_id"] = response.response_id;
  out["time_to_first_token_us"] = response.time_to_first_token_us;
  return out;
}

Result<LlmResponse> response_from_json(const Json& value) {
  const JsonObject* object = value.if_object();
  const Json* message_json = object ? get(*object, "message") : nullptr;
  if (!message_json) return fail("llm.bad_response", "a stored response must be an object with a `message`");
  auto message = message_from_json(*message_json);
  if (!message) return fail("llm.bad_response", message.error().message);
  LlmResponse out;
  out.message = std::move(*message);
  out.stop_reason = StopReason::Other;
  const std::string reason = get_string(*object, "stop_reason");
  for (const StopReason known : kStopReasons)
    if (to_string(known) == reason) out.stop_reason = known;
  if (const Json* usage = get(*object, "usage")) out.usage = usage_from_json(*usage);
  out.provider = get_string(*object, "provider");
  out.model = get_string(*object, "model");
  out.response_id = get_string(*object, "response_id");
  out.time_to_first_token_us = get_int(*object, "time_to_first_token_us");
  return out;
}

Json to_json(const LlmRequest& request) {
  JsonObject out;
  out["model"] = request.model;
  if (!request.system.empty()) out["system"] = request.system;
  JsonArray messages;
  messages.reserve(request.messages.size());
  for (const Message& message : request.messages) messages.push_back(to_json(message));
  out["messages"] = std::move(messages);
  if (!request.tools.empty()) {
    JsonArray tools;
    for (const ToolDefinition& tool : request.tools) tools.push_back(to_json(tool));
    out["tools"] = std::move(tools);
  }
  if (request.tool_choice != ToolChoice::Auto) out["tool_choice"] = kToolChoices[static_cast<std::size_t>(request.tool_choice)];
  if (!request.parallel_tool_calls) out["parallel_tool_calls"] = false;
  out["output_tokens_max"] = request.output_tokens_max;
  if (request.temperature) out["temperature"] = *request.temperature;
  if (request.reasoning != ReasoningEffort::Default) out["reasoning"] = kEfforts[static_cast<std::size_t>(request.reasoning)];
  if (request.output_schema) out["output_schema"] = *request.output_schema;
  if (!request.stop.empty()) out["stop"] = texts_to_json(request.stop);
  if (!request.cache_prompt) out["cache_prompt"] = false;
  if (!request.user.empty()) out["user"] = request.user;
  return out;
}

Result<LlmRequest> request_from_json(const Json& value) {
  const JsonObject* object = value.if_object();
  if (!object) return fail("llm.invalid_request", "a request must be an object with `model` and `messages`");
  LlmRequest out;
  out.model = get_string(*object, "model");
  out.system = get_string(*object, "system");
  if (auto read = read_lists(*object, out); !read) return fail(std::move(read.error()));
  const auto choice = enumerator<ToolChoice>(kToolChoices, get_string(*object, "tool_choice", "auto"), "tool_choice");
  if (!choice) return fail(choice.error());
  out.tool_choice = *choice;
  const auto effort = enumerator<ReasoningEffort>(kEfforts, get_string(*object, "reasoning", "default"), "reasoning");
  if (!effort) return fail(effort.error());
  out.reasoning = *effort;
  out.parallel_tool_calls = get_bool(*object, "parallel_tool_calls", true);
  out.output_tokens_max = get_int(*object, "output_tokens_max", out.output_tokens_max);
  if (out.output_tokens_max < 1) return fail("llm.invalid_request", "`output_tokens_max` must be at least 1");
  if (const Json* temperature = get(*object, "temperature"); temperature && temperature->is_number())
    out.temperature = get_double(*object, "temperature");
  if (const Json* schema = get(*object, "output_schema")) out.output_schema = *schema;
  out.cache_prompt = get_bool(*object, "cache_prompt", true);
  out.user = get_string(*object, "user");
  return out;
}

}  // namespace mayfly::llm
