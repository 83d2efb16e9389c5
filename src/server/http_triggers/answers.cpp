#include "server/http_triggers/answers.h"

#include <algorithm>
#include <array>

#include "server/api_events.h"
#include "server/body_reader.h"
#include "server/lambda/lambda_url_event.h"
#include "server/problem.h"

namespace mayfly::http_triggers {
namespace {

constexpr Millis kLinkLife{24LL * 3'600'000};
// Functions share the origin of Mayfly's own pages: what they answer must not act in their name.
constexpr std::string_view kSandboxPolicy = "sandbox allow-downloads allow-forms allow-modals allow-popups allow-scripts";

struct Rule {
  std::string_view code;
  int status;
};
constexpr auto kRules = std::to_array<Rule>({{"route.unauthorized", 401},
                                             {"webhook.unauthorized", 401},
                                             {"webhook.invalid_body", 400},
                                             {"route.misconfigured", 503},
                                             {"route.disabled", 503},
                                             {"route.rate_limited", 429},
                                             {"jwks.unavailable", 503},
                                             {"form.invalid", 400},
                                             {"event.invalid", 400},
                                             {"event.too_large", 413},
                                             {"event.unsupported_media_type", 415},
                                             {"trigger.disabled", 503},
                                             {"trigger.stopping", 503},
                                             {"expression.failed", 422},
                                             {"expression.limit", 422},
                                             {"result.expired", 410}});

/// The function's payload: in the form of the invocation's record, or as it is.
std::optional<std::string> function_payload(const Json& result, bool* has_failed) {
  const auto* object = result.if_object();
  const Json* payload = object && object->contains("Payload") ? get(*object, "Payload") : nullptr;
  if (!payload) return to_text(result);
  *has_failed = object->contains("FunctionError");
  return payload->is_string() ? std::string(std::string_view(payload->get_string())) : to_text(*payload);
}

net::Response function_response(const Json& result) {
  bool has_failed = false;
  const auto payload = function_payload(result, &has_failed);
  auto out = has_failed ? std::nullopt : lambda::url_response(*payload);
  if (!out) return net::problem(502, "function.failed", "the function failed, or answered with something that is no HTTP answer");
  // Routes are beside each other on one origin, where a cookie of one would reach all.
  out->headers.remove("set-cookie");
  out->headers.set("Content-Security-Policy", std::string(kSandboxPolicy));
  return std::move(*out);
}

net::Response agent_response(const Json& result) {
  const auto* object = result.if_object();
  if (!object) return json_response(200, result);
  JsonObject out;
  for (const std::string_view name : {"text", "data"})
    if (const Json* value = get(*object, name)) out[name] = *value;
  return json_response(200, std::move(out));
}

/// Strangers are told that it failed, not why.
net::Response failed_response(const Caller& caller, const engine::Execution& run) {
  using Status = engine::ExecutionStatus;
  const int status = run.status == Status::TimedOut ? 504 : 502;
  const bool may_know = !caller.principal.key_id.empty();
  if (!run.error || !may_know) return net::problem(status, "run.failed", "the run ended without an answer: " + std::string(engine::to_string(run.status)));
  return net::problem(status, run.error->code, run.error->message);
}

}  // namespace

net::Response problem_of(const Error& error) {
  const auto rule = std::ranges::find(kRules, error.code, &Rule::code);
  const bool is_token = error.code.starts_with("jwt.");
  if (rule == kRules.end() && !is_token) return to_problem(error);
  const int status = is_token ? 401 : rule->status;
  net::Response out = net::problem(status, error.code, error.message);
  if (is_token) out.headers.add("WWW-Authenticate", "Bearer error=\"invalid_token\"");
  if (status == 429 || status == 503) out.headers.add("Retry-After", status == 503 ? "5" : "1");
  return out;
}

Task<Result<net::Response>> accepted_response(AppContext* app, ResultLinks* links, const Caller* caller, const trigger::Accepted* accepted) {
  if (accepted->filtered) co_return json_response(202, JsonObject{{"filtered", true}});
  JsonObject out;
  std::string status_url;
  if (!accepted->run.empty()) {
    out["run"] = accepted->run;
    status_url = "/v1/runs/" + accepted->run;
    if (!caller->can_read()) {
      auto token = co_await links->sign(app->store, accepted->run, app->clock->now() + kLinkLife);
      if (!token) co_return fail(token.error());
      status_url = "/v1/results/" + *token;
    }
    out["status_url"] = status_url;
  }
  if (!accepted->message_id.empty()) out["message_id"] = accepted->message_id;
  if (accepted->delivery) out["delivery"] = true;
  if (accepted->duplicate) out["duplicate"] = true;
  net::Response response = json_response(202, std::move(out));
  if (!accepted->run.empty()) {
    response.headers.add("Mayfly-Run", accepted->run);
    response.headers.add("Location", status_url);
  }
  co_return response;
}

Task<Result<net::Response>> ended_response(AppContext* app, const trigger::Target* target, const Caller* caller, engine::Execution run) {
  net::Response out;
  if (run.status != engine::ExecutionStatus::Succeeded) {
    out = failed_response(*caller, run);
  } else {
    auto result = co_await app->engine->unspill(std::move(run.result));
    if (!result) co_return fail(result.error());
    if (auto* object = result->if_object(); object && object->contains("Payload")) {
      auto payload = co_await app->engine->unspill((*object)["Payload"]);
      if (!payload) co_return fail(payload.error());
      (*object)["Payload"] = std::move(*payload);
    }
    out = target->kind == trigger::Target::Kind::Function ? function_response(*result)
          : target->kind == trigger::Target::Kind::Agent  ? agent_response(*result)
                                                          : json_response(200, std::move(*result));
  }
  out.headers.set("Mayfly-Run", run.id);
  co_return out;
}

Task<Result<net::Response>> result_response(AppContext* app, ResultLinks* links, Call* call) {
  auto run = co_await links->verify(app->store, call->parameter("result"), app->clock->now());
  if (!run) co_return fail(run.error());
  const auto wait = read_wait(call->request);
  if (!wait) co_return fail(wait.error());
  if (*wait)
    if (auto waited = co_await wait_for_end(*app, *run, **wait, call->request.disconnected); !waited) co_return fail(waited.error());
  auto execution = co_await app->engine->get(*run);
  if (!execution) co_return fail(execution.error());
  JsonObject out{{"run", *run}, {"status", engine::to_string(execution->status)}, {"result", nullptr}, {"error", nullptr}};
  if (execution->error) out["error"] = JsonObject{{"code", execution->error->code}};
  if (!execution->open()) {
    auto result = co_await app->engine->unspill(std::move(execution->result));
    if (!result) co_return fail(result.error());
    out["result"] = std::move(*result);
  }
  net::Response response = json_response(200, std::move(out));
  response.headers.add("Referrer-Policy", "no-referrer");
  co_return response;
}

}  // namespace mayfly::http_triggers
