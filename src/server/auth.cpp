#include "server/auth.h"

#include <algorithm>
#include <array>

#include "base/hash.h"
#include "base/id.h"
#include "base/json.h"
#include "base/log.h"

namespace mayfly {
namespace {

constexpr std::array<std::pair<Scope, std::string_view>, 7> kScopes{{{Scope::Read, "read"},
                                                                     {Scope::Invoke, "invoke"},
                                                                     {Scope::Answer, "answer"},
                                                                     {Scope::Deploy, "deploy"},
                                                                     {Scope::Gateway, "gateway"},
                                                                     {Scope::Files, "files"},
                                                                     {Scope::Admin, "admin"}}};
constexpr std::string_view kPrefix = "meta/key/";
constexpr std::size_t kIdBytes = 4, kSecretBytes = 32;
constexpr std::size_t kNameBytesMax = 100, kKeysMax = 1'000, kKeyTextBytesMax = 200;
constexpr std::string_view kAccessKeyPrefix = "MAYFLYKEY";
constexpr std::size_t kOrganisationBytesMax = 64;
constexpr std::int64_t kHourMs = 3'600'000;

std::string to_row(const ApiKey& key, const std::string& secret_hash, const std::string& sealed) {
  JsonObject out{{"id", key.id}, {"name", key.name}, {"hash", secret_hash}, {"created", to_unix_ms(key.created)}};
  if (!sealed.empty()) out["sealed"] = sealed;
  JsonArray scopes;
  for (const std::string_view name : key.scopes.names()) scopes.emplace_back(name);
  out["scopes"] = std::move(scopes);
  if (key.expires) out["expires"] = to_unix_ms(*key.expires);
  if (key.last_used) out["last_used"] = to_unix_ms(*key.last_used);
  if (key.organisation != kOperatorOrganisation) out["organisation"] = key.organisation;
  if (key.is_person) out["person"] = true;
  if (!key.workspace.empty()) out["workspace"] = key.workspace;
  if (!key.role_max.empty()) out["role_max"] = key.role_max;
  return to_text(out);
}

std::optional<TimePoint> time_of(const JsonObject& row, std::string_view name) {
  if (!get(row, name)) return std::nullopt;
  return from_unix_ms(get_int(row, name));
}

bool is_operator(const ApiKey& key) {
  return key.scopes.has(Scope::Admin) && key.organisation == kOperatorOrganisation && key.workspace.empty() && key.role_max.empty();
}

bool is_organisation(std::string_view name) {
  const auto fits = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.'; };
  return !name.empty() && name.size() <= kOrganisationBytesMax && std::ranges::all_of(name, fits);
}

Result<void> check_wanted(const ApiKey& key, TimePoint now) {
  if (key.name.empty() || key.name.size() > kNameBytesMax || !is_utf8(key.name))
    return fail("key.invalid", "a key's name has 1 to 100 bytes of UTF-8: say who or what will use it");
  if (key.scopes.empty())
    return fail("key.invalid", "a key needs at least one scope of: read, invoke, answer, deploy, gateway, files, admin");
  if (key.expires && *key.expires <= now) return fail("key.invalid", "the key would have expired already; give a time in the future");
  if (!is_organisation(key.organisation))
    return fail("key.invalid", "an organisation's name has 1 to 64 lower-case letters, digits, '-', '_' or '.': choose such a name");
  if (key.workspace.size() > kNameBytesMax || !is_utf8(key.workspace))
    return fail("key.invalid", "a workspace's id has at most 100 bytes: list them with `mayfly ws list`");
  constexpr std::array<std::string_view, 5> kRoles{"", "viewer", "commenter", "editor", "owner"};
  if (std::ranges::find(kRoles, std::string_view(key.role_max)) == kRoles.end())
    return fail("key.invalid", "the role of a key is one of: viewer, commenter, editor, owner");
  return {};
}

Principal principal_of(const ApiKey& key) {
  return {key.id, key.name, key.scopes, key.organisation, key.is_person, key.workspace, key.role_max};
}

}  // namespace

std::string_view presented_key(const net::Headers& headers) {
  if (const auto authorization = headers.find("authorization")) {
    const auto space = authorization->find(' ');
    if (space != std::string_view::npos && net::equal_ignoring_case(authorization->substr(0, space), "bearer")) {
      std::string_view key = authorization->substr(space + 1);
      while (key.starts_with(' ')) key.remove_prefix(1);
      return key;
    }
  }
  return headers.find("x-api-key").value_or("");
}

std::string_view to_string(Scope scope) {
  for (const auto& [candidate, name] : kScopes)
    if (candidate == scope) return name;
  return "";
}

std::optional<Scope> scope_from_string(std::string_view text) {
  for (const auto& [candidate, name] : kScopes)
    if (name == text) return candidate;
  return std::nullopt;
}

std::vector<std::string_view> Scopes::names() const {
  std::vector<std::string_view> out;
  for (const auto& [scope, name] : kScopes)
    if (has(scope)) out.push_back(name);
  return out;
}

Task<Result<void>> KeyRing::load() {
  auto rows = co_await store_.scan(KeyRange::prefix(kPrefix), kScanRecordsMax, Direction::Forward);
  if (!rows) co_return fail(rows.error());
  keys_.clear();
  for (const Record& row : *rows) {
    const auto value = parse_json(row.value);
    if (!value || !value->is_object())
      co_return fail("store.damaged", "an API key's record cannot be read; restore the data directory from a backup");
    const JsonObject& in = value->get_object();
    Entry entry;
    entry.key.id = get_string(in, "id");
    entry.key.name = get_string(in, "name");
    entry.key.created = from_unix_ms(get_int(in, "created"));
    entry.key.expires = time_of(in, "expires");
    entry.key.last_used = time_of(in, "last_used");
    entry.key.organisation = get_string(in, "organisation", kOperatorOrganisation);
    entry.key.is_person = get_bool(in, "person");
    entry.key.workspace = get_string(in, "workspace");
    entry.key.role_max = get_string(in, "role_max");
    entry.secret_hash = get_string(in, "hash");
    entry.sealed = get_string(in, "sealed");
    if (const auto* scopes = get_array(in, "scopes"))
      for (const Json& name : *scopes)
        if (name.is_string())
          if (const auto scope = scope_from_string(std::string_view(name.get_string()))) entry.key.scopes.add(*scope);
    std::string id = entry.key.id;
    keys_.emplace(std::move(id), std::move(entry));
  }
  co_return Result<void>{};
}

bool KeyRing::has_admin() const {
  return std::ranges::any_of(keys_, [&](const auto& item) {
    const ApiKey& key = item.second.key;
    return is_operator(key) && (!key.expires || *key.expires > clock_.now());
  });
}

const ApiKey* KeyRing::find(std::string_view id) const {
  const auto found = keys_.find(id);
  if (found == keys_.end()) return nullptr;
  const ApiKey& key = found->second.key;
  return key.expires && *key.expires <= clock_.now() ? nullptr : &key;
}

std::vector<ApiKey> KeyRing::list() const {
  std::vector<ApiKey> out;
  for (const auto& [id, entry] : keys_) out.push_back(entry.key);
  std::ranges::sort(out, {}, [](const ApiKey& key) { return std::pair(key.created, key.id); });
  return out;
}

Task<Result<void>> KeyRing::write(Entry entry, bool is_new) {
  const std::string row = std::string(kPrefix) + entry.key.id;
  Batch batch;
  batch.require.push_back(is_new ? Precondition::absent(row) : Precondition::present(row));
  batch.puts.push_back({row, to_row(entry.key, entry.secret_hash, entry.sealed)});
  auto outcome = co_await store_.commit(std::move(batch));
  if (!outcome) co_return fail(outcome.error());
  if (!outcome->committed()) co_return fail("key.conflict", "the key changed at the same time; try again", Retry::Safe);
  co_return Result<void>{};
}

Task<Result<KeyRing::Created>> KeyRing::create(std::string name, Scopes scopes, std::optional<TimePoint> expires) {
  ApiKey wanted;
  wanted.name = std::move(name);
  wanted.scopes = scopes;
  wanted.expires = expires;
  co_return co_await create(std::move(wanted));
}

Task<Result<KeyRing::Created>> KeyRing::create(ApiKey wanted) {
  if (auto ok = check_wanted(wanted, clock_.now()); !ok) co_return fail(ok.error());
  if (keys_.size() >= kKeysMax) co_return fail("key.invalid", "there are 1,000 keys already; revoke some that nobody uses");
  const std::string secret = to_base64url(secure_random_bytes(kSecretBytes));
  wanted.id = to_hex(secure_random_bytes(kIdBytes));
  wanted.created = clock_.now();
  wanted.last_used.reset();
  Entry entry{std::move(wanted), sha256_hex(secret), {}};
  const std::string text = "mf_" + entry.key.id + "_" + secret;
  if (box_) entry.sealed = box_->seal(text, std::string(kPrefix) + entry.key.id);
  auto written = co_await write(entry, true);
  if (!written) co_return fail(written.error());
  Created out{entry.key, text};
  std::string id = entry.key.id;
  keys_.insert_or_assign(std::move(id), std::move(entry));
  co_return out;
}

Task<Result<void>> KeyRing::revoke(std::string id) {
  const auto found = keys_.find(id);
  if (found == keys_.end()) co_return fail("key.not_found", "there is no key '" + id + "'; list them with `mayfly keys list`");
  const auto is_other_admin = [&](const auto& item) { return item.first != id && is_operator(item.second.key); };
  if (is_operator(found->second.key) && std::ranges::none_of(keys_, is_other_admin))
    co_return fail("key.last_admin", "this is the last admin key; create another one first");
  Batch batch;
  batch.deletes.push_back(std::string(kPrefix) + id);
  auto outcome = co_await store_.commit(std::move(batch));
  if (!outcome) co_return fail(outcome.error());
  keys_.erase(id);
  co_return Result<void>{};
}

std::string KeyRing::access_key_id(std::string_view id) {
  std::string out(kAccessKeyPrefix);
  for (const char c : id) out += c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
  return out;
}

Result<KeyRing::SigningKey> KeyRing::signing_key(std::string_view access_key_id) const {
  const auto unknown = [](std::string message) { return fail("sigv4.unknown_key", std::move(message)); };
  constexpr std::size_t kBytes = kAccessKeyPrefix.size() + 2 * kIdBytes;
  if (access_key_id.size() != kBytes || !access_key_id.starts_with(kAccessKeyPrefix))
    return unknown(
        "The security token included in the request is invalid: this is not an access key of this server; list them with `mayfly keys "
        "list`");
  std::string id;
  for (const char c : access_key_id.substr(kAccessKeyPrefix.size())) id += c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  const auto found = keys_.find(id);
  if (found == keys_.end())
    return unknown("The security token included in the request is invalid: there is no such access key; it may have been revoked");
  const ApiKey& key = found->second.key;
  if (key.expires && *key.expires <= clock_.now())
    return fail("auth.expired", "the API key '" + key.name + "' expired at " + to_rfc3339(*key.expires) + "; ask for a new one");
  auto text = box_ && !found->second.sealed.empty() ? box_->unseal(found->second.sealed, std::string(kPrefix) + id)
                                                    : Result<std::string>(fail("secret.none", ""));
  if (!text)
    return unknown("the API key '" + key.name + "' cannot sign requests on this server; create a new one with `mayfly keys create`");
  return SigningKey{std::move(*text), principal_of(key)};
}

Result<Principal> KeyRing::authenticate(const net::Headers& headers) const {
  return authenticate(presented_key(headers));
}

Result<Principal> KeyRing::authenticate(std::string_view text) const {
  if (text.empty())
    return fail("auth.missing",
                "this needs an API key; send it as \"Authorization: Bearer mf_…\" (the first start wrote one to admin.key in the data "
                "directory)");
  const Error invalid{"auth.invalid", "the API key is not known to this server; it may have been revoked or belong to another one",
                      Retry::Never};
  if (text.size() > kKeyTextBytesMax || !text.starts_with("mf_") || text.size() < 13 || text[11] != '_') return fail(invalid);
  const auto found = keys_.find(text.substr(3, 8));
  // The hash is computed also for an unknown id, so that the time tells nothing.
  const std::string hash = sha256_hex(text.substr(12));
  if (found == keys_.end() || !equal_constant_time(hash, found->second.secret_hash)) return fail(invalid);
  const ApiKey& key = found->second.key;
  if (key.expires && *key.expires <= clock_.now())
    return fail("auth.expired", "the API key '" + key.name + "' expired at " + to_rfc3339(*key.expires) + "; ask for a new one");
  return principal_of(key);
}

bool KeyRing::note_use(const std::string& id) {
  const auto found = keys_.find(id);
  if (found == keys_.end()) return false;
  const TimePoint hour = from_unix_ms(to_unix_ms(clock_.now()) / kHourMs * kHourMs);
  if (found->second.key.last_used == hour) return false;
  found->second.key.last_used = hour;
  return true;
}

Task<> KeyRing::store_use(std::string id) {
  const auto found = keys_.find(id);
  if (found == keys_.end()) co_return;
  if (const auto written = co_await write(found->second, false); !written)
    log::debug("the last use of a key was not stored", {{"id", id}, {"error", written.error().message}});
}

}  // namespace mayfly
