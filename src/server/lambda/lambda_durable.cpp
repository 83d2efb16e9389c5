#include <charconv>

#include "server/lambda/lambda_body.h"
#include "server/lambda/lambda_handlers.h"

namespace mayfly::lambda {
namespace {

constexpr std::size_t kCallbackBytesMax = 1'048'576;
constexpr std::int64_t kItemsMax = 1'000;

Result<bool> flag(const LambdaCall& call, std::string_view name) {
  const std::string text = call.query(name);
  if (text.empty() || text == "false") return false;
  if (text == "true") return true;
  return invalid_parameter(std::string(name) + " must be true or false");
}

Result<function::Page> page(const LambdaCall& call) {
  function::Page out;
  out.marker = call.query("Marker");
  const std::string text = call.query("MaxItems");
  if (text.empty()) return out;
  std::int64_t items = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), items);
  if (error != std::errc() || end != text.data() + text.size() || items < 0 || items > kItemsMax)
    return invalid_parameter("MaxItems must be a number of 0 to 1000");
  if (items > 0) out.items_max = static_cast<std::size_t>(items);
  return out;
}

Result<std::optional<TimePoint>> time_of(const LambdaCall& call, std::string_view name) {
  const std::string text = call.query(name);
  if (text.empty()) return std::nullopt;
  double seconds = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), seconds);
  if (error == std::errc() && end == text.data() + text.size() && seconds > -1e11 && seconds < 1e11)
    return from_unix_ms(static_cast<std::int64_t>(seconds * 1'000));
  const auto time = parse_rfc3339(text);
  if (!time) return invalid_parameter(std::string(name) + " must be a time such as 2026-01-31T12:00:00Z");
  return *time;
}

std::vector<std::string> statuses(std::string_view query) {
  std::vector<std::string> out;
  while (!query.empty()) {
    const auto end = std::min(query.find('&'), query.size());
    const std::string_view part = query.substr(0, end);
    query.remove_prefix(std::min(end + 1, query.size()));
    if (!part.starts_with("Statuses=")) continue;
    if (auto value = net::percent_decode(part.substr(9), true)) out.push_back(std::move(*value));
  }
  return out;
}

/// An optional ErrorObject as the body.
Result<Json> error_object(const LambdaCall& call) {
  if (call.request.body.size() > kCallbackBytesMax) return aws_error("RequestTooLargeException", "the error has more than 1 MB");
  const auto body = read_body(call.request);
  if (!body) return fail(body.error());
  if (body->empty()) return Json();
  Fields in(*body);
  for (const std::string_view name : {"ErrorMessage", "ErrorType", "ErrorData"}) (void)in.text(name);
  (void)in.texts("StackTrace");
  if (const auto done = in.done(); !done) return fail(done.error());
  return Json(*body);
}

Result<net::Response> answer(Result<Json> value) {
  if (!value) return fail(value.error());
  return net::Response{200, {{"Content-Type", "application/json"}}, to_text(*value)};
}

Result<net::Response> answer(const Result<void>& done) {
  if (!done) return fail(done.error());
  return json_answer(200, {});
}

}  // namespace

Task<Result<net::Response>> checkpoint(LambdaCall* call) {
  auto body = read_body(call->request);
  if (!body) co_return fail(body.error());
  co_return answer(co_await call->app.durable->checkpoint(call->parameter("DurableExecutionArn"), Json(std::move(*body))));
}

Task<Result<net::Response>> execution_state(LambdaCall* call) {
  const auto wanted = page(*call);
  if (!wanted) co_return fail(wanted.error());
  const std::string token = call->query("CheckpointToken");
  if (token.empty()) co_return invalid_parameter("CheckpointToken is required");
  co_return answer(co_await call->app.durable->state(call->parameter("DurableExecutionArn"), token, *wanted));
}

Task<Result<net::Response>> get_execution(LambdaCall* call) {
  const bool leaves_out = call->query("IncludeExecutionData") == "false";
  if (const auto valid = flag(*call, "IncludeExecutionData"); !valid) co_return fail(valid.error());
  co_return answer(co_await call->app.durable->get(call->parameter("DurableExecutionArn"), !leaves_out));
}

Task<Result<net::Response>> execution_history(LambdaCall* call) {
  const auto wanted = page(*call);
  if (!wanted) co_return fail(wanted.error());
  const auto include_data = flag(*call, "IncludeExecutionData"), reverse = flag(*call, "ReverseOrder");
  const bool leaves_out = call->query("IncludeExecutionData") == "false";
  if (!include_data) co_return fail(include_data.error());
  if (!reverse) co_return fail(reverse.error());
  co_return answer(co_await call->app.durable->history(call->parameter("DurableExecutionArn"), !leaves_out, *reverse, *wanted));
}

Task<Result<net::Response>> list_executions(LambdaCall* call) {
  const auto ref = call->existing_function();
  if (!ref) co_return fail(ref.error());
  const auto wanted = page(*call);
  if (!wanted) co_return fail(wanted.error());
  const auto reverse = flag(*call, "ReverseOrder");
  if (!reverse) co_return fail(reverse.error());
  const auto after = time_of(*call, "StartedAfter"), before = time_of(*call, "StartedBefore");
  if (!after) co_return fail(after.error());
  if (!before) co_return fail(before.error());
  function::ExecutionFilter filter;
  filter.function = *ref;
  filter.name = call->query("DurableExecutionName");
  filter.statuses = statuses(call->request.query);
  filter.started_after = *after;
  filter.started_before = *before;
  filter.reverse = *reverse;
  filter.page = *wanted;
  co_return answer(co_await call->app.durable->list(std::move(filter)));
}

Task<Result<net::Response>> stop_execution(LambdaCall* call) {
  auto error = error_object(*call);
  if (!error) co_return fail(error.error());
  co_return answer(co_await call->app.durable->stop(call->parameter("DurableExecutionArn"), std::move(*error)));
}

Task<Result<net::Response>> callback_succeed(LambdaCall* call) {
  if (call->request.body.size() > kCallbackBytesMax) co_return aws_error("RequestTooLargeException", "the result has more than 1 MB");
  if (!is_utf8(call->request.body)) co_return invalid_parameter("the result must be text in UTF-8");
  co_return answer(co_await call->app.durable->callback_succeed(call->parameter("CallbackId"), std::move(call->request.body)));
}

Task<Result<net::Response>> callback_fail(LambdaCall* call) {
  auto error = error_object(*call);
  if (!error) co_return fail(error.error());
  co_return answer(co_await call->app.durable->callback_fail(call->parameter("CallbackId"), std::move(*error)));
}

Task<Result<net::Response>> callback_heartbeat(LambdaCall* call) {
  co_return answer(co_await call->app.durable->callback_heartbeat(call->parameter("CallbackId")));
}

}  // namespace mayfly::lambda
