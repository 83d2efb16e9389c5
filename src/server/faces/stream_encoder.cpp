#include "server/faces/stream_encoder.h"

#include "llm/stream_text.h"

namespace mayfly::faces {

using llm::LlmDelta;

void StreamEncoder::put(std::string_view event, const JsonObject& data) {
  if (!event.empty()) {
    out_ += "event: ";
    out_ += event;
    out_ += '\n';
  }
  out_ += "data: ";
  out_ += to_text(data);
  out_ += "\n\n";
}

void StreamEncoder::begin() {
  if (std::exchange(begun_, true)) return;
  on_begin();
}

void StreamEncoder::leave() {
  if (part_ == Part::None) return;
  close_part();
  part_ = Part::None;
  said_.clear();
}

void StreamEncoder::enter(Part part, int tool_index, std::string id, std::string name) {
  leave();
  part_ = part;
  tool_index_ = tool_index;
  id_ = std::move(id);
  name_ = std::move(name);
  open_part();
}

void StreamEncoder::take(const LlmDelta& delta) {
  switch (delta.kind) {
    case LlmDelta::Kind::Restart:
      if (spoken_) broken_ = true;
      return;
    case LlmDelta::Kind::ToolCallStart:
      spoken_ = true;
      enter(Part::ToolCall, delta.index, delta.id, delta.name);
      return;
    case LlmDelta::Kind::ToolCallArguments:
      if (part_ != Part::ToolCall || tool_index_ != delta.index) {
        broken_ = true;
        return;
      }
      break;
    case LlmDelta::Kind::Text:
    case LlmDelta::Kind::Reasoning: {
      const Part wanted = delta.kind == LlmDelta::Kind::Text ? Part::Text : Part::Reasoning;
      if (delta.text.empty()) return;
      spoken_ = true;
      if (part_ != wanted) enter(wanted, -1, {}, {});
      break;
    }
  }
  if (delta.text.empty()) return;
  said_ += delta.text;
  piece(delta.text);
}

std::string StreamEncoder::delta(const LlmDelta& delta) {
  if (broken_) return {};
  if (delta.kind != LlmDelta::Kind::Restart) begin();
  take(delta);
  return std::exchange(out_, {});
}

std::string StreamEncoder::end(const llm::LlmResponse& response) {
  begin();
  if (!spoken_) llm::emit_as_deltas(response.message, [this](const LlmDelta& delta) { take(delta); });
  leave();
  on_end(response);
  return std::exchange(out_, {});
}

std::string StreamEncoder::fail(const FaceError& error) {
  begin();
  on_fail(error);
  return std::exchange(out_, {});
}

std::string StreamEncoder::heartbeat() {
  on_heartbeat();
  return std::exchange(out_, {});
}

void StreamEncoder::complete_reasoning(const llm::LlmResponse& response) {
  auto next = remembered_.begin();
  for (const llm::Content& content : response.message.content) {
    if (content.kind != llm::Content::Kind::Reasoning || content.text.empty()) continue;
    while (next != remembered_.end() && next->second.kind != llm::Content::Kind::Reasoning) ++next;
    if (next == remembered_.end()) return;
    (next++)->second = content;
  }
}

llm::StopReason effective_stop(const llm::LlmResponse& response) {
  if (response.stop_reason != llm::StopReason::End) return response.stop_reason;
  for (const llm::Content& content : response.message.content)
    if (content.kind == llm::Content::Kind::ToolCall) return llm::StopReason::ToolCalls;
  return response.stop_reason;
}

std::string joined(const llm::Message& message, llm::Content::Kind kind) {
  std::string out;
  for (const llm::Content& content : message.content)
    if (content.kind == kind) out += content.text;
  return out;
}

}  // namespace mayfly::faces
