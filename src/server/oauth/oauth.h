#pragma once

#include <memory>

#include "server/context.h"
#include "server/router.h"

namespace mayfly {

/// The authorisation server for MCP clients: OAuth 2.1 with PKCE, whose tokens open /mcp alone. A person consents by showing an API key;
/// tokens act as that key, within the scopes that were granted, for as long as the key is in force. See docs/mcp.md and README.md here.
/// Adds /.well-known/oauth-authorization-server (RFC 8414), /.well-known/oauth-protected-resource and …/mcp (RFC 9728), /oauth/authorize,
/// /oauth/token, /oauth/revoke (RFC 7009) and /oauth/register (RFC 7591), and makes the router take its tokens at /mcp. On an address that
/// others can reach it needs ServerConfig::public_url; without one its routes answer 404, and keys alone open /mcp.
class OAuthServer {
 public:
  virtual ~OAuthServer() = default;
  /// Once `store`, `keys` and `http` of the context are there. Errors: those of the store, `store.damaged`.
  virtual Task<Result<void>> open() = 0;
};
/// Both outlive it.
std::unique_ptr<OAuthServer> add_oauth_routes(Router& router, AppContext& context);

}  // namespace mayfly
