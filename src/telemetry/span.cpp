#include "telemetry/span.h"

#include <algorithm>

namespace mayfly::telemetry {
namespace {

std::string bounded(const std::string& text) {
  if (text.size() <= kAttributeBytesMax) return is_utf8(text) ? text : to_utf8_lossy(text);
  std::size_t end = kAttributeBytesMax;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xc0) == 0x80) --end;
  return to_utf8_lossy(text.substr(0, end));
}

JsonObject to_value(const std::string& value) { return {{"stringValue", bounded(value)}}; }
JsonObject to_value(std::int64_t value) { return {{"intValue", std::to_string(value)}}; }
JsonObject to_value(double value) { return {{"doubleValue", value}}; }
JsonObject to_value(bool value) { return {{"boolValue", value}}; }
JsonObject to_value(const std::vector<std::string>& values) {
  JsonArray list;
  for (const std::string& value : values) list.push_back(to_value(value));
  return {{"arrayValue", JsonObject{{"values", std::move(list)}}}};
}

JsonArray to_list(const Attributes& attributes) {
  JsonArray out;
  for (const auto& [key, value] : attributes)
    out.push_back(JsonObject{{"key", key}, {"value", std::visit([](const auto& held) { return to_value(held); }, value)}});
  return out;
}

std::string to_nanos(TimePoint time) {
  return std::to_string(std::max<std::int64_t>(to_unix_ms(time), 0)) + (to_unix_ms(time) > 0 ? "000000" : "");
}

JsonObject to_json(const Span& span) {
  JsonObject out{{"traceId", span.trace_id},
                 {"spanId", span.span_id},
                 {"name", bounded(span.name)},
                 {"kind", static_cast<int>(span.kind)},
                 {"startTimeUnixNano", to_nanos(span.start)},
                 {"endTimeUnixNano", to_nanos(std::max(span.start, span.end))},
                 {"attributes", to_list(span.attributes)}};
  if (!span.parent_id.empty()) out["parentSpanId"] = span.parent_id;
  JsonArray events;
  for (const SpanEvent& event : span.events)
    events.push_back(
        JsonObject{{"timeUnixNano", to_nanos(event.time)}, {"name", bounded(event.name)}, {"attributes", to_list(event.attributes)}});
  if (!events.empty()) out["events"] = std::move(events);
  JsonObject status{{"code", static_cast<int>(span.status)}};
  if (span.status == SpanStatus::Error && !span.status_message.empty()) status["message"] = bounded(span.status_message);
  out["status"] = std::move(status);
  return out;
}

}  // namespace

JsonObject to_otlp(const std::vector<Span>& spans, const Attributes& resource, const std::string& scope_version) {
  JsonArray list;
  list.reserve(spans.size());
  for (const Span& span : spans) list.push_back(to_json(span));
  JsonObject scope{{"name", "mayfly"}};
  if (!scope_version.empty()) scope["version"] = scope_version;
  JsonObject of_scope{{"scope", std::move(scope)}, {"spans", std::move(list)}};
  JsonObject of_resource{{"resource", JsonObject{{"attributes", to_list(resource)}}}, {"scopeSpans", JsonArray{std::move(of_scope)}}};
  return {{"resourceSpans", JsonArray{std::move(of_resource)}}};
}

}  // namespace mayfly::telemetry
