#include "server/lambda/lambda_api.h"

#include <algorithm>
#include <array>

#include "base/assert.h"
#include "base/hash.h"
#include "base/log.h"
#include "function/uuid.h"
#include "server/lambda/lambda_auth.h"
#include "server/lambda/lambda_error.h"
#include "server/lambda/lambda_handlers.h"
#include "server/problem.h"
#include "server/mcp/mcp_calls.h"

namespace mayfly::lambda {
namespace {

/// 50 MiB of zip in base64, and the rest of the document.
constexpr std::size_t kCodeBodyBytesMax = 70'167'211;
/// More than Lambda takes, so that it can be refused in Lambda's own words.
constexpr std::size_t kPayloadBodyBytesMax = 16 * 1024 * 1024;

/// Gives every answer the request's id.
class LambdaResponder final : public net::Responder {
 public:
  LambdaResponder(net::Responder& inner, const std::string& request_id) : inner_(inner), request_id_(request_id) {}
  Task<bool> send(net::Response response) override {
    add_id(response.headers);
    return inner_.send(std::move(response));
  }
  Task<bool> start(int status, net::Headers headers) override {
    add_id(headers);
    return inner_.start(status, std::move(headers));
  }
  Task<bool> write(std::string bytes) override { return inner_.write(std::move(bytes)); }
  Task<bool> finish() override { return inner_.finish(); }
  bool started() const override { return inner_.started(); }

 private:
  void add_id(net::Headers& headers) const {
    if (!headers.find("x-amzn-requestid")) headers.add("x-amzn-RequestId", request_id_);
  }
  net::Responder& inner_;
  const std::string& request_id_;
};

std::string_view why_unsupported(std::string_view operation) {
  const auto is_about = [&](std::string_view word) { return operation.find(word) != std::string_view::npos; };
  if (is_about("Permission") || is_about("Policy"))
    return "resource policies are not evaluated here: who may do what is decided by the scopes of API keys (`mayfly keys create`)";
  if (is_about("EventSourceMapping")) return "event sources are declared in mayfly.yaml";
  if (is_about("Layer")) return "put the layer's files into the function's zip file";
  if (is_about("CodeSigning")) return "code signatures are not checked here";
  if (is_about("CapacityProvider") || is_about("Scaling")) return "functions run on this server only";
  return "there is nothing that it would change here";
}

/// A coroutine parameter is taken by value: the pointers live as long as the request.
Task<> answer(LambdaCall* call, const Operation* operation) {
  auto response = Result<net::Response>(net::Response{});
  if (!call->app.functions) {
    response = aws_error("ServiceException", "functions are switched off on this server; start it with them enabled");
  } else if (!operation->handler) {
    response = aws_error("UnsupportedOperationException",
                         "Mayfly does not support " + std::string(operation->name) + ": " + std::string(why_unsupported(operation->name)));
  } else {
    response = co_await operation->handler(call);
  }
  if (response && response->status == 0) co_return;
  const int status = response ? 0 : to_aws(response.error()).status;
  if (status >= 500 && status != 501)
    log::error("a request to the Lambda API failed", {{"operation", operation->name},
                                                      {"code", response.error().code},
                                                      {"error", response.error().message},
                                                      {"request_id", call->request_id}});
  co_await call->responder.send(response ? std::move(*response) : error_answer(response.error(), call->request_id));
}

void note_use(AppContext& app, const Principal& principal) {
  if (!principal.key_id.empty() && app.keys->note_use(principal.key_id) && app.tasks)
    app.tasks->spawn(app.keys->store_use(principal.key_id));
}

/// `check`: whether the caller's right is looked at here.
enum class Rights { Checked, LeftToHandler };

Task<> serve(const Operation* operation, Rights rights, AppContext* app, Call* from) {
  const std::string request_id = function::make_uuid(*app->random);
  LambdaResponder responder(from->responder, request_id);
  LambdaCall call{*app, from->request, responder, std::move(from->parameters), {}, request_id};
  if (rights == Rights::Checked) {
    auto principal = authenticate(*app, call.request);
    auto allowed = principal ? check_scope(*principal, operation->scope, operation->name) : Result<void>(fail(principal.error()));
    if (!allowed) {
      co_await responder.send(error_answer(allowed.error(), request_id));
      co_return;
    }
    note_use(*app, *principal);
    call.principal = std::move(*principal);
  }
  co_await answer(&call, operation);
}

std::vector<std::string_view> split(std::string_view path) {
  std::vector<std::string_view> out;
  while (!path.empty()) {
    path.remove_prefix(1);
    const auto end = std::min(path.find('/'), path.size());
    out.push_back(path.substr(0, end));
    path.remove_prefix(end);
  }
  return out;
}

bool fits(std::string_view pattern, std::string_view path, std::map<std::string, std::string, std::less<>>* parameters) {
  const auto wanted = split(pattern), given = split(path);
  if (wanted.size() != given.size()) return false;
  parameters->clear();
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    if (!wanted[i].starts_with('{')) {
      if (wanted[i] != given[i]) return false;
      continue;
    }
    auto value = net::percent_decode(given[i], false);
    if (!value || value->empty() || !is_utf8(*value)) return false;
    parameters->emplace(wanted[i].substr(1, wanted[i].size() - 2), std::move(*value));
  }
  return true;
}

constexpr std::array<std::string_view, 7> kOfInstances{"Invoke",
                                                       "InvokeAsync",
                                                       "InvokeWithResponseStream",
                                                       "CheckpointDurableExecution",
                                                       "GetDurableExecutionState",
                                                       "GetDurableExecution",
                                                       "GetDurableExecutionHistory"};

/// What a function's process may ask: any invocation, and its own executions.
Result<void> check_instance(const function::InstanceIdentity& identity, const LambdaCall& call) {
  const auto arn_text = call.parameters.find("DurableExecutionArn");
  if (arn_text == call.parameters.end()) return {};
  const auto arn = function::parse_execution_arn(arn_text->second);
  if (!arn) return fail(arn.error());
  if (arn->function != identity.function)
    return fail("auth.forbidden", "the function " + identity.function + " can only reach its own durable executions");
  return {};
}

}  // namespace

const std::string& LambdaCall::parameter(std::string_view name) const {
  const auto found = parameters.find(name);
  MAYFLY_ASSERT(found != parameters.end(), "a handler asks only for parameters of its path");
  return found->second;
}

Result<function::FunctionRef> LambdaCall::function() const {
  auto ref = function::parse_function_ref(parameter("FunctionName"));
  if (!ref) return ref;
  const auto qualifier = request.query_parameter("Qualifier");
  if (!qualifier || qualifier->empty()) return ref;
  if (!ref->qualifier.empty() && ref->qualifier != *qualifier)
    return fail("function.invalid", "The derived qualifier from the function name does not match the specified qualifier.");
  const auto both = function::parse_function_ref(ref->name + ":" + *qualifier);
  if (!both) return fail("function.invalid", "the qualifier is neither a version, an alias nor $LATEST");
  return both;
}

Result<function::FunctionRef> LambdaCall::existing_function() const {
  auto ref = function();
  if (!ref) return ref;
  if (const auto found = app.functions->resolve(*ref); !found) return fail(found.error());
  return ref;
}

std::string LambdaCall::base_url() const {
  const bool is_tls = net::equal_ignoring_case(request.headers.get("x-forwarded-proto"), "https");
  return (is_tls ? "https://" : "http://") + request.headers.get("host", "localhost");
}

net::Response json_answer(int status, const JsonObject& body) { return {status, {{"Content-Type", "application/json"}}, to_text(body)}; }

void add_lambda_routes(Router& router) {
  RouteOptions options;
  options.described = Described::Elsewhere;
  for (const Operation& operation : operations())
    router.add_stream(operation.method, operation.path, options,
                      [&operation](AppContext& app, Call& call) { return serve(&operation, Rights::Checked, &app, &call); });
  static constexpr Operation kDownload{"GET", "/lambda-code/{FunctionName}/{Revision}", "GetFunction", Scope::Read, download_code};
  router.add_stream(kDownload.method, kDownload.path, options,
                    [](AppContext& app, Call& call) { return serve(&kDownload, Rights::LeftToHandler, &app, &call); });
  static constexpr Operation kUrl{"*", "/lambda-url/{Id}/{Path*}", "InvokeFunctionUrl", Scope::Invoke, serve_url};
  router.add_stream(kUrl.method, kUrl.path, options,
                    [](AppContext& app, Call& call) { return serve(&kUrl, Rights::LeftToHandler, &app, &call); });
}

Task<> serve_instance(AppContext* app, std::shared_ptr<faces::FaceState> faces, function::InstanceIdentity identity, net::Request* request,
                      net::Responder* responder) {
  const std::string name = "function:" + identity.function;
  const Principal principal{.key_id = name, .name = name, .scopes = {Scope::Invoke, Scope::Gateway}};
  const std::string request_id = function::make_uuid(*app->random);
  LambdaResponder with_id(*responder, request_id);
  LambdaCall call{*app, *request, with_id, {}, principal, request_id};
  for (const Operation& operation : operations()) {
    if (operation.method != request->method || std::ranges::find(kOfInstances, operation.name) == kOfInstances.end()) continue;
    if (!fits(operation.path, request->path, &call.parameters)) continue;
    if (const auto allowed = check_instance(identity, call); !allowed) {
      co_await with_id.send(error_answer(allowed.error(), request_id));
      co_return;
    }
    co_await answer(&call, &operation);
    co_return;
  }
  if (app->mcp_calls && request->method == "POST" && request->path.starts_with(McpCalls::kPath)) {
    co_await with_id.send(app->mcp_calls->serve(identity.function, *request));
    co_return;
  }
  Call face{*request, *responder, {}, principal, {}};
  if (faces && co_await faces::serve_own_function(faces, app, &face)) co_return;
  const Error refused{"auth.forbidden",
                      "the function " + identity.function +
                          " can reach the durable API of its own executions, Invoke and the model gateway at /v1/… here, but not " +
                          to_utf8_lossy(request->method.substr(0, 20) + " " + request->path.substr(0, 200)),
                      Retry::Never};
  co_await with_id.send(error_answer(refused, request_id));
}

net::BodyPolicy body_policy(const net::Request& head, std::size_t body_bytes_max) {
  net::BodyPolicy out;
  const bool is_code = head.path == "/2015-03-31/functions" || head.path == "/2015-03-31/functions/" ||
                       (head.path.starts_with("/2015-03-31/functions/") && head.path.ends_with("/code")) ||
                       (head.method == "PUT" && head.path.starts_with("/v1/functions/"));
  const bool is_payload = head.path.ends_with("/invocations") || head.path.ends_with("/response-streaming-invocations") ||
                          head.path.starts_with("/2025-12-01/") || head.path.starts_with("/lambda-url/");
  // Who does not even claim a right to deploy gets no memory for it.
  const bool has_claim = head.headers.find("authorization") || head.headers.find("x-api-key");
  if (is_code && has_claim) out.bytes_max = std::max(kCodeBodyBytesMax, body_bytes_max);
  if (is_payload) out.bytes_max = std::max(kPayloadBodyBytesMax, body_bytes_max);
  return out;
}

}  // namespace mayfly::lambda
