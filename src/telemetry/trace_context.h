#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "runtime/random.h"

/// W3C Trace Context (Recommendation of 23 November 2021): which trace a request belongs to.
namespace mayfly::telemetry {

struct TraceContext {
  std::string trace_id;  ///< 32 lower-case hexadecimal digits, not all zero
  std::string span_id;   ///< 16, not all zero: the caller's span, the parent of ours
  std::uint8_t flags = 0;

  bool sampled() const { return (flags & 1) != 0; }
  bool operator==(const TraceContext&) const = default;
};

/// Strict for version 00; of a higher version the known part is read (§3.2.3). Error: `trace.invalid`: go on with a new trace.
Result<TraceContext> parse_traceparent(std::string_view text);
/// Version 00, with only the flag that we understand.
std::string to_traceparent(const TraceContext& context);

/// Vendors' entries in their order.
using TraceState = std::vector<std::pair<std::string, std::string>>;
/// The header's value; several headers are joined by commas first. At most 32 entries, each key once (§3.3.1).
/// Error: `trace.invalid`: drop the header and keep the traceparent.
Result<TraceState> parse_tracestate(std::string_view text);
std::string to_tracestate(const TraceState& state);

/// A new sampled trace for a request that came without one. Nobody has a span with its span id: spans whose parent it would be
/// are the roots (see `is_made_here`).
TraceContext new_trace(Random& random);
/// True for what `new_trace` made: the parent named in it does not exist.
bool is_made_here(const TraceContext& context);
/// The same trace with a span id of its own, for a call further down.
TraceContext child_of(const TraceContext& context, Random& random);

}  // namespace mayfly::telemetry
