#include "llm/stream_decoder.h"

#include <fmt/format.h>

#include "base/hash.h"
#include "llm/llm_error.h"

namespace mayfly::llm {
namespace {

constexpr std::size_t kPartsMax = 1'000;
constexpr std::size_t kBytesMax = 32 * 1024 * 1024;

void parse_arguments(Content& call, std::string text) {
  if (text.empty()) {
    call.arguments = JsonObject{};
    return;
  }
  auto parsed = parse_json(text);
  if (parsed && parsed->is_object()) {
    call.arguments = std::move(*parsed);
  } else {
    call.arguments = nullptr;
    call.text = std::move(text);
  }
}

/// Unique per answer, where the provider gave none; short and plain enough for every provider to take back.
std::string made_up_id(const std::string& response_id, int index) {
  if (response_id.empty()) return fmt::format("call_{}", index);
  return fmt::format("call_{}_{}", sha256_hex(response_id).substr(0, 16), index);
}

bool is_empty(const Content& content) {
  if (content.kind == Content::Kind::Text || content.kind == Content::Kind::Refusal) return content.text.empty();
  return content.kind == Content::Kind::Reasoning && content.text.empty() && content.opaque.is_null();
}

}  // namespace

void StreamDecoder::event(const net::SseEvent& event) {
  if (ended() || event.data.empty()) return;
  if (decode_marker(event.data)) return;
  const auto data = parse_json(event.data);
  if (!data || !data->is_object()) return bad_stream("an event of its stream is no JSON object");
  const JsonObject& object = data->get_object();
  const std::string type = get_string(object, "type");
  decode(type.empty() ? event.event : type, object);
}

LlmResult StreamDecoder::finish() {
  if (!error_ && !complete_) bad_stream("its stream ended before the answer was complete");
  if (error_) return std::unexpected(*error_);
  response_.message.role = Role::Assistant;
  for (Part& part : parts_) {
    if (part.content.kind == Content::Kind::ToolCall) parse_arguments(part.content, std::move(part.arguments));
    if (!is_empty(part.content)) response_.message.content.push_back(std::move(part.content));
  }
  response_.provider = provider_;
  return std::move(response_);
}

bool StreamDecoder::count(std::size_t bytes) {
  bytes_ += bytes;
  if (bytes_ <= kBytesMax && parts_.size() <= kPartsMax) return true;
  bad_stream(fmt::format("its answer is larger than {} bytes or {} parts", kBytesMax, kPartsMax));
  return false;
}

void StreamDecoder::emit(LlmDelta delta) {
  began_ = true;
  if (on_delta_) on_delta_(delta);
}

Content* StreamDecoder::find_part(Key key) {
  const auto found = index_.find(key);
  return found == index_.end() ? nullptr : &parts_[found->second].content;
}

Content& StreamDecoder::part(Key key, Content::Kind kind) {
  const auto [entry, is_new] = index_.try_emplace(key, parts_.size());
  if (is_new) {
    parts_.emplace_back();
    parts_.back().content.kind = kind;
    count(0);
  }
  return parts_[entry->second].content;
}

std::string_view StreamDecoder::arguments_of(Key key) const {
  const auto found = index_.find(key);
  return found == index_.end() ? std::string_view() : std::string_view(parts_[found->second].arguments);
}

void StreamDecoder::add(Key key, Content::Kind kind, LlmDelta::Kind delta, std::string_view piece) {
  if (piece.empty() || error_) return;
  Content& content = part(key, kind);
  if (content.kind != kind) return bad_stream("its stream mixes kinds in one part");
  if (!count(piece.size())) return;
  content.text += piece;
  emit({.kind = delta, .text = std::string(piece)});
}

void StreamDecoder::add_text(Key key, std::string_view piece) { add(key, Content::Kind::Text, LlmDelta::Kind::Text, piece); }
void StreamDecoder::add_refusal(Key key, std::string_view piece) { add(key, Content::Kind::Refusal, LlmDelta::Kind::Text, piece); }
void StreamDecoder::add_reasoning(Key key, std::string_view piece) {
  add(key, Content::Kind::Reasoning, LlmDelta::Kind::Reasoning, piece);
}

void StreamDecoder::start_tool_call(Key key, std::string id, std::string name) {
  if (error_ || find_part(key)) return;
  if (name.empty()) return bad_stream("a tool call in its stream has no name");
  Content& call = part(key, Content::Kind::ToolCall);
  if (error_) return;
  call.id = id.empty() ? made_up_id(response_.response_id, tool_calls_) : std::move(id);
  call.name = std::move(name);
  parts_.back().tool_index = tool_calls_++;
  emit({.kind = LlmDelta::Kind::ToolCallStart, .index = parts_.back().tool_index, .id = call.id, .name = call.name});
}

void StreamDecoder::add_arguments(Key key, std::string_view piece) {
  if (piece.empty() || error_) return;
  const auto found = index_.find(key);
  if (found == index_.end() || parts_[found->second].content.kind != Content::Kind::ToolCall)
    return bad_stream("its stream holds arguments of a tool call that never began");
  if (!count(piece.size())) return;
  Part& call = parts_[found->second];
  call.arguments += piece;
  emit({.kind = LlmDelta::Kind::ToolCallArguments, .text = std::string(piece), .index = call.tool_index});
}

void StreamDecoder::report_error(const JsonObject& body) {
  if (!error_) error_ = error_from_stream(provider_, parse_failure(body), began_ || !response_.response_id.empty());
}

void StreamDecoder::bad_stream(std::string_view why) {
  if (error_) return;
  error_ = make_error("llm.bad_response", fmt::format("provider `{}` failed: {}; try again, or check its `kind` and `base_url`", provider_, why),
                      Retry::OutcomeUnknown);
}

}  // namespace mayfly::llm
