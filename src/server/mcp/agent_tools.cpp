#include "server/mcp/agent_tools.h"

#include <algorithm>

#include "mcp/client/remote.h"
#include "schema/json_schema.h"
#include "server/mcp/workspace_toolkit.h"
#include "server/mcp/workspace_tools.h"
#include "tool/http_template.h"

namespace mayfly {
namespace {

namespace kit = workspace_tools;
using agent::ToolSpec;

constexpr std::string_view kDefaultTools[] = {"file_list", "file_stat", "file_read", "file_write", "file_edit", "file_move", "file_delete", "folder_create", "file_grep", "version_list", "search",
                                              "lock_acquire", "lock_renew", "lock_release", "event_list"};
constexpr std::size_t kToolsMax = 64;
constexpr std::size_t kSchemaBytesMax = 32 * 1024;

std::unexpected<Error> invalid(std::string message) { return fail("agent.invalid", std::move(message)); }

std::vector<std::string> names_in(const JsonObject& object, std::string_view key) {
  std::vector<std::string> out;
  if (const JsonArray* list = get_array(object, key))
    for (const Json& name : *list)
      if (name.is_string()) out.emplace_back(name.get_string());
  return out;
}

std::string own_name(std::string_view server, std::string_view tool) {
  std::string out = std::string(server) + "__" + std::string(tool);
  for (char& c : out)
    if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-')) c = '_';
  return out.substr(0, 64);
}

Result<void> add(agent::AgentSpec* spec, ToolSpec tool) {
  if (spec->find_tool(tool.name)) return invalid("two tools are named '" + tool.name + "'; leave one out with `tools`");
  spec->tools.push_back(std::move(tool));
  return {};
}

Task<Result<void>> pin_workspace(AppContext* app, agent::AgentSpec* spec, JsonObject workspace) {
  const std::string name = get_string(workspace, "name"), role = get_string(workspace, "role", "editor");
  if (!app->workspaces) co_return fail("engine.starting", "workspaces are not open yet; try again", Retry::Safe);
  workspace::Actor system;
  system.id = "system";
  system.label = "deployment";
  system.kind = workspace::ActorKind::System;
  system.organisation = "default";
  if (!app->workspaces->spaces->find(system, name, workspace::Role::Viewer)) {
    workspace::Workspace wanted;
    wanted.name = name;
    wanted.title = "of the agent " + spec->name;
    auto made = co_await app->workspaces->spaces->create(system, std::move(wanted));
    if (!made && made.error().code != "ws.exists") co_return fail(Error(made.error()));
  }
  std::vector<std::string> wanted = names_in(workspace, "tools");
  if (wanted.empty()) wanted.assign(std::begin(kDefaultTools), std::end(kDefaultTools));
  for (const std::string& each : wanted) {
    const kit::Tool* tool = kit::find_tool(each);
    if (!tool) co_return invalid("`workspace` names the tool '" + each + "', which there is not; see GET /v1/workspace-actions");
    const bool reads = tool->hint == kit::Tool::Hint::Reads;
    if (role == "viewer" && !reads) continue;
    ToolSpec one;
    one.kind = ToolSpec::Kind::Mcp;
    one.name = tool->name;
    one.description = tool->description;
    JsonObject schema = kit::schema_of(tool->fields);
    schema["properties"].as_object().erase("workspace");
    one.parameters = std::move(schema);
    // Writes carry the call's key, so that a repeat finds the first one.
    one.effect = reads ? Effect::ReadOnly : Effect::AtLeastOnce;
    one.config = JsonObject{{"tool", tool->name}, {"workspace", name}, {"role", role}};
    if (auto added = add(spec, std::move(one)); !added) co_return added;
  }
  co_return Result<void>{};
}

Task<Result<void>> pin_server(AppContext* app, agent::AgentSpec* spec, std::string name, JsonObject server) {
  mcp::RemoteOptions options;
  options.url = get_string(server, "url");
  options.egress.allow_private = options.egress.allow_loopback = get_bool(server, "private_network");
  options.timeout = Millis{30'000};
  Redactor redactor;
  const auto environment = app->config->environment;
  if (const JsonObject* headers = get_object(server, "headers"))
    for (const auto& [header, value] : *headers) {
      auto parsed = HeaderTemplate::parse(std::string(header), value.is_string() ? std::string_view(value.get_string()) : "");
      if (!parsed) co_return invalid("MCP server '" + name + "', header " + std::string(header) + ": " + parsed.error().message);
      auto rendered = parsed->render(environment, redactor);
      if (!rendered) co_return invalid("MCP server '" + name + "', header " + std::string(header) + ": " + rendered.error().message);
      options.headers.emplace_back(parsed->name(), std::move(*rendered));
    }
  mcp::Remote remote(*app->http, std::move(options));
  auto tools = co_await remote.tools(app->stopping);
  if (!tools) co_return fail(Error{tools.error().code, "MCP server '" + name + "': " + redactor.apply(tools.error().message), tools.error().retry});
  const std::vector<std::string> wanted = names_in(server, "tools");
  for (const std::string& each : wanted)
    if (std::ranges::find(*tools, each, &mcp::RemoteTool::name) == tools->end()) co_return invalid("MCP server '" + name + "' has no tool '" + each + "'");
  Millis timeout{60'000};
  if (const std::string text = get_string(server, "timeout"); !text.empty()) {
    auto parsed = parse_duration(text);
    if (!parsed || parsed->count() < 1'000 || *parsed > Millis{3'600'000}) co_return invalid("MCP server '" + name + "': timeout is a duration from 1s to 1h");
    timeout = *parsed;
  }
  for (const mcp::RemoteTool& tool : *tools) {
    if (!wanted.empty() && std::ranges::find(wanted, tool.name) == wanted.end()) continue;
    if (spec->tools.size() >= kToolsMax * 2) co_return invalid("the agent would have more than 128 tools; name those that it needs under `tools`");
    if (to_text(tool.input_schema).size() > kSchemaBytesMax) co_return invalid("MCP server '" + name + "', tool '" + tool.name + "': its schema has more than 32 KiB; leave it out with `tools`");
    if (auto compiled = JsonSchema::compile(tool.input_schema); !compiled)
      co_return invalid("MCP server '" + name + "', tool '" + tool.name + "' has a schema that cannot be used (" + compiled.error().message + "); leave it out with `tools`");
    ToolSpec one;
    one.kind = ToolSpec::Kind::Mcp;
    one.name = own_name(name, tool.name);
    one.description = "(" + name + ") " + tool.description;
    one.parameters = tool.input_schema;
    one.effect = tool.read_only ? Effect::ReadOnly : tool.idempotent ? Effect::Idempotent : Effect::AtMostOnce;
    one.timeout = timeout;
    if (get_bool(server, "approve") && !tool.read_only) one.approval_when = Json(true);
    one.config = JsonObject{{"server", name}, {"tool", tool.name}, {"url", get_string(server, "url")}, {"pinned", tool.digest}, {"private_network", get_bool(server, "private_network")}};
    if (const JsonObject* headers = get_object(server, "headers")) one.config.as_object()["headers"] = *headers;
    if (auto added = add(spec, std::move(one)); !added) co_return added;
  }
  co_return Result<void>{};
}

/// True: the tools of the deployed version were taken over.
bool keep_pinned(const AppContext& app, agent::AgentSpec* spec, const std::string& name, const Json& server) {
  const auto current = app.registry->current(spec->name);
  const JsonObject* mcp = current ? current->spec.mcp.if_object() : nullptr;
  const JsonObject* servers = mcp ? get_object(*mcp, "servers") : nullptr;
  const Json* before = servers ? get(*servers, name) : nullptr;
  if (!before || to_canonical_text(*before) != to_canonical_text(server)) return false;
  for (const ToolSpec& tool : current->spec.tools)
    if (tool.kind == ToolSpec::Kind::Mcp && tool.config.is_object() && get_string(tool.config.get_object(), "server") == name && !spec->find_tool(tool.name)) spec->tools.push_back(tool);
  return true;
}

class AgentOwnTools final : public agent::OwnTools {
 public:
  explicit AgentOwnTools(AppContext& app) : tools_(make_workspace_tools(app)) {}

  Task<Result<ToolOutput>> call(std::string agent, std::string workspace, std::string role, std::string tool, ToolCall call) override {
    mcp::CallContext context;
    context.caller.id = "agent:" + agent;
    context.caller.label = agent;
    context.caller.scopes = {"read", "files"};
    context.caller.run = call.run_id;
    context.caller.workspace = workspace;
    context.caller.role_max = role;
    context.cancel = call.cancel;
    context.traceparent = call.traceparent;
    JsonObject arguments = call.arguments.is_object() ? call.arguments.get_object() : JsonObject();
    const workspace_tools::Tool* known = workspace_tools::find_tool(tool);
    const bool absorbs = known && known->hint != kit::Tool::Hint::Reads && known->fields.contains("idempotency_key");
    if (absorbs && !arguments.contains("idempotency_key")) arguments["idempotency_key"] = call.idempotency_key;
    auto result = co_await tools_->call(std::move(context), tool, std::move(arguments));
    if (!result) co_return std::unexpected(result.error());
    ToolOutput out;
    out.is_error = result->is_error;
    for (const Json& block : result->content)
      if (const JsonObject* object = block.if_object()) out.text += (out.text.empty() ? "" : "\n") + get_string(*object, "text");
    co_return out;
  }

 private:
  std::unique_ptr<mcp::ToolProvider> tools_;
};

}  // namespace

Task<Result<void>> pin_mcp_tools(AppContext* app, agent::AgentSpec* spec, Pins pins) {
  std::erase_if(spec->tools, [](const ToolSpec& tool) { return tool.kind == ToolSpec::Kind::Mcp; });
  const JsonObject* mcp = spec->mcp.if_object();
  if (!mcp) co_return Result<void>{};
  if (const JsonObject* workspace = get_object(*mcp, "workspace"))
    if (auto pinned = co_await pin_workspace(app, spec, *workspace); !pinned) co_return pinned;
  if (const JsonObject* servers = get_object(*mcp, "servers")) {
    const JsonObject copy = *servers;
    for (const auto& [name, server] : copy)
      if (const JsonObject* object = server.if_object()) {
        if (pins == Pins::Keep && keep_pinned(*app, spec, std::string(name), server)) continue;
        if (auto pinned = co_await pin_server(app, spec, std::string(name), *object); !pinned) co_return pinned;
      }
  }
  co_return Result<void>{};
}

std::unique_ptr<agent::OwnTools> make_agent_own_tools(AppContext& app) { return std::make_unique<AgentOwnTools>(app); }

}  // namespace mayfly
