#pragma once

#include <boost/asio/ip/address.hpp>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "net/http_client.h"

/// The guard against server-side request forgery: which URL is meant, and whether its addresses may be reached.
namespace mayfly::net {

using IpAddress = asio::ip::address;

enum class AddressClass {
  Public,
  Loopback,  ///< 127.0.0.0/8, ::1
  Private,   ///< RFC 1918, ULA, link-local, site-local, CGNAT
  Metadata,  ///< where clouds serve credentials to their machines
  Reserved,  ///< unspecified, multicast, documentation, benchmarking, and whatever is no unicast address (RFC 6890)
};

/// IPv4 inside IPv6 (mapped, compatible, NAT64, 6to4, Teredo, ISATAP) counts as what it leads to.
AddressClass classify_address(const IpAddress& address);

struct EgressTarget {
  std::string url;                     ///< normalised, without fragment: what is fetched
  std::string scheme;                  ///< "http" or "https"
  std::string host;                    ///< lower case, no trailing dot, no brackets
  std::uint16_t port = 0;
  std::optional<IpAddress> literal;    ///< when the host is an address

  /// "https://example.com:443": for messages, since paths and queries may hold secrets.
  std::string origin() const;
};

/// Parses with libcurl's own parser, so that what is checked is what is fetched. Numeric hosts of any spelling
/// ("0x7f.1", "2130706433") become addresses. Error: `net.invalid_url`.
Result<EgressTarget> parse_target(std::string_view url);
/// The target of a Location header, absolute or relative to `base`. Error: `net.invalid_url`.
Result<EgressTarget> resolve_redirect(const EgressTarget& base, std::string_view location);

/// `host` as in EgressTarget. With no addresses only the rules about names are checked (before a lookup).
/// Error: `net.egress_denied`, naming the rule and the remedy.
Result<void> check_egress(const EgressPolicy& policy, std::string_view host, std::uint16_t port, std::span<const IpAddress> addresses);
/// Whether `allow_hosts` names this host and port.
bool is_allowed_by_name(const EgressPolicy& policy, std::string_view host, std::uint16_t port);

}  // namespace mayfly::net
