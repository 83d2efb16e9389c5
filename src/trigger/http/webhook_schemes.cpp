#include "trigger/http/webhook_schemes.h"

#include <algorithm>
#include <charconv>

#include "base/hash.h"
#include "trigger/http/encoding.h"

namespace mayfly::trigger {
namespace {

using Scheme = WebhookSource::Scheme;

constexpr std::size_t kSignaturesMax = 16;
constexpr std::size_t kHeaderBytesMax = 8 * 1024;
constexpr std::string_view kSecretPrefix = "whsec_";

std::unexpected<Error> not_signed() {
  return fail("webhook.unsigned", "the delivery carries no signature; set the webhook's secret at the sender");
}
/// The same words whatever was wrong: they tell a forger nothing.
std::unexpected<Error> bad_signature() {
  return fail("webhook.bad_signature", "the delivery's signature is not valid; compare the webhook's secret at both ends");
}

/// The only value of a header; malformed when it is there twice or far too long.
Result<std::string_view> only(const net::Headers& headers, std::string_view name) {
  std::optional<std::string_view> out;
  for (const auto& [key, value] : headers) {
    if (!net::equal_ignoring_case(key, name)) continue;
    if (out || value.size() > kHeaderBytesMax) return bad_signature();
    out = value;
  }
  if (!out || out->empty()) return not_signed();
  return *out;
}

std::vector<std::string_view> split(std::string_view text, char separator) {
  std::vector<std::string_view> out;
  while (!text.empty() && out.size() <= kSignaturesMax) {
    const auto end = std::min(text.find(separator), text.size());
    std::string_view part = text.substr(0, end);
    while (part.starts_with(' ')) part.remove_prefix(1);
    while (part.ends_with(' ')) part.remove_suffix(1);
    if (!part.empty()) out.push_back(part);
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return out;
}

Result<std::int64_t> read_time(const net::Headers& headers, std::string_view name) {
  const auto text = only(headers, name);
  if (!text) return fail(text.error());
  const auto seconds = parse_seconds(*text);
  if (!seconds) return bad_signature();
  return *seconds;
}

/// https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
Result<SignedRequest> read_standard(const net::Headers& headers, std::string_view body) {
  const auto id = only(headers, "webhook-id"), signatures = only(headers, "webhook-signature");
  const auto seconds = read_time(headers, "webhook-timestamp");
  if (!id) return fail(id.error());
  if (!signatures) return fail(signatures.error());
  if (!seconds) return fail(seconds.error());
  SignedRequest out;
  for (const std::string_view one : split(*signatures, ' ')) {
    auto bytes = one.starts_with("v1,") ? decode_base64(one.substr(3)) : std::nullopt;
    if (bytes) out.signatures.push_back(std::move(*bytes));
  }
  out.signed_text = std::string(*id) + "." + std::string(*only(headers, "webhook-timestamp")) + "." + std::string(body);
  out.seconds = *seconds;
  return out;
}

/// https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries
Result<SignedRequest> read_github(const net::Headers& headers, std::string_view body) {
  const auto signature = only(headers, "x-hub-signature-256");
  if (!signature) return fail(signature.error());
  auto bytes = signature->starts_with("sha256=") ? decode_hex(signature->substr(7)) : std::nullopt;
  if (!bytes) return bad_signature();
  return SignedRequest{{std::move(*bytes)}, std::string(body), std::nullopt};
}

/// https://docs.stripe.com/webhooks#verify-manually
Result<SignedRequest> read_stripe(const net::Headers& headers, std::string_view body) {
  const auto header = only(headers, "stripe-signature");
  if (!header) return fail(header.error());
  SignedRequest out;
  std::string_view time;
  for (const std::string_view part : split(*header, ',')) {
    if (part.starts_with("t=")) {
      if (!time.empty()) return bad_signature();
      time = part.substr(2);
    }
    auto bytes = part.starts_with("v1=") ? decode_hex(part.substr(3)) : std::nullopt;
    if (bytes) out.signatures.push_back(std::move(*bytes));
  }
  out.seconds = parse_seconds(time);
  if (!out.seconds) return bad_signature();
  out.signed_text = std::string(time) + "." + std::string(body);
  return out;
}

/// https://docs.slack.dev/authentication/verifying-requests-from-slack
Result<SignedRequest> read_slack(const net::Headers& headers, std::string_view body) {
  const auto signature = only(headers, "x-slack-signature");
  if (!signature) return fail(signature.error());
  const auto seconds = read_time(headers, "x-slack-request-timestamp");
  if (!seconds) return fail(seconds.error());
  auto bytes = signature->starts_with("v0=") ? decode_hex(signature->substr(3)) : std::nullopt;
  if (!bytes) return bad_signature();
  return SignedRequest{
      {std::move(*bytes)}, "v0:" + std::string(*only(headers, "x-slack-request-timestamp")) + ":" + std::string(body), *seconds};
}

Result<SignedRequest> read_hmac(const WebhookSource& source, const net::Headers& headers, std::string_view body) {
  const auto signature = only(headers, source.signature_header);
  if (!signature) return fail(signature.error());
  if (!signature->starts_with(source.signature_prefix)) return bad_signature();
  const std::string_view digits = signature->substr(source.signature_prefix.size());
  auto bytes = source.encoding == WebhookSource::Encoding::Hex ? decode_hex(digits) : decode_base64(digits);
  if (!bytes) return bad_signature();
  SignedRequest out{{std::move(*bytes)}, std::string(body), std::nullopt};
  if (source.timestamp_header.empty()) return out;
  const auto seconds = read_time(headers, source.timestamp_header);
  if (!seconds) return fail(seconds.error());
  out.seconds = *seconds;
  out.signed_text = std::string(*only(headers, source.timestamp_header)) + "." + std::string(body);
  return out;
}

}  // namespace

std::optional<std::int64_t> parse_seconds(std::string_view text) {
  std::int64_t out = 0;
  if (text.empty() || text.size() > 12 || !std::ranges::all_of(text, [](char c) { return c >= '0' && c <= '9'; })) return std::nullopt;
  std::from_chars(text.data(), text.data() + text.size(), out);
  return out;
}

std::optional<std::string> signing_key(Scheme scheme, std::string_view secret) {
  if (secret.empty()) return std::nullopt;
  if (scheme != Scheme::Standard) return std::string(secret);
  if (secret.starts_with(kSecretPrefix)) secret.remove_prefix(kSecretPrefix.size());
  auto key = decode_base64(secret);
  return key && !key->empty() ? std::move(key) : std::nullopt;
}

Result<SignedRequest> read_signature(const WebhookSource& source, const net::Headers& headers, std::string_view body) {
  switch (source.scheme) {
    case Scheme::Standard: return read_standard(headers, body);
    case Scheme::GitHub: return read_github(headers, body);
    case Scheme::Stripe: return read_stripe(headers, body);
    case Scheme::Slack: return read_slack(headers, body);
    case Scheme::Hmac: return read_hmac(source, headers, body);
  }
  return not_signed();
}

Result<void> check_signature(const WebhookSource& source, const std::vector<std::string>& secrets, const SignedRequest& request, TimePoint now) {
  bool is_genuine = false;
  for (const std::string& secret : secrets) {
    const auto key = signing_key(source.scheme, secret);
    if (!key) continue;
    const std::string expected = hmac_sha256(*key, request.signed_text);
    for (const std::string& given : request.signatures) is_genuine = equal_constant_time(expected, given) || is_genuine;
  }
  if (!is_genuine) return bad_signature();
  if (!request.seconds) return {};
  const auto distance = std::chrono::abs(now - from_unix_ms(*request.seconds * 1000));
  if (distance > source.tolerance)
    return fail("webhook.too_old", "the delivery was signed at a time that is too far from now; compare the clocks, or let the sender sign anew");
  return {};
}

net::Headers sign_webhook(std::string_view id, TimePoint now, std::string_view body, const std::vector<std::string>& secrets) {
  const std::string time = std::to_string(to_unix_ms(now) / 1000);
  const std::string text = std::string(id) + "." + time + "." + std::string(body);
  std::string signatures;
  for (const std::string& secret : secrets) {
    const auto key = signing_key(Scheme::Standard, secret);
    if (key) signatures += (signatures.empty() ? "v1," : " v1,") + to_base64(hmac_sha256(*key, text));
  }
  return {{"webhook-id", std::string(id)}, {"webhook-timestamp", time}, {"webhook-signature", std::move(signatures)}};
}

}  // namespace mayfly::trigger
