#pragma once

#include "server/faces/face_types.h"
#include "server/faces/stream_encoder.h"

/// OpenAI's Chat Completions API (platform.openai.com, API reference "Chat"), from the server's side.
namespace mayfly::faces {

Decoded<FaceRequest> decode_chat(std::string_view body);

/// The object `chat.completion`.
JsonObject encode_chat(const AnswerHead& head, const llm::LlmResponse& response);

/// `chat.completion.chunk`s, `[DONE]`.
class ChatStream final : public StreamEncoder {
 public:
  ChatStream(AnswerHead head, bool include_usage) : StreamEncoder(std::move(head)), include_usage_(include_usage) {}

 private:
  void on_begin() override;
  void open_part() override;
  void piece(std::string_view text) override;
  void close_part() override {}
  void on_end(const llm::LlmResponse& response) override;
  void on_fail(const FaceError& error) override;
  void chunk(JsonObject delta, Json finish_reason = nullptr, const JsonObject* extension = nullptr);
  JsonObject frame(JsonArray choices) const;

  bool include_usage_;
};

}  // namespace mayfly::faces
