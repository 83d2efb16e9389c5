#include "mcp/server/declared.h"

#include <algorithm>
#include <array>
#include <set>

#include <fmt/format.h>

#include "net/http.h"
#include "schema/json_schema.h"

namespace mayfly::mcp {
namespace {

constexpr std::size_t kDefinitionsMax = 500, kSectionBytesMax = 900 * 1024, kNameMax = 128, kUriMax = 2'048;

std::unexpected<Error> invalid(const std::string& pointer, std::string message) { return fail("mcp.invalid", pointer + ": " + message); }

bool is_tool_name(std::string_view name) {
  return !name.empty() && name.size() <= kNameMax && std::ranges::all_of(name, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-' || c == '.';
  });
}

Result<void> check_members(const std::string& at, const JsonObject& in, std::initializer_list<std::string_view> known) {
  for (const auto& member : in)
    if (std::ranges::find(known, std::string_view(member.key())) == known.end())
      return invalid(at + "/" + std::string(member.key()), "is not known here");
  for (const std::string_view text : {"function", "title", "description", "toolset", "uri", "mime_type", "text", "blob", "tasks"})
    if (const Json* value = get(in, text); value && !value->is_string()) return invalid(at + "/" + std::string(text), "must be a text");
  for (const std::string_view flag : {"read_only", "destructive", "idempotent", "open_world", "input_first", "listed"})
    if (const Json* value = get(in, flag); value && !value->is_bool())
      return invalid(at + "/" + std::string(flag), "must be true or false");
  return {};
}

Result<void> check_tool(const std::string& at, const JsonObject& in) {
  if (auto known = check_members(at, in,
                                 {"function", "title", "description", "input", "output", "toolset", "read_only", "destructive",
                                  "idempotent", "open_world", "tasks", "input_first", "requires", "listed"});
      !known)
    return known;
  if (get_string(in, "function").empty()) return invalid(at, "needs `function`, the function that does it");
  if (get_string(in, "description").empty()) return invalid(at, "needs a `description`: models choose tools by it");
  for (const std::string_view key : {"input", "output"}) {
    const Json* schema = get(in, key);
    if (!schema) continue;
    const auto* object = schema->if_object();
    if (!object || get_string(*object, "type") != "object")
      return invalid(at + "/" + std::string(key), "must be a JSON Schema with `type: object`");
    if (auto compiled = JsonSchema::compile(*schema); !compiled) return invalid(at + "/" + std::string(key), compiled.error().message);
  }
  if (const std::string tasks = get_string(in, "tasks", "forbidden"); tasks != "forbidden" && tasks != "optional" && tasks != "required")
    return invalid(at + "/tasks", "must be forbidden, optional or required");
  if (const Json* wanted = get(in, "requires")) {
    if (!wanted->is_array()) return invalid(at + "/requires", "must be a list of sampling, elicitation and roots");
    for (const Json& each : wanted->get_array())
      if (!each.is_string() || (each != "sampling" && each != "elicitation" && each != "roots"))
        return invalid(at + "/requires", "must be a list of sampling, elicitation and roots");
  }
  return {};
}

Result<void> check_prompt(const std::string& at, const JsonObject& in) {
  if (auto known = check_members(at, in, {"function", "title", "description", "arguments", "messages"}); !known) return known;
  if (get_string(in, "function").empty() == !in.contains("messages"))
    return invalid(at, "needs either `messages` or a `function` that makes them");
  if (get_string(in, "description").empty()) return invalid(at, "needs a `description`");
  if (const Json* messages = get(in, "messages"); messages && !messages->is_array())
    return invalid(at + "/messages", "must be a list of {role, content}");
  const Json* arguments = get(in, "arguments");
  if (!arguments) return {};
  if (!arguments->is_array()) return invalid(at + "/arguments", "must be a list of {name, description, required, values}");
  for (const Json& argument : arguments->get_array()) {
    const auto* fields = argument.if_object();
    if (!fields || get_string(*fields, "name").empty()) return invalid(at + "/arguments", "each argument needs a name");
    if (auto known = check_members(at + "/arguments", *fields, {"name", "title", "description", "required", "values"}); !known)
      return known;
  }
  return {};
}

Result<void> check_resource(const std::string& at, const JsonObject& in, bool is_template) {
  if (auto known = check_members(at, in, {"uri", "title", "description", "mime_type", "text", "blob", "function", "values"}); !known)
    return known;
  const std::string uri = get_string(in, "uri");
  if (uri.size() > kUriMax || uri.find("://") == std::string::npos)
    return invalid(at + "/uri", "must be a URI with a scheme, such as notes://today");
  if (uri.starts_with("ws://")) return invalid(at + "/uri", "ws:// belongs to workspaces; choose another scheme");
  if (is_template == template_variables(uri).empty())
    return invalid(at + "/uri", is_template ? "needs at least one {variable}" : "has a {variable}: declare it under `templates`");
  const int sources = in.contains("text") + in.contains("blob") + in.contains("function");
  if (sources != 1) return invalid(at, "needs exactly one of `text`, `blob` (Base64) and `function`");
  return {};
}

}  // namespace

std::string_view section_schema_text() {
  return R"({
    "description": "Tools, prompts, resources and resource templates that the MCP server offers, by name; see docs/mcp-server.md.",
    "type": "object",
    "additionalProperties": {"type": "object"}
  })";
}

Result<void> check_section(const std::string& section, const Json& definitions) {
  if (std::ranges::find(kSections, section) == std::end(kSections))
    return invalid("", "there is no section '" + section + "'; there are tools, prompts, resources and templates");
  const auto* all = definitions.if_object();
  if (!all) return invalid("", "must be an object of definitions by name");
  if (all->size() > kDefinitionsMax) return invalid("", fmt::format("has more than {} definitions", kDefinitionsMax));
  if (to_text(definitions).size() > kSectionBytesMax)
    return invalid("", fmt::format("is larger than {} bytes: keep large resources in workspaces", kSectionBytesMax));
  for (const auto& member : *all) {
    const std::string at = "/" + std::string(member.key());
    const auto* definition = member.value().if_object();
    if (!definition) return invalid(at, "must be an object");
    if (!is_tool_name(member.key())) return invalid(at, "a name has 1 to 128 of the characters A-Z a-z 0-9 _ - .");
    Result<void> fine = section == "tools"     ? check_tool(at, *definition)
                        : section == "prompts" ? check_prompt(at, *definition)
                                               : check_resource(at, *definition, section == "templates");
    if (!fine) return fine;
  }
  return {};
}

std::vector<std::string> template_variables(std::string_view uri_template) {
  std::vector<std::string> out;
  for (std::size_t at = 0; (at = uri_template.find('{', at)) != std::string_view::npos; ++at) {
    const auto end = uri_template.find('}', at);
    if (end == std::string_view::npos) break;
    out.emplace_back(uri_template.substr(at + 1, end - at - 1));
  }
  return out;
}

std::optional<JsonObject> match_template(std::string_view uri_template, std::string_view uri) {
  JsonObject out;
  while (true) {
    const auto open = uri_template.find('{');
    const std::string_view literal = uri_template.substr(0, open);
    if (!uri.starts_with(literal)) return std::nullopt;
    uri.remove_prefix(literal.size());
    if (open == std::string_view::npos) return uri.empty() ? std::optional(std::move(out)) : std::nullopt;
    const auto close = uri_template.find('}', open);
    if (close == std::string_view::npos) return std::nullopt;
    const std::string_view name = uri_template.substr(open + 1, close - open - 1);
    uri_template.remove_prefix(close + 1);
    const std::string_view next = uri_template.substr(0, uri_template.find('{'));
    auto end = next.empty() ? uri.find('/') : uri.find(next);
    if (end == std::string_view::npos) end = uri.size();
    const auto value = net::percent_decode(uri.substr(0, end), false);
    if (!value || value->empty() || value->find('/') != std::string::npos || !is_utf8(*value)) return std::nullopt;
    out[name] = *value;
    uri.remove_prefix(end);
  }
}

Json fill(const Json& value, const JsonObject& values) {
  if (const auto* text = value.if_string()) {
    std::string out(*text);
    for (const auto& member : values) {
      const std::string place = "{" + std::string(member.key()) + "}";
      const std::string with = member.value().is_string() ? std::string(member.value().get_string()) : to_text(member.value());
      for (std::size_t at = 0; (at = out.find(place, at)) != std::string::npos; at += with.size()) out.replace(at, place.size(), with);
    }
    return Json(out);
  }
  if (const auto* array = value.if_array()) {
    JsonArray out;
    for (const Json& each : *array) out.push_back(fill(each, values));
    return out;
  }
  if (const auto* object = value.if_object()) {
    JsonObject out;
    for (const auto& member : *object) out[member.key()] = fill(member.value(), values);
    return out;
  }
  return value;
}

}  // namespace mayfly::mcp
