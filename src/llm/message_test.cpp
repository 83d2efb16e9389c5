#include "llm/message.h"

#include <gtest/gtest.h>

#include "llm/prices.h"
#include "llm/provider.h"
#include "llm/stream_text.h"

namespace mayfly::llm {
namespace {

Message every_kind() {
  Message out = Message::assistant("hello");
  Content image;
  image.kind = Content::Kind::Image;
  image.media_type = "image/png";
  image.data = "aGk=";
  out.content.push_back(image);
  image = {};
  image.kind = Content::Kind::Image;
  image.url = "https://example.com/a.png";
  out.content.push_back(image);
  out.content.push_back(Content::make_tool_call("c1", "add", JsonObject{{"a", 1}}));
  Content broken = Content::make_tool_call("c2", "add", nullptr);
  broken.text = "{\"a\":";
  out.content.push_back(broken);
  out.content.push_back(Content::make_tool_result("c1", "2", true));
  Content thought = Content::make_text("hm");
  thought.kind = Content::Kind::Reasoning;
  thought.opaque = JsonObject{{"signature", "abc"}};
  out.content.push_back(thought);
  Content refusal = Content::make_text("no");
  refusal.kind = Content::Kind::Refusal;
  out.content.push_back(refusal);
  return out;
}

TEST(Message, EveryKindRoundTrips) {
  const Json json = to_json(every_kind());
  const auto back = message_from_json(json);
  ASSERT_TRUE(back) << back.error().message;
  EXPECT_EQ(to_text(to_json(*back)), to_text(json));
  EXPECT_EQ(back->content.size(), 8u);
  EXPECT_TRUE(back->content[4].arguments.is_null());
  EXPECT_EQ(back->content[4].text, "{\"a\":");
  EXPECT_TRUE(back->content[5].is_error);
  EXPECT_EQ(to_text(back->content[6].opaque), R"({"signature":"abc"})");
  EXPECT_EQ(text_of(*back), "hello");
}

TEST(Message, JsonFormIsTheJournalledOne) {
  EXPECT_EQ(to_text(to_json(Message::user("hi"))), R"({"role":"user","content":[{"type":"text","text":"hi"}]})");
}

TEST(Message, BadFormsAreRefusedWithARemedy) {
  for (const char* text : {"[]", R"({"role":"robot","content":[]})", R"({"role":"user"})", R"({"role":"user","content":[1]})",
                           R"({"role":"user","content":[{"type":"sound"}]})", R"({"role":"user","content":[{"type":"image"}]})",
                           R"({"role":"user","content":[{"type":"tool_call","id":"x"}]})",
                           R"({"role":"user","content":[{"type":"tool_call","name":"x","arguments":3}]})",
                           R"({"role":"tool","content":[{"type":"tool_result","text":"x"}]})"}) {
    const auto message = message_from_json(*parse_json(text));
    ASSERT_FALSE(message) << text;
    EXPECT_EQ(message.error().code, "llm.invalid_message");
    EXPECT_GT(message.error().message.size(), 10u);
  }
}

TEST(Message, ContentMayBeAPlainText) {
  const auto message = message_from_json(*parse_json(R"({"role":"user","content":"hi"})"));
  ASSERT_TRUE(message);
  EXPECT_EQ(text_of(*message), "hi");
}

TEST(Usage, SumsAndRoundTrips) {
  Usage a{1, 2, 3, 4, 5};
  a += Usage{10, 20, 30, 40, 50};
  EXPECT_EQ(a, (Usage{11, 22, 33, 44, 55}));
  EXPECT_EQ(a.total_input(), 66);
  EXPECT_EQ(usage_from_json(to_json(a)), a);
}

TEST(Request, RoundTripsWithEveryOption) {
  LlmRequest request;
  request.model = "m";
  request.system = "be brief";
  request.messages = {Message::user("hi"), every_kind()};
  request.tools = {{"add", "adds", *parse_json(R"({"type":"object"})")}};
  request.tool_choice = ToolChoice::Required;
  request.parallel_tool_calls = false;
  request.output_tokens_max = 77;
  request.temperature = 0.5;
  request.reasoning = ReasoningEffort::High;
  request.output_schema = *parse_json(R"({"type":"string"})");
  request.stop = {"END"};
  request.cache_prompt = false;
  request.user = "u-1";
  const Json json = to_json(request);
  const auto back = request_from_json(json);
  ASSERT_TRUE(back) << back.error().message;
  EXPECT_EQ(to_text(to_json(*back)), to_text(json));
  EXPECT_EQ(back->reasoning, ReasoningEffort::High);
  EXPECT_EQ(back->tool_choice, ToolChoice::Required);
  EXPECT_EQ(back->stop, std::vector<std::string>{"END"});
}

TEST(Request, BadFormsAreRefused) {
  for (const char* text : {"1", "{}", R"({"messages":[],"tools":[{}]})", R"({"messages":[],"reasoning":"immense"})",
                           R"({"messages":[],"tool_choice":"maybe"})", R"({"messages":[],"output_tokens_max":0})",
                           R"({"messages":[{"role":"x"}]})"}) {
    const auto request = request_from_json(*parse_json(text));
    ASSERT_FALSE(request) << text;
    EXPECT_EQ(request.error().code, "llm.invalid_request");
  }
}

TEST(Response, RoundTrips) {
  LlmResponse response{every_kind(), StopReason::ContentFilter, {1, 2, 3, 4, 5}, "anthropic", "claude", "msg_1", 1234};
  const auto back = response_from_json(to_json(response));
  ASSERT_TRUE(back);
  EXPECT_EQ(to_text(to_json(*back)), to_text(to_json(response)));
  EXPECT_FALSE(response_from_json(Json(3)));
}

TEST(StreamText, PrefixNeverSplitsACharacter) {
  const std::string text = "a€b";
  EXPECT_EQ(utf8_prefix(text, 1), 1u);
  EXPECT_EQ(utf8_prefix(text, 2), 1u);
  EXPECT_EQ(utf8_prefix(text, 4), 4u);
  EXPECT_EQ(utf8_prefix("€", 1), 3u);
  EXPECT_EQ(utf8_prefix("", 4), 0u);
}

TEST(Prices, LongestPrefixUpToADash) {
  const PriceTable& table = PriceTable::built_in();
  ASSERT_TRUE(table.find("claude-sonnet-4-5-20250929"));
  EXPECT_EQ(table.find("claude-sonnet-4-5-20250929")->input, 3'000);
  EXPECT_EQ(table.find("claude-opus-4-5")->output, 25'000);
  EXPECT_EQ(table.find("claude-opus-4-20250514")->output, 75'000);
  EXPECT_EQ(table.find("gpt-5-mini-2025-08-07")->cache_read, 25);
  EXPECT_EQ(table.find("gpt-5-nano")->cache_read, 5);
  EXPECT_FALSE(table.find("gpt-5.9-unheard"));
  EXPECT_FALSE(table.find(""));
}

TEST(Prices, CostIsExactAndZeroForUnknownModels) {
  const auto table = PriceTable::parse(
      R"({"version":"v1","models":{"m":{"input":3.0,"output":15.0,"cache_read":0.3,"cache_write":3.75},"plain":{"input":1,"output":2}}})");
  ASSERT_TRUE(table) << table.error().message;
  EXPECT_EQ(table->cost("m", {.input = 10, .cache_read = 100, .cache_write = 4, .output = 2, .reasoning = 1}),
            10 * 3'000 + 100 * 300 + 4 * 3'750 + 2 * 15'000);
  EXPECT_EQ(table->cost("plain-2", {.cache_read = 1}), 1'000);
  EXPECT_EQ(table->cost("other", {.input = 10}), 0);
  const auto overlay = PriceTable::parse(R"({"version":"mine","models":{"m":{"input":1,"output":1}}})");
  const PriceTable both = table->overlaid_with(*overlay);
  EXPECT_EQ(both.version(), "mine+v1");
  EXPECT_EQ(both.cost("m", {.input = 1}), 1'000);
  EXPECT_EQ(both.cost("plain", {.input = 1}), 1'000);
}

TEST(Prices, BadTablesAreRefused) {
  for (const char* text : {"{", "[]", R"({"models":{}})", R"({"version":"1"})", R"({"version":"1","models":{"m":{"input":1}}})",
                           R"({"version":"1","models":{"m":{"input":-1,"output":1}}})",
                           R"({"version":"1","models":{"m":{"input":"1","output":1}}})",
                           R"({"version":"1","models":{"m":{"input":1,"output":1,"cache_read":"x"}}})"}) {
    const auto table = PriceTable::parse(text);
    ASSERT_FALSE(table) << text;
    EXPECT_EQ(table.error().code, "prices.invalid");
  }
}

}  // namespace
}  // namespace mayfly::llm
