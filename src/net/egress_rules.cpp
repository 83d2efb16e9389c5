#include "net/egress_rules.h"

#include <algorithm>

namespace mayfly::net {
namespace {

constexpr std::size_t kRulesMax = 1'000;
constexpr std::size_t kPatternBytesMax = 300;

std::unexpected<Error> invalid(std::string_view pattern, std::string_view why) {
  return fail("egress.invalid_pattern",
              "The egress pattern \"" + std::string(pattern.substr(0, kPatternBytesMax)) + "\" " + std::string(why));
}

bool is_default_port(std::uint16_t port) { return port == 80 || port == 443; }

std::string bracketed(std::string_view host) {
  return host.find(':') == std::string_view::npos ? std::string(host) : "[" + std::string(host) + "]";
}

/// What to write into the allow-list.
std::string pattern_for(std::string_view host, std::uint16_t port, bool needs_port) {
  return bracketed(host) + (needs_port || !is_default_port(port) ? ":" + std::to_string(port) : "");
}

std::string how_to_allow(std::string_view pattern) {
  return "To permit it, add it to the function's configuration: egress: {allow: [\"" + std::string(pattern) + "\"]}.";
}

}  // namespace

Result<EgressRules> EgressRules::parse(const std::vector<std::string>& patterns) {
  EgressRules out;
  if (patterns.size() > kRulesMax)
    return fail("egress.invalid_pattern", "There are more than 1,000 egress patterns; use *.domain patterns.");
  for (const std::string& pattern : patterns) {
    auto rule = parse_rule(pattern);
    if (!rule) return fail(rule.error());
    out.rules_.push_back(std::move(*rule));
  }
  return out;
}

Result<EgressRules::Rule> EgressRules::parse_rule(std::string_view pattern) {
  if (pattern.empty() || pattern.size() > kPatternBytesMax) return invalid(pattern, "is empty or too long; write a host or host:port.");
  if (pattern.find('/') != std::string_view::npos) return invalid(pattern, "holds a slash; write only a host or host:port.");
  Rule rule;
  if (pattern == "*:*") {
    rule.kind = Kind::Any;
    rule.any_port = true;
    return rule;
  }
  std::string text(pattern);
  if (text == "*" || text.starts_with("*:")) {
    rule.kind = Kind::Any;
    text.replace(0, 1, "any.invalid");
  } else if (text.starts_with("*.")) {
    rule.kind = Kind::Subdomains;
    text.erase(0, 2);
  }
  const auto colons = std::count(text.begin(), text.end(), ':');
  const bool is_bare_v6 = colons > 1 && !text.starts_with('[');
  if (is_bare_v6) text = "[" + text + "]";
  const bool has_port = text.starts_with('[') ? text.find("]:") != std::string::npos : colons == 1;
  const auto target = parse_target("http://" + text + "/");
  if (!target || text.ends_with(':'))
    return invalid(pattern, "is no host or host:port, nor *.domain; write one, for example api.example.com:443.");
  rule.host = target->host;
  rule.literal = target->literal;
  if (has_port) rule.port = target->port;
  if (rule.kind == Kind::Subdomains && rule.literal) return invalid(pattern, "puts *. before an address; list the addresses themselves.");
  if (rule.literal && !rule.port && classify_address(*rule.literal) != AddressClass::Public) {
    return invalid(pattern, "is an address that is not public; name its port too, for example " + bracketed(rule.host) + ":8000.");
  }
  return rule;
}

Result<void> EgressRules::check_host(const EgressTarget& target) const {
  const auto allows = [&](const Rule& rule) {
    if (!rule.any_port && (rule.port ? *rule.port != target.port : !is_default_port(target.port))) return false;
    switch (rule.kind) {
      case Kind::Any: return true;
      case Kind::Host: return rule.host == target.host;
      case Kind::Subdomains: return !target.literal && target.host.size() > rule.host.size() + 1 && target.host.ends_with("." + rule.host);
    }
    return false;
  };
  if (std::any_of(rules_.begin(), rules_.end(), allows)) return {};
  const bool needs_port = target.literal && classify_address(*target.literal) != AddressClass::Public;
  const std::string pattern = pattern_for(target.host, target.port, needs_port);
  return fail("egress.denied", "Mayfly refused the connection to " + bracketed(target.host) + ":" + std::to_string(target.port) +
                                   ": the host is not in the egress allow-list. " + how_to_allow(pattern));
}

Result<void> EgressRules::check_addresses(const EgressTarget& target, std::span<const IpAddress> addresses) const {
  for (const IpAddress& address : addresses) {
    const bool is_listed =
        std::any_of(rules_.begin(), rules_.end(), [&](const Rule& rule) { return rule.literal == address && rule.port == target.port; });
    if (is_listed || classify_address(address) == AddressClass::Public) continue;
    return fail("egress.denied", "Mayfly refused the connection to " + bracketed(target.host) + ":" + std::to_string(target.port) +
                                     ": it leads to " + address.to_string() + ", which is not a public address. " +
                                     how_to_allow(pattern_for(address.to_string(), target.port, true)));
  }
  return {};
}

}  // namespace mayfly::net
