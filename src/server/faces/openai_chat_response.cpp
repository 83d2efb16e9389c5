#include "llm/stream_text.h"
#include "server/faces/face_error.h"
#include "server/faces/openai_chat.h"
#include "server/faces/openai_common.h"

namespace mayfly::faces {
namespace {

using llm::Content;
using llm::StopReason;

std::string_view finish_reason(StopReason reason) {
  switch (reason) {
    case StopReason::ToolCalls: return "tool_calls";
    case StopReason::Length: return "length";
    case StopReason::ContentFilter: return "content_filter";
    case StopReason::End:
    case StopReason::Refusal:
    case StopReason::StopSequence:
    case StopReason::Other: break;
  }
  return "stop";
}

JsonObject usage_object(const llm::Usage& usage) {
  return {{"prompt_tokens", usage.total_input()},
          {"completion_tokens", usage.output},
          {"total_tokens", usage.total_input() + usage.output},
          {"prompt_tokens_details", JsonObject{{"cached_tokens", usage.cache_read}}},
          {"completion_tokens_details", JsonObject{{"reasoning_tokens", usage.reasoning}}}};
}

JsonObject call_object(const std::string& id, const std::string& name, const std::string& arguments) {
  return {{"id", id}, {"type", "function"}, {"function", JsonObject{{"name", name}, {"arguments", arguments}}}};
}

JsonObject message_object(const llm::Message& message) {
  const std::string text = llm::text_of(message);
  const std::string refusal = joined(message, Content::Kind::Refusal);
  const std::string reasoning = joined(message, Content::Kind::Reasoning);
  JsonArray calls;
  for (const Content& content : message.content)
    if (content.kind == Content::Kind::ToolCall) calls.push_back(call_object(content.id, content.name, llm::arguments_text(content)));
  JsonObject out{{"role", "assistant"}};
  out["content"] = text.empty() && (!calls.empty() || !refusal.empty()) ? Json() : Json(text);
  out["refusal"] = refusal.empty() ? Json() : Json(refusal);
  if (!reasoning.empty()) out["reasoning_content"] = reasoning;
  if (!calls.empty()) out["tool_calls"] = std::move(calls);
  return out;
}

}  // namespace

JsonObject encode_chat(const AnswerHead& head, const llm::LlmResponse& response) {
  JsonObject choice{{"index", 0}, {"message", message_object(response.message)}, {"logprobs", nullptr}};
  choice["finish_reason"] = to_json_text(finish_reason(effective_stop(response)));
  JsonObject out{{"id", "chatcmpl-" + head.id}, {"object", "chat.completion"}, {"created", head.created}, {"model", head.model}};
  out["choices"] = JsonArray{std::move(choice)};
  out["usage"] = usage_object(response.usage);
  if (!head.extension.empty()) out["mayfly"] = head.extension;
  return out;
}

JsonObject ChatStream::frame(JsonArray choices) const {
  JsonObject out{{"id", "chatcmpl-" + head_.id}, {"object", "chat.completion.chunk"}, {"created", head_.created}, {"model", head_.model}};
  out["choices"] = std::move(choices);
  return out;
}

void ChatStream::chunk(JsonObject delta, Json finish_reason, const JsonObject* extension) {
  JsonObject choice{{"index", 0}, {"delta", std::move(delta)}, {"logprobs", nullptr}, {"finish_reason", std::move(finish_reason)}};
  JsonArray choices;
  choices.push_back(std::move(choice));
  JsonObject out = frame(std::move(choices));
  if (include_usage_) out["usage"] = nullptr;
  if (extension) out["mayfly"] = *extension;
  put("", out);
}

void ChatStream::on_begin() { chunk({{"role", "assistant"}, {"content", ""}, {"refusal", nullptr}}); }

void ChatStream::open_part() {
  if (part() != Part::ToolCall) return;
  JsonObject call = call_object(id(), name(), "");
  call["index"] = tool_index();
  JsonArray calls;
  calls.push_back(std::move(call));
  JsonObject delta;
  delta["tool_calls"] = std::move(calls);
  chunk(std::move(delta));
}

void ChatStream::piece(std::string_view text) {
  JsonObject delta;
  if (part() == Part::ToolCall) {
    JsonArray calls;
    calls.push_back(JsonObject{{"index", tool_index()}, {"function", JsonObject{{"arguments", to_json_text(text)}}}});
    delta["tool_calls"] = std::move(calls);
  } else {
    delta[part() == Part::Reasoning ? "reasoning_content" : "content"] = to_json_text(text);
  }
  chunk(std::move(delta));
}

void ChatStream::on_end(const llm::LlmResponse& response) {
  chunk({}, to_json_text(finish_reason(effective_stop(response))), head_.extension.empty() ? nullptr : &head_.extension);
  if (include_usage_) {
    JsonObject last = frame({});
    last["usage"] = usage_object(response.usage);
    put("", last);
  }
  put_raw("data: [DONE]\n\n");
}

void ChatStream::on_fail(const FaceError& error) { put("", openai_error(error)); }

}  // namespace mayfly::faces
