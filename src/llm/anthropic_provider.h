#pragma once

#include <memory>

#include "llm/http_provider.h"

namespace mayfly::llm {

/// The body of POST /v1/messages with `stream: true` (anthropic-version 2023-06-01). Error: `llm.invalid_request`.
/// What the model does not accept (see claude_model.h) is left out: temperature, forced tools, an output schema outside the
/// supported subset. Reasoning of another model or provider is left out too: signatures are bound to the model.
Result<JsonObject> encode_anthropic(const LlmRequest& request);

/// Decodes message_start … message_stop (Claude docs "Streaming messages").
class AnthropicDecoder final : public StreamDecoder {
 public:
  /// `model` is the requested one: it marks reasoning as this model's.
  AnthropicDecoder(std::string provider, std::string model, OnDelta on_delta)
      : StreamDecoder(std::move(provider), std::move(on_delta)), model_(std::move(model)) {}

 private:
  void decode(std::string_view name, const JsonObject& data) override;
  void start_block(Key key, const JsonObject& block);
  void change_block(Key key, const JsonObject& delta);
  void usage(const JsonObject& usage);
  void sign(Key key, std::string_view field, std::string_view text);

  std::string model_;
};

/// `config.base_url` empty means https://api.anthropic.com. `http` and `clock` must outlive the provider.
std::unique_ptr<LlmProvider> make_anthropic_provider(ProviderConfig config, net::HttpClient& http, Clock& clock);

}  // namespace mayfly::llm
