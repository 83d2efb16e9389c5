#pragma once

#include <array>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "trigger/webhook.h"

/// How each vendor signs: header names, what is signed, where the time stands.
namespace mayfly::trigger {

/// What was taken from the headers, not trusted yet.
struct SignedRequest {
  std::vector<std::string> signatures;  ///< raw bytes; one of them must be right
  std::string signed_text;              ///< what the sender signed
  std::optional<std::int64_t> seconds;  ///< the time that is part of it
};

/// Errors: `webhook.unsigned`, `webhook.bad_signature` (malformed).
Result<SignedRequest> read_signature(const WebhookSource& source, const net::Headers& headers, std::string_view body);
/// The key that a secret as people write it stands for; nothing when it cannot be one.
std::optional<std::string> signing_key(WebhookSource::Scheme scheme, std::string_view secret);
/// Error: `webhook.unsigned`, `webhook.bad_signature`, `webhook.too_old`.
Result<void> check_signature(const WebhookSource& source, const std::vector<std::string>& secrets, const SignedRequest& request, TimePoint now);

/// Whole seconds since 1970, digits only.
std::optional<std::int64_t> parse_seconds(std::string_view text);

}  // namespace mayfly::trigger
