#pragma once

#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "net/sse.h"
#include "server/faces/stream_encoder.h"

namespace mayfly::faces::testing {

using llm::Content;
using llm::LlmDelta;

inline AnswerHead test_head() { return {"01TEST", 1'700'000'000, "stub/one", {}, {}}; }

inline LlmDelta text_delta(std::string text) { return {.kind = LlmDelta::Kind::Text, .text = std::move(text)}; }
inline LlmDelta thought_delta(std::string text) { return {.kind = LlmDelta::Kind::Reasoning, .text = std::move(text)}; }
inline LlmDelta call_delta(int index, std::string id, std::string name) {
  return {.kind = LlmDelta::Kind::ToolCallStart, .text = {}, .index = index, .id = std::move(id), .name = std::move(name)};
}
inline LlmDelta arguments_delta(int index, std::string text) {
  return {.kind = LlmDelta::Kind::ToolCallArguments, .text = std::move(text), .index = index};
}

/// What a client's parser makes of the bytes; a comment shows as nothing.
inline std::vector<net::SseEvent> events_of(const std::string& bytes) {
  std::vector<net::SseEvent> out;
  net::SseParser parser([&](net::SseEvent event) { out.push_back(std::move(event)); });
  EXPECT_TRUE(parser.feed(bytes));
  return out;
}

inline JsonObject object(const std::string& text) {
  auto parsed = parse_json(text);
  EXPECT_TRUE(parsed && parsed->is_object()) << text;
  return parsed && parsed->is_object() ? std::move(parsed->as_object()) : JsonObject();
}

inline std::vector<std::string> names_of(const std::vector<net::SseEvent>& events) {
  std::vector<std::string> out;
  for (const auto& event : events) out.push_back(event.event);
  return out;
}

/// A thought, a text and two calls, with usage.
inline llm::LlmResponse rich_response() {
  llm::LlmResponse out;
  out.message.role = llm::Role::Assistant;
  Content thought = Content::make_text("hm");
  thought.kind = Content::Kind::Reasoning;
  thought.opaque = JsonObject{{"api", "other"}, {"secret", "s"}};
  out.message.content = {thought, Content::make_text("I look."), Content::make_tool_call("call_1", "add", JsonObject{{"a", 2}}),
                         Content::make_tool_call("call_2", "now", JsonObject{})};
  out.usage = {.input = 10, .cache_read = 5, .cache_write = 2, .output = 7, .reasoning = 3};
  return out;
}

/// The same as a provider would stream it.
inline std::vector<LlmDelta> rich_deltas() {
  return {thought_delta("h"),
          thought_delta("m"),
          text_delta("I "),
          text_delta("look."),
          call_delta(0, "call_1", "add"),
          arguments_delta(0, "{\"a\""),
          arguments_delta(0, ":2}"),
          call_delta(1, "call_2", "now"),
          arguments_delta(1, "{}")};
}

inline std::string stream_of(StreamEncoder& encoder, const std::vector<LlmDelta>& deltas, const llm::LlmResponse& response) {
  std::string out;
  for (const LlmDelta& delta : deltas) out += encoder.delta(delta);
  return out + encoder.end(response);
}

template <class T>
std::string param_of(const Decoded<T>& decoded) {
  return decoded ? "(accepted)" : decoded.error().param;
}

}  // namespace mayfly::faces::testing
