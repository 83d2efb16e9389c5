#include "llm/stream_text.h"

namespace mayfly::llm {

std::string arguments_text(const Content& call) { return call.arguments.is_object() ? to_text(call.arguments) : call.text; }

void emit_as_deltas(const Message& message, const std::function<void(const LlmDelta&)>& on_delta) {
  if (!on_delta) return;
  int index = 0;
  for (const Content& content : message.content) {
    switch (content.kind) {
      case Content::Kind::Text:
      case Content::Kind::Refusal: on_delta({.kind = LlmDelta::Kind::Text, .text = content.text}); break;
      case Content::Kind::Reasoning:
        if (!content.text.empty()) on_delta({.kind = LlmDelta::Kind::Reasoning, .text = content.text});
        break;
      case Content::Kind::ToolCall:
        on_delta({.kind = LlmDelta::Kind::ToolCallStart, .index = index, .id = content.id, .name = content.name});
        on_delta({.kind = LlmDelta::Kind::ToolCallArguments, .text = arguments_text(content), .index = index});
        ++index;
        break;
      case Content::Kind::Image:
      case Content::Kind::ToolResult: break;
    }
  }
}

std::size_t utf8_prefix(std::string_view text, std::size_t bytes) {
  const auto continues = [&](std::size_t at) { return at < text.size() && (static_cast<unsigned char>(text[at]) & 0xC0) == 0x80; };
  if (bytes >= text.size()) return text.size();
  std::size_t end = bytes;
  while (end > 0 && continues(end)) --end;
  if (end > 0) return end;
  end = 1;
  while (continues(end)) ++end;
  return end;
}

}  // namespace mayfly::llm
