#include "workspace/bytes/link_token.h"

#include <algorithm>

#include "base/hash.h"

namespace mayfly::workspace {
namespace {

constexpr std::size_t kSecretBytes = 32;
constexpr std::size_t kSecretChars = 43;
constexpr std::size_t kPartBytesMax = 80;

bool is_part(std::string_view text) {
  return !text.empty() && text.size() <= kPartBytesMax && std::ranges::all_of(text, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
  });
}

}  // namespace

std::string LinkToken::hash() const { return sha256_hex(text); }
bool LinkToken::fits(std::string_view stored_hash) const { return equal_constant_time(hash(), stored_hash); }

LinkToken make_link_token(std::string_view workspace, std::string_view id) {
  LinkToken out;
  out.workspace = workspace;
  out.id = id;
  out.text = out.workspace + "." + out.id + "." + to_base64url(secure_random_bytes(kSecretBytes));
  return out;
}

std::optional<LinkToken> parse_link_token(std::string_view text) {
  const std::size_t first = text.find('.');
  if (first == std::string_view::npos) return std::nullopt;
  const std::size_t second = text.find('.', first + 1);
  if (second == std::string_view::npos) return std::nullopt;
  LinkToken out;
  out.text = text;
  out.workspace = text.substr(0, first);
  out.id = text.substr(first + 1, second - first - 1);
  const std::string_view secret = text.substr(second + 1);
  if (!is_part(out.workspace) || !is_part(out.id) || secret.size() != kSecretChars || !is_part(secret)) return std::nullopt;
  return out;
}

std::unexpected<Refusal> link_invalid() {
  return refuse("link.invalid", "this link does not exist, was used already or has expired; ask whoever sent it for a new one");
}

Actor system_actor(const Workspace& workspace) {
  Actor out;
  out.id = "system";
  out.label = "Mayfly";
  out.kind = ActorKind::System;
  out.organisation = workspace.organisation;
  out.administrator = true;
  return out;
}

JsonObject to_record(const Actor& actor) {
  JsonObject out{{"id", actor.id}, {"label", actor.label}, {"kind", static_cast<int>(actor.kind)}, {"organisation", actor.organisation}};
  if (actor.administrator) out["administrator"] = true;
  if (actor.read_only) out["read_only"] = true;
  if (!actor.run.empty()) out["run"] = actor.run;
  if (actor.only_workspace) out["only_workspace"] = *actor.only_workspace;
  out["role_max"] = static_cast<int>(actor.role_max);
  return out;
}

Actor actor_from_record(const JsonObject& record) {
  Actor out;
  out.id = get_string(record, "id");
  out.label = get_string(record, "label");
  out.kind = static_cast<ActorKind>(std::clamp<std::int64_t>(get_int(record, "kind", 1), 0, 2));
  out.organisation = get_string(record, "organisation");
  out.administrator = get_bool(record, "administrator");
  out.read_only = get_bool(record, "read_only");
  out.run = get_string(record, "run");
  if (const std::string only = get_string(record, "only_workspace"); !only.empty()) out.only_workspace = only;
  out.role_max = static_cast<Role>(std::clamp<std::int64_t>(get_int(record, "role_max"), 0, 4));
  return out;
}

Task<Outcome<std::optional<JsonObject>>> read_object(Transaction& rows, std::string key) {
  auto text = co_await rows.get(std::move(key));
  if (!text) co_return std::unexpected(Refusal(text.error()));
  if (!*text) co_return std::optional<JsonObject>();
  auto value = parse_json(**text);
  if (!value || !value->is_object()) co_return refuse("store.damaged", "a row of this workspace cannot be read; restore a backup");
  co_return std::optional<JsonObject>(std::move(value->get_object()));
}

std::optional<TimePoint> get_time(const JsonObject& object, std::string_view key) {
  const Json* value = get(object, key);
  if (!value || !value->is_int64()) return std::nullopt;
  return from_unix_ms(value->get_int64());
}

}  // namespace mayfly::workspace
