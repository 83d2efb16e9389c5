#include "llm/retry.h"

#include <algorithm>

namespace mayfly::llm {
namespace {

constexpr std::int64_t kBaseMs = 500;
constexpr std::int64_t kCapMs = 30'000;
constexpr std::int64_t kJitterMaxMs = 1'000;

bool is_transient(const std::string& code) {
  return code == "llm.rate_limited" || code == "llm.overloaded" || code == "llm.server_error" || code == "llm.unreachable";
}

Millis up_to(std::int64_t ms, Random& random) { return Millis(static_cast<std::int64_t>(random.below(static_cast<std::uint64_t>(ms) + 1))); }

}  // namespace

bool may_retry(const LlmError& error) { return error.error.retry == Retry::Safe && is_transient(error.error.code); }

bool may_fail_over(const LlmError& error) { return is_transient(error.error.code) || error.error.code == "llm.timeout"; }

Millis retry_delay(int attempt, const LlmError& error, Random& random) {
  if (error.retry_after) return *error.retry_after + up_to(std::min(kJitterMaxMs, error.retry_after->count() / 10), random);
  return up_to(std::min(kCapMs, kBaseMs << std::min(attempt, 10)), random);
}

}  // namespace mayfly::llm
