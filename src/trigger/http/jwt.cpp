#include "trigger/jwt.h"

#include <algorithm>
#include <cmath>

#include "trigger/http/jws.h"

namespace mayfly::trigger {
namespace {

std::unexpected<Error> invalid(std::string message) { return fail("jwt.invalid", std::move(message)); }

/// NumericDate (RFC 7519 §2): seconds, maybe with a fraction. Nothing when absent.
Result<std::optional<TimePoint>> read_date(const JsonObject& claims, std::string_view name) {
  const Json* value = get(claims, name);
  if (!value) return std::nullopt;
  const auto bad = [&] { return invalid("the token's \"" + std::string(name) + "\" is no time in seconds"); };
  if (!value->is_number()) return bad();
  const double seconds = value->to_number<double>();
  if (!std::isfinite(seconds) || std::abs(seconds) > 1e12) return bad();
  return from_unix_ms(static_cast<std::int64_t>(seconds * 1000));
}

bool names(const Json& audience, const std::vector<std::string>& wanted) {
  return audience.is_string() && std::ranges::find(wanted, std::string_view(audience.get_string())) != wanted.end();
}

Result<void> check_audience(const JsonObject& claims, const std::vector<std::string>& wanted) {
  const Json* audience = get(claims, "aud");
  const auto* list = audience ? audience->if_array() : nullptr;
  if (audience && !audience->is_string() && !list) return invalid("the token's \"aud\" is neither a text nor a list of texts");
  if (wanted.empty()) return {};
  const bool good = audience && (list ? std::ranges::any_of(*list, [&](const Json& one) { return names(one, wanted); }) : names(*audience, wanted));
  if (!good) return fail("jwt.wrong_audience", "the token is not meant for this route: its \"aud\" names another audience");
  return {};
}

Result<void> check_times(const JsonObject& claims, Millis leeway, TimePoint now) {
  const auto expires = read_date(claims, "exp"), not_before = read_date(claims, "nbf"), issued = read_date(claims, "iat");
  for (const auto* date : {&expires, &not_before, &issued})
    if (!*date) return fail(date->error());
  if (*expires && now >= **expires + leeway) return fail("jwt.expired", "the token has expired; get a new one");
  if (*not_before && now + leeway < **not_before) return fail("jwt.not_yet_valid", "the token is not valid yet (\"nbf\")");
  if (*issued && now + leeway < **issued) return fail("jwt.not_yet_valid", "the token was issued in the future (\"iat\"); compare the clocks");
  return {};
}

}  // namespace

Result<JsonObject> verify_jwt(std::string_view token, const JwtRules& rules, TimePoint now) {
  const auto payload = verify_jws(token, rules);
  if (!payload) return fail(payload.error());
  auto parsed = parse_json(*payload, {.depth_max = 16, .bytes_max = kTokenBytesMax});
  if (!parsed || !parsed->is_object()) return invalid("the token's claims are no JSON object");
  JsonObject& claims = parsed->get_object();
  if (auto good = check_times(claims, rules.leeway, now); !good) return fail(good.error());
  if (!rules.issuer.empty() && get_string(claims, "iss") != rules.issuer)
    return fail("jwt.wrong_issuer", "the token comes from another issuer than the route expects");
  if (auto good = check_audience(claims, rules.audience); !good) return fail(good.error());
  return std::move(claims);
}

}  // namespace mayfly::trigger
