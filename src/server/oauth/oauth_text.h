#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "net/http_server.h"
#include "server/auth.h"

/// The texts of OAuth: forms, redirect URIs, scopes, challenges.
namespace mayfly::oauth {

/// Parameters of a query or a form; empty values count as absent (RFC 6749 §3.1).
using Parameters = std::map<std::string, std::string, std::less<>>;
/// Nothing when it is malformed, too long, not UTF-8, or names a parameter twice (which RFC 6749 §3.1 forbids).
std::optional<Parameters> parse_parameters(std::string_view text);
std::string parameter(const Parameters& parameters, std::string_view name);

/// https, http of this machine, or an application's own scheme (RFC 8252 §7); no fragment, no user, nothing that runs in a browser.
bool is_redirect_uri(std::string_view uri);
/// Exactly one of `registered`, apart from the port of a loopback address (RFC 8252 §7.3).
bool is_registered(const std::vector<std::string>& registered, std::string_view uri);
/// What a page's Content-Security-Policy calls it ("https://example.com", "cursor:"), and people ("example.com").
std::string csp_source_of(std::string_view redirect_uri);
std::string host_of(std::string_view redirect_uri);

/// What a token may be good for.
inline constexpr Scopes kGrantable{Scope::Read, Scope::Invoke, Scope::Answer, Scope::Files};
/// The grantable ones among those named; nothing when none is. Without any text all that are grantable.
std::optional<Scopes> scopes_in(std::string_view text);
std::string to_text(Scopes scopes);
Scopes intersection(Scopes a, Scopes b);

/// Whether SHA-256 of the verifier is the challenge (RFC 7636 §4.6).
bool fits_challenge(std::string_view verifier, std::string_view challenge);
bool is_challenge(std::string_view text);

std::string escape_html(std::string_view text);

}  // namespace mayfly::oauth
