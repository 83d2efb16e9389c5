#include "server/http_triggers/route_auth.h"

#include "base/hash.h"
#include "base/log.h"
#include "trigger/http/attribute_rules.h"
#include "trigger/http/encoding.h"
#include "trigger/http/webhook_schemes.h"
#include "trigger/jwt.h"

namespace mayfly::http_triggers {
namespace {

std::unexpected<Error> misconfigured() {
  return fail("route.misconfigured", "the route cannot check who calls: its secret is not set at the server", Retry::Safe);
}
std::unexpected<Error> unauthorized() {
  return fail("route.unauthorized", "the request's signature is missing, wrong or too old; sign it as the route's owner says");
}

Result<Caller> by_key(AppContext& app, const net::Request& request) {
  auto principal = app.keys->authenticate(request.headers);
  if (!principal) return fail(principal.error());
  if (!principal->scopes.has(Scope::Admin) && !principal->scopes.has(Scope::Invoke))
    return fail("auth.forbidden", "the API key '" + principal->name + "' lacks the scope invoke; create a key that has it with `mayfly keys create`");
  if (app.keys->note_use(principal->key_id) && app.tasks) app.tasks->spawn(app.keys->store_use(principal->key_id));
  Caller out;
  out.id = "key:" + principal->key_id;
  out.principal = std::move(*principal);
  return out;
}

/// The signature's bytes, written as hex or Base64, maybe with "sha256=" in front.
std::optional<std::string> signature_bytes(std::string_view text) {
  if (text.starts_with("sha256=")) text.remove_prefix(7);
  return text.size() == 64 ? trigger::decode_hex(text) : trigger::decode_base64(text);
}

Result<Caller> by_hmac(const AppContext& app, const TriggerRoute& route, const net::Request& request) {
  const trigger::RouteAuth& auth = route.http()->auth;
  const auto secrets = read_secrets(app, route.spec.name, {auth.secret_env});
  if (secrets.empty()) return misconfigured();
  const auto given = signature_bytes(request.headers.get(auth.signature_header));
  std::string text = request.body;
  std::optional<std::int64_t> seconds;
  if (!auth.timestamp_header.empty()) {
    const std::string time = request.headers.get(auth.timestamp_header);
    seconds = trigger::parse_seconds(time);
    if (!seconds) return unauthorized();
    text = time + "." + text;
  }
  if (!given || !equal_constant_time(hmac_sha256(secrets.front(), text), *given)) return unauthorized();
  if (seconds && std::chrono::abs(app.clock->now() - from_unix_ms(*seconds * 1000)) > auth.tolerance) return unauthorized();
  return Caller{.id = "hmac", .principal = {}, .claims = {}};
}

Task<Result<Caller>> by_jwt(AppContext* app, const TriggerRoute* route, const net::Request* request, JwksCache* sets) {
  const trigger::RouteAuth& auth = route->http()->auth;
  const std::string header = request->headers.get("authorization");
  if (header.size() < 8 || !net::equal_ignoring_case(std::string_view(header).substr(0, 7), "bearer "))
    co_return fail("auth.missing", "this route needs a token; send it as `Authorization: Bearer TOKEN`");
  trigger::JwtRules rules;
  rules.issuer = auth.issuer;
  rules.audience = auth.audience;
  if (auth.jwks_url.empty()) {
    const auto secrets = read_secrets(*app, route->spec.name, {auth.secret_env});
    if (secrets.empty()) co_return misconfigured();
    rules.hs256_secret = secrets.front();
  } else {
    auto set = co_await sets->get(auth.jwks_url, auth.private_network, JwksCache::Want::Cached);
    if (!set) co_return fail(set.error());
    rules.jwks = std::move(*set);
  }
  const std::string token = header.substr(7);
  auto claims = trigger::verify_jwt(token, rules, app->clock->now());
  if (!claims && claims.error().code == "jwt.unknown_key" && !auth.jwks_url.empty()) {
    auto set = co_await sets->get(auth.jwks_url, auth.private_network, JwksCache::Want::Newer);
    if (!set) co_return fail(set.error());
    rules.jwks = std::move(*set);
    claims = trigger::verify_jwt(token, rules, app->clock->now());
  }
  if (!claims) co_return fail(claims.error());
  Caller out;
  const std::string who = get_string(*claims, "iss") + "\n" + get_string(*claims, "sub");
  out.id = "jwt:" + sha256_hex(who).substr(0, 32);
  out.claims = std::move(*claims);
  co_return out;
}

}  // namespace

std::vector<std::string> read_secrets(const AppContext& app, const std::string& trigger, const std::vector<std::string>& names) {
  std::vector<std::string> out;
  for (const std::string& name : names) {
    auto value = app.config->environment ? app.config->environment(name) : std::nullopt;
    if (value && !value->empty()) out.push_back(std::move(*value));
    else log::warn("a trigger's secret is not set; set the environment variable and start the server again", {{"trigger", trigger}, {"variable", name}});
  }
  return out;
}

Task<Result<Caller>> authenticate(AppContext* app, const TriggerRoute* route, const net::Request* request, JwksCache* sets) {
  using Kind = trigger::RouteAuth::Kind;
  switch (route->http()->auth.kind) {
    case Kind::Key: co_return by_key(*app, *request);
    case Kind::Hmac: co_return by_hmac(*app, *route, *request);
    case Kind::Jwt: co_return co_await by_jwt(app, route, request, sets);
    case Kind::None: break;
  }
  co_return Caller{};
}

}  // namespace mayfly::http_triggers
