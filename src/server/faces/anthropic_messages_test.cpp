#include "server/faces/anthropic_messages.h"

#include "server/faces/face_error.h"
#include "server/faces/faces_test_support.h"

namespace mayfly::faces {
namespace {

using namespace testing;

TEST(MessagesRequest, BecomesAConversation) {
  const auto decoded = decode_messages(R"({"model":"anthropic/claude-sonnet-4-5","max_tokens":100,"stream":true,"stop_sequences":["X"],
    "system":[{"type":"text","text":"be kind","cache_control":{"type":"ephemeral"}}],"metadata":{"user_id":"u"},
    "tools":[{"name":"add","description":"adds","input_schema":{"type":"object"}}],"tool_choice":{"type":"any","disable_parallel_tool_use":true},
    "messages":[{"role":"user","content":[{"type":"text","text":"look"},{"type":"image","source":{"type":"base64","media_type":"image/png","data":"QUJD"}}]},
      {"role":"assistant","content":[{"type":"thinking","thinking":"hm","signature":"U0lH"},{"type":"text","text":"I look"},
                                     {"type":"tool_use","id":"t1","name":"add","input":{"a":1}}]},
      {"role":"user","content":[{"type":"tool_result","tool_use_id":"t1","content":[{"type":"text","text":"3"}],"is_error":true},{"type":"text","text":"and now?"}]}]})",
                                       {});
  ASSERT_TRUE(decoded) << decoded.error().message;
  const llm::LlmRequest& request = decoded->request;
  EXPECT_EQ(request.system, "be kind");
  EXPECT_TRUE(request.cache_prompt) << "the client marks what is to be cached";
  EXPECT_EQ(request.tool_choice, llm::ToolChoice::Required);
  EXPECT_FALSE(request.parallel_tool_calls);
  EXPECT_EQ(request.output_tokens_max, 100);
  ASSERT_EQ(request.messages.size(), 4u);
  EXPECT_EQ(request.messages[0].content[1].data, "QUJD");
  const auto& thought = request.messages[1].content[0];
  EXPECT_EQ(to_text(thought.opaque), R"({"api":"anthropic","model":"claude-sonnet-4-5","signature":"U0lH"})");
  EXPECT_EQ(request.messages[2].role, llm::Role::Tool);
  EXPECT_TRUE(request.messages[2].content[0].is_error);
  EXPECT_EQ(llm::text_of(request.messages[3]), "and now?");
}

TEST(MessagesRequest, ThinkingBudgetsLeaveRoomInTheLimit) {
  const auto decoded =
      decode_messages(R"({"model":"claude-sonnet-4-5","max_tokens":10000,"thinking":{"type":"enabled","budget_tokens":5000},
    "messages":[{"role":"user","content":"x"}]})",
                      {});
  ASSERT_TRUE(decoded);
  EXPECT_EQ(decoded->request.reasoning, llm::ReasoningEffort::Medium);
  EXPECT_EQ(decoded->request.output_tokens_max, 10'000 - 4'096);
  EXPECT_FALSE(decoded->request.cache_prompt);
}

TEST(MessagesRequest, WhatCannotBeDoneIsRefusedByName) {
  const auto with = [](const std::string& field) {
    return param_of(decode_messages(R"({"model":"m","max_tokens":5,"messages":[{"role":"user","content":"x"}],)" + field + "}", {}));
  };
  EXPECT_EQ(with(R"("tools":[{"type":"web_search_20250305","name":"web_search"}])"), "tools[0].type");
  EXPECT_EQ(with(R"("mcp_servers":[{}])"), "mcp_servers");
  EXPECT_EQ(with(R"("tool_choice":{"type":"tool","name":"x"})"), "tool_choice");
  EXPECT_EQ(with(R"("top_k":5)"), "(accepted)");
  EXPECT_EQ(param_of(decode_messages(R"({"model":"m","messages":[{"role":"user","content":"x"}]})", {})), "max_tokens");
  EXPECT_EQ(param_of(decode_messages(R"({"model":"m","max_tokens":5,"messages":[{"role":"user","content":[{"type":"document"}]}]})", {})),
            "messages[0].content[0].type");
  EXPECT_EQ(param_of(decode_messages(R"({"model":"m","max_tokens":5,"messages":[{"role":"tool","content":"x"}]})", {})),
            "messages[0].role");
}

TEST(MessagesStreamTest, FollowsTheOfficialOrder) {
  MessagesStream stream(test_head());
  const auto events = events_of(stream_of(stream, rich_deltas(), rich_response()));
  EXPECT_EQ(names_of(events), (std::vector<std::string>{"message_start",       "content_block_start", "ping",
                                                        "content_block_delta", "content_block_delta", "content_block_delta",
                                                        "content_block_stop",  "content_block_start", "content_block_delta",
                                                        "content_block_delta", "content_block_stop",  "content_block_start",
                                                        "content_block_delta", "content_block_delta", "content_block_stop",
                                                        "content_block_start", "content_block_delta", "content_block_stop",
                                                        "message_delta",       "message_stop"}));
  std::string arguments;
  for (const auto& event : events) {
    const JsonObject data = object(event.data);
    EXPECT_EQ(get_string(data, "type"), event.event);
    if (event.event == "content_block_delta" && get_int(data, "index") == 2)
      arguments += get_string(data.at("delta").as_object(), "partial_json");
  }
  EXPECT_EQ(arguments, R"({"a":2})");
  const JsonObject last = object(events[events.size() - 2].data);
  EXPECT_EQ(get_string(last.at("delta").as_object(), "stop_reason"), "tool_use");
  EXPECT_EQ(to_text(last.at("usage")),
            R"({"input_tokens":10,"cache_creation_input_tokens":2,"cache_read_input_tokens":5,"output_tokens":7})");
}

TEST(MessagesStreamTest, ThinkingComesBackWithWhatItsProviderWants) {
  MessagesStream stream(test_head());
  const auto events = events_of(stream_of(stream, rich_deltas(), rich_response()));
  std::string signature;
  for (const auto& event : events)
    if (event.event == "content_block_delta")
      if (const auto found = get_string(object(event.data).at("delta").as_object(), "signature"); !found.empty()) signature = found;
  ASSERT_EQ(stream.remembered().size(), 1u);
  EXPECT_EQ(stream.remembered()[0].first, signature);
  const auto decoded =
      decode_messages(R"({"model":"m","max_tokens":5,"messages":[{"role":"user","content":"x"},{"role":"assistant","content":[
      {"type":"thinking","thinking":"hm","signature":")" +
                          signature + R"("}]}]})",
                      [&](std::string_view id) { return id == signature ? std::optional(stream.remembered()[0].second) : std::nullopt; });
  ASSERT_TRUE(decoded) << decoded.error().message;
  EXPECT_EQ(to_text(decoded->request.messages[1].content[0].opaque), R"({"api":"other","secret":"s"})");
}

TEST(MessagesAnswer, HoldsBlocksAndKeepsClaudesSignature) {
  llm::LlmResponse response = rich_response();
  response.message.content[0].opaque = JsonObject{{"api", "anthropic"}, {"model", "claude"}, {"signature", "U0lH"}};
  Remembered remembered;
  const JsonObject answer = encode_messages(test_head(), response, remembered);
  EXPECT_EQ(to_text(answer.at("content").at(0)), R"({"type":"thinking","thinking":"hm","signature":"U0lH"})");
  EXPECT_EQ(to_text(answer.at("content").at(2)), R"({"type":"tool_use","id":"call_1","name":"add","input":{"a":2}})");
  EXPECT_EQ(get_string(answer, "stop_reason"), "tool_use");
  EXPECT_TRUE(remembered.empty());
}

TEST(MessagesStreamTest, AnErrorInTheMiddleIsAnErrorEvent) {
  MessagesStream stream(test_head());
  std::string bytes = stream.delta(text_delta("Hi"));
  bytes += stream.fail(face_error(llm::LlmError{{"llm.overloaded", "busy", Retry::Safe}, {}, 529}));
  const auto events = events_of(bytes);
  EXPECT_EQ(events.back().event, "error");
  EXPECT_EQ(events.back().data, R"({"type":"error","error":{"type":"overloaded_error","message":"busy"}})");
}

}  // namespace
}  // namespace mayfly::faces
