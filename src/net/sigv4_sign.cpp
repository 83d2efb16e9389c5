#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "base/hash.h"
#include "net/http_client.h"
#include "net/sigv4_canonical.h"
#include "net/ssrf.h"

namespace mayfly::net {
namespace {

using namespace sigv4;

std::unexpected<Error> cannot_sign(std::string_view why) {
  return fail("sigv4.invalid_request", fmt::format("The request cannot be signed: {}", why));
}

/// What proxies and HTTP libraries change on the way.
bool is_never_signed(std::string_view name) {
  constexpr std::array<std::string_view, 9> kNames{
      "authorization", "connection", "expect", "transfer-encoding", "user-agent", "x-amzn-trace-id", "te", "keep-alive", "upgrade"};
  return std::find(kNames.begin(), kNames.end(), name) != kNames.end();
}

std::string signed_names(const Headers& first, const Headers& second) {
  std::vector<std::string> names;
  for (const Headers* headers : {&first, &second}) {
    for (const auto& [name, value] : *headers) names.push_back(lower(name));
  }
  std::erase_if(names, is_never_signed);
  std::sort(names.begin(), names.end());
  names.erase(std::unique(names.begin(), names.end()), names.end());
  return fmt::format("{}", fmt::join(names, ";"));
}

Result<void> check_signable(const SigV4Request& request, const SigV4SignOptions& options) {
  if (!request.headers.find("host")) return cannot_sign("it has no Host field; add it.");
  if (options.access_key_id.empty() || options.secret_access_key.empty()) return cannot_sign("the credentials are empty; set both keys.");
  for (const std::string_view part :
       {std::string_view(options.access_key_id), std::string_view(options.region), std::string_view(options.service)}) {
    const bool is_plain =
        std::all_of(part.begin(), part.end(), [](char c) { return c > ' ' && c < 0x7f && c != '/' && c != ',' && c != ';'; });
    if (part.empty() || !is_plain) return cannot_sign("the access key id, region or service is empty or holds forbidden characters.");
  }
  for (const char c : options.session_token) {
    if (c < ' ' || c == 0x7f) return cannot_sign("the session token holds control characters.");
  }
  for (const auto& [name, value] : request.headers) {
    const std::string field = lower(name);
    if (field == "authorization" || field == "x-amz-date" || field == "x-amz-security-token" || field == "x-amz-content-sha256") {
      return cannot_sign(fmt::format("it has a field {} already; remove it, signing adds it.", field));
    }
  }
  return {};
}

}  // namespace

Result<Headers> sign_sigv4(const SigV4Request& request, const SigV4SignOptions& options) {
  if (const auto checked = check_signable(request, options); !checked) return fail(checked.error());
  using Payload = SigV4SignOptions::Payload;
  const std::string timestamp = to_timestamp(options.now), date = timestamp.substr(0, 8);
  const std::string hash = options.payload == Payload::Unsigned ? std::string(kUnsignedPayload) : sha256_hex(request.body);
  Headers added{{"X-Amz-Date", timestamp}};
  if (!options.session_token.empty()) added.add("X-Amz-Security-Token", options.session_token);
  if (options.payload != Payload::Hash || options.service == "s3") added.add("X-Amz-Content-Sha256", hash);
  Headers all = request.headers;
  for (const auto& [name, value] : added) all.add(name, value);
  const std::string names = signed_names(request.headers, added);
  const std::string scope = scope_of(date, options.region, options.service);
  const std::string signature = signature_of({.method = request.method,
                                              .path = canonical_path(request.path, options.path, options.service),
                                              .query = canonical_query(decode_query(request.query)),
                                              .headers = all,
                                              .signed_headers = names,
                                              .payload_hash = hash,
                                              .timestamp = timestamp,
                                              .scope = scope},
                                             options.secret_access_key);
  added.add("Authorization",
            fmt::format("{} Credential={}/{}, SignedHeaders={}, Signature={}", kAlgorithm, options.access_key_id, scope, names, signature));
  return added;
}

Result<void> sign_sigv4(ClientRequest& request, const SigV4SignOptions& options) {
  const auto target = parse_target(request.url);
  if (!target) return fail(target.error());
  request.url = target->url;
  const std::string_view url = target->url;
  const auto slash = std::min(url.find('/', url.find("://") + 3), url.size());
  const auto question = std::min(url.find('?'), url.size());
  Headers headers = request.headers;
  if (!headers.find("host")) headers.add("Host", std::string(url.substr(url.find("://") + 3, slash - url.find("://") - 3)));
  const SigV4Request covered{.method = request.method,
                             .path = url.substr(slash, question - slash),
                             .query = question < url.size() ? url.substr(question + 1) : std::string_view(),
                             .headers = headers,
                             .body = request.body};
  auto added = sign_sigv4(covered, options);
  if (!added) return fail(added.error());
  for (const auto& [name, value] : *added) request.headers.add(name, value);
  return {};
}

Result<std::string> presign_sigv4(const SigV4Request& request, const SigV4SignOptions& options, std::chrono::seconds expiry) {
  if (const auto checked = check_signable(request, options); !checked) return fail(checked.error());
  if (expiry.count() < 1 || expiry > kExpiryMax) return cannot_sign("the expiry must be 1 second to 7 days.");
  if (is_presigned(decode_query(request.query))) return cannot_sign("its query is signed already.");
  const std::string timestamp = to_timestamp(options.now);
  const std::string scope = scope_of(timestamp.substr(0, 8), options.region, options.service);
  const std::string names = signed_names(request.headers, {});
  std::string query(request.query);
  const auto add = [&query](std::string_view name, std::string_view value) {
    query += fmt::format("{}{}{}={}", query.empty() ? "" : "&", kParameterPrefix, name, encode(value));
  };
  add("Algorithm", kAlgorithm);
  add("Credential", options.access_key_id + "/" + scope);
  add("Date", timestamp);
  add("SignedHeaders", names);
  add("Expires", std::to_string(expiry.count()));
  if (!options.session_token.empty()) add("Security-Token", options.session_token);
  const std::string hash = options.service == "s3" ? std::string(kUnsignedPayload) : sha256_hex(request.body);
  add("Signature", signature_of({.method = request.method,
                                 .path = canonical_path(request.path, options.path, options.service),
                                 .query = canonical_query(decode_query(query)),
                                 .headers = request.headers,
                                 .signed_headers = names,
                                 .payload_hash = hash,
                                 .timestamp = timestamp,
                                 .scope = scope},
                                options.secret_access_key));
  return query;
}

}  // namespace mayfly::net
