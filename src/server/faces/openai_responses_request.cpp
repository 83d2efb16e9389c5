#include <fmt/format.h>

#include "server/faces/fields.h"
#include "server/faces/openai_common.h"
#include "server/faces/openai_responses.h"

namespace mayfly::faces {
namespace {

using llm::Content;
using llm::Role;

Decoded<Content> part_content(const JsonObject& part, const std::string& param) {
  const std::string type = get_string(part, "type");
  if (type == "input_text" || type == "output_text" || type == "text") return Content::make_text(get_string(part, "text"));
  if (type == "refusal") {
    Content out = Content::make_text(get_string(part, "refusal"));
    out.kind = Content::Kind::Refusal;
    return out;
  }
  if (type == "input_image") {
    const std::string url = get_string(part, "image_url");
    if (url.empty()) return unsupported(param + ".file_id", "send the image as `image_url`");
    return image_from_url(url, param + ".image_url");
  }
  return unsupported(param + ".type", fmt::format("`{}` is no part that Mayfly passes on: send input_text and input_image", type));
}

Decoded<std::vector<Content>> contents(const Json* value, const std::string& param) {
  std::vector<Content> out;
  if (value && value->is_string()) {
    out.push_back(Content::make_text(std::string(value->get_string())));
    return out;
  }
  const JsonArray* parts = value ? value->if_array() : nullptr;
  if (!parts || parts->size() > kPartsMax)
    return reject(param, fmt::format("`{}` must be a text or a list of at most {} parts", param, kPartsMax));
  for (std::size_t i = 0; i < parts->size(); ++i) {
    const JsonObject* part = (*parts)[i].if_object();
    if (!part) return reject(at(param, i), "a content part must be an object with a `type`");
    auto content = part_content(*part, at(param, i));
    if (!content) return std::unexpected(std::move(content.error()));
    out.push_back(std::move(*content));
  }
  return out;
}

/// Reads the items of `input` one after the other into a conversation.
class InputReader {
 public:
  InputReader(llm::LlmRequest& out, const Recall& recall) : out_(out), recall_(recall) {}

  Decoded<void> item(const Json& value, const std::string& param) {
    const JsonObject* object = value.if_object();
    if (!object) return reject(param, fmt::format("`{}` must be an object with a `type`", param));
    const std::string type = get_string(*object, "type", "message");
    if (type == "message") return message(*object, param);
    if (type == "function_call") return call(*object, param);
    if (type == "function_call_output") return call_output(*object, param);
    if (type == "reasoning") return reasoning(*object);
    if (type == "item_reference") return reference(*object, param);
    return unsupported(param + ".type", fmt::format("items of type `{}` belong to tools that run at the provider", type));
  }

 private:
  Decoded<void> message(const JsonObject& object, const std::string& param) {
    const std::string role = get_string(object, "role");
    auto parts = contents(field(object, "content"), param + ".content");
    if (!parts) return std::unexpected(std::move(parts.error()));
    if (role == "system" || role == "developer") {
      std::string text;
      for (const Content& part : *parts) text += part.text;
      append_system(out_, std::move(text));
      return {};
    }
    if (role != "user" && role != "assistant")
      return reject(param + ".role", fmt::format("`{}.role` must be user, assistant, system or developer", param));
    const std::string phase = get_string(object, "phase");
    bool joins = role == "assistant";
    for (Content& part : *parts) {
      if (role == "assistant" && !phase.empty()) part.opaque = JsonObject{{"api", "openai-responses"}, {"phase", phase}};
      append_content(out_.messages, role == "assistant" ? Role::Assistant : Role::User, std::move(part), joins);
      joins = true;
    }
    return {};
  }

  Decoded<void> call(const JsonObject& object, const std::string& param) {
    if (get_string(object, "name").empty() || get_string(object, "call_id").empty())
      return reject(param, "a function_call needs `call_id`, `name` and `arguments`");
    append_content(out_.messages, Role::Assistant,
                   tool_call_from_text(get_string(object, "call_id"), get_string(object, "name"), get_string(object, "arguments")), true);
    return {};
  }

  Decoded<void> call_output(const JsonObject& object, const std::string& param) {
    const std::string id = get_string(object, "call_id");
    if (id.empty()) return reject(param + ".call_id", "a function_call_output needs the `call_id` that it answers");
    auto parts = contents(field(object, "output"), param + ".output");
    if (!parts) return std::unexpected(std::move(parts.error()));
    std::string text;
    for (const Content& part : *parts) {
      if (part.kind == Content::Kind::Image) return unsupported(param + ".output", "send images in a user message");
      text += part.text;
    }
    append_content(out_.messages, Role::Tool, Content::make_tool_result(id, std::move(text), false), true);
    return {};
  }

  /// Reasoning that is neither remembered nor encrypted helps no provider and is left out.
  Decoded<void> reasoning(const JsonObject& object) {
    const std::string id = get_string(object, "id");
    if (recall_) {
      if (auto known = recall_(id)) {
        append_content(out_.messages, Role::Assistant, std::move(*known), true);
        return {};
      }
    }
    const std::string encrypted = get_string(object, "encrypted_content");
    if (encrypted.empty() || encrypted == id) return {};
    Content thought;
    thought.kind = Content::Kind::Reasoning;
    JsonObject kept{{"type", "reasoning"}, {"id", id}, {"encrypted_content", encrypted}};
    kept["summary"] = field(object, "summary") ? *field(object, "summary") : Json(JsonArray{});
    thought.opaque = JsonObject{{"api", "openai-responses"}, {"model", to_json_text(bare_model(out_.model))}, {"item", std::move(kept)}};
    append_content(out_.messages, Role::Assistant, std::move(thought), true);
    return {};
  }

  Decoded<void> reference(const JsonObject& object, const std::string& param) {
    const std::string id = get_string(object, "id");
    auto known = recall_ ? recall_(id) : std::nullopt;
    if (!known) {
      return std::unexpected(FaceError{
          .status = 404,
          .code = "item.not_found",
          .message = fmt::format("the item `{}` is no longer known; send the item itself (`store: false` makes clients do so)", id),
          .param = param});
    }
    append_content(out_.messages, Role::Assistant, std::move(*known), true);
    return {};
  }

  llm::LlmRequest& out_;
  const Recall& recall_;
};

Decoded<void> refuse_what_is_not_there(const JsonObject& body) {
  if (get_bool(body, "background")) return unsupported("background", "deploy an agent: its runs go on without a client");
  if (is_present(body, "previous_response_id")) return unsupported("previous_response_id", "send the whole conversation in `input`");
  if (is_present(body, "conversation")) return unsupported("conversation", "send the whole conversation in `input`");
  if (is_present(body, "prompt")) return unsupported("prompt", "send the text as `instructions`");
  if (get_int(body, "top_logprobs") > 0) return unsupported("top_logprobs", "remove it");
  if (const JsonArray* include = get_array(body, "include"))
    for (std::size_t i = 0; i < include->size(); ++i)
      if ((*include)[i] == Json("message.output_text.logprobs")) return unsupported(at("include", i), "remove it");
  return {};
}

Decoded<void> settings(const JsonObject& body, FaceRequest& out) {
  llm::LlmRequest& request = out.request;
  auto limit = count_field(body, "max_output_tokens", 1);
  if (!limit) return std::unexpected(std::move(limit.error()));
  request.output_tokens_max = limit->value_or(default_output_tokens(request.model));
  auto temperature = number_field(body, "temperature", 0, 2);
  if (!temperature) return std::unexpected(std::move(temperature.error()));
  request.temperature = *temperature;
  auto stream = flag_field(body, "stream", false);
  if (!stream) return std::unexpected(std::move(stream.error()));
  out.stream = *stream;
  auto instructions = text_field(body, "instructions");
  if (!instructions) return std::unexpected(std::move(instructions.error()));
  request.system = std::move(*instructions);
  if (const JsonObject* reasoning = get_object(body, "reasoning")) {
    if (const std::string effort = get_string(*reasoning, "effort"); !effort.empty()) {
      auto level = effort_from_name(effort, request.model, "reasoning.effort");
      if (!level) return std::unexpected(std::move(level.error()));
      request.reasoning = *level;
    }
  }
  const JsonObject* text = get_object(body, "text");
  const Json* format = text ? field(*text, "format") : nullptr;
  return format ? decode_output_format(*format, Nesting::Flat, "text.format", request) : Decoded<void>();
}

/// The settings that a response repeats, with the API's defaults.
JsonObject echo_of(const JsonObject& body) {
  JsonObject out{{"instructions", nullptr},
                 {"max_output_tokens", nullptr},
                 {"parallel_tool_calls", true},
                 {"store", true},
                 {"temperature", 1.0},
                 {"tool_choice", "auto"},
                 {"top_p", 1.0},
                 {"user", nullptr}};
  out["metadata"] = JsonObject{};
  out["reasoning"] = JsonObject{{"effort", nullptr}, {"summary", nullptr}};
  out["text"] = JsonObject{{"format", JsonObject{{"type", "text"}}}};
  out["tools"] = JsonArray{};
  for (auto& member : out)
    if (const Json* given = field(body, std::string_view(member.key().data(), member.key().size()))) member.value() = *given;
  return out;
}

}  // namespace

Decoded<FaceRequest> decode_responses(std::string_view text, const Recall& recall) {
  auto body = decode_body(text);
  if (!body) return std::unexpected(std::move(body.error()));
  FaceRequest out;
  if (auto common = decode_openai_common(*body, out); !common) return std::unexpected(std::move(common.error()));
  if (auto known = refuse_what_is_not_there(*body); !known) return std::unexpected(std::move(known.error()));
  if (auto set = settings(*body, out); !set) return std::unexpected(std::move(set.error()));
  const Json* input = field(*body, "input");
  if (input && input->is_string()) {
    out.request.messages.push_back(llm::Message::user(std::string(input->get_string())));
  } else {
    const JsonArray* items = input ? input->if_array() : nullptr;
    if (!items || items->empty() || items->size() > kMessagesMax)
      return reject("input", fmt::format("`input` must be a text or a list of 1 to {} items", kMessagesMax));
    InputReader reader(out.request, recall);
    for (std::size_t i = 0; i < items->size(); ++i)
      if (auto done = reader.item((*items)[i], at("input", i)); !done) return std::unexpected(std::move(done.error()));
  }
  if (auto tools = decode_openai_tools(*body, Nesting::Flat, out.request); !tools) return std::unexpected(std::move(tools.error()));
  note_ignored(*body, {"top_p", "truncation", "max_tool_calls", "service_tier"}, out.ignored);
  out.echo = echo_of(*body);
  return out;
}

}  // namespace mayfly::faces
