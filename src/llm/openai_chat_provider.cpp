#include "llm/openai_chat_provider.h"

namespace mayfly::llm {
namespace {

class OpenAiChatProvider final : public HttpProvider {
 public:
  using HttpProvider::HttpProvider;

 private:
  Result<Wire> encode(const LlmCall& call) const override {
    auto body = encode_openai_chat(call.request, config().base_url);
    if (!body) return fail(std::move(body.error()));
    Wire out;
    out.url = base_url("https://api.openai.com/v1") + "/chat/completions";
    if (!config().api_key.empty()) out.headers.add("authorization", "Bearer " + config().api_key);
    if (!call.idempotency_key.empty()) out.headers.add("idempotency-key", call.idempotency_key);
    out.body = to_text(*body);
    return out;
  }

  std::unique_ptr<StreamDecoder> decoder(const LlmRequest&, StreamDecoder::OnDelta on_delta) const override {
    return std::make_unique<OpenAiChatDecoder>(config().name, std::move(on_delta));
  }
};

}  // namespace

std::unique_ptr<LlmProvider> make_openai_chat_provider(ProviderConfig config, net::HttpClient& http, Clock& clock) {
  return std::make_unique<OpenAiChatProvider>(std::move(config), http, clock);
}

}  // namespace mayfly::llm
