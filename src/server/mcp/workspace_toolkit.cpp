#include "server/mcp/workspace_toolkit.h"

#include <fmt/format.h>

#include "net/http_server.h"
#include "server/config.h"

namespace mayfly::workspace_tools {
namespace {

std::string_view trimmed(std::string_view text) {
  while (text.starts_with(' ') || text.starts_with('\n')) text.remove_prefix(1);
  while (text.ends_with(' ') || text.ends_with('\n')) text.remove_suffix(1);
  return text;
}

JsonObject type_of(std::string_view type) {
  if (type == "i") return {{"type", "integer"}};
  if (type == "b") return {{"type", "boolean"}};
  if (type == "o") return {{"type", "object"}};
  if (type == "S") return {{"type", "array"}, {"items", {{"type", "string"}}}};
  if (type == "I") return {{"type", "array"}, {"items", {{"type", "integer"}}}};
  if (type == "O") return {{"type", "array"}, {"items", {{"type", "object"}}}};
  if (!type.starts_with("e(")) return {{"type", "string"}};
  JsonArray values;
  type = type.substr(2, type.size() - 3);
  while (!type.empty()) {
    const std::size_t comma = std::min(type.find(','), type.size());
    values.emplace_back(type.substr(0, comma));
    type.remove_prefix(std::min(comma + 1, type.size()));
  }
  return {{"type", "string"}, {"enum", std::move(values)}};
}

}  // namespace

const std::vector<Tool>& all_tools() {
  static const std::vector<Tool> kAll = [] {
    std::vector<Tool> out;
    for (auto tools : {account_tools, file_tools, history_tools, lock_tools, byte_tools, knowledge_tools, event_tools, sharing_tools, memory_tools})
      for (const Tool& tool : tools()) out.push_back(tool);
    return out;
  }();
  return kAll;
}

const Tool* find_tool(std::string_view name) {
  for (const Tool& tool : all_tools())
    if (tool.name == name) return &tool;
  return nullptr;
}

JsonObject schema_of(std::string_view fields) {
  JsonObject properties;
  JsonArray required;
  while (!fields.empty()) {
    const std::size_t end = std::min(fields.find(';'), fields.size());
    std::string_view field = trimmed(fields.substr(0, end));
    fields.remove_prefix(std::min(end + 1, fields.size()));
    if (field.empty()) continue;
    const std::size_t space = field.find(' ');
    std::string_view name = field.substr(0, space), rest = trimmed(field.substr(space));
    const std::size_t after = std::min(rest.find(' '), rest.size());
    if (name.ends_with('!')) {
      name.remove_suffix(1);
      required.emplace_back(name);
    }
    JsonObject property = type_of(rest.substr(0, after));
    if (const auto text = trimmed(rest.substr(after)); !text.empty()) property["description"] = text;
    properties[name] = std::move(property);
  }
  JsonObject out{{"type", "object"}, {"properties", std::move(properties)}, {"additionalProperties", false}};
  if (!required.empty()) out["required"] = std::move(required);
  return out;
}

workspace::Actor actor_of(const mcp::Caller& caller) {
  workspace::Actor actor;
  actor.id = caller.id;
  actor.label = caller.label.substr(0, 100);
  actor.kind = caller.is_person ? workspace::ActorKind::Person : workspace::ActorKind::Agent;
  actor.organisation = caller.organisation;
  actor.administrator = caller.scopes.contains("admin") && caller.workspace.empty();
  actor.read_only = !caller.may("files");
  actor.run = caller.run;
  if (!caller.workspace.empty()) actor.only_workspace = caller.workspace;
  if (const auto role = workspace::role_from_string(caller.role_max)) actor.role_max = *role;
  return actor;
}

Call::Call(AppContext& app, mcp::CallContext context, JsonObject arguments)
    : app_(app), context_(std::move(context)), arguments_(std::move(arguments)), actor_(actor_of(context_.caller)) {}

std::vector<std::string> Call::texts(std::string_view name) const {
  std::vector<std::string> out;
  if (const JsonArray* list = get_array(arguments_, name))
    for (const Json& item : *list)
      if (item.is_string()) out.emplace_back(item.get_string());
  return out;
}

std::string Call::workspace() const {
  std::string given = text("workspace");
  if (given.empty()) given = context_.caller.workspace;
  if (given.empty())
    if (const auto mine = all().spaces->list(actor_, false); mine.size() == 1) given = mine.front().id;
  return given;
}

workspace::Place Call::place(std::string_view path, std::string_view node) const {
  return has(node) ? workspace::Place::of(text(node)) : workspace::Place::at(text(path, "/"));
}

workspace::WriteOptions Call::write_options() const {
  workspace::WriteOptions out;
  if (const std::string etag = text("if_match"); !etag.empty()) out.when.if_match = etag;
  out.when.if_none_match = flag("create_only");
  out.when.lock_token = text("lock_token");
  if (has("fence")) out.when.fence = static_cast<std::uint64_t>(number("fence"));
  out.idempotency_key = text("idempotency_key");
  return out;
}

std::string Call::url(const std::string& path) const {
  if (!app_.config->public_url.empty()) return app_.config->public_url + path;
  const bool any = app_.config->address == "0.0.0.0" || app_.config->address == "::";
  return fmt::format("http://{}:{}{}", any ? "127.0.0.1" : app_.config->address, app_.server ? app_.server->port() : app_.config->port, path);
}

JsonObject view(const workspace::Node& node) {
  JsonObject out{{"node_id", node.id}, {"path", node.path}, {"kind", node.kind == workspace::NodeKind::Folder ? "folder" : "file"}, {"modified_at", to_rfc3339(node.modified)}};
  if (!node.modified_by.empty()) out["modified_by"] = node.modified_by;
  if (node.kind == workspace::NodeKind::File) {
    out["size"] = node.size;
    out["version"] = node.version;
    out["etag"] = node.etag;
    out["fence"] = node.fence;
    out["content_type"] = node.content_type;
    out["sha256"] = node.hash;
  }
  if (!node.metadata.empty()) out["metadata"] = node.metadata;
  if (node.deleted) out["deleted_at"] = to_rfc3339(*node.deleted), out["deleted_from"] = node.deleted_from, out["deleted_by"] = node.deleted_by;
  return out;
}

JsonObject view(const workspace::FileVersion& version) {
  JsonObject out{{"version", version.version}, {"etag", version.etag}, {"sha256", version.hash}, {"size", version.size}, {"at", to_rfc3339(version.at)},
                 {"author", version.author}, {"cause", version.cause}};
  if (!version.note.empty()) out["note"] = version.note;
  return out;
}

JsonObject view(const workspace::Workspace& workspace, const workspace::Actor& actor, const workspace::Spaces& spaces) {
  JsonObject out{{"id", workspace.id}, {"name", workspace.name}, {"role", workspace::to_string(spaces.role_of(actor, workspace))}, {"owner", workspace.owner},
                 {"organisation", workspace.organisation}, {"archived", workspace.archived}, {"index", workspace.index}, {"created_at", to_rfc3339(workspace.created)}};
  if (!workspace.title.empty()) out["title"] = workspace.title;
  if (!workspace.description.empty()) out["description"] = workspace.description;
  out["policy"] = workspace.policy == workspace::WritePolicy::Lenient ? "lenient" : workspace.policy == workspace::WritePolicy::StrictForAll ? "strict" : "strict_for_agents";
  return out;
}

JsonObject view(const workspace::Lock& lock) {
  JsonObject out{{"node_id", lock.node}, {"path", lock.path}, {"mode", lock.mode == workspace::LockMode::Shared ? "shared" : "exclusive"}, {"holder", lock.holder},
                 {"label", lock.holder_label}, {"fence", lock.fence}, {"acquired_at", to_rfc3339(lock.acquired)}, {"expires_at", to_rfc3339(lock.expires)}};
  if (!lock.run.empty()) out["run"] = lock.run;
  return out;
}

JsonObject view(const workspace::FileEvent& event) {
  JsonObject out{{"number", event.number}, {"type", event.type}, {"at", to_rfc3339(event.at)}, {"actor", event.actor}};
  if (!event.node.empty()) out["node_id"] = event.node;
  if (!event.path.empty()) out["path"] = event.path;
  if (!event.old_path.empty()) out["old_path"] = event.old_path;
  if (event.sequence) out["sequence"] = event.sequence;
  if (!event.data.empty()) out["data"] = event.data;
  return out;
}

std::string human_bytes(std::int64_t bytes) {
  if (bytes < 1'000) return fmt::format("{} B", bytes);
  double value = static_cast<double>(bytes);
  for (const char* unit : {"kB", "MB", "GB", "TB"}) {
    value /= 1'000;
    if (value < 1'000) return fmt::format("{:.1f} {}", value, unit);
  }
  return fmt::format("{:.0f} TB", value);
}

std::string line(const workspace::Node& node) {
  if (node.kind == workspace::NodeKind::Folder) return fmt::format("- `{}{}`\n", node.path, node.path == "/" ? "" : "/");
  return fmt::format("- `{}` {}, v{}, {}\n", node.path, human_bytes(node.size), node.version, to_rfc3339(node.modified).substr(0, 16));
}

}  // namespace mayfly::workspace_tools
