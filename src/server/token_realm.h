#pragma once

#include <optional>
#include <string>

#include "net/http_server.h"
#include "server/auth.h"

namespace mayfly {

/// Credentials besides API keys.
class TokenRealm {
 public:
  virtual ~TokenRealm() = default;
  /// Nothing when the request shows none of its tokens, so that API keys are tried. Errors as KeyRing::authenticate.
  virtual std::optional<Result<Principal>> authenticate(const net::Request& request) const = 0;
  /// The WWW-Authenticate field of a refusal: 401, or 403 for `auth.forbidden`.
  virtual std::string challenge(const net::Request& request, const Error& error) const = 0;
};

}  // namespace mayfly
