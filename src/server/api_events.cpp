#include "server/api_events.h"

#include <algorithm>
#include <charconv>

#include "server/api.h"
#include "server/run_stream.h"

namespace mayfly {
namespace {

constexpr std::size_t kCursorTextsMax = 64;
constexpr std::size_t kCursorBytesMax = 4 * 1024;
constexpr std::size_t kChannelBytesMax = 64;

/// The part up to `separator`, which is taken off `rest`.
std::string_view take(std::string_view& rest, char separator) {
  const auto end = std::min(rest.find(separator), rest.size());
  const std::string_view out = rest.substr(0, end);
  rest.remove_prefix(std::min(end + 1, rest.size()));
  return out;
}

std::int64_t to_number(std::string_view text) {
  std::int64_t out = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  return error == std::errc() && end == text.data() + text.size() && out >= 0 ? out : 0;
}

Task<> get_events(AppContext& app, Call& call) {
  auto cursor = call.request.headers.get("last-event-id");
  if (cursor.empty()) cursor = call.request.query_parameter("after").value_or(std::string());
  co_await stream_run(app, call, call.parameter("run"), std::move(cursor));
}

}  // namespace

StreamCursor parse_cursor(std::string_view text) {
  StreamCursor out;
  if (text.size() > kCursorBytesMax) return out;
  out.number = to_number(text.substr(0, std::min(text.find(':'), text.size())));
  std::string_view rest = text.substr(std::min(text.find(':'), text.size()));
  if (!rest.empty()) rest.remove_prefix(1);
  while (!rest.empty() && out.texts.size() < kCursorTextsMax) {
    std::string_view item = take(rest, ';');
    StreamCursor::Text position;
    position.operation = to_number(take(item, ':'));
    position.offset = static_cast<std::size_t>(to_number(take(item, ':')));
    position.attempt = to_number(take(item, ':'));
    if (!item.empty()) position.channel = item.substr(0, kChannelBytesMax);
    if (position.operation > 0 && position.offset > 0) out.texts.push_back(std::move(position));
  }
  return out;
}

std::string to_string(const StreamCursor& cursor) {
  std::string out = std::to_string(cursor.number);
  char separator = ':';
  for (const StreamCursor::Text& text : cursor.texts) {
    if (text.offset == 0) continue;
    out += separator + std::to_string(text.operation) + ":" + std::to_string(text.offset) + ":" + std::to_string(text.attempt) + ":" +
           text.channel;
    separator = ';';
  }
  return out;
}

Task<> stream_run(AppContext& app, Call& call, std::string run, std::string cursor) {
  RunStream stream(app, call.responder, call.request.disconnected, std::move(run), parse_cursor(cursor));
  co_await stream.send_all();
}

Task<Result<std::optional<engine::Execution>>> wait_for_end(AppContext& app, std::string run, Millis wait, CancelToken disconnected) {
  auto subscription = app.engine->subscribe(run, engine::Interest::End);
  const auto deadline = app.clock->monotonic() + wait;
  for (;;) {
    auto execution = co_await app.engine->get(run);
    if (!execution) co_return fail(execution.error());
    if (!execution->open()) co_return std::optional(std::move(*execution));
    bool is_over = false;
    std::optional<engine::StreamItem> item;
    do {
      const auto left = std::chrono::ceil<Millis>(deadline - app.clock->monotonic());
      if (left <= Millis{0}) co_return std::nullopt;
      item = co_await next_item(&app, subscription.get(), disconnected, left, &is_over);
      const auto* event = item ? std::get_if<engine::RunEvent>(&*item) : nullptr;
      if (event && event->kind == engine::RunEvent::Kind::RunEnded) break;
    } while (item);
    if (is_over || disconnected.cancelled() || app.stopping.cancelled()) co_return std::nullopt;
    // The subscription ended because the run did, or because this reader lagged.
    subscription = app.engine->subscribe(run, engine::Interest::End);
  }
}

void add_event_routes(Router& router) { router.add_stream("GET", "/v1/runs/{run}/events", {{Scope::Read}}, get_events); }

}  // namespace mayfly
