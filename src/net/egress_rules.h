#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "net/ssrf.h"

namespace mayfly::net {

/// An allow-list of hosts. Patterns:
///
///     api.example.com         this host, ports 80 and 443
///     api.example.com:8443    this host, this port only
///     *.example.com[:port]    every host below example.com, not example.com itself
///     *[:port]                every host
///     *:*                     every host, every port
///     203.0.113.7, [2001:db8::1]:443
///     127.0.0.1:8000          an address that is not public, only with its port
///
/// Whatever a name's rule is, a name that leads to an address that is not public (loopback, private, metadata, reserved)
/// is refused unless that address and port are listed too.
class EgressRules {
 public:
  /// Nothing is allowed.
  EgressRules() = default;
  /// At most 1,000 patterns. Error: `egress.invalid_pattern`, naming it.
  static Result<EgressRules> parse(const std::vector<std::string>& patterns);

  /// Before a name is looked up. Error: `egress.denied`, naming the host and how to allow it.
  Result<void> check_host(const EgressTarget& target) const;
  /// What the host leads to; all must be fine. Error: `egress.denied`.
  Result<void> check_addresses(const EgressTarget& target, std::span<const IpAddress> addresses) const;

 private:
  enum class Kind { Host, Subdomains, Any };
  struct Rule {
    Kind kind = Kind::Host;
    std::string host;
    std::optional<IpAddress> literal;
    std::optional<std::uint16_t> port;  ///< none: 80 and 443
    bool any_port = false;
  };

  static Result<Rule> parse_rule(std::string_view pattern);

  std::vector<Rule> rules_;
};

}  // namespace mayfly::net
