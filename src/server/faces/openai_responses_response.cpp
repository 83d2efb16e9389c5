#include "llm/stream_text.h"
#include "server/faces/face_error.h"
#include "server/faces/openai_common.h"
#include "server/faces/openai_responses.h"

namespace mayfly::faces {
namespace {

using llm::Content;
using llm::StopReason;

/// Ids of items: the answer's, the item's place in it, and a prefix by kind.
std::string make_item_id(std::string_view prefix, const AnswerHead& head, std::size_t index) {
  return std::string(prefix) + head.id + "_" + std::to_string(index);
}

JsonObject text_part(const std::string& text) {
  return {{"type", "output_text"}, {"text", text}, {"annotations", JsonArray{}}, {"logprobs", JsonArray{}}};
}

JsonObject message_item(const std::string& id, JsonObject part) {
  JsonArray parts;
  parts.push_back(std::move(part));
  return {{"id", id}, {"type", "message"}, {"role", "assistant"}, {"status", "completed"}, {"content", std::move(parts)}};
}

JsonObject call_item(const std::string& id, const std::string& call_id, const std::string& name, const std::string& arguments) {
  return {{"id", id}, {"type", "function_call"}, {"call_id", call_id}, {"name", name}, {"arguments", arguments}, {"status", "completed"}};
}

/// The id stands for the encrypted content: the thought itself stays in the server's memory.
JsonObject reasoning_item(const std::string& id, const std::string& text) {
  JsonArray summary;
  if (!text.empty()) summary.push_back(JsonObject{{"type", "summary_text"}, {"text", text}});
  return {{"id", id}, {"type", "reasoning"}, {"summary", std::move(summary)}, {"encrypted_content", id}};
}

/// A thought's own encrypted content survives a restart of the server.
void use_own_encryption(JsonObject& item, const Content& content) {
  const JsonObject* opaque = content.opaque.if_object();
  const JsonObject* own = opaque ? get_object(*opaque, "item") : nullptr;
  if (!own || get_string(*own, "encrypted_content").empty()) return;
  item["encrypted_content"] = get_string(*own, "encrypted_content");
}

JsonObject output_item(const AnswerHead& head, std::size_t index, const Content& content) {
  switch (content.kind) {
    case Content::Kind::ToolCall:
      return call_item(make_item_id("fc_", head, index), content.id, content.name, llm::arguments_text(content));
    case Content::Kind::Reasoning: {
      JsonObject item = reasoning_item(make_item_id("rs_", head, index), content.text);
      use_own_encryption(item, content);
      return item;
    }
    case Content::Kind::Refusal: return message_item(make_item_id("msg_", head, index), {{"type", "refusal"}, {"refusal", content.text}});
    case Content::Kind::Text:
    case Content::Kind::Image:
    case Content::Kind::ToolResult: break;
  }
  return message_item(make_item_id("msg_", head, index), text_part(content.text));
}

JsonObject usage_object(const llm::Usage& usage) {
  return {{"input_tokens", usage.total_input()},
          {"input_tokens_details", JsonObject{{"cached_tokens", usage.cache_read}}},
          {"output_tokens", usage.output},
          {"output_tokens_details", JsonObject{{"reasoning_tokens", usage.reasoning}}},
          {"total_tokens", usage.total_input() + usage.output}};
}

JsonObject response_object(const AnswerHead& head, std::string_view status, JsonArray output) {
  JsonObject out{{"id", "resp_" + head.id}, {"object", "response"}, {"created_at", head.created}, {"status", to_json_text(status)}};
  out["background"] = false;
  out["error"] = nullptr;
  out["incomplete_details"] = nullptr;
  out["model"] = head.model;
  out["output"] = std::move(output);
  out["previous_response_id"] = nullptr;
  out["truncation"] = "disabled";
  out["usage"] = nullptr;
  for (const auto& member : head.echo) out[member.key()] = member.value();
  if (!head.extension.empty()) out["mayfly"] = head.extension;
  return out;
}

JsonObject finished_object(const AnswerHead& head, const llm::LlmResponse& response, JsonArray output) {
  const StopReason reason = effective_stop(response);
  const bool incomplete = reason == StopReason::Length || reason == StopReason::ContentFilter;
  JsonObject out = response_object(head, incomplete ? "incomplete" : "completed", std::move(output));
  if (incomplete) out["incomplete_details"] = JsonObject{{"reason", reason == StopReason::Length ? "max_output_tokens" : "content_filter"}};
  out["usage"] = usage_object(response.usage);
  return out;
}

}  // namespace

JsonObject encode_responses(const AnswerHead& head, const llm::LlmResponse& response, Remembered& remembered) {
  JsonArray output;
  for (const Content& content : response.message.content) {
    JsonObject item = output_item(head, output.size(), content);
    remembered.emplace_back(get_string(item, "id"), content);
    output.push_back(std::move(item));
  }
  return finished_object(head, response, std::move(output));
}

void ResponsesStream::event(std::string_view type, JsonObject fields) {
  JsonObject out{{"type", to_json_text(type)}, {"sequence_number", sequence_++}};
  for (auto& member : fields) out[member.key()] = std::move(member.value());
  put(type, out);
}

std::string ResponsesStream::item_id() const {
  return make_item_id(part() == Part::ToolCall ? "fc_" : part() == Part::Reasoning ? "rs_" : "msg_", head_, output_.size());
}

JsonObject ResponsesStream::place() const {
  JsonObject out{{"item_id", item_id()}, {"output_index", output_.size()}};
  if (part() == Part::Text) out["content_index"] = 0;
  if (part() == Part::Reasoning) out["summary_index"] = 0;
  return out;
}

void ResponsesStream::on_begin() {
  event("response.created", {{"response", response_object(head_, "in_progress", {})}});
  event("response.in_progress", {{"response", response_object(head_, "in_progress", {})}});
}

void ResponsesStream::open_part() {
  JsonObject item;
  if (part() == Part::ToolCall) {
    item = call_item(item_id(), id(), name(), "");
    item["status"] = "in_progress";
  } else if (part() == Part::Reasoning) {
    item = reasoning_item(item_id(), "");
  } else {
    item = message_item(item_id(), {});
    item["status"] = "in_progress";
    item["content"] = JsonArray{};
  }
  event("response.output_item.added", {{"output_index", output_.size()}, {"item", std::move(item)}});
  if (part() == Part::ToolCall) return;
  JsonObject fields = place();
  const bool is_text = part() == Part::Text;
  fields["part"] = is_text ? text_part("") : JsonObject{{"type", "summary_text"}, {"text", ""}};
  event(is_text ? "response.content_part.added" : "response.reasoning_summary_part.added", std::move(fields));
}

void ResponsesStream::piece(std::string_view text) {
  JsonObject fields = place();
  fields["delta"] = to_json_text(text);
  if (part() == Part::Text) fields["logprobs"] = JsonArray{};
  event(part() == Part::ToolCall    ? "response.function_call_arguments.delta"
        : part() == Part::Reasoning ? "response.reasoning_summary_text.delta"
                                    : "response.output_text.delta",
        std::move(fields));
}

void ResponsesStream::close_part() {
  JsonObject fields = place();
  JsonObject item;
  Content content = Content::make_text(said());
  if (part() == Part::ToolCall) {
    fields["arguments"] = said();
    fields["name"] = name();
    item = call_item(item_id(), id(), name(), said());
    content = Content::make_tool_call(id(), name(), nullptr);
    if (auto parsed = parse_json(said().empty() ? "{}" : said()); parsed && parsed->is_object())
      content.arguments = std::move(*parsed);
    else
      content.text = said();
    event("response.function_call_arguments.done", std::move(fields));
  } else {
    const bool is_text = part() == Part::Text;
    JsonObject part_done = fields;
    part_done["part"] = is_text ? text_part(said()) : JsonObject{{"type", "summary_text"}, {"text", said()}};
    fields["text"] = said();
    if (is_text)
      fields["logprobs"] = JsonArray{};
    else
      content.kind = Content::Kind::Reasoning;
    event(is_text ? "response.output_text.done" : "response.reasoning_summary_text.done", std::move(fields));
    event(is_text ? "response.content_part.done" : "response.reasoning_summary_part.done", std::move(part_done));
    item = is_text ? message_item(item_id(), text_part(said())) : reasoning_item(item_id(), said());
  }
  event("response.output_item.done", {{"output_index", output_.size()}, {"item", item}});
  remember(item_id(), std::move(content));
  output_.push_back(std::move(item));
}

void ResponsesStream::on_end(const llm::LlmResponse& response) {
  complete_reasoning(response);
  JsonObject finished = finished_object(head_, response, output_);
  const std::string type = "response." + get_string(finished, "status");
  event(type, {{"response", std::move(finished)}});
}

void ResponsesStream::on_fail(const FaceError& error) {
  JsonObject failed = response_object(head_, "failed", output_);
  failed["error"] = JsonObject{{"code", to_json_text(responses_error_code(error))}, {"message", error.message}};
  event("response.failed", {{"response", std::move(failed)}});
}

}  // namespace mayfly::faces
