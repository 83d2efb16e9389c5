#include <gtest/gtest.h>

#include <set>

#include "llm/anthropic_provider.h"
#include "llm/openai_chat_provider.h"
#include "llm/openai_responses_provider.h"

namespace mayfly::llm {
namespace {

struct Seen {
  std::string text, reasoning, arguments;
  int starts = 0;
};

/// Feeds `wire` in pieces of `chunk` bytes.
LlmResult decode(StreamDecoder& decoder, std::string_view wire, std::size_t chunk) {
  net::SseParser parser([&](const net::SseEvent& event) { decoder.event(event); });
  for (std::size_t at = 0; at < wire.size(); at += chunk) EXPECT_TRUE(parser.feed(wire.substr(at, chunk)));
  return decoder.finish();
}

template <class Make>
LlmResult decode_in_every_chunking(Make make, std::string_view wire, Seen* seen) {
  LlmResult whole;
  std::string expected;
  for (std::size_t chunk = wire.size(); chunk > 0; chunk = chunk > 64 ? chunk / 2 : chunk - 1) {
    Seen now;
    auto decoder = make([&](const LlmDelta& delta) {
      EXPECT_TRUE(is_utf8(delta.text));
      if (delta.kind == LlmDelta::Kind::Text) now.text += delta.text;
      if (delta.kind == LlmDelta::Kind::Reasoning) now.reasoning += delta.text;
      if (delta.kind == LlmDelta::Kind::ToolCallArguments) now.arguments += std::to_string(delta.index) + ":" + delta.text + ";";
      if (delta.kind == LlmDelta::Kind::ToolCallStart) ++now.starts;
    });
    whole = decode(*decoder, wire, chunk);
    const std::string got = whole ? to_text(to_json(*whole)) : whole.error().error.code;
    if (expected.empty()) expected = got;
    EXPECT_EQ(got, expected) << "in chunks of " << chunk;
    *seen = now;
  }
  return whole;
}

const auto make_anthropic = [](StreamDecoder::OnDelta on_delta) {
  return std::make_unique<AnthropicDecoder>("anthropic", "claude-sonnet-4-5", std::move(on_delta));
};
const auto make_chat = [](StreamDecoder::OnDelta on_delta) { return std::make_unique<OpenAiChatDecoder>("openai", std::move(on_delta)); };
const auto make_responses = [](StreamDecoder::OnDelta on_delta) {
  return std::make_unique<OpenAiResponsesDecoder>("openai", "gpt-5.5", std::move(on_delta));
};

constexpr std::string_view kAnthropicStream = R"sse(event: message_start
data: {"type":"message_start","message":{"id":"msg_01","type":"message","role":"assistant","content":[],"model":"claude-sonnet-4-5-20250929","stop_reason":null,"stop_sequence":null,"usage":{"input_tokens":472,"cache_creation_input_tokens":10,"cache_read_input_tokens":300,"output_tokens":2}}}

event: content_block_start
data: {"type":"content_block_start","index":0,"content_block":{"type":"thinking","thinking":"","signature":""}}

event: content_block_delta
data: {"type":"content_block_delta","index":0,"delta":{"type":"thinking_delta","thinking":"Über "}}

event: content_block_delta
data: {"type":"content_block_delta","index":0,"delta":{"type":"thinking_delta","thinking":"€"}}

event: content_block_delta
data: {"type":"content_block_delta","index":0,"delta":{"type":"signature_delta","signature":"EqQBCg=="}}

event: content_block_stop
data: {"type":"content_block_stop","index":0}

event: content_block_start
data: {"type":"content_block_start","index":1,"content_block":{"type":"text","text":""}}

event: ping
data: {"type": "ping"}

event: content_block_delta
data: {"type":"content_block_delta","index":1,"delta":{"type":"text_delta","text":"Okay, 你"}}

event: content_block_delta
data: {"type":"content_block_delta","index":1,"delta":{"type":"text_delta","text":"好 😀"}}

event: content_block_stop
data: {"type":"content_block_stop","index":1}

event: content_block_start
data: {"type":"content_block_start","index":2,"content_block":{"type":"tool_use","id":"toolu_01","name":"get_weather","input":{}}}

event: content_block_delta
data: {"type":"content_block_delta","index":2,"delta":{"type":"input_json_delta","partial_json":""}}

event: content_block_delta
data: {"type":"content_block_delta","index":2,"delta":{"type":"input_json_delta","partial_json":"{\"location\":"}}

event: content_block_delta
data: {"type":"content_block_delta","index":2,"delta":{"type":"input_json_delta","partial_json":" \"Zürich\"}"}}

event: content_block_stop
data: {"type":"content_block_stop","index":2}

event: content_block_start
data: {"type":"content_block_start","index":3,"content_block":{"type":"tool_use","id":"toolu_02","name":"now","input":{}}}

event: content_block_stop
data: {"type":"content_block_stop","index":3}

event: message_delta
data: {"type":"message_delta","delta":{"stop_reason":"tool_use","stop_sequence":null},"usage":{"output_tokens":89}}

event: message_stop
data: {"type":"message_stop"}

)sse";

TEST(AnthropicDecoder, ThinkingTextAndToolCallsInEveryChunking) {
  Seen seen;
  const LlmResult result = decode_in_every_chunking(make_anthropic, kAnthropicStream, &seen);
  ASSERT_TRUE(result) << result.error().error.message;
  EXPECT_EQ(seen.reasoning, "Über €");
  EXPECT_EQ(seen.text, "Okay, 你好 😀");
  EXPECT_EQ(seen.arguments, R"(0:{"location":;0: "Zürich"};)");
  EXPECT_EQ(seen.starts, 2);
  ASSERT_EQ(result->message.content.size(), 4u);
  EXPECT_EQ(result->message.content[0].text, "Über €");
  EXPECT_EQ(to_text(result->message.content[0].opaque), R"({"api":"anthropic","model":"claude-sonnet-4-5","signature":"EqQBCg=="})");
  EXPECT_EQ(text_of(result->message), seen.text);
  EXPECT_EQ(to_text(result->message.content[2].arguments), R"({"location":"Zürich"})");
  EXPECT_EQ(result->message.content[2].id, "toolu_01");
  EXPECT_EQ(to_text(result->message.content[3].arguments), "{}");
  EXPECT_EQ(result->stop_reason, StopReason::ToolCalls);
  EXPECT_EQ(result->usage, (Usage{472, 300, 10, 89, 0}));
  EXPECT_EQ(result->model, "claude-sonnet-4-5-20250929");
  EXPECT_EQ(result->response_id, "msg_01");
  EXPECT_EQ(result->provider, "anthropic");
}

TEST(AnthropicDecoder, AStreamCutAnywhereIsNoAnswer) {
  for (std::size_t size = 0; size + 60 < kAnthropicStream.size(); size += 97) {
    const auto decoder = make_anthropic(nullptr);
    const LlmResult result = decode(*decoder, kAnthropicStream.substr(0, size), 50);
    ASSERT_FALSE(result) << size;
    EXPECT_EQ(result.error().error.code, "llm.bad_response");
    EXPECT_EQ(result.error().error.retry, Retry::OutcomeUnknown);
  }
}

LlmResult anthropic_end(std::string_view stop_reason) {
  const auto decoder = make_anthropic(nullptr);
  return decode(*decoder,
                "data: {\"type\":\"message_start\",\"message\":{\"id\":\"m\"}}\n\n"
                "data: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"tool_use\",\"id\":\"t\",\"name\":\"f\"}}\n\n"
                "data: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"input_json_delta\",\"partial_json\":\"{\\\"a\"}}\n\n"
                "data: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"" +
                    std::string(stop_reason) + "\"}}\n\ndata: {\"type\":\"message_stop\"}\n\n",
                1000);
}

TEST(AnthropicDecoder, StopReasonsAndBrokenArguments) {
  const std::vector<std::pair<std::string_view, StopReason>> cases{
      {"end_turn", StopReason::End},     {"max_tokens", StopReason::Length}, {"stop_sequence", StopReason::StopSequence},
      {"refusal", StopReason::Refusal},  {"tool_use", StopReason::ToolCalls}, {"model_context_window_exceeded", StopReason::Length},
      {"pause_turn", StopReason::Other}, {"unheard_of", StopReason::Other}};
  for (const auto& [name, expected] : cases) {
    const LlmResult result = anthropic_end(name);
    ASSERT_TRUE(result) << name;
    EXPECT_EQ(result->stop_reason, expected) << name;
    EXPECT_TRUE(result->message.content[0].arguments.is_null());
    EXPECT_EQ(result->message.content[0].text, "{\"a");
  }
}

TEST(AnthropicDecoder, ErrorEventsInTheStream) {
  const std::string error = "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"Overloaded\"}}\n\n";
  auto decoder = make_anthropic(nullptr);
  LlmResult result = decode(*decoder, std::string(kAnthropicStream.substr(0, 700)) + "\n\n" + error, 10'000);
  ASSERT_FALSE(result);
  decoder = make_anthropic(nullptr);
  result = decode(*decoder, error, 10'000);
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().error.code, "llm.overloaded");
  EXPECT_EQ(result.error().error.retry, Retry::Safe);
  decoder = make_anthropic(nullptr);
  result = decode(*decoder, "data: {\"type\":\"message_start\",\"message\":{\"id\":\"m\"}}\n\n" + error, 10'000);
  EXPECT_EQ(result.error().error.code, "llm.overloaded");
  EXPECT_EQ(result.error().error.retry, Retry::OutcomeUnknown);
}

TEST(AnthropicDecoder, GarbageIsABadResponse) {
  for (const char* wire : {"data: hello\n\n", "data: [1]\n\n", "data: {\"type\":\"message_start\"}\n\n", "<html></html>\n\n", ""}) {
    const auto decoder = make_anthropic(nullptr);
    const LlmResult result = decode(*decoder, wire, 3);
    ASSERT_FALSE(result) << wire;
    EXPECT_EQ(result.error().error.code, "llm.bad_response");
  }
}

constexpr std::string_view kChatStream = R"sse(data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1,"model":"gpt-4.1-2025","choices":[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null}]}

data: {"id":"chatcmpl-1","choices":[{"index":0,"delta":{"content":"Grüß "},"finish_reason":null}]}

data: {"id":"chatcmpl-1","choices":[{"index":0,"delta":{"content":"dich 🙂"},"finish_reason":null}]}

data: {"id":"chatcmpl-1","choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"id":"call_a","type":"function","function":{"name":"add","arguments":""}}]},"finish_reason":null}]}

data: {"id":"chatcmpl-1","choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"function":{"arguments":"{\"a\":"}}]},"finish_reason":null}]}

data: {"id":"chatcmpl-1","choices":[{"index":0,"delta":{"tool_calls":[{"index":1,"id":"call_b","type":"function","function":{"name":"add","arguments":"{"}},{"index":0,"function":{"arguments":"2}"}}]},"finish_reason":null}]}

data: {"id":"chatcmpl-1","choices":[{"index":0,"delta":{},"finish_reason":"tool_calls"}]}

data: {"id":"chatcmpl-1","choices":[],"usage":{"prompt_tokens":100,"completion_tokens":20,"total_tokens":120,"prompt_tokens_details":{"cached_tokens":64,"cache_write_tokens":6},"completion_tokens_details":{"reasoning_tokens":5}}}

data: [DONE]

)sse";

TEST(OpenAiChatDecoder, TextAndParallelCallsInEveryChunking) {
  Seen seen;
  const LlmResult result = decode_in_every_chunking(make_chat, kChatStream, &seen);
  ASSERT_TRUE(result) << result.error().error.message;
  EXPECT_EQ(seen.text, "Grüß dich 🙂");
  EXPECT_EQ(seen.starts, 2);
  ASSERT_EQ(result->message.content.size(), 3u);
  EXPECT_EQ(to_text(result->message.content[1].arguments), R"({"a":2})");
  EXPECT_TRUE(result->message.content[2].arguments.is_null());
  EXPECT_EQ(result->message.content[2].text, "{");
  EXPECT_EQ(result->stop_reason, StopReason::ToolCalls);
  EXPECT_EQ(result->usage, (Usage{30, 64, 6, 20, 5}));
  EXPECT_EQ(result->model, "gpt-4.1-2025");
}

TEST(OpenAiChatDecoder, WhatCompatibleServersDo) {
  auto decoder = make_chat(nullptr);
  LlmResult result = decode(*decoder,
                            "data: {\"choices\":[{\"delta\":{\"reasoning_content\":\"hm\"}}]}\n\n"
                            "data: {\"choices\":[{\"delta\":{\"tool_calls\":[{\"id\":\"1\",\"function\":{\"name\":\"a\",\"arguments\":\"{}\"}}]}}]}\n\n"
                            "data: {\"choices\":[{\"delta\":{\"tool_calls\":[{\"function\":{\"name\":\"b\",\"arguments\":{\"x\":1}}}]}}]}\n\n"
                            "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n",
                            1000);
  ASSERT_TRUE(result) << result.error().error.message;
  EXPECT_EQ(result->stop_reason, StopReason::ToolCalls);
  ASSERT_EQ(result->message.content.size(), 3u);
  EXPECT_EQ(result->message.content[0].kind, Content::Kind::Reasoning);
  EXPECT_EQ(result->message.content[2].name, "b");
  EXPECT_EQ(to_text(result->message.content[2].arguments), R"({"x":1})");
  EXPECT_FALSE(result->message.content[2].id.empty());
}

TEST(OpenAiChatDecoder, CallsWithoutIdsGetOnesOfTheirAnswersOwn) {
  const auto ids = [](const std::string& response) {
    const auto decoder = make_chat(nullptr);
    const LlmResult result = decode(*decoder, "data: {\"id\":\"" + response + "\",\"choices\":[{\"delta\":{\"tool_calls\":["
                                              "{\"index\":0,\"function\":{\"name\":\"a\",\"arguments\":\"{}\"}},"
                                              "{\"index\":1,\"function\":{\"name\":\"a\",\"arguments\":\"{}\"}}]},"
                                              "\"finish_reason\":\"tool_calls\"}]}\n\ndata: [DONE]\n\n", 50);
    std::set<std::string> out;
    EXPECT_TRUE(result) << result.error().error.message;
    if (result) for (const Content& part : result->message.content) out.insert(part.id);
    return out;
  };
  std::set<std::string> all = ids("gen/1:" + std::string(100, 'x'));
  all.merge(ids("gen/2"));
  EXPECT_EQ(all.size(), 4u);
  for (const std::string& id : all) {
    EXPECT_LE(id.size(), 40u) << "longer ones are refused by OpenAI";
    EXPECT_EQ(id.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789_"), std::string::npos) << id;
  }
}

TEST(OpenAiChatDecoder, RefusalLengthFilterErrorAndCut) {
  const auto end = [](std::string_view delta, std::string_view reason) {
    const auto decoder = make_chat(nullptr);
    return decode(*decoder,
                  "data: {\"choices\":[{\"delta\":" + std::string(delta) + ",\"finish_reason\":\"" + std::string(reason) +
                      "\"}]}\n\ndata: [DONE]\n\n",
                  1000);
  };
  const LlmResult refused = end(R"({"refusal":"I cannot"})", "stop");
  EXPECT_EQ(refused->stop_reason, StopReason::Refusal);
  EXPECT_EQ(refused->message.content[0].kind, Content::Kind::Refusal);
  EXPECT_EQ(end(R"({"content":"x"})", "length")->stop_reason, StopReason::Length);
  EXPECT_EQ(end(R"({"content":"x"})", "content_filter")->stop_reason, StopReason::ContentFilter);
  EXPECT_EQ(end(R"({"content":"x"})", "stop")->stop_reason, StopReason::End);
  EXPECT_FALSE(end(R"({"content":"x"})", ""));

  const auto decoder = make_chat(nullptr);
  const LlmResult error = decode(
      *decoder, "data: {\"choices\":[{\"delta\":{\"content\":\"x\"}}]}\n\ndata: {\"error\":{\"message\":\"boom\",\"type\":\"server_error\"}}\n\n", 9);
  EXPECT_EQ(error.error().error.code, "llm.server_error");
  EXPECT_EQ(error.error().error.retry, Retry::OutcomeUnknown);
}

constexpr std::string_view kResponsesStream = R"sse(event: response.created
data: {"type":"response.created","sequence_number":0,"response":{"id":"resp_1","object":"response","status":"in_progress","model":"gpt-5.5-2026","output":[],"usage":null}}

event: response.output_item.added
data: {"type":"response.output_item.added","output_index":0,"item":{"id":"rs_1","type":"reasoning","summary":[],"encrypted_content":"part"}}

event: response.reasoning_summary_part.added
data: {"type":"response.reasoning_summary_part.added","item_id":"rs_1","output_index":0,"summary_index":0,"part":{"type":"summary_text","text":""}}

event: response.reasoning_summary_text.delta
data: {"type":"response.reasoning_summary_text.delta","item_id":"rs_1","output_index":0,"summary_index":0,"delta":"**Plan"}

event: response.reasoning_summary_text.delta
data: {"type":"response.reasoning_summary_text.delta","item_id":"rs_1","output_index":0,"summary_index":0,"delta":"ung**"}

event: response.output_item.done
data: {"type":"response.output_item.done","output_index":0,"item":{"id":"rs_1","type":"reasoning","status":"completed","summary":[{"type":"summary_text","text":"**Planung**"}],"encrypted_content":"gAAAA"}}

event: response.output_item.added
data: {"type":"response.output_item.added","output_index":1,"item":{"id":"msg_1","type":"message","status":"in_progress","role":"assistant","content":[]}}

event: response.content_part.added
data: {"type":"response.content_part.added","item_id":"msg_1","output_index":1,"content_index":0,"part":{"type":"output_text","text":"","annotations":[]}}

event: response.output_text.delta
data: {"type":"response.output_text.delta","item_id":"msg_1","output_index":1,"content_index":0,"delta":"Hé"}

event: response.output_text.delta
data: {"type":"response.output_text.delta","item_id":"msg_1","output_index":1,"content_index":0,"delta":"llo 日本"}

event: response.output_text.done
data: {"type":"response.output_text.done","item_id":"msg_1","output_index":1,"content_index":0,"text":"Héllo 日本"}

event: response.output_item.done
data: {"type":"response.output_item.done","output_index":1,"item":{"id":"msg_1","type":"message","status":"completed","role":"assistant","phase":"commentary","content":[{"type":"output_text","text":"Héllo 日本","annotations":[]}]}}

event: response.output_item.added
data: {"type":"response.output_item.added","output_index":2,"item":{"id":"fc_1","type":"function_call","status":"in_progress","arguments":"","call_id":"call_9","name":"add"}}

event: response.function_call_arguments.delta
data: {"type":"response.function_call_arguments.delta","item_id":"fc_1","output_index":2,"delta":"{\"a\":1"}

event: response.function_call_arguments.delta
data: {"type":"response.function_call_arguments.delta","item_id":"fc_1","output_index":2,"delta":"}"}

event: response.function_call_arguments.done
data: {"type":"response.function_call_arguments.done","item_id":"fc_1","output_index":2,"arguments":"{\"a\":1}"}

event: response.output_item.done
data: {"type":"response.output_item.done","output_index":2,"item":{"id":"fc_1","type":"function_call","status":"completed","arguments":"{\"a\":1}","call_id":"call_9","name":"add"}}

event: response.completed
data: {"type":"response.completed","response":{"id":"resp_1","status":"completed","model":"gpt-5.5-2026","output":[],"usage":{"input_tokens":50,"input_tokens_details":{"cached_tokens":30},"output_tokens":40,"output_tokens_details":{"reasoning_tokens":25},"total_tokens":90}}}

)sse";

TEST(OpenAiResponsesDecoder, ReasoningTextAndCallInEveryChunking) {
  Seen seen;
  const LlmResult result = decode_in_every_chunking(make_responses, kResponsesStream, &seen);
  ASSERT_TRUE(result) << result.error().error.message;
  EXPECT_EQ(seen.text, "Héllo 日本");
  EXPECT_EQ(seen.reasoning, "**Planung**");
  EXPECT_EQ(seen.arguments, R"(0:{"a":1;0:};)");
  ASSERT_EQ(result->message.content.size(), 3u);
  EXPECT_EQ(
      to_text(result->message.content[0].opaque),
      R"({"api":"openai-responses","model":"gpt-5.5","item":{"type":"reasoning","id":"rs_1","summary":[{"type":"summary_text","text":"**Planung**"}],"encrypted_content":"gAAAA"}})");
  EXPECT_EQ(to_text(result->message.content[1].opaque), R"({"api":"openai-responses","phase":"commentary"})");
  EXPECT_EQ(result->message.content[2].id, "call_9");
  EXPECT_EQ(to_text(result->message.content[2].arguments), R"({"a":1})");
  EXPECT_EQ(result->stop_reason, StopReason::ToolCalls);
  EXPECT_EQ(result->usage, (Usage{20, 30, 0, 40, 25}));
  EXPECT_EQ(result->response_id, "resp_1");
}

LlmResult responses_end(std::string_view last) {
  const auto decoder = make_responses(nullptr);
  return decode(*decoder, "data: {\"type\":\"response.created\",\"response\":{\"id\":\"r\"}}\n\ndata: " + std::string(last) + "\n\n", 11);
}

TEST(OpenAiResponsesDecoder, EveryWayToEnd) {
  const LlmResult whole = responses_end(
      R"({"type":"response.completed","response":{"status":"completed","output":[{"type":"message","content":[{"type":"output_text","text":"late"}]},{"type":"function_call","call_id":"c","name":"f","arguments":"{}"}]}})");
  ASSERT_TRUE(whole) << whole.error().error.message;
  EXPECT_EQ(text_of(whole->message), "late");
  EXPECT_EQ(whole->stop_reason, StopReason::ToolCalls);
  EXPECT_EQ(responses_end(R"({"type":"response.incomplete","response":{"status":"incomplete","incomplete_details":{"reason":"max_output_tokens"}}})")
                ->stop_reason,
            StopReason::Length);
  EXPECT_EQ(responses_end(R"({"type":"response.incomplete","response":{"status":"incomplete","incomplete_details":{"reason":"content_filter"}}})")
                ->stop_reason,
            StopReason::ContentFilter);
  EXPECT_EQ(
      responses_end(
          R"({"type":"response.completed","response":{"status":"completed","output":[{"type":"message","content":[{"type":"refusal","refusal":"no"}]}]}})")
          ->stop_reason,
      StopReason::Refusal);
  const LlmResult failed = responses_end(
      R"({"type":"response.failed","response":{"status":"failed","error":{"code":"rate_limit_exceeded","message":"slow down"}}})");
  EXPECT_EQ(failed.error().error.code, "llm.rate_limited");
  EXPECT_EQ(failed.error().error.retry, Retry::OutcomeUnknown);
  EXPECT_EQ(responses_end(R"({"type":"error","code":"context_length_exceeded","message":"too long"})").error().error.code,
            "llm.context_too_long");
  EXPECT_EQ(responses_end(R"({"type":"response.in_progress"})").error().error.code, "llm.bad_response");
}

}  // namespace
}  // namespace mayfly::llm
