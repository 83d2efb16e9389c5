#include "server/api.h"
#include "server/body_reader.h"
#include "server/json_views.h"
#include "server/problem.h"
#include "workspace/types.h"

namespace mayfly {
namespace {

Result<Scopes> read_scopes(const JsonObject& body) {
  const auto* names = get_array(body, "scopes");
  if (!names) return fail("request.invalid", "the body lacks \"scopes\", an array of: read, invoke, answer, deploy, gateway, files, admin");
  Scopes out;
  for (const Json& name : *names) {
    const auto scope = name.is_string() ? scope_from_string(std::string_view(name.get_string())) : std::nullopt;
    if (!scope)
      return fail("request.invalid",
                  "unknown scope " + to_text(name).substr(0, 80) + "; known are read, invoke, answer, deploy, gateway, files, admin");
    out.add(*scope);
  }
  return out;
}

/// A time ("2027-01-01T00:00:00Z") or a duration from now ("30d").
Result<std::optional<TimePoint>> read_expiry(const JsonObject& body, TimePoint now) {
  const auto text = read_text(body, "expires", 100);
  if (!text) return fail(text.error());
  if (!*text) return std::nullopt;
  if (const auto duration = parse_duration(**text)) return now + *duration;
  const auto time = parse_rfc3339(**text);
  if (!time) return fail("request.invalid", "\"expires\" must be a time such as 2027-01-01T00:00:00Z or a duration such as 30d");
  return *time;
}

/// An organisation's administrators handle its keys, those of "default" all; one who is bound to a workspace handles that one's.
bool may_handle(const Principal& who, const ApiKey& key) {
  if (who.organisation != kOperatorOrganisation && who.organisation != key.organisation) return false;
  return who.workspace.empty() || (who.workspace == key.workspace && who.organisation == key.organisation);
}

/// Nobody makes a key that may do more than his own.
Result<void> read_bounds(const JsonObject& body, const Principal& who, ApiKey* key) {
  const auto organisation = read_text(body, "organisation", 1'000), workspace = read_text(body, "workspace", 1'000),
             role = read_text(body, "role", 1'000);
  for (const auto* text : {&organisation, &workspace, &role})
    if (!*text) return fail(text->error());
  if (const Json* person = get(body, "person"); person && !person->is_null()) {
    if (!person->is_bool()) return fail("request.invalid", "\"person\" must be true or false");
    key->is_person = person->get_bool();
  }
  key->organisation = organisation->value_or(who.organisation);
  key->workspace = workspace->value_or(who.workspace);
  key->role_max = role->value_or(who.role_max);
  if (!may_handle(who, *key))
    return fail("auth.forbidden", "your key makes keys of its own organisation and workspace only; ask an administrator of this server");
  const auto own = workspace::role_from_string(who.role_max), wanted = workspace::role_from_string(key->role_max);
  if (own && (!wanted || *wanted > *own))
    return fail("auth.forbidden", "your key's role is " + who.role_max + ": give a role that is not above it");
  return {};
}

Task<Result<net::Response>> list_keys(AppContext& app, Call& call) {
  JsonArray out;
  for (const ApiKey& key : app.keys->list())
    if (may_handle(call.principal, key)) out.push_back(key_view(key));
  co_return json_response(200, JsonObject{{"keys", std::move(out)}});
}

Task<Result<net::Response>> create_key(AppContext& app, Call& call) {
  const auto body = read_object(call.request, {"name", "scopes", "expires", "organisation", "person", "workspace", "role"});
  if (!body) co_return fail(body.error());
  const auto name = read_text(*body, "name", 1'000);
  if (!name) co_return fail(name.error());
  const auto scopes = read_scopes(*body);
  if (!scopes) co_return fail(scopes.error());
  const auto expires = read_expiry(*body, app.clock->now());
  if (!expires) co_return fail(expires.error());
  ApiKey wanted;
  wanted.name = name->value_or(std::string());
  wanted.scopes = *scopes;
  wanted.expires = *expires;
  if (auto bounded = read_bounds(*body, call.principal, &wanted); !bounded) co_return fail(bounded.error());
  auto created = co_await app.keys->create(std::move(wanted));
  if (!created) co_return fail(created.error());
  JsonObject out = key_view(created->key);
  out["key"] = created->text;
  co_return json_response(201, std::move(out));
}

Task<Result<net::Response>> revoke_key(AppContext& app, Call& call) {
  const std::string& id = call.parameter("id");
  for (const ApiKey& key : app.keys->list())
    if (key.id == id && !may_handle(call.principal, key))
      co_return fail("key.not_found", "there is no key '" + id + "'; list them with `mayfly keys list`");
  auto revoked = co_await app.keys->revoke(id);
  if (!revoked) co_return fail(revoked.error());
  co_return net::Response{204, {}, {}};
}

}  // namespace

void add_key_routes(Router& router) {
  router.add("GET", "/v1/keys", {{Scope::Admin}}, list_keys);
  router.add("POST", "/v1/keys", {{Scope::Admin}}, create_key);
  router.add("DELETE", "/v1/keys/{id}", {{Scope::Admin}}, revoke_key);
}

}  // namespace mayfly
