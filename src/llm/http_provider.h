#pragma once

#include <memory>
#include <string>

#include "llm/gateway.h"
#include "llm/provider.h"
#include "llm/stream_decoder.h"
#include "net/http_client.h"
#include "runtime/clock.h"

namespace mayfly::llm {

/// The part that all providers over HTTP share: one POST whose answer is a stream of events.
/// `http` and `clock` must outlive the provider.
class HttpProvider : public LlmProvider {
 public:
  HttpProvider(ProviderConfig config, net::HttpClient& http, Clock& clock) : config_(std::move(config)), http_(http), clock_(clock) {}
  Task<LlmResult> complete(LlmCall call) final;

 protected:
  struct Wire {
    std::string url;
    net::Headers headers;   ///< beside content-type, accept and user-agent
    std::string body;
  };
  /// Error: `llm.invalid_request`.
  virtual Result<Wire> encode(const LlmCall& call) const = 0;
  virtual std::unique_ptr<StreamDecoder> decoder(const LlmRequest& request, StreamDecoder::OnDelta on_delta) const = 0;
  const ProviderConfig& config() const { return config_; }
  /// `base_url` (or `otherwise`) without a final slash.
  std::string base_url(std::string_view otherwise) const;

 private:
  net::ClientRequest to_request(Wire wire, const LlmCall& call) const;
  LlmError hide_key(LlmError error) const;

  ProviderConfig config_;
  net::HttpClient& http_;
  Clock& clock_;
};

}  // namespace mayfly::llm
