#include "workspace/rows.h"

#include "base/json.h"

namespace mayfly::workspace {
namespace {

Result<JsonObject> object_of(const std::string& key, const std::string& text) {
  auto value = parse_json(text);
  if (!value || !value->is_object())
    return fail("store.damaged", "the row " + key + " cannot be read: restore a backup, or remove the row by hand");
  return std::move(value->get_object());
}

void put(JsonObject* out, std::string_view name, const std::string& text) {
  if (!text.empty()) (*out)[name] = text;
}
TimePoint time_of(const JsonObject& object, std::string_view name) { return from_unix_ms(get_int(object, name)); }
std::optional<TimePoint> maybe_time(const JsonObject& object, std::string_view name) {
  return object.contains(name) ? std::optional(time_of(object, name)) : std::nullopt;
}

JsonObject member_json(const Member& member) {
  JsonObject out{{"role", to_string(member.role)}, {"added", to_unix_ms(member.added)}};
  put(&out, "label", member.label);
  put(&out, "by", member.added_by);
  if (member.expires) out["expires"] = to_unix_ms(*member.expires);
  return out;
}

Member member_of(std::string actor, const JsonObject& object) {
  Member out;
  out.actor = std::move(actor);
  out.label = get_string(object, "label");
  out.role = role_from_string(get_string(object, "role")).value_or(Role::None);
  out.added_by = get_string(object, "by");
  out.added = time_of(object, "added");
  out.expires = maybe_time(object, "expires");
  return out;
}

}  // namespace

std::string row_text(const Workspace& w) {
  JsonObject out{{"id", w.id}, {"name", w.name}, {"org", w.organisation}, {"owner", w.owner}, {"policy", static_cast<int>(w.policy)}};
  put(&out, "title", w.title);
  put(&out, "description", w.description);
  if (!w.index) out["index"] = false;
  if (w.archived) out["archived"] = true;
  out["quota"] = JsonObject{
      {"bytes", w.quota.bytes}, {"file_bytes", w.quota.file_bytes}, {"files", w.quota.files}, {"credits", w.quota.credits}};
  out["created"] = to_unix_ms(w.created);
  out["updated"] = to_unix_ms(w.updated);
  JsonObject members;
  for (const auto& [actor, member] : w.members) members[actor] = member_json(member);
  out["members"] = std::move(members);
  return to_text(out);
}

template <>
Result<Workspace> row_as<Workspace>(const std::string& key, const std::string& text) {
  auto object = object_of(key, text);
  if (!object) return std::unexpected(object.error());
  Workspace out;
  out.id = get_string(*object, "id");
  out.name = get_string(*object, "name");
  out.title = get_string(*object, "title");
  out.description = get_string(*object, "description");
  out.organisation = get_string(*object, "org");
  out.owner = get_string(*object, "owner");
  out.policy = static_cast<WritePolicy>(get_int(*object, "policy"));
  out.index = get_bool(*object, "index", true);
  out.archived = get_bool(*object, "archived");
  if (const JsonObject* quota = get_object(*object, "quota")) {
    out.quota.bytes = get_int(*quota, "bytes", out.quota.bytes);
    out.quota.file_bytes = get_int(*quota, "file_bytes", out.quota.file_bytes);
    out.quota.files = get_int(*quota, "files", out.quota.files);
    out.quota.credits = get_int(*quota, "credits", out.quota.credits);
  }
  out.created = time_of(*object, "created");
  out.updated = time_of(*object, "updated");
  if (const JsonObject* members = get_object(*object, "members"))
    for (const auto& [actor, member] : *members)
      if (member.is_object()) out.members.emplace(std::string(actor), member_of(std::string(actor), member.get_object()));
  return out;
}

std::string row_text(const Node& n) {
  JsonObject out{{"id", n.id}, {"name", n.name}, {"created", to_unix_ms(n.created)}, {"modified", to_unix_ms(n.modified)}};
  if (n.kind == NodeKind::Folder) out["folder"] = true;
  put(&out, "parent", n.parent);
  if (n.version) out["version"] = n.version;
  if (n.fence) out["fence"] = n.fence;
  if (n.sequence) out["seq"] = n.sequence;
  put(&out, "etag", n.etag);
  put(&out, "hash", n.hash);
  if (n.size) out["size"] = n.size;
  put(&out, "type", n.content_type);
  if (!n.metadata.empty()) out["meta"] = n.metadata;
  put(&out, "by", n.created_by);
  put(&out, "mby", n.modified_by);
  if (n.deleted) out["deleted"] = to_unix_ms(*n.deleted);
  put(&out, "from", n.deleted_from);
  put(&out, "dby", n.deleted_by);
  return to_text(out);
}

template <>
Result<Node> row_as<Node>(const std::string& key, const std::string& text) {
  auto object = object_of(key, text);
  if (!object) return std::unexpected(object.error());
  Node out;
  out.id = get_string(*object, "id");
  out.kind = get_bool(*object, "folder") ? NodeKind::Folder : NodeKind::File;
  out.parent = get_string(*object, "parent");
  out.name = get_string(*object, "name");
  out.version = static_cast<std::uint64_t>(get_int(*object, "version"));
  out.fence = static_cast<std::uint64_t>(get_int(*object, "fence"));
  out.sequence = static_cast<std::uint64_t>(get_int(*object, "seq"));
  out.etag = get_string(*object, "etag");
  out.hash = get_string(*object, "hash");
  out.size = get_int(*object, "size");
  out.content_type = get_string(*object, "type");
  if (const JsonObject* metadata = get_object(*object, "meta")) out.metadata = *metadata;
  out.created_by = get_string(*object, "by");
  out.modified_by = get_string(*object, "mby");
  out.created = time_of(*object, "created");
  out.modified = time_of(*object, "modified");
  out.deleted = maybe_time(*object, "deleted");
  out.deleted_from = get_string(*object, "from");
  out.deleted_by = get_string(*object, "dby");
  return out;
}

std::string row_text(const FileVersion& v) {
  JsonObject out{{"version", v.version}, {"etag", v.etag}, {"hash", v.hash}, {"size", v.size}, {"at", to_unix_ms(v.at)}, {"cause", v.cause}};
  put(&out, "type", v.content_type);
  put(&out, "author", v.author);
  put(&out, "label", v.author_label);
  put(&out, "note", v.note);
  return to_text(out);
}

template <>
Result<FileVersion> row_as<FileVersion>(const std::string& key, const std::string& text) {
  auto object = object_of(key, text);
  if (!object) return std::unexpected(object.error());
  FileVersion out;
  out.version = static_cast<std::uint64_t>(get_int(*object, "version"));
  out.etag = get_string(*object, "etag");
  out.hash = get_string(*object, "hash");
  out.content_type = get_string(*object, "type");
  out.author = get_string(*object, "author");
  out.author_label = get_string(*object, "label");
  out.size = get_int(*object, "size");
  out.at = time_of(*object, "at");
  out.cause = get_string(*object, "cause");
  out.note = get_string(*object, "note");
  return out;
}

std::string row_text(const FileEvent& e) {
  JsonObject out{{"number", e.number}, {"ws", e.workspace}, {"name", e.workspace_name}, {"org", e.organisation}, {"type", e.type}, {"at", to_unix_ms(e.at)}};
  put(&out, "node", e.node);
  put(&out, "path", e.path);
  put(&out, "old", e.old_path);
  if (e.sequence) out["seq"] = e.sequence;
  put(&out, "actor", e.actor);
  put(&out, "label", e.actor_label);
  if (!e.data.empty()) out["data"] = e.data;
  return to_text(out);
}

template <>
Result<FileEvent> row_as<FileEvent>(const std::string& key, const std::string& text) {
  auto object = object_of(key, text);
  if (!object) return std::unexpected(object.error());
  FileEvent out;
  out.number = static_cast<std::uint64_t>(get_int(*object, "number"));
  out.workspace = get_string(*object, "ws");
  out.workspace_name = get_string(*object, "name");
  out.organisation = get_string(*object, "org");
  out.type = get_string(*object, "type");
  out.node = get_string(*object, "node");
  out.path = get_string(*object, "path");
  out.old_path = get_string(*object, "old");
  out.sequence = static_cast<std::uint64_t>(get_int(*object, "seq"));
  out.actor = get_string(*object, "actor");
  out.actor_label = get_string(*object, "label");
  out.at = time_of(*object, "at");
  if (const JsonObject* data = get_object(*object, "data")) out.data = *data;
  return out;
}

std::string row_text(const Counters& c) {
  return to_text(JsonObject{{"event", c.last_event},
                            {"bytes", c.usage.bytes},
                            {"files", c.usage.files},
                            {"credits", c.usage.credits},
                            {"month", c.usage.month},
                            {"told", to_unix_ms(c.quota_told)}});
}

template <>
Result<Counters> row_as<Counters>(const std::string& key, const std::string& text) {
  auto object = object_of(key, text);
  if (!object) return std::unexpected(object.error());
  Counters out;
  out.last_event = static_cast<std::uint64_t>(get_int(*object, "event"));
  out.usage = {get_int(*object, "bytes"), get_int(*object, "files"), get_int(*object, "credits"), get_string(*object, "month")};
  out.quota_told = time_of(*object, "told");
  return out;
}

}  // namespace mayfly::workspace
