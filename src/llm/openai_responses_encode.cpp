#include "llm/openai_model.h"
#include "llm/openai_responses_provider.h"
#include "llm/schema_fit.h"
#include "llm/stream_text.h"

namespace mayfly::llm {
namespace {

constexpr std::int64_t kOutputTokensMin = 16;  // the API refuses less

/// Nothing when the reasoning is not of this model: its encryption is bound to it.
std::optional<JsonObject> reasoning_item(const Content& content, const std::string& model) {
  const JsonObject* opaque = content.opaque.if_object();
  if (!opaque || get_string(*opaque, "api") != "openai-responses" || get_string(*opaque, "model") != model) return std::nullopt;
  const JsonObject* item = get_object(*opaque, "item");
  if (!item) return std::nullopt;
  return *item;
}

JsonObject message_item(std::string_view role, JsonArray content) {
  return {{"type", "message"}, {"role", boost::json::string_view(role)}, {"content", std::move(content)}};
}

void append_assistant(const Message& message, const std::string& model, JsonArray& out) {
  for (const Content& content : message.content) {
    if (content.kind == Content::Kind::Reasoning) {
      if (auto item = reasoning_item(content, model)) out.push_back(std::move(*item));
    } else if (content.kind == Content::Kind::Text && !content.text.empty()) {
      JsonObject item = message_item("assistant", {JsonObject{{"type", "output_text"}, {"text", content.text}}});
      if (const JsonObject* opaque = content.opaque.if_object(); opaque && !get_string(*opaque, "phase").empty())
        item["phase"] = get_string(*opaque, "phase");
      out.push_back(std::move(item));
    } else if (content.kind == Content::Kind::Refusal) {
      out.push_back(message_item("assistant", {JsonObject{{"type", "refusal"}, {"refusal", content.text}}}));
    } else if (content.kind == Content::Kind::ToolCall) {
      out.push_back(JsonObject{
          {"type", "function_call"}, {"call_id", content.id}, {"name", content.name}, {"arguments", arguments_text(content)}});
    }
  }
}

void append(const Message& message, const std::string& model, JsonArray& out) {
  if (message.role == Role::Assistant) return append_assistant(message, model, out);
  JsonArray parts;
  for (const Content& content : message.content) {
    if (content.kind == Content::Kind::ToolResult) {
      out.push_back(JsonObject{{"type", "function_call_output"}, {"call_id", content.id}, {"output", content.text}});
    } else if (content.kind == Content::Kind::Image) {
      parts.push_back(JsonObject{{"type", "input_image"}, {"image_url", image_url(content)}});
    } else if (content.kind == Content::Kind::Text) {
      parts.push_back(JsonObject{{"type", "input_text"}, {"text", content.text}});
    }
  }
  if (!parts.empty()) out.push_back(message_item(message.role == Role::System ? "system" : "user", std::move(parts)));
}

void encode_tools(const LlmRequest& request, JsonObject& out) {
  if (request.tools.empty()) return;
  JsonArray tools;
  for (const ToolDefinition& tool : request.tools) {
    JsonObject entry{{"type", "function"}, {"name", tool.name}};
    if (!tool.description.empty()) entry["description"] = tool.description;
    entry["parameters"] = tool.parameters.is_object() ? tool.parameters : Json(JsonObject{{"type", "object"}});
    entry["strict"] = false;  // the default here is true, which most tools' schemas do not meet
    tools.push_back(std::move(entry));
  }
  out["tools"] = std::move(tools);
  if (request.tool_choice == ToolChoice::None) out["tool_choice"] = "none";
  if (request.tool_choice == ToolChoice::Required) out["tool_choice"] = "required";
  if (!request.parallel_tool_calls) out["parallel_tool_calls"] = false;
}

}  // namespace

Result<JsonObject> encode_openai_responses(const LlmRequest& request) {
  if (!request.stop.empty())
    return fail("llm.invalid_request", "the Responses API has no stop sequences; remove `stop` or use a provider of kind `openai`");
  const OpenAiModel model = openai_model(request.model);
  JsonArray input;
  for (const Message& message : request.messages) append(message, request.model, input);
  if (input.empty()) return fail("llm.invalid_request", "the conversation is empty; send at least one message with content");

  JsonObject out;
  out["model"] = request.model;
  if (!request.system.empty()) out["instructions"] = request.system;
  out["input"] = std::move(input);
  out["stream"] = true;
  out["store"] = false;
  out["max_output_tokens"] = std::max(request.output_tokens_max, kOutputTokensMin);
  encode_tools(request, out);
  if (model.reasons) {
    out["include"] = JsonArray{"reasoning.encrypted_content"};
    if (const auto effort = effort_name(request.reasoning, model); !effort.empty())
      out["reasoning"] = JsonObject{{"effort", boost::json::string_view(effort)}};
  } else if (request.temperature) {
    out["temperature"] = *request.temperature;
  }
  if (request.output_schema) {
    out["text"] = JsonObject{{"format", JsonObject{{"type", "json_schema"},
                                                   {"name", schema_name(*request.output_schema)},
                                                   {"schema", *request.output_schema},
                                                   {"strict", fits_openai_strict(*request.output_schema)}}}};
  }
  if (!request.user.empty()) out["safety_identifier"] = request.user;
  return out;
}

}  // namespace mayfly::llm
