#include "net/ssrf.h"

#include <gtest/gtest.h>

namespace mayfly::net {
namespace {

IpAddress ip(const char* text) { return asio::ip::make_address(text); }

TEST(ClassifyAddress, KnowsEverySpecialRangeAndItsEdges) {
  using enum AddressClass;
  const std::vector<std::pair<const char*, AddressClass>> table = {
      {"8.8.8.8", Public}, {"1.1.1.1", Public}, {"126.255.255.255", Public}, {"127.0.0.1", Loopback}, {"127.255.255.255", Loopback},
      {"128.0.0.0", Public}, {"9.255.255.255", Public}, {"10.0.0.0", Private}, {"10.255.255.255", Private}, {"11.0.0.0", Public},
      {"172.15.255.255", Public}, {"172.16.0.0", Private}, {"172.31.255.255", Private}, {"172.32.0.0", Public}, {"192.168.0.1", Private},
      {"192.169.0.0", Public}, {"100.63.255.255", Public}, {"100.64.0.0", Private}, {"100.127.255.255", Private}, {"100.128.0.0", Public},
      {"169.254.0.1", Private}, {"169.254.169.254", Metadata}, {"169.254.170.2", Metadata}, {"100.100.100.200", Metadata},
      {"192.0.0.192", Metadata}, {"168.63.129.16", Metadata}, {"192.0.0.1", Reserved}, {"0.0.0.0", Reserved}, {"0.1.2.3", Reserved},
      {"192.0.2.1", Reserved}, {"198.51.100.1", Reserved}, {"203.0.113.1", Reserved}, {"198.17.255.255", Public}, {"198.18.0.0", Reserved},
      {"198.19.255.255", Reserved}, {"198.20.0.0", Public}, {"223.255.255.255", Public}, {"224.0.0.1", Reserved}, {"239.1.1.1", Reserved},
      {"240.0.0.1", Reserved}, {"255.255.255.255", Reserved},
      {"2606:4700::1111", Public}, {"::1", Loopback}, {"::", Reserved}, {"fe80::1", Private}, {"fec0::1", Private}, {"fc00::1", Private},
      {"fdff::1", Private}, {"fd00:ec2::254", Metadata}, {"fd20:ce::254", Metadata}, {"ff02::1", Reserved}, {"2001:db8::1", Reserved},
      {"3fff::1", Reserved}, {"100::1", Reserved}, {"4000::1", Reserved},
      {"::ffff:127.0.0.1", Loopback}, {"::ffff:8.8.8.8", Public}, {"::ffff:169.254.169.254", Metadata}, {"::127.0.0.1", Loopback},
      {"::10.0.0.1", Private}, {"64:ff9b::10.0.0.1", Private}, {"64:ff9b::8.8.8.8", Public}, {"64:ff9b:1::1", Reserved},
      {"2002:7f00:1::", Loopback}, {"2002:a9fe:a9fe::1", Metadata}, {"2002:808:808::1", Public}, {"2001:0:808:808::80ff:fffe", Loopback},
      {"2001:0:7f00:1::f7f7:f7f7", Loopback}, {"2001:0:808:808::f7f7:f7f7", Public}, {"2606:4700::5efe:10.0.0.1", Private},
  };
  for (const auto& [text, expected] : table) EXPECT_EQ(static_cast<int>(classify_address(ip(text))), static_cast<int>(expected)) << text;
}

TEST(ParseTarget, NormalisesHostsAsTheyWillBeFetched) {
  struct Row {
    const char *url, *host;
    int port;
    const char* fetched;
  };
  const std::vector<Row> table = {
      {"https://Example.COM/a?b#c", "example.com", 443, "https://example.com/a?b"},
      {"http://example.com.:8080/", "example.com", 8080, "http://example.com:8080/"},
      {"http://127.1/", "127.0.0.1", 80, "http://127.0.0.1/"},
      {"http://0x7f.1/", "127.0.0.1", 80, "http://127.0.0.1/"},
      {"http://0X7F.0.0.1/", "127.0.0.1", 80, "http://127.0.0.1/"},
      {"http://2130706433/", "127.0.0.1", 80, "http://127.0.0.1/"},
      {"http://017700000001/", "127.0.0.1", 80, "http://127.0.0.1/"},
      {"http://0251.0376.0251.0376/", "169.254.169.254", 80, "http://169.254.169.254/"},
      {"http://127.0.0.1./", "127.0.0.1", 80, "http://127.0.0.1/"},
      {"http://0x7f.1./", "127.0.0.1", 80, "http://127.0.0.1/"},
      {"http://[::1]:99/x", "::1", 99, "http://[::1]:99/x"},
      {"http://[0:0:0:0:0:FFFF:7F00:1]/", "::ffff:127.0.0.1", 80, nullptr},
  };
  for (const auto& row : table) {
    const auto target = parse_target(row.url);
    ASSERT_TRUE(target) << row.url << ": " << target.error().message;
    EXPECT_EQ(target->host, row.host) << row.url;
    EXPECT_EQ(target->port, row.port) << row.url;
    if (row.fetched != nullptr) EXPECT_EQ(target->url, row.fetched) << row.url;
  }
}

TEST(ParseTarget, RefusesWhatTwoParsersCouldReadDifferently) {
  const std::vector<std::string> table = {
      "", "example.com", "/path", "ftp://example.com/", "file:///etc/passwd", "gopher://a/", "javascript:alert(1)", "http://",
      "http:///path", "http://user@example.com/", "http://user:pw@example.com/", "http://@127.0.0.1:80@example.com/", "http://a b/",
      "http://exa\nmple.com/", "http://example.com/\r\nX: 1", std::string("http://example.com\0.evil/", 25), "http://example.com\\@evil/",
      "http://[fe80::1%25eth0]/", "http://[fe80::1%eth0]/", "http://[::1", "http://[1.2.3.4]/", "http://256.1.1.1/", "http://1.2.3.4.5/",
      "http://0x7f.0x/1.99999999999/", "http://foo.0x1/", "http://example.com:0/", "http://example.com:65536/", "http://example.com:x/",
      "http://ex\xc3\xa4mple.com/", "http://%31%32%37.0.0.1%00/", "http://.example.com/", "http://a..b/", "http://2../",
      "http://" + std::string(70'000, 'a') + "/"};
  for (const auto& url : table) {
    const auto target = parse_target(url);
    ASSERT_FALSE(target) << url << " became " << target->url;
    EXPECT_EQ(target.error().code, "net.invalid_url") << url;
    EXPECT_GT(target.error().message.size(), 20u);
  }
}

TEST(ResolveRedirect, FollowsRelativeAndAbsoluteLocations) {
  const auto base = parse_target("https://example.com/a/b?q");
  ASSERT_TRUE(base);
  EXPECT_EQ(resolve_redirect(*base, "/x")->url, "https://example.com/x");
  EXPECT_EQ(resolve_redirect(*base, "c")->url, "https://example.com/a/c");
  EXPECT_EQ(resolve_redirect(*base, "//other/x")->url, "https://other/x");
  EXPECT_EQ(resolve_redirect(*base, "http://2130706433/")->host, "127.0.0.1");
  EXPECT_FALSE(resolve_redirect(*base, "file:///etc/passwd"));
  EXPECT_FALSE(resolve_redirect(*base, ""));
}

struct Case {
  std::string name;
  EgressPolicy policy;
  std::string host;
  std::uint16_t port;
  std::vector<const char*> addresses;
  std::string denied;  ///< part of the message; empty: allowed
};

TEST(CheckEgress, DecidesByPolicy) {
  const EgressPolicy none;
  const std::vector<Case> table = {
      {"public", none, "example.com", 443, {"93.184.216.34"}, ""},
      {"loopback", none, "localhost", 80, {"127.0.0.1"}, "allow_loopback"},
      {"one bad address among good ones", none, "rebind.example", 80, {"93.184.216.34", "10.0.0.1"}, "10.0.0.1"},
      {"private", none, "nas", 80, {"192.168.1.2"}, "allow_private"},
      {"mapped loopback", none, "x", 80, {"::ffff:127.0.0.1"}, "loopback"},
      {"unspecified is never fine", EgressPolicy::trusted(), "x", 80, {"0.0.0.0"}, "reserved"},
      {"trusted loopback", EgressPolicy::trusted(), "localhost", 80, {"127.0.0.1", "::1"}, ""},
      {"trusted private", EgressPolicy::trusted(), "nas", 80, {"10.0.0.1", "fd12::1", "100.64.0.1"}, ""},
      {"trusted, but metadata", EgressPolicy::trusted(), "x", 80, {"169.254.169.254"}, "metadata"},
      {"named host", {.allow_hosts = {"nas"}}, "nas", 80, {"10.0.0.1"}, ""},
      {"named host, other port", {.allow_hosts = {"nas:81"}}, "nas", 80, {"10.0.0.1"}, "private"},
      {"named host and port", {.allow_hosts = {"NAS:80"}}, "nas", 80, {"10.0.0.1"}, ""},
      {"named v6 and port", {.allow_hosts = {"[::1]:80"}}, "::1", 80, {"::1"}, ""},
      {"wildcard", {.allow_hosts = {"*.corp.example"}}, "a.b.corp.example", 80, {"10.0.0.1"}, ""},
      {"wildcard needs a label", {.allow_hosts = {"*.corp.example"}}, "corp.example", 80, {"10.0.0.1"}, "private"},
      {"wildcard ends at a dot", {.allow_hosts = {"*.corp.example"}}, "evilcorp.example", 80, {"10.0.0.1"}, "private"},
      {"a star alone names nothing", {.allow_hosts = {"*"}}, "a", 80, {"10.0.0.1"}, "private"},
      {"a named host does not open metadata", {.allow_hosts = {"x"}}, "x", 80, {"169.254.169.254"}, "metadata"},
      {"metadata named literally", {.allow_hosts = {"169.254.169.254"}}, "169.254.169.254", 80, {"169.254.169.254"}, ""},
      {"only_hosts", {.only_hosts = {"api.example.com"}}, "other.example.com", 443, {"93.184.216.34"}, "only_hosts"},
      {"only_hosts before the lookup", {.only_hosts = {"api.example.com"}}, "other.example.com", 443, {}, "only_hosts"},
      {"only_hosts matches", {.only_hosts = {"api.example.com:443"}}, "api.example.com", 443, {"93.184.216.34"}, ""},
      {"only_hosts opens no private address", {.only_hosts = {"api.example.com"}}, "api.example.com", 443, {"10.0.0.1"}, "private"},
      {"odd entries do no harm", {.allow_hosts = {"", "[", ":", "[]", "*."}}, "x", 80, {"10.0.0.1"}, "private"},
  };
  for (const auto& row : table) {
    std::vector<IpAddress> addresses;
    for (const auto* text : row.addresses) addresses.push_back(ip(text));
    const auto result = check_egress(row.policy, row.host, row.port, addresses);
    EXPECT_EQ(result.has_value(), row.denied.empty()) << row.name;
    if (result) continue;
    EXPECT_EQ(result.error().code, "net.egress_denied") << row.name;
    EXPECT_NE(result.error().message.find(row.denied), std::string::npos) << row.name << ": " << result.error().message;
  }
}

}  // namespace
}  // namespace mayfly::net
