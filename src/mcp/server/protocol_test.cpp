#include "mcp/server/protocol.h"

#include <gtest/gtest.h>

#include "mcp/server/message_stream.h"
#include "mcp/server/session.h"
#include "testing/sim_clock.h"

namespace mayfly::mcp {
namespace {

JsonObject object(std::string_view text) { return parse_json(text).value().get_object(); }

/// One tool that asks for a name, and one that needs an object with a number.
class AskingTools final : public ToolProvider {
 public:
  std::vector<ToolInfo> tools(const Caller& caller) override {
    ToolInfo ask{.name = "ask", .title = "", .description = "Asks", .input_schema = object(R"({"type":"object"})"), .output_schema = {}};
    ToolInfo add{.name = "add",
                 .title = "",
                 .description = "Adds",
                 .input_schema = object(R"({"type":"object","required":["n"],"properties":{"n":{"type":"number"}}})"),
                 .output_schema = {}};
    add.by_default = false;
    add.toolset = "sums";
    if (!caller.may("invoke")) return {};
    return {ask, add};
  }
  Task<Result<CallResult>> call(CallContext context, std::string tool, JsonObject) override {
    ++calls;
    if (tool == "add") co_return CallResult::text("added");
    if (context.progress) context.progress(1, 2.0, "half");
    if (context.log) context.log("info", "", "working");
    if (context.input_responses)
      co_return CallResult::text("Hello " + get_string(*get_object(*context.input_responses, "name"), "said") + context.request_state);
    CallResult out;
    out.input_requests = object(R"({"name":{"method":"elicitation/create","params":{"message":"Who?"}}})");
    out.request_state = "!";
    co_return out;
  }
  int calls = 0;
};

class RecordedExchange final : public Exchange {
 public:
  void notify(std::string_view method, JsonObject params) override { notified.emplace_back(method, std::move(params)); }
  Task<std::expected<JsonObject, RpcError>> ask(std::string method, JsonObject) override {
    asked.push_back(method);
    co_return JsonObject{{"said", "Ann"}};
  }
  void pause() override {}
  std::vector<std::pair<std::string, JsonObject>> notified;
  std::vector<std::string> asked;
};

class ProtocolTest : public testing::Test {
 protected:
  ProtocolTest() : protocol_(offer_, nullptr, clock_, seal(), {}) {
    offer_.tools.push_back(&tools_);
    client_.caller.id = "key:1";
    client_.caller.scopes = {"invoke"};
    client_.capabilities = object(R"({"elicitation":{}})");
  }
  static StateSeal seal() {
    return {[](std::string_view plain, std::string_view place) { return std::string(place) + "|" + std::string(plain); },
            [](std::string_view sealed, std::string_view place) -> Result<std::string> {
              if (!sealed.starts_with(std::string(place) + "|")) return fail("secret.wrong_key", "no");
              return std::string(sealed.substr(place.size() + 1));
            }};
  }
  Reply ask(const std::string& method, std::string_view params) {
    std::optional<Reply> out;
    asio::io_context io;
    TaskGroup group(io.get_executor());
    group.spawn(keep(&protocol_, client_, RpcRequest{RpcId(1), method, object(params)}, &exchange_, &out));
    io.run();
    return *std::move(out);
  }
  static Task<> keep(Protocol* protocol, Client client, RpcRequest request, Exchange* exchange, std::optional<Reply>* out) {
    *out = co_await protocol->handle(std::move(client), std::move(request), exchange, {});
  }
  static const JsonObject& result(const Reply& reply) { return std::get<0>(reply.outcome); }
  static int code(const Reply& reply) { return reply.outcome.index() == 1 ? std::get<1>(reply.outcome).code : 0; }

  SimClock clock_;
  AskingTools tools_;
  Offer offer_;
  Protocol protocol_;
  Client client_;
  RecordedExchange exchange_;
};

TEST_F(ProtocolTest, ListsShowTheProfileThatWasAskedFor) {
  EXPECT_EQ(result(ask("tools/list", "{}")).at("tools").as_array().size(), 1U);
  client_.toolsets = {"sums"};
  EXPECT_EQ(result(ask("tools/list", "{}")).at("tools").at(0).at("name"), "add");
  client_.caller.scopes = {"read"};
  EXPECT_TRUE(result(ask("tools/list", "{}")).at("tools").as_array().empty());
  EXPECT_EQ(code(ask("tools/list", R"({"cursor":"x"})")), rpc_code::kInvalidParams);
}

TEST_F(ProtocolTest, WrongArgumentsAreAResultThatTheModelSees) {
  const Reply reply = ask("tools/call", R"({"name":"add","arguments":{"n":"x"}})");
  EXPECT_EQ(result(reply).at("isError"), true);
  EXPECT_EQ(tools_.calls, 0);
}

TEST_F(ProtocolTest, RoundsCarryTheirStateAndNobodyElseCanUseIt) {
  const Reply first = ask("tools/call", R"({"name":"ask"})");
  EXPECT_EQ(result(first).at("resultType"), "input_required");
  const std::string state = get_string(result(first), "requestState");
  const JsonObject answers = object(R"({"name":{"said":"Bo"}})");
  const std::string second = to_text(JsonObject{{"name", "ask"}, {"requestState", state}, {"inputResponses", answers}});
  EXPECT_EQ(result(ask("tools/call", second)).at("content").at(0).at("text"), "Hello Bo!");
  client_.caller.id = "key:2";
  EXPECT_EQ(code(ask("tools/call", second)), rpc_code::kInvalidParams);
  EXPECT_EQ(code(ask("tools/call", R"({"name":"ask","inputResponses":{"name":7}})")), rpc_code::kInvalidParams);
  EXPECT_EQ(code(ask("tools/call", R"({"name":"ask","inputResponses":null})")), rpc_code::kInvalidParams);
}

TEST_F(ProtocolTest, AStateExpires) {
  const std::string state = get_string(result(ask("tools/call", R"({"name":"ask"})")), "requestState");
  const auto timer = clock_.call_after(Millis{3'700'000}, [] {});
  ASSERT_TRUE(clock_.advance());
  EXPECT_EQ(code(ask("tools/call", to_text(JsonObject{{"name", "ask"}, {"requestState", state}, {"inputResponses", JsonObject()}}))),
            rpc_code::kInvalidParams);
}

TEST_F(ProtocolTest, OlderClientsAreAskedByRequests) {
  client_.stateless = false;
  EXPECT_EQ(result(ask("tools/call", R"({"name":"ask"})")).at("content").at(0).at("text"), "Hello Ann!");
  EXPECT_EQ(exchange_.asked, std::vector<std::string>{"elicitation/create"});
}

TEST_F(ProtocolTest, AClientThatCannotAnswerIsTold) {
  client_.capabilities = {};
  const Reply refused = ask("tools/call", R"({"name":"ask"})");
  EXPECT_EQ(code(refused), rpc_code::kMissingRequiredClientCapability);
  EXPECT_EQ(refused.status, 400);
  client_.stateless = false;
  EXPECT_EQ(result(ask("tools/call", R"({"name":"ask"})")).at("isError"), true);
}

TEST_F(ProtocolTest, OnlyWhoAsksHearsOfProgressAndLogs) {
  (void)ask("tools/call", R"({"name":"ask"})");
  EXPECT_TRUE(exchange_.notified.empty());
  client_.log_level = "info";
  (void)ask("tools/call", R"({"name":"ask","_meta":{"progressToken":7}})");
  ASSERT_EQ(exchange_.notified.size(), 2U);
  EXPECT_EQ(to_text(exchange_.notified[0].second), R"({"progressToken":7,"progress":1,"total":2,"message":"half"})");
  client_.log_level = "error";
  exchange_.notified.clear();
  (void)ask("tools/call", R"({"name":"ask"})");
  EXPECT_TRUE(exchange_.notified.empty());
}

TEST_F(ProtocolTest, MethodsOfTheOtherEraDoNotExist) {
  for (const std::string method : {"initialize", "ping", "logging/setLevel", "tasks/result", "resources/list"}) {
    EXPECT_EQ(code(ask(method, "{}")), rpc_code::kMethodNotFound) << method;
    EXPECT_EQ(ask(method, "{}").status, 404);
  }
  client_.stateless = false;
  EXPECT_EQ(code(ask("server/discover", "{}")), rpc_code::kMethodNotFound);
}

TEST(MessageStream, KeepsTheNewestWithinItsBound) {
  MessageStream stream;
  stream.push(std::string(MessageStream::kBytesMax - 10, 'a'));
  stream.push("second");
  stream.push("third");
  EXPECT_EQ(stream.items().size(), 2U);
  ASSERT_TRUE(stream.after(0));
  EXPECT_EQ(stream.after(0)->text, "second");
  EXPECT_EQ(stream.after(2)->text, "third");
  EXPECT_FALSE(stream.after(3));
  stream.finish();
  stream.push("late");
  EXPECT_EQ(stream.newest(), 3);
}

TEST(Sessions, BelongToTheirCallerAndEndWhenUnused) {
  SimClock clock;
  SessionTable table(clock);
  Client client;
  client.caller.id = "key:1";
  const auto session = table.open("s1", client);
  EXPECT_EQ(table.find("s1", "key:1"), session);
  EXPECT_FALSE(table.find("s1", "key:2"));
  const auto timer = clock.call_after(SessionTable::kIdleMax + Millis{1}, [] {});
  ASSERT_TRUE(clock.advance());
  (void)table.open("s2", client);
  EXPECT_FALSE(table.find("s1", "key:1"));
  EXPECT_EQ(table.size(), 1U);
  table.close_all();
}

}  // namespace
}  // namespace mayfly::mcp
