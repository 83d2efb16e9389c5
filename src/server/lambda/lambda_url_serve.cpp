#include "server/lambda/lambda_auth.h"
#include "server/lambda/lambda_error.h"
#include "server/lambda/lambda_handlers.h"
#include "server/lambda/lambda_invoke.h"
#include "server/lambda/lambda_url_event.h"

namespace mayfly::lambda {
namespace {

/// How a streaming function says that its first bytes are status, headers and cookies, up to eight NUL bytes.
constexpr std::string_view kPreludeType = "application/vnd.awslambda.http-integration-response";
constexpr std::size_t kPreludeBytesMax = 16 * 1024;
const std::string kPreludeEnd(8, '\0');

// Functions share the origin of Mayfly's own pages: what they answer must not act in their name.
constexpr std::string_view kSandboxPolicy = "sandbox allow-downloads allow-forms allow-modals allow-popups allow-scripts";

net::Response bad_gateway() { return {502, {{"Content-Type", "application/json"}}, R"({"Message":"Internal Server Error"})"}; }
net::Response forbidden() { return {403, {{"Content-Type", "application/json"}}, R"({"Message":"Forbidden"})"}; }

/// Turns what a streaming function writes into one HTTP answer.
struct UrlSink {
  LambdaCall* call = nullptr;
  const function::FunctionUrl* url = nullptr;
  std::string content_type;
  std::string held;  ///< the prelude, while it is not complete
  bool has_prelude = false;
};

void finish_headers(LambdaCall& call, const function::FunctionUrl& url, net::Headers* headers) {
  confine_cookies(url, headers);
  add_cors(call.request, url, headers);
  headers->add("Content-Security-Policy", std::string(kSandboxPolicy));
}

Task<bool> start_answer(UrlSink* sink, net::Response head) {
  finish_headers(*sink->call, *sink->url, &head.headers);
  co_return co_await sink->call->responder.start(head.status, std::move(head.headers));
}

Task<bool> on_start(UrlSink* sink, std::string content_type) {
  sink->has_prelude = content_type.starts_with(kPreludeType);
  sink->content_type = content_type.empty() ? "application/octet-stream" : std::move(content_type);
  if (sink->has_prelude) co_return true;
  co_return co_await start_answer(sink, {200, {{"Content-Type", sink->content_type}}, {}});
}

Task<bool> on_bytes(UrlSink* sink, std::string bytes) {
  if (sink->call->responder.started()) co_return bytes.empty() || co_await sink->call->responder.write(std::move(bytes));
  sink->held += bytes;
  const auto end = sink->held.find(kPreludeEnd);
  if (end == std::string::npos) co_return sink->held.size() <= kPreludeBytesMax;
  auto head = url_prelude(std::string_view(sink->held).substr(0, end));
  if (!head) co_return false;
  std::string rest = sink->held.substr(end + kPreludeEnd.size());
  sink->held.clear();
  if (!co_await start_answer(sink, std::move(*head))) co_return false;
  co_return rest.empty() || co_await sink->call->responder.write(std::move(rest));
}

net::Response buffered_answer(LambdaCall& call, const function::FunctionUrl& url, const function::Invoked& invoked) {
  auto answer = invoked.result.function_error.empty() ? url_response(invoked.result.payload) : std::nullopt;
  net::Response out = answer ? std::move(*answer) : bad_gateway();
  finish_headers(call, url, &out.headers);
  return out;
}

net::Response refusal(const Error& error, const std::string& request_id) {
  net::Response out = error_answer(error, request_id);
  if (out.status == 500) out.status = 502;
  return out;
}

/// Who may call: anybody, or a key with the scope "invoke".
Result<Principal> url_caller(const LambdaCall& call, const function::FunctionUrl& url) {
  if (!url.needs_iam) return Principal{};
  auto principal = authenticate(call.app, call.request);
  if (!principal) return principal;
  if (auto ok = check_scope(*principal, Scope::Invoke, "InvokeFunctionUrl"); !ok) return fail(ok.error());
  return principal;
}

}  // namespace

Task<Result<net::Response>> serve_url(LambdaCall* call) {
  function::FunctionRef owner;
  const auto* found = call->app.functions->url(call->parameter("Id"), &owner);
  if (!found) co_return forbidden();
  // A copy: it may be changed or deleted meanwhile.
  const function::FunctionUrl url = *found;
  if (auto answer = preflight(call->request, url)) co_return std::move(*answer);
  auto principal = url_caller(*call, url);
  if (!principal) co_return fail(principal.error());
  call->principal = std::move(*principal);
  const std::string& rest = call->parameter("Path");
  function::Invoke wanted;
  wanted.function = owner;
  wanted.payload = url_event(*call, url, rest.empty() ? "/" : rest);
  wanted.trace_header = call->request.headers.get("x-amzn-trace-id");
  wanted.cancel = call->request.disconnected;
  if (wanted.payload.size() > kPayloadBytesMax)
    co_return aws_error("RequestTooLargeException", "the request is larger than 6 MB, which is the most that a function takes");
  UrlSink sink{call, &url, {}, {}, false};
  if (url.streams) {
    wanted.on_stream_start = [&sink](std::string content_type) { return on_start(&sink, std::move(content_type)); };
    wanted.on_stream = [&sink](std::string bytes) { return on_bytes(&sink, std::move(bytes)); };
  }
  const auto invoked = co_await call->app.function_service->invoke(std::move(wanted));
  if (call->responder.started()) {
    // An answer that broke off must not look complete: without its last chunk the connection is closed.
    if (invoked && invoked->result.function_error.empty()) co_await call->responder.finish();
    co_return net::Response{.status = 0};
  }
  if (!invoked) co_return refusal(invoked.error(), call->request_id);
  if (sink.has_prelude) co_return bad_gateway();
  co_return buffered_answer(*call, url, *invoked);
}

}  // namespace mayfly::lambda
