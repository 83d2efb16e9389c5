#include <set>

#include "trigger/http/attribute_rules.h"
#include "trigger/http/event_rules.h"

namespace mayfly::trigger {
namespace {

constexpr std::string_view kPrefix = "ce-";
constexpr std::string_view kStructured = "application/cloudevents";

/// What a client may ask of a header's value before it is percent-decoded: the older quoted form (RFC 7230 §3.2.6).
std::optional<std::string> unquoted(std::string_view value) {
  if (!value.starts_with('"')) return std::string(value);
  if (value.size() < 2 || !value.ends_with('"')) return std::nullopt;
  std::string out;
  const std::string_view inner = value.substr(1, value.size() - 2);
  for (std::size_t i = 0; i < inner.size(); ++i) {
    if (inner[i] == '"' || (inner[i] == '\\' && ++i == inner.size())) return std::nullopt;
    out += inner[i];
  }
  return out;
}

std::string encoded(std::string_view value) {
  constexpr std::string_view kDigits = "0123456789ABCDEF";
  std::string out;
  for (const char c : value) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte > 0x20 && byte < 0x7f && c != '"' && c != '%') {
      out += c;
    } else {
      out += '%';
      out += kDigits[byte >> 4];
      out += kDigits[byte & 15];
    }
  }
  return out;
}

Result<Event> read_binary(const net::Headers& headers, std::string_view body) {
  Event out;
  std::set<std::string> seen;
  out.data_content_type = headers.get("content-type");
  if (!out.data_content_type.empty() && !is_media_type(out.data_content_type))
    return fail("event.invalid", "the header Content-Type is not a media type (RFC 2046), such as application/json");
  for (const auto& [header, value] : headers) {
    const std::string lower = to_lower(header);
    if (!lower.starts_with(kPrefix)) continue;
    const std::string name = lower.substr(kPrefix.size());
    if (name == "datacontenttype" || name == "data" || name == "data_base64")
      return fail("event.invalid", "the header " + lower + " must not be there: in binary mode Content-Type and the body stand for it");
    if (!seen.insert(name).second) return fail("event.invalid", "the header " + to_utf8_lossy(lower.substr(0, 40)) + " is there twice");
    const auto plain = unquoted(value);
    const auto text = plain ? net::percent_decode(*plain, false) : std::nullopt;
    if (!text)
      return fail("event.invalid", "the header " + to_utf8_lossy(lower.substr(0, 40)) + " must be percent-encoded as CloudEvents' HTTP binding says");
    if (auto set = set_attribute(&out, name, *text); !set) return fail(set.error());
  }
  if (!seen.contains("specversion"))
    return fail("event.invalid", "no CloudEvent: send the headers ce-specversion, ce-id, ce-source and ce-type, or an "
                                 "application/cloudevents+json body");
  if (auto complete = check_required(out); !complete) return fail(complete.error());
  if (body.empty()) return out;
  if (auto set = set_body(&out, std::string(body)); !set) return fail(set.error());
  return out;
}

Result<std::vector<Event>> read_batch(const Json& value) {
  const auto* list = value.if_array();
  if (!list) return fail("event.invalid", "a batch must be a JSON array of events");
  if (list->size() > kEventBatchMax)
    return fail("event.too_large", "a batch has at most " + std::to_string(kEventBatchMax) + " events; send several batches");
  std::vector<Event> out;
  for (std::size_t i = 0; i < list->size(); ++i) {
    auto event = event_from_json((*list)[i]);
    if (!event) return fail(event.error().code, "event " + std::to_string(i) + " of the batch: " + event.error().message);
    out.push_back(std::move(*event));
  }
  return out;
}

}  // namespace

Result<std::vector<Event>> events_from_http(const net::Headers& headers, std::string_view body) {
  const std::string content_type = headers.get("content-type");
  const std::string essence = essence_of(content_type);
  const bool is_batch = essence == "application/cloudevents-batch+json";
  if (!is_batch && body.size() > kEventBytesMax * 4 / 3 + 64 * 1024) return event_too_large();
  if (!essence.starts_with(kStructured)) {
    if (body.size() > kEventBytesMax) return event_too_large();
    auto event = read_binary(headers, body);
    if (!event) return fail(event.error());
    return std::vector<Event>{std::move(*event)};
  }
  const std::string charset = charset_of(content_type);
  if ((!is_batch && essence != "application/cloudevents+json") || (!charset.empty() && charset != "utf-8"))
    return fail("event.unsupported_media_type", "send CloudEvents as application/cloudevents+json or application/cloudevents-batch+json in UTF-8, "
                                                "or in binary mode with ce- headers");
  const auto value = parse_json(body);
  if (!value) return fail("event.invalid", "the body is not JSON: " + value.error().message);
  if (is_batch) return read_batch(*value);
  auto event = read_event(*value);
  if (!event) return fail(event.error());
  return std::vector<Event>{std::move(*event)};
}

HttpContent to_binary_http(const Event& event) {
  HttpContent out;
  const auto add = [&](std::string_view name, std::string_view value) { out.headers.add(std::string(kPrefix) + std::string(name), encoded(value)); };
  add("specversion", "1.0");
  add("id", event.id);
  add("source", event.source);
  add("type", event.type);
  if (!event.subject.empty()) add("subject", event.subject);
  if (event.time) add("time", to_rfc3339(*event.time));
  if (!event.data_schema.empty()) add("dataschema", event.data_schema);
  for (const auto& [name, value] : event.extensions)
    add(name, value.is_string() ? std::string(std::string_view(value.get_string())) : to_text(value));
  const bool has_json = !event.data_bytes && !event.data.is_null();
  if (!event.data_content_type.empty()) out.headers.add("Content-Type", event.data_content_type);
  else if (has_json) out.headers.add("Content-Type", "application/json");
  if (event.data_bytes) out.body = *event.data_bytes;
  else if (has_json) out.body = to_text(event.data);
  return out;
}

HttpContent to_structured_http(const Event& event) {
  return {{{"Content-Type", "application/cloudevents+json; charset=utf-8"}}, to_text(to_json(event))};
}

}  // namespace mayfly::trigger
