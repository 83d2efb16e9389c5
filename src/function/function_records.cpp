#include "function/function_records.h"

#include <charconv>

#include "base/id.h"

namespace mayfly::function {
namespace {

JsonObject to_json(const std::map<std::string, std::string>& texts) {
  JsonObject out;
  for (const auto& [key, value] : texts) out[key] = value;
  return out;
}

std::map<std::string, std::string> texts_of(const JsonObject& in, std::string_view name) {
  std::map<std::string, std::string> out;
  if (const auto* object = get_object(in, name))
    for (const auto& member : *object)
      if (member.value().is_string()) out.emplace(member.key(), member.value().get_string());
  return out;
}

JsonArray to_json(const std::vector<std::string>& texts) {
  JsonArray out;
  for (const std::string& text : texts) out.emplace_back(text);
  return out;
}

std::vector<std::string> list_of(const JsonObject& in, std::string_view name) {
  std::vector<std::string> out;
  if (const auto* array = get_array(in, name))
    for (const Json& item : *array)
      if (item.is_string()) out.emplace_back(item.get_string());
  return out;
}

std::string_view to_string(Egress::Mode mode) {
  return mode == Egress::Mode::Open ? "open" : mode == Egress::Mode::Allow ? "allow" : "none";
}
Egress::Mode mode_from(std::string_view text) {
  return text == "open" ? Egress::Mode::Open : text == "allow" ? Egress::Mode::Allow : Egress::Mode::None;
}

/// All but the environment.
JsonObject config_to_json(const FunctionConfig& config) {
  JsonObject out{{"name", config.name},
                 {"runtime", config.runtime},
                 {"handler", config.handler},
                 {"description", config.description},
                 {"role", config.role},
                 {"memory_mb", config.memory_mb},
                 {"timeout", config.timeout.count()},
                 {"tmp_mb", config.tmp_mb},
                 {"architectures", to_json(config.architectures)},
                 {"dead_letter_arn", config.dead_letter_arn},
                 {"egress", JsonObject{{"mode", to_string(config.egress.mode)}, {"allow", to_json(config.egress.allow)}}},
                 {"preload", to_json(config.preload)},
                 {"per_process_max", config.per_process_max},
                 {"tenant_isolation", config.tenant_isolation},
                 {"tool_description", config.tool_description},
                 {"tool_parameters", config.tool_parameters}};
  if (config.durable)
    out["durable"] =
        JsonObject{{"execution_timeout", config.durable->execution_timeout.count()}, {"retention_days", config.durable->retention_days}};
  return out;
}

FunctionConfig config_from_json(const JsonObject& in) {
  FunctionConfig out;
  out.name = get_string(in, "name");
  out.runtime = get_string(in, "runtime");
  out.handler = get_string(in, "handler");
  out.description = get_string(in, "description");
  out.role = get_string(in, "role");
  out.memory_mb = get_int(in, "memory_mb", out.memory_mb);
  out.timeout = std::chrono::seconds{get_int(in, "timeout", out.timeout.count())};
  out.tmp_mb = get_int(in, "tmp_mb", out.tmp_mb);
  out.architectures = list_of(in, "architectures");
  out.dead_letter_arn = get_string(in, "dead_letter_arn");
  if (const auto* egress = get_object(in, "egress")) out.egress = {mode_from(get_string(*egress, "mode")), list_of(*egress, "allow")};
  out.preload = list_of(in, "preload");
  out.per_process_max = get_int(in, "per_process_max", 1);
  out.tenant_isolation = get_bool(in, "tenant_isolation");
  out.tool_description = get_string(in, "tool_description");
  if (const Json* parameters = get(in, "tool_parameters")) out.tool_parameters = *parameters;
  if (const auto* durable = get_object(in, "durable"))
    out.durable = DurableConfig{std::chrono::seconds{get_int(*durable, "execution_timeout")}, get_int(*durable, "retention_days", 14)};
  return out;
}

JsonObject to_json(const Alias& alias) {
  JsonObject weights;
  for (const auto& [version, weight] : alias.additional_weights) weights[version] = weight;
  return {
      {"version", alias.version}, {"description", alias.description}, {"weights", std::move(weights)}, {"revision_id", alias.revision_id}};
}

Alias alias_from(std::string name, const JsonObject& in) {
  Alias out{std::move(name), get_string(in, "version"), get_string(in, "description"), {}, get_string(in, "revision_id")};
  if (const auto* weights = get_object(in, "weights"))
    for (const auto& member : *weights) out.additional_weights[member.key()] = get_double(*weights, member.key());
  return out;
}

JsonObject to_json(const AsyncConfig& config) {
  return {{"retries_max", config.retries_max},
          {"age_max", config.age_max.count()},
          {"on_success", config.on_success},
          {"on_failure", config.on_failure},
          {"modified", to_unix_ms(config.modified)}};
}

AsyncConfig async_from(const JsonObject& in) {
  AsyncConfig out;
  out.retries_max = get_int(in, "retries_max", out.retries_max);
  out.age_max = std::chrono::seconds{get_int(in, "age_max", out.age_max.count())};
  out.on_success = get_string(in, "on_success");
  out.on_failure = get_string(in, "on_failure");
  out.modified = from_unix_ms(get_int(in, "modified"));
  return out;
}

JsonObject to_json(const FunctionUrl& url) {
  return {{"id", url.id},     {"needs_iam", url.needs_iam},         {"streams", url.streams},
          {"cors", url.cors}, {"created", to_unix_ms(url.created)}, {"modified", to_unix_ms(url.modified)}};
}

FunctionUrl url_from(std::string qualifier, const JsonObject& in) {
  FunctionUrl out;
  out.id = get_string(in, "id");
  out.qualifier = std::move(qualifier);
  out.needs_iam = get_bool(in, "needs_iam", true);
  out.streams = get_bool(in, "streams");
  if (const Json* cors = get(in, "cors")) out.cors = *cors;
  out.created = from_unix_ms(get_int(in, "created"));
  out.modified = from_unix_ms(get_int(in, "modified"));
  return out;
}

template <class Map>
JsonObject members(const Map& map) {
  JsonObject out;
  for (const auto& [key, value] : map) out[key] = to_json(value);
  return out;
}

std::int64_t number(std::string_view text) {
  std::int64_t out = 0;
  std::from_chars(text.data(), text.data() + text.size(), out);
  return out;
}

void read_settings(const JsonObject& in, FunctionRecord& out) {
  if (const auto* versions = get_object(in, "versions"))
    for (const auto& member : *versions) out.versions[number(member.key())] = get_int(*versions, member.key());
  const auto each = [&](std::string_view name, auto&& take) {
    if (const auto* object = get_object(in, name))
      for (const auto& member : *object)
        if (const auto* value = member.value().if_object()) take(std::string(member.key()), *value);
  };
  each("aliases", [&](std::string name, const JsonObject& value) { out.aliases[name] = alias_from(name, value); });
  each("async", [&](const std::string& name, const JsonObject& value) { out.async[name] = async_from(value); });
  each("urls", [&](const std::string& name, const JsonObject& value) { out.urls[name] = url_from(name, value); });
  out.tags = texts_of(in, "tags");
  if (get(in, "reserved")) out.concurrency.reserved = get_int(in, "reserved");
  if (const auto* provisioned = get_object(in, "provisioned"))
    for (const auto& member : *provisioned) out.concurrency.provisioned[member.key()] = get_int(*provisioned, member.key());
}

}  // namespace

std::string function_key(std::string_view name) { return std::string(kFunctionPrefix).append(name); }
std::string revision_key(std::string_view name, std::int64_t revision) {
  return function_key(name) + "/r/" + to_hex16(static_cast<std::uint64_t>(revision));
}

std::string to_row(const StoredFunction& function) {
  const FunctionRecord& record = function.record;
  JsonObject out{{"name", record.name},
                 {"latest", record.latest},
                 {"next_version", record.next_version},
                 {"revisions", function.revisions},
                 {"deleted", function.deleted}};
  JsonObject versions, provisioned;
  for (const auto& [version, revision] : record.versions) versions[std::to_string(version)] = revision;
  for (const auto& [version, count] : record.concurrency.provisioned) provisioned[version] = count;
  out["versions"] = std::move(versions);
  out["aliases"] = members(record.aliases);
  out["tags"] = to_json(record.tags);
  out["async"] = members(record.async);
  out["urls"] = members(record.urls);
  if (record.concurrency.reserved) out["reserved"] = *record.concurrency.reserved;
  out["provisioned"] = std::move(provisioned);
  return to_text(out);
}

Result<StoredFunction> function_from_row(std::string_view row) {
  const auto value = parse_json(row);
  if (!value || !value->is_object())
    return fail("store.damaged", "a function's record cannot be read; restore the data directory from a backup");
  const JsonObject& in = value->get_object();
  StoredFunction out;
  out.record.name = get_string(in, "name");
  out.record.latest = get_int(in, "latest");
  out.record.next_version = get_int(in, "next_version", 1);
  out.revisions = get_int(in, "revisions");
  out.deleted = get_bool(in, "deleted");
  read_settings(in, out.record);
  return out;
}

std::string to_row(const StoredRevision& stored, const SecretBox& box, std::string_view key) {
  const FunctionRevision& revision = stored.revision;
  JsonObject out{{"number", revision.number},
                 {"config", config_to_json(revision.config)},
                 {"code_sha256", revision.code_sha256},
                 {"code_bytes", revision.code_bytes},
                 {"revision_id", revision.revision_id},
                 {"modified", to_unix_ms(revision.modified)},
                 {"blob", stored.blob},
                 {"source_description", stored.source_description}};
  if (!revision.config.environment.empty()) out["environment"] = box.seal(to_text(to_json(revision.config.environment)), key);
  return to_text(out);
}

Result<StoredRevision> revision_from_row(std::string_view row, const SecretBox& box, std::string_view key) {
  const auto value = parse_json(row);
  const auto* in = value && value->is_object() ? &value->get_object() : nullptr;
  const auto* config = in ? get_object(*in, "config") : nullptr;
  if (!config) return fail("store.damaged", "a function's revision cannot be read; restore the data directory from a backup");
  StoredRevision out;
  out.revision.number = get_int(*in, "number");
  out.revision.config = config_from_json(*config);
  out.revision.code_sha256 = get_string(*in, "code_sha256");
  out.revision.code_bytes = static_cast<std::uint64_t>(get_int(*in, "code_bytes"));
  out.revision.revision_id = get_string(*in, "revision_id");
  out.revision.modified = from_unix_ms(get_int(*in, "modified"));
  out.blob = get_string(*in, "blob");
  out.source_description = get_string(*in, "source_description");
  if (const std::string sealed = get_string(*in, "environment"); !sealed.empty()) {
    const auto plain = box.unseal(sealed, key);
    if (!plain) return fail(plain.error());
    const auto environment = parse_json("{\"e\":" + *plain + "}");
    if (!environment) return fail("store.damaged", "a function's environment cannot be read; restore the data directory from a backup");
    out.revision.config.environment = texts_of(environment->get_object(), "e");
  }
  return out;
}

std::string canonical_text(const FunctionConfig& config) {
  JsonObject all = config_to_json(config);
  all["environment"] = to_json(config.environment);
  return to_canonical_text(all);
}

}  // namespace mayfly::function
