#include "server/faces/face_app.h"

#include <algorithm>

#include "server/faces/anthropic_messages.h"
#include "server/faces/openai_chat.h"
#include "server/faces/openai_responses.h"

namespace mayfly::faces {
namespace {

Decoded<FaceRequest> decode_chat_alone(std::string_view body, const Recall&) { return decode_chat(body); }
JsonObject encode_chat_alone(const AnswerHead& head, const llm::LlmResponse& response, Remembered&) { return encode_chat(head, response); }
std::unique_ptr<StreamEncoder> chat_stream(AnswerHead head, const FaceRequest& request) {
  return std::make_unique<ChatStream>(std::move(head), request.include_usage);
}
std::unique_ptr<StreamEncoder> responses_stream(AnswerHead head, const FaceRequest&) {
  return std::make_unique<ResponsesStream>(std::move(head));
}
std::unique_ptr<StreamEncoder> messages_stream(AnswerHead head, const FaceRequest&) {
  return std::make_unique<MessagesStream>(std::move(head));
}

bool has(const std::vector<std::string>& names, std::string_view name) { return std::ranges::find(names, name) != names.end(); }

/// The usual name of the provider that makes a model.
std::string_view family_of(std::string_view model) {
  if (model.starts_with("claude")) return "anthropic";
  const bool is_o = model.size() >= 2 && model[0] == 'o' && model[1] >= '0' && model[1] <= '9';
  if (is_o || model.starts_with("gpt-") || model.starts_with("chatgpt-")) return "openai";
  if (model.starts_with("gemini")) return "google";
  return "";
}

}  // namespace

const Dialect kChat{Api::OpenAi, decode_chat_alone, encode_chat_alone, chat_stream};
const Dialect kResponses{Api::OpenAi, decode_responses, encode_responses, responses_stream};
const Dialect kMessages{Api::Anthropic, decode_messages, encode_messages, messages_stream};

AnswerHead make_head(AppContext& app, FaceRequest& request) {
  const TimePoint now = app.clock->now();
  return {make_ulid(now, *app.random), to_unix_ms(now) / 1'000, request.request.model, std::move(request.echo), {}};
}

net::Headers answer_headers(const AnswerHead& head, const FaceRequest& request, Api api) {
  net::Headers out;
  out.add(api == Api::OpenAi ? "x-request-id" : "request-id", "req_" + head.id);
  std::string ignored;
  for (const std::string& name : request.ignored) ignored += (ignored.empty() ? "" : ", ") + name;
  if (!ignored.empty()) out.add("Mayfly-Ignored", ignored);
  return out;
}

net::Headers stream_headers(net::Headers headers) {
  headers.add("Content-Type", "text/event-stream; charset=utf-8");
  headers.add("Cache-Control", "no-store");
  headers.add("X-Accel-Buffering", "no");
  return headers;
}

net::Response json_answer(net::Headers headers, const JsonObject& body) {
  headers.add("Content-Type", "application/json");
  headers.add("Cache-Control", "no-store");
  return {200, std::move(headers), to_text(body)};
}

std::string idempotency_key(const net::Request& request) {
  std::string key = request.headers.get("idempotency-key");
  if (key.size() >= 2 && key.front() == '"' && key.back() == '"') return key.substr(1, key.size() - 2);
  return key;
}

Result<std::string> resolve_model(const std::vector<std::string>& providers, const std::string& model) {
  const auto slash = model.find('/');
  if (slash != std::string::npos && slash + 1 < model.size() && has(providers, std::string_view(model).substr(0, slash))) return model;
  if (const std::string_view family = family_of(model); slash == std::string::npos && has(providers, family))
    return std::string(family) + "/" + model;
  if (providers.size() == 1) return providers.front() + "/" + model;
  std::string names;
  for (const std::string& name : providers) names += (names.empty() ? "" : ", ") + name;
  return fail("llm.not_found",
              "no provider is known for the model '" + model.substr(0, 200) +
                  "'; write \"provider/model\" with one of the configured providers: " + (names.empty() ? "none is configured" : names));
}

}  // namespace mayfly::faces
