#include <set>

#include "server/faces/face_app.h"
#include "server/faces/faces.h"
#include "server/faces/openai_common.h"
#include "server/problem.h"

namespace mayfly {
namespace {

using namespace faces;

constexpr std::size_t kUsageRowsMax = 1'000;

net::Response openai_shape(const Error& error) { return error_response(face_error(error), Api::OpenAi); }
net::Response anthropic_shape(const Error& error) { return error_response(face_error(error), Api::Anthropic); }

JsonObject model_object(const std::string& id, TimePoint created, std::string_view owner) {
  return {{"id", id}, {"object", "model"}, {"created", to_unix_ms(created) / 1'000}, {"owned_by", to_json_text(owner)}};
}

Task<Result<net::Response>> list_agents(AppContext& app, Call&) {
  JsonArray data;
  for (const agent::AgentVersion& version : app.registry->list())
    data.push_back(model_object(version.spec.name, version.deployed, "mayfly"));
  co_return json_response(200, JsonObject{{"object", "list"}, {"data", std::move(data)}});
}

Task<Result<net::Response>> get_agent(AppContext& app, Call& call) {
  const auto version = app.registry->current(call.parameter("model"));
  if (!version) co_return fail(app.registry->not_found(call.parameter("model")));
  co_return json_response(200, model_object(version->spec.name, version->deployed, "mayfly"));
}

/// Providers do not say what they have: these are the models that agents name and those that were called.
std::set<std::string> known_models(AppContext& app) {
  std::set<std::string> out;
  for (const agent::AgentVersion& version : app.registry->list())
    for (const std::string& model : version.spec.models)
      if (app.gateway->check_model(model)) out.insert(model);
  for (const auto& [model, counters] : app.gateway->counters())
    if (!model.ends_with("/*") && counters.calls > counters.failures) out.insert(model);
  return out;
}

Task<Result<net::Response>> list_models(AppContext& app, Call&) {
  JsonArray data;
  for (const std::string& model : known_models(app)) data.push_back(model_object(model, TimePoint{}, model.substr(0, model.find('/'))));
  co_return json_response(200, JsonObject{{"object", "list"}, {"data", std::move(data)}});
}

Task<Result<net::Response>> list_models_anthropic(AppContext& app, Call&) {
  JsonArray data;
  const std::set<std::string> models = known_models(app);
  for (const std::string& model : models)
    data.push_back(JsonObject{{"type", "model"}, {"id", model}, {"display_name", model}, {"created_at", to_rfc3339(TimePoint{})}});
  JsonObject out{{"data", std::move(data)}, {"has_more", false}};
  out["first_id"] = models.empty() ? Json() : Json(*models.begin());
  out["last_id"] = models.empty() ? Json() : Json(*models.rbegin());
  co_return json_response(200, std::move(out));
}

Task<Result<net::Response>> usage_report(std::shared_ptr<FaceState> state) {
  auto rows = co_await state->meter.report(kUsageRowsMax);
  if (!rows) co_return fail(rows.error());
  co_return json_response(200, JsonObject{{"usage", std::move(*rows)}});
}

}  // namespace

Task<bool> faces::serve_own_function(std::shared_ptr<FaceState> state, AppContext* app, Call* call) {
  const std::string& path = call->request.path;
  if (call->request.method == "GET" && path == "/v1/models") {
    auto models = co_await list_models(*app, *call);
    co_await call->responder.send(models ? std::move(*models) : openai_shape(models.error()));
    co_return true;
  }
  const Dialect* dialect = path == "/v1/chat/completions" ? &kChat
                           : path == "/v1/responses"      ? &kResponses
                           : path == "/v1/messages"       ? &kMessages
                                                          : nullptr;
  if (!dialect || call->request.method != "POST") co_return false;
  co_await serve_model(std::move(state), app, call, dialect);
  co_return true;
}

std::shared_ptr<faces::FaceState> add_face_routes(Router& router, AppContext& app) {
  const auto state = std::make_shared<FaceState>(app);
  const RouteOptions agents{{Scope::Invoke}, openai_shape};
  const RouteOptions lists{{Scope::Invoke, Scope::Read}, openai_shape};
  const RouteOptions openai{{Scope::Gateway}, openai_shape};
  const RouteOptions anthropic{{Scope::Gateway}, anthropic_shape};

  router.add("GET", "/openai/v1/models", lists, list_agents);
  router.add("GET", "/openai/v1/models/{model}", lists, get_agent);
  router.add_stream("POST", "/openai/v1/chat/completions", agents,
                    [](AppContext& app, Call& call) { return serve_agent(&app, &call, &kChat); });
  router.add_stream("POST", "/openai/v1/responses", agents,
                    [](AppContext& app, Call& call) { return serve_agent(&app, &call, &kResponses); });

  router.add("GET", "/gateway/openai/v1/models", openai, list_models);
  router.add("GET", "/gateway/anthropic/v1/models", anthropic, list_models_anthropic);
  const auto serve = [&](std::string_view path, const RouteOptions& options, const Dialect* dialect) {
    router.add_stream("POST", path, options,
                      [state, dialect](AppContext& app, Call& call) { return serve_model(state, &app, &call, dialect); });
  };
  serve("/gateway/openai/v1/chat/completions", openai, &kChat);
  serve("/gateway/openai/v1/responses", openai, &kResponses);
  serve("/gateway/anthropic/v1/messages", anthropic, &kMessages);

  router.add("GET", "/v1/usage", {{Scope::Read}}, [state](AppContext&, Call&) { return usage_report(state); });
  return state;
}

}  // namespace mayfly
