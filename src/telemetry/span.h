#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "base/json.h"
#include "base/time.h"

/// A span as OpenTelemetry defines it (opentelemetry-proto, trace/v1).
namespace mayfly::telemetry {

using AttributeValue = std::variant<std::string, std::int64_t, double, bool, std::vector<std::string>>;
using Attributes = std::vector<std::pair<std::string, AttributeValue>>;

enum class SpanKind { Internal = 1, Server = 2, Client = 3 };
enum class SpanStatus { Unset = 0, Ok = 1, Error = 2 };

struct SpanEvent {
  std::string name;
  TimePoint time{};
  Attributes attributes;
};

struct Span {
  std::string trace_id;   ///< 32 hexadecimal digits
  std::string span_id;    ///< 16
  std::string parent_id;  ///< 16, or empty for a root
  std::string name;
  SpanKind kind = SpanKind::Internal;
  TimePoint start{};
  TimePoint end{};  ///< not before `start`
  Attributes attributes;
  SpanStatus status = SpanStatus::Unset;
  std::string status_message;  ///< only with Error
  std::vector<SpanEvent> events;
};

/// Longer texts are cut at a character's border.
inline constexpr std::size_t kAttributeBytesMax = 4096;

/// The body of one OTLP/HTTP request in the JSON encoding (opentelemetry-proto, "JSON Protobuf Encoding"): ids in hexadecimal, 64-bit
/// integers as texts, enumerations as numbers.
JsonObject to_otlp(const std::vector<Span>& spans, const Attributes& resource, const std::string& scope_version);

}  // namespace mayfly::telemetry
