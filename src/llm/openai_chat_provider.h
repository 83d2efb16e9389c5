#pragma once

#include <memory>

#include "llm/http_provider.h"

namespace mayfly::llm {

/// The body of POST /chat/completions with `stream: true`. Error: `llm.invalid_request`.
/// `base_url` decides between OpenAI's own fields (max_completion_tokens, safety_identifier, no temperature for reasoning models)
/// and the older ones that compatible servers know (max_tokens, user).
Result<JsonObject> encode_openai_chat(const LlmRequest& request, std::string_view base_url);

/// Decodes chat.completion.chunk objects up to "[DONE]"; also what compatible servers add (reasoning_content, reasoning, calls
/// without an index, no "[DONE]").
class OpenAiChatDecoder final : public StreamDecoder {
 public:
  using StreamDecoder::StreamDecoder;

 private:
  void decode(std::string_view name, const JsonObject& data) override;
  bool decode_marker(std::string_view data) override;
  void delta(const JsonObject& delta);
  void tool_call(const JsonObject& call);
  void usage(const JsonObject& usage);
  void finished(std::string_view reason);

  std::int64_t last_call_ = -1;
  bool finished_ = false;
};

/// `config.base_url` empty means https://api.openai.com/v1. `http` and `clock` must outlive the provider.
std::unique_ptr<LlmProvider> make_openai_chat_provider(ProviderConfig config, net::HttpClient& http, Clock& clock);

}  // namespace mayfly::llm
