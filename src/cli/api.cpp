#include "cli/api.h"

#include <fmt/format.h>

#include <filesystem>
#include <memory>

#include "cli/terminal.h"
#include "net/http_server.h"

namespace mayfly::cli {
namespace {

constexpr std::size_t kAnswerBytesMax = 256 * 1024 * 1024;
constexpr std::size_t kKeyBytesMax = 4096;
/// Three missed heartbeats of an event stream.
constexpr Millis kSilenceMax{45'000};

}  // namespace

Result<std::string> checked_url(std::string url) {
  while (url.ends_with('/')) url.pop_back();
  const bool known = url.starts_with("http://") || url.starts_with("https://");
  if (!known || url.size() <= url.find("://") + 3 || url.find_first_of(" \t\r\n") != std::string::npos)
    return fail("usage",
                fmt::format("`{}` is no address of a server; give --url (or MAYFLY_URL) like http://127.0.0.1:7400", one_line(url, 100)));
  return url;
}

bool is_local(std::string_view url) {
  const auto scheme = url.find("://");
  if (scheme == std::string_view::npos) return false;
  std::string_view host = url.substr(scheme + 3);
  host = host.substr(0, host.find_first_of("/?#"));
  if (host.contains('@')) return false;
  if (host.starts_with('[')) return host.substr(0, host.find(']') + 1) == "[::1]";
  host = host.substr(0, host.find(':'));
  return host == "localhost" || host == "127.0.0.1";
}

std::string find_key(const std::string& given, const std::string& url, const std::string& data_dir) {
  if (!given.empty() || !is_local(url)) return given;
  const auto text = read_file((std::filesystem::path(data_dir) / "admin.key").string(), kKeyBytesMax);
  if (!text) return {};
  const auto first = text->find_first_not_of(" \t\r\n");
  if (first == std::string::npos) return {};
  return text->substr(first, text->find_first_of(" \t\r\n", first) - first);
}

Error error_of(int status, std::string_view body, const Connection& connection) {
  Error error{fmt::format("http.{}", status), fmt::format("the server answered {} {}", status, net::reason_phrase(status)), Retry::Never};
  if (const auto parsed = parse_json(body); parsed && parsed->is_object()) {
    const JsonObject& problem = parsed->get_object();
    error.code = get_string(problem, "code", error.code);
    // The Lambda API says `message` or `Message`.
    const std::string lambda = get_string(problem, "message", get_string(problem, "Message", error.message));
    error.message = get_string(problem, "detail", get_string(problem, "title", lambda));
    if (status == 404 && !problem.contains("code")) error.code = "lambda.not_found";
  }
  if (status == 401) {
    error.message += connection.key.empty() ? fmt::format(
                                                  "; no key was found: give --key or MAYFLY_API_KEY, or --data (or MAYFLY_DATA) with the "
                                                  "server's data directory (looked for {}/admin.key)",
                                                  connection.data_dir)
                                            : "; check --key, MAYFLY_API_KEY or --data: the key may belong to another server";
  }
  if (status == 429 || status == 503) error.retry = Retry::Safe;
  return error;
}

Error Api::unreachable(const Error& error) const {
  if (error.code == "net.connect" || error.code == "net.dns")
    return {error.code,
            fmt::format("no server answers at {}; start one with `mayfly serve`, or name it with --url or MAYFLY_URL ({})", connection_.url,
                        error.message),
            error.retry};
  return error;
}

Task<Result<std::string>> Api::text(std::string method, std::string path, std::string body, net::Headers headers, Millis timeout) {
  net::ClientRequest request;
  request.method = std::move(method);
  request.url = connection_.url + path;
  request.headers = std::move(headers);
  if (!connection_.key.empty()) request.headers.set("Authorization", "Bearer " + connection_.key);
  request.body = std::move(body);
  request.egress = net::EgressPolicy::trusted();
  request.connect_timeout = Millis{5'000};
  request.total_timeout = timeout;
  request.body_bytes_max = kAnswerBytesMax;
  auto answer = co_await http_.send(std::move(request));
  if (!answer) co_return fail(unreachable(answer.error()));
  if (answer->status / 100 != 2) co_return fail(error_of(answer->status, answer->body, connection_));
  co_return std::move(answer->body);
}

Task<Result<Json>> Api::call(std::string method, std::string path, std::optional<Json> body, net::Headers headers) {
  std::string bytes;
  if (body) {
    bytes = to_text(*body);
    headers.set("Content-Type", "application/json");
  }
  auto answer = co_await text(std::move(method), std::move(path), std::move(bytes), std::move(headers));
  if (!answer) co_return fail(answer.error());
  if (answer->empty()) co_return Json(nullptr);
  auto parsed = parse_json(*answer, {.bytes_max = kAnswerBytesMax});
  if (!parsed) co_return fail("api.invalid_answer", fmt::format("{} did not answer in JSON; is it a Mayfly server?", connection_.url));
  co_return std::move(*parsed);
}

Task<Result<void>> Api::events(std::string path, std::string last_event_id, std::function<void(net::SseEvent)> on_event,
                               std::function<void()> on_bytes, CancelToken cancel) {
  net::SseParser parser(std::move(on_event));
  std::optional<Error> broken;
  net::ClientRequest request;
  request.url = connection_.url + path;
  request.headers = {{"Accept", "text/event-stream"}};
  if (!connection_.key.empty()) request.headers.set("Authorization", "Bearer " + connection_.key);
  if (!last_event_id.empty()) request.headers.set("Last-Event-ID", last_event_id);
  request.egress = net::EgressPolicy::trusted();
  request.connect_timeout = Millis{5'000};
  request.idle_timeout = kSilenceMax;
  request.body_bytes_max = SIZE_MAX;
  request.cancel = cancel;
  request.on_body = [&parser, &broken, &on_bytes](std::string_view bytes) {
    on_bytes();
    if (broken) return;
    if (auto fed = parser.feed(bytes); !fed) broken = fed.error();
  };
  auto answer = co_await http_.send(std::move(request));
  if (broken) co_return fail(*broken);
  if (!answer) co_return fail(unreachable(answer.error()));
  if (answer->status / 100 != 2) co_return fail(error_of(answer->status, answer->body, connection_));
  co_return Result<void>{};
}

JsonArray items_of(const Json& answer, std::string_view key) {
  if (answer.is_array()) return answer.get_array();
  if (const auto* object = answer.if_object())
    if (const JsonArray* list = get_array(*object, key)) return *list;
  return {};
}

std::string path_of(std::initializer_list<std::string_view> parts) {
  std::string out;
  for (const std::string_view part : parts) out += "/" + net::percent_encode(part);
  return out;
}

}  // namespace mayfly::cli
