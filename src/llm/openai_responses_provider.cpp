#include "llm/openai_responses_provider.h"

namespace mayfly::llm {
namespace {

class OpenAiResponsesProvider final : public HttpProvider {
 public:
  using HttpProvider::HttpProvider;

 private:
  Result<Wire> encode(const LlmCall& call) const override {
    auto body = encode_openai_responses(call.request);
    if (!body) return fail(std::move(body.error()));
    Wire out;
    out.url = base_url("https://api.openai.com/v1") + "/responses";
    if (!config().api_key.empty()) out.headers.add("authorization", "Bearer " + config().api_key);
    if (!call.idempotency_key.empty()) out.headers.add("idempotency-key", call.idempotency_key);
    out.body = to_text(*body);
    return out;
  }

  std::unique_ptr<StreamDecoder> decoder(const LlmRequest& request, StreamDecoder::OnDelta on_delta) const override {
    return std::make_unique<OpenAiResponsesDecoder>(config().name, request.model, std::move(on_delta));
  }
};

}  // namespace

std::unique_ptr<LlmProvider> make_openai_responses_provider(ProviderConfig config, net::HttpClient& http, Clock& clock) {
  return std::make_unique<OpenAiResponsesProvider>(std::move(config), http, clock);
}

}  // namespace mayfly::llm
