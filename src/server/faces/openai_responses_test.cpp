#include "server/faces/openai_responses.h"

#include "server/faces/face_error.h"
#include "server/faces/faces_test_support.h"
#include "server/faces/recall_store.h"

namespace mayfly::faces {
namespace {

using namespace testing;

TEST(ResponsesRequest, BecomesAConversation) {
  const auto decoded = decode_responses(R"({"model":"stub/gpt-5","instructions":"be kind","max_output_tokens":20,"store":false,
    "reasoning":{"effort":"minimal","summary":"auto"},"text":{"format":{"type":"json_schema","name":"n","schema":{"type":"object"}}},
    "include":["reasoning.encrypted_content"],"metadata":{"session":"s"},
    "tools":[{"type":"function","name":"add","parameters":{"type":"object"},"strict":true}],"tool_choice":{"type":"function","name":"add"},
    "input":[{"role":"developer","content":"be brief"},{"role":"user","content":[{"type":"input_text","text":"look"},{"type":"input_image","image_url":"https://x/y.png"}]},
      {"type":"reasoning","id":"rs_9","summary":[],"encrypted_content":"ENC"},
      {"type":"message","role":"assistant","content":[{"type":"output_text","text":"I look","annotations":[]}]},
      {"type":"function_call","call_id":"c1","name":"add","arguments":"{\"a\":1}"},
      {"type":"function_call_output","call_id":"c1","output":[{"type":"input_text","text":"3"}]}]})",
                                        {});
  ASSERT_TRUE(decoded) << decoded.error().message;
  const llm::LlmRequest& request = decoded->request;
  EXPECT_EQ(request.system, "be kind\n\nbe brief");
  EXPECT_EQ(request.output_tokens_max, 20);
  EXPECT_EQ(request.reasoning, llm::ReasoningEffort::None) << "GPT-5's least effort is called minimal";
  EXPECT_EQ(request.tool_choice, llm::ToolChoice::Required);
  EXPECT_TRUE(request.output_schema);
  ASSERT_EQ(request.messages.size(), 3u);
  const llm::Message& said = request.messages[1];
  ASSERT_EQ(said.content.size(), 3u) << "thought, text and call are one answer";
  EXPECT_EQ(get_string(said.content[0].opaque.get_object(), "model"), "gpt-5");
  EXPECT_EQ(get_string(said.content[0].opaque.at("item").get_object(), "encrypted_content"), "ENC");
  EXPECT_EQ(said.content[2].name, "add");
  EXPECT_EQ(request.messages[2].content[0].text, "3");
  EXPECT_EQ(get_bool(decoded->echo, "store", true), false);
  EXPECT_EQ(decoded->session, "s");
}

TEST(ResponsesRequest, WhatCannotBeDoneIsRefusedByName) {
  const auto with = [](const std::string& field) { return param_of(decode_responses(R"({"model":"m","input":"x",)" + field + "}", {})); };
  EXPECT_EQ(with(R"("background":true)"), "background");
  EXPECT_EQ(with(R"("background":false)"), "(accepted)");
  EXPECT_EQ(with(R"("previous_response_id":"resp_1")"), "previous_response_id");
  EXPECT_EQ(with(R"("conversation":"conv_1")"), "conversation");
  EXPECT_EQ(with(R"("tools":[{"type":"web_search"}])"), "tools[0].type");
  EXPECT_EQ(param_of(decode_responses(R"({"model":"m"})", {})), "input");
  EXPECT_EQ(param_of(decode_responses(R"({"model":"m","input":[{"type":"computer_call"}]})", {})), "input[0].type");
  EXPECT_EQ(param_of(decode_responses(R"({"model":"m","input":[{"role":"user","content":[{"type":"input_file","file_id":"f"}]}]})", {})),
            "input[0].content[0].type");
}

TEST(ResponsesStreamTest, FollowsTheOfficialOrder) {
  ResponsesStream stream(test_head());
  const auto events = events_of(stream_of(stream, {text_delta("Hi"), text_delta(" you")}, [] {
    llm::LlmResponse out;
    out.message = llm::Message::assistant("Hi you");
    return out;
  }()));
  EXPECT_EQ(names_of(events), (std::vector<std::string>{"response.created", "response.in_progress", "response.output_item.added",
                                                        "response.content_part.added", "response.output_text.delta",
                                                        "response.output_text.delta", "response.output_text.done",
                                                        "response.content_part.done", "response.output_item.done", "response.completed"}));
  for (std::size_t i = 0; i < events.size(); ++i) {
    const JsonObject data = object(events[i].data);
    EXPECT_EQ(get_string(data, "type"), events[i].event);
    EXPECT_EQ(get_int(data, "sequence_number", -1), static_cast<std::int64_t>(i));
  }
  const JsonObject done = object(events.back().data).at("response").as_object();
  EXPECT_EQ(get_string(done, "status"), "completed");
  EXPECT_EQ(get_string(done.at("output").at(0).at("content").at(0).as_object(), "text"), "Hi you");
}

TEST(ResponsesStreamTest, StreamsThoughtsAndCallsAsItems) {
  ResponsesStream stream(test_head());
  const auto events = events_of(stream_of(stream, rich_deltas(), rich_response()));
  const JsonObject done = object(events.back().data).at("response").as_object();
  const JsonArray& output = done.at("output").as_array();
  ASSERT_EQ(output.size(), 4u);
  EXPECT_EQ(get_string(output[0].as_object(), "type"), "reasoning");
  EXPECT_EQ(to_text(output[0].at("summary")), R"([{"type":"summary_text","text":"hm"}])");
  EXPECT_EQ(get_string(output[2].as_object(), "arguments"), R"({"a":2})");
  EXPECT_EQ(get_string(output[2].as_object(), "call_id"), "call_1");
  EXPECT_EQ(get_string(output[3].as_object(), "arguments"), "{}");
  EXPECT_EQ(get_int(done.at("usage").as_object(), "total_tokens"), 24);
  int argument_events = 0;
  for (const auto& event : events) argument_events += event.event == "response.function_call_arguments.done";
  EXPECT_EQ(argument_events, 2);
}

TEST(ResponsesStreamTest, ItemsCanBeReferredToInTheNextRequest) {
  ResponsesStream stream(test_head());
  const auto events = events_of(stream_of(stream, rich_deltas(), rich_response()));
  RecallStore store;
  store.keep("key1", stream.remembered());
  const JsonArray output = object(events.back().data).at("response").at("output").as_array();
  std::string input = R"({"role":"user","content":"q"})";
  for (const Json& item : output) input += R"(,{"type":"item_reference","id":")" + get_string(item.as_object(), "id") + "\"}";
  const std::string body = R"({"model":"m","input":[)" + input + "]}";

  const auto decoded = decode_responses(body, [&](std::string_view id) { return store.find("key1", id); });
  ASSERT_TRUE(decoded) << decoded.error().message;
  ASSERT_EQ(decoded->request.messages.size(), 2u);
  const auto& said = decoded->request.messages[1].content;
  ASSERT_EQ(said.size(), 4u);
  EXPECT_EQ(to_text(said[0].opaque), R"({"api":"other","secret":"s"})") << "the provider gets back what it wants with its thought";
  EXPECT_EQ(said[1].text, "I look.");
  EXPECT_EQ(to_text(said[2].arguments), R"({"a":2})");

  const auto stranger = decode_responses(body, [&](std::string_view id) { return store.find("key2", id); });
  ASSERT_FALSE(stranger) << "another key's items are not found";
  EXPECT_EQ(stranger.error().status, 404);
}

TEST(ResponsesAnswer, SaysWhyItIsIncomplete) {
  llm::LlmResponse response;
  response.message = llm::Message::assistant("half");
  response.stop_reason = llm::StopReason::Length;
  Remembered remembered;
  const JsonObject answer = encode_responses(test_head(), response, remembered);
  EXPECT_EQ(get_string(answer, "status"), "incomplete");
  EXPECT_EQ(to_text(answer.at("incomplete_details")), R"({"reason":"max_output_tokens"})");
  ASSERT_EQ(remembered.size(), 1u);
}

TEST(ResponsesStreamTest, AFailureEndsWithAFailedResponse) {
  ResponsesStream stream(test_head());
  std::string bytes = stream.delta(text_delta("Hi"));
  bytes += stream.fail(face_error(llm::LlmError{{"llm.server_error", "it broke", Retry::Safe}, {}, 500}));
  const auto events = events_of(bytes);
  EXPECT_EQ(events.back().event, "response.failed");
  const JsonObject failed = object(events.back().data).at("response").as_object();
  EXPECT_EQ(get_string(failed, "status"), "failed");
  EXPECT_EQ(to_text(failed.at("error")), R"({"code":"server_error","message":"it broke"})");
}

TEST(RecallStoreTest, ForgetsTheOldestFirst) {
  RecallStore store(2);
  for (const char* id : {"a", "b", "c"}) store.keep("k", {{id, Content::make_text(id)}});
  EXPECT_EQ(store.size(), 2u);
  EXPECT_FALSE(store.find("k", "a"));
  ASSERT_TRUE(store.find("k", "c"));
  EXPECT_EQ(store.find("k", "c")->text, "c");
}

}  // namespace
}  // namespace mayfly::faces
