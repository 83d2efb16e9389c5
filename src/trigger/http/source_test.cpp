#include <gtest/gtest.h>

#include "trigger/http/form.h"
#include "trigger/http/route_pattern.h"
#include "trigger/trigger_spec.h"

namespace mayfly::trigger {
namespace {

template <class Source>
std::string refusal(const Result<Source>& read) {
  EXPECT_FALSE(read);
  if (!read) EXPECT_EQ(read.error().code, "trigger.invalid");
  return read ? "" : read.error().message.substr(0, read.error().message.find(": "));
}

TEST(HttpSource, ReadsAndWritesEveryMember) {
  for (const std::string_view text :
       {R"({"method":"POST","path":"/tickets/{customer}","auth":{"jwt":{"issuer":"https://i","audience":["a"],"jwks_url":"https://i/keys"}},"answer":"wait",
           "wait_max":"45s","body_bytes_max":1000,"cors":{"origins":["https://app.example.com"],"headers":["x-a"],"max_age":"10m"},
           "rate_limit":{"requests":5,"per":"1m","by":"route"}})",
        R"({"method":"GET","path":"/a","auth":{"hmac":{"secret_env":"S","signature_header":"x-s","timestamp_header":"x-t","tolerance":"1m30s"}},"answer":"stream",
           "wait_max":"30s","body_bytes_max":1048576})",
        R"({"method":"PUT","path":"/a","auth":"none","answer":"accepted","wait_max":"30s","body_bytes_max":1048576})"}) {
    const auto source = http_source_from_json(*parse_json(text));
    ASSERT_TRUE(source) << source.error().message;
    EXPECT_EQ(to_canonical_text(to_json(*source)), to_canonical_text(*parse_json(text)));
  }
  const auto least = http_source_from_json(*parse_json(R"({"path":"/a"})"));
  ASSERT_TRUE(least);
  EXPECT_EQ(least->method, "POST");
  EXPECT_EQ(least->auth.kind, RouteAuth::Kind::Key);
  EXPECT_EQ(least->answer, HttpSource::Answer::Accepted);
}

TEST(HttpSource, NamesWhatIsWrong) {
  const auto where = [](std::string_view text) { return refusal(http_source_from_json(*parse_json(text))); };
  EXPECT_EQ(where("[]"), "");
  EXPECT_EQ(where("{}"), "/path");
  EXPECT_EQ(where(R"({"path":"/a","method":"TRACE"})"), "/method");
  EXPECT_EQ(where(R"({"path":"/a","colour":1})"), "/colour");
  EXPECT_EQ(where(R"({"path":"/a","answer":"later"})"), "/answer");
  EXPECT_EQ(where(R"({"path":"/a","wait_max":"1d"})"), "/wait_max");
  EXPECT_EQ(where(R"({"path":"/a","auth":"password"})"), "/auth");
  EXPECT_EQ(where(R"({"path":"/a","auth":{"hmac":{}}})"), "/auth/hmac/secret_env");
  EXPECT_EQ(where(R"({"path":"/a","auth":{"hmac":{"secret_env":"my secret!"}}})"), "/auth/hmac/secret_env");
  EXPECT_EQ(where(R"({"path":"/a","auth":{"jwt":{"issuer":"i"}}})"), "/auth/jwt/jwks_url");
  EXPECT_EQ(where(R"({"path":"/a","cors":{"origins":["example.com"]}})"), "/cors/origins");
  EXPECT_EQ(where(R"({"path":"/a","rate_limit":{"per":"1m"}})"), "/rate_limit/requests");
  EXPECT_EQ(where(R"({"path":"/a","body_bytes_max":0})"), "/body_bytes_max");
  for (const std::string path : {"/v1/x", "/openai", "/gateway/a", "/mcp", "/2015-03-31/x", "/2099-01-01", "/metrics", "/.well-known/x", "a", "/", "//", "/a/",
                                 "/a b", "/{x}", "/a/{}", "/a/{x", "/a/{x}{y}", "/a/{x}/{x}", "/a/../b", "/a?b", "/a%20"})
    EXPECT_EQ(refusal(http_source_from_json(JsonObject{{"path", path}})), "/path") << path;
}

TEST(WebhookSource, ReadsWritesAndNamesWhatIsWrong) {
  for (const std::string_view text :
       {R"({"scheme":"github","path":"/hooks/github","secret_env":["A","B"],"tolerance":"5m"})",
        R"({"scheme":"hmac","path":"/h","secret_env":["A"],"tolerance":"1m","signature_header":"x-s","signature_prefix":"p=","timestamp_header":"x-t","id_header":"x-i",
           "encoding":"base64"})"}) {
    const auto source = webhook_source_from_json(*parse_json(text));
    ASSERT_TRUE(source) << source.error().message;
    EXPECT_EQ(to_canonical_text(to_json(*source)), to_canonical_text(*parse_json(text)));
  }
  EXPECT_EQ(webhook_source_from_json(*parse_json(R"({"path":"/h","secret_env":"A"})"))->secret_env.size(), 1U);
  const auto where = [](std::string_view text) { return refusal(webhook_source_from_json(*parse_json(text))); };
  EXPECT_EQ(where(R"({"path":"/h"})"), "/secret_env");
  EXPECT_EQ(where(R"({"path":"/h","secret_env":["whsec_abc="]})"), "/secret_env");
  EXPECT_EQ(where(R"({"path":"/h","secret_env":"A","scheme":"svn"})"), "/scheme");
  EXPECT_EQ(where(R"({"path":"/h","secret_env":"A","scheme":"hmac"})"), "/signature_header");
  EXPECT_EQ(where(R"({"path":"/h","secret_env":"A","scheme":"github","encoding":"hex"})"), "/scheme");
}

TEST(TriggerSchemas, AreJson) {
  EXPECT_TRUE(parse_json(http_source_schema_text()));
  EXPECT_TRUE(parse_json(webhook_source_schema_text()));
}

TEST(RoutePattern, MatchesWholeSegmentsDecoded) {
  const auto pattern = parse_route_pattern("/tickets/{customer}/notes");
  ASSERT_TRUE(pattern);
  EXPECT_EQ(pattern->match("/tickets/a%20b/notes")->at("customer"), "a b");
  EXPECT_EQ(pattern->match("/tickets/a%2Fb/notes")->at("customer"), "a/b");
  for (const std::string_view path : {"/tickets//notes", "/tickets/a/notes/", "/tickets/a", "/Tickets/a/notes", "/tickets/%ff/notes", "/tickets/%/notes", "", "x"})
    EXPECT_FALSE(pattern->match(path)) << path;
}

TEST(RoutePattern, LiteralsComeBeforeParameters) {
  const auto literal = *parse_route_pattern("/a/b/{c}"), parameter = *parse_route_pattern("/a/{b}/c"), other = *parse_route_pattern("/a/{x}/c");
  EXPECT_TRUE(literal.before(parameter));
  EXPECT_FALSE(parameter.before(literal));
  EXPECT_TRUE(parameter.same_shape(other));
  EXPECT_FALSE(parameter.same_shape(literal));
}

TEST(Form, ReadsFieldsAndRepetitions) {
  EXPECT_EQ(to_text(*read_form("a=1&b=x+y%21&a=2&c&&=d")), R"({"a":["1","2"],"b":"x y!","c":"","":"d"})");
  EXPECT_FALSE(read_form("a=%"));
  EXPECT_FALSE(read_form("a=%ff"));
}

}  // namespace
}  // namespace mayfly::trigger
