#include "llm/anthropic_provider.h"

namespace mayfly::llm {
namespace {

StopReason stop_reason(std::string_view name) {
  if (name == "end_turn") return StopReason::End;
  if (name == "tool_use") return StopReason::ToolCalls;
  if (name == "max_tokens" || name == "model_context_window_exceeded") return StopReason::Length;
  if (name == "stop_sequence") return StopReason::StopSequence;
  if (name == "refusal") return StopReason::Refusal;
  return StopReason::Other;
}

/// A field that is present overwrites: the counts of message_delta are cumulative.
void overwrite(const JsonObject& from, std::string_view key, std::int64_t& to) {
  if (const Json* value = get(from, key); value && value->is_number()) to = std::max<std::int64_t>(0, get_int(from, key));
}

}  // namespace

void AnthropicDecoder::usage(const JsonObject& usage) {
  Usage& out = response_.usage;
  overwrite(usage, "input_tokens", out.input);
  overwrite(usage, "cache_read_input_tokens", out.cache_read);
  overwrite(usage, "cache_creation_input_tokens", out.cache_write);
  overwrite(usage, "output_tokens", out.output);
  if (const JsonObject* details = get_object(usage, "output_tokens_details")) overwrite(*details, "thinking_tokens", out.reasoning);
}

void AnthropicDecoder::sign(Key key, std::string_view field, std::string_view text) {
  Content& block = part(key, Content::Kind::Reasoning);
  if (block.kind != Content::Kind::Reasoning) return bad_stream("its stream signs a block that is no thinking");
  if (!block.opaque.is_object()) block.opaque = JsonObject{{"api", "anthropic"}, {"model", model_}};
  Json& value = block.opaque.as_object()[boost::json::string_view(field)];
  if (value.is_string()) {
    value.as_string().append(text);
  } else {
    value = boost::json::string_view(text);
  }
}

void AnthropicDecoder::start_block(Key key, const JsonObject& block) {
  const std::string type = get_string(block, "type");
  if (type == "text") {
    add_text(key, get_string(block, "text"));
  } else if (type == "tool_use") {
    start_tool_call(key, get_string(block, "id"), get_string(block, "name"));
    if (const JsonObject* input = get_object(block, "input"); input && !input->empty()) add_arguments(key, to_text(*input));
  } else if (type == "thinking") {
    sign(key, "signature", get_string(block, "signature"));
    add_reasoning(key, get_string(block, "thinking"));
  } else if (type == "redacted_thinking") {
    sign(key, "redacted", get_string(block, "data"));
  }
}

void AnthropicDecoder::change_block(Key key, const JsonObject& delta) {
  const std::string type = get_string(delta, "type");
  if (type == "text_delta") {
    add_text(key, get_string(delta, "text"));
  } else if (type == "input_json_delta") {
    // Blocks of server-side tools, which never start here, stream arguments as well.
    if (find_part(key)) add_arguments(key, get_string(delta, "partial_json"));
  } else if (type == "thinking_delta") {
    add_reasoning(key, get_string(delta, "thinking"));
  } else if (type == "signature_delta") {
    sign(key, "signature", get_string(delta, "signature"));
  }
}

void AnthropicDecoder::decode(std::string_view name, const JsonObject& data) {
  const Key key = get_int(data, "index");
  if (name == "content_block_delta") {
    if (const JsonObject* delta = get_object(data, "delta")) change_block(key, *delta);
  } else if (name == "content_block_start") {
    if (const JsonObject* block = get_object(data, "content_block")) start_block(key, *block);
  } else if (name == "message_start") {
    const JsonObject* message = get_object(data, "message");
    if (!message) return bad_stream("its message_start holds no message");
    response_.response_id = get_string(*message, "id");
    response_.model = get_string(*message, "model");
    if (const JsonObject* counts = get_object(*message, "usage")) usage(*counts);
  } else if (name == "message_delta") {
    if (const JsonObject* delta = get_object(data, "delta"); delta && !get_string(*delta, "stop_reason").empty())
      response_.stop_reason = stop_reason(get_string(*delta, "stop_reason"));
    if (const JsonObject* counts = get_object(data, "usage")) usage(*counts);
  } else if (name == "message_stop") {
    mark_complete();
    mark_ended();
  } else if (name == "error") {
    report_error(data);
  }
}

}  // namespace mayfly::llm
