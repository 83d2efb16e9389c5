#pragma once

#include <string_view>
#include <vector>

#include "base/json.h"
#include "base/time.h"

namespace mayfly::trigger {

/// What a token must satisfy (RFC 7519, RFC 8725: algorithms are chosen by the verifier).
struct JwtRules {
  std::string issuer;                 ///< empty: any
  std::vector<std::string> audience;  ///< one of them; empty: any
  std::string hs256_secret;           ///< set: HS256 and nothing else
  Json jwks;                          ///< else {"keys": […]} (RFC 7517): RS256, PS256, ES256, EdDSA by `kid`
  Millis leeway{60'000};
};
/// The claims. Errors: `jwt.invalid` (form, algorithm, signature), `jwt.expired`, `jwt.not_yet_valid`, `jwt.wrong_issuer`, `jwt.wrong_audience`,
/// `jwt.unknown_key` (fetch the set again).
Result<JsonObject> verify_jwt(std::string_view token, const JwtRules& rules, TimePoint now);

}  // namespace mayfly::trigger
