#include "server/faces/openai_chat.h"

#include "server/faces/face_error.h"
#include "server/faces/faces_test_support.h"

namespace mayfly::faces {
namespace {

using namespace testing;

TEST(ChatRequest, BecomesAConversation) {
  const auto decoded = decode_chat(R"({"model":"stub/one","stream":true,"stream_options":{"include_usage":true},"max_completion_tokens":9,
    "temperature":0.5,"stop":["X"],"user":"u1","metadata":{"session":"s1"},"parallel_tool_calls":false,"reasoning_effort":"high","top_p":0.9,"unheard_of":1,
    "tools":[{"type":"function","function":{"name":"add","description":"adds","parameters":{"type":"object"}}}],"tool_choice":"required",
    "response_format":{"type":"json_schema","json_schema":{"name":"n","schema":{"type":"object","title":"t"}}},
    "messages":[{"role":"system","content":"be kind"},{"role":"developer","content":[{"type":"text","text":"be brief"}]},
      {"role":"user","content":[{"type":"text","text":"look"},{"type":"image_url","image_url":{"url":"data:image/png;base64,QUJD","detail":"low"}},
                                {"type":"image_url","image_url":{"url":"https://x/y.png"}}]},
      {"role":"assistant","content":null,"tool_calls":[{"id":"c1","type":"function","function":{"name":"add","arguments":"{\"a\":1}"}},
                                                       {"id":"c2","type":"function","function":{"name":"add","arguments":"broken"}}]},
      {"role":"tool","tool_call_id":"c1","content":"3"},{"role":"tool","tool_call_id":"c2","content":[{"type":"text","text":"bad"}]},
      {"role":"user","content":"thanks"}]})");
  ASSERT_TRUE(decoded) << decoded.error().message;
  const llm::LlmRequest& request = decoded->request;
  EXPECT_EQ(request.model, "stub/one");
  EXPECT_EQ(request.system, "be kind\n\nbe brief");
  EXPECT_EQ(request.output_tokens_max, 9);
  EXPECT_EQ(request.temperature, 0.5);
  EXPECT_EQ(request.stop, std::vector<std::string>{"X"});
  EXPECT_EQ(request.tool_choice, llm::ToolChoice::Required);
  EXPECT_FALSE(request.parallel_tool_calls);
  EXPECT_EQ(request.reasoning, llm::ReasoningEffort::High);
  ASSERT_EQ(request.tools.size(), 1u);
  EXPECT_EQ(request.tools[0].description, "adds");
  ASSERT_TRUE(request.output_schema);
  EXPECT_EQ(get_string(request.output_schema->get_object(), "title"), "t");
  EXPECT_TRUE(decoded->stream);
  EXPECT_TRUE(decoded->include_usage);
  EXPECT_EQ(decoded->session, "s1");
  EXPECT_EQ(decoded->ignored, std::vector<std::string>{"top_p"});

  ASSERT_EQ(request.messages.size(), 4u);
  ASSERT_EQ(request.messages[0].content.size(), 3u);
  EXPECT_EQ(request.messages[0].content[1].media_type, "image/png");
  EXPECT_EQ(request.messages[0].content[1].data, "QUJD");
  EXPECT_EQ(request.messages[0].content[2].url, "https://x/y.png");
  EXPECT_EQ(to_text(request.messages[1].content[0].arguments), R"({"a":1})");
  EXPECT_TRUE(request.messages[1].content[1].arguments.is_null());
  EXPECT_EQ(request.messages[1].content[1].text, "broken");
  EXPECT_EQ(request.messages[2].role, llm::Role::Tool);
  ASSERT_EQ(request.messages[2].content.size(), 2u);
  EXPECT_EQ(request.messages[2].content[1].text, "bad");
  EXPECT_EQ(llm::text_of(request.messages[3]), "thanks");
}

TEST(ChatRequest, ANamedFunctionIsTheOnlyOneOffered) {
  const auto decoded = decode_chat(R"({"model":"m","messages":[{"role":"user","content":"x"}],
    "tools":[{"type":"function","function":{"name":"a"}},{"type":"function","function":{"name":"b"}}],
    "tool_choice":{"type":"function","function":{"name":"b"}}})");
  ASSERT_TRUE(decoded) << decoded.error().message;
  ASSERT_EQ(decoded->request.tools.size(), 1u);
  EXPECT_EQ(decoded->request.tools[0].name, "b");
  EXPECT_EQ(decoded->request.tool_choice, llm::ToolChoice::Required);
}

TEST(ChatRequest, WhatCannotBeDoneIsRefusedByName) {
  const auto with = [](const std::string& field) {
    return param_of(decode_chat(R"({"model":"m","messages":[{"role":"user","content":"x"}],)" + field + "}"));
  };
  EXPECT_EQ(with(R"("n":2)"), "n");
  EXPECT_EQ(with(R"("n":1)"), "(accepted)");
  EXPECT_EQ(with(R"("logprobs":true)"), "logprobs");
  EXPECT_EQ(with(R"("audio":{"voice":"v"})"), "audio");
  EXPECT_EQ(with(R"("modalities":["text","audio"])"), "modalities");
  EXPECT_EQ(with(R"("functions":[])"), "functions");
  EXPECT_EQ(with(R"("logit_bias":{"5":1})"), "logit_bias");
  EXPECT_EQ(with(R"("tools":[{"type":"web_search"}])"), "tools[0].type");
  EXPECT_EQ(with(R"("temperature":3)"), "temperature");
  EXPECT_EQ(with(R"("max_tokens":0)"), "max_tokens");
  EXPECT_EQ(with(R"("tool_choice":{"type":"function","function":{"name":"none"}})"), "tool_choice");
  EXPECT_EQ(param_of(decode_chat(R"({"model":"m","messages":[]})")), "messages");
  EXPECT_EQ(param_of(decode_chat(R"({"messages":[{"role":"user","content":"x"}]})")), "model");
  EXPECT_EQ(param_of(decode_chat(R"({"model":"m","messages":[{"role":"user","content":[{"type":"input_audio"}]}]})")),
            "messages[0].content[0].type");
  EXPECT_EQ(param_of(decode_chat(
                R"({"model":"m","messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"file:///etc/passwd"}}]}]})")),
            "messages[0].content[0].image_url.url");
  EXPECT_FALSE(decode_chat("[]"));
  EXPECT_FALSE(decode_chat("{"));
}

TEST(ChatAnswer, HoldsTextCallsReasoningAndUsage) {
  const JsonObject answer = encode_chat(test_head(), rich_response());
  EXPECT_EQ(get_string(answer, "object"), "chat.completion");
  const JsonObject& choice = answer.at("choices").as_array().at(0).as_object();
  EXPECT_EQ(get_string(choice, "finish_reason"), "tool_calls");
  const JsonObject& message = choice.at("message").as_object();
  EXPECT_EQ(get_string(message, "content"), "I look.");
  EXPECT_EQ(get_string(message, "reasoning_content"), "hm");
  EXPECT_EQ(to_text(message.at("tool_calls").at(0)),
            R"({"id":"call_1","type":"function","function":{"name":"add","arguments":"{\"a\":2}"}})");
  EXPECT_EQ(
      to_text(answer.at("usage")),
      R"({"prompt_tokens":17,"completion_tokens":7,"total_tokens":24,"prompt_tokens_details":{"cached_tokens":5},"completion_tokens_details":{"reasoning_tokens":3}})");
}

TEST(ChatStreamTest, ChunksConcatenateToTheAnswer) {
  ChatStream stream(test_head(), true);
  const auto events = events_of(stream_of(stream, rich_deltas(), rich_response()));
  ASSERT_GE(events.size(), 5u);
  EXPECT_EQ(events.back().data, "[DONE]");
  std::string text, reasoning, arguments[2], finish;
  std::vector<std::string> ids;
  for (std::size_t i = 0; i + 2 < events.size(); ++i) {
    const JsonObject chunk = object(events[i].data);
    EXPECT_EQ(get_string(chunk, "object"), "chat.completion.chunk");
    EXPECT_EQ(get_string(chunk, "id"), "chatcmpl-01TEST");
    EXPECT_TRUE(chunk.at("usage").is_null());
    const JsonObject& choice = chunk.at("choices").as_array().at(0).as_object();
    const JsonObject& delta = choice.at("delta").as_object();
    EXPECT_EQ(delta.contains("role"), i == 0) << "only the first chunk tells the role";
    text += get_string(delta, "content");
    reasoning += get_string(delta, "reasoning_content");
    finish += get_string(choice, "finish_reason");
    if (const JsonArray* calls = get_array(delta, "tool_calls")) {
      const JsonObject& call = calls->at(0).as_object();
      if (call.contains("id")) ids.push_back(get_string(call, "id"));
      arguments[get_int(call, "index")] += get_string(call.at("function").as_object(), "arguments");
    }
  }
  EXPECT_EQ(text, "I look.");
  EXPECT_EQ(reasoning, "hm");
  EXPECT_EQ(finish, "tool_calls");
  EXPECT_EQ(ids, (std::vector<std::string>{"call_1", "call_2"}));
  EXPECT_EQ(arguments[0], R"({"a":2})");
  EXPECT_EQ(arguments[1], "{}");
  const JsonObject last = object(events[events.size() - 2].data);
  EXPECT_TRUE(last.at("choices").as_array().empty());
  EXPECT_EQ(get_int(last.at("usage").as_object(), "total_tokens"), 24);
}

TEST(ChatStreamTest, AnAnswerThatDidNotStreamIsSentWhole) {
  ChatStream stream(test_head(), false);
  const auto events = events_of(stream_of(stream, {}, rich_response()));
  std::string all;
  for (const auto& event : events) all += event.data;
  EXPECT_NE(all.find("I look."), std::string::npos);
  EXPECT_NE(all.find("call_2"), std::string::npos);
  EXPECT_EQ(all.find("\"usage\""), std::string::npos) << "nobody asked for usage";
}

TEST(ChatStreamTest, AnErrorInTheMiddleIsAnErrorObjectAndTheEnd) {
  ChatStream stream(test_head(), false);
  std::string bytes = stream.delta(text_delta("I "));
  bytes += stream.fail(face_error(llm::LlmError{{"llm.rate_limited", "slow down", Retry::Safe}, {}, 429}));
  const auto events = events_of(bytes);
  const JsonObject error = object(events.back().data).at("error").as_object();
  EXPECT_EQ(get_string(error, "type"), "rate_limit_error");
  EXPECT_EQ(get_string(error, "code"), "rate_limit_exceeded");
}

TEST(StreamEncoderTest, ARestartBeforeAnyWordIsHarmlessAndAfterOneBreaksTheStream) {
  ChatStream stream(test_head(), false);
  stream.delta({.kind = LlmDelta::Kind::Restart});
  EXPECT_FALSE(stream.broken());
  stream.delta(text_delta("word"));
  stream.delta({.kind = LlmDelta::Kind::Restart});
  EXPECT_TRUE(stream.broken());
}

TEST(FaceErrors, KeepTheMeaningInBothShapes) {
  const FaceError busy = face_error(llm::LlmError{{"llm.overloaded", "busy", Retry::Safe}, Millis{2'500}, 529});
  const auto openai = error_response(busy, Api::OpenAi);
  EXPECT_EQ(openai.status, 503);
  EXPECT_EQ(openai.headers.get("retry-after"), "3");
  EXPECT_EQ(openai.headers.get("x-should-retry"), "");
  const auto anthropic = error_response(busy, Api::Anthropic);
  EXPECT_EQ(anthropic.status, 529);
  EXPECT_EQ(anthropic.body, R"({"type":"error","error":{"type":"overloaded_error","message":"busy"}})");

  const FaceError bad_key = face_error(llm::LlmError{{"llm.authentication", "the provider refuses the key", Retry::Never}, {}, 401});
  EXPECT_EQ(bad_key.status, 502) << "the client's own key is fine";
  EXPECT_EQ(error_response(bad_key, Api::OpenAi).headers.get("x-should-retry"), "false");
  const FaceError unknown = face_error(Error{"agent.not_found", "no such agent", Retry::Never});
  EXPECT_EQ(error_response(unknown, Api::OpenAi).body,
            R"({"error":{"message":"no such agent","type":"invalid_request_error","param":null,"code":"model_not_found"}})");
}

}  // namespace
}  // namespace mayfly::faces
