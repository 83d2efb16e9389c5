#include "workspace/paths.h"

#include <gtest/gtest.h>

namespace mayfly::workspace {
namespace {

TEST(Paths, NamesThatLookAlikeAreOne) {
  auto composed = normal_name("caf\xc3\xa9"), decomposed = normal_name("cafe\xcc\x81");
  ASSERT_TRUE(composed);
  ASSERT_TRUE(decomposed);
  EXPECT_EQ(*composed, *decomposed);
}

TEST(Paths, NamesThatDeceiveAreRefused) {
  for (const std::string& name : {std::string(""), std::string("."), std::string(".."), std::string("a/b"), std::string("a\\b"),
                                  std::string("a\0b", 3), std::string("a\nb"), std::string(" a"), std::string("a "), std::string("a."),
                                  std::string("a\xe2\x80\xae"
                                              "b"),
                                  std::string("a\xe2\x80\x8b"
                                              "b"),
                                  std::string("a\xe2\x80\xa8"
                                              "b"),
                                  std::string("a\xc2\x85"
                                              "b"),
                                  std::string("\xff"), std::string("\xed\xa0\x80"), std::string("\xef\xbf\xbf"), std::string(256, 'a')}) {
    auto refused = normal_name(name);
    ASSERT_FALSE(refused) << name;
    EXPECT_EQ(refused.error().code, "ws.invalid_name");
  }
  EXPECT_TRUE(normal_name(std::string(255, 'a')));
  EXPECT_TRUE(normal_name(".gitignore"));
  EXPECT_TRUE(normal_name("日本語.txt"));
}

TEST(Paths, NeverLeadOut) {
  EXPECT_EQ(*normal_path("a//b/"), "/a/b");
  EXPECT_EQ(*normal_path(""), "/");
  EXPECT_FALSE(normal_path("/a/../b"));
  EXPECT_FALSE(normal_path("/./a"));
  EXPECT_EQ(*normal_path("/%2e%2e/a"), "/%2e%2e/a");
  std::string deep;
  for (int i = 0; i < 65; ++i) deep += "/a";
  EXPECT_FALSE(normal_path(deep));
  EXPECT_EQ(parent_path("/a/b"), "/a");
  EXPECT_EQ(parent_path("/a"), "/");
  EXPECT_EQ(base_name("/a/b"), "b");
}

}  // namespace
}  // namespace mayfly::workspace
