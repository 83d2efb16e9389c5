#pragma once

#include <functional>
#include <memory>
#include <utility>

#include "net/http.h"
#include "runtime/clock.h"

namespace mayfly::net {

/// Where outgoing calls may go. Names are resolved once, every address is checked, and the connection is pinned to a
/// checked address, so that a second DNS answer cannot lead elsewhere; each redirect is checked anew.
struct EgressPolicy {
  bool allow_loopback = false;      ///< 127.0.0.0/8, ::1
  bool allow_private = false;       ///< RFC 1918, ULA, link-local without metadata, CGNAT
  /// Host names ("api.example.com", "*.example.com") or "host:port" pairs that are allowed whatever they resolve to.
  /// Cloud metadata addresses (169.254.169.254, fd00:ec2::254, …) stay refused unless named here literally.
  std::vector<std::string> allow_hosts;
  /// When not empty, only these hosts may be reached at all.
  std::vector<std::string> only_hosts;
  static EgressPolicy trusted();    ///< operator-configured endpoints: loopback and private allowed
};

/// Lets whoever takes a body hold it back: while it is closed nothing more is read from the connection, and `idle_timeout` does not count.
/// Used on the client's loop.
class BodyGate {
 public:
  bool is_closed() const { return closed_; }
  void close() { closed_ = true; }
  void open() {
    if (std::exchange(closed_, false) && opened_) opened_();
  }
  /// For the client: called when the gate opens, in place of who was told before.
  void on_open(std::function<void()> opened) { opened_ = std::move(opened); }

 private:
  bool closed_ = false;
  std::function<void()> opened_;
};

struct ClientRequest {
  std::string method = "GET";
  std::string url;                  ///< absolute, http or https
  Headers headers;
  std::string body;
  EgressPolicy egress;
  Millis connect_timeout{10'000};
  Millis first_byte_timeout{0};     ///< from sending until the response's first body byte; 0: none
  Millis idle_timeout{0};           ///< between two reads of the body; 0: none
  Millis total_timeout{0};          ///< 0: none
  std::size_t body_bytes_max = 64 * 1024 * 1024;
  int redirects_max = 0;            ///< 0: a redirect is returned as it is
  CancelToken cancel;
  /// When set, body bytes of a 2xx answer go here as they arrive and ClientResponse::body stays empty.
  std::function<void(std::string_view)> on_body;
  std::shared_ptr<BodyGate> gate;   ///< of `on_body`; may be null
};

struct ClientResponse {
  int status = 0;
  Headers headers;
  std::string body;
  std::string final_url;
};

/// Connection-pooled HTTP/1.1 and HTTP/2 over TLS (ALPN), proxies ignored unless configured.
///
/// A redirect beyond `redirects_max` is returned as it is; one to another origin loses credentials, one from https to
/// http is refused. Requests with one connection pool have policies that judge addresses alike. A request that is not
/// idempotent (no GET, HEAD, PUT, DELETE, and no Idempotency-Key) is never sent twice. SSL_CERT_FILE names another CA bundle.
/// The client is used on one loop, outlives its calls and is destroyed before the loop.
///
/// Errors: `net.egress_denied` (Never), `net.invalid_url` (Never), `net.invalid_header` (Never), `net.dns` (Safe), `net.connect` (Safe),
/// `net.tls` (Never), `net.timeout` and `net.reset` (Safe before the request was sent, else OutcomeUnknown), `net.too_large`
/// (OutcomeUnknown), `net.cancelled` (OutcomeUnknown). An HTTP error status is a response, not an Error.
class HttpClient {
 public:
  virtual ~HttpClient() = default;
  virtual Task<Result<ClientResponse>> send(ClientRequest request) = 0;
};

std::unique_ptr<HttpClient> make_http_client(Executor executor, Clock& clock);

}  // namespace mayfly::net
