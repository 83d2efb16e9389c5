#include "schema/json_schema.h"
#include "server/api.h"
#include "server/mcp/workspace_toolkit.h"
#include "server/problem.h"
#include "server/workspaces/actor_of.h"
#include "server/workspaces/problem_of.h"

/// Workspaces over REST: each operation is the one that MCP offers as a tool, with the same arguments and the same answer.
namespace mayfly {
namespace {

namespace kit = workspace_tools;

mcp::Caller caller_of(const Principal& principal) {
  mcp::Caller out;
  out.id = "key:" + principal.key_id;
  out.label = principal.name;
  out.organisation = principal.organisation;
  out.is_person = principal.is_person;
  for (const std::string_view name : principal.scopes.names()) out.scopes.emplace(name);
  out.workspace = principal.workspace;
  out.role_max = principal.role_max;
  return out;
}

workspace::Refusal no_such_action(const std::string& name) {
  return {Error{"ws.not_found", "there is no action '" + name.substr(0, 64) + "' on workspaces; see GET /v1/workspace-actions", Retry::Never}};
}

/// Performs the tool; the answer is its structured content.
Task<net::Response> perform(AppContext* app, Call* call, std::string name, JsonObject arguments, int status) {
  if (!app->workspaces) co_return problem_of(workspace::Refusal(Error{"ws.busy", "workspaces are not open yet; try again", Retry::Safe}));
  const kit::Tool* tool = kit::find_tool(name);
  if (!tool) co_return problem_of(no_such_action(name));
  const Json whole(arguments);
  auto schema = JsonSchema::compile(kit::schema_of(tool->fields));
  if (!schema) co_return to_problem(schema.error());
  if (const auto problems = schema->validate(whole); !problems.empty()) {
    std::string all;
    for (const std::string& problem : problems) all += (all.empty() ? "" : "; ") + problem;
    co_return problem_of(workspace::Refusal(Error{"ws.invalid", name + ": " + all.substr(0, 1'000) + "; see GET /v1/workspace-actions", Retry::Never}));
  }
  mcp::CallContext context;
  context.caller = caller_of(call->principal);
  context.cancel = call->request.disconnected;
  context.traceparent = call->traceparent;
  if (tool->hint != kit::Tool::Hint::Reads && !context.caller.may("files"))
    co_return problem_of(workspace::Refusal(Error{"ws.forbidden", "your key only reads; use one with the scope 'files'", Retry::Never}));
  auto shown = co_await tool->handler(kit::Call(*app, std::move(context), std::move(arguments)));
  if (!shown) co_return problem_of(shown.error());
  co_return json_response(status, Json(std::move(shown->structured)));
}

Result<JsonObject> body_of(const net::Request& request) {
  if (request.body.empty()) return JsonObject();
  auto body = parse_json(request.body);
  if (!body) return std::unexpected(body.error());
  if (!body->is_object()) return fail("request.invalid", "the body is a JSON object with the action's arguments");
  return std::move(body->get_object());
}

Task<Result<net::Response>> list_workspaces(AppContext& app, Call& call) {
  JsonObject arguments;
  if (call.request.query_parameter("archived").value_or("false") == "true") arguments["archived"] = true;
  co_return co_await perform(&app, &call, "workspace_list", std::move(arguments), 200);
}
Task<Result<net::Response>> create_workspace(AppContext& app, Call& call) {
  auto body = body_of(call.request);
  if (!body) co_return fail(body.error());
  co_return co_await perform(&app, &call, "workspace_create", std::move(*body), 201);
}
Task<Result<net::Response>> get_workspace(AppContext& app, Call& call) {
  co_return co_await perform(&app, &call, "workspace_get", {{"workspace", call.parameter("workspace")}}, 200);
}
Task<Result<net::Response>> update_workspace(AppContext& app, Call& call) {
  auto body = body_of(call.request);
  if (!body) co_return fail(body.error());
  if (const Json* name = get(*body, "name")) {
    (*body)["new_name"] = *name;
    body->erase("name");
  }
  (*body)["workspace"] = call.parameter("workspace");
  co_return co_await perform(&app, &call, "workspace_update", std::move(*body), 200);
}
Task<Result<net::Response>> remove_workspace(AppContext& app, Call& call) {
  if (!app.workspaces) co_return problem_of(workspace::Refusal(Error{"ws.busy", "workspaces are not open yet; try again", Retry::Safe}));
  auto removed = co_await app.workspaces->spaces->remove(actor_of(call.principal), call.parameter("workspace"));
  if (!removed) co_return problem_of(removed.error());
  net::Response out;
  out.status = 204;
  co_return out;
}
Task<Result<net::Response>> act(AppContext& app, Call& call) {
  auto body = body_of(call.request);
  if (!body) co_return fail(body.error());
  if (const std::string given = get_string(*body, "workspace", call.parameter("workspace")); given != call.parameter("workspace"))
    co_return fail("request.invalid", "the path names the workspace; leave it out of the body");
  const kit::Tool* tool = kit::find_tool(call.parameter("action"));
  if (tool && tool->fields.starts_with("workspace")) (*body)["workspace"] = call.parameter("workspace");
  co_return co_await perform(&app, &call, call.parameter("action"), std::move(*body), 200);
}
Task<Result<net::Response>> list_actions(AppContext&, Call&) {
  JsonArray out;
  for (const kit::Tool& tool : kit::all_tools())
    out.push_back(JsonObject{{"name", tool.name}, {"description", tool.description}, {"toolset", tool.toolset}, {"reads_only", tool.hint == kit::Tool::Hint::Reads}, {"arguments", kit::schema_of(tool.fields)}});
  co_return json_response(200, JsonObject{{"actions", std::move(out)}});
}

}  // namespace

void add_workspace_routes(Router& router) {
  const RouteOptions reads{.any_of = {Scope::Read, Scope::Files}}, writes{.any_of = {Scope::Files}};
  router.add("GET", "/v1/workspaces", reads, list_workspaces);
  router.add("POST", "/v1/workspaces", writes, create_workspace);
  router.add("GET", "/v1/workspaces/{workspace}", reads, get_workspace);
  router.add("PATCH", "/v1/workspaces/{workspace}", writes, update_workspace);
  router.add("DELETE", "/v1/workspaces/{workspace}", writes, remove_workspace);
  router.add("POST", "/v1/workspaces/{workspace}/actions/{action}", reads, act);
  router.add("GET", "/v1/workspace-actions", reads, list_actions);
  add_workspace_file_routes(router);
}

}  // namespace mayfly
