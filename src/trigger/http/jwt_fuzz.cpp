#include <cstdint>
#include <cstdlib>

#include "base/hash.h"
#include "trigger/jwt.h"

/// Tokens and key sets of any form: nothing that nobody signed is valid.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace mayfly;
  using namespace mayfly::trigger;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  JwtRules rules;
  rules.hs256_secret = std::string(32, 's');
  if (verify_jwt(text, rules, from_unix_ms(0))) std::abort();
  const std::string signed_text = to_base64url(R"({"alg":"HS256"})") + "." + to_base64url(text);
  (void)verify_jwt(signed_text + "." + to_base64url(hmac_sha256(rules.hs256_secret, signed_text)), rules, from_unix_ms(0));
  rules.hs256_secret.clear();
  if (auto set = parse_json(text)) rules.jwks = std::move(*set);
  for (const char* header : {R"({"alg":"RS256"})", R"({"alg":"PS256"})", R"({"alg":"ES256"})", R"({"alg":"EdDSA"})", R"({"alg":"none"})"})
    if (verify_jwt(to_base64url(header) + "." + to_base64url("{}") + "." + to_base64url(std::string(64, '\1')), rules, from_unix_ms(0))) std::abort();
  return 0;
}
