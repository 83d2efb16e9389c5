#include "workflow/workflow_records.h"

#include <algorithm>
#include <charconv>

namespace mayfly::workflow {
namespace {

constexpr std::size_t kPartBytes = 900'000;

std::int64_t number_of(std::string_view text) {
  std::int64_t out = 0;
  std::from_chars(text.data(), text.data() + text.size(), out);
  return out;
}

Error damaged(std::string why) {
  return {"store.damaged", "the record of a state machine cannot be read: " + why + "; restore the data directory from a backup"};
}

TimePoint time_at(const JsonObject& object, std::string_view key) { return from_unix_ms(get_int(object, key)); }

const JsonObject& object_of(const Json& value) {
  static const JsonObject kNone;
  const JsonObject* object = value.if_object();
  return object ? *object : kNone;
}

JsonObject to_json(const Alias& alias) {
  JsonArray routing;
  for (const Alias::Route& route : alias.routing) routing.push_back(JsonObject{{"version", route.version}, {"weight", route.weight}});
  return {{"description", alias.description},
          {"routing", std::move(routing)},
          {"created", to_unix_ms(alias.created)},
          {"updated", to_unix_ms(alias.updated)}};
}

Alias alias_from(const JsonObject& object) {
  Alias out{get_string(object, "description"), {}, time_at(object, "created"), time_at(object, "updated")};
  if (const JsonArray* routing = get_array(object, "routing"))
    for (const Json& route : *routing) out.routing.push_back({get_int(object_of(route), "version"), get_int(object_of(route), "weight")});
  return out;
}

std::string part_key(std::string_view key, std::size_t part) { return std::string(key) + "/" + std::to_string(part); }

}  // namespace

std::string workflow_key(std::string_view name) { return std::string(kWorkflowPrefix) + std::string(name); }

std::string to_row(const StoredWorkflow& workflow) {
  const WorkflowRecord& record = workflow.record;
  JsonObject versions, aliases, tags;
  for (const auto& [number, version] : record.versions)
    versions[std::to_string(number)] =
        JsonObject{{"revision", version.revision}, {"description", version.description}, {"created", to_unix_ms(version.created)}};
  for (const auto& [name, alias] : record.aliases) aliases[name] = to_json(alias);
  for (const auto& [name, value] : record.tags) tags[name] = value;
  return to_text(JsonObject{{"name", record.name},
                            {"current", record.current},
                            {"next_version", record.next_version},
                            {"versions", std::move(versions)},
                            {"aliases", std::move(aliases)},
                            {"tags", std::move(tags)},
                            {"created", to_unix_ms(record.created)},
                            {"revisions", workflow.revisions},
                            {"deleted", workflow.deleted}});
}

Result<StoredWorkflow> workflow_from_row(std::string_view row) {
  const auto value = parse_json(row);
  if (!value) return fail(damaged(value.error().message));
  const JsonObject& object = object_of(*value);
  StoredWorkflow out;
  out.record.name = get_string(object, "name");
  out.record.current = get_int(object, "current");
  out.record.next_version = get_int(object, "next_version", 1);
  out.record.created = time_at(object, "created");
  out.revisions = get_int(object, "revisions");
  out.deleted = get_bool(object, "deleted");
  if (out.record.name.empty()) return fail(damaged("it has no name"));
  if (const JsonObject* versions = get_object(object, "versions"))
    for (const auto& [number, version] : *versions) {
      const JsonObject& of = object_of(version);
      out.record.versions[number_of(number)] = {get_int(of, "revision"), get_string(of, "description"), time_at(of, "created")};
    }
  if (const JsonObject* aliases = get_object(object, "aliases"))
    for (const auto& [name, alias] : *aliases) out.record.aliases[std::string(name)] = alias_from(object_of(alias));
  if (const JsonObject* tags = get_object(object, "tags"))
    for (const auto& tag : *tags) out.record.tags[std::string(tag.key())] = get_string(*tags, tag.key());
  return out;
}

std::vector<Put> to_rows(const WorkflowRevision& revision) {
  const std::string key = workflow_key(revision.name) + "/r/" + to_hex16(static_cast<std::uint64_t>(revision.revision));
  const std::string_view text = revision.definition_text;
  const JsonObject head{{"name", revision.name},         {"revision", revision.revision},       {"type", revision.type},
                        {"role_arn", revision.role_arn}, {"revision_id", revision.revision_id}, {"description", revision.description},
                        {"logging", revision.logging},   {"tracing", revision.tracing},         {"created", to_unix_ms(revision.created)}};
  std::vector<Put> out{{key, to_text(head) + "\n" + std::string(text.substr(0, kPartBytes))}};
  for (std::size_t at = kPartBytes; at < text.size(); at += kPartBytes)
    out.push_back({part_key(key, out.size()), std::string(text.substr(at, kPartBytes))});
  return out;
}

Result<WorkflowRevision> revision_from_rows(const std::vector<std::string>& values) {
  std::string all;
  for (const std::string& value : values) all += value;
  const std::size_t end = std::min(all.find('\n'), all.size());
  const auto head = parse_json(std::string_view(all).substr(0, end));
  if (!head) return fail(damaged(head.error().message));
  const JsonObject& object = object_of(*head);
  WorkflowRevision out;
  out.name = get_string(object, "name");
  out.revision = get_int(object, "revision");
  out.type = get_string(object, "type", "STANDARD");
  out.role_arn = get_string(object, "role_arn");
  out.revision_id = get_string(object, "revision_id");
  out.description = get_string(object, "description");
  if (const Json* logging = get(object, "logging")) out.logging = *logging;
  if (const Json* tracing = get(object, "tracing")) out.tracing = *tracing;
  out.created = time_at(object, "created");
  if (end < all.size()) out.definition_text = all.substr(end + 1);
  auto definition = parse_json(out.definition_text);
  if (!definition) return fail(damaged("the definition of " + out.name + ": " + definition.error().message));
  out.definition = *std::move(definition);
  return out;
}

}  // namespace mayfly::workflow
