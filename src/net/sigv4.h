#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "net/http.h"

/// AWS Signature Version 4 (AWS General Reference, "Signing AWS API requests"), for any service, both sides.
///
/// A server parses the claim, looks the secret of its access key up, then verifies:
///
///     auto claim = parse_sigv4(signed_part);
///     auto secret = keys.secret_of(claim->access_key_id, claim->security_token);  // none: sigv4.unknown_key
///     auto verified = verify_sigv4(signed_part, *claim, secret, clock.now(), {.service = "lambda"});
namespace mayfly::net {

struct Request;
struct ClientRequest;

/// What a signature covers. Views into the caller's request.
struct SigV4Request {
  std::string_view method;
  std::string_view path;   ///< as sent, percent-encoded, without the query
  std::string_view query;  ///< as sent, without '?'. A '+' is a plus sign, as RFC 3986 has it
  const Headers& headers;  ///< with Host
  std::string_view body;
};
/// Of a request that HttpServer received; it must outlive the result.
SigV4Request to_sigv4(const Request& request);

/// How the path enters the signature.
enum class SigV4Path {
  ByService,   ///< AsSent for s3, else Normalized
  Normalized,  ///< dot segments and repeated slashes removed, encoded once more
  Encoded,     ///< encoded once more, no segment removed
  AsSent       ///< in its canonical encoding
};

struct SigV4SignOptions {
  std::string access_key_id;
  std::string secret_access_key;
  std::string session_token;  ///< empty: none
  std::string region;
  std::string service;  ///< "lambda", "bedrock", "s3", …
  TimePoint now;
  enum class Payload {
    Hash,            ///< s3 also gets X-Amz-Content-Sha256
    HashWithHeader,  ///< always with X-Amz-Content-Sha256
    Unsigned         ///< X-Amz-Content-Sha256: UNSIGNED-PAYLOAD
  };
  Payload payload = Payload::Hash;
  SigV4Path path = SigV4Path::ByService;
};

/// The fields to add to the request: X-Amz-Date, X-Amz-Security-Token, X-Amz-Content-Sha256, Authorization. All fields
/// present are signed but those which proxies change. Error: `sigv4.invalid_request` (no Host, no key, region or service,
/// or one of the fields to add is there already).
Result<Headers> sign_sigv4(const SigV4Request& request, const SigV4SignOptions& options);
/// Normalises the URL of the request, as sending would, and adds the fields. Errors: also `net.invalid_url`.
Result<void> sign_sigv4(ClientRequest& request, const SigV4SignOptions& options);
/// The whole query of the presigned URL. For s3 the body is not covered; `payload` is not used. Expiry: 1 s to 7 days.
/// Error: `sigv4.invalid_request`.
Result<std::string> presign_sigv4(const SigV4Request& request, const SigV4SignOptions& options, std::chrono::seconds expiry);

/// Who says to have signed a request. Nothing in it is verified.
struct SigV4Claim {
  std::string access_key_id;
  std::string date;  ///< "20150830"
  std::string region;
  std::string service;
  std::string timestamp;  ///< "20150830T123600Z"
  TimePoint signed_at;
  std::optional<std::chrono::seconds> expiry;  ///< of a presigned URL
  std::string security_token;                  ///< empty: none
  std::vector<std::string> signed_headers;     ///< lower case, sorted
  std::string signature;                       ///< 64 hexadecimal digits
};

/// True when the request claims to be signed, well or badly; a bearer token or basic authentication is none.
bool has_sigv4(const SigV4Request& request);
/// From the Authorization header or the query (X-Amz-Algorithm …). Errors: `sigv4.missing_token`, `sigv4.incomplete`.
Result<SigV4Claim> parse_sigv4(const SigV4Request& request);

struct SigV4VerifyOptions {
  std::string service;  ///< empty: any
  std::string region;   ///< empty: any
  Millis skew_max{15 * 60'000};
  enum class UnsignedPayload { Refuse, Accept };
  UnsignedPayload unsigned_payload = UnsignedPayload::Refuse;
  SigV4Path path = SigV4Path::ByService;
};

/// `claim` must come from the same request. Errors, all Never: `sigv4.scope` (another service or region),
/// `sigv4.expired` (expired, or signed in the future), `sigv4.unsigned_header` (Host and each X-Amz-… field must be signed),
/// `sigv4.payload` (the body is not the signed one), `sigv4.mismatch`. No message tells the expected signature.
Result<void> verify_sigv4(const SigV4Request& request, const SigV4Claim& claim, std::string_view secret_access_key, TimePoint now,
                          const SigV4VerifyOptions& options);

/// What AWS would answer for a code of this page or `sigv4.unknown_key` (the caller's own, when no secret is found):
/// MissingAuthenticationTokenException, IncompleteSignatureException, UnrecognizedClientException, InvalidSignatureException.
struct AwsAuthException {
  std::string_view name;
  int status = 403;
};
AwsAuthException aws_auth_exception(std::string_view error_code);

}  // namespace mayfly::net
