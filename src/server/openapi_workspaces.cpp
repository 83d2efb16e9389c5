#include "server/openapi.h"

namespace mayfly {
namespace {

constexpr std::string_view kTag = "workspaces";

const Endpoint kEndpoints[] = {
    {"GET", "/v1/workspaces", "listWorkspaces", kTag, {Scope::Read, Scope::Files}, "List the workspaces that the caller may see", "", "", 200, "WorkspaceList"},
    {"POST", "/v1/workspaces", "createWorkspace", kTag, {Scope::Files}, "Make a workspace that the caller owns", "", "NewWorkspace", 201, "Workspace"},
    {"GET", "/v1/workspaces/{workspace}", "getWorkspace", kTag, {Scope::Read, Scope::Files}, "Show a workspace", "", "", 200, "Workspace"},
    {"PATCH", "/v1/workspaces/{workspace}", "updateWorkspace", kTag, {Scope::Files}, "Change a workspace's name, title, description, policy, index or quota", "", "WorkspaceChanges", 200, "Workspace"},
    {"DELETE", "/v1/workspaces/{workspace}", "removeWorkspace", kTag, {Scope::Files}, "Remove an archived workspace for good", "", "", 204, ""},
    {"POST",
     "/v1/workspaces/{workspace}/actions/{action}",
     "actOnWorkspace",
     kTag,
     {Scope::Read, Scope::Files},
     "Do what the MCP tool of this name does",
     "",
     "ActionArguments",
     200,
     "ActionAnswer",
     "`GET /v1/workspace-actions` lists the actions with the schemas of their arguments. Refusals: 404, 403; 412 when an etag or a lock no longer fits, 423 when somebody else holds the lock "
     "(with Retry-After), 428 when an overwrite names no precondition, 413, 429 and 507 for quotas. Files as bytes are at `/v1/workspaces/{workspace}/files/{path}`: GET with ranges and conditions, "
     "PUT and DELETE with If-Match, If-None-Match: *, Mayfly-Lock and Mayfly-Fence."},
    {"GET", "/v1/workspace-actions", "listWorkspaceActions", kTag, {Scope::Read, Scope::Files}, "List the actions on workspaces, with the schemas of their arguments", "", "", 200, "ActionList"},
};

constexpr std::string_view kSchemas = R"schema({
  "Workspace": {"type": "object", "required": ["id", "name", "role", "owner", "organisation", "archived", "index", "created_at", "policy"], "properties": {
    "id": {"type": "string", "example": "ws_oihluhsavikb7kiq"}, "name": {"type": "string"}, "title": {"type": "string"}, "description": {"type": "string"},
    "role": {"enum": ["none", "viewer", "commenter", "editor", "owner"], "description": "The caller's"}, "owner": {"type": "string"}, "organisation": {"type": "string"},
    "archived": {"type": "boolean"}, "index": {"type": "boolean"}, "created_at": {"$ref": "#/components/schemas/Time"}, "policy": {"enum": ["strict_for_agents", "lenient", "strict"]}}},
  "WorkspaceList": {"type": "object", "required": ["workspaces"], "properties": {"workspaces": {"type": "array", "items": {"$ref": "#/components/schemas/Workspace"}}}},
  "NewWorkspace": {"type": "object", "required": ["name"], "additionalProperties": false, "properties": {"name": {"type": "string", "pattern": "^[a-z0-9][a-z0-9_-]{0,62}$"}, "title": {"type": "string", "maxLength": 200}, "description": {"type": "string", "maxLength": 4096}}},
  "WorkspaceChanges": {"type": "object", "additionalProperties": false, "properties": {"name": {"type": "string"}, "title": {"type": "string"}, "description": {"type": "string"},
    "policy": {"enum": ["strict_for_agents", "lenient", "strict"]}, "index": {"type": "boolean"}, "quota": {"type": "object", "description": "bytes, file_bytes, files, credits; administrators only"}}},
  "ActionArguments": {"type": "object", "description": "As `GET /v1/workspace-actions` says, without `workspace`"},
  "ActionAnswer": {"type": "object"},
  "ActionList": {"type": "object", "required": ["actions"], "properties": {"actions": {"type": "array", "items": {"type": "object", "required": ["name", "description", "arguments"], "properties": {"name": {"type": "string"}, "description": {"type": "string"},
    "toolset": {"type": "string"}, "reads_only": {"type": "boolean"}, "arguments": {"type": "object"}}}}}}
})schema";

}  // namespace

EndpointGroup workspace_endpoints() { return {kTag, "Files with history, locks and events", kEndpoints, kSchemas}; }

}  // namespace mayfly
