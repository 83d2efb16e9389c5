#include "server/oauth/grants.h"

#include <algorithm>

#include "base/hash.h"
#include "base/id.h"
#include "base/json.h"
#include "server/oauth/oauth_text.h"

namespace mayfly::oauth {
namespace {

constexpr std::string_view kPrefix = "meta/oauth/grant/";
constexpr std::size_t kGrantsMax = 5'000, kUsedMax = 64, kAccessMax = 4, kTokenBytes = 4 + 16 + 1 + 43;

struct Token {
  std::string_view id;
  std::string hash;
};

std::optional<Token> parse_token(std::string_view text, std::string_view prefix) {
  if (text.size() != kTokenBytes || !text.starts_with(prefix) || text[20] != '_') return std::nullopt;
  return Token{text.substr(4, 16), sha256_hex(text.substr(21))};
}

std::string new_secret() { return to_base64url(secure_random_bytes(32)); }

std::unexpected<Error> invalid_grant(std::string message) { return fail("oauth.invalid_grant", std::move(message)); }

}  // namespace

std::string Grants::row_of(const Entry& entry) {
  const Grant& grant = entry.grant;
  JsonObject out{{"id", grant.id},
                 {"key", grant.key},
                 {"client", grant.client},
                 {"client_name", grant.client_name},
                 {"resource", grant.resource},
                 {"scope", to_text(grant.scopes)},
                 {"created", to_unix_ms(grant.created)},
                 {"expires", to_unix_ms(grant.expires)},
                 {"refresh", entry.refresh_hash}};
  JsonArray used, access;
  for (const std::string& hash : entry.used) used.emplace_back(hash);
  for (const Access& token : entry.access)
    access.push_back(JsonObject{{"hash", token.hash}, {"expires", to_unix_ms(token.expires)}, {"scope", to_text(token.scopes)}});
  out["used"] = std::move(used);
  out["access"] = std::move(access);
  return mayfly::to_text(out);
}

std::optional<Grants::Entry> Grants::entry_of(const JsonObject& row) {
  Entry out;
  out.grant = {get_string(row, "id"),
               get_string(row, "key"),
               get_string(row, "client"),
               get_string(row, "client_name"),
               get_string(row, "resource"),
               scopes_in(get_string(row, "scope")).value_or(Scopes()),
               from_unix_ms(get_int(row, "created")),
               from_unix_ms(get_int(row, "expires"))};
  out.refresh_hash = get_string(row, "refresh");
  const auto* used = get_array(row, "used");
  const auto* access = get_array(row, "access");
  if (out.grant.id.empty() || !used || !access) return std::nullopt;
  for (const Json& hash : *used)
    if (hash.is_string()) out.used.emplace_back(std::string_view(hash.get_string()));
  for (const Json& token : *access)
    if (const auto* object = token.if_object())
      out.access.push_back({get_string(*object, "hash"), from_unix_ms(get_int(*object, "expires")),
                            scopes_in(get_string(*object, "scope")).value_or(Scopes())});
  return out;
}

Task<Result<void>> Grants::load() {
  grants_.clear();
  auto rows = co_await store_.scan(KeyRange::prefix(kPrefix), kScanRecordsMax, Direction::Forward);
  if (!rows) co_return fail(rows.error());
  for (const Record& row : *rows) {
    const auto value = parse_json(row.value);
    auto entry = value && value->is_object() ? entry_of(value->get_object()) : std::nullopt;
    if (!entry) co_return fail("store.damaged", "the record of an OAuth grant cannot be read; restore the data directory from a backup");
    std::string id = entry->grant.id;
    grants_.insert_or_assign(std::move(id), std::move(*entry));
  }
  co_await remove_dead();
  co_return Result<void>{};
}

/// The grants that nobody can use any more.
Task<> Grants::remove_dead() {
  std::vector<std::string> dead;
  for (const auto& [id, entry] : grants_)
    if (entry.grant.expires <= clock_.now() || !keys_.find(entry.grant.key)) dead.push_back(id);
  for (std::string& id : dead) (void)co_await end(std::move(id));
}

const ApiKey* Grants::key_of(const Grant& grant) const {
  const ApiKey* key = keys_.find(grant.key);
  // Ids of keys are short enough to come again one day.
  return key && key->created <= grant.created ? key : nullptr;
}

Tokens Grants::issue(Entry* entry, Scopes scopes) const {
  const std::string access = new_secret(), refresh = new_secret();
  std::erase_if(entry->access, [&](const Access& token) { return token.expires <= clock_.now(); });
  if (entry->access.size() >= kAccessMax) entry->access.erase(entry->access.begin());
  entry->access.push_back({sha256_hex(access), clock_.now() + kAccessLifetime, scopes});
  entry->refresh_hash = sha256_hex(refresh);
  entry->grant.expires = clock_.now() + kRefreshLifetime;
  return {"mfo_" + entry->grant.id + "_" + access, "mfr_" + entry->grant.id + "_" + refresh, scopes};
}

Task<Result<void>> Grants::write(std::string id) {
  const auto found = grants_.find(id);
  if (found == grants_.end()) co_return invalid_grant("The grant has ended: ask for authorization again.");
  Batch batch;
  batch.puts.push_back({std::string(kPrefix) + id, row_of(found->second)});
  auto outcome = co_await store_.commit(std::move(batch));
  if (!outcome) co_return fail(outcome.error());
  co_return Result<void>{};
}

Task<Result<Grants::Made>> Grants::create(Grant grant) {
  if (grants_.size() >= kGrantsMax) co_await remove_dead();
  if (grants_.size() >= kGrantsMax)
    co_return fail("oauth.full", "There are 5,000 authorizations already: revoke some keys that gave them.");
  Entry entry;
  grant.id = to_hex(secure_random_bytes(8));
  grant.created = clock_.now();
  entry.grant = grant;
  Tokens tokens = issue(&entry, grant.scopes);
  grants_.insert_or_assign(grant.id, std::move(entry));
  if (auto written = co_await write(grant.id); !written) {
    grants_.erase(grant.id);
    co_return fail(written.error());
  }
  co_return Made{grant.id, std::move(tokens)};
}

Task<Result<Tokens>> Grants::refresh(std::string text, std::string client, std::string resource, std::optional<Scopes> scopes) {
  const auto token = parse_token(text, "mfr_");
  const auto found = token ? grants_.find(token->id) : grants_.end();
  const auto unknown = invalid_grant("The refresh token is not good any more: ask for authorization again.");
  if (found == grants_.end() || found->second.grant.client != client) co_return unknown;
  const std::string id = found->first;
  Entry& entry = found->second;
  if (std::ranges::find(entry.used, token->hash) != entry.used.end()) {
    if (auto ended = co_await end(id); !ended) co_return fail(ended.error());
    co_return invalid_grant("The refresh token was used before, so the authorization has ended: ask for it again.");
  }
  if (!equal_constant_time(token->hash, entry.refresh_hash) || entry.grant.expires <= clock_.now() || !key_of(entry.grant))
    co_return unknown;
  if (!resource.empty() && resource != entry.grant.resource)
    co_return fail("oauth.invalid_target",
                   "The authorization is for another resource: leave `resource` out, or ask for authorization again.");
  const Scopes wanted = scopes.value_or(entry.grant.scopes);
  if (intersection(wanted, entry.grant.scopes) != wanted)
    co_return fail("oauth.invalid_scope", "A refresh cannot widen the scope: ask for authorization again.");
  // In memory at once, so that a second use meanwhile is seen as one.
  const Entry before = entry;
  entry.used.push_back(entry.refresh_hash);
  if (entry.used.size() > kUsedMax) entry.used.erase(entry.used.begin());
  Tokens tokens = issue(&entry, wanted);
  const std::string issued = entry.refresh_hash;
  if (auto written = co_await write(id); !written) {
    const auto still = grants_.find(id);
    if (still != grants_.end() && still->second.refresh_hash == issued) still->second = before;
    co_return fail(written.error());
  }
  co_return tokens;
}

Task<Result<void>> Grants::revoke(std::string text, std::string client) {
  auto token = parse_token(text, "mfr_");
  if (!token) token = parse_token(text, "mfo_");
  const auto found = token ? grants_.find(token->id) : grants_.end();
  if (found == grants_.end() || found->second.grant.client != client) co_return Result<void>{};
  const Entry& entry = found->second;
  const auto is_it = [&](const Access& access) { return equal_constant_time(access.hash, token->hash); };
  if (!equal_constant_time(entry.refresh_hash, token->hash) && std::ranges::none_of(entry.access, is_it)) co_return Result<void>{};
  co_return co_await end(found->first);
}

Task<Result<void>> Grants::end(std::string id) {
  grants_.erase(id);
  Batch batch;
  batch.deletes.push_back(std::string(kPrefix) + id);
  auto outcome = co_await store_.commit(std::move(batch));
  if (!outcome) co_return fail(outcome.error());
  co_return Result<void>{};
}

Result<Principal> Grants::authenticate(std::string_view text, std::string_view resource) const {
  const Error invalid{"auth.invalid", "the access token is not known to this server; ask for authorization again", Retry::Never};
  const auto token = parse_token(text, "mfo_");
  const auto found = token ? grants_.find(token->id) : grants_.end();
  if (found == grants_.end()) return fail(invalid);
  const Grant& grant = found->second.grant;
  const auto access = std::ranges::find_if(found->second.access, [&](const Access& a) { return equal_constant_time(a.hash, token->hash); });
  if (access == found->second.access.end()) return fail(invalid);
  if (access->expires <= clock_.now()) return fail("auth.expired", "the access token has expired; refresh it");
  const ApiKey* key = key_of(grant);
  if (!key) return fail("auth.invalid", "the key that allowed this access was revoked or has expired; ask for authorization again");
  if (grant.resource != resource)
    return fail("auth.invalid", "the access token is for another server's URL; ask for authorization with this one as `resource`");
  return Principal{key->id,
                   key->name + " via " + grant.client_name,
                   intersection(access->scopes, key->scopes),
                   key->organisation,
                   false,
                   key->workspace,
                   key->role_max};
}

bool Grants::has_client(std::string_view client) const {
  return std::ranges::any_of(grants_, [&](const auto& item) { return item.second.grant.client == client; });
}

}  // namespace mayfly::oauth
