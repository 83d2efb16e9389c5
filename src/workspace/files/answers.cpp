#include "workspace/files/answers.h"

#include "base/hash.h"
#include "workspace/files/files_service.h"

namespace mayfly::workspace {
namespace {

constexpr std::int64_t kKeptMs = 24 * 3'600'000;
constexpr std::size_t kKeyBytesMax = 255;

std::string row_name(const Space& space, std::string_view kind, const std::string& key) {
  return sha256_hex(std::string(kind) + '\0' + space.actor().id + '\0' + key).substr(0, 40);
}

}  // namespace

JsonObject to_record_of(const Node& node) {
  JsonObject out;
  if (auto row = parse_json(row_text(node)); row && row->is_object()) out["node"] = std::move(*row);
  out["path"] = node.path;
  return out;
}

Node node_of(const JsonObject& record) {
  Node out;
  if (const JsonObject* row = get_object(record, "node"))
    if (auto node = row_as<Node>("r", to_text(*row))) out = std::move(*node);
  out.path = get_string(record, "path");
  return out;
}

JsonObject to_record_of(const Written& written) {
  JsonObject out = to_record_of(written.node);
  out["created"] = written.created;
  out["unchanged"] = written.unchanged;
  out["event"] = written.event;
  return out;
}

Written written_of(const JsonObject& record) {
  Written out;
  out.node = node_of(record);
  out.created = get_bool(record, "created");
  out.unchanged = get_bool(record, "unchanged");
  out.event = static_cast<std::uint64_t>(get_int(record, "event"));
  return out;
}

Task<Outcome<std::optional<JsonObject>>> FilesService::answer_of(Space* space, std::string kind, std::string key) {
  if (key.empty()) co_return std::optional<JsonObject>();
  if (key.size() > kKeyBytesMax) co_return refuse("ws.invalid", "an idempotency key has at most 255 bytes");
  const std::string name = space->row('r', row_name(*space, kind, key));
  auto row = co_await space->rows().get(name);
  if (!row) co_return std::unexpected(Refusal(row.error()));
  if (!*row) co_return std::optional<JsonObject>();
  auto value = parse_json(**row);
  if (!value || !value->is_object())
    co_return refuse("store.damaged", "the row " + name + " cannot be read: restore a backup, or remove the row by hand");
  if (to_unix_ms(space->now()) - get_int(value->get_object(), "at") > kKeptMs) co_return std::optional<JsonObject>();
  co_return std::optional<JsonObject>(std::move(value->get_object()));
}

void FilesService::keep_answer(Space* space, std::string_view kind, const std::string& key, JsonObject answer) {
  if (key.empty()) return;
  answer["at"] = to_unix_ms(space->now());
  space->rows().put(space->row('r', row_name(*space, kind, key)), to_text(answer));
}

}  // namespace mayfly::workspace
