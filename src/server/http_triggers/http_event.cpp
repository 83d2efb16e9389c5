#include "server/http_triggers/http_event.h"

#include <algorithm>
#include <array>

#include "base/hash.h"
#include "trigger/http/attribute_rules.h"
#include "trigger/http/form.h"

namespace mayfly::http_triggers {
namespace {

constexpr std::size_t kKeyBytesMax = 256;

/// Unique for the caller: nobody can take another's key first.
Result<std::string> event_id(AppContext& app, const net::Request& request, const Caller& caller) {
  std::string key = request.headers.get("idempotency-key");
  if (key.empty()) return make_ulid(app.clock->now(), *app.random);
  if (key.size() >= 2 && key.front() == '"' && key.back() == '"') key = key.substr(1, key.size() - 2);
  const bool is_good = !key.empty() && key.size() <= kKeyBytesMax && std::ranges::all_of(key, [](char c) { return c > 0x20 && c < 0x7f; });
  if (!is_good) return fail("idempotency.invalid_key", "an Idempotency-Key has 1 to 256 printable characters without spaces");
  return caller.id.empty() ? key : caller.id + "/" + key;
}

Result<void> read_body(const net::Request& request, trigger::Event* out) {
  if (request.body.empty()) return {};
  const std::string type = request.headers.get("content-type");
  const std::string essence = trigger::essence_of(type);
  if (!type.empty() && !trigger::is_media_type(type)) return fail("request.invalid", "the header Content-Type is not a media type");
  if (trigger::is_json_type(essence)) {
    auto value = parse_json(request.body);
    if (!value) return fail(value.error());
    out->data = std::move(*value);
    out->data_content_type = "application/json";
  } else if (essence == "application/x-www-form-urlencoded") {
    auto form = trigger::read_form(request.body);
    if (!form) return fail(form.error());
    out->data = std::move(*form);
    out->data_content_type = "application/json";
  } else {
    out->data_bytes = request.body;
    out->data_content_type = type.empty() ? "application/octet-stream" : type;
  }
  return {};
}

bool is_secret(std::string_view name, const TriggerRoute& route) {
  constexpr std::array<std::string_view, 6> kSecrets{"authorization", "proxy-authorization", "cookie", "x-api-key", "x-amz-security-token",
                                                     "x-slack-request-timestamp"};
  if (std::ranges::find(kSecrets, name) != kSecrets.end() || name.contains("signature")) return true;
  const auto* http = route.http();
  const auto* webhook = route.webhook();
  return net::equal_ignoring_case(name, http ? http->auth.signature_header : webhook->signature_header);
}

}  // namespace

Result<trigger::Event> event_of(AppContext& app, const net::Request& request, const Caller& caller) {
  const bool is_event = request.headers.find("ce-specversion") ||
                        trigger::essence_of(request.headers.get("content-type")).starts_with("application/cloudevents");
  if (is_event) {
    auto events = trigger::events_from_http(request.headers, request.body);
    if (!events) return fail(events.error());
    if (events->size() != 1) return fail("event.invalid", "a route takes one event at a time; send batches to POST /v1/events");
    // Unique for the caller, as an Idempotency-Key is.
    if (!caller.id.empty()) events->front().id = caller.id + "/" + events->front().id;
    return std::move(events->front());
  }
  trigger::Event out;
  auto id = event_id(app, request, caller);
  if (!id) return fail(id.error());
  out.id = std::move(*id);
  out.source = trigger::is_uri_reference(request.path) ? request.path : "/" + net::percent_encode(request.path.substr(1));
  out.type = "mayfly.http";
  out.time = app.clock->now();
  if (auto read = read_body(request, &out); !read) return fail(read.error());
  return out;
}

Result<Variables> variables_of(const TriggerRoute& route, const net::Request& request, const std::map<std::string, std::string>& parameters,
                               const JsonObject& claims) {
  JsonObject path, headers;
  for (const auto& [name, value] : parameters) path[name] = value;
  for (const auto& [given, value] : request.headers) {
    const std::string name = trigger::to_lower(given);
    if (is_secret(name, route)) continue;
    const std::string text = to_utf8_lossy(value);
    Json* before = headers.if_contains(name);
    if (before) *before = std::string(std::string_view(before->get_string())) + ", " + text;
    else headers[name] = text;
  }
  auto query = trigger::read_form(request.query);
  if (!query) return fail("request.invalid", "the query is not percent-encoded UTF-8, or has more than 1,000 parameters");
  return Variables{{"path", std::move(path)}, {"query", std::move(*query)}, {"headers", std::move(headers)}, {"claims", claims}};
}

}  // namespace mayfly::http_triggers
