#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "net/ssrf.h"

namespace mayfly::net {

/// What a client asks of a forward proxy (RFC 9110 §9.3.6, RFC 9112 §3.2.2).
struct ProxyRequest {
  enum class Kind {
    Tunnel,  ///< CONNECT
    Forward  ///< an absolute http URL
  };
  Kind kind = Kind::Tunnel;
  EgressTarget target;
  /// Of Forward: the header for the target in origin form, without hop-by-hop fields, with Connection: close.
  std::string head;
  std::uint64_t content_length = 0;
  bool is_chunked = false;
};

/// `head` ends with its empty line. Strict like RequestParser: where a request ends must be beyond doubt.
/// Error: `egress.malformed`, with what to send instead.
Result<ProxyRequest> parse_proxy_request(std::string_view head);

}  // namespace mayfly::net
