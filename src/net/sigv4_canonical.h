#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "net/sigv4.h"

/// The text that a SigV4 signature covers: shared by signing and verifying, of no use to others.
namespace mayfly::net::sigv4 {

inline constexpr std::string_view kAlgorithm = "AWS4-HMAC-SHA256";
inline constexpr std::string_view kTerminator = "aws4_request";
inline constexpr std::string_view kUnsignedPayload = "UNSIGNED-PAYLOAD";
inline constexpr std::string_view kParameterPrefix = "X-Amz-";
inline constexpr std::chrono::seconds kExpiryMax{7 * 24 * 3600};

using Parameters = std::vector<std::pair<std::string, std::string>>;

/// Percent-encodes all but RFC 3986's unreserved characters, in upper-case digits.
std::string encode(std::string_view text);
/// The decoded parameters in their order; a malformed escape stays as it is.
Parameters decode_query(std::string_view query);
std::string canonical_path(std::string_view path, SigV4Path how, std::string_view service);
/// "20150830/us-east-1/lambda/aws4_request"
std::string scope_of(std::string_view date, std::string_view region, std::string_view service);
/// Whether the query claims to hold a signature.
bool is_presigned(const Parameters& parameters);
/// Sorted by encoded name, then value.
std::string canonical_query(const Parameters& parameters);
/// The values of one field, trimmed, inner spaces joined, several values by commas.
std::string canonical_value(const Headers& headers, std::string_view name);

struct Canonical {
  std::string_view method;
  std::string path;
  std::string query;
  const Headers& headers;
  std::string signed_headers;  ///< "host;x-amz-date"
  std::string_view payload_hash;
  std::string_view timestamp;
  std::string_view scope;
};

/// 64 hexadecimal digits.
std::string signature_of(const Canonical& what, std::string_view secret);

/// "20150830T123600Z"
std::string to_timestamp(TimePoint time);
/// The reverse, or a Date field (RFC 9110 §5.6.7).
std::optional<TimePoint> parse_timestamp(std::string_view text);

std::string lower(std::string_view text);
std::vector<std::string> split(std::string_view text, char separator);

}  // namespace mayfly::net::sigv4
