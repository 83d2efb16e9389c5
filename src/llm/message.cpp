#include "llm/message.h"

#include <fmt/format.h>

#include <array>
#include <utility>

namespace mayfly::llm {
namespace {

constexpr std::size_t kPartsMax = 10'000;

constexpr std::array<std::pair<Content::Kind, std::string_view>, 6> kKinds{{{Content::Kind::Text, "text"},
                                                                            {Content::Kind::Image, "image"},
                                                                            {Content::Kind::ToolCall, "tool_call"},
                                                                            {Content::Kind::ToolResult, "tool_result"},
                                                                            {Content::Kind::Reasoning, "reasoning"},
                                                                            {Content::Kind::Refusal, "refusal"}}};
constexpr std::array kRoles{Role::System, Role::User, Role::Assistant, Role::Tool};

std::string_view name_of(Content::Kind kind) {
  for (const auto& [value, name] : kKinds)
    if (value == kind) return name;
  return "text";
}

std::optional<Content::Kind> kind_of(std::string_view name) {
  for (const auto& [value, known] : kKinds)
    if (known == name) return value;
  return std::nullopt;
}

std::optional<Role> role_of(std::string_view name) {
  for (const Role role : kRoles)
    if (to_string(role) == name) return role;
  return std::nullopt;
}

Result<Content> tool_call_from_json(const JsonObject& object) {
  Content out;
  out.kind = Content::Kind::ToolCall;
  out.id = get_string(object, "id");
  out.name = get_string(object, "name");
  if (out.name.empty()) return fail("llm.invalid_message", "a tool call needs a `name`");
  if (const Json* arguments = get(object, "arguments"); arguments && arguments->is_object()) {
    out.arguments = *arguments;
  } else if (!arguments || arguments->is_null()) {
    out.text = get_string(object, "arguments_text");
  } else {
    return fail("llm.invalid_message", fmt::format("the `arguments` of tool call `{}` must be an object", out.name));
  }
  return out;
}

}  // namespace

std::string_view to_string(Role role) {
  switch (role) {
    case Role::System: return "system";
    case Role::User: return "user";
    case Role::Assistant: return "assistant";
    case Role::Tool: return "tool";
  }
  return "user";
}

Content Content::make_text(std::string text) {
  Content out;
  out.text = std::move(text);
  return out;
}

Content Content::make_tool_call(std::string id, std::string name, Json arguments) {
  Content out;
  out.kind = Kind::ToolCall;
  out.id = std::move(id);
  out.name = std::move(name);
  out.arguments = std::move(arguments);
  return out;
}

Content Content::make_tool_result(std::string id, std::string text, bool is_error) {
  Content out;
  out.kind = Kind::ToolResult;
  out.id = std::move(id);
  out.text = std::move(text);
  out.is_error = is_error;
  return out;
}

Message Message::user(std::string text) {
  Message out;
  out.content.push_back(Content::make_text(std::move(text)));
  return out;
}

Message Message::assistant(std::string text) {
  Message out = user(std::move(text));
  out.role = Role::Assistant;
  return out;
}

Json to_json(const Content& content) {
  JsonObject out;
  out["type"] = name_of(content.kind);
  switch (content.kind) {
    case Content::Kind::Text:
    case Content::Kind::Refusal:
    case Content::Kind::Reasoning: out["text"] = content.text; break;
    case Content::Kind::Image:
      if (!content.url.empty()) {
        out["url"] = content.url;
      } else {
        out["media_type"] = content.media_type;
        out["data"] = content.data;
      }
      break;
    case Content::Kind::ToolCall:
      out["id"] = content.id;
      out["name"] = content.name;
      out["arguments"] = content.arguments;
      if (!content.arguments.is_object()) out["arguments_text"] = content.text;
      break;
    case Content::Kind::ToolResult:
      out["id"] = content.id;
      out["text"] = content.text;
      if (content.is_error) out["is_error"] = true;
      break;
  }
  if (!content.opaque.is_null()) out["opaque"] = content.opaque;
  return out;
}

Json to_json(const Message& message) {
  JsonArray parts;
  parts.reserve(message.content.size());
  for (const Content& content : message.content) parts.push_back(to_json(content));
  JsonObject out;
  out["role"] = to_string(message.role);
  out["content"] = std::move(parts);
  return out;
}

Result<Content> content_from_json(const Json& value) {
  const JsonObject* object = value.if_object();
  if (!object) return fail("llm.invalid_message", "a content part must be an object with a `type`");
  const std::string type = get_string(*object, "type");
  const auto kind = kind_of(type);
  if (!kind) {
    return fail("llm.invalid_message",
                fmt::format("unknown content type `{}`; use text, image, tool_call, tool_result, reasoning or refusal", type));
  }
  Content out;
  if (*kind == Content::Kind::ToolCall) {
    auto call = tool_call_from_json(*object);
    if (!call) return call;
    out = std::move(*call);
  } else {
    out.kind = *kind;
    out.text = get_string(*object, "text");
    out.id = get_string(*object, "id");
    out.is_error = get_bool(*object, "is_error");
    out.media_type = get_string(*object, "media_type");
    out.data = get_string(*object, "data");
    out.url = get_string(*object, "url");
  }
  if (out.kind == Content::Kind::Image && out.url.empty() && (out.media_type.empty() || out.data.empty()))
    return fail("llm.invalid_message", "an image needs a `url`, or a `media_type` with base64 `data`");
  if (out.kind == Content::Kind::ToolResult && out.id.empty())
    return fail("llm.invalid_message", "a tool result needs the `id` of its call");
  if (const Json* opaque = get(*object, "opaque")) out.opaque = *opaque;
  return out;
}

Result<Message> message_from_json(const Json& value) {
  const JsonObject* object = value.if_object();
  if (!object) return fail("llm.invalid_message", "a message must be an object with `role` and `content`");
  const std::string role_name = get_string(*object, "role");
  const auto role = role_of(role_name);
  if (!role) return fail("llm.invalid_message", fmt::format("unknown role `{}`; use system, user, assistant or tool", role_name));
  Message out;
  out.role = *role;
  const Json* content = get(*object, "content");
  if (content && content->is_string()) {
    out.content.push_back(Content::make_text(std::string(content->get_string())));
    return out;
  }
  if (!content || !content->is_array())
    return fail("llm.invalid_message", "the `content` of a message must be a text or a list of content parts");
  const JsonArray& parts = content->get_array();
  if (parts.size() > kPartsMax)
    return fail("llm.invalid_message", fmt::format("a message holds at most {} content parts; split it", kPartsMax));
  out.content.reserve(parts.size());
  for (const Json& part : parts) {
    auto decoded = content_from_json(part);
    if (!decoded) return fail(std::move(decoded.error()));
    out.content.push_back(std::move(*decoded));
  }
  return out;
}

std::string text_of(const Message& message) {
  std::string out;
  for (const Content& content : message.content)
    if (content.kind == Content::Kind::Text) out += content.text;
  return out;
}

Usage& Usage::operator+=(const Usage& other) {
  input += other.input;
  cache_read += other.cache_read;
  cache_write += other.cache_write;
  output += other.output;
  reasoning += other.reasoning;
  return *this;
}

Json to_json(const Usage& usage) {
  return JsonObject{{"input", usage.input},
                    {"cache_read", usage.cache_read},
                    {"cache_write", usage.cache_write},
                    {"output", usage.output},
                    {"reasoning", usage.reasoning}};
}

Usage usage_from_json(const Json& value) {
  Usage out;
  const JsonObject* object = value.if_object();
  if (!object) return out;
  out.input = get_int(*object, "input");
  out.cache_read = get_int(*object, "cache_read");
  out.cache_write = get_int(*object, "cache_write");
  out.output = get_int(*object, "output");
  out.reasoning = get_int(*object, "reasoning");
  return out;
}

}  // namespace mayfly::llm
