#include <gtest/gtest.h>

#include "base/glob.h"
#include "base/hash.h"
#include "base/id.h"
#include "base/json.h"
#include "base/log.h"
#include "base/time.h"

namespace mayfly {
namespace {

TEST(Json, NamesLineAndColumnOfAnError) {
  const auto result = parse_json("{\n  \"a\": 1,\n  \"b\": x\n}");
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, "json.invalid");
  EXPECT_NE(result.error().message.find("line 3"), std::string::npos) << result.error().message;
}

TEST(Json, RefusesWhatIsNotOneValue) {
  for (const char* text : {"", " ", "{", "1 2", "{}}", "nul", "[1,]", "{\"a\":1,}", "\"\xff\"", "'a'", "01", "\"\\ud800\""})
    EXPECT_FALSE(parse_json(text)) << text;
}

TEST(Json, RefusesTextThatNestsTooDeep) {
  const auto result = parse_json(std::string(100'000, '['));
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, "json.too_deep");
}

TEST(Json, CanonicalTextIgnoresTheOrderOfKeys) {
  EXPECT_EQ(to_canonical_text(*parse_json(R"({"b":[{"y":1,"x":2}],"a":1})")), to_canonical_text(*parse_json(R"({"a":1,"b":[{"x":2,"y":1}]})")));
}

TEST(Json, WritesNumbersAsPeopleDoAndReadsThemBack) {
  for (const char* text : {"18.5", "0.1", "-3.25", "5.0", "1e+300", "[1,2.5,{\"a\":0.07}]", "12345678901234567890", "1e-07"}) {
    EXPECT_EQ(to_text(*parse_json(text)), text);
    EXPECT_EQ(*parse_json(to_text(*parse_json(text))), *parse_json(text));
  }
}

TEST(Json, WritesTextsThatReadBackTheSame) {
  std::string text = "\xc3\xa4 \"quoted\" \\ /";
  for (int byte = 0; byte <= 0x20; ++byte) text += static_cast<char>(byte);
  EXPECT_EQ(parse_json(to_text(Json(text)))->get_string(), text);
  EXPECT_EQ(parse_json(to_canonical_text(JsonObject{{text, 1}}))->get_object().begin()->key(), text);
  EXPECT_EQ(to_text(Json("a\nb\x01\x1f")), R"("a\nb\u0001\u001f")");
}

TEST(Json, NumbersBeyondTheRangeStayJson) {
  const auto huge = parse_json("[1e999,-1e999]");
  ASSERT_TRUE(huge);
  EXPECT_EQ(parse_json(to_text(*huge)), huge);
}

TEST(Json, LossyUtf8AlwaysGivesUtf8) {
  EXPECT_EQ(to_utf8_lossy("ok \xc3\xa4"), "ok \xc3\xa4");
  EXPECT_TRUE(is_utf8(to_utf8_lossy("\xff\xfe\xed\xa0\x80\xf4\x90\x80\x80\xc0\xaf")));
}

TEST(Time, Rfc3339RoundTrip) {
  const auto time = parse_rfc3339("2026-11-23T15:54:25.123Z");
  ASSERT_TRUE(time);
  EXPECT_EQ(to_rfc3339(*time), "2026-11-23T15:54:25.123Z");
  EXPECT_EQ(parse_rfc3339("2026-11-23T16:54:25.1239+01:00"), time);
}

TEST(Time, RefusesWhatIsNoTime) {
  for (const char* text : {"", "2026", "2026-13-01T00:00:00Z", "2026-02-30T00:00:00Z", "2026-01-01T24:00:00Z", "2026-01-01T00:00:00", "2026-01-01T00:00:00+1:00"})
    EXPECT_FALSE(parse_rfc3339(text)) << text;
}

TEST(Duration, ReadsUnitsAndSums) {
  EXPECT_EQ(parse_duration("500ms"), Millis{500});
  EXPECT_EQ(parse_duration("1h30m"), Millis{5'400'000});
  EXPECT_EQ(parse_duration("7d"), Millis{604'800'000});
  for (const char* text : {"", "5", "s", "-1s", "1.5s", "5 s", "5w", "99999999999999999999d"}) EXPECT_FALSE(parse_duration(text)) << text;
}

TEST(Ulid, SortsByTime) {
  const std::string early = make_ulid(from_unix_ms(1000), 0xffff, ~0ull);
  const std::string late = make_ulid(from_unix_ms(1001), 0, 0);
  EXPECT_EQ(early.size(), 26u);
  EXPECT_LT(early, late);
}

TEST(Hash, KnownValues) {
  EXPECT_EQ(sha256_hex("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(stable_hash64("a"), 0xaf63dc4c8601ec8cull);
  EXPECT_EQ(to_base64("hello"), "aGVsbG8=");
  EXPECT_EQ(from_base64("aGVsbG8="), "hello");
  EXPECT_FALSE(from_base64("aGVsbG8"));
  EXPECT_EQ(to_base64url("\xfb\xff"), "-_8");
}

TEST(Log, KnowsNamesOfSecrets) {
  for (const char* name : {"Authorization", "x-api-key", "db_password", "access_token", "client_secret"}) EXPECT_TRUE(log::is_secret_name(name)) << name;
  for (const char* name : {"run", "output_tokens", "agent"}) EXPECT_FALSE(log::is_secret_name(name)) << name;
}

TEST(Glob, StaysWithinNamesUnlessDoubled) {
  struct Case {
    const char* path;
    const char* pattern;
    bool fits;
  };
  for (const Case& c : {Case{"/inbox/a.json", "inbox/*.json", true}, Case{"/inbox/x/a.json", "inbox/*.json", false}, Case{"/inbox/x/a.json", "inbox/**/*.json", true},
                        Case{"/inbox/a.json", "inbox/**/*.json", true}, Case{"/inbox/a.json", "*.json", true}, Case{"/inbox/a.jsonl", "*.json", false},
                        Case{"/a/b/c", "/a/**", true}, Case{"/ab/c", "/a/**", false}, Case{"/a/b", "/a/?", true}, Case{"/a/bc", "/a/?", false}, Case{"/a", "**", true}})
    EXPECT_EQ(matches_path_glob(c.path, c.pattern), c.fits) << c.path << " " << c.pattern;
  EXPECT_FALSE(matches_path_glob("/" + std::string(2'000, 'a'), "/*a*a*a*a*a*a*a*a*a*a*b"));
}

}  // namespace
}  // namespace mayfly
