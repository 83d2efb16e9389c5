#include <gtest/gtest.h>

#include "llm/anthropic_provider.h"
#include "llm/claude_model.h"
#include "llm/openai_chat_provider.h"
#include "llm/openai_model.h"
#include "llm/openai_responses_provider.h"
#include "llm/schema_fit.h"

namespace mayfly::llm {
namespace {

Json json(std::string_view text) {
  auto parsed = parse_json(text);
  EXPECT_TRUE(parsed) << text;
  return parsed ? *parsed : Json();
}

/// A conversation with an image, a tool loop of two parallel calls (one broken) and reasoning of `opaque`.
LlmRequest tool_loop(std::string model, Json opaque) {
  LlmRequest out;
  out.model = std::move(model);
  out.system = "Be brief.";
  out.tools = {{"add", "Adds.", json(R"({"type":"object","properties":{"a":{"type":"number"}}})")}, {"now", "", Json()}};
  Message question = Message::user("Look:");
  Content image;
  image.kind = Content::Kind::Image;
  image.media_type = "image/png";
  image.data = "aGk=";
  question.content.push_back(image);
  Message calls;
  calls.role = Role::Assistant;
  Content thought = Content::make_text("Let me think");
  thought.kind = Content::Kind::Reasoning;
  thought.opaque = std::move(opaque);
  Content broken = Content::make_tool_call("call_2", "now", nullptr);
  broken.text = "{\"x";
  calls.content = {thought, Content::make_text("Calling."), Content::make_tool_call("call_1", "add", JsonObject{{"a", 1}}), broken};
  Message first;
  first.role = Role::Tool;
  first.content = {Content::make_tool_result("call_1", "2", false)};
  Message second;
  second.role = Role::Tool;
  second.content = {Content::make_tool_result("call_2", "bad arguments", true)};
  out.messages = {question, calls, first, second};
  return out;
}

std::string golden(const Result<JsonObject>& body) { return body ? to_canonical_text(*body) : body.error().message; }
std::string golden(std::string_view text) { return to_canonical_text(json(text)); }

TEST(AnthropicEncoder, ToolLoopWithImageCacheAndOwnThinking) {
  LlmRequest request = tool_loop("claude-sonnet-4-5", json(R"({"api":"anthropic","model":"claude-sonnet-4-5","signature":"sig=="})"));
  request.reasoning = ReasoningEffort::Medium;
  request.output_tokens_max = 1000;
  request.temperature = 0.5;
  request.stop = {"END"};
  request.user = "u-7";
  request.parallel_tool_calls = false;
  EXPECT_EQ(golden(encode_anthropic(request)), golden(R"({
    "model": "claude-sonnet-4-5", "stream": true, "max_tokens": 5096,
    "thinking": {"type": "enabled", "budget_tokens": 4096},
    "system": [{"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral"}}],
    "tools": [
      {"name": "add", "description": "Adds.", "input_schema": {"type": "object", "properties": {"a": {"type": "number"}}}},
      {"name": "now", "input_schema": {"type": "object"}, "cache_control": {"type": "ephemeral"}}],
    "tool_choice": {"type": "auto", "disable_parallel_tool_use": true},
    "stop_sequences": ["END"],
    "metadata": {"user_id": "u-7"},
    "messages": [
      {"role": "user", "content": [
        {"type": "text", "text": "Look:"},
        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "aGk="}}]},
      {"role": "assistant", "content": [
        {"type": "thinking", "thinking": "Let me think", "signature": "sig=="},
        {"type": "text", "text": "Calling."},
        {"type": "tool_use", "id": "call_1", "name": "add", "input": {"a": 1}},
        {"type": "tool_use", "id": "call_2", "name": "now", "input": {"malformed_arguments": "{\"x"}}]},
      {"role": "user", "content": [
        {"type": "tool_result", "tool_use_id": "call_1", "content": "2"},
        {"type": "tool_result", "tool_use_id": "call_2", "content": "bad arguments", "is_error": true,
         "cache_control": {"type": "ephemeral"}}]}]})"));
}

TEST(AnthropicEncoder, ThinkingOfAnotherModelIsLeftOutAndABudgetIsThenNotAsked) {
  LlmRequest request = tool_loop("claude-sonnet-4-5", json(R"({"api":"anthropic","model":"claude-opus-4-5","signature":"sig"})"));
  request.reasoning = ReasoningEffort::High;
  const std::string body = golden(encode_anthropic(request));
  EXPECT_EQ(body.find("thinking"), std::string::npos) << body;
  EXPECT_NE(body.find(R"("max_tokens":4096)"), std::string::npos);
}

TEST(AnthropicEncoder, RedactedThinkingGoesBackUnchanged) {
  const LlmRequest request = tool_loop("claude-opus-4-6", json(R"({"api":"anthropic","model":"claude-opus-4-6","redacted":"ENC"})"));
  EXPECT_NE(golden(encode_anthropic(request)).find(R"({"data":"ENC","type":"redacted_thinking"})"), std::string::npos);
}

JsonObject small(std::string model, ReasoningEffort effort, ToolChoice choice = ToolChoice::Auto) {
  LlmRequest request;
  request.model = std::move(model);
  request.messages = {Message::user("hi")};
  request.reasoning = effort;
  request.temperature = 0.5;
  request.tools = {{"add", "", Json()}};
  request.tool_choice = choice;
  request.cache_prompt = false;
  return *encode_anthropic(request);
}

std::string field(const JsonObject& body, std::string_view key) { return get(body, key) ? to_text(*get(body, key)) : "-"; }

TEST(AnthropicEncoder, EachGenerationGetsWhatItAccepts) {
  const JsonObject adaptive = small("claude-opus-4-6", ReasoningEffort::Low);
  EXPECT_EQ(field(adaptive, "thinking"), R"({"type":"adaptive","display":"summarized"})");
  EXPECT_EQ(field(adaptive, "output_config"), R"({"effort":"low"})");
  EXPECT_EQ(field(adaptive, "temperature"), "-");
  EXPECT_EQ(field(small("claude-opus-4-6", ReasoningEffort::None), "thinking"), "-");
  EXPECT_EQ(field(small("claude-opus-4-6", ReasoningEffort::Default), "temperature"), "0.5");
  EXPECT_EQ(field(small("claude-opus-4-7", ReasoningEffort::Default), "temperature"), "-");
  EXPECT_EQ(field(small("claude-opus-5", ReasoningEffort::None), "thinking"), R"({"type":"disabled"})");
  EXPECT_EQ(field(small("claude-opus-5-5", ReasoningEffort::None), "thinking"), "-");
  EXPECT_EQ(field(small("claude-opus-5-5", ReasoningEffort::None), "output_config"), R"({"effort":"low"})");
  EXPECT_EQ(field(small("claude-3-5-haiku-20241022", ReasoningEffort::High), "thinking"), "-");
  EXPECT_EQ(field(small("claude-haiku-4-5", ReasoningEffort::High), "max_tokens"), "20480");
  EXPECT_EQ(field(small("claude-haiku-4-5", ReasoningEffort::Default, ToolChoice::Required), "tool_choice"), R"({"type":"any"})");
  EXPECT_EQ(field(small("claude-haiku-4-5", ReasoningEffort::High, ToolChoice::Required), "tool_choice"), R"({"type":"auto"})");
  EXPECT_EQ(field(small("claude-sonnet-5-5", ReasoningEffort::Default, ToolChoice::Required), "tool_choice"), R"({"type":"auto"})");
  EXPECT_EQ(field(small("claude-fable-5-1", ReasoningEffort::None, ToolChoice::None), "tool_choice"), R"({"type":"none"})");
}

TEST(AnthropicEncoder, OutputFormatOnlyForSchemasItAccepts) {
  LlmRequest request;
  request.model = "claude-sonnet-4-5";
  request.messages = {Message::user("hi")};
  request.output_schema = json(R"({"type":"object","properties":{"n":{"type":"integer"}},"additionalProperties":false})");
  EXPECT_EQ(field(*encode_anthropic(request), "output_config"),
            R"({"format":{"type":"json_schema","schema":{"type":"object","properties":{"n":{"type":"integer"}},"additionalProperties":false}}})");
  request.output_schema = json(R"({"type":"object","properties":{"n":{"type":"integer","minimum":1}},"additionalProperties":false})");
  EXPECT_EQ(field(*encode_anthropic(request), "output_config"), "-");
  request.output_schema = json(R"({"type":"object"})");
  EXPECT_EQ(field(*encode_anthropic(request), "output_config"), "-");
}

TEST(ClaudeModel, VersionsAreReadFromEveryNamingScheme) {
  EXPECT_TRUE(claude_model("claude-opus-4-20250514").thinks_by_budget);
  EXPECT_TRUE(claude_model("claude-3-7-sonnet-20250219").thinks_by_budget);
  EXPECT_FALSE(claude_model("claude-3-5-sonnet-20241022").thinks_by_budget);
  EXPECT_TRUE(claude_model("claude-sonnet-4-6").thinks_adaptively);
  EXPECT_TRUE(claude_model("claude-mythos-preview").thinks_adaptively);
  EXPECT_FALSE(claude_model("claude-fable-5").can_disable_thinking);
  EXPECT_TRUE(claude_model("").thinks_adaptively);
}

TEST(OpenAiChatEncoder, ToolLoopWithImage) {
  LlmRequest request = tool_loop("gpt-4.1", json(R"({"api":"openai","field":"reasoning_content"})"));
  request.temperature = 0.5;
  request.tool_choice = ToolChoice::Required;
  request.parallel_tool_calls = false;
  request.stop = {"END"};
  request.user = "u-7";
  request.output_schema = json(R"({"title":"My answer!","type":"object","properties":{"n":{"type":"integer"}},"required":["n"],"additionalProperties":false})");
  const std::string messages = R"([
      {"role": "system", "content": "Be brief."},
      {"role": "user", "content": [{"type": "text", "text": "Look:"},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,aGk="}}]},
      {"role": "assistant", "content": "Calling.", REASONING "tool_calls": [
        {"id": "call_1", "type": "function", "function": {"name": "add", "arguments": "{\"a\":1}"}},
        {"id": "call_2", "type": "function", "function": {"name": "now", "arguments": "{\"x"}}]},
      {"role": "tool", "tool_call_id": "call_1", "content": "2"},
      {"role": "tool", "tool_call_id": "call_2", "content": "bad arguments"}])";
  const std::string common = R"("model": "gpt-4.1", "stream": true, "stream_options": {"include_usage": true}, "stop": ["END"],
    "temperature": 0.5, "tool_choice": "required", "parallel_tool_calls": false,
    "response_format": {"type": "json_schema", "json_schema": {"name": "My_answer_", "strict": true, "schema":
      {"title":"My answer!","type":"object","properties":{"n":{"type":"integer"}},"required":["n"],"additionalProperties":false}}},
    "tools": [
      {"type": "function", "function": {"name": "add", "description": "Adds.",
        "parameters": {"type": "object", "properties": {"a": {"type": "number"}}}}},
      {"type": "function", "function": {"name": "now", "parameters": {"type": "object"}}}],)";
  const auto with = [&](std::string_view reasoning) {
    std::string out = messages;
    return out.replace(out.find("REASONING"), 9, reasoning);
  };
  EXPECT_EQ(golden(encode_openai_chat(request, "https://api.openai.com/v1")),
            golden("{" + common + R"("max_completion_tokens": 4096, "safety_identifier": "u-7", "messages": )" + with("") + "}"));
  EXPECT_EQ(golden(encode_openai_chat(request, "http://localhost:8000/v1")),
            golden("{" + common + R"("max_tokens": 4096, "user": "u-7", "messages": )" +
                   with(R"("reasoning_content": "Let me think",)") + "}"));
}

TEST(OpenAiChatEncoder, ReasoningModelsGetAnEffortAndNoTemperature) {
  LlmRequest request;
  request.model = "gpt-5-mini";
  request.messages = {Message::user("hi")};
  request.temperature = 0.5;
  request.reasoning = ReasoningEffort::None;
  const JsonObject body = *encode_openai_chat(request, "");
  EXPECT_EQ(field(body, "reasoning_effort"), R"("minimal")");
  EXPECT_EQ(field(body, "temperature"), "-");
  request.model = "gpt-4.1";
  EXPECT_EQ(field(*encode_openai_chat(request, ""), "reasoning_effort"), "-");
  EXPECT_EQ(openai_model("gpt-6.1-sol").least_effort, "none");
  EXPECT_EQ(openai_model("o4-mini").least_effort, "low");
  EXPECT_FALSE(openai_model("gpt-5-chat-latest").reasons);
  EXPECT_TRUE(is_openai_host("https://x.openai.azure.com/openai/v1"));
  EXPECT_FALSE(is_openai_host("https://api.openai.com.example.org/v1"));
}

TEST(OpenAiResponsesEncoder, ToolLoopWithEncryptedReasoning) {
  LlmRequest request = tool_loop(
      "gpt-5.5", json(R"({"api":"openai-responses","model":"gpt-5.5","item":{"type":"reasoning","id":"rs_1","summary":[],"encrypted_content":"ENC"}})"));
  request.reasoning = ReasoningEffort::High;
  request.temperature = 0.5;
  request.output_tokens_max = 1;
  request.user = "u-7";
  request.output_schema = json(R"({"type":"object","properties":{"n":{"type":"integer"}}})");
  request.messages[1].content[1].opaque = json(R"({"api":"openai-responses","phase":"commentary"})");
  EXPECT_EQ(golden(encode_openai_responses(request)), golden(R"({
    "model": "gpt-5.5", "instructions": "Be brief.", "stream": true, "store": false, "max_output_tokens": 16,
    "include": ["reasoning.encrypted_content"], "reasoning": {"effort": "high"}, "safety_identifier": "u-7",
    "text": {"format": {"type": "json_schema", "name": "answer", "strict": false,
      "schema": {"type":"object","properties":{"n":{"type":"integer"}}}}},
    "tools": [
      {"type": "function", "name": "add", "description": "Adds.", "strict": false,
       "parameters": {"type": "object", "properties": {"a": {"type": "number"}}}},
      {"type": "function", "name": "now", "strict": false, "parameters": {"type": "object"}}],
    "input": [
      {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Look:"},
        {"type": "input_image", "image_url": "data:image/png;base64,aGk="}]},
      {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "ENC"},
      {"type": "message", "role": "assistant", "phase": "commentary", "content": [{"type": "output_text", "text": "Calling."}]},
      {"type": "function_call", "call_id": "call_1", "name": "add", "arguments": "{\"a\":1}"},
      {"type": "function_call", "call_id": "call_2", "name": "now", "arguments": "{\"x"},
      {"type": "function_call_output", "call_id": "call_1", "output": "2"},
      {"type": "function_call_output", "call_id": "call_2", "output": "bad arguments"}]})"));
}

TEST(Encoders, RefuseWhatTheirApiCannotDo) {
  LlmRequest request;
  request.model = "gpt-5";
  EXPECT_EQ(encode_anthropic(request).error().code, "llm.invalid_request");
  EXPECT_EQ(encode_openai_chat(request, "").error().code, "llm.invalid_request");
  EXPECT_EQ(encode_openai_responses(request).error().code, "llm.invalid_request");
  request.messages = {Message::user("hi")};
  request.stop = {"x"};
  EXPECT_NE(encode_openai_responses(request).error().message.find("stop"), std::string::npos);
}

TEST(SchemaFit, OpenAiStrictWantsClosedObjectsWithAllRequired) {
  EXPECT_TRUE(fits_openai_strict(json(R"({"type":"object","properties":{"a":{"type":["string","null"]}},"required":["a"],"additionalProperties":false})")));
  EXPECT_FALSE(fits_openai_strict(json(R"({"type":"object","properties":{"a":{"type":"string"}},"additionalProperties":false})")));
  EXPECT_FALSE(fits_openai_strict(json(R"({"type":"array","items":{"type":"string"}})")));
  EXPECT_FALSE(fits_openai_strict(json(
      R"({"type":"object","properties":{"a":{"type":"object"}},"required":["a"],"additionalProperties":false})")));
  EXPECT_FALSE(fits_openai_strict(json(R"({"type":"object","properties":{},"additionalProperties":false,"not":{}})")));
  EXPECT_FALSE(fits_openai_strict(Json(3)));
}

}  // namespace
}  // namespace mayfly::llm
