#include "server/lambda/lambda_auth.h"

#include "net/sigv4.h"

namespace mayfly::lambda {

Result<Principal> authenticate(const AppContext& app, const net::Request& request, std::string_view service) {
  const net::SigV4Request signed_part = net::to_sigv4(request);
  if (!net::has_sigv4(signed_part)) {
    auto principal = app.keys->authenticate(request.headers);
    if (!principal && principal.error().code == "auth.missing")
      return fail(
          "auth.missing",
          "Missing Authentication Token: sign the request with an access key of this server (`mayfly keys create` prints one), or send "
          "its key as \"Authorization: Bearer mf_…\"");
    return principal;
  }
  const auto claim = net::parse_sigv4(signed_part);
  if (!claim) return fail(claim.error());
  auto key = app.keys->signing_key(claim->access_key_id);
  if (!key) return fail(key.error());
  const net::SigV4VerifyOptions options{.service = std::string(service)};
  const auto verified = net::verify_sigv4(signed_part, *claim, key->secret, app.clock->now(), options);
  if (!verified) return fail(verified.error());
  return std::move(key->principal);
}

Result<void> check_scope(const Principal& principal, Scope scope, std::string_view operation) {
  if (principal.scopes.has(Scope::Admin) || principal.scopes.has(scope)) return {};
  return fail("auth.forbidden", "The API key '" + principal.name + "' is not authorized to perform: lambda:" + std::string(operation) +
                                    " because it lacks the scope " + std::string(to_string(scope)) +
                                    "; create a key that has it with `mayfly keys create`");
}

}  // namespace mayfly::lambda
