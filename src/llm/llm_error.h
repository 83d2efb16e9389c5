#pragma once

#include <string>
#include <string_view>

#include "base/time.h"
#include "llm/provider.h"
#include "net/http.h"

/// How the failures of providers become `LlmError`s. Pure functions.
namespace mayfly::llm {

LlmError make_error(std::string code, std::string message, Retry retry, int status = 0,
                    std::optional<Millis> retry_after = std::nullopt);

/// What a provider says about a failure, as far as it does.
struct ProviderFailure {
  std::string type;     ///< "rate_limit_error", "invalid_request_error", …
  std::string code;     ///< OpenAI's: "context_length_exceeded", "insufficient_quota", …
  std::string message;
};

/// Reads {"error": {"type", "code", "message"}}, {"error": "text"} and {"message": "text"}; anything else gives its first bytes.
ProviderFailure parse_failure(std::string_view body);
ProviderFailure parse_failure(const JsonObject& body);

/// A whole HTTP answer with an error status. `now` turns dates into waits. Retry is Safe where the provider refused before working.
LlmError error_from_http(const std::string& provider, int status, const net::Headers& headers, std::string_view body, TimePoint now);

/// The same for a failure reported inside a stream. Once the answer began tokens may have been billed, so Retry is then
/// OutcomeUnknown unless it is Never.
LlmError error_from_stream(const std::string& provider, const ProviderFailure& failure, bool answer_began);

/// A failure of the HTTP client. `answer_began`: bytes of the answer had arrived.
LlmError error_from_transport(const std::string& provider, const Error& error, bool answer_began);

LlmError cancelled_error();

/// The wait a provider asks for: `retry-after-ms`, `retry-after` (seconds or HTTP date), else the reset time of an exhausted
/// `anthropic-ratelimit-*` or `x-ratelimit-*` limit. At most one hour.
std::optional<Millis> retry_after_from(const net::Headers& headers, TimePoint now);

}  // namespace mayfly::llm
