#include "llm/anthropic_provider.h"

namespace mayfly::llm {
namespace {

class AnthropicProvider final : public HttpProvider {
 public:
  using HttpProvider::HttpProvider;

 private:
  Result<Wire> encode(const LlmCall& call) const override {
    auto body = encode_anthropic(call.request);
    if (!body) return fail(std::move(body.error()));
    Wire out;
    out.url = base_url("https://api.anthropic.com");
    out.url += out.url.ends_with("/v1") ? "/messages" : "/v1/messages";
    out.headers.add("anthropic-version", "2023-06-01");
    if (!config().api_key.empty()) out.headers.add("x-api-key", config().api_key);
    out.body = to_text(*body);
    return out;
  }

  std::unique_ptr<StreamDecoder> decoder(const LlmRequest& request, StreamDecoder::OnDelta on_delta) const override {
    return std::make_unique<AnthropicDecoder>(config().name, request.model, std::move(on_delta));
  }
};

}  // namespace

std::unique_ptr<LlmProvider> make_anthropic_provider(ProviderConfig config, net::HttpClient& http, Clock& clock) {
  return std::make_unique<AnthropicProvider>(std::move(config), http, clock);
}

}  // namespace mayfly::llm
