#include "server/faces/openai_common.h"

#include <fmt/format.h>

#include "server/faces/fields.h"

namespace mayfly::faces {
namespace {

const JsonObject* inner(const JsonObject& object, Nesting nesting, std::string_view key) {
  return nesting == Nesting::Flat ? &object : get_object(object, key);
}

Decoded<llm::ToolDefinition> tool(const Json& value, Nesting nesting, const std::string& param) {
  const JsonObject* object = value.if_object();
  if (!object) return reject(param, fmt::format("`{}` must be an object", param));
  if (const std::string type = get_string(*object, "type"); type != "function")
    return unsupported(param + ".type", fmt::format("tools of type `{}` run at the provider; offer a function", type));
  const JsonObject* function = inner(*object, nesting, "function");
  if (!function || get_string(*function, "name").empty()) return reject(param, fmt::format("`{}` needs the name of its function", param));
  llm::ToolDefinition out;
  out.name = get_string(*function, "name");
  out.description = get_string(*function, "description");
  out.parameters = JsonObject{{"type", "object"}, {"properties", JsonObject{}}};
  if (const Json* parameters = field(*function, "parameters")) {
    if (!parameters->is_object()) return reject(param + ".parameters", "a function's `parameters` must be a JSON Schema object");
    out.parameters = *parameters;
  }
  return out;
}

Decoded<std::vector<std::string>> names_of(const JsonArray& tools, Nesting nesting) {
  std::vector<std::string> out;
  for (std::size_t i = 0; i < tools.size(); ++i) {
    const JsonObject* object = tools[i].if_object();
    const JsonObject* function = object ? inner(*object, nesting, "function") : nullptr;
    if (!function) return reject(at("tool_choice.tools", i), "an allowed tool must be a function with a `name`");
    out.push_back(get_string(*function, "name"));
  }
  return out;
}

Decoded<llm::ToolChoice> mode(std::string_view name) {
  if (name == "auto") return llm::ToolChoice::Auto;
  if (name == "none") return llm::ToolChoice::None;
  if (name == "required") return llm::ToolChoice::Required;
  return reject("tool_choice", "`tool_choice` must be auto, none, required, or an object that names a function");
}

Decoded<void> choice(const Json& value, Nesting nesting, llm::LlmRequest& out) {
  if (value.is_string()) {
    auto chosen = mode(value.get_string());
    if (!chosen) return std::unexpected(std::move(chosen.error()));
    out.tool_choice = *chosen;
    return {};
  }
  const JsonObject* object = value.if_object();
  const std::string type = object ? get_string(*object, "type") : std::string();
  if (type == "function") {
    const JsonObject* function = inner(*object, nesting, "function");
    if (!function) return reject("tool_choice.function", "`tool_choice.function` must hold a `name`");
    return restrict_tools(out, {get_string(*function, "name")}, llm::ToolChoice::Required, "tool_choice");
  }
  if (type == "allowed_tools") {
    const JsonObject* allowed = inner(*object, nesting, "allowed_tools");
    const JsonArray* tools = allowed ? get_array(*allowed, "tools") : nullptr;
    if (!tools) return reject("tool_choice.tools", "`allowed_tools` needs a list of `tools`");
    auto names = names_of(*tools, nesting);
    if (!names) return std::unexpected(std::move(names.error()));
    auto chosen = mode(get_string(*allowed, "mode", "auto"));
    if (!chosen) return std::unexpected(std::move(chosen.error()));
    return restrict_tools(out, *names, *chosen, "tool_choice");
  }
  return unsupported("tool_choice", "use auto, none, required, a function or allowed_tools");
}

}  // namespace

Json to_json_text(std::string_view text) { return Json(boost::json::string_view(text.data(), text.size())); }

Decoded<void> decode_openai_common(const JsonObject& body, FaceRequest& out) {
  auto model = text_field(body, "model");
  if (!model) return std::unexpected(std::move(model.error()));
  if (model->empty()) return reject("model", "name a model: `model` is missing");
  out.request.model = std::move(*model);
  auto parallel = flag_field(body, "parallel_tool_calls", true);
  if (!parallel) return std::unexpected(std::move(parallel.error()));
  out.request.parallel_tool_calls = *parallel;
  out.request.user = get_string(body, "safety_identifier", get_string(body, "user"));
  out.session = get_string(body, "user");
  if (const JsonObject* metadata = get_object(body, "metadata"))
    if (std::string session = get_string(*metadata, "session"); !session.empty()) out.session = std::move(session);
  return {};
}

Decoded<void> decode_openai_tools(const JsonObject& body, Nesting nesting, llm::LlmRequest& out) {
  if (const Json* tools = field(body, "tools")) {
    const JsonArray* list = tools->if_array();
    if (!list || list->size() > kToolsMax) return reject("tools", fmt::format("`tools` must be a list of at most {} tools", kToolsMax));
    for (std::size_t i = 0; i < list->size(); ++i) {
      auto one = tool((*list)[i], nesting, at("tools", i));
      if (!one) return std::unexpected(std::move(one.error()));
      out.tools.push_back(std::move(*one));
    }
  }
  const Json* value = field(body, "tool_choice");
  return value ? choice(*value, nesting, out) : Decoded<void>();
}

Decoded<void> decode_output_format(const Json& format, Nesting nesting, const std::string& param, llm::LlmRequest& out) {
  const JsonObject* object = format.if_object();
  const std::string type = object ? get_string(*object, "type") : std::string();
  if (type == "text") return {};
  if (type == "json_object") {
    out.output_schema = JsonObject{{"type", "object"}};
    return {};
  }
  if (type != "json_schema") return unsupported(param + ".type", "use text, json_object or json_schema");
  const JsonObject* holder = inner(*object, nesting, "json_schema");
  const Json* schema = holder ? field(*holder, "schema") : nullptr;
  if (!schema || !schema->is_object()) return reject(param, fmt::format("`{}` needs a `schema`: a JSON Schema object", param));
  out.output_schema = *schema;
  return {};
}

}  // namespace mayfly::faces
