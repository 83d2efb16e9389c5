#pragma once

#include <string>

#include "net/http_server.h"
#include "server/auth.h"

namespace mayfly::oauth {

/// What a person is asked.
struct Consent {
  std::string client_name, client_id, redirect_uri, server;  ///< `server`: this one's URL
  Scopes scopes;
  std::string request;  ///< ties the answer to this page
  std::string problem;  ///< why it is shown again; or empty
};
/// Plain HTML for a form that posts to /oauth/authorize; no script, not to be framed.
net::Response consent_page(const Consent& consent, int status);
/// For what must not be told to a redirect URI.
net::Response refusal_page(int status, std::string_view message);

}  // namespace mayfly::oauth
