#include <fmt/format.h>

#include "server/faces/fields.h"
#include "server/faces/openai_chat.h"
#include "server/faces/openai_common.h"

namespace mayfly::faces {
namespace {

using llm::Content;
using llm::Role;

/// A text, or the texts of a list of parts.
Decoded<std::string> text_content(const JsonObject& message, const std::string& param) {
  const Json* content = field(message, "content");
  if (!content) return std::string();
  if (content->is_string()) return std::string(content->get_string());
  const JsonArray* parts = content->if_array();
  if (!parts) return reject(param, fmt::format("`{}` must be a text or a list of parts", param));
  std::string out;
  for (std::size_t i = 0; i < parts->size(); ++i) {
    const JsonObject* part = (*parts)[i].if_object();
    if (!part) return reject(at(param, i), "a content part must be an object with a `type`");
    const std::string type = get_string(*part, "type");
    if (type != "text") return unsupported(at(param, i, ".type"), "only text parts may stand in this message");
    out += get_string(*part, "text");
  }
  return out;
}

Decoded<Content> user_part(const JsonObject& part, const std::string& param) {
  const std::string type = get_string(part, "type");
  if (type == "text") return Content::make_text(get_string(part, "text"));
  if (type == "image_url") {
    const JsonObject* image = get_object(part, "image_url");
    if (!image) return reject(param + ".image_url", fmt::format("`{}.image_url` must be an object with a `url`", param));
    return image_from_url(get_string(*image, "url"), param + ".image_url.url");
  }
  return unsupported(param + ".type", fmt::format("`{}` is no part that Mayfly passes on: send text and image_url", type));
}

Decoded<void> user_message(const JsonObject& message, const std::string& param, llm::LlmRequest& out) {
  llm::Message user;
  const JsonArray* parts = get_array(message, "content");
  if (!parts) {
    auto text = text_content(message, param + ".content");
    if (!text) return std::unexpected(std::move(text.error()));
    user.content.push_back(Content::make_text(std::move(*text)));
  } else {
    if (parts->size() > kPartsMax) return reject(param + ".content", fmt::format("a message holds at most {} parts", kPartsMax));
    for (std::size_t i = 0; i < parts->size(); ++i) {
      const JsonObject* part = (*parts)[i].if_object();
      if (!part) return reject(at(param + ".content", i), "a content part must be an object with a `type`");
      auto content = user_part(*part, at(param + ".content", i));
      if (!content) return std::unexpected(std::move(content.error()));
      user.content.push_back(std::move(*content));
    }
  }
  out.messages.push_back(std::move(user));
  return {};
}

Decoded<Content> tool_call(const Json& value, const std::string& param) {
  const JsonObject* call = value.if_object();
  const JsonObject* function = call ? get_object(*call, "function") : nullptr;
  if (!function || get_string(*function, "name").empty())
    return reject(param, fmt::format("`{}` must be {{id, type: \"function\", function: {{name, arguments}}}}", param));
  return tool_call_from_text(get_string(*call, "id"), get_string(*function, "name"), get_string(*function, "arguments"));
}

Decoded<void> assistant_message(const JsonObject& message, const std::string& param, llm::LlmRequest& out) {
  if (is_present(message, "function_call")) return unsupported(param + ".function_call", "send `tool_calls`");
  llm::Message said;
  said.role = Role::Assistant;
  for (const std::string_view name : {"reasoning_content", "reasoning"}) {
    const std::string text = get_string(message, name);
    if (text.empty()) continue;
    Content thought = Content::make_text(text);
    thought.kind = Content::Kind::Reasoning;
    thought.opaque = JsonObject{{"api", "openai"}, {"field", to_json_text(name)}};
    said.content.push_back(std::move(thought));
    break;
  }
  std::string refusal = get_string(message, "refusal");
  const JsonArray* parts = get_array(message, "content");
  std::string text;
  if (!parts) {
    auto whole = text_content(message, param + ".content");
    if (!whole) return std::unexpected(std::move(whole.error()));
    text = std::move(*whole);
  }
  for (std::size_t i = 0; parts && i < parts->size(); ++i) {
    const JsonObject* part = (*parts)[i].if_object();
    const std::string type = part ? get_string(*part, "type") : std::string();
    if (type == "text") {
      text += get_string(*part, "text");
    } else if (type == "refusal") {
      refusal += get_string(*part, "refusal");
    } else {
      return unsupported(at(param + ".content", i), "an assistant message holds parts of type text and refusal");
    }
  }
  if (!text.empty()) said.content.push_back(Content::make_text(std::move(text)));
  if (!refusal.empty()) {
    said.content.push_back(Content::make_text(std::move(refusal)));
    said.content.back().kind = Content::Kind::Refusal;
  }
  const JsonArray* calls = get_array(message, "tool_calls");
  if (calls && calls->size() > kPartsMax) return reject(param + ".tool_calls", fmt::format("at most {} calls in a message", kPartsMax));
  for (std::size_t i = 0; calls && i < calls->size(); ++i) {
    auto call = tool_call((*calls)[i], at(param + ".tool_calls", i));
    if (!call) return std::unexpected(std::move(call.error()));
    said.content.push_back(std::move(*call));
  }
  out.messages.push_back(std::move(said));
  return {};
}

Decoded<void> message(const Json& value, const std::string& param, llm::LlmRequest& out) {
  const JsonObject* object = value.if_object();
  if (!object) return reject(param, fmt::format("`{}` must be an object with `role` and `content`", param));
  const std::string role = get_string(*object, "role");
  if (is_present(*object, "audio")) return unsupported(param + ".audio", "send text");
  if (role == "user") return user_message(*object, param, out);
  if (role == "assistant") return assistant_message(*object, param, out);
  if (role != "system" && role != "developer" && role != "tool")
    return reject(param + ".role", fmt::format("`{}.role` must be system, developer, user, assistant or tool", param));
  auto text = text_content(*object, param + ".content");
  if (!text) return std::unexpected(std::move(text.error()));
  if (role != "tool") {
    append_system(out, std::move(*text));
    return {};
  }
  const std::string id = get_string(*object, "tool_call_id");
  if (id.empty()) return reject(param + ".tool_call_id", "a tool message needs the `tool_call_id` that it answers");
  append_content(out.messages, Role::Tool, Content::make_tool_result(id, std::move(*text), false), true);
  return {};
}

Decoded<void> refuse_what_is_not_there(const JsonObject& body) {
  if (auto n = count_field(body, "n", 1); !n)
    return std::unexpected(std::move(n.error()));
  else if (*n && **n > 1)
    return unsupported("n", "ask once for each answer");
  if (get_bool(body, "logprobs")) return unsupported("logprobs", "remove it");
  if (get_int(body, "top_logprobs") > 0) return unsupported("top_logprobs", "remove it");
  if (const JsonObject* bias = get_object(body, "logit_bias"); bias && !bias->empty()) return unsupported("logit_bias", "remove it");
  if (is_present(body, "audio")) return unsupported("audio", "ask for text");
  if (const JsonArray* modalities = get_array(body, "modalities"))
    for (const Json& modality : *modalities)
      if (!modality.is_string() || modality.get_string() != "text") return unsupported("modalities", "ask for text");
  if (is_present(body, "functions")) return unsupported("functions", "send `tools`");
  if (is_present(body, "function_call")) return unsupported("function_call", "send `tool_choice`");
  if (is_present(body, "web_search_options")) return unsupported("web_search_options", "give the model a tool of yours");
  return {};
}

Decoded<void> settings(const JsonObject& body, FaceRequest& out) {
  llm::LlmRequest& request = out.request;
  auto newer = count_field(body, "max_completion_tokens", 1);
  if (!newer) return std::unexpected(std::move(newer.error()));
  auto older = count_field(body, "max_tokens", 1);
  if (!older) return std::unexpected(std::move(older.error()));
  request.output_tokens_max = *newer ? **newer : older->value_or(default_output_tokens(request.model));
  auto temperature = number_field(body, "temperature", 0, 2);
  if (!temperature) return std::unexpected(std::move(temperature.error()));
  request.temperature = *temperature;
  auto stop = stop_field(body, "stop");
  if (!stop) return std::unexpected(std::move(stop.error()));
  request.stop = std::move(*stop);
  if (const std::string effort = get_string(body, "reasoning_effort"); !effort.empty()) {
    auto level = effort_from_name(effort, request.model, "reasoning_effort");
    if (!level) return std::unexpected(std::move(level.error()));
    request.reasoning = *level;
  }
  auto stream = flag_field(body, "stream", false);
  if (!stream) return std::unexpected(std::move(stream.error()));
  out.stream = *stream;
  if (const JsonObject* options = get_object(body, "stream_options")) out.include_usage = get_bool(*options, "include_usage");
  return {};
}

}  // namespace

Decoded<FaceRequest> decode_chat(std::string_view text) {
  auto body = decode_body(text);
  if (!body) return std::unexpected(std::move(body.error()));
  FaceRequest out;
  if (auto common = decode_openai_common(*body, out); !common) return std::unexpected(std::move(common.error()));
  if (auto known = refuse_what_is_not_there(*body); !known) return std::unexpected(std::move(known.error()));
  if (auto set = settings(*body, out); !set) return std::unexpected(std::move(set.error()));
  const JsonArray* messages = get_array(*body, "messages");
  if (!messages || messages->empty() || messages->size() > kMessagesMax)
    return reject("messages", fmt::format("`messages` must be a list of 1 to {} messages", kMessagesMax));
  for (std::size_t i = 0; i < messages->size(); ++i)
    if (auto done = message((*messages)[i], at("messages", i), out.request); !done) return std::unexpected(std::move(done.error()));
  if (auto tools = decode_openai_tools(*body, Nesting::Function, out.request); !tools) return std::unexpected(std::move(tools.error()));
  if (const Json* format = field(*body, "response_format"))
    if (auto done = decode_output_format(*format, Nesting::Function, "response_format", out.request); !done)
      return std::unexpected(std::move(done.error()));
  note_ignored(*body, {"top_p", "seed", "frequency_penalty", "presence_penalty", "verbosity", "service_tier", "prediction"}, out.ignored);
  return out;
}

}  // namespace mayfly::faces
