#include "server/faces/anthropic_messages.h"
#include "server/faces/face_error.h"
#include "server/faces/openai_common.h"

namespace mayfly::faces {
namespace {

using llm::Content;
using llm::StopReason;

std::string_view stop_reason(StopReason reason) {
  switch (reason) {
    case StopReason::ToolCalls: return "tool_use";
    case StopReason::Length: return "max_tokens";
    case StopReason::StopSequence: return "stop_sequence";
    case StopReason::Refusal:
    case StopReason::ContentFilter: return "refusal";
    case StopReason::End:
    case StopReason::Other: break;
  }
  return "end_turn";
}

JsonObject usage_object(const llm::Usage& usage) {
  return {{"input_tokens", usage.input},
          {"cache_creation_input_tokens", usage.cache_write},
          {"cache_read_input_tokens", usage.cache_read},
          {"output_tokens", usage.output}};
}

JsonObject message_object(const AnswerHead& head, JsonArray content, Json reason, const llm::Usage& usage) {
  JsonObject out{{"id", "msg_" + head.id}, {"type", "message"}, {"role", "assistant"}, {"model", head.model}};
  out["content"] = std::move(content);
  out["stop_reason"] = std::move(reason);
  out["stop_sequence"] = nullptr;
  out["usage"] = usage_object(usage);
  return out;
}

/// What Claude signed goes out as it is; for other thinking the signature is a name under which it is remembered.
std::optional<JsonObject> native_thinking(const Content& content) {
  const JsonObject* opaque = content.opaque.if_object();
  if (!opaque || get_string(*opaque, "api") != "anthropic") return std::nullopt;
  if (const Json* redacted = get(*opaque, "redacted")) return JsonObject{{"type", "redacted_thinking"}, {"data", *redacted}};
  const std::string signature = get_string(*opaque, "signature");
  if (signature.empty()) return std::nullopt;
  return JsonObject{{"type", "thinking"}, {"thinking", content.text}, {"signature", signature}};
}

std::string own_signature(const AnswerHead& head, std::size_t index) { return "mf_" + head.id + "_" + std::to_string(index); }

Json input_of(const Content& call) {
  return call.arguments.is_object() ? call.arguments : Json(JsonObject{{"malformed_arguments", call.text}});
}

}  // namespace

JsonObject encode_messages(const AnswerHead& head, const llm::LlmResponse& response, Remembered& remembered) {
  JsonArray blocks;
  for (const Content& content : response.message.content) {
    if (content.kind == Content::Kind::ToolCall) {
      blocks.push_back(JsonObject{{"type", "tool_use"}, {"id", content.id}, {"name", content.name}, {"input", input_of(content)}});
    } else if (content.kind == Content::Kind::Reasoning) {
      if (auto native = native_thinking(content)) {
        blocks.push_back(std::move(*native));
        continue;
      }
      const std::string signature = own_signature(head, blocks.size());
      remembered.emplace_back(signature, content);
      blocks.push_back(JsonObject{{"type", "thinking"}, {"thinking", content.text}, {"signature", signature}});
    } else {
      blocks.push_back(JsonObject{{"type", "text"}, {"text", content.text}});
    }
  }
  return message_object(head, std::move(blocks), to_json_text(stop_reason(effective_stop(response))), response.usage);
}

std::string MessagesStream::signature() const { return own_signature(head_, static_cast<std::size_t>(index_)); }

void MessagesStream::on_begin() { put("message_start", {{"type", "message_start"}, {"message", message_object(head_, {}, nullptr, {})}}); }

void MessagesStream::open_part() {
  JsonObject block;
  if (part() == Part::ToolCall) {
    block = {{"type", "tool_use"}, {"id", id()}, {"name", name()}, {"input", JsonObject{}}};
  } else if (part() == Part::Reasoning) {
    block = {{"type", "thinking"}, {"thinking", ""}, {"signature", ""}};
  } else {
    block = {{"type", "text"}, {"text", ""}};
  }
  put("content_block_start", {{"type", "content_block_start"}, {"index", index_}, {"content_block", std::move(block)}});
  if (!std::exchange(pinged_, true)) on_heartbeat();
}

void MessagesStream::piece(std::string_view text) {
  JsonObject delta;
  if (part() == Part::ToolCall) {
    delta = {{"type", "input_json_delta"}, {"partial_json", to_json_text(text)}};
  } else if (part() == Part::Reasoning) {
    delta = {{"type", "thinking_delta"}, {"thinking", to_json_text(text)}};
  } else {
    delta = {{"type", "text_delta"}, {"text", to_json_text(text)}};
  }
  put("content_block_delta", {{"type", "content_block_delta"}, {"index", index_}, {"delta", std::move(delta)}});
}

void MessagesStream::close_part() {
  if (part() == Part::Reasoning) {
    Content thought = Content::make_text(said());
    thought.kind = Content::Kind::Reasoning;
    remember(signature(), std::move(thought));
    put("content_block_delta", {{"type", "content_block_delta"},
                                {"index", index_},
                                {"delta", JsonObject{{"type", "signature_delta"}, {"signature", signature()}}}});
  }
  put("content_block_stop", {{"type", "content_block_stop"}, {"index", index_}});
  ++index_;
}

void MessagesStream::on_end(const llm::LlmResponse& response) {
  complete_reasoning(response);
  JsonObject delta{{"stop_reason", to_json_text(stop_reason(effective_stop(response)))}, {"stop_sequence", nullptr}};
  put("message_delta", {{"type", "message_delta"}, {"delta", std::move(delta)}, {"usage", usage_object(response.usage)}});
  put("message_stop", {{"type", "message_stop"}});
}

void MessagesStream::on_fail(const FaceError& error) { put("error", anthropic_error(error)); }

void MessagesStream::on_heartbeat() { put("ping", {{"type", "ping"}}); }

}  // namespace mayfly::faces
