#pragma once

#include "server/faces/face_types.h"
#include "server/faces/stream_encoder.h"

/// OpenAI's Responses API (platform.openai.com, API reference "Responses"), from the server's side. Conversations are not stored:
/// `input` holds the whole conversation. References to items of recent answers are found by `Recall`.
namespace mayfly::faces {

/// Error 404 `item.not_found` for a reference that `recall` does not know.
Decoded<FaceRequest> decode_responses(std::string_view body, const Recall& recall);

/// The object `response`; the items that a client may refer to later are appended to `remembered`.
JsonObject encode_responses(const AnswerHead& head, const llm::LlmResponse& response, Remembered& remembered);

/// `response.created` … `response.completed` with sequence numbers.
class ResponsesStream final : public StreamEncoder {
 public:
  using StreamEncoder::StreamEncoder;

 private:
  void on_begin() override;
  void open_part() override;
  void piece(std::string_view text) override;
  void close_part() override;
  void on_end(const llm::LlmResponse& response) override;
  void on_fail(const FaceError& error) override;
  void event(std::string_view type, JsonObject fields);
  /// Fields that place an event at the open item.
  JsonObject place() const;
  std::string item_id() const;

  JsonArray output_;
  std::int64_t sequence_ = 0;
};

}  // namespace mayfly::faces
