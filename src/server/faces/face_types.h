#pragma once

#include <cstdint>
#include <expected>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "llm/provider.h"

/// What the OpenAI- and Anthropic-compatible faces share: a request as decoded from any of the APIs, and an error before it
/// takes an API's shape.
namespace mayfly::faces {

/// An error as a peer's API words it.
struct FaceError {
  int status = 400;
  std::string code;     ///< Mayfly's: "llm.rate_limited", "request.invalid", …
  std::string message;  ///< what is wrong and what to do
  std::string param;    ///< the field at fault, as the client wrote it: "messages[2].content"; may be empty
  std::optional<Millis> retry_after;
  bool again = false;  ///< whether sending the same request again can help
};

template <class T>
using Decoded = std::expected<T, FaceError>;

/// 400 `request.invalid` at a field.
std::unexpected<FaceError> reject(std::string param, std::string message);
/// 400 `request.unsupported`: the field means something that Mayfly cannot do.
std::unexpected<FaceError> unsupported(std::string param, std::string instead);

/// Finds what was said earlier under an id that a client sends back instead of the thing itself. Empty function: nothing is found.
using Recall = std::function<std::optional<llm::Content>(std::string_view id)>;

struct FaceRequest {
  llm::LlmRequest request;  ///< `model` as the client wrote it
  bool stream = false;
  bool include_usage = false;        ///< Chat Completions: a last chunk with the usage
  std::string session;               ///< metadata.session, else the end user's id
  std::vector<std::string> ignored;  ///< fields with no effect here, for the header Mayfly-Ignored
  JsonObject echo;                   ///< Responses: the request's settings as the response object repeats them
};

/// "model" of "provider/model"; a bare name as it is.
std::string_view bare_model(std::string_view model);

/// What a model may write when the client sets no limit.
std::int64_t default_output_tokens(std::string_view model);

}  // namespace mayfly::faces
