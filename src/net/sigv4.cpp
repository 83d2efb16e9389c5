#include "net/sigv4.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>

#include "base/hash.h"
#include "net/http_server.h"
#include "net/sigv4_canonical.h"

namespace mayfly::net {
namespace {

using namespace sigv4;

constexpr std::size_t kSignedHeadersMax = 256;

std::unexpected<Error> incomplete(std::string_view why) {
  return fail("sigv4.incomplete", fmt::format("The signature is incomplete: {}", why));
}

std::optional<std::string> single(const Headers& headers, std::string_view name) {
  const auto count =
      std::count_if(headers.begin(), headers.end(), [&](const auto& field) { return equal_ignoring_case(field.first, name); });
  return count == 1 ? std::optional(headers.get(name)) : std::nullopt;
}
std::optional<std::string> single(const Parameters& parameters, std::string_view name) {
  const auto is_it = [&](const auto& parameter) { return parameter.first == name; };
  const auto found = std::find_if(parameters.begin(), parameters.end(), is_it);
  if (found == parameters.end() || std::find_if(found + 1, parameters.end(), is_it) != parameters.end()) return std::nullopt;
  return found->second;
}

/// "access key/date/region/service/aws4_request"
Result<void> read_credential(SigV4Claim& claim, std::string_view text) {
  const auto parts = split(text, '/');
  const bool is_whole = parts.size() == 5 && std::none_of(parts.begin(), parts.end(), [](const std::string& part) { return part.empty(); });
  if (!is_whole || parts[4] != kTerminator) {
    return incomplete("Credential must be <access key id>/<date>/<region>/<service>/aws4_request.");
  }
  claim.access_key_id = parts[0];
  claim.date = parts[1];
  claim.region = parts[2];
  claim.service = parts[3];
  return {};
}

Result<void> read_signed_headers(SigV4Claim& claim, std::string_view text) {
  claim.signed_headers = split(text, ';');
  if (claim.signed_headers.size() > kSignedHeadersMax) return incomplete("SignedHeaders names more than 256 fields; sign fewer.");
  for (std::string& name : claim.signed_headers) name = lower(name);
  std::sort(claim.signed_headers.begin(), claim.signed_headers.end());
  if (claim.signed_headers.front().empty()) return incomplete("SignedHeaders must name the signed fields, joined by semicolons.");
  return {};
}

Result<void> read_signature(SigV4Claim& claim, std::string_view text) {
  if (text.size() != 64 || text.find_first_not_of("0123456789abcdef") != std::string_view::npos) {
    return incomplete("Signature must be 64 lower-case hexadecimal digits.");
  }
  claim.signature = text;
  return {};
}

Result<void> read_time(SigV4Claim& claim, std::string_view text) {
  const auto time = parse_timestamp(text);
  if (!time) return incomplete("the date must have the form 20150830T123600Z.");
  claim.signed_at = *time;
  claim.timestamp = to_timestamp(*time);
  if (claim.timestamp.substr(0, 8) != claim.date) return incomplete("the date in Credential is not that of X-Amz-Date; sign again.");
  return {};
}

Result<SigV4Claim> parse_header(const SigV4Request& request) {
  const auto authorization = single(request.headers, "authorization");
  if (!authorization) return incomplete("there is more than one Authorization field; send one.");
  std::string_view rest = *authorization;
  if (rest.substr(0, rest.find(' ')) != kAlgorithm) return incomplete("the only supported algorithm is AWS4-HMAC-SHA256.");
  rest.remove_prefix(std::min(rest.size(), kAlgorithm.size() + 1));
  std::array<std::optional<std::string>, 3> found;
  constexpr std::array<std::string_view, 3> kNames{"Credential", "SignedHeaders", "Signature"};
  for (const std::string& text : split(rest, ',')) {
    std::string_view part = text;
    part.remove_prefix(std::min(part.find_first_not_of(' '), part.size()));
    while (part.ends_with(' ')) part.remove_suffix(1);
    const auto name = std::find(kNames.begin(), kNames.end(), part.substr(0, part.find('=')));
    const auto at = static_cast<std::size_t>(name - kNames.begin());
    if (name == kNames.end() || part.find('=') == std::string_view::npos || found[at]) {
      return incomplete("Authorization must hold Credential, SignedHeaders and Signature once each, separated by commas.");
    }
    found[at] = part.substr(name->size() + 1);
  }
  for (std::size_t i = 0; i < found.size(); ++i) {
    if (!found[i]) return incomplete(fmt::format("the Authorization field has no {}.", kNames[i]));
  }
  const bool has_amz_date = request.headers.find("x-amz-date").has_value();
  const auto date = single(request.headers, has_amz_date ? "x-amz-date" : "date");
  if (!date) return incomplete("exactly one X-Amz-Date or Date field is needed.");
  SigV4Claim claim;
  Result<void> read = read_credential(claim, *found[0]);
  if (read) read = read_signed_headers(claim, *found[1]);
  if (read) read = read_signature(claim, *found[2]);
  if (read) read = read_time(claim, *date);
  if (!read) return fail(read.error());
  claim.security_token = request.headers.get("x-amz-security-token");
  return claim;
}

Result<SigV4Claim> parse_presigned(const Parameters& parameters) {
  const auto get = [&](std::string_view name) { return single(parameters, fmt::format("{}{}", kParameterPrefix, name)); };
  if (get("Algorithm") != kAlgorithm) return incomplete("the only supported X-Amz-Algorithm is AWS4-HMAC-SHA256.");
  std::array<std::string, 5> found;
  constexpr std::array<std::string_view, 5> kNames{"Credential", "SignedHeaders", "Signature", "Date", "Expires"};
  for (std::size_t i = 0; i < found.size(); ++i) {
    auto value = get(kNames[i]);
    if (!value) return incomplete(fmt::format("exactly one query parameter X-Amz-{} is needed.", kNames[i]));
    found[i] = std::move(*value);
  }
  SigV4Claim claim;
  Result<void> read = read_credential(claim, found[0]);
  if (read) read = read_signed_headers(claim, found[1]);
  if (read) read = read_signature(claim, found[2]);
  if (read) read = read_time(claim, found[3]);
  if (!read) return fail(read.error());
  std::int64_t seconds = 0;
  const char* const end = found[4].data() + found[4].size();
  const auto [stop, error] = std::from_chars(found[4].data(), end, seconds);
  if (error != std::errc{} || stop != end || seconds < 1 || seconds > kExpiryMax.count()) {
    return incomplete("X-Amz-Expires must be 1 to 604800 seconds.");
  }
  claim.expiry = std::chrono::seconds(seconds);
  claim.security_token = get("Security-Token").value_or("");
  return claim;
}

Result<void> check_time(const SigV4Claim& claim, TimePoint now, Millis skew) {
  if (claim.signed_at > now + skew) {
    return fail("sigv4.expired",
                fmt::format("Signature not yet current: {} is in the future; it is now {}. Set the clock of the signing machine.",
                            claim.timestamp, to_timestamp(now)));
  }
  const TimePoint last = claim.expiry ? claim.signed_at + *claim.expiry : claim.signed_at + skew;
  if (now > last) {
    return fail("sigv4.expired", fmt::format("Signature expired: it was valid until {}; it is now {}. Sign again, with a correct clock.",
                                             to_timestamp(last), to_timestamp(now)));
  }
  return {};
}

/// An unsigned field could have been added by anybody on the way.
Result<void> check_coverage(const SigV4Request& request, const SigV4Claim& claim) {
  const auto is_signed = [&](std::string_view name) {
    return std::binary_search(claim.signed_headers.begin(), claim.signed_headers.end(), name);
  };
  const auto unsigned_field = [](std::string_view name) {
    return fail("sigv4.unsigned_header", fmt::format("'{}' must be a signed header: name it in SignedHeaders.", name));
  };
  if (!is_signed("host")) return unsigned_field("host");
  for (const auto& [name, value] : request.headers) {
    const std::string field = lower(name);
    // The token is checked with the key, not by the signature; the others are added on the way.
    if (!field.starts_with("x-amz-") || field == "x-amz-security-token" || field == "x-amz-cf-id" || field == "x-amz-user-agent") continue;
    if (!is_signed(field)) return unsigned_field(field);
  }
  if (!claim.expiry && !is_signed("x-amz-date") && !is_signed("date")) return unsigned_field("x-amz-date");
  for (const std::string& name : claim.signed_headers) {
    if (!request.headers.find(name)) {
      return fail("sigv4.mismatch", fmt::format("The signed field '{}' did not arrive; a proxy may have removed it.", name));
    }
  }
  return {};
}

/// The hash that the signature covers, once it is known to be the body's.
Result<std::string> payload_hash(const SigV4Request& request, const SigV4Claim& claim, const Parameters& parameters,
                                 const SigV4VerifyOptions& options) {
  std::string given = request.headers.get("x-amz-content-sha256");
  if (given.empty() && claim.expiry) given = single(parameters, "X-Amz-Content-Sha256").value_or("");
  const bool is_open = claim.expiry && claim.service == "s3" && given.empty();
  if (is_open || given == kUnsignedPayload) {
    if (is_open || options.unsigned_payload == SigV4VerifyOptions::UnsignedPayload::Accept) return std::string(kUnsignedPayload);
    return fail("sigv4.payload", "The body is not signed (UNSIGNED-PAYLOAD); sign its SHA-256.");
  }
  if (given.starts_with("STREAMING-")) {
    return fail("sigv4.payload", "Bodies signed chunk by chunk (STREAMING-…) are not supported; sign the SHA-256 of the whole body.");
  }
  std::string hash = sha256_hex(request.body);
  if (!given.empty() && !equal_constant_time(given, hash)) {
    return fail("sigv4.payload", "The body does not have the SHA-256 that x-amz-content-sha256 names; send the body that was signed.");
  }
  return hash;
}

}  // namespace

SigV4Request to_sigv4(const Request& request) { return {request.method, request.path, request.query, request.headers, request.body}; }

bool has_sigv4(const SigV4Request& request) {
  for (const auto& [name, value] : request.headers) {
    if (equal_ignoring_case(name, "authorization") && value.starts_with("AWS4-")) return true;
  }
  return request.query.find(kParameterPrefix) != std::string_view::npos && is_presigned(decode_query(request.query));
}

Result<SigV4Claim> parse_sigv4(const SigV4Request& request) {
  const auto parameters = decode_query(request.query);
  const bool in_query = is_presigned(parameters);
  const auto authorization = request.headers.find("authorization");
  if (in_query && authorization) return incomplete("it stands in the query and in the Authorization field; send one of them.");
  if (in_query) return parse_presigned(parameters);
  if (!authorization) {
    return fail("sigv4.missing_token",
                "Missing Authentication Token: sign the request with AWS Signature Version 4 (Authorization or X-Amz-Algorithm).");
  }
  return parse_header(request);
}

Result<void> verify_sigv4(const SigV4Request& request, const SigV4Claim& claim, std::string_view secret_access_key, TimePoint now,
                          const SigV4VerifyOptions& options) {
  if (!options.service.empty() && claim.service != options.service) {
    return fail("sigv4.scope", fmt::format("Credential should be scoped to correct service: '{}'.", options.service));
  }
  if (!options.region.empty() && claim.region != options.region) {
    return fail("sigv4.scope", fmt::format("Credential should be scoped to a valid region: '{}'.", options.region));
  }
  if (const auto timely = check_time(claim, now, options.skew_max); !timely) return timely;
  if (const auto covered = check_coverage(request, claim); !covered) return covered;
  Parameters parameters = decode_query(request.query);
  const auto hash = payload_hash(request, claim, parameters, options);
  if (!hash) return fail(hash.error());
  if (claim.expiry) std::erase_if(parameters, [](const auto& parameter) { return parameter.first == "X-Amz-Signature"; });
  const std::string scope = scope_of(claim.date, claim.region, claim.service);
  const std::string expected = signature_of({.method = request.method,
                                             .path = canonical_path(request.path, options.path, claim.service),
                                             .query = canonical_query(parameters),
                                             .headers = request.headers,
                                             .signed_headers = fmt::format("{}", fmt::join(claim.signed_headers, ";")),
                                             .payload_hash = *hash,
                                             .timestamp = claim.timestamp,
                                             .scope = scope},
                                            secret_access_key);
  if (!equal_constant_time(expected, claim.signature)) {
    return fail("sigv4.mismatch",
                "The request signature we calculated does not match the signature you provided. "
                "Check your AWS Secret Access Key and signing method.");
  }
  return {};
}

AwsAuthException aws_auth_exception(std::string_view code) {
  if (code == "sigv4.missing_token") return {"MissingAuthenticationTokenException"};
  if (code == "sigv4.incomplete") return {"IncompleteSignatureException"};
  if (code == "sigv4.unknown_key") return {"UnrecognizedClientException"};
  return {"InvalidSignatureException"};
}

}  // namespace mayfly::net
