#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/time.h"
#include "llm/message.h"
#include "runtime/cancel.h"
#include "runtime/task.h"

namespace mayfly::llm {

struct ToolDefinition {
  std::string name;
  std::string description;
  Json parameters;  ///< JSON Schema of an object
};

enum class ToolChoice { Auto, None, Required };
enum class ReasoningEffort { Default, None, Low, Medium, High };

struct LlmRequest {
  std::string model;                        ///< without the provider's name: "claude-sonnet-4-5", "gpt-5-mini"
  std::string system;
  std::vector<Message> messages;
  std::vector<ToolDefinition> tools;
  ToolChoice tool_choice = ToolChoice::Auto;
  bool parallel_tool_calls = true;
  std::int64_t output_tokens_max = 4096;
  std::optional<double> temperature;
  ReasoningEffort reasoning = ReasoningEffort::Default;
  std::optional<Json> output_schema;        ///< JSON Schema: ask the provider for structured output where it can
  std::vector<std::string> stop;
  bool cache_prompt = true;                 ///< mark the stable prefix for prompt caching where the API wants marks
  std::string user;                         ///< opaque end-user id, optional
};

enum class StopReason { End, ToolCalls, Length, Refusal, StopSequence, ContentFilter, Other };
std::string_view to_string(StopReason reason);

struct LlmResponse {
  Message message;                          ///< role Assistant
  StopReason stop_reason = StopReason::End;
  Usage usage;
  std::string provider;                     ///< configured name of the provider that answered
  std::string model;                        ///< as the provider names it
  std::string response_id;                  ///< the provider's
  std::int64_t time_to_first_token_us = 0;
};
Json to_json(const LlmResponse& response);
Result<LlmResponse> response_from_json(const Json& value);
Json to_json(const LlmRequest& request);
Result<LlmRequest> request_from_json(const Json& value);

/// What streams to a watcher while the call runs. Text deltas concatenate to the final text.
struct LlmDelta {
  enum class Kind { Text, Reasoning, ToolCallStart, ToolCallArguments, Restart };
  Kind kind = Kind::Text;
  std::string text;       ///< Text, Reasoning, or a piece of the arguments' JSON text
  int index = 0;          ///< of the tool call, from 0
  std::string id;         ///< ToolCallStart
  std::string name;       ///< ToolCallStart
};                        ///< Restart: a retry began; what was streamed before is void

/// Beside the request: who asks, how long, whom to tell.
struct LlmCall {
  LlmRequest request;
  CancelToken cancel;                       ///< aborts the socket
  Millis first_token_timeout{60'000};
  Millis between_tokens_timeout{60'000};
  Millis total_timeout{600'000};
  Millis retry_budget{0};                   ///< how long the gateway may itself wait and retry 429/5xx; 0: report at once
  std::string idempotency_key;              ///< sent where the API knows such a header
  std::string scripted_key;                 ///< the run's id: what the scripted provider keys its position on
  std::function<void(const LlmDelta&)> on_delta;  ///< may be empty
};

/// A failed call. Codes: `llm.rate_limited`, `llm.overloaded`, `llm.timeout`, `llm.unreachable`, `llm.authentication`,
/// `llm.invalid_request`, `llm.context_too_long`, `llm.not_found` (model or provider), `llm.bad_response`, `llm.cancelled`,
/// `llm.server_error`, `llm.egress_denied`, `llm.cassette_mismatch`.
/// `retry` is Safe when no tokens can have been billed, OutcomeUnknown when they may have been.
struct LlmError {
  Error error;
  std::optional<Millis> retry_after;        ///< the provider's wish
  int status = 0;                           ///< HTTP, 0 when there was none
};

using LlmResult = std::expected<LlmResponse, LlmError>;

/// One way to reach models. Streams inside always; the caller sees deltas if it asked and always the whole response.
class LlmProvider {
 public:
  virtual ~LlmProvider() = default;
  virtual Task<LlmResult> complete(LlmCall call) = 0;
};

}  // namespace mayfly::llm
