#include "workspace/bytes/bytes_rows.h"

#include "workspace/bytes/link_token.h"
#include "workspace/paths.h"

namespace mayfly::workspace {
namespace {

void put(JsonObject& out, std::string_view key, const std::string& text) {
  if (!text.empty()) out[key] = text;
}
std::uint64_t unsigned_of(const JsonObject& record, std::string_view key) { return static_cast<std::uint64_t>(get_int(record, key)); }
TimePoint time_of(const JsonObject& record, std::string_view key) { return get_time(record, key).value_or(TimePoint{}); }

}  // namespace

JsonObject to_record(const WriteOptions& options) {
  JsonObject out;
  if (options.when.if_match) out["if_match"] = *options.when.if_match;
  if (options.when.if_none_match) out["if_none_match"] = true;
  put(out, "lock", options.when.lock_token);
  if (options.when.fence) out["fence"] = *options.when.fence;
  if (options.when.force) out["force"] = true;
  if (!options.make_folders) out["make_folders"] = false;
  put(out, "key", options.idempotency_key);
  return out;
}

WriteOptions options_from_record(const JsonObject& record) {
  WriteOptions out;
  if (record.contains("if_match")) out.when.if_match = get_string(record, "if_match");
  out.when.if_none_match = get_bool(record, "if_none_match");
  out.when.lock_token = get_string(record, "lock");
  if (record.contains("fence")) out.when.fence = unsigned_of(record, "fence");
  out.when.force = get_bool(record, "force");
  out.make_folders = get_bool(record, "make_folders", true);
  out.idempotency_key = get_string(record, "key");
  return out;
}

JsonObject to_record(const Written& written) {
  const Node& node = written.node;
  return {{"node", node.id},
          {"parent", node.parent},
          {"path", node.path},
          {"version", node.version},
          {"fence", node.fence},
          {"sequence", node.sequence},
          {"etag", node.etag},
          {"hash", node.hash},
          {"size", node.size},
          {"content_type", node.content_type},
          {"created_by", node.created_by},
          {"modified_by", node.modified_by},
          {"created_at", to_unix_ms(node.created)},
          {"modified_at", to_unix_ms(node.modified)},
          {"created", written.created},
          {"unchanged", written.unchanged},
          {"event", written.event}};
}

Written written_from_record(const JsonObject& record) {
  Written out;
  Node& node = out.node;
  node.id = get_string(record, "node");
  node.parent = get_string(record, "parent");
  node.path = get_string(record, "path");
  node.name = base_name(node.path);
  node.version = unsigned_of(record, "version");
  node.fence = unsigned_of(record, "fence");
  node.sequence = unsigned_of(record, "sequence");
  node.etag = get_string(record, "etag");
  node.hash = get_string(record, "hash");
  node.size = get_int(record, "size");
  node.content_type = get_string(record, "content_type");
  node.created_by = get_string(record, "created_by");
  node.modified_by = get_string(record, "modified_by");
  node.created = time_of(record, "created_at");
  node.modified = time_of(record, "modified_at");
  out.created = get_bool(record, "created");
  out.unchanged = get_bool(record, "unchanged");
  out.event = unsigned_of(record, "event");
  return out;
}

JsonObject to_record(const UploadRequest& request) {
  JsonObject out{
      {"path", request.path}, {"size", request.size}, {"options", to_record(request.options)}, {"lifetime", request.lifetime.count()}};
  put(out, "sha256", request.sha256);
  put(out, "content_type", request.content_type);
  return out;
}

UploadRequest request_from_record(const JsonObject& record) {
  UploadRequest out;
  out.path = get_string(record, "path");
  out.size = get_int(record, "size", -1);
  out.sha256 = get_string(record, "sha256");
  out.content_type = get_string(record, "content_type");
  if (const JsonObject* options = get_object(record, "options")) out.options = options_from_record(*options);
  out.lifetime = Millis{get_int(record, "lifetime", out.lifetime.count())};
  return out;
}

JsonObject to_record(const UploadRow& row) {
  JsonObject out{{"request", to_record(row.request)},
                 {"state", row.state},
                 {"received", row.received},
                 {"parts", row.parts},
                 {"expires", to_unix_ms(row.expires)}};
  if (row.written) out["written"] = to_record(*row.written);
  return out;
}

UploadRow upload_from_record(const JsonObject& record) {
  UploadRow out;
  if (const JsonObject* request = get_object(record, "request")) out.request = request_from_record(*request);
  out.state = get_string(record, "state", "open");
  out.received = get_int(record, "received");
  out.parts = get_int(record, "parts");
  out.expires = time_of(record, "expires");
  if (const JsonObject* written = get_object(record, "written")) out.written = written_from_record(*written);
  return out;
}

JsonObject to_record(const UploadPart& part) { return {{"size", part.size}, {"hash", part.hash}}; }
UploadPart part_from_record(std::int64_t from, const JsonObject& record) {
  return {from, get_int(record, "size"), get_string(record, "hash")};
}

JsonObject to_record(const LinkRow& row) {
  JsonObject out{{"maker", to_record(row.maker)},
                 {"single_use", row.single_use},
                 {"token_hash", row.token_hash},
                 {"expires", to_unix_ms(row.expires)}};
  if (row.upload) {
    out["request"] = to_record(row.request);
  } else {
    out["node"] = row.node;
    if (row.version > 0) out["version"] = row.version;
  }
  return out;
}

LinkRow link_from_record(const JsonObject& record) {
  LinkRow out;
  if (const JsonObject* maker = get_object(record, "maker")) out.maker = actor_from_record(*maker);
  out.single_use = get_bool(record, "single_use", true);
  out.token_hash = get_string(record, "token_hash");
  out.expires = time_of(record, "expires");
  if (const JsonObject* request = get_object(record, "request")) {
    out.upload = true;
    out.request = request_from_record(*request);
  }
  out.node = get_string(record, "node");
  out.version = unsigned_of(record, "version");
  return out;
}

JsonObject to_record(const ImportRow& row) {
  const Import& import = row.import;
  JsonObject out{{"url", import.url},
                 {"path", import.path},
                 {"state", import.state},
                 {"received", import.received},
                 {"size", import.size},
                 {"attempt", import.attempt},
                 {"created", to_unix_ms(import.created)},
                 {"updated", to_unix_ms(import.updated)},
                 {"actor", to_record(row.actor)}};
  put(out, "error", import.error);
  if (import.written) out["written"] = to_record(*import.written);
  if (is_under_way(import)) out["options"] = to_record(row.options);
  return out;
}

ImportRow import_from_record(std::string id, const JsonObject& record) {
  ImportRow out;
  Import& import = out.import;
  import.id = std::move(id);
  import.url = get_string(record, "url");
  import.path = get_string(record, "path");
  import.state = get_string(record, "state");
  import.received = get_int(record, "received");
  import.size = get_int(record, "size", -1);
  import.attempt = static_cast<int>(get_int(record, "attempt"));
  import.error = get_string(record, "error");
  import.created = time_of(record, "created");
  import.updated = time_of(record, "updated");
  if (const JsonObject* written = get_object(record, "written")) import.written = written_from_record(*written);
  if (const JsonObject* actor = get_object(record, "actor")) out.actor = actor_from_record(*actor);
  if (const JsonObject* options = get_object(record, "options")) out.options = options_from_record(*options);
  return out;
}

bool is_under_way(const Import& import) { return import.state == "queued" || import.state == "running"; }

}  // namespace mayfly::workspace
