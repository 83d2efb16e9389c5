#include "trigger/event.h"

#include <limits>

#include "base/hash.h"
#include "trigger/http/attribute_rules.h"
#include "trigger/http/encoding.h"
#include "trigger/http/event_rules.h"

namespace mayfly::trigger {
namespace {

std::unexpected<Error> invalid(std::string_view attribute, std::string_view rule) {
  return fail("event.invalid", "the event's \"" + std::string(attribute) + "\" " + std::string(rule));
}

/// The text of an attribute; nothing when it is absent or null.
Result<std::optional<std::string>> read_text(const JsonObject& in, std::string_view name) {
  const Json* value = get(in, name);
  if (!value || value->is_null()) return std::nullopt;
  if (!value->is_string()) return invalid(name, "must be a text");
  return std::string(std::string_view(value->get_string()));
}

Result<void> read_extension(std::string_view name, const Json& value, Event* out) {
  if (value.is_null()) return {};
  if (value.is_string()) return set_attribute(out, name, value.get_string());
  const bool is_small = value.is_int64() && value.get_int64() >= std::numeric_limits<std::int32_t>::min() &&
                        value.get_int64() <= std::numeric_limits<std::int32_t>::max();
  if (!value.is_bool() && !is_small)
    return invalid(to_utf8_lossy(name.substr(0, 40)), "must be a text, a boolean or a whole number of 32 bits; put other values into \"data\"");
  if (auto added = check_new_extension(*out, name); !added) return added;
  out->extensions.emplace(name, value);
  return {};
}

Result<void> read_data(const JsonObject& in, Event* out) {
  const Json* data = get(in, "data");
  const Json* base64 = get(in, "data_base64");
  if (base64 && base64->is_null()) base64 = nullptr;
  const bool is_json = out->data_content_type.empty() || is_json_type(out->data_content_type);
  if (base64) {
    if (data && !data->is_null()) return invalid("data_base64", "and \"data\" exclude each other; send one of them");
    auto bytes = base64->is_string() ? decode_base64(base64->get_string()) : std::nullopt;
    if (!bytes) return invalid("data_base64", "must be Base64 (RFC 4648 section 4, with padding)");
    return set_body(out, std::move(*bytes));
  }
  if (!data || data->is_null()) return {};
  if (is_json) {
    out->data = *data;
    if (out->data_content_type.empty()) out->data_content_type = "application/json";
    return {};
  }
  if (!data->is_string())
    return invalid("data", "must be a text, because \"datacontenttype\" is not JSON; send JSON as application/json, or bytes as \"data_base64\"");
  out->data_bytes = std::string(std::string_view(data->get_string()));
  return {};
}

}  // namespace

Result<void> check_new_extension(const Event& event, std::string_view name) {
  if (!is_extension_name(name))
    return invalid(to_utf8_lossy(name.substr(0, 40)), "is no name of an attribute: these have 1 to 20 lower-case letters and digits");
  if (event.extensions.size() >= kExtensionsMax && !event.extensions.contains(std::string(name)))
    return fail("event.invalid", "the event has more than " + std::to_string(kExtensionsMax) + " extension attributes");
  return {};
}

Result<void> set_attribute(Event* event, std::string_view name, std::string_view value) {
  const auto refused = [&](std::string_view rule) -> Result<void> { return invalid(to_utf8_lossy(name.substr(0, 40)), rule); };
  if (value.size() > kAttributeBytesMax) return refused("has more than 4,096 bytes");
  if (!is_attribute_text(value)) return refused("must be UTF-8 without control characters");
  if (name == "specversion") return value == "1.0" ? Result<void>{} : refused("must be \"1.0\": other versions of CloudEvents are not known here");
  const bool is_core = name == "id" || name == "source" || name == "type" || name == "subject" || name == "time" ||
                       name == "datacontenttype" || name == "dataschema";
  if (is_core && value.empty()) return refused("must not be empty");
  if (name == "id") {
    event->id = value;
  } else if (name == "source") {
    if (!is_uri_reference(value)) return refused("must be a URI reference (RFC 3986), such as /orders or https://example.com/orders");
    event->source = value;
  } else if (name == "type") {
    event->type = value;
  } else if (name == "subject") {
    event->subject = value;
  } else if (name == "time") {
    const auto time = parse_rfc3339(value);
    if (!time) return refused("must be a time as RFC 3339 writes it, such as 2026-11-23T15:54:25Z");
    event->time = *time;
  } else if (name == "datacontenttype") {
    if (!is_media_type(value)) return refused("must be a media type (RFC 2046), such as application/json");
    event->data_content_type = value;
  } else if (name == "dataschema") {
    if (!is_uri(value)) return refused("must be an absolute URI (RFC 3986)");
    event->data_schema = value;
  } else {
    if (auto added = check_new_extension(*event, name); !added) return added;
    event->extensions[std::string(name)] = value;
  }
  return {};
}

Result<void> check_required(const Event& event) {
  for (const auto& [name, value] : {std::pair("id", &event.id), std::pair("source", &event.source), std::pair("type", &event.type)})
    if (value->empty()) return fail("event.invalid", "the event lacks \"" + std::string(name) + "\", which CloudEvents requires");
  return {};
}

Result<void> set_body(Event* event, std::string bytes) {
  const std::string charset = charset_of(event->data_content_type);
  const bool is_utf = charset.empty() || charset == "utf-8" || charset == "us-ascii";
  if (!is_json_type(event->data_content_type) || !is_utf) {
    event->data_bytes = std::move(bytes);
    return {};
  }
  auto value = parse_json(bytes, {.bytes_max = kEventBytesMax});
  if (!value) return fail("event.invalid", "the event's \"data\" is not the JSON that \"datacontenttype\" says: " + value.error().message);
  event->data = std::move(*value);
  return {};
}

Result<Event> read_event(const Json& value) {
  const auto* in = value.if_object();
  if (!in) return fail("event.invalid", "an event must be a JSON object with \"specversion\", \"id\", \"source\" and \"type\"");
  Event out;
  const auto version = read_text(*in, "specversion");
  if (!version) return fail(version.error());
  if (!*version) return fail("event.invalid", "the event lacks \"specversion\", which must be \"1.0\"");
  for (const auto& member : *in) {
    const std::string_view name = member.key();
    if (name == "data" || name == "data_base64") continue;
    const bool is_core = name == "specversion" || name == "id" || name == "source" || name == "type" || name == "subject" || name == "time" ||
                         name == "datacontenttype" || name == "dataschema";
    if (is_core) {
      const auto text = read_text(*in, name);
      if (!text) return fail(text.error());
      if (!*text) continue;
      if (auto set = set_attribute(&out, name, **text); !set) return fail(set.error());
    } else if (auto read = read_extension(name, member.value(), &out); !read) {
      return fail(read.error());
    }
  }
  if (auto complete = check_required(out); !complete) return fail(complete.error());
  if (auto read = read_data(*in, &out); !read) return fail(read.error());
  return out;
}

Json to_json(const Event& event) {
  JsonObject out{{"specversion", "1.0"}, {"id", event.id}, {"source", event.source}, {"type", event.type}};
  if (!event.subject.empty()) out["subject"] = event.subject;
  if (event.time) out["time"] = to_rfc3339(*event.time);
  if (!event.data_content_type.empty()) out["datacontenttype"] = event.data_content_type;
  if (!event.data_schema.empty()) out["dataschema"] = event.data_schema;
  for (const auto& [name, value] : event.extensions) out[name] = value;
  if (!event.data_bytes) {
    if (!event.data.is_null()) out["data"] = event.data;
    return out;
  }
  const bool is_text = is_text_type(event.data_content_type) && !is_json_type(event.data_content_type) && is_utf8(*event.data_bytes);
  if (is_text) out["data"] = *event.data_bytes;
  else out["data_base64"] = to_base64(*event.data_bytes);
  return out;
}

Result<Event> event_from_json(const Json& value) {
  // The text is only made of what could be too large: measuring costs as much as reading.
  auto out = read_event(value);
  if (out && to_text(value).size() > kEventBytesMax * 4 / 3 + 64 * 1024) return event_too_large();
  return out;
}

std::unexpected<Error> event_too_large() {
  return fail("event.too_large", "an event has at most 1 MiB; put larger data elsewhere and send where it is");
}

}  // namespace mayfly::trigger
