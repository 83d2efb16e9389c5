#pragma once

#include <memory>

#include "llm/http_provider.h"

namespace mayfly::llm {

/// The body of POST /responses with `stream: true` and `store: false`; the conversation is sent whole, reasoning as encrypted items.
/// Error: `llm.invalid_request`, also for `stop`, which this API does not have.
Result<JsonObject> encode_openai_responses(const LlmRequest& request);

/// Decodes response.created … response.completed, response.incomplete or response.failed.
class OpenAiResponsesDecoder final : public StreamDecoder {
 public:
  /// `model` is the requested one: it marks reasoning as this model's.
  OpenAiResponsesDecoder(std::string provider, std::string model, OnDelta on_delta)
      : StreamDecoder(std::move(provider), std::move(on_delta)), model_(std::move(model)) {}

 private:
  void decode(std::string_view name, const JsonObject& data) override;
  bool decode_piece(std::string_view name, const JsonObject& data);
  void item_added(Key output, const JsonObject& item);
  void item_done(Key output, const JsonObject& item);
  void message_done(Key output, const JsonObject& item);
  void finished(const JsonObject& response);
  void usage(const JsonObject& usage);

  std::string model_;
  bool refused_ = false;
};

/// `config.base_url` empty means https://api.openai.com/v1. `http` and `clock` must outlive the provider.
std::unique_ptr<LlmProvider> make_openai_responses_provider(ProviderConfig config, net::HttpClient& http, Clock& clock);

}  // namespace mayfly::llm
