#pragma once

#include "server/faces/face_types.h"
#include "server/faces/stream_encoder.h"

/// Anthropic's Messages API (docs.claude.com, "Messages" and "Streaming messages"), from the server's side, any anthropic-version.
namespace mayfly::faces {

/// Thinking that is signed by us is found by `recall`; what it does not know is left out.
Decoded<FaceRequest> decode_messages(std::string_view body, const Recall& recall);

/// The object `message`; thinking that a client will send back is appended to `remembered`.
JsonObject encode_messages(const AnswerHead& head, const llm::LlmResponse& response, Remembered& remembered);

/// `message_start` … `message_stop`.
class MessagesStream final : public StreamEncoder {
 public:
  using StreamEncoder::StreamEncoder;

 private:
  void on_begin() override;
  void open_part() override;
  void piece(std::string_view text) override;
  void close_part() override;
  void on_end(const llm::LlmResponse& response) override;
  void on_fail(const FaceError& error) override;
  void on_heartbeat() override;
  std::string signature() const;

  int index_ = 0;
  bool pinged_ = false;
};

}  // namespace mayfly::faces
