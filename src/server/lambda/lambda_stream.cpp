#include "base/hash.h"
#include "net/event_stream.h"
#include "server/lambda/lambda_error.h"
#include "server/lambda/lambda_handlers.h"
#include "server/lambda/lambda_invoke.h"

namespace mayfly::lambda {
namespace {

/// Turns what the function writes into the messages of the event stream.
struct EventSink {
  LambdaCall* call = nullptr;
  std::string executed_version;

  bool started() const { return call->responder.started(); }
};

Task<bool> start_stream(EventSink* sink, std::string content_type) {
  if (sink->started()) co_return true;
  net::Headers headers{{"Content-Type", std::string(net::kEventStreamType)}, {"Cache-Control", "no-store"}};
  if (!content_type.empty()) headers.add("X-Amzn-Remapped-Content-Type", content_type);
  if (!sink->executed_version.empty()) headers.add("X-Amz-Executed-Version", sink->executed_version);
  co_return co_await sink->call->responder.start(200, std::move(headers));
}

Task<bool> send_message(EventSink* sink, net::EventStreamMessage message) {
  auto bytes = net::encode_event_stream(message);
  if (!bytes) co_return false;
  co_return co_await sink->call->responder.write(std::move(*bytes));
}

Task<bool> send_chunk(EventSink* sink, std::string bytes) {
  if (bytes.empty()) co_return true;
  if (!co_await start_stream(sink, {})) co_return false;
  co_return co_await send_message(sink, net::payload_chunk(std::move(bytes)));
}

/// A weighted alias draws when it is invoked, which is too late for the header.
std::string version_beforehand(const LambdaCall& call, const function::FunctionRef& ref) {
  const auto* record = call.app.functions->record(ref.name);
  const auto alias = record ? record->aliases.find(ref.qualifier) : decltype(record->aliases.end()){};
  if (record && alias != record->aliases.end() && !alias->second.additional_weights.empty()) return {};
  const auto found = call.app.functions->resolve(ref);
  return found ? found->version : std::string();
}

Task<> finish_stream(EventSink* sink, function::Invoke invoke, function::Invoked invoked) {
  const function::InvocationResult& result = invoked.result;
  const bool failed = !result.function_error.empty();
  // What a function that does not stream returned comes as one piece.
  if (!failed && !sink->started()) (void)co_await send_chunk(sink, result.payload);
  if (!co_await start_stream(sink, {})) co_return;
  net::InvokeComplete complete;
  if (failed) {
    complete.error_code = result.error_type.empty() ? result.function_error : result.error_type;
    complete.error_details = result.payload;
  }
  if (invoke.want_log_tail) complete.log_result = to_base64(result.log_tail);
  if (co_await send_message(sink, net::invoke_complete(complete))) co_await sink->call->responder.finish();
}

}  // namespace

Task<Result<net::Response>> invoke_stream(LambdaCall* call) {
  const std::string type = call->request.headers.get("x-amz-invocation-type", "RequestResponse");
  if (type != "RequestResponse" && type != "DryRun") co_return invalid_parameter("InvocationType must be RequestResponse or DryRun");
  auto wanted = read_invoke(call, kPayloadBytesMax);
  if (!wanted) co_return fail(wanted.error());
  if (type == "DryRun") {
    if (const auto ok = call->app.function_service->check(*wanted); !ok) co_return fail(ok.error());
    co_return empty_answer(204);
  }
  EventSink sink{call, version_beforehand(*call, wanted->function)};
  wanted->on_stream_start = [&sink](std::string content_type) { return start_stream(&sink, std::move(content_type)); };
  wanted->on_stream = [&sink](std::string bytes) { return send_chunk(&sink, std::move(bytes)); };
  auto invoked = co_await call->app.function_service->invoke(*wanted);
  if (!invoked && !sink.started()) co_return fail(invoked.error());
  if (!invoked) {
    const AwsError error = to_aws(invoked.error());
    if (co_await send_message(&sink, net::event_stream_error(error.exception, error.message))) co_await call->responder.finish();
    co_return net::Response{.status = 0};
  }
  co_await finish_stream(&sink, std::move(*wanted), std::move(*invoked));
  co_return net::Response{.status = 0};
}

}  // namespace mayfly::lambda
