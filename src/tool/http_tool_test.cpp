#include "tool/http_tool.h"

#include <gtest/gtest.h>

#include <map>
#include <optional>

#include "tool/url_template.h"

namespace mayfly {
namespace {

template <class T>
Task<> keep(Task<T> task, std::optional<T>* out) {
  *out = co_await std::move(task);
}

/// Answers what it was told to, in order, and keeps what it was asked.
class FakeHttpClient final : public net::HttpClient {
 public:
  Task<Result<net::ClientResponse>> send(net::ClientRequest request) override {
    requests.push_back(std::move(request));
    if (answers.empty())
      co_return net::ClientResponse{.status = 200, .headers = {{"Content-Type", "application/json"}}, .body = R"({"ok":true})"};
    auto answer = std::move(answers.front());
    answers.erase(answers.begin());
    co_return answer;
  }
  std::vector<net::ClientRequest> requests;
  std::vector<Result<net::ClientResponse>> answers;
};

class HttpToolTest : public testing::Test {
 protected:
  Result<ToolOutput> call(HttpToolOptions options, ToolCall call) {
    if (options.name.empty()) options.name = "probe";
    auto tool = make_http_tool(std::move(options), client_, clock_, [this](std::string_view name) -> std::optional<std::string> {
      const auto found = variables_.find(name);
      return found == variables_.end() ? std::nullopt : std::optional(found->second);
    });
    if (!tool) return fail(tool.error());
    std::optional<Result<ToolOutput>> out;
    TaskGroup group(io_.get_executor());
    group.spawn(keep((*tool)->call(std::move(call)), &out));
    io_.run();
    io_.restart();
    return *out;
  }
  Result<ToolOutput> call(HttpToolOptions options, JsonObject arguments = {}) {
    return call(std::move(options), ToolCall{.arguments = std::move(arguments)});
  }
  /// The address that the client was asked for, or "refused: …" as the model sees it.
  std::string address(HttpToolOptions options, JsonObject arguments) {
    client_.requests.clear();
    const auto out = call(std::move(options), std::move(arguments));
    if (!out) return out.error().code;
    if (client_.requests.empty()) return "refused: " + out->text;
    return client_.requests.back().url;
  }
  Result<ToolOutput> answer(Effect effect, net::ClientResponse response) {
    client_.answers = {std::move(response)};
    return call({.effect = effect, .method = "POST", .url = "https://api.test/x"});
  }

  asio::io_context io_;
  SystemClock clock_{io_.get_executor()};
  FakeHttpClient client_;
  std::map<std::string, std::string, std::less<>> variables_;
};

TEST_F(HttpToolTest, FillsItsTemplate) {
  const struct {
    const char* url;
    JsonObject arguments;
    const char* expected;
  } cases[] = {
      {"https://api.test", {}, "https://api.test/"},
      {"https://api.test/users/{id}", {{"id", 42}}, "https://api.test/users/42"},
      {"https://api.test/users/{id}", {{"id", 42.0}}, "https://api.test/users/42"},
      {"https://api.test/users/{id}", {{"id", 1.5}}, "https://api.test/users/1.5"},
      {"https://api.test/f/{name}", {{"name", "r\xC3\xA9sum\xC3\xA9 1.pdf"}}, "https://api.test/f/r%C3%A9sum%C3%A9%201.pdf"},
      {"https://api.test/{a}/{b}", {{"a", true}, {"b", "x"}}, "https://api.test/true/x"},
      {"https://api.test:8443/s?q={q}&n=1", {{"q", "a&b=c#d"}}, "https://api.test:8443/s?q=a%26b%3Dc%23d&n=1"},
      {"https://api.test/s?q={q}", {{"q", ""}}, "https://api.test/s?q="},
  };
  for (const auto& c : cases) EXPECT_EQ(address({.url = c.url}, c.arguments), c.expected);
}

TEST_F(HttpToolTest, BuildsItsQuery) {
  const HttpToolOptions options{.url = "https://api.test/s", .query = {{"q", "{q}"}, {"tag", "{tags}"}, {"v", "2"}, {"sort", "{by}:desc"}}};
  EXPECT_EQ(address(options, {{"q", "a b"}, {"tags", {"x", "y/z"}}, {"by", "age"}}),
            "https://api.test/s?q=a%20b&tag=x&tag=y%2Fz&v=2&sort=age%3Adesc");
  EXPECT_EQ(address(options, {{"by", "age"}}), "https://api.test/s?v=2&sort=age%3Adesc");
  EXPECT_TRUE(address(options, {}).starts_with("refused: The argument \"by\" is missing"));
  EXPECT_EQ(address({.url = "https://api.test/s?a=1", .query = {{"b", "{b}"}}}, {{"b", "2"}}), "https://api.test/s?a=1&b=2");
  EXPECT_TRUE(address({.url = "https://api.test/s", .query = {{"b", "{b}"}}}, {{"b", JsonObject{}}}).starts_with("refused: "));
}

TEST_F(HttpToolTest, NoArgumentLeavesItsPlace) {
  const HttpToolOptions options{.url = "https://api.test/users/{id}/mail"};
  const std::pair<const char*, const char*> encoded[] = {
      {"@evil.test", "%40evil.test"},
      {"//evil.test", "%2F%2Fevil.test"},
      {"a:b", "a%3Ab"},
      {"a?x=1", "a%3Fx%3D1"},
      {"a#frag", "a%23frag"},
      {"a\\b", "a%5Cb"},
      {"a\r\nHost: evil", "a%0D%0AHost%3A%20evil"},
      {"a/b", "a%2Fb"},
      {"...", "..."},
      {"${TOKEN}", "%24%7BTOKEN%7D"},
      {"{id}", "%7Bid%7D"},
      {"100%", "100%25"},
      {"a%2fb", "a%252fb"},
  };
  for (const auto& [value, expected] : encoded) {
    EXPECT_EQ(address(options, {{"id", value}}), std::string("https://api.test/users/") + expected + "/mail") << value;
  }
  for (const char* value :
       {"", ".", "..", "../admin", "a/../../admin", "..\\admin", "a/..", "%2e%2e", "%2e%2e%2fadmin", "%252e%252e", "x/./y"}) {
    EXPECT_TRUE(address(options, {{"id", value}}).starts_with("refused: The argument \"id\"")) << value;
  }
  EXPECT_TRUE(address(options, {{"id", std::string_view("a\0b", 3)}}).starts_with("refused: "));
  EXPECT_TRUE(address(options, {{"id", JsonArray{"a"}}}).starts_with("refused: "));
  EXPECT_TRUE(address(options, {{"id", nullptr}}).starts_with("refused: "));
  EXPECT_TRUE(address(options, {}).starts_with("refused: "));
  EXPECT_TRUE(address(options, {{"id", std::string(20'000, 'x')}}).starts_with("refused: "));
}

TEST_F(HttpToolTest, BadDeclarationsAreRefusedWithAReason) {
  const std::pair<HttpToolOptions, const char*> cases[] = {
      {{.url = "ftp://api.test/"}, "http"},
      {{.url = "/relative"}, "http"},
      {{.url = "https://{host}/x"}, "host"},
      {{.url = "https://{user}@api.test/"}, "user name"},
      {{.url = "https://u:p@api.test/"}, "user name"},
      {{.url = "https:///x"}, "HOST"},
      {{.url = "https://api.test\\@evil.test/{x}"}, "HOST"},
      {{.url = "https://api.test/a b"}, "space"},
      {{.url = "https://api.test/a\r\nX: y"}, "control"},
      {{.url = "https://api.test/#x"}, "fragment"},
      {{.url = "https://api.test/{id"}, "placeholder"},
      {{.url = "https://api.test/}"}, "placeholder"},
      {{.url = "https://api.test/{a b}"}, "space"},
      {{.parameters = JsonObject{{"properties", JsonObject{{"name", JsonObject{}}}}}, .url = "https://api.test/{nmae}"}, "nmae"},
      {{.method = "FETCH", .url = "https://api.test/"}, "FETCH"},
      {{.method = "GET", .url = "https://api.test/", .body = HttpBody::Json}, "no body"},
      {{.url = "https://api.test/", .headers = {{"Bad Name", "x"}}}, "name"},
      {{.url = "https://api.test/", .headers = {{"X", "a\r\nY: b"}}}, "control"},
      {{.url = "https://api.test/", .headers = {{"Host", "evil.test"}}}, "set by Mayfly"},
      {{.url = "https://api.test/", .headers = {{"X", "${TOKEN"}}}, "${API_TOKEN}"},
      {{.url = "https://api.test/", .headers = {{"X", "${TO KEN}"}}}, "${API_TOKEN}"},
  };
  for (const auto& [options, reason] : cases) {
    const auto out = call(options);
    ASSERT_FALSE(out) << options.url;
    EXPECT_EQ(out.error().code, "tool.invalid") << options.url;
    EXPECT_NE(out.error().message.find(reason), std::string::npos) << out.error().message;
  }
  EXPECT_TRUE(client_.requests.empty());
}

TEST_F(HttpToolTest, SendsHeadersBodyAndKey) {
  variables_["TOKEN"] = "sk-live-123456\n";
  const HttpToolOptions options{.effect = Effect::AtLeastOnce,
                                .method = "POST",
                                .url = "https://api.test/users/{id}",
                                .headers = {{"Authorization", "Bearer ${TOKEN}"}, {"Accept", "application/json"}},
                                .body = HttpBody::Json,
                                .allow_hosts = {"10.0.0.7"},
                                .timeout = Millis{5'000}};
  const auto out = call(options, {.arguments = JsonObject{{"id", 7}, {"name", "Ada"}, {"tags", {1, 2}}},
                                  .idempotency_key = "run1/3",
                                  .timeout = Millis{9'000},
                                  .traceparent = "00-1-2-01"});
  ASSERT_TRUE(out);
  EXPECT_EQ(out->text, R"({"ok":true})");
  EXPECT_FALSE(out->is_error);
  const net::ClientRequest& sent = client_.requests.at(0);
  EXPECT_EQ(sent.method, "POST");
  EXPECT_EQ(sent.url, "https://api.test/users/7");
  EXPECT_EQ(sent.body, R"({"name":"Ada","tags":[1,2]})");
  EXPECT_EQ(sent.headers.get("Authorization"), "Bearer sk-live-123456");
  EXPECT_EQ(sent.headers.get("Accept"), "application/json");
  EXPECT_EQ(sent.headers.get("Content-Type"), "application/json");
  EXPECT_EQ(sent.headers.get("Idempotency-Key"), "run1/3");
  EXPECT_EQ(sent.headers.get("traceparent"), "00-1-2-01");
  EXPECT_TRUE(sent.headers.get("User-Agent").starts_with("mayfly/"));
  EXPECT_EQ(sent.egress.allow_hosts, std::vector<std::string>{"10.0.0.7"});
  EXPECT_EQ(sent.redirects_max, 0);
  EXPECT_GT(sent.total_timeout, Millis{0});
  EXPECT_LE(sent.total_timeout, Millis{5'000});
  EXPECT_EQ(sent.body_bytes_max, 256u * 1024);
}

TEST_F(HttpToolTest, AReadNeedsNoKeyAndNoBody) {
  ASSERT_TRUE(call({.effect = Effect::ReadOnly, .url = "https://api.test/"}, {.arguments = JsonObject{{"x", 1}}, .idempotency_key = "k"}));
  EXPECT_FALSE(client_.requests.at(0).headers.find("Idempotency-Key"));
  EXPECT_FALSE(client_.requests.at(0).headers.find("Content-Type"));
  EXPECT_EQ(client_.requests.at(0).body, "");
}

TEST_F(HttpToolTest, VariablesCannotBreakTheRequest) {
  const HttpToolOptions options{.url = "https://api.test/", .headers = {{"Authorization", "Bearer ${TOKEN}"}}};
  const auto missing = call(options);
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().code, "tool.missing_variable");
  EXPECT_NE(missing.error().message.find("TOKEN"), std::string::npos);
  variables_["TOKEN"] = "abcdef\r\nX-Evil: 1";
  const auto broken = call(options);
  ASSERT_FALSE(broken);
  EXPECT_EQ(broken.error().code, "tool.bad_variable");
  EXPECT_EQ(broken.error().message.find("abcdef"), std::string::npos);
  EXPECT_TRUE(client_.requests.empty());
}

TEST_F(HttpToolTest, StatusDecidesWhatTheModelAndTheEngineSee) {
  const auto missing = answer(Effect::AtMostOnce, {.status = 404, .body = "no such user"});
  ASSERT_TRUE(missing);
  EXPECT_TRUE(missing->is_error);
  EXPECT_EQ(missing->text, "HTTP status 404\nno such user");
  EXPECT_LT(answer(Effect::AtMostOnce, {.status = 400, .body = std::string(100'000, 'x')})->text.size(), 4300u);
  EXPECT_EQ(answer(Effect::AtMostOnce, {.status = 204})->text, "(HTTP status 204, no content)");

  const struct {
    int status;
    Effect effect;
    Retry expected;
  } cases[] = {
      {429, Effect::AtMostOnce, Retry::Safe},           {503, Effect::AtMostOnce, Retry::Safe},
      {500, Effect::AtMostOnce, Retry::OutcomeUnknown}, {502, Effect::AtLeastOnce, Retry::OutcomeUnknown},
      {504, Effect::Idempotent, Retry::OutcomeUnknown}, {500, Effect::ReadOnly, Retry::Safe},
  };
  for (const auto& c : cases) {
    const auto out = answer(c.effect, {.status = c.status, .headers = {{"Retry-After", "30"}}, .body = "busy"});
    ASSERT_FALSE(out) << c.status;
    EXPECT_EQ(out.error().code, "tool.unavailable");
    EXPECT_EQ(out.error().retry, c.expected) << c.status;
    EXPECT_NE(out.error().message.find("busy"), std::string::npos);
    EXPECT_NE(out.error().message.find("Retry-After: 30"), std::string::npos);
  }
}

TEST_F(HttpToolTest, BodiesBecomeTexts) {
  client_.answers = {net::ClientResponse{.status = 200, .body = std::string(100'000, 'x')}};
  const auto cut = call({.url = "https://api.test/"});
  EXPECT_EQ(cut->text.find("\n[Mayfly: cut here; the first 65536 of 100000 bytes are shown]"), 65536u);
  const auto image = answer(Effect::ReadOnly, {.status = 200, .headers = {{"content-type", "image/png"}}, .body = "\x89PNG\xff"});
  EXPECT_EQ(image->text, "(HTTP status 200, 5 bytes of type image/png: not a text, so it is not shown)");
  const auto latin =
      answer(Effect::ReadOnly, {.status = 200, .headers = {{"Content-Type", "Text/Plain; charset=latin1"}}, .body = "caf\xe9"});
  EXPECT_TRUE(latin->text.starts_with("caf\xEF\xBF\xBD\n[Mayfly: bytes that are not UTF-8")) << latin->text;
}

TEST_F(HttpToolTest, ClientErrorsKeepTheirMeaning) {
  const struct {
    const char* code;
    Retry retry;
    Effect effect;
    const char* expected_code;
    Retry expected;
  } cases[] = {
      {"net.timeout", Retry::OutcomeUnknown, Effect::AtMostOnce, "tool.timeout", Retry::OutcomeUnknown},
      {"net.timeout", Retry::OutcomeUnknown, Effect::ReadOnly, "tool.timeout", Retry::Safe},
      {"net.timeout", Retry::Safe, Effect::AtMostOnce, "tool.timeout", Retry::Safe},
      {"net.cancelled", Retry::OutcomeUnknown, Effect::AtMostOnce, "tool.cancelled", Retry::OutcomeUnknown},
      {"net.reset", Retry::OutcomeUnknown, Effect::AtLeastOnce, "tool.failed", Retry::OutcomeUnknown},
      {"net.connect", Retry::Safe, Effect::AtMostOnce, "tool.failed", Retry::Safe},
      {"net.tls", Retry::Never, Effect::ReadOnly, "tool.failed", Retry::Never},
      {"net.egress_denied", Retry::Never, Effect::ReadOnly, "net.egress_denied", Retry::Never},
      {"net.too_large", Retry::OutcomeUnknown, Effect::AtMostOnce, "tool.too_large", Retry::OutcomeUnknown},
  };
  for (const auto& c : cases) {
    client_.answers = {fail(c.code, "the network says no", c.retry)};
    const auto out = call({.effect = c.effect, .url = "https://api.test/"});
    ASSERT_FALSE(out) << c.code;
    EXPECT_EQ(out.error().code, c.expected_code);
    EXPECT_EQ(out.error().retry, c.expected) << c.code;
  }
  client_.answers = {fail("net.too_large", "too large", Retry::OutcomeUnknown)};
  const auto large = call({.effect = Effect::ReadOnly, .url = "https://api.test/"});
  ASSERT_TRUE(large);
  EXPECT_TRUE(large->is_error);
}

TEST_F(HttpToolTest, NoSecretComesBack) {
  variables_["TOKEN"] = "sk-live-123456";
  const HttpToolOptions options{.url = "https://api.test/", .headers = {{"Authorization", "Bearer ${TOKEN}"}}};
  const std::vector<Result<net::ClientResponse>> answers = {
      net::ClientResponse{.status = 200, .body = R"({"headers":{"authorization":"Bearer sk-live-123456"}})"},
      net::ClientResponse{.status = 401, .body = "bad token sk-live-123456"},
      net::ClientResponse{.status = 500, .headers = {{"Retry-After", "sk-live-123456"}}, .body = "sk-live-123456"},
      net::ClientResponse{.status = 302, .headers = {{"Location", "ftp://x/sk-live-123456"}}},
      net::ClientResponse{.status = 200, .headers = {{"Content-Type", "x/sk-live-123456"}}, .body = std::string("\0", 1)},
      fail("net.reset", "while sending sk-live-123456", Retry::OutcomeUnknown),
  };
  for (const auto& answer : answers) {
    client_.answers = {answer};
    const auto out = call(options);
    const std::string text = out ? out->text : out.error().message;
    EXPECT_EQ(text.find("sk-live"), std::string::npos) << text;
    EXPECT_NE(text.find("[secret]"), std::string::npos) << text;
  }
}

net::ClientResponse redirect(std::string location, int status = 302) {
  return {.status = status, .headers = {{"Location", std::move(location)}}};
}

TEST_F(HttpToolTest, FollowsRedirectsOfAGetWithoutCarryingSecretsElsewhere) {
  variables_["TOKEN"] = "sk-live-123456";
  HttpToolOptions options{.url = "https://api.test/a/b?x=1",
                          .headers = {{"Authorization", "Bearer ${TOKEN}"}, {"X-Key", "${TOKEN}"}},
                          .egress = {.only_hosts = {"api.test"}}};
  client_.answers = {redirect("/c"), redirect("https://other.test/d", 307), redirect("https://api.test/e")};
  ASSERT_TRUE(call(options));
  ASSERT_EQ(client_.requests.size(), 4u);
  EXPECT_EQ(client_.requests[1].url, "https://api.test/c");
  EXPECT_TRUE(client_.requests[1].headers.find("Authorization"));
  for (const std::size_t i : {2u, 3u}) {
    EXPECT_FALSE(client_.requests[i].headers.find("Authorization"));
    EXPECT_FALSE(client_.requests[i].headers.find("X-Key"));
    EXPECT_EQ(client_.requests[i].egress.only_hosts, std::vector<std::string>{"api.test"});
  }
}

TEST_F(HttpToolTest, StopsAtRedirectsThatItMustNotFollow) {
  const auto refused = [&](HttpToolOptions options, net::ClientResponse response, std::size_t sent) {
    client_.requests.clear();
    client_.answers.assign(10, response);
    const auto out = call(std::move(options));
    EXPECT_TRUE(out && out->is_error && out->text.find("not followed") != std::string::npos) << response.headers.get("Location");
    EXPECT_EQ(client_.requests.size(), sent) << response.headers.get("Location");
  };
  const HttpToolOptions get{.url = "https://api.test/"};
  refused(get, redirect("/again"), 6);
  refused(get, redirect("http://api.test/plain"), 1);
  refused(get, redirect("file:///etc/passwd"), 1);
  refused(get, redirect("https://u:p@api.test/"), 1);
  refused(get, redirect(""), 1);
  refused({.method = "POST", .url = "https://api.test/"}, redirect("/again", 307), 1);
}

TEST(ResolveLocation, FollowsTheReferenceRules) {
  const struct {
    const char *base, *location, *expected;
  } cases[] = {
      {"https://a.test/b/c?d", "e", "https://a.test/b/e"},
      {"https://a.test/b/c?d", "/e?f", "https://a.test/e?f"},
      {"https://a.test/b/c?d", "?x", "https://a.test/b/c?x"},
      {"https://a.test/b/c", "//h.test/p", "https://h.test/p"},
      {"https://a.test", "e#frag", "https://a.test/e"},
      {"https://a.test/x", "HTTP://h.test", "HTTP://h.test"},
      {"https://a.test/x", "javascript:alert(1)", ""},
      {"https://a.test/x", "//u@h.test/", ""},
      {"https://a.test/x", "/\\h.test", ""},
      {"https://a.test/x", "/a b", ""},
      {"https://a.test/x", "///", ""},
  };
  for (const auto& c : cases) EXPECT_EQ(resolve_location(c.base, c.location), c.expected) << c.location;
}

}  // namespace
}  // namespace mayfly
