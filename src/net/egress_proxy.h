#pragma once

#include <boost/asio/ip/address.hpp>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "runtime/cancel.h"
#include "runtime/clock.h"
#include "runtime/task.h"

namespace mayfly::net {

/// All addresses of a name. Errors as of Resolver.
using ResolveName = std::function<Task<Result<std::vector<asio::ip::address>>>(std::string host, Millis timeout, CancelToken cancel)>;
/// The operating system's, with a small cache; one serves many proxies. Used on one loop, and gone before it.
ResolveName make_name_resolver(Executor executor, Clock& clock);

struct EgressProxyOptions {
  /// A bound and listening TCP or Unix socket, one for each sandbox: who connects is that sandbox. The proxy owns and
  /// closes it, also when `listen` fails or is never called.
  int listener_fd = -1;
  /// What may be reached; patterns as in EgressRules. Empty: nothing.
  std::vector<std::string> allow;
  std::size_t connections_max = 256;
  std::size_t header_bytes_max = 16 * 1024;
  Millis header_timeout{10'000};
  Millis connect_timeout{10'000};  ///< name lookup and connecting, together
  Millis idle_timeout{300'000};    ///< no byte in either direction
  enum class Verdict { Allowed, Denied };
  /// For logs; called once for each request whose target is understood.
  std::function<void(std::string_view host, std::uint16_t port, Verdict verdict)> on_connection;
};

struct EgressProxyCounters {
  std::uint64_t connections_accepted = 0;
  std::uint64_t connections_refused = 0;  ///< over `connections_max`
  std::uint64_t requests_allowed = 0;
  std::uint64_t requests_denied = 0;
  std::uint64_t requests_failed = 0;  ///< malformed, too slow, unresolvable or unreachable
  std::uint64_t bytes_up = 0;         ///< from the sandbox to the world
  std::uint64_t bytes_down = 0;
  std::size_t connections_open = 0;
};

/// The way out of a sandbox: an HTTP proxy (CONNECT and absolute http URLs, one request a connection) with an allow-list.
///
/// A name is looked up once, only when the list allows it; every address is checked, and the connection goes to a
/// checked address, so that a second DNS answer cannot lead elsewhere. Redirects are the client's to follow, through here.
/// Refusals are problem details: 403 `egress.denied` (names the host and how to allow it), 400 `egress.malformed`,
/// 408 `egress.timeout`, 431 `egress.header_too_large`, 502 `egress.unreachable`, 503 `egress.busy`.
class EgressProxy {
 public:
  virtual ~EgressProxy() = default;
  /// Errors: `net.bind`, `egress.invalid_pattern`.
  virtual Result<void> listen() = 0;
  virtual EgressProxyCounters counters() const = 0;
  /// Required after `listen`, before destruction. Closes all connections.
  virtual Task<> stop() = 0;
};

std::unique_ptr<EgressProxy> make_egress_proxy(Executor executor, Clock& clock, ResolveName resolve, EgressProxyOptions options);

}  // namespace mayfly::net
