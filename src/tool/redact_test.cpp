#include "tool/redact.h"

#include <gtest/gtest.h>

#include "base/json.h"
#include "tool/tool.h"

namespace mayfly {
namespace {

TEST(Redactor, TakesOutEachFormOfASecret) {
  Redactor redactor;
  redactor.add("hunter22");
  redactor.add("hunter22-long");
  redactor.add("quo\"ted");
  redactor.add("-----BEGIN-----\nc2VjcmV0LWtleQ==\n-----END-----");
  redactor.add("abc");
  EXPECT_EQ(redactor.apply("a hunter22 b hunter22-long c"), "a [secret] b [secret] c");
  EXPECT_EQ(redactor.apply(R"({"k":"quo\"ted"})"), R"({"k":"[secret]"})");
  EXPECT_EQ(redactor.apply("line c2VjcmV0LWtleQ== alone"), "line [secret] alone");
  EXPECT_EQ(redactor.apply("abc stays"), "abc stays");
}

TEST(Redactor, ACutNeverShowsAPartOfASecret) {
  Redactor redactor;
  redactor.add("hunter22");
  EXPECT_EQ(redactor.apply("xxhunter22yy", 5), "yy");
  EXPECT_EQ(redactor.apply("xxhunter22yy", 1), "x[secret]yy");
  EXPECT_EQ(redactor.apply("xx", 9), "");
}

TEST(TextForModel, CutsBetweenCharactersAndSaysSo) {
  EXPECT_EQ(text_for_model("short", 10), "short");
  const std::string cut = text_for_model("aaa\xC3\xA4zzz", 4);
  EXPECT_TRUE(cut.starts_with("aaa\n[Mayfly: cut")) << cut;
  EXPECT_NE(cut.find("first 3 of 8 bytes"), std::string::npos) << cut;
  const std::string repaired = text_for_model("a\xff", 10);
  EXPECT_TRUE(is_utf8(repaired));
  EXPECT_NE(repaired.find("not UTF-8"), std::string::npos);
}

TEST(Effect, HasOneNameEach) {
  for (const Effect effect : {Effect::ReadOnly, Effect::Idempotent, Effect::AtLeastOnce, Effect::AtMostOnce}) {
    EXPECT_EQ(effect_from_string(to_string(effect)), effect);
  }
  EXPECT_EQ(to_string(Effect::AtMostOnce), "at_most_once");
  EXPECT_EQ(effect_from_string("sometimes"), std::nullopt);
}

}  // namespace
}  // namespace mayfly
