#include "mcp/server/http_rules.h"

#include <gtest/gtest.h>

#include "mcp/server/declared.h"

namespace mayfly::mcp {
namespace {

JsonObject object(std::string_view text) { return parse_json(text).value().get_object(); }
int code_of(const std::optional<Reply>& reply) { return reply ? std::get<RpcError>(reply->outcome).code : 0; }

const JsonObject kParams = object(R"({"name":"t","_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28",
  "io.modelcontextprotocol/clientCapabilities":{"sampling":{}},"io.modelcontextprotocol/logLevel":"debug"}})");

TEST(HttpRules, TheEnvelopeIsReadWhenHeadersAndBodyAgree) {
  Client client;
  const net::Headers headers{{"MCP-Protocol-Version", "2026-07-28"}, {"mcp-method", "tools/call"}, {"Mcp-Name", " t "}};
  EXPECT_EQ(code_of(read_envelope(headers, "tools/call", kParams, &client)), 0);
  EXPECT_TRUE(client.capabilities.contains("sampling"));
  EXPECT_EQ(client.log_level, "debug");
}

TEST(HttpRules, WhatDiffersIsRefused) {
  Client client;
  const auto refused = [&](const net::Headers& headers) { return code_of(read_envelope(headers, "tools/call", kParams, &client)); };
  EXPECT_EQ(refused({{"Mcp-Method", "tools/call"}, {"Mcp-Name", "t"}}), rpc_code::kHeaderMismatch);
  EXPECT_EQ(refused({{"MCP-Protocol-Version", "2026-07-28"}, {"Mcp-Name", "t"}}), rpc_code::kHeaderMismatch);
  EXPECT_EQ(refused({{"MCP-Protocol-Version", "2026-07-28"}, {"Mcp-Method", "TOOLS/CALL"}, {"Mcp-Name", "t"}}), rpc_code::kHeaderMismatch);
  EXPECT_EQ(refused({{"MCP-Protocol-Version", "2026-07-28"}, {"Mcp-Method", "tools/call"}}), rpc_code::kHeaderMismatch);
  EXPECT_EQ(refused({{"MCP-Protocol-Version", "2026-07-28"}, {"Mcp-Method", "tools/call"}, {"Mcp-Name", "T"}}), rpc_code::kHeaderMismatch);
  EXPECT_EQ(refused({{"MCP-Protocol-Version", "1"}, {"Mcp-Method", "tools/call"}, {"Mcp-Name", "t"}}), rpc_code::kHeaderMismatch);
}

TEST(HttpRules, ErasAreToldApart) {
  const JsonObject none;
  EXPECT_TRUE(is_stateless({}, kParams, "initialize"));
  EXPECT_FALSE(is_stateless({}, none, "initialize"));
  EXPECT_TRUE(is_stateless({{"MCP-Protocol-Version", "2026-07-28"}}, none, "tools/list"));
  EXPECT_TRUE(is_stateless({{"MCP-Protocol-Version", "2999-01-01"}}, none, "tools/list"));
  EXPECT_FALSE(is_stateless({{"MCP-Protocol-Version", "2025-11-25"}, {"Mcp-Session-Id", "x"}}, none, "tools/list"));
}

TEST(HttpRules, ParametersOfHeadersAreDecodedAndCompared) {
  const Json schema = parse_json(R"({"type":"object","properties":{"a":{"type":"string","x-mcp-header":"A"},
    "in":{"type":"object","properties":{"n":{"type":"integer","x-mcp-header":"N"}}}}})")
                          .value();
  const JsonObject arguments = object(R"({"a":"é","in":{"n":7}})");
  const auto check = [&](const net::Headers& headers) { return code_of(check_param_headers(headers, schema, arguments)); };
  EXPECT_EQ(check({{"Mcp-Param-A", "=?base64?w6k=?="}, {"Mcp-Param-N", "7"}}), 0);
  EXPECT_EQ(check({{"Mcp-Param-A", "=?base64?w6k?="}, {"Mcp-Param-N", "7"}}), rpc_code::kHeaderMismatch);
  EXPECT_EQ(check({{"Mcp-Param-A", "=?base64?w6k=?="}}), rpc_code::kHeaderMismatch);
  EXPECT_EQ(check({{"Mcp-Param-A", "=?base64?w6k=?="}, {"Mcp-Param-N", "8"}}), rpc_code::kHeaderMismatch);
  EXPECT_EQ(code_of(check_param_headers({}, schema, {})), 0);
  EXPECT_EQ(code_of(check_param_headers({{"Mcp-Param-A", "x"}}, schema, {})), rpc_code::kHeaderMismatch);
}

TEST(HttpRules, ForeignOriginsAreRefused) {
  EXPECT_TRUE(is_origin_allowed({}, true, {}));
  EXPECT_TRUE(is_origin_allowed({{"Origin", "http://localhost:3000"}}, true, {}));
  EXPECT_TRUE(is_origin_allowed({{"Origin", "http://[::1]:80"}}, true, {}));
  EXPECT_FALSE(is_origin_allowed({{"Origin", "http://evil.example"}, {"Host", "evil.example"}}, true, {}));
  EXPECT_FALSE(is_origin_allowed({{"Origin", "http://localhost.evil.example"}}, true, {}));
  EXPECT_FALSE(is_origin_allowed({{"Origin", "null"}}, true, {}));
  EXPECT_TRUE(is_origin_allowed({{"Origin", "https://console.example"}}, true, {"console.example"}));
  EXPECT_TRUE(is_origin_allowed({{"Origin", "https://agents.example"}, {"Host", "agents.example"}}, false, {}));
  EXPECT_FALSE(is_origin_allowed({{"Origin", "http://localhost"}, {"Host", "agents.example"}}, false, {}));
}

TEST(Declared, TemplatesMatchWholeUris) {
  const auto match = [](std::string_view uri) { return match_template("test://template/{id}/data", uri); };
  ASSERT_TRUE(match("test://template/12%203/data"));
  EXPECT_EQ(match("test://template/12%203/data")->at("id"), "12 3");
  EXPECT_FALSE(match("test://template//data"));
  EXPECT_FALSE(match("test://template/a/b/data"));
  EXPECT_FALSE(match("test://template/a%2Fb/data"));
  EXPECT_FALSE(match("test://template/a/data/more"));
  EXPECT_FALSE(match("test://template/%FF/data"));
}

TEST(Declared, SectionsAreChecked) {
  const auto problem = [](const std::string& section, std::string_view text) {
    auto fine = check_section(section, parse_json(text).value());
    return fine ? std::string() : fine.error().message;
  };
  EXPECT_EQ(problem("tools", R"({"t":{"function":"f","description":"d","tasks":"required"}})"), "");
  EXPECT_EQ(problem("tools", R"({"t":{"description":"d"}})"), "/t: needs `function`, the function that does it");
  EXPECT_EQ(problem("tools", R"({"a b":{"function":"f","description":"d"}})"),
            "/a b: a name has 1 to 128 of the characters A-Z a-z 0-9 _ - .");
  EXPECT_EQ(problem("tools", R"({"t":{"function":"f","description":"d","input":{"type":"array"}}})"),
            "/t/input: must be a JSON Schema with `type: object`");
  EXPECT_EQ(problem("tools", R"({"t":{"function":"f","description":"d","colour":1}})"), "/t/colour: is not known here");
  EXPECT_EQ(problem("resources", R"({"r":{"uri":"ws://x/y","text":"t"}})"), "/r/uri: ws:// belongs to workspaces; choose another scheme");
  EXPECT_EQ(problem("templates", R"({"r":{"uri":"n://x","text":"t"}})"), "/r/uri: needs at least one {variable}");
  EXPECT_NE(problem("verbs", "{}"), "");
}

}  // namespace
}  // namespace mayfly::mcp
