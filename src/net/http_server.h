#pragma once

#include <cstdint>
#include <map>

#include "net/http.h"
#include "runtime/clock.h"

namespace mayfly::net {

/// The body of one request, read while it arrives. The client is held back while nobody reads.
class BodyReader {
 public:
  virtual ~BodyReader() = default;
  /// The next bytes (never empty, about 64 KiB at most), or nothing at the end. Waits for at most BodyPolicy::read_timeout.
  /// One call at a time, and not while a call of the Responder runs. After an error every call returns it again.
  /// Errors (Never), each with the status that a handler which has not answered yet gives by returning:
  /// `http.body_too_large`, `http.malformed`, `http.timeout`, `http.truncated` (the client stopped in the middle).
  virtual Task<Result<std::optional<std::string>>> next() = 0;
  /// The fields after a chunked body (RFC 9112 §7.1.2); complete once `next` has returned nothing.
  virtual const Headers& trailers() const = 0;
};

struct Request {
  std::string method;
  std::string target;  ///< path and query as sent; of an absolute URL only these are kept
  std::string path;    ///< without the query, still percent-encoded
  std::string query;   ///< without '?', still percent-encoded
  Headers headers;
  std::string body;                   ///< whole, within the limit; empty when `body_reader` is set
  Headers trailers;                   ///< after a whole chunked body; never merged into `headers`
  BodyReader* body_reader = nullptr;  ///< only for BodyPolicy::Mode::Stream; lives as long as the handler runs
  std::string remote_address;         ///< "127.0.0.1:51234", or "unix"
  bool remote_is_loopback = false;    ///< never with an adopted listener: its loopback may be another namespace's
  /// Cancelled when the client goes away or the server stops. A reset or a failed write counts at once (looked for
  /// every second). TCP cannot tell a client that closed from one that only shut down its sending side, so an end
  /// of stream counts after 3 s; answers are still delivered after that if somebody reads them. While a streamed body
  /// has not ended only `BodyReader::next` notices that the client went away.
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
  /// Sends status and headers; the body follows in chunks (RFC 9112 §7.1), or as it is when `headers` announce its Content-Length: then `write`
  /// takes no more than that, and `finish` with less ends the connection.
  virtual Task<bool> start(int status, Headers headers) = 0;
  virtual Task<bool> write(std::string bytes) = 0;
  virtual Task<bool> finish() = 0;
  virtual bool started() const = 0;
};

using Handler = std::function<Task<>(Request& request, Responder& responder)>;

/// How one request's body is taken, decided when its header is complete.
struct BodyPolicy {
  enum class Mode {
    Whole,  ///< the handler runs when the body is complete
    Stream  ///< the handler runs at once and reads by Request::body_reader; what it leaves unread ends the connection
  };
  Mode mode = Mode::Whole;
  std::optional<std::size_t> bytes_max;  ///< none: ServerOptions::body_bytes_max
  std::optional<Millis> read_timeout;    ///< of one BodyReader::next; 0: no limit; none: ServerOptions::body_timeout
};

/// Sees a request without its body; must neither throw nor wait.
using BodyPolicyRule = std::function<BodyPolicy(const Request& head)>;

struct ServerOptions {
  std::string address = "127.0.0.1";
  std::uint16_t port = 0;  ///< 0: any free port
  /// A bound and listening TCP or Unix stream socket instead of `address` and `port`. The server owns and closes it,
  /// also when `listen` fails or is never called.
  int listener_fd = -1;
  std::size_t header_bytes_max = 32 * 1024;
  std::size_t body_bytes_max = 10 * 1024 * 1024;
  BodyPolicyRule body_policy;     ///< none: whole bodies within `body_bytes_max`
  Millis header_timeout{15'000};  ///< from the first byte to the end of the header (slowloris)
  Millis body_timeout{60'000};
  Millis idle_timeout{75'000};
  std::size_t connections_max = 8'000;
  /// How often timeouts and vanished clients are looked for while connections are open (without any there is no timer).
  Millis sweep_every{1'000};
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
  /// Binds and listens, once. Errors: `net.address_in_use`, `net.bind`.
  virtual Result<void> listen() = 0;
  virtual std::uint16_t port() const = 0;  ///< 0 for a Unix socket
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
