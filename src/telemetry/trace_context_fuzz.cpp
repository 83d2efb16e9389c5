#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "telemetry/trace_context.h"

/// What is accepted must survive being written and read again.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace mayfly::telemetry;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  if (const auto context = parse_traceparent(text)) {
    const auto again = parse_traceparent(to_traceparent(*context));
    if (!again || again->trace_id != context->trace_id || again->span_id != context->span_id || again->sampled() != context->sampled())
      std::abort();
  }
  if (const auto state = parse_tracestate(text)) {
    const auto again = parse_tracestate(to_tracestate(*state));
    if (!again || *again != *state) std::abort();
  }
  return 0;
}
