#include "llm/openai_chat_provider.h"
#include "llm/openai_model.h"
#include "llm/schema_fit.h"
#include "llm/stream_text.h"

namespace mayfly::llm {
namespace {

JsonObject text_message(std::string_view role, std::string_view text) {
  return {{"role", boost::json::string_view(role)}, {"content", boost::json::string_view(text)}};
}

JsonObject user_message(const Message& message) {
  bool has_image = false;
  JsonArray parts;
  for (const Content& content : message.content) {
    if (content.kind == Content::Kind::Text) {
      parts.push_back(JsonObject{{"type", "text"}, {"text", content.text}});
    } else if (content.kind == Content::Kind::Image) {
      has_image = true;
      parts.push_back(JsonObject{{"type", "image_url"}, {"image_url", JsonObject{{"url", image_url(content)}}}});
    }
  }
  if (!has_image) return text_message("user", text_of(message));
  return {{"role", "user"}, {"content", std::move(parts)}};
}

/// Servers that stream `reasoning_content` want it back inside a tool loop and refuse it elsewhere.
void add_reasoning(const Message& message, JsonObject& out) {
  std::string text;
  for (const Content& content : message.content) {
    const JsonObject* opaque = content.opaque.if_object();
    if (content.kind == Content::Kind::Reasoning && opaque && get_string(*opaque, "field") == "reasoning_content") text += content.text;
  }
  if (!text.empty()) out["reasoning_content"] = text;
}

JsonObject assistant_message(const Message& message, bool is_openai) {
  JsonObject out{{"role", "assistant"}};
  JsonArray calls;
  std::string refusal;
  for (const Content& content : message.content) {
    if (content.kind == Content::Kind::Refusal) refusal += content.text;
    if (content.kind != Content::Kind::ToolCall) continue;
    JsonObject function{{"name", content.name}, {"arguments", arguments_text(content)}};
    calls.push_back(JsonObject{{"id", content.id}, {"type", "function"}, {"function", std::move(function)}});
  }
  const std::string text = text_of(message);
  if (!is_openai && !refusal.empty()) {
    out["content"] = text + refusal;
  } else {
    out["content"] = text.empty() && (!calls.empty() || !refusal.empty()) ? Json() : Json(boost::json::string_view(text));
    if (!refusal.empty()) out["refusal"] = refusal;
  }
  if (!calls.empty()) {
    if (!is_openai) add_reasoning(message, out);
    out["tool_calls"] = std::move(calls);
  }
  return out;
}

void append(const Message& message, bool is_openai, JsonArray& out) {
  switch (message.role) {
    case Role::System: out.push_back(text_message("system", text_of(message))); return;
    case Role::User: out.push_back(user_message(message)); return;
    case Role::Assistant: out.push_back(assistant_message(message, is_openai)); return;
    case Role::Tool: break;
  }
  for (const Content& content : message.content) {
    if (content.kind != Content::Kind::ToolResult) continue;
    out.push_back(JsonObject{{"role", "tool"}, {"tool_call_id", content.id}, {"content", content.text}});
  }
}

void encode_tools(const LlmRequest& request, JsonObject& out) {
  if (request.tools.empty()) return;
  JsonArray tools;
  for (const ToolDefinition& tool : request.tools) {
    JsonObject function{{"name", tool.name}};
    if (!tool.description.empty()) function["description"] = tool.description;
    function["parameters"] = tool.parameters.is_object() ? tool.parameters : Json(JsonObject{{"type", "object"}});
    tools.push_back(JsonObject{{"type", "function"}, {"function", std::move(function)}});
  }
  out["tools"] = std::move(tools);
  if (request.tool_choice == ToolChoice::None) out["tool_choice"] = "none";
  if (request.tool_choice == ToolChoice::Required) out["tool_choice"] = "required";
  if (!request.parallel_tool_calls) out["parallel_tool_calls"] = false;
}

}  // namespace

Result<JsonObject> encode_openai_chat(const LlmRequest& request, std::string_view base_url) {
  const bool is_openai = is_openai_host(base_url);
  const OpenAiModel model = openai_model(request.model);
  JsonArray messages;
  if (!request.system.empty()) messages.push_back(text_message("system", request.system));
  for (const Message& message : request.messages) append(message, is_openai, messages);
  if (messages.empty()) return fail("llm.invalid_request", "the conversation is empty; send at least one message with content");

  JsonObject out;
  out["model"] = request.model;
  out["messages"] = std::move(messages);
  out["stream"] = true;
  out["stream_options"] = JsonObject{{"include_usage", true}};
  out[is_openai ? "max_completion_tokens" : "max_tokens"] = request.output_tokens_max;
  encode_tools(request, out);
  if (request.temperature && !(is_openai && model.reasons)) out["temperature"] = *request.temperature;
  // Compatible servers may host any model, so that an explicit wish goes to them as it is.
  if (const auto effort = effort_name(request.reasoning, model); !effort.empty() && (model.reasons || !is_openai))
    out["reasoning_effort"] = boost::json::string_view(effort);
  if (request.output_schema) {
    JsonObject schema{{"name", schema_name(*request.output_schema)},
                      {"strict", fits_openai_strict(*request.output_schema)},
                      {"schema", *request.output_schema}};
    out["response_format"] = JsonObject{{"type", "json_schema"}, {"json_schema", std::move(schema)}};
  }
  if (!request.stop.empty()) {
    JsonArray stop;
    for (const std::string& text : request.stop) stop.emplace_back(boost::json::string_view(text));
    out["stop"] = std::move(stop);
  }
  if (!request.user.empty()) out[is_openai ? "safety_identifier" : "user"] = request.user;
  return out;
}

}  // namespace mayfly::llm
