#include "llm/rate_limiter.h"

#include <algorithm>
#include <cmath>

#include "base/assert.h"

namespace mayfly::llm {
namespace {

constexpr std::size_t kQueueMax = 100'000;
constexpr double kMillisPerMinute = 60'000;
constexpr double kEnough = 1e-9;  // rounding of levels

}  // namespace

void RateLimiter::Bucket::refill(double minutes) {
  if (per_minute > 0) level = std::min(per_minute, level + minutes * per_minute);
}

double RateLimiter::Bucket::wait_for(double amount) const {
  if (per_minute <= 0) return 0;
  const double missing = std::min(amount, per_minute) - level;
  return missing <= kEnough * per_minute ? 0 : missing / per_minute;
}

RateLimiter::RateLimiter(Clock& clock, RateLimits limits)
    : clock_(clock),
      concurrency_max_(std::max(1, limits.concurrency_max)),
      requests_{limits.requests_per_minute, std::max(1.0, limits.requests_per_minute)},
      tokens_{limits.tokens_per_minute, limits.tokens_per_minute},
      refilled_(clock.monotonic()) {}

RateLimiter::~RateLimiter() = default;

void RateLimiter::refill() {
  const auto now = clock_.monotonic();
  const double minutes = std::chrono::duration<double, std::ratio<60>>(now - refilled_).count();
  refilled_ = now;
  requests_.refill(minutes);
  tokens_.refill(minutes);
}

double RateLimiter::wait_minutes(std::int64_t tokens) const {
  return std::max(requests_.wait_for(1), tokens_.wait_for(static_cast<double>(tokens)));
}

void RateLimiter::take(std::int64_t tokens) {
  ++running_;
  if (requests_.per_minute > 0) requests_.level -= 1;
  if (tokens_.per_minute > 0) tokens_.level -= static_cast<double>(tokens);
}

Task<RateLimiter::Admission> RateLimiter::acquire(std::int64_t tokens, CancelToken cancel) {
  if (cancel.cancelled()) co_return Admission::Cancelled;
  if (queue_.empty() && running_ < concurrency_max_) {
    if (requests_.per_minute > 0 || tokens_.per_minute > 0) refill();
    if (wait_minutes(tokens) <= 0) {
      take(tokens);
      co_return Admission::Granted;
    }
  }
  if (queue_.size() >= kQueueMax) co_return Admission::QueueFull;
  const std::uint64_t id = next_id_++;
  const auto registration = cancel.on_cancel([this, id] { this->cancel(id); });
  co_return co_await suspend<Admission>([this, id, tokens](Resume<Admission> resume) {
    queue_.push_back({id, tokens, std::move(resume)});
    admit();
  });
}

void RateLimiter::release(std::int64_t unused_tokens) {
  MAYFLY_ASSERT(running_ > 0, "released more often than acquired");
  --running_;
  if (tokens_.per_minute > 0) tokens_.level = std::min(tokens_.per_minute, tokens_.level + static_cast<double>(unused_tokens));
  admit();
}

void RateLimiter::admit() {
  timer_.reset();
  if (queue_.empty()) return;
  refill();
  while (!queue_.empty() && running_ < concurrency_max_) {
    Waiter& first = queue_.front();
    if (const double minutes = wait_minutes(first.tokens); minutes > 0) {
      const Millis delay(static_cast<std::int64_t>(std::ceil(minutes * kMillisPerMinute)));
      timer_ = clock_.call_after(delay, [this] { admit(); });
      return;
    }
    take(first.tokens);
    first.resume(Admission::Granted);
    queue_.pop_front();
  }
}

void RateLimiter::cancel(std::uint64_t id) {
  const auto found = std::ranges::find(queue_, id, &Waiter::id);
  if (found == queue_.end()) return;
  found->resume(Admission::Cancelled);
  queue_.erase(found);
  admit();
}

}  // namespace mayfly::llm
