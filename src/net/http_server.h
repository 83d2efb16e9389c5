#pragma once

#include <cstdint>
#include <map>

#include "net/http.h"
#include "runtime/clock.h"

namespace mayfly::net {

struct Request {
  std::string method;
  std::string target;                        ///< path and query as sent; of an absolute URL only these are kept
  std::string path;                          ///< without the query, still percent-encoded
  std::string query;                         ///< without '?', still percent-encoded
  Headers headers;
  std::string body;                          ///< whole; at most ServerOptions::body_bytes_max
  std::string remote_address;                ///< "127.0.0.1:51234"
  bool remote_is_loopback = false;
  /// Cancelled when the client goes away or the server stops. A reset or a failed write counts at once (looked for
  /// every second). TCP cannot tell a client that closed from one that only shut down its sending side, so an end
  /// of stream counts after 3 s; answers are still delivered after that if somebody reads them.
  CancelToken disconnected;

  /// The decoded query parameter, or nothing.
  std::optional<std::string> query_parameter(std::string_view name) const;
};

struct Response {
  int status = 200;
  Headers headers;
  std::string body;
};

/// How a handler answers one request: either `send` once, or `start` then any number of `write`s and `finish`.
/// Writing waits while the client reads slowly. After the client has gone every call returns false and does nothing.
/// A handler that returns without answering gives 500.
class Responder {
 public:
  virtual ~Responder() = default;
  virtual Task<bool> send(Response response) = 0;
  /// Sends status and headers; the body follows in chunks (RFC 9112 §7.1).
  virtual Task<bool> start(int status, Headers headers) = 0;
  virtual Task<bool> write(std::string bytes) = 0;
  virtual Task<bool> finish() = 0;
  virtual bool started() const = 0;
};

using Handler = std::function<Task<>(Request& request, Responder& responder)>;

struct ServerOptions {
  std::string address = "127.0.0.1";
  std::uint16_t port = 0;  ///< 0: any free port
  std::size_t header_bytes_max = 32 * 1024;
  std::size_t body_bytes_max = 10 * 1024 * 1024;
  Millis header_timeout{15'000};  ///< from the first byte to the end of the header (slowloris)
  Millis body_timeout{60'000};
  Millis idle_timeout{75'000};
  std::size_t connections_max = 8'000;
};

struct ServerCounters {
  std::uint64_t requests = 0;
  std::uint64_t connections_accepted = 0;
  std::uint64_t connections_refused = 0;
  std::size_t connections_open = 0;
};

/// HTTP/1.1 on one loop: keep-alive, pipelining (answered in order), Expect: 100-continue, chunked bodies both ways.
/// Malformed, oversized and slow requests get 400, 413, 431 or 408 as RFC 9457 problem details and a closed connection.
class HttpServer {
 public:
  virtual ~HttpServer() = default;
  /// Binds and listens. Errors: `net.address_in_use`, `net.bind`.
  virtual Result<void> listen() = 0;
  virtual std::uint16_t port() const = 0;
  virtual ServerCounters counters() const = 0;
  /// Required before destruction; a second call returns at once. Handlers must heed `Request::disconnected`: stop
  /// waits for them. Stops accepting, lets running requests finish for `grace`, then cancels them and closes what is left.
  virtual Task<> stop(Millis grace) = 0;
};

std::unique_ptr<HttpServer> make_http_server(Executor executor, Clock& clock, ServerOptions options, Handler handler);

/// The standard reason phrase ("Not Found"), or "Unknown".
std::string_view reason_phrase(int status);

/// RFC 9457 problem details: `type` is "about:blank", plus our stable `code`.
Response problem(int status, std::string_view code, std::string_view detail);

}  // namespace mayfly::net
