#include "net/ssrf.h"

#include <curl/curl.h>

#include <algorithm>
#include <array>
#include <charconv>

namespace mayfly::net {
namespace {

using Bytes4 = std::array<unsigned char, 4>;
constexpr std::size_t kUrlBytesMax = 64 * 1024;

struct Range4 {
  Bytes4 network;
  int bits;
  AddressClass meaning;
};

/// RFC 6890 and the clouds' own addresses; the first match counts.
constexpr std::array kRanges4{
    Range4{{169, 254, 169, 254}, 32, AddressClass::Metadata}, Range4{{169, 254, 170, 2}, 32, AddressClass::Metadata},
    Range4{{169, 254, 170, 23}, 32, AddressClass::Metadata},  Range4{{100, 100, 100, 200}, 32, AddressClass::Metadata},
    Range4{{192, 0, 0, 192}, 32, AddressClass::Metadata},     Range4{{168, 63, 129, 16}, 32, AddressClass::Metadata},
    Range4{{127, 0, 0, 0}, 8, AddressClass::Loopback},        Range4{{10, 0, 0, 0}, 8, AddressClass::Private},
    Range4{{172, 16, 0, 0}, 12, AddressClass::Private},       Range4{{192, 168, 0, 0}, 16, AddressClass::Private},
    Range4{{100, 64, 0, 0}, 10, AddressClass::Private},       Range4{{169, 254, 0, 0}, 16, AddressClass::Private},
    Range4{{0, 0, 0, 0}, 8, AddressClass::Reserved},          Range4{{192, 0, 0, 0}, 24, AddressClass::Reserved},
    Range4{{192, 0, 2, 0}, 24, AddressClass::Reserved},       Range4{{192, 88, 99, 0}, 24, AddressClass::Reserved},
    Range4{{198, 18, 0, 0}, 15, AddressClass::Reserved},      Range4{{198, 51, 100, 0}, 24, AddressClass::Reserved},
    Range4{{203, 0, 113, 0}, 24, AddressClass::Reserved},     Range4{{224, 0, 0, 0}, 3, AddressClass::Reserved},
};

template <std::size_t N, std::size_t M>
bool in_range(const std::array<unsigned char, N>& address, const std::array<unsigned char, M>& network, int bits) {
  for (std::size_t i = 0; bits > 0; ++i, bits -= 8) {
    const auto mask = static_cast<unsigned char>(bits >= 8 ? 0xff : 0xff << (8 - bits));
    if ((address[i] & mask) != (network[i] & mask)) return false;
  }
  return true;
}

AddressClass classify4(const Bytes4& address) {
  for (const auto& range : kRanges4) {
    if (in_range(address, range.network, range.bits)) return range.meaning;
  }
  return AddressClass::Public;
}

AddressClass classify6(const asio::ip::address_v6::bytes_type& b) {
  const auto embedded = [&](std::size_t at) { return Bytes4{b[at], b[at + 1], b[at + 2], b[at + 3]}; };
  const auto starts = [&](std::initializer_list<unsigned char> prefix) { return std::equal(prefix.begin(), prefix.end(), b.begin()); };
  const asio::ip::address_v6 address(b);
  if (address.is_loopback()) return AddressClass::Loopback;
  if (address.is_unspecified()) return AddressClass::Reserved;
  for (const auto* metadata : {"fd00:ec2::254", "fd20:ce::254", "fd00:ec2::23"}) {
    if (address == asio::ip::make_address_v6(metadata)) return AddressClass::Metadata;
  }
  if (address.is_v4_mapped() || starts({0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}) || starts({0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0, 0}) ||
      starts({0, 0x64, 0xff, 0x9b, 0, 0, 0, 0, 0, 0, 0, 0})) {
    return classify4(embedded(12));
  }
  if (starts({0x20, 0x02})) return classify4(embedded(2));
  if (starts({0x20, 0x01, 0, 0})) {
    Bytes4 client = embedded(12);
    for (auto& byte : client) byte ^= 0xff;
    const AddressClass of_client = classify4(client);
    return of_client != AddressClass::Public ? of_client : classify4(embedded(4));
  }
  if ((b[8] & 0xfd) == 0 && b[9] == 0 && b[10] == 0x5e && b[11] == 0xfe) {
    if (const AddressClass inner = classify4(embedded(12)); inner != AddressClass::Public) return inner;
  }
  if ((b[0] & 0xfe) == 0xfc || (b[0] == 0xfe && (b[1] & 0x80) != 0)) return AddressClass::Private;
  // RFC 3849, RFC 9637, RFC 5180: documentation and benchmarking; then all that is no global unicast (RFC 4291 §2.4).
  if (starts({0x20, 0x01, 0x0d, 0xb8}) || (starts({0x3f, 0xff}) && (b[2] & 0xf0) == 0) || starts({0x20, 0x01, 0, 2, 0, 0})) {
    return AddressClass::Reserved;
  }
  return (b[0] & 0xe0) == 0x20 ? AddressClass::Public : AddressClass::Reserved;
}

std::string to_lower(std::string_view text) {
  std::string out(text);
  std::transform(out.begin(), out.end(), out.begin(), [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
  return out;
}

/// "host", "host:port", "[v6]", "[v6]:port" or a bare v6 address.
struct HostEntry {
  std::string host;
  std::optional<std::uint16_t> port;
};

HostEntry parse_entry(std::string_view entry) {
  HostEntry out;
  std::string_view port;
  if (entry.starts_with('[')) {
    const auto end = std::min(entry.find(']'), entry.size() - 1);
    out.host = to_lower(entry.substr(1, end - 1));
    entry.remove_prefix(end + 1);
    if (entry.starts_with(':')) port = entry.substr(1);
  } else {
    const auto colon = entry.find(':');
    const bool is_v6 = colon != std::string_view::npos && entry.find(':', colon + 1) != std::string_view::npos;
    out.host = to_lower(is_v6 ? entry : entry.substr(0, colon));
    if (!is_v6 && colon != std::string_view::npos) port = entry.substr(colon + 1);
  }
  if (out.host.ends_with('.')) out.host.pop_back();
  if (!port.empty()) {
    std::uint16_t number = 0;
    std::from_chars(port.data(), port.data() + port.size(), number);
    out.port = number;
  }
  return out;
}

bool names(const std::vector<std::string>& entries, std::string_view host, std::uint16_t port) {
  return std::any_of(entries.begin(), entries.end(), [&](const std::string& text) {
    const HostEntry entry = parse_entry(text);
    if (entry.port && *entry.port != port) return false;
    if (!entry.host.starts_with("*.")) return !entry.host.empty() && entry.host == host;
    return entry.host.size() > 2 && host.size() > entry.host.size() - 1 && host.ends_with(std::string_view(entry.host).substr(1));
  });
}

std::unexpected<Error> invalid(std::string_view why) { return fail("net.invalid_url", "The URL " + std::string(why)); }

struct CurlUrl {
  CURLU* handle = curl_url();
  CurlUrl() = default;
  CurlUrl(const CurlUrl&) = delete;
  CurlUrl& operator=(const CurlUrl&) = delete;
  ~CurlUrl() { curl_url_cleanup(handle); }
  std::string get(CURLUPart part, unsigned flags = 0) const {
    char* text = nullptr;
    if (curl_url_get(handle, part, &text, flags) != CURLUE_OK || text == nullptr) return {};
    std::string out(text);
    curl_free(text);
    return out;
  }
  bool set(CURLUPart part, const char* text, unsigned flags = 0) const { return curl_url_set(handle, part, text, flags) == CURLUE_OK; }
};

Result<void> check_text(std::string_view url) {
  if (url.empty() || url.size() > kUrlBytesMax) return invalid("is empty or longer than 64 KiB; give an absolute http or https URL.");
  if (std::any_of(url.begin(), url.end(), [](char c) { return static_cast<unsigned char>(c) <= 0x20 || c == 0x7f || c == '\\'; })) {
    return invalid("holds spaces, control bytes or backslashes; percent-encode them.");
  }
  const auto scheme = url.find("://");
  if (url.starts_with("///") || (scheme < url.find('/') && url.substr(scheme + 3).starts_with('/')))
    return invalid("has no host; write http://host/path.");
  return {};
}

/// WHATWG "ends in a number": such a host is an address or an error, never a name.
bool ends_in_number(std::string_view host) {
  const auto dot = host.rfind('.');
  const std::string_view last = dot == std::string_view::npos ? host : host.substr(dot + 1);
  if (last.starts_with("0x")) return last.find_first_not_of("0123456789abcdef", 2) == std::string_view::npos;
  return !last.empty() && last.find_first_not_of("0123456789") == std::string_view::npos;
}

bool is_host_name(std::string_view host) {
  return !host.empty() && host.size() <= 253 && !host.starts_with('.') && !host.ends_with('.') &&
         host.find("..") == std::string_view::npos &&
         host.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-._") == std::string_view::npos;
}

Result<EgressTarget> finish_target(const CurlUrl& url) {
  EgressTarget target;
  target.scheme = url.get(CURLUPART_SCHEME);
  if (target.scheme != "http" && target.scheme != "https") return invalid("must begin with http:// or https://.");
  if (!url.get(CURLUPART_USER).empty() || !url.get(CURLUPART_PASSWORD).empty()) {
    return invalid("holds a user name or password; send an Authorization header instead.");
  }
  if (!url.get(CURLUPART_ZONEID).empty()) return invalid("holds an IPv6 zone id; use an address without one.");
  std::string host = to_lower(url.get(CURLUPART_HOST));
  boost::system::error_code error;
  if (host.starts_with('[') && host.ends_with(']')) {
    host = host.substr(1, host.size() - 2);
    if (host.find('%') != std::string::npos) return invalid("holds an IPv6 zone id; use an address without one.");
    target.literal = asio::ip::make_address_v6(host, error);
    if (error) return invalid("holds a malformed IPv6 address.");
    host = target.literal->to_string();
  } else {
    if (host.ends_with('.')) host.pop_back();
    if (!is_host_name(host)) return invalid("has no plain host name; write international names in their xn-- form.");
    if (ends_in_number(host)) {
      // Again after the dot went: libcurl spells 0x7f.1 as 127.0.0.1 only then.
      CurlUrl again;
      if (again.set(CURLUPART_URL, ("http://" + host + "/").c_str())) host = again.get(CURLUPART_HOST);
      target.literal = asio::ip::make_address_v4(host, error);
      if (error) return invalid("has a host that ends in a number but is no IPv4 address.");
    }
    if (!url.set(CURLUPART_HOST, host.c_str())) return invalid("has no plain host name.");
  }
  const std::string port = url.get(CURLUPART_PORT, CURLU_DEFAULT_PORT);
  if (std::from_chars(port.data(), port.data() + port.size(), target.port).ec != std::errc{} || target.port == 0) {
    return invalid("has no valid port; ports are 1 to 65535.");
  }
  url.set(CURLUPART_FRAGMENT, nullptr);
  target.host = std::move(host);
  target.url = url.get(CURLUPART_URL);
  if (target.url.empty()) return invalid("cannot be used; give an absolute http or https URL.");
  return target;
}

std::string_view describe(AddressClass what) {
  switch (what) {
    case AddressClass::Public: return "a public address";
    case AddressClass::Loopback: return "this machine itself (loopback)";
    case AddressClass::Private: return "a private network address";
    case AddressClass::Metadata: return "a cloud metadata address";
    case AddressClass::Reserved: return "a reserved address";
  }
  return "an unknown address";
}

}  // namespace

AddressClass classify_address(const IpAddress& address) {
  return address.is_v4() ? classify4(address.to_v4().to_bytes()) : classify6(address.to_v6().to_bytes());
}

std::string EgressTarget::origin() const {
  const bool is_v6 = literal && literal->is_v6();
  return scheme + "://" + (is_v6 ? "[" + host + "]" : host) + ":" + std::to_string(port);
}

Result<EgressTarget> parse_target(std::string_view text) {
  if (const auto checked = check_text(text); !checked) return fail(checked.error());
  const CurlUrl url;
  if (!url.set(CURLUPART_URL, std::string(text).c_str(), CURLU_NON_SUPPORT_SCHEME)) {
    return invalid("is malformed; give an absolute http or https URL.");
  }
  return finish_target(url);
}

Result<EgressTarget> resolve_redirect(const EgressTarget& base, std::string_view location) {
  if (const auto checked = check_text(location); !checked) return fail(checked.error());
  const CurlUrl url;
  if (!url.set(CURLUPART_URL, base.url.c_str()) || !url.set(CURLUPART_URL, std::string(location).c_str(), CURLU_NON_SUPPORT_SCHEME)) {
    return invalid("of the redirect is malformed.");
  }
  return finish_target(url);
}

bool is_allowed_by_name(const EgressPolicy& policy, std::string_view host, std::uint16_t port) {
  return names(policy.allow_hosts, host, port);
}

Result<void> check_egress(const EgressPolicy& policy, std::string_view host, std::uint16_t port, std::span<const IpAddress> addresses) {
  const std::string name(host);
  if (!policy.only_hosts.empty() && !names(policy.only_hosts, host, port)) {
    return fail("net.egress_denied", name + " is not among the hosts that may be reached; add it to only_hosts if it should be.");
  }
  const bool is_named = is_allowed_by_name(policy, host, port);
  for (const IpAddress& address : addresses) {
    const AddressClass what = classify_address(address);
    if (what == AddressClass::Public) continue;
    const std::string text = address.to_string();
    const std::string start = name + " leads to " + text + ", " + std::string(describe(what)) + ". ";
    if (what == AddressClass::Metadata) {
      if (!names(policy.allow_hosts, text, port))
        return fail("net.egress_denied", start + "Only naming that address itself in allow_hosts permits it.");
    } else if (is_named || (what == AddressClass::Loopback && policy.allow_loopback) ||
               (what == AddressClass::Private && policy.allow_private)) {
      continue;
    } else {
      return fail("net.egress_denied", start + "Add \"" + name + "\" to allow_hosts if this is wanted" +
                                           (what == AddressClass::Loopback  ? ", or set allow_loopback."
                                            : what == AddressClass::Private ? ", or set allow_private."
                                                                            : "."));
    }
  }
  return {};
}

EgressPolicy EgressPolicy::trusted() {
  EgressPolicy policy;
  policy.allow_loopback = policy.allow_private = true;
  return policy;
}

}  // namespace mayfly::net
