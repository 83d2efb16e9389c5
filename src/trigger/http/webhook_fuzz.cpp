#include <cstdint>
#include <cstdlib>

#include "base/hash.h"
#include "base/id.h"
#include "trigger/webhook.h"

/// Headers of any form are refused; a body that is signed well is read by every scheme.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace mayfly;
  using namespace mayfly::trigger;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto cut = std::min(text.find('\n'), text.size());
  const std::string head(text.substr(0, cut)), body(text.substr(std::min(cut + 1, text.size()))), secret = "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
  const TimePoint now = from_unix_ms(1'000'000);
  for (const auto scheme : {WebhookSource::Scheme::Standard, WebhookSource::Scheme::GitHub, WebhookSource::Scheme::Stripe, WebhookSource::Scheme::Slack,
                            WebhookSource::Scheme::Hmac}) {
    WebhookSource source{.scheme = scheme, .signature_header = "x-signature", .id_header = "x-id"};
    net::Headers forged;
    for (const char* name : {"webhook-id", "webhook-timestamp", "webhook-signature", "x-hub-signature-256", "x-github-event", "stripe-signature", "x-slack-signature",
                             "x-slack-request-timestamp", "x-signature"})
      forged.add(name, head);
    if (verify_webhook(source, "t", {secret}, forged, body, now)) std::abort();
    net::Headers genuine = sign_webhook("id", now, body, {secret});
    genuine.add("x-hub-signature-256", "sha256=" + to_hex(hmac_sha256(secret, body)));
    genuine.add("x-github-event", head);
    genuine.add("stripe-signature", "t=1000,v1=" + to_hex(hmac_sha256(secret, "1000." + body)));
    genuine.add("x-slack-signature", "v0=" + to_hex(hmac_sha256(secret, "v0:1000:" + body)));
    genuine.add("x-slack-request-timestamp", "1000");
    genuine.add("x-signature", to_hex(hmac_sha256(secret, body)));
    genuine.add("x-id", head);
    for (const char* type : {"application/json", "application/x-www-form-urlencoded", ""}) {
      genuine.set("content-type", type);
      const auto read = verify_webhook(source, "t", {secret}, genuine, body, now);
      if (!read && read.error().code != "webhook.invalid_body") std::abort();
      if (read && !event_from_json(to_json(read->event))) std::abort();
    }
  }
  return 0;
}
