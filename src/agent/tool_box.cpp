#include "agent/tool_box.h"

#include "agent/a2a_tool.h"
#include "agent/function_tool.h"
#include "tool/command_tool.h"
#include "tool/http_tool.h"

namespace mayfly::agent {
namespace {

std::vector<std::pair<std::string, std::string>> pairs_of(const JsonObject& config, std::string_view key) {
  std::vector<std::pair<std::string, std::string>> out;
  if (const JsonObject* object = get_object(config, key))
    for (const auto& member : *object)
      if (member.value().is_string()) out.emplace_back(member.key(), member.value().get_string());
  return out;
}

std::vector<std::string> texts_of(const JsonObject& config, std::string_view key) {
  std::vector<std::string> out;
  if (const JsonArray* array = get_array(config, key))
    for (const Json& element : *array)
      if (element.is_string()) out.emplace_back(element.get_string());
  return out;
}

}  // namespace

Result<Tool*> ToolBox::find(const AgentSpec& spec, std::int64_t version, const std::string& name) {
  auto& slot = tools_[spec.name + "/" + std::to_string(version) + "/" + name];
  if (slot) return slot.get();
  const ToolSpec* tool = spec.find_tool(name);
  if (!tool) return fail("tool.invalid", "the agent has no tool '" + name + "'");
  auto made = make(spec, *tool);
  if (!made) return std::unexpected(made.error());
  slot = std::move(*made);
  return slot.get();
}

Result<std::unique_ptr<Tool>> ToolBox::make(const AgentSpec& agent, const ToolSpec& spec) {
  const JsonObject config = spec.config.is_object() ? spec.config.get_object() : JsonObject{};
  if (spec.kind == ToolSpec::Kind::Http) {
    HttpToolOptions options;
    options.name = spec.name;
    options.description = spec.description;
    options.parameters = spec.parameters;
    options.effect = spec.effect;
    options.method = get_string(config, "method", "GET");
    options.url = get_string(config, "url");
    options.headers = pairs_of(config, "headers");
    options.query = pairs_of(config, "query");
    options.body = get_string(config, "body") == "json" ? HttpBody::Json : HttpBody::None;
    options.allow_hosts = texts_of(config, "allow_hosts");
    options.egress.allow_private = options.egress.allow_loopback = get_bool(config, "allow_private");
    options.response_bytes_max = static_cast<std::size_t>(get_int(config, "response_bytes_max", 256 * 1024));
    options.timeout = spec.timeout;
    return make_http_tool(std::move(options), http_, clock_, environment_);
  }
  if (spec.kind == ToolSpec::Kind::Command) {
    CommandToolOptions options;
    options.name = spec.name;
    options.description = spec.description;
    options.parameters = spec.parameters;
    options.effect = spec.effect;
    options.argv = texts_of(config, "run");
    options.directory = agent.base_dir;
    options.env = texts_of(config, "env");
    options.stdout_bytes_max = static_cast<std::size_t>(get_int(config, "output_bytes_max", 64 * 1024));
    options.timeout = spec.timeout;
    return make_command_tool(std::move(options), clock_, environment_);
  }
  if (spec.kind == ToolSpec::Kind::Function) {
    auto ref = function::parse_function_ref(get_string(config, "function"));
    if (!ref) return fail("tool.invalid", ref.error().message);
    if (!functions_) return fail("tool.invalid", "this server runs no functions; enable them, or remove the tool '" + spec.name + "'");
    return make_function_tool({.name = spec.name,
                               .description = spec.description,
                               .parameters = spec.parameters,
                               .effect = spec.effect,
                               .function = *std::move(ref),
                               .timeout = spec.timeout},
                              *functions_, clock_);
  }
  if (spec.kind == ToolSpec::Kind::Mcp) {
    McpToolOptions options;
    options.name = spec.name;
    options.description = spec.description;
    options.parameters = spec.parameters;
    options.effect = spec.effect;
    options.tool = get_string(config, "tool");
    options.server = get_string(config, "server");
    options.pinned = get_string(config, "pinned");
    options.url = get_string(config, "url");
    options.headers = pairs_of(config, "headers");
    options.private_network = get_bool(config, "private_network");
    options.workspace = get_string(config, "workspace");
    options.role = get_string(config, "role");
    options.agent = agent.name;
    options.timeout = spec.timeout;
    return make_mcp_tool(std::move(options), http_, own_tools_, environment_);
  }
  if (spec.kind == ToolSpec::Kind::A2a) {
    A2aToolOptions options;
    options.name = spec.name;
    options.description = spec.description;
    options.effect = spec.effect;
    options.url = get_string(config, "url");
    options.binding = get_string(config, "binding");
    options.headers = pairs_of(config, "headers");
    options.allow_private = get_bool(config, "allow_private");
    options.timeout = spec.timeout;
    return make_a2a_tool(std::move(options), http_, clock_, environment_);
  }
  return fail("tool.invalid", "'" + spec.name + "' is not a tool that is called outside the engine");
}

}  // namespace mayfly::agent
