#include "server/aws_target.h"

#include <algorithm>

#include "base/log.h"
#include "function/uuid.h"
#include "net/sigv4.h"
#include "server/lambda/lambda_auth.h"
#include "server/sqs/sqs_call.h"
#include "server/sqs/sqs_query.h"
#include "server/states/states_api.h"

namespace mayfly {
namespace {

constexpr std::string_view kRegion = "us-east-1";
constexpr std::string_view kSqsTarget = "AmazonSQS.", kStatesTarget = "AWSStepFunctions.";

using ErrorAnswer = net::Response (*)(const Error& error, std::string_view request_id);

std::string base_url(const net::Request& request) {
  const bool is_tls = net::equal_ignoring_case(request.headers.get("x-forwarded-proto"), "https");
  return (is_tls ? "https://" : "http://") + request.headers.get("host", "localhost");
}

/// The region that the client signed for.
std::string region_of(const net::Request& request) {
  const auto signed_part = net::to_sigv4(request);
  if (!net::has_sigv4(signed_part)) return std::string(kRegion);
  const auto claim = net::parse_sigv4(signed_part);
  return claim ? claim->region : std::string(kRegion);
}

Result<Principal> authenticate(AppContext& app, const net::Request& request, std::string_view service) {
  auto principal = lambda::authenticate(app, request, service);
  if (principal && !principal->key_id.empty() && app.keys->note_use(principal->key_id) && app.tasks)
    app.tasks->spawn(app.keys->store_use(principal->key_id));
  return principal;
}

Result<void> check_scope(const Principal& principal, Scope scope, std::string_view operation) {
  if (principal.scopes.has(Scope::Admin) || principal.scopes.has(scope)) return {};
  return fail("auth.forbidden", "The API key '" + principal.name + "' is not authorized to perform: sqs:" + std::string(operation) +
                                    " because it lacks the scope " + std::string(to_string(scope)) +
                                    "; create a key that has it with `mayfly keys create`");
}

struct SqsRequest {
  std::string operation;
  JsonObject input;
  std::string queue_of_path;  ///< empty: none
};

Task<Result<JsonObject>> perform(AppContext* app, const net::Request* request, const sqs::SqsOperation* operation, SqsRequest what) {
  auto principal = authenticate(*app, *request, "sqs");
  if (!principal) co_return fail(principal.error());
  if (const auto allowed = check_scope(*principal, operation->scope, operation->name); !allowed) co_return fail(allowed.error());
  if (!app->queues) co_return fail("queue.stopping", "queues are not available yet; try again", Retry::Safe);
  // The older protocol's clients name the queue by the URL that they send to.
  if (!what.queue_of_path.empty() && !what.input.contains("QueueUrl")) what.input["QueueUrl"] = std::move(what.queue_of_path);
  sqs::SqsCall call{*app, std::move(what.input), std::move(*principal), base_url(*request), region_of(*request), request->disconnected};
  auto answer = co_await operation->handler(&call);
  if (!answer && sqs::to_aws(answer.error()).status == 500)
    log::error("a request to the SQS API failed",
               {{"operation", operation->name}, {"code", answer.error().code}, {"error", answer.error().message}});
  co_return answer;
}

const sqs::SqsOperation* find_operation(std::string_view name) {
  const auto all = sqs::operations();
  const auto found = std::ranges::find(all, name, &sqs::SqsOperation::name);
  return found == all.end() ? nullptr : &*found;
}

std::unexpected<Error> unknown_operation(std::string_view name) {
  return sqs::sqs_error("UnknownOperationException",
                        "The action " + to_utf8_lossy(name.substr(0, 100)) + " is not valid for this endpoint.");
}

Task<net::Response> serve_sqs_json(AppContext* app, const net::Request* request, std::string name, std::string queue) {
  const std::string request_id = function::make_uuid(*app->random);
  const auto* operation = find_operation(name);
  if (!operation) co_return sqs::json_error(unknown_operation(name).error(), request_id);
  auto input = lambda::read_body(*request);
  if (!input) co_return sqs::json_error(input.error(), request_id);
  const auto answer = co_await perform(app, request, operation, {name, std::move(*input), std::move(queue)});
  if (!answer) co_return sqs::json_error(answer.error(), request_id);
  net::Response out{200, {{"Content-Type", "application/x-amz-json-1.0"}, {"x-amzn-RequestId", request_id}}, {}};
  if (operation->has_result == sqs::HasResult::Yes) out.body = to_text(*answer);
  co_return out;
}

Task<net::Response> serve_sqs_query(AppContext* app, const net::Request* request, std::string queue) {
  const std::string request_id = function::make_uuid(*app->random);
  auto query = sqs::parse_query(request->query, request->body);
  if (!query) co_return sqs::query_error(query.error(), request_id);
  const auto* operation = find_operation(query->action);
  if (!operation) co_return sqs::query_error(unknown_operation(query->action).error(), request_id);
  const auto answer = co_await perform(app, request, operation, {query->action, std::move(query->input), std::move(queue)});
  if (!answer) co_return sqs::query_error(answer.error(), request_id);
  co_return net::Response{200,
                          {{"Content-Type", "text/xml"}, {"x-amzn-RequestId", request_id}},
                          sqs::to_query_xml(operation->name, operation->has_result, *answer, request_id)};
}

Task<net::Response> serve_states(AppContext* app, const net::Request* request, std::string operation) {
  const std::string request_id = function::make_uuid(*app->random);
  auto principal = authenticate(*app, *request, "states");
  if (!principal) co_return states::error_answer(principal.error());
  auto input = lambda::read_body(*request);
  if (!input) co_return states::error_answer(input.error());
  net::Response out =
      co_await states::handle(app, std::move(*principal), std::move(operation), std::move(*input), request->disconnected);
  if (!out.headers.find("x-amzn-RequestId")) out.headers.add("x-amzn-RequestId", request_id);
  co_return out;
}

/// Which API is meant; nothing when none is.
Task<Result<net::Response>> serve(AppContext* app, Call* call) {
  const net::Request& request = call->request;
  const auto queue_parameter = call->parameters.find("queue");
  std::string queue = queue_parameter == call->parameters.end() ? std::string() : queue_parameter->second;
  const std::string target = request.headers.get("x-amz-target");
  if (target.starts_with(kSqsTarget)) co_return co_await serve_sqs_json(app, &request, target.substr(kSqsTarget.size()), std::move(queue));
  if (target.starts_with(kStatesTarget)) co_return co_await serve_states(app, &request, target.substr(kStatesTarget.size()));
  if (!target.empty()) co_return sqs::json_error(unknown_operation(target).error(), function::make_uuid(*app->random));
  const bool is_form = request.headers.get("content-type").starts_with("application/x-www-form-urlencoded");
  if (is_form || request.query_parameter("Action")) co_return co_await serve_sqs_query(app, &request, std::move(queue));
  co_return fail("route.not_found",
                 "there is no page here; AWS clients send X-Amz-Target or Action, and /openapi.json lists the paths of this server");
}

}  // namespace

void add_aws_routes(Router& router) {
  RouteOptions options;
  options.described = Described::Elsewhere;
  for (const char* method : {"POST", "GET"})
    for (const char* path : {"/", "/000000000000/{queue}"})
      router.add(method, path, options, [](AppContext& app, Call& call) { return serve(&app, &call); });
}

}  // namespace mayfly
