#include <algorithm>

#include "llm/openai_responses_provider.h"

namespace mayfly::llm {
namespace {

constexpr std::int64_t kIndexMax = 100'000;
constexpr std::int64_t kPartsPerItem = 1'000;

std::int64_t bounded_index(const JsonObject& data, std::string_view key) { return std::clamp<std::int64_t>(get_int(data, key), 0, kIndexMax); }

/// Of the item itself: a function call or a reasoning item.
std::int64_t item_key(std::int64_t output) { return output * kPartsPerItem; }
/// Of one content part of a message.
std::int64_t content_key(std::int64_t output, std::int64_t content) {
  return output * kPartsPerItem + 1 + std::min<std::int64_t>(content, kPartsPerItem - 2);
}

}  // namespace

void OpenAiResponsesDecoder::usage(const JsonObject& usage) {
  const JsonObject* input = get_object(usage, "input_tokens_details");
  const JsonObject* output = get_object(usage, "output_tokens_details");
  Usage& out = response_.usage;
  out.cache_read = input ? std::max<std::int64_t>(0, get_int(*input, "cached_tokens")) : 0;
  out.cache_write = input ? std::max<std::int64_t>(0, get_int(*input, "cache_write_tokens")) : 0;
  out.input = std::max<std::int64_t>(0, get_int(usage, "input_tokens") - out.cache_read - out.cache_write);
  out.output = std::max<std::int64_t>(0, get_int(usage, "output_tokens"));
  out.reasoning = output ? std::max<std::int64_t>(0, get_int(*output, "reasoning_tokens")) : 0;
}

void OpenAiResponsesDecoder::item_added(Key output, const JsonObject& item) {
  if (get_string(item, "type") != "function_call") return;
  std::string id = get_string(item, "call_id");
  if (id.empty()) id = get_string(item, "id");
  start_tool_call(item_key(output), std::move(id), get_string(item, "name"));
}

void OpenAiResponsesDecoder::message_done(Key output, const JsonObject& item) {
  const JsonArray* parts = get_array(item, "content");
  const std::string phase = get_string(item, "phase");
  for (std::size_t i = 0; parts && i < parts->size(); ++i) {
    const JsonObject* piece = (*parts)[i].if_object();
    if (!piece) continue;
    const Key key = content_key(output, static_cast<Key>(i));
    const bool is_refusal = get_string(*piece, "type") == "refusal";
    if (is_refusal) refused_ = true;
    if (!find_part(key)) {
      if (is_refusal) add_refusal(key, get_string(*piece, "refusal"));
      if (get_string(*piece, "type") == "output_text") add_text(key, get_string(*piece, "text"));
    }
    if (Content* content = find_part(key); content && !phase.empty())
      content->opaque = JsonObject{{"api", "openai-responses"}, {"phase", phase}};
  }
}

/// The finished item; what has streamed before is not repeated.
void OpenAiResponsesDecoder::item_done(Key output, const JsonObject& item) {
  const std::string type = get_string(item, "type");
  const Key key = item_key(output);
  if (type == "message") {
    message_done(output, item);
  } else if (type == "function_call") {
    item_added(output, item);
    if (arguments_of(key).empty()) add_arguments(key, get_string(item, "arguments"));
  } else if (type == "reasoning") {
    Content& thought = part(key, Content::Kind::Reasoning);
    if (thought.kind != Content::Kind::Reasoning) return bad_stream("its stream mixes kinds in one item");
    JsonObject kept{{"type", "reasoning"}};
    for (const std::string_view field : {"id", "summary", "encrypted_content"})
      if (const Json* value = get(item, field)) kept[boost::json::string_view(field)] = *value;
    // Without the encrypted content the server could only look the item up, and it has not stored it.
    if (kept.contains("encrypted_content") && kept["encrypted_content"].is_string())
      thought.opaque = JsonObject{{"api", "openai-responses"}, {"model", model_}, {"item", std::move(kept)}};
  }
}

void OpenAiResponsesDecoder::finished(const JsonObject& response) {
  if (const JsonObject* counts = get_object(response, "usage")) usage(*counts);
  if (response_.model.empty()) response_.model = get_string(response, "model");
  if (response_.response_id.empty()) response_.response_id = get_string(response, "id");
  const JsonArray* output = get_array(response, "output");
  if (output && !has_parts())
    for (std::size_t i = 0; i < output->size(); ++i)
      if (const JsonObject* item = (*output)[i].if_object()) item_done(static_cast<Key>(i), *item);
  response_.stop_reason = has_tool_calls() ? StopReason::ToolCalls : refused_ ? StopReason::Refusal : StopReason::End;
  if (get_string(response, "status") == "incomplete") {
    const JsonObject* details = get_object(response, "incomplete_details");
    const std::string reason = details ? get_string(*details, "reason") : std::string();
    response_.stop_reason = reason == "max_output_tokens" ? StopReason::Length
                            : reason == "content_filter"  ? StopReason::ContentFilter
                                                          : StopReason::Other;
  }
  mark_complete();
  mark_ended();
}

/// The events that carry a piece of an item; false for all others.
bool OpenAiResponsesDecoder::decode_piece(std::string_view name, const JsonObject& data) {
  const Key output = bounded_index(data, "output_index");
  const Key content = content_key(output, bounded_index(data, "content_index"));
  if (name == "response.output_text.delta") {
    add_text(content, get_string(data, "delta"));
  } else if (name == "response.refusal.delta") {
    refused_ = true;
    add_refusal(content, get_string(data, "delta"));
  } else if (name == "response.function_call_arguments.delta") {
    add_arguments(item_key(output), get_string(data, "delta"));
  } else if (name == "response.function_call_arguments.done") {
    if (find_part(item_key(output)) && arguments_of(item_key(output)).empty()) add_arguments(item_key(output), get_string(data, "arguments"));
  } else if (name == "response.reasoning_summary_text.delta" || name == "response.reasoning_text.delta") {
    add_reasoning(item_key(output), get_string(data, "delta"));
  } else if (name == "response.reasoning_summary_part.added") {
    if (const Content* thought = find_part(item_key(output)); thought && !thought->text.empty()) add_reasoning(item_key(output), "\n\n");
  } else {
    return false;
  }
  return true;
}

void OpenAiResponsesDecoder::decode(std::string_view name, const JsonObject& data) {
  if (decode_piece(name, data)) return;
  const JsonObject* response = get_object(data, "response");
  const JsonObject* item = get_object(data, "item");
  if (name == "response.created" && response) {
    response_.response_id = get_string(*response, "id");
    response_.model = get_string(*response, "model");
  } else if (name == "response.output_item.added" && item) {
    item_added(bounded_index(data, "output_index"), *item);
  } else if (name == "response.output_item.done" && item) {
    item_done(bounded_index(data, "output_index"), *item);
  } else if ((name == "response.completed" || name == "response.incomplete") && response) {
    finished(*response);
  } else if (name == "response.failed") {
    report_error(response ? *response : data);
  } else if (name == "error") {
    report_error(data);
  }
}

}  // namespace mayfly::llm
