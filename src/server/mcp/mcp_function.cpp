#include "server/mcp/mcp_function.h"

#include "function/function_service.h"
#include "function/function_starts.h"

namespace mayfly {
namespace {

Error failure_of(const function::InvocationResult& result) {
  const auto document = parse_json(result.payload);
  const auto* fields = document ? document->if_object() : nullptr;
  std::string message = fields ? get_string(*fields, "errorMessage") : to_utf8_lossy(result.payload.substr(0, 2'000));
  if (message.empty()) message = "it gave no reason";
  return {"function.failed", (result.error_type.empty() ? "" : result.error_type + ": ") + message, Retry::Never};
}

}  // namespace

JsonObject mcp_event(const mcp::CallContext& context, std::string_view method, std::string_view name, JsonObject arguments) {
  JsonObject out{{"method", method}, {method == "resources/read" ? "uri" : "name", name}, {"arguments", std::move(arguments)}};
  if (context.input_responses) out["inputResponses"] = *context.input_responses;
  if (!context.request_state.empty()) out["requestState"] = context.request_state;
  out["clientCapabilities"] = context.client_capabilities;
  out["_meta"] = context.meta;
  out["caller"] = JsonObject{{"id", context.caller.id}, {"label", context.caller.label}};
  return out;
}

Task<Result<Json>> invoke_for_mcp(AppContext* app, McpCalls* calls, std::string function, const mcp::CallContext* context,
                                  JsonObject event) {
  if (!app->function_service)
    co_return fail("function.unavailable", "this server runs no functions; enable them in its configuration and start it again");
  auto ref = function::parse_function_ref(function);
  if (!ref) co_return fail(ref.error());
  const auto call = calls ? calls->add(ref->name, context) : nullptr;
  if (call) event["call"] = call->token();
  function::Invoke invoke;
  invoke.function = *ref;
  invoke.payload = to_text(event);
  invoke.cancel = context->cancel;
  invoke.trace_header = function::trace_header_of(context->traceparent);
  auto invoked = co_await app->function_service->invoke(std::move(invoke));
  if (!invoked) co_return fail(invoked.error());
  const function::InvocationResult& result = invoked->result;
  if (!result.function_error.empty()) co_return fail(failure_of(result));
  auto answer = parse_json(result.payload.empty() ? "null" : result.payload);
  co_return answer ? *std::move(answer) : Json(to_utf8_lossy(result.payload));
}

mcp::CallResult call_result_of(Json answer) {
  const auto* object = answer.if_object();
  mcp::CallResult out;
  if (object && get_object(*object, "inputRequests")) {
    out.input_requests = *get_object(*object, "inputRequests");
    out.request_state = get_string(*object, "requestState");
    return out;
  }
  if (object && get_array(*object, "content")) {
    out.content = *get_array(*object, "content");
    if (const Json* structured = get(*object, "structuredContent")) out.structured = *structured;
    out.is_error = get_bool(*object, "isError");
    if (const auto* meta = get_object(*object, "_meta")) out.meta = *meta;
    return out;
  }
  out = mcp::CallResult::text(answer.is_string() ? std::string(answer.get_string()) : to_text(answer));
  if (object) out.structured = std::move(answer);
  return out;
}

JsonObject result_json_of(Json answer) {
  mcp::CallResult result = call_result_of(std::move(answer));
  JsonObject out{{"content", std::move(result.content)}};
  if (result.structured) out["structuredContent"] = *std::move(result.structured);
  if (result.is_error) out["isError"] = true;
  if (!result.meta.empty()) out["_meta"] = std::move(result.meta);
  return out;
}

mcp::CallResult call_result_of(const Error& error) { return mcp::CallResult::text("The function failed: " + error.message, true); }

}  // namespace mayfly
