#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "base/json.h"
#include "net/http_client.h"
#include "net/sse.h"

namespace mayfly::cli {

/// Where the server is and who asks.
struct Connection {
  std::string url = "http://127.0.0.1:7400";
  std::string key;  ///< empty: none
  std::string data_dir = "./.mayfly";
};

/// The URL without a trailing slash. Error: `usage` when it is no http(s) URL.
Result<std::string> checked_url(std::string url);
/// Whether the URL's host is this machine: only there the key file of a data directory is sent.
bool is_local(std::string_view url);
/// The key: what was given, else that of <data>/admin.key for a local server; empty when there is none.
std::string find_key(const std::string& given, const std::string& url, const std::string& data_dir);

/// What a server's error answer says, with what to do next.
Error error_of(int status, std::string_view body, const Connection& connection);

/// Mayfly's HTTP API. Errors are the server's own (RFC 9457) or those of HttpClient, in sentences for users of the command line.
class Api {
 public:
  Api(net::HttpClient& http, Connection connection) : http_(http), connection_(std::move(connection)) {}

  /// The JSON of a 2xx answer (null when it is empty).
  Task<Result<Json>> call(std::string method, std::string path, std::optional<Json> body = {}, net::Headers headers = {});
  Task<Result<Json>> get(std::string path) { return call("GET", std::move(path)); }
  Task<Result<Json>> post(std::string path, Json body) { return call("POST", std::move(path), std::move(body)); }
  /// The bytes of a 2xx answer.
  Task<Result<std::string>> text(std::string method, std::string path, std::string body, net::Headers headers,
                                 Millis timeout = Millis{120'000});
  /// Events until the server ends the stream (success) or it breaks. Errors as above, and `sse.too_large`.
  /// `on_bytes` is called for whatever arrives, heartbeats too.
  Task<Result<void>> events(std::string path, std::string last_event_id, std::function<void(net::SseEvent)> on_event,
                            std::function<void()> on_bytes, CancelToken cancel);

  const Connection& connection() const { return connection_; }

 private:
  Error unreachable(const Error& error) const;

  net::HttpClient& http_;
  Connection connection_;
};

/// The list that an answer is or holds under `key`; empty when there is none.
JsonArray items_of(const Json& answer, std::string_view key);
/// A path from parts, each percent-encoded: path_of({"v1", "runs", id}).
std::string path_of(std::initializer_list<std::string_view> parts);

}  // namespace mayfly::cli
