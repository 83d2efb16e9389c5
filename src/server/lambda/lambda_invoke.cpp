#include "server/lambda/lambda_invoke.h"

#include <algorithm>

#include "base/hash.h"
#include "function/function_rules.h"
#include "server/lambda/lambda_handlers.h"

namespace mayfly::lambda {
namespace {

constexpr std::size_t kClientContextBytesMax = 3'583, kTenantBytesMax = 256, kExecutionNameBytesMax = 64, kTraceBytesMax = 2'048;
constexpr std::size_t kPayloadDepthMax = 256;

bool is_word(char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' || c == '_'; }

Result<void> check_payload(const std::string& payload, std::size_t bytes_max, std::string_view kind) {
  if (payload.size() > bytes_max)
    return aws_error("RequestTooLargeException", std::to_string(payload.size()) + " byte payload is too large for the " +
                                                     std::string(kind) + " invocation type (limit " + std::to_string(bytes_max) +
                                                     " bytes)");
  if (payload.empty()) return {};
  if (const auto value = parse_json(payload, {.depth_max = kPayloadDepthMax, .bytes_max = bytes_max}); !value)
    return aws_error("InvalidRequestContentException", "Could not parse request body into json: " + value.error().message);
  return {};
}

Result<void> read_headers(const net::Headers& headers, function::Invoke* invoke) {
  invoke->client_context = headers.get("x-amz-client-context");
  if (invoke->client_context.size() > kClientContextBytesMax || !from_base64(invoke->client_context))
    return aws_error("InvalidRequestContentException", "Client context must be a valid Base64-encoded JSON object of at most 3,583 bytes");
  invoke->trace_header = headers.get("x-amzn-trace-id").substr(0, kTraceBytesMax);
  invoke->tenant_id = headers.get("x-amz-tenant-id");
  if (invoke->tenant_id.size() > kTenantBytesMax || !is_utf8(invoke->tenant_id))
    return invalid_parameter("a TenantId has at most 256 bytes");
  invoke->execution_name = headers.get("x-amz-durable-execution-name");
  if (invoke->execution_name.size() > kExecutionNameBytesMax || !std::ranges::all_of(invoke->execution_name, is_word))
    return invalid_parameter("a DurableExecutionName has 1 to 64 letters, digits, '-' and '_'");
  const std::string log_type = headers.get("x-amz-log-type");
  if (!log_type.empty() && log_type != "None" && log_type != "Tail") return invalid_parameter("LogType must be None or Tail");
  invoke->want_log_tail = log_type == "Tail";
  return {};
}

Result<void> check_tenant(const LambdaCall& call, const function::Invoke& invoke) {
  const auto found = call.app.functions->resolve(invoke.function);
  if (!found) return fail(found.error());
  if (found->revision->config.tenant_isolation && invoke.tenant_id.empty())
    return invalid_parameter(
        "The invoked function is enabled with tenancy configuration. Add a valid tenant ID in your request and try again.");
  return {};
}

void add_invoked(net::Headers& headers, const function::Invoked& invoked) {
  if (!invoked.executed_version.empty()) headers.add("X-Amz-Executed-Version", invoked.executed_version);
  if (!invoked.durable_execution_arn.empty()) headers.add("X-Amz-Durable-Execution-Arn", invoked.durable_execution_arn);
  if (!invoked.result.request_id.empty()) headers.add("x-amzn-RequestId", invoked.result.request_id);
}

net::Response invoked_answer(const function::Invoke& invoke, function::Invoked invoked) {
  net::Response out{200, {{"Content-Type", "application/json"}}, std::move(invoked.result.payload)};
  add_invoked(out.headers, invoked);
  if (!invoked.result.function_error.empty()) out.headers.add("X-Amz-Function-Error", invoked.result.function_error);
  if (invoke.want_log_tail) out.headers.add("X-Amz-Log-Result", to_base64(invoked.result.log_tail));
  return out;
}

Task<Result<net::Response>> invoke_event(LambdaCall* call, function::Invoke invoke) {
  invoke.cancel = {};
  auto invoked = co_await call->app.function_service->invoke_async(std::move(invoke));
  if (!invoked) co_return fail(invoked.error());
  net::Response out{202, {}, {}};
  add_invoked(out.headers, *invoked);
  co_return out;
}

}  // namespace

Result<function::Invoke> read_invoke(LambdaCall* call, std::size_t payload_bytes_max) {
  const auto ref = call->function();
  if (!ref) return fail(ref.error());
  function::Invoke out;
  out.function = *ref;
  if (const auto read = read_headers(call->request.headers, &out); !read) return fail(read.error());
  if (const auto ok = check_tenant(*call, out); !ok) return fail(ok.error());
  const bool is_event = payload_bytes_max == kAsyncPayloadBytesMax;
  if (const auto ok = check_payload(call->request.body, payload_bytes_max, is_event ? "Event" : "RequestResponse"); !ok)
    return fail(ok.error());
  out.payload = std::move(call->request.body);
  out.cancel = call->request.disconnected;
  return out;
}

Task<Result<net::Response>> invoke(LambdaCall* call) {
  const std::string type = call->request.headers.get("x-amz-invocation-type", "RequestResponse");
  if (type != "RequestResponse" && type != "Event" && type != "DryRun")
    co_return invalid_parameter("InvocationType must be RequestResponse, Event or DryRun");
  auto wanted = read_invoke(call, type == "Event" ? kAsyncPayloadBytesMax : kPayloadBytesMax);
  if (!wanted) co_return fail(wanted.error());
  if (type == "Event") co_return co_await invoke_event(call, std::move(*wanted));
  if (type == "DryRun") {
    if (const auto ok = call->app.function_service->check(*wanted); !ok) co_return fail(ok.error());
    co_return empty_answer(204);
  }
  auto invoked = co_await call->app.function_service->invoke(*wanted);
  if (!invoked) co_return fail(invoked.error());
  co_return invoked_answer(*wanted, std::move(*invoked));
}

Task<Result<net::Response>> invoke_async(LambdaCall* call) {
  auto wanted = read_invoke(call, kAsyncPayloadBytesMax);
  if (!wanted) co_return fail(wanted.error());
  auto answer = co_await invoke_event(call, std::move(*wanted));
  if (!answer) co_return answer;
  // The deprecated operation says the status also in its body.
  answer->headers.add("Content-Type", "application/json");
  answer->body = R"({"Status":202})";
  co_return answer;
}

}  // namespace mayfly::lambda
