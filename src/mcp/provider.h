#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/json.h"
#include "base/time.h"
#include "runtime/cancel.h"
#include "runtime/task.h"

/// What an MCP server offers, without the protocol: implemented in `server` for workspaces, agents, functions and what projects declare.
namespace mayfly::mcp {

/// Who calls. Made by the edge from a key or token, or by the runtime for an agent's run.
struct Caller {
  std::string id;            ///< "key:1a2b3c4d", "agent:NAME"
  std::string label;
  std::string organisation = "default";
  bool is_person = false;
  std::set<std::string> scopes;  ///< as in server/auth.h: "read", "files", "invoke", "admin", …
  std::string run;           ///< of an agent's run
  std::string workspace;     ///< of a token for one workspace alone
  std::string role_max;
  bool may(const std::string& scope) const { return scopes.contains(scope) || scopes.contains("admin"); }
};

struct ToolInfo {
  std::string name, title, description;
  Json input_schema;                      ///< of an object
  std::optional<Json> output_schema;
  bool read_only = false, destructive = false, idempotent = false, open_world = false;  ///< the hints, honestly
  std::string toolset = "core";           ///< "files", "locks", "agents", …: picked by ?toolsets=
  bool by_default = true;                 ///< in the profile without ?toolsets=
  enum class Tasks { Forbidden, Optional, Required } tasks = Tasks::Forbidden;
  JsonObject requires_client;             ///< capabilities that the client must have declared: {"sampling": {}}
  JsonObject meta;
};

struct CallContext {
  Caller caller;
  CancelToken cancel;
  JsonObject meta;                        ///< the request's `_meta`
  JsonObject client_capabilities;
  std::string traceparent;
  /// Both may be empty. Never after the call has returned.
  std::function<void(double progress, std::optional<double> total, std::string message)> progress;
  std::function<void(std::string level, std::string logger, Json data)> log;
  /// Lets the client go for now (SEP-1699): it comes back for the result. May be empty.
  std::function<void()> pause;
  /// What the client answered to `InputRequired` of the call before, by the same names; and the state that was given with it.
  std::optional<JsonObject> input_responses;
  std::string request_state;
};

struct CallResult {
  JsonArray content;                      ///< MCP content blocks
  std::optional<Json> structured;
  bool is_error = false;
  JsonObject meta;
  /// The tool needs answers of the client first: {"name": {"method": "elicitation/create" | "sampling/createMessage" | "roots/list", "params"}}. It is called again
  /// with them. The older era's clients are asked by requests of the server's.
  std::optional<JsonObject> input_requests;
  std::string request_state;              ///< given back with the answers; the protocol layer seals it
  /// The work goes on as this run of the engine: a task, or awaited for clients that know no tasks.
  std::string run;

  static CallResult text(std::string text, bool is_error = false) {
    CallResult result;
    result.content.push_back(JsonObject{{"type", "text"}, {"text", std::move(text)}});
    result.is_error = is_error;
    return result;
  }
};

/// Error of `call`: `mcp.unknown_tool`, `mcp.invalid_params` (protocol errors); everything that a model can react to is a result with is_error.
class ToolProvider {
 public:
  virtual ~ToolProvider() = default;
  /// What this caller sees: read-only callers see no tools that write.
  virtual std::vector<ToolInfo> tools(const Caller& caller) = 0;
  /// The one of them with this name. Every call looks it up: a provider of many tools should not make them all for it.
  virtual std::optional<ToolInfo> tool(const Caller& caller, std::string_view name) {
    for (ToolInfo& each : tools(caller))
      if (each.name == name) return std::move(each);
    return std::nullopt;
  }
  /// `arguments` have been validated against the schema.
  virtual Task<Result<CallResult>> call(CallContext context, std::string tool, JsonObject arguments) = 0;
};

struct ResourceInfo {
  std::string uri, name, title, description, mime_type;
  std::optional<std::int64_t> size;
};
struct ResourcePage {
  std::vector<ResourceInfo> resources;
  std::string next;
};

/// Error of `read`: `mcp.resource_not_found`.
class ResourceProvider {
 public:
  virtual ~ResourceProvider() = default;
  virtual bool owns(std::string_view uri) const = 0;
  virtual Task<Result<ResourcePage>> list(Caller caller, std::string after) = 0;
  virtual std::vector<ResourceInfo> templates(const Caller& caller) = 0;  ///< `uri` is a template (RFC 6570)
  virtual Task<Result<JsonArray>> read(CallContext context, std::string uri) = 0;  ///< contents: [{uri, mimeType, text|blob}]
  /// Calls `changed` on the loop when the resource changed, until the handle is destroyed. Error: as `read`.
  class Watch {
   public:
    virtual ~Watch() = default;
  };
  virtual Task<Result<std::unique_ptr<Watch>>> watch(Caller caller, std::string uri, std::function<void()> changed) = 0;
  virtual Task<Result<std::vector<std::string>>> complete(Caller caller, std::string uri_template, std::string argument, std::string text) = 0;
};

struct PromptInfo {
  std::string name, title, description;
  JsonArray arguments;  ///< [{name, description, required}]
};
class PromptProvider {
 public:
  virtual ~PromptProvider() = default;
  virtual std::vector<PromptInfo> prompts(const Caller& caller) = 0;
  /// Result: {description?, messages}, or input_requests as in CallResult (meta, content empty). Error: `mcp.unknown_prompt`, `mcp.invalid_params`.
  virtual Task<Result<JsonObject>> get(CallContext context, std::string prompt, JsonObject arguments) = 0;
  virtual Task<Result<std::vector<std::string>>> complete(Caller caller, std::string prompt, std::string argument, std::string text) = 0;
};

/// All that one endpoint offers. Names of tools are unique over the providers; the first wins.
struct Offer {
  std::vector<ToolProvider*> tools;
  std::vector<ResourceProvider*> resources;
  std::vector<PromptProvider*> prompts;
};

}  // namespace mayfly::mcp
