#pragma once

#include <memory>
#include <string>

#include "server/context.h"
#include "server/faces/face_error.h"
#include "server/faces/recall_store.h"
#include "server/faces/stream_encoder.h"
#include "server/faces/usage_meter.h"
#include "server/router.h"

namespace mayfly::faces {

/// What the faces keep between requests.
struct FaceState {
  explicit FaceState(AppContext& app) : meter(*app.store, *app.clock) {}
  RecallStore recall;
  UsageMeter meter;
};

/// One API: how it is decoded, encoded and how its errors look.
struct Dialect {
  Api api = Api::OpenAi;
  Decoded<FaceRequest> (*decode)(std::string_view body, const Recall& recall) = nullptr;
  JsonObject (*encode)(const AnswerHead& head, const llm::LlmResponse& response, Remembered& remembered) = nullptr;
  std::unique_ptr<StreamEncoder> (*stream)(AnswerHead head, const FaceRequest& request) = nullptr;
};
extern const Dialect kChat;
extern const Dialect kResponses;
extern const Dialect kMessages;

/// A fresh id and the request's settings.
AnswerHead make_head(AppContext& app, FaceRequest& request);
/// Fields of every answer: the request's id and what of it was ignored.
net::Headers answer_headers(const AnswerHead& head, const FaceRequest& request, Api api);
net::Headers stream_headers(net::Headers headers);
net::Response json_answer(net::Headers headers, const JsonObject& body);
/// The header draft makes it a quoted string; most clients send it bare.
std::string idempotency_key(const net::Request& request);

/// "provider/model" for what a client calls a model: a full name as it is; a bare one by its family (claude…, gpt…, o3…) when such a
/// provider is configured, else at the only provider. Error: `llm.not_found`.
Result<std::string> resolve_model(const std::vector<std::string>& providers, const std::string& model);

Task<> serve_model(std::shared_ptr<FaceState> state, AppContext* app, Call* call, const Dialect* dialect);
/// The gateway at /v1/chat/completions, /v1/responses, /v1/messages and /v1/models, for a function's own process: metered under the call's
/// principal. False when the request is for something else.
Task<bool> serve_own_function(std::shared_ptr<FaceState> state, AppContext* app, Call* call);
Task<> serve_agent(AppContext* app, Call* call, const Dialect* dialect);

}  // namespace mayfly::faces
