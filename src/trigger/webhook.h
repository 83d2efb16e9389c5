#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "net/http.h"
#include "trigger/event.h"
#include "trigger/trigger_spec.h"

/// Signed webhooks, in and out. Pure: no I/O.
namespace mayfly::trigger {

/// What a genuine delivery holds.
struct VerifiedWebhook {
  std::string id;    ///< of the delivery, for absorbing duplicates
  std::string type;  ///< "github.push", "stripe.invoice.paid", "slack.event_callback", or the payload's own
  Event event;       ///< source "webhook/TRIGGER"; `data` the parsed body, extension-free; the raw body is kept by the caller
  /// Answer at once instead of dispatching: Slack's url_verification, GitHub's ping.
  std::optional<HttpContent> challenge;
};

/// Checks signature (constant time, any of `secrets`) and time before anything is parsed. Errors: `webhook.unsigned`, `webhook.bad_signature`,
/// `webhook.too_old` (outside of the tolerance), `webhook.invalid_body`; none of them names a secret.
Result<VerifiedWebhook> verify_webhook(const WebhookSource& source, std::string_view trigger, const std::vector<std::string>& secrets,
                                       const net::Headers& headers, std::string_view body, TimePoint now);

/// Standard Webhooks (https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md): webhook-id, -timestamp,
/// -signature (one `v1,` per secret, separated by spaces).
net::Headers sign_webhook(std::string_view id, TimePoint now, std::string_view body, const std::vector<std::string>& secrets);

}  // namespace mayfly::trigger
