#include "tool/http_tool.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "tool/http_template.h"

namespace mayfly {
namespace {

constexpr int kRedirectsMax = 5;
constexpr std::size_t kErrorBodyBytes = 4096;
constexpr std::array<std::string_view, 6> kMethods{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"};

bool is_redirect(int status) { return status == 301 || status == 302 || status == 303 || status == 307 || status == 308; }

bool is_text_type(std::string_view type) {
  return type.starts_with("text/") || type.find("json") != std::string_view::npos || type.find("xml") != std::string_view::npos;
}

bool is_safe_field(std::string_view value) {
  return std::ranges::none_of(value, [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; });
}

class HttpTool final : public Tool {
 public:
  HttpTool(HttpToolOptions options, HttpTemplate request, net::HttpClient& client, Clock& clock, EnvLookup env)
      : options_(std::move(options)), template_(std::move(request)), client_(client), clock_(clock), env_(std::move(env)) {}

  const std::string& name() const override { return options_.name; }
  const std::string& description() const override { return options_.description; }
  const Json& parameters() const override { return options_.parameters; }
  Effect effect() const override { return options_.effect; }

  Task<Result<ToolOutput>> call(ToolCall call) override {
    static const JsonObject kNone;
    const JsonObject& arguments = call.arguments.is_object() ? call.arguments.get_object() : kNone;
    const auto url = template_.url(arguments);
    if (!url) co_return ToolOutput{url.error(), true};
    Redactor redactor;
    auto request = make_request(call, *url, arguments, redactor);
    if (!request) co_return fail(request.error());
    auto response = co_await send(*std::move(request), std::min(options_.timeout, call.timeout));
    if (!response) co_return client_error(response.error(), redactor);
    co_return conclude(*std::move(response), redactor);
  }

 private:
  bool read_only() const { return options_.effect == Effect::ReadOnly; }
  Retry unknown() const { return read_only() ? Retry::Safe : Retry::OutcomeUnknown; }

  Result<net::ClientRequest> make_request(const ToolCall& call, const std::string& url, const JsonObject& arguments,
                                          Redactor& redactor) const {
    net::ClientRequest request{.method = options_.method,
                               .url = url,
                               .egress = options_.egress,
                               .body_bytes_max = options_.response_bytes_max,
                               .cancel = call.cancel};
    request.headers.add("User-Agent", options_.user_agent);
    if (!read_only() && !call.idempotency_key.empty()) request.headers.add("Idempotency-Key", call.idempotency_key);
    if (!call.traceparent.empty()) request.headers.add("traceparent", call.traceparent);
    for (const auto& [name, value] : request.headers) {
      if (!is_safe_field(value))
        return fail("tool.failed", fmt::format("tool {}: the header {} holds a control character", options_.name, name));
    }
    if (options_.body == HttpBody::Json) {
      request.body = template_.body(arguments);
      request.headers.add("Content-Type", "application/json");
    }
    for (const HeaderTemplate& header : template_.headers()) {
      auto value = header.render(env_, redactor);
      if (!value) return fail(value.error());
      request.headers.set(header.name(), *std::move(value));
    }
    return request;
  }

  /// Redirects are followed here and not by the client, so that declared headers (they hold secrets) stay with their host.
  Task<Result<net::ClientResponse>> send(net::ClientRequest request, Millis timeout) {
    const auto deadline = clock_.monotonic() + timeout;
    for (int redirects = 0;; ++redirects) {
      request.total_timeout = std::chrono::ceil<Millis>(deadline - clock_.monotonic());
      if (request.total_timeout <= Millis{0}) co_return fail("net.timeout", "the redirects took too long", Retry::OutcomeUnknown);
      auto response = co_await client_.send(request);
      if (!response || options_.method != "GET" || !is_redirect(response->status) || redirects == kRedirectsMax) co_return response;
      const std::string next = resolve_location(request.url, response->headers.get("Location"));
      const std::string from = url_origin(request.url), to = url_origin(next);
      if (to.empty() || (from.starts_with("https:") && !to.starts_with("https:"))) co_return response;
      if (from != to) {
        for (const HeaderTemplate& header : template_.headers()) request.headers.remove(header.name());
      }
      request.url = next;
    }
  }

  Result<ToolOutput> client_error(const Error& error, const Redactor& redactor) const {
    const Retry retry = error.retry == Retry::OutcomeUnknown ? unknown() : error.retry;
    const std::string message = fmt::format("tool {}: {}", options_.name, redactor.apply(error.message));
    if (error.code == "net.cancelled") return fail("tool.cancelled", message, retry);
    if (error.code == "net.timeout") return fail("tool.timeout", message, retry);
    if (error.code == "net.egress_denied") return fail(error.code, message, retry);
    if (error.code != "net.too_large") return fail("tool.failed", message, retry);
    const std::string too_large = fmt::format("The response is larger than {} bytes.", options_.response_bytes_max);
    if (read_only()) return ToolOutput{too_large + " Ask for less.", true};
    return fail("tool.too_large", fmt::format("tool {}: {} Raise its response limit.", options_.name, too_large), retry);
  }

  Result<ToolOutput> conclude(net::ClientResponse response, const Redactor& redactor) const {
    const int status = response.status;
    if (status >= 200 && status < 300) return ToolOutput{body_text(response, redactor, options_.model_bytes_max)};
    const std::string text = body_text(response, redactor, kErrorBodyBytes);
    if (status == 429 || status >= 500) {
      std::string wait = redactor.apply(response.headers.get("Retry-After")).substr(0, 64);
      if (!wait.empty()) wait = fmt::format(" (Retry-After: {})", to_utf8_lossy(wait));
      return fail("tool.unavailable",
                  fmt::format("tool {}: the server answered with HTTP status {}{}: {}", options_.name, status, wait, text),
                  status == 429 || status == 503 ? Retry::Safe : unknown());
    }
    if (is_redirect(status)) return ToolOutput{redirect_text(response, redactor), true};
    if (status >= 300) return ToolOutput{fmt::format("HTTP status {}\n{}", status, text), true};
    return fail("tool.failed", fmt::format("tool {}: the server answered with the unusual HTTP status {}", options_.name, status),
                unknown());
  }

  std::string redirect_text(const net::ClientResponse& response, const Redactor& redactor) const {
    const std::string location = to_utf8_lossy(redactor.apply(response.headers.get("Location")).substr(0, 500));
    return fmt::format(
        "HTTP status {}: the server redirects to \"{}\", which is not followed: only GET follows redirects, up to {}, to http(s) "
        "addresses and never from https to http.",
        response.status, location, kRedirectsMax);
  }

  std::string body_text(net::ClientResponse& response, const Redactor& redactor, std::size_t bytes_max) const {
    if (response.body.empty()) return fmt::format("(HTTP status {}, no content)", response.status);
    std::string type = response.headers.get("Content-Type");
    std::ranges::transform(type, type.begin(), [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
    const bool binary = response.body.find('\0') != std::string::npos || (!is_utf8(response.body) && !is_text_type(type));
    if (binary) {
      return fmt::format("(HTTP status {}, {} bytes of type {}: not a text, so it is not shown)", response.status, response.body.size(),
                         type.empty() ? "unknown" : to_utf8_lossy(redactor.apply(type).substr(0, 100)));
    }
    return text_for_model(redactor.apply(response.body), bytes_max);
  }

  HttpToolOptions options_;
  HttpTemplate template_;
  net::HttpClient& client_;
  Clock& clock_;
  EnvLookup env_;
};

}  // namespace

Result<std::unique_ptr<Tool>> make_http_tool(HttpToolOptions options, net::HttpClient& client, Clock& clock, EnvLookup env) {
  const auto invalid = [&](std::string_view why) { return fail("tool.invalid", fmt::format("tool {}: {}", options.name, why)); };
  if (std::ranges::find(kMethods, options.method) == kMethods.end()) {
    return invalid(fmt::format("\"{}\" is not a method: use GET, HEAD, POST, PUT, PATCH or DELETE", options.method.substr(0, 20)));
  }
  if (options.body == HttpBody::Json && (options.method == "GET" || options.method == "HEAD")) {
    return invalid("GET and HEAD have no body: put the arguments into the URL or `query`, or use POST");
  }
  auto request = HttpTemplate::parse(options);
  if (!request) return invalid(request.error().message);
  if (options.user_agent.empty()) options.user_agent = "mayfly/" MAYFLY_VERSION;
  if (!is_safe_field(options.user_agent)) return invalid("the user agent holds a control character");
  options.egress.allow_hosts.insert(options.egress.allow_hosts.end(), options.allow_hosts.begin(), options.allow_hosts.end());
  return std::make_unique<HttpTool>(std::move(options), *std::move(request), client, clock, std::move(env));
}

}  // namespace mayfly
