#include "trigger/webhook.h"

#include <gtest/gtest.h>

#include "base/hash.h"
#include "base/id.h"

namespace mayfly::trigger {
namespace {

using Scheme = WebhookSource::Scheme;

TimePoint at(std::int64_t seconds) { return from_unix_ms(seconds * 1000); }

struct Case {
  WebhookSource source;
  std::vector<std::string> secrets;
  net::Headers headers;
  std::string body;
  TimePoint now{};

  Result<VerifiedWebhook> verify() const { return verify_webhook(source, "hook", secrets, headers, body, now); }
  std::string code() const {
    const auto verified = verify();
    return verified ? "genuine" : verified.error().code;
  }
};

/// Vector of the Standard Webhooks libraries.
Case standard() {
  return {{.scheme = Scheme::Standard},
          {"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"},
          {{"webhook-id", "msg_p5jXN8AQM9LWM0D4loKWxJek"},
           {"webhook-timestamp", "1614265330"},
           {"webhook-signature", "v1a,AAAA v1,Ceo5qEr07ixe2NLpvHk3FH9bwy/WavXrAFQ/9tdO6mc= v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="}},
          R"({"test": 2432232314})",
          at(1614265330)};
}
/// Vector of GitHub's documentation.
Case github() {
  return {{.scheme = Scheme::GitHub},
          {"It's a Secret to Everybody"},
          {{"X-Hub-Signature-256", "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"},
           {"X-GitHub-Event", "push"},
           {"X-GitHub-Delivery", "72d3162e-cc78-11e3-81ab-4c9367dc0958"}},
          "Hello, World!",
          at(1)};
}
/// Vector of Slack's documentation.
Case slack() {
  return {{.scheme = Scheme::Slack},
          {"8f742231b10e8888abcd99yyyzzz85a5"},
          {{"X-Slack-Signature", "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503"},
           {"X-Slack-Request-Timestamp", "1531420618"},
           {"Content-Type", "application/x-www-form-urlencoded"}},
          "token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V&channel_name=foobar&user_id=U2CERLKJA&"
          "user_name=roadrunner&command=%2Fwebhook-collect&text=&response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%"
          "2F96rGlfmibIGlgcZRskXaIFfN&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c",
          at(1531420618)};
}
Case signed_slack(std::string body, std::string content_type = "application/json") {
  Case out = slack();
  out.body = std::move(body);
  out.headers.set("content-type", std::move(content_type));
  out.headers.set("x-slack-signature", "v0=" + to_hex(hmac_sha256(out.secrets[0], "v0:1531420618:" + out.body)));
  return out;
}
Case stripe() {
  Case out{{.scheme = Scheme::Stripe}, {"whsec_old", "whsec_test_secret"}, {}, R"({"id":"evt_1","type":"invoice.paid","data":{}})", at(1'700'000'000)};
  const std::string right = to_hex(hmac_sha256("whsec_test_secret", "1700000000." + out.body));
  out.headers = {{"Stripe-Signature", "t=1700000000,v1=" + std::string(64, '0') + ",v1=" + right + ",v0=abc"}};
  return out;
}
Case hmac() {
  WebhookSource source{.scheme = Scheme::Hmac, .signature_header = "X-Sig", .signature_prefix = "sha256=", .timestamp_header = "X-Time", .id_header = "X-Id"};
  source.encoding = WebhookSource::Encoding::Base64;
  Case out{source, {"secret"}, {}, R"({"type":"thing.happened"})", at(1'700'000'000)};
  out.headers = {{"x-sig", "sha256=" + to_base64(hmac_sha256("secret", "1700000000." + out.body))}, {"x-time", "1700000000"}, {"x-id", "d-1"}};
  return out;
}

TEST(Webhook, VerifiesEachSchemesVector) {
  const auto one = standard().verify();
  ASSERT_TRUE(one) << one.error().message;
  EXPECT_EQ(one->id, "msg_p5jXN8AQM9LWM0D4loKWxJek");
  EXPECT_EQ(one->event.source, "webhook/hook");
  EXPECT_EQ(one->event.data.at("test"), Json(2432232314));
  EXPECT_EQ(one->type, "webhook.received");
  const auto two = github().verify();
  ASSERT_TRUE(two) << two.error().message;
  EXPECT_EQ(two->type, "github.push");
  EXPECT_EQ(two->id, "72d3162e-cc78-11e3-81ab-4c9367dc0958");
  EXPECT_EQ(*two->event.data_bytes, "Hello, World!");
  const auto three = slack().verify();
  ASSERT_TRUE(three) << three.error().message;
  EXPECT_EQ(three->type, "slack.slash_command");
  EXPECT_EQ(three->event.data.at("command"), Json("/webhook-collect"));
  const auto four = stripe().verify();
  ASSERT_TRUE(four) << four.error().message;
  EXPECT_EQ(four->type, "stripe.invoice.paid");
  EXPECT_EQ(four->id, "evt_1");
  const auto five = hmac().verify();
  ASSERT_TRUE(five) << five.error().message;
  EXPECT_EQ(five->type, "thing.happened");
  EXPECT_EQ(five->id, "d-1");
}

TEST(Webhook, AnyChangeOfBodySecretOrSignatureIsRefusedAlike) {
  for (const Case& good : {standard(), github(), slack(), stripe(), hmac()}) {
    ASSERT_EQ(good.code(), "genuine");
    Case bad = good;
    bad.body += " ";
    EXPECT_EQ(bad.code(), "webhook.bad_signature");
    bad = good;
    bad.secrets = {"whsec_AAAA"};
    EXPECT_EQ(bad.code(), "webhook.bad_signature");
    bad.secrets.clear();
    EXPECT_EQ(bad.code(), "webhook.bad_signature");
    bad = good;
    bad.secrets = {""};
    EXPECT_EQ(bad.code(), "webhook.bad_signature");
    bad = good;
    bad.headers = {};
    EXPECT_EQ(bad.code(), "webhook.unsigned");
    bad = good;
    for (const auto& [name, value] : good.headers) bad.headers.add(name, value);
    EXPECT_NE(bad.code(), "genuine");
  }
}

TEST(Webhook, TheWindowHoldsInBothDirections) {
  for (Case one : {standard(), slack(), stripe(), hmac()}) {
    const TimePoint signed_at = one.now;
    for (const auto& [seconds, code] : {std::pair(300, "genuine"), std::pair(-300, "genuine"), std::pair(301, "webhook.too_old"), std::pair(-301, "webhook.too_old")}) {
      one.now = signed_at + Millis{seconds * 1000};
      EXPECT_EQ(one.code(), code) << seconds;
    }
  }
}

TEST(Webhook, MalformedHeadersAreRefused) {
  for (const std::string bad : {"", "v1", "v1,", ",", "v1,!!!!", "v2,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=", "    "}) {
    Case one = standard();
    one.headers.set("webhook-signature", bad);
    EXPECT_NE(one.code(), "genuine") << bad;
  }
  for (const std::string bad : {"-1614265330", "1614265330.0", "1e9", "99999999999999999999", " 1614265330", "x"}) {
    Case one = standard();
    one.headers.set("webhook-timestamp", bad);
    EXPECT_EQ(one.code(), "webhook.bad_signature") << bad;
  }
  for (const std::string bad : {"t=", "t=1,v1", "v1=00", "t=1700000000", "t=1,t=2,v1=00", ",,,,", "t=1700000000,v1=zz"}) {
    Case one = stripe();
    one.headers.set("stripe-signature", bad);
    EXPECT_EQ(one.code(), "webhook.bad_signature") << bad;
  }
}

TEST(Webhook, HandshakesAreAnsweredOnlyWhenSigned) {
  Case challenge = signed_slack(R"({"type":"url_verification","challenge":"3eZbrw1aB"})");
  const auto verified = challenge.verify();
  ASSERT_TRUE(verified && verified->challenge);
  EXPECT_EQ(verified->challenge->body, R"({"challenge":"3eZbrw1aB"})");
  challenge.headers.set("x-slack-signature", "v0=00");
  EXPECT_EQ(challenge.code(), "webhook.bad_signature");
  Case ping = github();
  ping.headers.set("x-github-event", "ping");
  ASSERT_TRUE(ping.verify()->challenge);
  EXPECT_FALSE(github().verify()->challenge);
}

TEST(Webhook, SlacksFormsAndEvents) {
  const auto event = signed_slack(R"({"type":"event_callback","event_id":"Ev1","event":{"type":"app_mention"}})").verify();
  ASSERT_TRUE(event);
  EXPECT_EQ(event->type, "slack.event_callback");
  EXPECT_EQ(event->id, "Ev1");
  const auto button = signed_slack("payload=%7B%22type%22%3A%22block_actions%22%2C%22trigger_id%22%3A%22t1%22%7D", "application/x-www-form-urlencoded").verify();
  ASSERT_TRUE(button);
  EXPECT_EQ(button->type, "slack.block_actions");
  EXPECT_EQ(button->event.data.at("trigger_id"), Json("t1"));
  EXPECT_EQ(signed_slack("payload=%7B", "application/x-www-form-urlencoded").code(), "webhook.invalid_body");
  EXPECT_EQ(signed_slack("{").code(), "webhook.invalid_body");
}

TEST(Webhook, WithoutAnIdOfItsOwnADeliveryIsKnownByItsBody) {
  Case one = hmac();
  one.source.id_header.clear();
  EXPECT_EQ(one.verify()->id, sha256_hex(one.body));
  one = hmac();
  one.headers.set("x-id", "has space");
  EXPECT_EQ(one.verify()->id, sha256_hex(one.body));
}

TEST(Webhook, SignsAsTheLibrariesDo) {
  const auto headers = sign_webhook("msg_p5jXN8AQM9LWM0D4loKWxJek", at(1614265330), R"({"test": 2432232314})",
                                    {"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"});
  EXPECT_EQ(headers.get("webhook-id"), "msg_p5jXN8AQM9LWM0D4loKWxJek");
  EXPECT_EQ(headers.get("webhook-timestamp"), "1614265330");
  EXPECT_TRUE(headers.get("webhook-signature").starts_with("v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE= v1,"));
  Case read = standard();
  read.headers = headers;
  EXPECT_EQ(read.code(), "genuine");
}

}  // namespace
}  // namespace mayfly::trigger
