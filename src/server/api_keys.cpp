#include "server/api.h"
#include "server/body_reader.h"
#include "server/json_views.h"
#include "server/problem.h"

namespace mayfly {
namespace {

Result<Scopes> read_scopes(const JsonObject& body) {
  const auto* names = get_array(body, "scopes");
  if (!names) return fail("request.invalid", "the body lacks \"scopes\", an array of: read, invoke, answer, deploy, gateway, admin");
  Scopes out;
  for (const Json& name : *names) {
    const auto scope = name.is_string() ? scope_from_string(std::string_view(name.get_string())) : std::nullopt;
    if (!scope)
      return fail("request.invalid",
                  "unknown scope " + to_text(name).substr(0, 80) + "; known are read, invoke, answer, deploy, gateway, admin");
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

Task<Result<net::Response>> list_keys(AppContext& app, Call&) {
  JsonArray out;
  for (const ApiKey& key : app.keys->list()) out.push_back(key_view(key));
  co_return json_response(200, JsonObject{{"keys", std::move(out)}});
}

Task<Result<net::Response>> create_key(AppContext& app, Call& call) {
  const auto body = read_object(call.request, {"name", "scopes", "expires"});
  if (!body) co_return fail(body.error());
  const auto name = read_text(*body, "name", 1'000);
  if (!name) co_return fail(name.error());
  const auto scopes = read_scopes(*body);
  if (!scopes) co_return fail(scopes.error());
  const auto expires = read_expiry(*body, app.clock->now());
  if (!expires) co_return fail(expires.error());
  auto created = co_await app.keys->create(name->value_or(std::string()), *scopes, *expires);
  if (!created) co_return fail(created.error());
  JsonObject out = key_view(created->key);
  out["key"] = created->text;
  co_return json_response(201, std::move(out));
}

Task<Result<net::Response>> revoke_key(AppContext& app, Call& call) {
  auto revoked = co_await app.keys->revoke(call.parameter("id"));
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
