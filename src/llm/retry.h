#pragma once

#include "llm/provider.h"
#include "runtime/random.h"

namespace mayfly::llm {

/// True when the same model may be asked again: the provider refused before it worked (rate limit, overload, server error,
/// unreachable) and says nothing against it.
bool may_retry(const LlmError& error);

/// True when another model may answer what this one did not: also after a timeout, or when this account has no quota left.
bool may_fail_over(const LlmError& error);

/// How long to wait before retry number `attempt` (from 0): full jitter over min(30 s, 500 ms · 2^attempt), or what the provider
/// asked for plus up to a tenth of it (at most 1 s). Source: "Exponential Backoff And Jitter", AWS Architecture Blog.
Millis retry_delay(int attempt, const LlmError& error, Random& random);

}  // namespace mayfly::llm
