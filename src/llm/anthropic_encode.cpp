#include <algorithm>

#include "llm/anthropic_provider.h"
#include "llm/claude_model.h"
#include "llm/schema_fit.h"

namespace mayfly::llm {
namespace {

constexpr std::int64_t kBudgetMin = 1'024;

/// Ids come from other providers too; Anthropic accepts [a-zA-Z0-9_-].
std::string tool_id(std::string_view id) {
  std::string out(id.empty() ? std::string_view("call") : id);
  for (char& c : out) {
    const bool accepted = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
    if (!accepted) c = '_';
  }
  return out;
}

JsonObject text_block(std::string_view text) { return {{"type", "text"}, {"text", boost::json::string_view(text)}}; }

JsonObject image_block(const Content& image) {
  JsonObject source;
  if (!image.url.empty()) {
    source = {{"type", "url"}, {"url", image.url}};
  } else {
    source = {{"type", "base64"}, {"media_type", image.media_type}, {"data", image.data}};
  }
  return {{"type", "image"}, {"source", std::move(source)}};
}

/// Nothing when the reasoning is not of this model.
std::optional<JsonObject> thinking_block(const Content& content, const std::string& model) {
  const JsonObject* opaque = content.opaque.if_object();
  if (!opaque || get_string(*opaque, "api") != "anthropic" || get_string(*opaque, "model") != model) return std::nullopt;
  if (const Json* redacted = get(*opaque, "redacted")) return JsonObject{{"type", "redacted_thinking"}, {"data", *redacted}};
  return JsonObject{{"type", "thinking"}, {"thinking", content.text}, {"signature", get_string(*opaque, "signature")}};
}

std::optional<JsonObject> to_block(const Content& content, const std::string& model) {
  switch (content.kind) {
    case Content::Kind::Text:
    case Content::Kind::Refusal:
      if (content.text.empty()) return std::nullopt;
      return text_block(content.text);
    case Content::Kind::Image: return image_block(content);
    case Content::Kind::ToolCall: {
      // Broken arguments cannot be sent back as they were: the API wants an object.
      Json input = content.arguments.is_object() ? content.arguments : Json(JsonObject{{"malformed_arguments", content.text}});
      return JsonObject{{"type", "tool_use"}, {"id", tool_id(content.id)}, {"name", content.name}, {"input", std::move(input)}};
    }
    case Content::Kind::ToolResult: {
      JsonObject out{{"type", "tool_result"}, {"tool_use_id", tool_id(content.id)}};
      if (!content.text.empty()) out["content"] = content.text;
      if (content.is_error) out["is_error"] = true;
      return out;
    }
    case Content::Kind::Reasoning: return thinking_block(content, model);
  }
  return std::nullopt;
}

/// Tool results must come first in the user message that follows the calls, and all of them in one message.
void append(JsonArray& messages, std::string_view role, JsonArray blocks) {
  if (blocks.empty()) return;
  if (!messages.empty() && messages.back().as_object().at("role") == Json(boost::json::string_view(role))) {
    JsonArray& content = messages.back().as_object().at("content").as_array();
    for (Json& block : blocks) content.push_back(std::move(block));
    return;
  }
  messages.push_back(JsonObject{{"role", boost::json::string_view(role)}, {"content", std::move(blocks)}});
}

void mark_cached(JsonObject& block) { block["cache_control"] = JsonObject{{"type", "ephemeral"}}; }

JsonArray encode_messages(const LlmRequest& request, std::string& system) {
  JsonArray out;
  for (const Message& message : request.messages) {
    if (message.role == Role::System) {
      if (!system.empty()) system += "\n\n";
      system += text_of(message);
      continue;
    }
    JsonArray blocks;
    for (const Content& content : message.content)
      if (auto block = to_block(content, request.model)) blocks.push_back(std::move(*block));
    append(out, message.role == Role::Assistant ? "assistant" : "user", std::move(blocks));
  }
  return out;
}

JsonArray encode_tools(const LlmRequest& request) {
  JsonArray out;
  for (const ToolDefinition& tool : request.tools) {
    JsonObject entry{{"name", tool.name}};
    if (!tool.description.empty()) entry["description"] = tool.description;
    entry["input_schema"] = tool.parameters.is_object() ? tool.parameters : Json(JsonObject{{"type", "object"}});
    out.push_back(std::move(entry));
  }
  if (request.cache_prompt && !out.empty()) mark_cached(out.back().as_object());
  return out;
}

/// With a thinking budget, a running tool loop must begin with this model's own thinking; after a failover it does not.
bool loop_lacks_thinking(const LlmRequest& request) {
  const auto& messages = request.messages;
  for (auto it = messages.rbegin(); it != messages.rend() && it->role != Role::User; ++it) {
    if (it->role != Role::Assistant) continue;
    const auto is_own = [&](const Content& content) {
      return content.kind == Content::Kind::Reasoning && thinking_block(content, request.model).has_value();
    };
    if (it->content.empty() || !is_own(it->content.front())) return true;
  }
  return false;
}

/// Writes `thinking`, `max_tokens` and `output_config.effort`; true when thinking was asked for.
bool encode_thinking(const LlmRequest& request, const ClaudeModel& model, JsonObject& out, JsonObject& output_config) {
  out["max_tokens"] = request.output_tokens_max;
  if (request.reasoning == ReasoningEffort::Default) return false;
  if (request.reasoning == ReasoningEffort::None) {
    if (!model.thinks_by_default) return false;
    if (model.can_disable_thinking) {
      out["thinking"] = JsonObject{{"type", "disabled"}};
    } else {
      output_config["effort"] = "low";
    }
    return false;
  }
  const bool low = request.reasoning == ReasoningEffort::Low;
  const bool high = request.reasoning == ReasoningEffort::High;
  if (model.thinks_adaptively) {
    out["thinking"] = JsonObject{{"type", "adaptive"}, {"display", "summarized"}};
    output_config["effort"] = low ? "low" : high ? "high" : "medium";
    return true;
  }
  if (!model.thinks_by_budget || loop_lacks_thinking(request)) return false;
  const std::int64_t budget = low ? kBudgetMin : high ? 16'384 : 4'096;
  out["thinking"] = JsonObject{{"type", "enabled"}, {"budget_tokens", budget}};
  // The budget counts towards max_tokens; the caller's limit is for the answer.
  out["max_tokens"] = request.output_tokens_max + budget;
  return true;
}

void encode_tool_choice(const LlmRequest& request, const ClaudeModel& model, bool thinks, JsonObject& out) {
  if (request.tools.empty()) return;
  JsonObject choice{{"type", "auto"}};
  if (request.tool_choice == ToolChoice::None) {
    choice["type"] = "none";
  } else {
    if (request.tool_choice == ToolChoice::Required && model.takes_forced_tools && !thinks) choice["type"] = "any";
    if (!request.parallel_tool_calls) choice["disable_parallel_tool_use"] = true;
  }
  if (choice.size() > 1 || request.tool_choice != ToolChoice::Auto) out["tool_choice"] = std::move(choice);
}

}  // namespace

Result<JsonObject> encode_anthropic(const LlmRequest& request) {
  const ClaudeModel model = claude_model(request.model);
  std::string system = request.system;
  JsonArray messages = encode_messages(request, system);
  if (messages.empty()) return fail("llm.invalid_request", "the conversation is empty; send at least one message with content");

  JsonObject out;
  out["model"] = request.model;
  out["stream"] = true;
  JsonObject output_config;
  const bool thinks = encode_thinking(request, model, out, output_config);
  if (!system.empty()) {
    JsonObject block = text_block(system);
    if (request.cache_prompt) mark_cached(block);
    out["system"] = JsonArray{std::move(block)};
  }
  if (!request.tools.empty()) out["tools"] = encode_tools(request);
  encode_tool_choice(request, model, thinks, out);
  if (request.temperature && model.takes_temperature && !thinks) out["temperature"] = std::clamp(*request.temperature, 0.0, 1.0);
  if (!request.stop.empty()) {
    JsonArray stop;
    for (const std::string& text : request.stop) stop.emplace_back(boost::json::string_view(text));
    out["stop_sequences"] = std::move(stop);
  }
  if (request.output_schema && model.takes_output_format && fits_anthropic(*request.output_schema))
    output_config["format"] = JsonObject{{"type", "json_schema"}, {"schema", *request.output_schema}};
  if (!output_config.empty()) out["output_config"] = std::move(output_config);
  if (!request.user.empty()) out["metadata"] = JsonObject{{"user_id", request.user}};
  if (request.cache_prompt) {
    JsonObject& last = messages.back().as_object().at("content").as_array().back().as_object();
    const auto& type = last.at("type").as_string();
    if (type != "thinking" && type != "redacted_thinking") mark_cached(last);
  }
  out["messages"] = std::move(messages);
  return out;
}

}  // namespace mayfly::llm
