#include "trigger/webhook.h"

#include <algorithm>

#include "base/hash.h"
#include "trigger/http/attribute_rules.h"
#include "trigger/http/event_rules.h"
#include "trigger/http/form.h"
#include "trigger/http/webhook_schemes.h"

namespace mayfly::trigger {
namespace {

using Scheme = WebhookSource::Scheme;

constexpr std::size_t kTypeBytesMax = 200, kIdBytesMax = 256;
constexpr std::string_view kForm = "application/x-www-form-urlencoded";

std::unexpected<Error> invalid_body(std::string message) { return fail("webhook.invalid_body", std::move(message)); }

/// The body by its content type: JSON, or a form as an object of texts; else it stays bytes.
Result<void> read_body(const net::Headers& headers, std::string_view body, Event* event) {
  event->data_content_type = headers.get("content-type");
  if (!is_media_type(event->data_content_type)) event->data_content_type.clear();
  const std::string essence = essence_of(event->data_content_type);
  if (essence == kForm) {
    auto fields = read_form(body);
    if (!fields) return invalid_body(fields.error().message);
    event->data = std::move(*fields);
    event->data_content_type = "application/json";
    return {};
  }
  // Some senders name no type or a wrong one.
  const bool must_be_json = is_json_type(essence);
  const bool may_be_json = must_be_json || essence.empty() || essence == "text/plain";
  if (may_be_json) {
    auto value = parse_json(body, {.bytes_max = kEventBytesMax});
    if (value) {
      event->data = std::move(*value);
      event->data_content_type = "application/json";
      return {};
    }
    if (must_be_json) return invalid_body("the body is not JSON: " + value.error().message);
  }
  if (!body.empty()) event->data_bytes = std::string(body);
  return {};
}

/// A form whose field "payload" is the JSON (GitHub's and Slack's other way of sending).
Result<void> unwrap_payload(Event* event) {
  const auto* form = event->data.if_object();
  const Json* payload = form ? get(*form, "payload") : nullptr;
  if (!payload || !payload->is_string()) return {};
  auto value = parse_json(payload->get_string(), {.bytes_max = kEventBytesMax});
  if (!value) return invalid_body("the form's \"payload\" is not JSON: " + value.error().message);
  event->data = std::move(*value);
  return {};
}

std::string text_of(const Event& event, std::string_view name) {
  const auto* object = event.data.if_object();
  return object ? get_string(*object, name) : std::string();
}

bool is_name(std::string_view text) {
  return !text.empty() && text.size() <= kTypeBytesMax && std::ranges::all_of(text, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || std::string_view("._:/-").contains(c);
  });
}
std::string type_of(std::string_view prefix, const std::string& name, std::string_view otherwise) {
  return is_name(name) ? std::string(prefix) + name : std::string(otherwise);
}

bool is_good_id(std::string_view id) {
  return !id.empty() && id.size() <= kIdBytesMax && std::ranges::all_of(id, [](char c) { return c > 0x20 && c < 0x7f; });
}
/// The vendor's id; one that cannot be used, or none, is replaced by a hash of what was signed.
std::string id_of(std::string id, std::string_view signed_text) { return is_good_id(id) ? std::move(id) : sha256_hex(signed_text); }

HttpContent json_answer(JsonObject body) { return {{{"Content-Type", "application/json"}}, to_text(body)}; }

Result<void> read_github(const net::Headers& headers, const SignedRequest& request, VerifiedWebhook* out) {
  if (auto unwrapped = unwrap_payload(&out->event); !unwrapped) return unwrapped;
  const std::string name = headers.get("x-github-event");
  if (!is_name(name)) return invalid_body("the header X-GitHub-Event is missing or malformed");
  out->type = "github." + name;
  out->id = id_of(headers.get("x-github-delivery"), request.signed_text);
  if (name == "ping") out->challenge = json_answer({{"pong", true}});
  return {};
}

Result<void> read_slack(const SignedRequest& request, VerifiedWebhook* out) {
  const auto* form = out->event.data.if_object();
  const bool is_command = form && form->contains("command") && !form->contains("payload") && !form->contains("type");
  if (auto unwrapped = unwrap_payload(&out->event); !unwrapped) return unwrapped;
  const std::string type = text_of(out->event, "type");
  out->type = is_command ? "slack.slash_command" : type_of("slack.", type, "slack.message");
  std::string id = text_of(out->event, "event_id");
  if (id.empty()) id = text_of(out->event, "trigger_id");
  out->id = id_of(std::move(id), request.signed_text);
  if (type != "url_verification") return {};
  const std::string challenge = text_of(out->event, "challenge");
  if (challenge.empty() || challenge.size() > 1'000) return invalid_body("Slack's url_verification has no usable \"challenge\"");
  out->challenge = json_answer({{"challenge", challenge}});
  return {};
}

Result<void> read_vendor(const WebhookSource& source, const net::Headers& headers, std::string_view body, const SignedRequest& request,
                         VerifiedWebhook* out) {
  const std::string type = text_of(out->event, "type");
  switch (source.scheme) {
    case Scheme::GitHub: return read_github(headers, request, out);
    case Scheme::Slack: return read_slack(request, out);
    case Scheme::Stripe:
      out->type = type_of("stripe.", type, "stripe.event");
      out->id = id_of(text_of(out->event, "id"), request.signed_text);
      return {};
    case Scheme::Standard:
      out->type = type_of("", type, "webhook.received");
      out->id = id_of(headers.get("webhook-id"), request.signed_text);
      return {};
    case Scheme::Hmac:
      out->type = type_of("", type, "webhook.received");
      out->id = id_of(source.id_header.empty() ? std::string() : headers.get(source.id_header), body);
      return {};
  }
  return {};
}

}  // namespace

Result<VerifiedWebhook> verify_webhook(const WebhookSource& source, std::string_view trigger, const std::vector<std::string>& secrets,
                                       const net::Headers& headers, std::string_view body, TimePoint now) {
  auto request = read_signature(source, headers, body);
  if (!request) return fail(request.error());
  if (auto genuine = check_signature(source, secrets, *request, now); !genuine) return fail(genuine.error());
  if (body.size() > kEventBytesMax) return invalid_body("the body has more than 1 MiB");
  VerifiedWebhook out;
  if (auto read = read_body(headers, body, &out.event); !read) return fail(read.error());
  if (auto read = read_vendor(source, headers, body, *request, &out); !read) return fail(read.error());
  out.event.id = out.id;
  out.event.source = "webhook/" + std::string(trigger);
  out.event.type = out.type;
  out.event.time = request->seconds ? from_unix_ms(*request->seconds * 1000) : now;
  return out;
}

}  // namespace mayfly::trigger
