#include "telemetry/trace_context.h"

#include <algorithm>

#include "base/hash.h"
#include "base/id.h"

namespace mayfly::telemetry {
namespace {

constexpr std::size_t kVersion00Bytes = 55;
constexpr std::size_t kStateEntriesMax = 32;
constexpr std::size_t kStateBytesMax = 32 * 520;

std::unexpected<Error> invalid(std::string_view what) {
  return fail("trace.invalid", std::string(what) + " (W3C Trace Context); the header is ignored");
}

bool is_hex(std::string_view text) {
  return std::ranges::all_of(text, [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}
bool is_zero(std::string_view text) { return text.find_first_not_of('0') == std::string_view::npos; }

unsigned hex_byte(std::string_view text) {
  const auto digit = [](char c) { return static_cast<unsigned>(c <= '9' ? c - '0' : c - 'a' + 10); };
  return digit(text[0]) * 16 + digit(text[1]);
}

std::string_view trim(std::string_view text) {
  const auto first = text.find_first_not_of(" \t");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

bool is_lower(char c) { return c >= 'a' && c <= 'z'; }
bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_key_tail(std::string_view text) {
  return std::ranges::all_of(text, [](char c) { return is_lower(c) || is_digit(c) || c == '_' || c == '-' || c == '*' || c == '/'; });
}

/// §3.3.1.3.1: a simple key, or TENANT@SYSTEM.
bool is_state_key(std::string_view key) {
  if (key.empty()) return false;
  const auto at = key.find('@');
  if (at == std::string_view::npos) return key.size() <= 256 && is_lower(key[0]) && is_key_tail(key.substr(1));
  const std::string_view tenant = key.substr(0, at), system = key.substr(at + 1);
  return !tenant.empty() && tenant.size() <= 241 && (is_lower(tenant[0]) || is_digit(tenant[0])) && is_key_tail(tenant.substr(1)) &&
         !system.empty() && system.size() <= 14 && is_lower(system[0]) && is_key_tail(system.substr(1));
}

/// §3.3.1.3.2: printable ASCII without comma and equals sign, not ending with a space.
bool is_state_value(std::string_view value) {
  return !value.empty() && value.size() <= 256 && value.back() != ' ' &&
         std::ranges::all_of(value, [](char c) { return c >= 0x20 && c <= 0x7e && c != ',' && c != '='; });
}

/// The span id that stands for "no parent" in a trace that began here: whoever reads the context later can tell without any record.
std::string root_mark(std::string_view trace_id) { return to_hex16(stable_hash64("mayfly root " + std::string(trace_id)) | 1); }

}  // namespace

Result<TraceContext> parse_traceparent(std::string_view text) {
  text = trim(text);
  if (text.size() < kVersion00Bytes) return invalid("traceparent has the form VERSION-TRACEID-SPANID-FLAGS, 55 characters");
  const std::string_view version = text.substr(0, 2), trace = text.substr(3, 32), span = text.substr(36, 16), flags = text.substr(53, 2);
  if (text[2] != '-' || text[35] != '-' || text[52] != '-') return invalid("traceparent's parts are separated by '-'");
  if (!is_hex(version) || !is_hex(trace) || !is_hex(span) || !is_hex(flags))
    return invalid("traceparent consists of lower-case hexadecimal digits");
  if (version == "ff") return invalid("traceparent has the forbidden version ff");
  if (version == "00" && text.size() != kVersion00Bytes) return invalid("traceparent of version 00 has 55 characters");
  if (text.size() > kVersion00Bytes && text[kVersion00Bytes] != '-') return invalid("traceparent's parts are separated by '-'");
  if (is_zero(trace) || is_zero(span)) return invalid("traceparent's ids must not be all zero");
  return TraceContext{std::string(trace), std::string(span), static_cast<std::uint8_t>(hex_byte(flags))};
}

std::string to_traceparent(const TraceContext& context) {
  return "00-" + context.trace_id + "-" + context.span_id + (context.sampled() ? "-01" : "-00");
}

Result<TraceState> parse_tracestate(std::string_view text) {
  if (text.size() > kStateBytesMax) return invalid("tracestate is too long");
  TraceState out;
  while (!text.empty()) {
    const auto comma = std::min(text.find(','), text.size());
    const std::string_view entry = trim(text.substr(0, comma));
    text.remove_prefix(std::min(comma + 1, text.size()));
    if (entry.empty()) continue;
    const auto equals = entry.find('=');
    if (equals == std::string_view::npos) return invalid("a tracestate entry has the form key=value");
    const std::string_view key = entry.substr(0, equals), value = entry.substr(equals + 1);
    if (!is_state_key(key)) return invalid("a tracestate key is malformed");
    if (!is_state_value(value)) return invalid("a tracestate value is malformed");
    if (std::ranges::find(out, key, &TraceState::value_type::first) != out.end()) return invalid("a tracestate key occurs twice");
    if (out.size() == kStateEntriesMax) return invalid("tracestate has more than 32 entries");
    out.emplace_back(key, value);
  }
  return out;
}

std::string to_tracestate(const TraceState& state) {
  std::string out;
  for (const auto& [key, value] : state) out += (out.empty() ? "" : ",") + key + "=" + value;
  return out;
}

TraceContext new_trace(Random& random) {
  std::string trace = to_hex16(random.next()) + to_hex16(random.next() | 1);
  std::string mark = root_mark(trace);
  return {std::move(trace), std::move(mark), 1};
}

bool is_made_here(const TraceContext& context) { return context.span_id == root_mark(context.trace_id); }

TraceContext child_of(const TraceContext& context, Random& random) {
  return {context.trace_id, to_hex16(random.next() | 1), context.flags};
}

}  // namespace mayfly::telemetry
