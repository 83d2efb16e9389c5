#include <sys/stat.h>

#include "server/server_test_support.h"

namespace mayfly {
namespace {

net::Headers bearer(const std::string& key) { return {{"Authorization", "Bearer " + key}}; }

TEST_F(ServerTest, TheFirstStartWritesAnAdminKeyThatOnlyTheOwnerCanRead) {
  start();
  EXPECT_TRUE(app_->made_admin_key());
  struct stat status{};
  ASSERT_EQ(::stat(app_->admin_key_path().c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0600u);
  EXPECT_EQ(admin_key_.size(), 3u + 8 + 1 + 43);
  EXPECT_EQ(get("/v1/keys").status, 200);
}

TEST_F(ServerTest, WithoutAValidKeyNothingIsShown) {
  start();
  EXPECT_EQ(call("GET", "/v1/runs", {}, {{"x-api-key", ""}}).code(), "auth.missing");
  EXPECT_EQ(call("GET", "/v1/runs", {}, {{"Authorization", "Basic abc"}}).code(), "auth.missing");
  const std::string other_secret = admin_key_.substr(0, 12) + std::string(43, 'A');
  const std::string other_id = "mf_00000000" + admin_key_.substr(11);
  for (const std::string& key :
       {other_secret, other_id, std::string("mf_"), std::string(300, 'x'), admin_key_ + "A", admin_key_.substr(0, 54)}) {
    const HttpAnswer answer = call("GET", "/v1/runs", {}, bearer(key));
    EXPECT_EQ(answer.status, 401) << key;
    EXPECT_EQ(answer.code(), "auth.invalid") << key;
    EXPECT_TRUE(answer.headers.find("www-authenticate"));
    EXPECT_EQ(answer.body.find(key), std::string::npos) << "a key must not be repeated";
  }
  EXPECT_EQ(call("GET", "/v1/runs", {}, {{"x-api-key", admin_key_}}).status, 200);
  EXPECT_EQ(call("GET", "/metrics", {}, {{"x-api-key", ""}}).status, 401);
}

TEST_F(ServerTest, EveryRouteAsksForItsScope) {
  start();
  const std::vector<Scope> all = {Scope::Read, Scope::Invoke, Scope::Answer, Scope::Deploy, Scope::Gateway, Scope::Admin};
  std::map<Scope, std::string> keys;
  for (const Scope scope : all) keys[scope] = make_key({scope});
  for (const RouteInfo& route : app_->router().routes()) {
    if (route.described == Described::Elsewhere) continue;  // another vendor's errors, and his tests
    std::string path = route.path;
    for (auto open = path.find('{'); open != std::string::npos; open = path.find('{'))
      path.replace(open, path.find('}') - open + 1, "none");
    for (const Scope scope : all) {
      const HttpAnswer answer = call(route.method, path, {}, bearer(keys[scope]));
      const bool allowed = route.any_of.empty() || scope == Scope::Admin || route.any_of.has(scope);
      EXPECT_EQ(answer.status == 403, !allowed) << route.method << " " << path << " with " << to_string(scope) << ": " << answer.body;
    }
    const HttpAnswer anonymous = call(route.method, path, {}, {{"x-api-key", ""}});
    EXPECT_EQ(anonymous.status == 401, !route.any_of.empty()) << route.method << " " << path;
  }
}

TEST_F(ServerTest, KeysAreMadeListedAndRevoked) {
  start();
  const HttpAnswer made = post("/v1/keys", R"({"name": "ci", "scopes": ["invoke", "read"], "expires": "30d"})");
  ASSERT_EQ(made.status, 201) << made.body;
  const std::string key = made.text("key"), id = made.text("id");
  EXPECT_EQ(call("GET", "/v1/runs", {}, bearer(key)).status, 200);
  EXPECT_EQ(call("GET", "/v1/keys", {}, bearer(key)).status, 403);
  const HttpAnswer list = get("/v1/keys");
  EXPECT_EQ(get_array(list.json, "keys")->size(), 2u);
  EXPECT_EQ(list.body.find(key.substr(12)), std::string::npos) << "a secret is shown once";
  EXPECT_NE(list.body.find("\"last_used\":\"2"), std::string::npos) << list.body;
  EXPECT_EQ(call("DELETE", "/v1/keys/" + id).status, 204);
  EXPECT_EQ(call("GET", "/v1/runs", {}, bearer(key)).code(), "auth.invalid");
  EXPECT_EQ(call("DELETE", "/v1/keys/" + id).code(), "key.not_found");

  EXPECT_EQ(post("/v1/keys", R"({"name": "x", "scopes": ["everything"]})").code(), "request.invalid");
  EXPECT_EQ(post("/v1/keys", R"({"name": "", "scopes": ["read"]})").code(), "key.invalid");
  EXPECT_EQ(post("/v1/keys", R"({"name": "x", "scopes": []})").code(), "key.invalid");
  EXPECT_EQ(post("/v1/keys", R"({"name": "x", "scopes": ["read"], "expires": "2001-01-01T00:00:00Z"})").code(), "key.invalid");
}

TEST_F(ServerTest, KeysSurviveARestartAndSecretsAreNotStored) {
  start();
  const std::string key = post("/v1/keys", R"({"name": "ci", "scopes": ["read"]})").text("key");
  auto rows = run(app_->context().store->scan(KeyRange::prefix("meta/key/"), 100, Direction::Forward));
  ASSERT_TRUE(rows);
  ASSERT_EQ(rows->size(), 2u);
  for (const Record& row : *rows) EXPECT_EQ(row.value.find(key.substr(12)), std::string::npos);
  stop();
  start();
  EXPECT_EQ(call("GET", "/v1/runs", {}, bearer(key)).status, 200);
}

TEST_F(ServerTest, TheLastAdminKeyCannotBeRevoked) {
  start();
  const std::string id = admin_key_.substr(3, 8);
  EXPECT_EQ(call("DELETE", "/v1/keys/" + id).code(), "key.last_admin");
  const std::string other = post("/v1/keys", R"({"name": "second", "scopes": ["admin"]})").text("key");
  EXPECT_EQ(call("DELETE", "/v1/keys/" + id, {}, bearer(other)).status, 204);
}

TEST_F(ServerTest, AnExpiredKeyIsRefused) {
  start();
  const TimePoint expires = clock_->now() + Millis{200};
  const std::string key = make_key({Scope::Read}, expires);
  while (clock_->now() <= expires) (void)get("/healthz");
  const HttpAnswer answer = call("GET", "/v1/runs", {}, bearer(key));
  EXPECT_EQ(answer.status, 401);
  EXPECT_EQ(answer.code(), "auth.expired");
}

TEST_F(ServerTest, OnALoopbackAddressOnlyLocalNamesAreServed) {
  config_.allowed_hosts = {"agents.test"};
  start();
  for (const char* host : {"localhost:7400", "127.0.0.1", "[::1]:7400", "LOCALHOST", "agents.test:80"})
    EXPECT_EQ(call("GET", "/healthz", {}, {{"Host", host}}).status, 200) << host;
  for (const char* host : {"evil.example", "evil.example:7400", "localhost.evil.example", "127.0.0.1.evil.example", "[::2]", "["}) {
    const HttpAnswer answer = call("GET", "/healthz", {}, {{"Host", host}});
    EXPECT_NE(answer.status, 200) << host;
    if (answer.status != 400) EXPECT_EQ(answer.code(), "host.not_allowed") << host;
  }
  EXPECT_FALSE(call("GET", "/v1/runs", {}, {{"Origin", "http://localhost:7400"}}).headers.find("access-control-allow-origin"));
}

}  // namespace
}  // namespace mayfly
