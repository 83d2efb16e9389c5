#include "llm/http_provider.h"

#include "llm/llm_error.h"
#include "net/sse.h"

namespace mayfly::llm {
namespace {
constexpr Millis kClosingGrace{1'000};
}  // namespace

std::string HttpProvider::base_url(std::string_view otherwise) const {
  std::string url(config_.base_url.empty() ? otherwise : std::string_view(config_.base_url));
  while (url.ends_with('/')) url.pop_back();
  return url;
}

net::ClientRequest HttpProvider::to_request(Wire wire, const LlmCall& call) const {
  net::ClientRequest out;
  out.method = "POST";
  out.url = std::move(wire.url);
  out.headers = std::move(wire.headers);
  out.headers.add("content-type", "application/json");
  out.headers.add("accept", "text/event-stream");
  out.headers.add("user-agent", "mayfly");
  out.body = std::move(wire.body);
  out.egress = net::EgressPolicy::trusted();
  out.first_byte_timeout = call.first_token_timeout;
  out.idle_timeout = call.between_tokens_timeout;
  out.total_timeout = call.total_timeout;
  return out;
}

/// A server may echo the key in its error.
LlmError HttpProvider::hide_key(LlmError error) const {
  if (config_.api_key.empty()) return error;
  std::string& text = error.error.message;
  for (auto at = text.find(config_.api_key); at != std::string::npos; at = text.find(config_.api_key, at))
    text.replace(at, config_.api_key.size(), "…");
  return error;
}

Task<LlmResult> HttpProvider::complete(LlmCall call) {
  if (call.cancel.cancelled()) co_return std::unexpected(cancelled_error());
  auto wire = encode(call);
  if (!wire) co_return std::unexpected(LlmError{wire.error(), std::nullopt, 0});
  const Executor executor = co_await asio::this_coro::executor;
  const auto decoding = decoder(call.request, call.on_delta);
  net::SseParser parser([&decoding](const net::SseEvent& event) { decoding->event(event); });
  CancelSource stop;
  const auto registration = call.cancel.on_cancel([stop]() mutable { stop.cancel(); });
  const auto started = clock_.monotonic();
  std::chrono::nanoseconds first_token{0};
  std::optional<Error> parse_error;
  bool answered = false;
  bool stopping = false;
  std::unique_ptr<Clock::Timer> grace;

  net::ClientRequest request = to_request(std::move(*wire), call);
  request.cancel = stop.token();
  request.on_body = [&](std::string_view bytes) {
    answered = true;
    if (stopping) return;
    if (const auto fed = parser.feed(bytes); !fed) parse_error = fed.error();
    if (first_token.count() == 0 && decoding->began()) first_token = clock_.monotonic() - started;
    if (!parse_error && !decoding->ended()) return;
    stopping = true;
    // Never from within the client's own callback. After a proper end the server is given a moment to close the body, so that
    // the connection can be used again.
    if (decoding->complete()) {
      grace = clock_.call_after(kClosingGrace, [stop]() mutable { stop.cancel(); });
    } else {
      asio::post(executor, [stop]() mutable { stop.cancel(); });
    }
  };
  const auto sent = co_await http_.send(std::move(request));

  if (parse_error) {
    co_return std::unexpected(
        hide_key(make_error("llm.bad_response", "provider `" + config_.name + "`: " + parse_error->message, Retry::OutcomeUnknown)));
  }
  if (sent && sent->status / 100 != 2)
    co_return std::unexpected(hide_key(error_from_http(config_.name, sent->status, sent->headers, sent->body, clock_.now())));
  if (!sent && !decoding->ended() && !decoding->complete()) {
    if (call.cancel.cancelled()) co_return std::unexpected(cancelled_error());
    co_return std::unexpected(hide_key(error_from_transport(config_.name, sent.error(), answered)));
  }
  LlmResult result = decoding->finish();
  if (!result) co_return std::unexpected(hide_key(std::move(result.error())));
  result->time_to_first_token_us = std::chrono::duration_cast<std::chrono::microseconds>(first_token).count();
  co_return result;
}

}  // namespace mayfly::llm
