#include "base/hash.h"
#include "server/oauth/clients.h"
#include "server/oauth/oauth_text.h"
#include "server/server_test_support.h"

namespace mayfly {
namespace {

constexpr std::string_view kVerifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";  // RFC 7636, appendix B
constexpr std::string_view kChallenge = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
constexpr std::string_view kCallback = "http://127.0.0.1:9/callback";

std::string form(const oauth::Parameters& values) {
  std::string out;
  for (const auto& [name, value] : values) out += (out.empty() ? "" : "&") + net::percent_encode(name) + "=" + net::percent_encode(value);
  return out;
}

struct OAuthTest : ServerTest {
  net::Headers form_headers(const std::string& cookie = {}) {
    net::Headers out{{"Content-Type", "application/x-www-form-urlencoded"}, {"x-api-key", ""}};
    if (!cookie.empty()) out.add("Cookie", cookie);
    return out;
  }
  HttpAnswer anonymous(const std::string& path) { return call("GET", path, {}, {{"x-api-key", ""}}); }
  HttpAnswer send(const std::string& path, const oauth::Parameters& values) { return call("POST", path, form(values), form_headers()); }

  std::string enrol() {
    const HttpAnswer answer =
        call("POST", "/oauth/register", R"({"client_name": "Tester <b>", "redirect_uris": ["http://127.0.0.1:9/callback"]})",
             {{"x-api-key", ""}});
    EXPECT_EQ(answer.status, 201) << answer.body;
    return answer.text("client_id");
  }
  oauth::Parameters request(const std::string& client) {
    return {{"response_type", "code"},          {"client_id", client},  {"redirect_uri", std::string(kCallback)},
            {"code_challenge_method", "S256"},  {"state", "st/1"},      {"code_challenge", std::string(kChallenge)},
            {"resource", app_->url() + "/mcp"}, {"scope", "read files"}};
  }
  struct Opened {
    std::string ticket, cookie, body;
  };
  Opened open_page(const oauth::Parameters& values) {
    const HttpAnswer page = anonymous("/oauth/authorize?" + form(values));
    EXPECT_EQ(page.status, 200) << page.body << page.headers.get("location");
    const auto at = page.body.find("name=\"request\" value=\"");
    if (at == std::string::npos) return {};
    const std::string cookie = page.headers.get("set-cookie");
    return {page.body.substr(at + 22, 32), cookie.substr(0, cookie.find(';')), page.body};
  }
  HttpAnswer decide(const Opened& page, oauth::Parameters values) {
    values["request"] = page.ticket;
    return call("POST", "/oauth/authorize", form(values), form_headers(page.cookie));
  }
  std::string parameter_of(const HttpAnswer& answer, std::string_view name) {
    const std::string location = answer.headers.get("location");
    const auto given = oauth::parse_parameters(location.substr(std::min(location.find('?'), location.size() - 1) + 1));
    return given ? oauth::parameter(*given, name) : std::string();
  }
  std::string code_for(const std::string& client, const std::string& key) {
    const HttpAnswer answer =
        decide(open_page(request(client)), {{"decision", "allow"}, {"key", key}, {"scope_read", "on"}, {"scope_files", "on"}});
    EXPECT_EQ(answer.status, 303) << answer.body;
    return parameter_of(answer, "code");
  }
  oauth::Parameters exchange(const std::string& client, const std::string& code) {
    return {{"grant_type", "authorization_code"},
            {"client_id", client},
            {"code", code},
            {"redirect_uri", std::string(kCallback)},
            {"code_verifier", std::string(kVerifier)},
            {"resource", app_->url() + "/mcp"}};
  }
  HttpAnswer tokens_for(const std::string& client, const std::string& key) {
    return send("/oauth/token", exchange(client, code_for(client, key)));
  }
  HttpAnswer mcp(const std::string& token, net::Headers headers = {}) {
    headers.add("Authorization", "Bearer " + token);
    headers.add("Content-Type", "application/json");
    headers.add("Accept", "application/json, text/event-stream");
    return call("POST", "/mcp", R"({"jsonrpc":"2.0","id":1,"method":"ping"})", std::move(headers));
  }
};

TEST_F(OAuthTest, MetadataLeadsFromARefusalToTheTokens) {
  start();
  const HttpAnswer refused = mcp("");
  ASSERT_EQ(refused.status, 401) << refused.body;
  const std::string challenge = refused.headers.get("www-authenticate");
  EXPECT_NE(challenge.find("resource_metadata=\"" + app_->url() + "/.well-known/oauth-protected-resource/mcp\""), std::string::npos)
      << challenge;
  EXPECT_NE(challenge.find("scope=\"read"), std::string::npos) << challenge;
  for (const char* path : {"/.well-known/oauth-protected-resource", "/.well-known/oauth-protected-resource/mcp"}) {
    const HttpAnswer resource = anonymous(path);
    EXPECT_EQ(resource.text("resource"), app_->url() + "/mcp");
    EXPECT_EQ(get_array(resource.json, "authorization_servers")->at(0).as_string(), app_->url());
  }
  const HttpAnswer server = anonymous("/.well-known/oauth-authorization-server");
  EXPECT_EQ(server.text("issuer"), app_->url());
  EXPECT_EQ(server.text("token_endpoint"), app_->url() + "/oauth/token");
  EXPECT_EQ(get_array(server.json, "code_challenge_methods_supported")->size(), 1u);
}

TEST_F(OAuthTest, APersonAllowsAProgramSomeThings) {
  start();
  const std::string client = enrol();
  const Opened page = open_page(request(client));
  EXPECT_NE(page.body.find("Tester &lt;b&gt;"), std::string::npos);
  EXPECT_EQ(page.body.find("Tester <b>"), std::string::npos);
  EXPECT_EQ(page.body.find("scope_invoke"), std::string::npos);
  const HttpAnswer wrong = decide(page, {{"decision", "allow"}, {"key", "mf_00000000_" + std::string(43, 'x')}, {"scope_read", "on"}});
  EXPECT_EQ(wrong.status, 403);
  EXPECT_FALSE(wrong.headers.find("location"));
  EXPECT_EQ(decide({page.ticket, "", ""}, {{"decision", "allow"}, {"key", admin_key_}, {"scope_read", "on"}}).status, 400);

  const HttpAnswer allowed = decide(page, {{"decision", "allow"}, {"key", admin_key_}, {"scope_read", "on"}});
  ASSERT_EQ(allowed.status, 303) << allowed.body;
  EXPECT_TRUE(allowed.headers.get("location").starts_with(kCallback));
  EXPECT_EQ(parameter_of(allowed, "state"), "st/1");
  EXPECT_EQ(parameter_of(allowed, "iss"), app_->url());
  const HttpAnswer tokens = send("/oauth/token", exchange(client, parameter_of(allowed, "code")));
  ASSERT_EQ(tokens.status, 200) << tokens.body;
  EXPECT_EQ(tokens.text("scope"), "read");
  EXPECT_EQ(tokens.text("token_type"), "Bearer");
  EXPECT_NE(mcp(tokens.text("access_token")).status, 401);
  EXPECT_EQ(mcp(admin_key_).status, mcp(tokens.text("access_token")).status);
  EXPECT_EQ(call("GET", "/v1/runs", {}, {{"Authorization", "Bearer " + tokens.text("access_token")}}).status, 401)
      << "only /mcp is for tokens";
  EXPECT_EQ(decide(page, {{"decision", "allow"}, {"key", admin_key_}, {"scope_read", "on"}}).status, 400) << "a page is answered once";
  auto rows = run(app_->context().store->scan(KeyRange::prefix("meta/oauth/"), 100, Direction::Forward));
  ASSERT_EQ(rows->size(), 2u);
  for (const Record& row : *rows)
    for (const char* name : {"access_token", "refresh_token"}) EXPECT_EQ(row.value.find(tokens.text(name).substr(21)), std::string::npos);
}

TEST_F(OAuthTest, DenyingTellsTheProgram) {
  start();
  const HttpAnswer denied = decide(open_page(request(enrol())), {{"decision", "deny"}});
  EXPECT_EQ(parameter_of(denied, "error"), "access_denied");
  EXPECT_EQ(parameter_of(denied, "state"), "st/1");
  EXPECT_EQ(parameter_of(denied, "iss"), app_->url());
}

TEST_F(OAuthTest, BadAuthorizationRequestsAreRefusedWhereItIsSafe) {
  start();
  const std::string client = enrol();
  const std::vector<std::tuple<std::string, std::string, std::string>> table = {{"redirect_uri", "https://evil.example/callback", ""},
                                                                                {"redirect_uri", "http://127.0.0.1:9/other", ""},
                                                                                {"client_id", "mfc_unknown", ""},
                                                                                {"response_type", "token", "unsupported_response_type"},
                                                                                {"code_challenge", "", "invalid_request"},
                                                                                {"code_challenge_method", "plain", "invalid_request"},
                                                                                {"code_challenge_method", "", "invalid_request"},
                                                                                {"resource", "https://evil.example/mcp", "invalid_target"},
                                                                                {"scope", "admin deploy", "invalid_scope"}};
  for (const auto& [name, value, error] : table) {
    oauth::Parameters values = request(client);
    values[name] = value;
    const HttpAnswer answer = anonymous("/oauth/authorize?" + form(values));
    if (error.empty()) {
      EXPECT_EQ(answer.status, 400) << name << value;
      EXPECT_FALSE(answer.headers.find("location")) << name << value;
    } else {
      EXPECT_EQ(parameter_of(answer, "error"), error) << name << value;
    }
  }
  oauth::Parameters values = request(client);
  values["redirect_uri"] = "http://127.0.0.1:54321/callback";
  EXPECT_FALSE(open_page(values).ticket.empty()) << "a loopback port may differ";
}

TEST_F(OAuthTest, ThePageCannotBeFramedAndRunsNoScript) {
  start();
  const HttpAnswer page = anonymous("/oauth/authorize?" + form(request(enrol())));
  const std::string policy = page.headers.get("content-security-policy");
  EXPECT_NE(policy.find("frame-ancestors 'none'"), std::string::npos);
  EXPECT_NE(policy.find("default-src 'none'"), std::string::npos);
  EXPECT_NE(policy.find("form-action 'self' http://127.0.0.1:9"), std::string::npos) << policy;
  EXPECT_EQ(page.headers.get("x-frame-options"), "DENY");
  EXPECT_NE(page.headers.get("set-cookie").find("SameSite=Strict"), std::string::npos);
}

TEST_F(OAuthTest, ACodeIsGoodOnceAndItsMisuseEndsWhatItGave) {
  start();
  const std::string client = enrol();
  const oauth::Parameters good = exchange(client, code_for(client, admin_key_));
  const HttpAnswer first = send("/oauth/token", good);
  ASSERT_EQ(first.status, 200) << first.body;
  EXPECT_EQ(send("/oauth/token", good).text("error"), "invalid_grant");
  EXPECT_EQ(mcp(first.text("access_token")).status, 401);
  for (const auto& [name, value, error] :
       std::vector<std::tuple<std::string, std::string, std::string>>{{"code_verifier", std::string(43, 'a'), "invalid_grant"},
                                                                      {"code_verifier", "", "invalid_grant"},
                                                                      {"client_id", enrol(), "invalid_grant"},
                                                                      {"redirect_uri", "http://127.0.0.1:9/other", "invalid_grant"},
                                                                      {"resource", "https://evil.example/mcp", "invalid_target"},
                                                                      {"grant_type", "password", "unsupported_grant_type"},
                                                                      {"client_id", "", "invalid_client"}}) {
    oauth::Parameters bad = exchange(client, code_for(client, admin_key_));
    bad[name] = value;
    EXPECT_EQ(send("/oauth/token", bad).text("error"), error) << name << "=" << value;
  }
}

TEST_F(OAuthTest, RefreshTokensRotateAndReuseEndsTheGrant) {
  start();
  const std::string client = enrol();
  const HttpAnswer first = tokens_for(client, admin_key_);
  const auto refresh = [&](const HttpAnswer& tokens) {
    return send("/oauth/token", {{"grant_type", "refresh_token"}, {"client_id", client}, {"refresh_token", tokens.text("refresh_token")}});
  };
  EXPECT_EQ(send("/oauth/token", {{"grant_type", "refresh_token"}, {"client_id", enrol()}, {"refresh_token", first.text("refresh_token")}})
                .text("error"),
            "invalid_grant");
  EXPECT_EQ(
      send("/oauth/token",
           {{"grant_type", "refresh_token"}, {"client_id", client}, {"refresh_token", first.text("refresh_token")}, {"scope", "invoke"}})
          .text("error"),
      "invalid_scope");
  const HttpAnswer second = refresh(first);
  ASSERT_EQ(second.status, 200) << second.body;
  EXPECT_NE(mcp(first.text("access_token")).status, 401) << "calls under way go on";
  config_.port = app_->port();  // tokens are for this URL
  stop();
  start();
  EXPECT_NE(mcp(second.text("access_token")).status, 401) << "they survive a restart";
  EXPECT_EQ(refresh(first).text("error"), "invalid_grant");
  EXPECT_EQ(mcp(second.text("access_token")).status, 401);
  EXPECT_EQ(refresh(second).text("error"), "invalid_grant");
}

TEST_F(OAuthTest, TokensEndWithTheKeyAndByRevocation) {
  start();
  const std::string client = enrol(), key = make_key({Scope::Read, Scope::Files});
  const HttpAnswer tokens = tokens_for(client, key);
  EXPECT_NE(mcp(tokens.text("access_token")).status, 401);
  EXPECT_EQ(call("DELETE", "/v1/keys/" + key.substr(3, 8)).status, 204);
  const HttpAnswer dead = mcp(tokens.text("access_token"));
  EXPECT_EQ(dead.status, 401);
  EXPECT_NE(dead.headers.get("www-authenticate").find("error=\"invalid_token\""), std::string::npos);

  const HttpAnswer others = tokens_for(client, admin_key_);
  EXPECT_EQ(send("/oauth/revoke", {{"client_id", enrol()}, {"token", others.text("refresh_token")}}).status, 200);
  EXPECT_NE(mcp(others.text("access_token")).status, 401) << "another client cannot revoke";
  EXPECT_EQ(send("/oauth/revoke", {{"client_id", client}, {"token", others.text("refresh_token")}}).status, 200);
  EXPECT_EQ(mcp(others.text("access_token")).status, 401);
}

TEST_F(OAuthTest, ATokenForAnotherUrlOfThisServerIsRefused) {
  start();
  const HttpAnswer tokens = tokens_for(enrol(), admin_key_);
  const std::string port = app_->url().substr(app_->url().rfind(':'));
  EXPECT_EQ(mcp(tokens.text("access_token"), {{"Host", "localhost" + port}}).status, 401);
}

TEST_F(OAuthTest, BehindAProxyThePublicUrlCounts) {
  config_.public_url = "https://agents.test";
  start();
  const net::Headers headers{{"Host", "agents.test"}, {"x-api-key", ""}};
  EXPECT_EQ(call("GET", "/.well-known/oauth-protected-resource/mcp", {}, headers).text("resource"), "https://agents.test/mcp");
  oauth::Parameters values = request(enrol());
  values["resource"] = "https://agents.test/mcp";
  const HttpAnswer page = call("GET", "/oauth/authorize?" + form(values), {}, headers);
  EXPECT_EQ(page.status, 200) << page.body;
  EXPECT_NE(page.headers.get("set-cookie").find("; Secure"), std::string::npos);
  EXPECT_NE(mcp("", {{"Host", "agents.test"}}).headers.get("www-authenticate").find("\"https://agents.test/.well-known/"), std::string::npos);
}

TEST_F(OAuthTest, RegistrationIsCheckedAndLimited) {
  start();
  for (const char* uri :
       {"http://evil.example/cb", "javascript:alert(1)", "https://a.example/#x", "data:text/html,x", "https://u@a.example/", ""})
    EXPECT_EQ(call("POST", "/oauth/register", R"({"redirect_uris": [")" + std::string(uri) + "\"]}").text("error"), "invalid_redirect_uri")
        << uri;
  EXPECT_EQ(call("POST", "/oauth/register", "[]").text("error"), "invalid_client_metadata");
  int status = 0;
  for (int i = 0; i < 21; ++i) status = call("POST", "/oauth/register", R"({"redirect_uris": ["cursor://x/cb"]})").status;
  EXPECT_EQ(status, 429);
}

TEST_F(OAuthTest, KeysOfAnOrganisationAreItsOwn) {
  start();
  const HttpAnswer made = post("/v1/keys", R"({"name": "acme", "scopes": ["admin"], "organisation": "acme", "person": true})");
  ASSERT_EQ(made.status, 201) << made.body;
  EXPECT_EQ(made.text("organisation"), "acme");
  const net::Headers acme{{"Authorization", "Bearer " + made.text("key")}};
  const HttpAnswer list = call("GET", "/v1/keys", {}, acme);
  EXPECT_EQ(get_array(list.json, "keys")->size(), 1u) << list.body;
  EXPECT_EQ(get_array(get("/v1/keys").json, "keys")->size(), 2u);
  EXPECT_EQ(call("DELETE", "/v1/keys/" + admin_key_.substr(3, 8), {}, acme).code(), "key.not_found");
  EXPECT_EQ(call("POST", "/v1/keys", R"({"name": "x", "scopes": ["read"], "organisation": "default"})", acme).code(), "auth.forbidden");
  const HttpAnswer own = call("POST", "/v1/keys", R"({"name": "x", "scopes": ["files"], "role": "viewer", "workspace": "ws_1"})", acme);
  EXPECT_EQ(own.text("organisation"), "acme") << own.body;
  EXPECT_EQ(own.text("role"), "viewer");
  EXPECT_EQ(post("/v1/keys", R"({"name": "x", "scopes": ["files"], "role": "king"})").code(), "key.invalid");
  stop();
  start();
  EXPECT_EQ(get_array(call("GET", "/v1/keys", {}, acme).json, "keys")->size(), 2u);
}

/// Answers one URL with a document.
class FakeHttp final : public net::HttpClient {
 public:
  Task<Result<net::ClientResponse>> send(net::ClientRequest request) override {
    ++sent;
    allows_private = request.egress.allow_private || request.egress.allow_loopback;
    redirects = request.redirects_max;
    net::ClientResponse out;
    out.status = 200;
    out.body = document;
    co_return out;
  }
  std::string document;
  int sent = 0, redirects = 0;
  bool allows_private = false;
};

TEST_F(OAuthTest, AClientMayBeTheUrlOfItsMetadata) {
  start();
  FakeHttp http;
  const std::string id = "https://app.example/client.json";
  oauth::Clients clients(*app_->context().store, *clock_, http, {}, [](std::string_view) { return false; });
  http.document = R"({"client_id": "https://app.example/client.json", "client_name": "App", "redirect_uris": ["http://localhost/cb"]})";
  const auto found = run(clients.find(id));
  ASSERT_TRUE(found) << found.error().message;
  EXPECT_EQ(found->name, "App");
  EXPECT_FALSE(http.allows_private);
  EXPECT_EQ(http.redirects, 0);
  ASSERT_TRUE(run(clients.find(id)));
  EXPECT_EQ(http.sent, 1) << "it is cached";
  for (const char* bad : {"http://app.example/client.json", "https://app.example", "https://app.example/", "https://u@app.example/x",
                          "https://app.example/x#y"})
    EXPECT_EQ(run(clients.find(bad)).error().code, "oauth.invalid_client") << bad;
  EXPECT_EQ(http.sent, 1);
  EXPECT_EQ(run(clients.find("https://other.example/client.json")).error().code, "oauth.invalid_client") << "it names another id";
  http.document = "no json";
  EXPECT_EQ(run(clients.find("https://third.example/client.json")).error().code, "oauth.invalid_client");
}

}  // namespace
}  // namespace mayfly
