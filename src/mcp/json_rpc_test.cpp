#include "mcp/json_rpc.h"

#include <gtest/gtest.h>

namespace mayfly::mcp {
namespace {

int refused_with(std::string_view text) {
  auto read = parse_rpc(text);
  return read ? 0 : read.error().error.code;
}

TEST(JsonRpc, TellsRequestsNotificationsAndResponsesApart) {
  auto request = parse_rpc(R"({"jsonrpc":"2.0","id":7,"method":"ping"})");
  ASSERT_TRUE(request);
  ASSERT_TRUE(std::holds_alternative<RpcRequest>(*request));
  EXPECT_EQ(std::get<RpcRequest>(*request).id.key(), "n:7");

  auto notification = parse_rpc(R"({"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":"7"}})");
  ASSERT_TRUE(notification);
  EXPECT_EQ(std::get<RpcNotification>(*notification).params.at("requestId"), "7");

  auto response = parse_rpc(R"({"jsonrpc":"2.0","id":"a","error":{"code":-32601,"message":"no"}})");
  ASSERT_TRUE(response);
  EXPECT_FALSE(std::get<RpcResponse>(*response).ok());
  EXPECT_EQ(std::get<RpcResponse>(*response).error().code, rpc_code::kMethodNotFound);
}

TEST(JsonRpc, IdsOfTextAndNumberAreDifferent) { EXPECT_NE(RpcId(7), RpcId(std::string("7"))); }

TEST(JsonRpc, RefusesWhatIsNoMessage) {
  EXPECT_EQ(refused_with("{"), rpc_code::kParse);
  EXPECT_EQ(refused_with("[]"), rpc_code::kInvalidRequest);
  EXPECT_EQ(refused_with("7"), rpc_code::kInvalidRequest);
  EXPECT_EQ(refused_with(R"({"id":1,"method":"ping"})"), rpc_code::kInvalidRequest);
  EXPECT_EQ(refused_with(R"({"jsonrpc":"2.0","id":null,"method":"ping"})"), rpc_code::kInvalidRequest);
  EXPECT_EQ(refused_with(R"({"jsonrpc":"2.0","id":1.5,"method":"ping"})"), rpc_code::kInvalidRequest);
  EXPECT_EQ(refused_with(R"({"jsonrpc":"2.0","id":1,"method":"ping","params":[]})"), rpc_code::kInvalidRequest);
  EXPECT_EQ(refused_with(R"({"jsonrpc":"2.0","id":1,"result":{},"error":{"code":1,"message":""}})"), rpc_code::kInvalidRequest);
  EXPECT_EQ(refused_with(R"({"jsonrpc":"2.0","id":1,"error":"no"})"), rpc_code::kInvalidRequest);
  EXPECT_EQ(refused_with(R"({"jsonrpc":"2.0","id":1})"), rpc_code::kInvalidRequest);
  EXPECT_EQ(refused_with(std::string(100, '[')), rpc_code::kParse);
}

TEST(JsonRpc, ARefusalNamesTheIdThatItAnswers) {
  auto read = parse_rpc(R"({"jsonrpc":"1.0","id":"x","method":"ping"})");
  ASSERT_FALSE(read);
  ASSERT_TRUE(read.error().id);
  EXPECT_EQ(to_text(rpc_error(read.error().id, read.error().error)).find(R"({"jsonrpc":"2.0","id":"x","error")"), 0U);
}

TEST(JsonRpc, WhatLeavesIsReadBackAsItWas) {
  auto read = parse_rpc(to_text(rpc_request(RpcId(std::string("é")), "tools/call", {{"name", "t"}})));
  ASSERT_TRUE(read);
  EXPECT_EQ(std::get<RpcRequest>(*read).id, RpcId(std::string("é")));
  EXPECT_EQ(std::get<RpcRequest>(*read).params.at("name"), "t");
}

}  // namespace
}  // namespace mayfly::mcp
