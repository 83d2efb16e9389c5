#pragma once

#include <string>
#include <vector>

#include "server/http_triggers/jwks_cache.h"
#include "server/http_triggers/route_table.h"
#include "server/router.h"

namespace mayfly::http_triggers {

/// Who calls a route.
struct Caller {
  std::string id;         ///< "key:ID", "jwt:…", "hmac"; empty: anybody
  Principal principal;    ///< of a key
  JsonObject claims;      ///< of a token
  /// May read runs by the API, so that it needs no link of its own.
  bool can_read() const { return principal.scopes.has(Scope::Read) || principal.scopes.has(Scope::Admin); }
};

/// Errors: `auth.…`, `jwt.…`, `jwks.unavailable`, `route.unauthorized` (signature or time, without saying which), `route.misconfigured`.
Task<Result<Caller>> authenticate(AppContext* app, const TriggerRoute* route, const net::Request* request, JwksCache* sets);

/// The values of environment variables of the server; those that are not set are left out, and logged by their names.
std::vector<std::string> read_secrets(const AppContext& app, const std::string& trigger, const std::vector<std::string>& names);

}  // namespace mayfly::http_triggers
