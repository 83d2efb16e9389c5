#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "mcp/provider.h"
#include "server/context.h"
#include "workspace/workspaces.h"

/// What the tools of workspaces are made of: one row a tool.
namespace mayfly::workspace_tools {

/// The arguments of one call, who calls, and what there is.
class Call {
 public:
  Call(AppContext& app, mcp::CallContext context, JsonObject arguments);

  AppContext& app() const { return app_; }
  workspace::Workspaces& all() const { return *app_.workspaces; }
  const mcp::CallContext& context() const { return context_; }
  const workspace::Actor& actor() const { return actor_; }
  const JsonObject& arguments() const { return arguments_; }
  std::string text(std::string_view name, std::string_view otherwise = {}) const { return get_string(arguments_, name, otherwise); }
  std::int64_t number(std::string_view name, std::int64_t otherwise = 0) const { return get_int(arguments_, name, otherwise); }
  bool flag(std::string_view name, bool otherwise = false) const { return get_bool(arguments_, name, otherwise); }
  bool has(std::string_view name) const { return arguments_.contains(name); }
  std::vector<std::string> texts(std::string_view name) const;
  /// The argument `workspace`, or that of the caller's key.
  std::string workspace() const;
  workspace::Place place(std::string_view path = "path", std::string_view node = "node_id") const;
  workspace::WriteOptions write_options() const;
  /// "https://…/dl/TOKEN" of "/dl/TOKEN".
  std::string url(const std::string& path) const;

 private:
  AppContext& app_;
  mcp::CallContext context_;
  JsonObject arguments_;
  workspace::Actor actor_;
};

/// A tool's answer: a few lines of Markdown, and the same for programs.
struct Shown {
  std::string text;
  JsonObject structured;
};
using Handler = Task<workspace::Outcome<Shown>> (*)(Call call);

struct Tool {
  std::string_view name, title, description;
  std::string_view toolset;
  bool by_default = true;
  enum class Hint { Reads, Adds, Changes, Destroys } hint = Hint::Reads;
  /// Fields separated by ';': "NAME TYPE text", NAME ends with '!' when it is required; TYPE is s, i, b, o, S (texts), O (objects) or e(a,b,c).
  std::string_view fields;
  Handler handler = nullptr;
};

std::vector<Tool> account_tools();
std::vector<Tool> file_tools();
std::vector<Tool> history_tools();
std::vector<Tool> lock_tools();
std::vector<Tool> byte_tools();
std::vector<Tool> knowledge_tools();
std::vector<Tool> event_tools();
std::vector<Tool> sharing_tools();
std::vector<Tool> memory_tools();

/// All of them; the pointers live for ever.
const std::vector<Tool>& all_tools();
/// Null: there is none.
const Tool* find_tool(std::string_view name);

/// JSON Schema of `fields`.
JsonObject schema_of(std::string_view fields);
workspace::Actor actor_of(const mcp::Caller& caller);

JsonObject view(const workspace::Node& node);
JsonObject view(const workspace::FileVersion& version);
JsonObject view(const workspace::Workspace& workspace, const workspace::Actor& actor, const workspace::Spaces& spaces);
JsonObject view(const workspace::Lock& lock);
JsonObject view(const workspace::FileEvent& event);
/// "- `/a/b.txt` 1.2 kB, v3, 2026-11-24".
std::string line(const workspace::Node& node);
std::string human_bytes(std::int64_t bytes);

}  // namespace mayfly::workspace_tools
