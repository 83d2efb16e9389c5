#include "llm/scripted_provider.h"

#include <gtest/gtest.h>

#include "llm/llm_test_support.h"

namespace mayfly::llm {
namespace {

using testing::call_with;
using testing::Loop;

constexpr std::string_view kScript = R"yaml(version: 1
conversations:
  - name: late parcel
    match: "WHERE is my order"
    turns:
      - text: "I'll look that up."
        tool_calls: [{name: get_order, arguments: {order_id: "A-1001", count: 2}}]
      - cases:
          - {contains: "Denied", text: "I am sorry"}
          - {contains: [on, "way"], text: "Both: {{tool_result}}"}
          - {text: "Else {{turn}} {{user}}"}
  - name: by pattern
    match: {regex: "order ([a-z]-[0-9]+)"}
    turns:
      - tool_calls: [{name: get, arguments: {id: "{{1}}", list: ["x {{1}}", 3]}}, {name: bad, arguments_text: "{broken"}]
  - name: both words
    match: [alpha, beta]
    turns:
      - {text: "cut", stop_reason: length, reasoning: "thinking"}
      - {text: "never", stop_reason: refusal}
  - name: failing
    match: fragile
    turns:
      - {error: {status: 429, retry_after: 1s, times: 2}, text: "after two failures"}
default: {text: "no script"}
)yaml";

std::unique_ptr<LlmProvider> provider(Loop& loop, std::string_view script = kScript) {
  auto made = make_scripted_provider(loop.clock, "scripted", script, "s.yaml");
  EXPECT_TRUE(made) << made.error().message;
  return std::move(*made);
}

LlmResponse ask(Loop& loop, LlmProvider& from, std::vector<Message> messages) {
  auto result = loop.run(from.complete(call_with(std::move(messages))));
  EXPECT_TRUE(result) << result.error().error.message;
  return std::move(*result);
}

Message tool_result(std::string text) {
  Message out;
  out.role = Role::Tool;
  out.content.push_back(Content::make_tool_result("x", std::move(text), false));
  return out;
}

TEST(ScriptedProvider, FollowsTheConversationByItsMessages) {
  Loop loop;
  const auto scripted = provider(loop);
  const Message question = Message::user("Hello, where is MY order?");
  const LlmResponse first = ask(loop, *scripted, {question});
  EXPECT_EQ(text_of(first.message), "I'll look that up.");
  EXPECT_EQ(first.stop_reason, StopReason::ToolCalls);
  ASSERT_EQ(first.message.content.size(), 2u);
  EXPECT_EQ(to_text(first.message.content[1].arguments), R"({"order_id":"A-1001","count":2})");
  EXPECT_EQ(first.message.content[1].id, ask(loop, *scripted, {question}).message.content[1].id);
  EXPECT_GE(first.usage.input, 1);
  EXPECT_GE(first.usage.output, 1);

  EXPECT_EQ(text_of(ask(loop, *scripted, {question, first.message, tool_result("access DENIED")}).message), "I am sorry");
  EXPECT_EQ(text_of(ask(loop, *scripted, {question, first.message, tool_result("on its"), tool_result("Way")}).message),
            "Both: on its\nWay");
  const LlmResponse other = ask(loop, *scripted, {question, first.message, tool_result("?")});
  EXPECT_EQ(text_of(other.message), "Else 1 Hello, where is MY order?");
  EXPECT_EQ(text_of(ask(loop, *scripted, {question, first.message, tool_result("?"), other.message}).message), "no script");
  EXPECT_EQ(text_of(ask(loop, *scripted, {question, first.message, Message::user("Where is my order")}).message), "I'll look that up.");
}

TEST(ScriptedProvider, CapturesFillArgumentsAndBrokenArgumentsStayText) {
  Loop loop;
  const auto scripted = provider(loop);
  const LlmResponse answer = ask(loop, *scripted, {Message::user("about order b-22 please")});
  EXPECT_EQ(to_text(answer.message.content[0].arguments), R"({"id":"b-22","list":["x b-22",3]})");
  EXPECT_TRUE(answer.message.content[1].arguments.is_null());
  EXPECT_EQ(answer.message.content[1].text, "{broken");
  EXPECT_NE(answer.message.content[0].id, answer.message.content[1].id);
}

TEST(ScriptedProvider, StopReasonsReasoningAndDefault) {
  Loop loop;
  const auto scripted = provider(loop);
  const LlmResponse cut = ask(loop, *scripted, {Message::user("Beta and Alpha")});
  EXPECT_EQ(cut.stop_reason, StopReason::Length);
  EXPECT_EQ(cut.message.content[0].kind, Content::Kind::Reasoning);
  const LlmResponse refused = ask(loop, *scripted, {Message::user("Beta and Alpha"), cut.message});
  EXPECT_EQ(refused.stop_reason, StopReason::Refusal);
  EXPECT_EQ(refused.message.content[0].kind, Content::Kind::Refusal);
  EXPECT_EQ(text_of(ask(loop, *scripted, {Message::user("only alpha")}).message), "no script");
}

TEST(ScriptedProvider, FailsAsOftenAsWrittenForEachRun) {
  Loop loop;
  const auto scripted = provider(loop);
  for (const char* run : {"run-1", "run-2"}) {
    for (int i = 0; i < 3; ++i) {
      LlmCall call = call_with({Message::user("a fragile thing")});
      call.scripted_key = run;
      const auto result = loop.run(scripted->complete(std::move(call)));
      ASSERT_EQ(result.has_value(), i == 2) << run << i;
      if (result) continue;
      EXPECT_EQ(result.error().error.code, "llm.rate_limited");
      EXPECT_EQ(result.error().retry_after, Millis{1'000});
      EXPECT_EQ(result.error().status, 429);
    }
  }
}

TEST(ScriptedProvider, StreamsAtOnceWithoutATimer) {
  Loop loop;
  const auto scripted = provider(loop);
  LlmCall call = call_with({Message::user("where is my order")});
  std::vector<LlmDelta> deltas;
  call.on_delta = [&](const LlmDelta& delta) { deltas.push_back(delta); };
  ASSERT_TRUE(loop.run(scripted->complete(std::move(call))));
  EXPECT_EQ(loop.clock.timers_made, 0);
  ASSERT_EQ(deltas.size(), 3u);
  EXPECT_EQ(deltas[0].text, "I'll look that up.");
  EXPECT_EQ(deltas[1].name, "get_order");
  EXPECT_EQ(deltas[2].text, R"({"order_id":"A-1001","count":2})");
}

TEST(ScriptedProvider, StreamsAtTheGivenSpeedAndStopsWhenCancelled) {
  Loop loop;
  const auto scripted = provider(loop, "version: 1\ntokens_per_second: 50\ndefault: {text: \"äöü äöü äöü äöü äöü\"}\n");
  std::string streamed;
  int pieces = 0;
  LlmCall call = call_with({Message::user("x")});
  call.on_delta = [&](const LlmDelta& delta) { streamed += delta.text, ++pieces; EXPECT_TRUE(is_utf8(delta.text)); };
  const auto whole = loop.run(scripted->complete(call));
  ASSERT_TRUE(whole);
  EXPECT_EQ(streamed, text_of(whole->message));
  EXPECT_GT(pieces, 4);
  EXPECT_GE(loop.clock.elapsed(), Millis{150});

  CancelSource cancel;
  call.cancel = cancel.token();
  call.on_delta = [&](const LlmDelta&) { cancel.cancel(); };
  const auto stopped = loop.run(scripted->complete(call));
  ASSERT_FALSE(stopped);
  EXPECT_EQ(stopped.error().error.code, "llm.cancelled");
}

TEST(ScriptedProvider, ScriptErrorsNameTheirPlace) {
  Loop loop;
  const std::vector<std::pair<std::string, std::string>> cases{
      {"version: 2\n", "s.yaml:1:10: "},
      {"version: 1\nconversation: []\n", "s.yaml:2:"},
      {"version: 1\nconversations:\n  - match: x\n    turns:\n      - {txt: hi}\n", "s.yaml:5:"},
      {"version: 1\nconversations:\n  - {match: x, turns: []}\n", "`turns` needs at least one"},
      {"version: 1\nconversations:\n  - {match: {regex: \"(\"}, turns: [{text: x}]}\n", "not a regular expression"},
      {"version: 1\nconversations:\n  - {turns: [{text: x}]}\n", "needs `match`"},
      {"version: 1\ntokens_per_second: -1\n", "s.yaml:2:20: "},
      {"version: 1\ndefault: {text: 5}\n", "s.yaml:2:17: `text` must be a text"},
      {"version: 1\ndefault: {text: x, stop_reason: bored}\n", "unknown stop_reason `bored`"},
      {"version: 1\ndefault: {error: {status: 200}}\n", "`status` must be"},
      {"version: 1\ndefault: {error: {retry_after: soon}}\n", "s.yaml:2:"},
      {"version: 1\ndefault: {}\n", "an answer needs"},
      {"version: 1\ndefault: {tool_calls: [{arguments: {}}]}\n", "needs a `name`"},
      {"a: [", "s.yaml:"}};
  for (const auto& [text, expected] : cases) {
    const auto made = make_scripted_provider(loop.clock, "scripted", text, "s.yaml");
    ASSERT_FALSE(made) << text;
    EXPECT_EQ(made.error().code, "llm.invalid_script");
    EXPECT_NE(made.error().message.find(expected), std::string::npos) << made.error().message;
  }
  EXPECT_EQ(load_scripted_provider(loop.clock, "scripted", "/nowhere/s.yaml").error().code, "llm.invalid_script");
}

}  // namespace
}  // namespace mayfly::llm
