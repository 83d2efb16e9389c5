#include <algorithm>

#include "llm/openai_chat_provider.h"

namespace mayfly::llm {
namespace {

constexpr std::int64_t kReasoningKey = -1;
constexpr std::int64_t kTextKey = -2;
constexpr std::int64_t kRefusalKey = -3;

StopReason stop_reason(std::string_view name) {
  if (name == "stop") return StopReason::End;
  if (name == "tool_calls" || name == "function_call") return StopReason::ToolCalls;
  if (name == "length") return StopReason::Length;
  if (name == "content_filter") return StopReason::ContentFilter;
  return StopReason::Other;
}

}  // namespace

void OpenAiChatDecoder::finished(std::string_view reason) {
  finished_ = true;
  response_.stop_reason = stop_reason(reason);
  // Some servers say "stop" after tool calls.
  if (has_tool_calls() && response_.stop_reason == StopReason::End) response_.stop_reason = StopReason::ToolCalls;
  if (find_part(kRefusalKey)) response_.stop_reason = StopReason::Refusal;
  mark_complete();
}

void OpenAiChatDecoder::usage(const JsonObject& usage) {
  const JsonObject* input = get_object(usage, "prompt_tokens_details");
  const JsonObject* output = get_object(usage, "completion_tokens_details");
  Usage& out = response_.usage;
  out.cache_read = input ? std::max<std::int64_t>(0, get_int(*input, "cached_tokens")) : 0;
  out.cache_write = input ? std::max<std::int64_t>(0, get_int(*input, "cache_write_tokens")) : 0;
  out.input = std::max<std::int64_t>(0, get_int(usage, "prompt_tokens") - out.cache_read - out.cache_write);
  out.output = std::max<std::int64_t>(0, get_int(usage, "completion_tokens"));
  out.reasoning = output ? std::max<std::int64_t>(0, get_int(*output, "reasoning_tokens")) : 0;
}

void OpenAiChatDecoder::tool_call(const JsonObject& call) {
  const JsonObject* function = get_object(call, "function");
  const std::string id = get_string(call, "id");
  const std::string name = function ? get_string(*function, "name") : std::string();
  // A call without an index begins where a new name appears.
  const bool has_index = get(call, "index") && get(call, "index")->is_number();
  if (has_index) {
    last_call_ = std::max<std::int64_t>(0, get_int(call, "index"));
  } else if (!name.empty()) {
    ++last_call_;
  }
  if (!find_part(last_call_)) start_tool_call(last_call_, id, name);
  if (!function) return;
  if (const JsonObject* arguments = get_object(*function, "arguments")) {
    add_arguments(last_call_, to_text(*arguments));
  } else {
    add_arguments(last_call_, get_string(*function, "arguments"));
  }
}

void OpenAiChatDecoder::delta(const JsonObject& delta) {
  for (const std::string_view field : {"reasoning_content", "reasoning"}) {
    const std::string piece = get_string(delta, field);
    if (piece.empty()) continue;
    add_reasoning(kReasoningKey, piece);
    if (Content* thought = find_part(kReasoningKey); thought && thought->opaque.is_null())
      thought->opaque = JsonObject{{"api", "openai"}, {"field", boost::json::string_view(field)}};
    break;
  }
  add_text(kTextKey, get_string(delta, "content"));
  add_refusal(kRefusalKey, get_string(delta, "refusal"));
  if (const JsonArray* calls = get_array(delta, "tool_calls"))
    for (const Json& call : *calls)
      if (const JsonObject* object = call.if_object()) tool_call(*object);
}

bool OpenAiChatDecoder::decode_marker(std::string_view data) {
  if (data != "[DONE]") return false;
  if (finished_) mark_ended();
  return true;
}

void OpenAiChatDecoder::decode(std::string_view name, const JsonObject& data) {
  if (name == "error" || get_object(data, "error")) return report_error(data);
  if (response_.response_id.empty()) response_.response_id = get_string(data, "id");
  if (response_.model.empty()) response_.model = get_string(data, "model");
  if (const JsonObject* counts = get_object(data, "usage")) usage(*counts);
  const JsonArray* choices = get_array(data, "choices");
  const JsonObject* choice = choices && !choices->empty() ? choices->front().if_object() : nullptr;
  if (!choice) return;
  if (const JsonObject* changed = get_object(*choice, "delta")) delta(*changed);
  if (const std::string reason = get_string(*choice, "finish_reason"); !reason.empty()) finished(reason);
}

}  // namespace mayfly::llm
