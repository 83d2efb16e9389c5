#include "net/egress_rules.h"

#include <gtest/gtest.h>

namespace mayfly::net {
namespace {

EgressTarget target(std::string host, std::uint16_t port) {
  EgressTarget out;
  out.host = std::move(host);
  out.port = port;
  return out;
}

TEST(EgressRules, EveryHostAndPortStillMeansPublicOnesOnly) {
  const auto rules = EgressRules::parse({"*:*"});
  ASSERT_TRUE(rules);
  EXPECT_TRUE(rules->check_host(target("db.example.com", 5432)));
  EXPECT_TRUE(rules->check_host(target("example.com", 443)));
  const std::vector<IpAddress> local{asio::ip::make_address("127.0.0.1")}, open{asio::ip::make_address("93.184.216.34")};
  EXPECT_FALSE(rules->check_addresses(target("db.example.com", 5432), local));
  EXPECT_TRUE(rules->check_addresses(target("db.example.com", 5432), open));
  EXPECT_FALSE(EgressRules::parse({"*"})->check_host(target("db.example.com", 5432)));
}

}  // namespace
}  // namespace mayfly::net
