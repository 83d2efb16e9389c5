#include "server/oauth/oauth_text.h"

#include <algorithm>

#include "base/hash.h"
#include "base/json.h"

namespace mayfly::oauth {
namespace {

constexpr std::size_t kFormBytesMax = 16 * 1024, kParametersMax = 32, kUriBytesMax = 2'000;
constexpr std::string_view kUnsafeSchemes[] = {"javascript", "data", "file", "vbscript", "blob",   "about", "view-source",
                                               "ws",         "wss",  "ftp",  "mailto",   "chrome", "jar",   "resource"};

struct Uri {
  std::string scheme, host, port, rest;  ///< the host in lower case; the rest begins with "/" or "?", or is empty
};

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  return out;
}

bool is_alphanumeric(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9'); }

std::optional<Uri> parse_uri(std::string_view text) {
  if (text.empty() || text.size() > kUriBytesMax) return std::nullopt;
  const auto is_plain = [](char c) { return c > ' ' && c < 0x7f && std::string_view("\"'<>\\^`{|};,#").find(c) == std::string_view::npos; };
  if (!std::ranges::all_of(text, is_plain)) return std::nullopt;
  Uri out;
  const auto colon = text.find(':');
  if (colon == std::string_view::npos || colon == 0) return std::nullopt;
  out.scheme = lower(text.substr(0, colon));
  if (out.scheme[0] < 'a' || out.scheme[0] > 'z') return std::nullopt;
  for (const char c : out.scheme)
    if (!is_alphanumeric(c) && c != '+' && c != '-' && c != '.') return std::nullopt;
  std::string_view rest = text.substr(colon + 1);
  if (rest.starts_with("//")) {
    rest.remove_prefix(2);
    const auto end = std::min(rest.find_first_of("/?"), rest.size());
    std::string_view authority = rest.substr(0, end);
    out.rest = rest.substr(end);
    if (authority.find('@') != std::string_view::npos) return std::nullopt;
    const auto port = authority.starts_with('[') ? authority.find("]:") : authority.find(':');
    if (port != std::string_view::npos) {
      const std::size_t skip = authority.starts_with('[') ? 2 : 1;
      out.port = authority.substr(port + skip);
      authority = authority.substr(0, port + skip - 1);
      if (out.port.empty() || out.port.size() > 5 || !std::ranges::all_of(out.port, [](char c) { return c >= '0' && c <= '9'; }))
        return std::nullopt;
    }
    out.host = lower(authority);
    const auto fits = [](char c) { return is_alphanumeric(c) || std::string_view("-._[]:").find(c) != std::string_view::npos; };
    if (!std::ranges::all_of(out.host, fits)) return std::nullopt;
  } else {
    out.rest = rest;
  }
  return out;
}

bool is_loopback(const Uri& uri) { return uri.host == "127.0.0.1" || uri.host == "[::1]" || uri.host == "localhost"; }

}  // namespace

std::optional<Parameters> parse_parameters(std::string_view text) {
  if (text.size() > kFormBytesMax) return std::nullopt;
  Parameters out;
  std::size_t count = 0;
  while (!text.empty()) {
    const std::string_view part = text.substr(0, text.find('&'));
    text.remove_prefix(std::min(part.size() + 1, text.size()));
    if (part.empty()) continue;
    const auto equals = std::min(part.find('='), part.size());
    auto name = net::percent_decode(part.substr(0, equals), true);
    auto value = net::percent_decode(part.substr(std::min(equals + 1, part.size())), true);
    if (!name || !value || !is_utf8(*name) || !is_utf8(*value) || ++count > kParametersMax) return std::nullopt;
    if (value->find('\0') != std::string::npos) return std::nullopt;
    if (value->empty()) continue;
    if (!out.emplace(std::move(*name), std::move(*value)).second) return std::nullopt;
  }
  return out;
}

std::string parameter(const Parameters& parameters, std::string_view name) {
  const auto found = parameters.find(name);
  return found == parameters.end() ? std::string() : found->second;
}

bool is_redirect_uri(std::string_view text) {
  const auto uri = parse_uri(text);
  if (!uri) return false;
  if (uri->scheme == "https") return !uri->host.empty();
  if (uri->scheme == "http") return is_loopback(*uri);
  return std::ranges::find(kUnsafeSchemes, std::string_view(uri->scheme)) == std::end(kUnsafeSchemes) &&
         !(uri->host.empty() && uri->rest.empty());
}

bool is_registered(const std::vector<std::string>& registered, std::string_view text) {
  if (!is_redirect_uri(text)) return false;
  if (std::ranges::find(registered, text) != registered.end()) return true;
  const auto uri = parse_uri(text);
  if (uri->scheme != "http") return false;
  return std::ranges::any_of(registered, [&](const std::string& candidate) {
    const auto other = parse_uri(candidate);
    return other && other->scheme == "http" && other->host == uri->host && other->rest == uri->rest;
  });
}

std::string csp_source_of(std::string_view text) {
  const auto uri = parse_uri(text);
  if (!uri) return {};
  if (uri->scheme != "http" && uri->scheme != "https") return uri->scheme + ":";
  // Its grammar knows no IPv6 addresses.
  if (uri->host.starts_with('[')) return uri->scheme + ":";
  return uri->scheme + "://" + uri->host + (uri->port.empty() ? "" : ":" + uri->port);
}

std::string host_of(std::string_view text) {
  const auto uri = parse_uri(text);
  if (!uri) return {};
  if (uri->scheme != "http" && uri->scheme != "https") return "an application on this device (" + uri->scheme + ":)";
  return uri->host + (uri->port.empty() ? "" : ":" + uri->port);
}

std::optional<Scopes> scopes_in(std::string_view text) {
  if (text.empty()) return kGrantable;
  Scopes out;
  while (!text.empty()) {
    const std::string_view name = text.substr(0, text.find(' '));
    text.remove_prefix(std::min(name.size() + 1, text.size()));
    if (const auto scope = scope_from_string(name); scope && kGrantable.has(*scope)) out.add(*scope);
  }
  if (out.empty()) return std::nullopt;
  return out;
}

std::string to_text(Scopes scopes) {
  std::string out;
  for (const std::string_view name : scopes.names()) out += (out.empty() ? "" : " ") + std::string(name);
  return out;
}

Scopes intersection(Scopes a, Scopes b) {
  Scopes out;
  for (const std::string_view name : a.names())
    if (const auto scope = scope_from_string(name); scope && (b.has(*scope) || b.has(Scope::Admin))) out.add(*scope);
  return out;
}

bool is_challenge(std::string_view text) {
  return text.size() == 43 && std::ranges::all_of(text, [](char c) { return is_alphanumeric(c) || c == '-' || c == '_'; });
}

bool fits_challenge(std::string_view verifier, std::string_view challenge) {
  const auto is_unreserved = [](char c) { return is_alphanumeric(c) || c == '-' || c == '.' || c == '_' || c == '~'; };
  if (verifier.size() < 43 || verifier.size() > 128 || !std::ranges::all_of(verifier, is_unreserved)) return false;
  const std::string hex = sha256_hex(verifier);
  const auto digit = [](char c) { return c <= '9' ? c - '0' : c - 'a' + 10; };
  std::string bytes;
  for (std::size_t i = 0; i < hex.size(); i += 2) bytes += static_cast<char>(digit(hex[i]) * 16 + digit(hex[i + 1]));
  return equal_constant_time(to_base64url(bytes), challenge);
}

std::string escape_html(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '&')
      out += "&amp;";
    else if (c == '<')
      out += "&lt;";
    else if (c == '>')
      out += "&gt;";
    else if (c == '"')
      out += "&quot;";
    else if (c == '\'')
      out += "&#39;";
    else
      out += c;
  }
  return out;
}

}  // namespace mayfly::oauth
