#pragma once

#include <cstdint>
#include <deque>
#include <memory>

#include "runtime/cancel.h"
#include "runtime/clock.h"
#include "runtime/task.h"

namespace mayfly::llm {

struct RateLimits {
  int concurrency_max = 64;
  double requests_per_minute = 0;   ///< 0: unlimited
  double tokens_per_minute = 0;     ///< 0: unlimited
};

/// Admits calls to one provider: first come, first served, at most `concurrency_max` at a time and within two token buckets that
/// hold one minute's worth. No timer and no suspension while nothing limits. At most 100,000 wait; beyond that `acquire` refuses.
/// Every successful acquire is matched by one release. Must outlive its callers; used on one loop.
class RateLimiter {
 public:
  enum class Admission { Granted, Cancelled, QueueFull };

  RateLimiter(Clock& clock, RateLimits limits);
  ~RateLimiter();
  RateLimiter(const RateLimiter&) = delete;
  RateLimiter& operator=(const RateLimiter&) = delete;

  /// `tokens` is the estimate that the token bucket is charged with now.
  Task<Admission> acquire(std::int64_t tokens, CancelToken cancel);
  /// `unused_tokens`: estimate minus what was really used; may be negative.
  void release(std::int64_t unused_tokens);

  std::size_t waiting() const { return queue_.size(); }
  int running() const { return running_; }
  bool counts_tokens() const { return tokens_.per_minute > 0; }

 private:
  struct Bucket {
    double per_minute = 0;
    double level = 0;
    void refill(double minutes);
    /// Minutes until `amount` (at most a full bucket) can be taken; 0 when it can be now.
    double wait_for(double amount) const;
  };
  struct Waiter {
    std::uint64_t id;
    std::int64_t tokens;
    Resume<Admission> resume;
  };

  void refill();
  double wait_minutes(std::int64_t tokens) const;
  void take(std::int64_t tokens);
  void admit();
  void cancel(std::uint64_t id);

  Clock& clock_;
  int concurrency_max_;
  Bucket requests_, tokens_;
  std::chrono::nanoseconds refilled_{0};
  int running_ = 0;
  std::uint64_t next_id_ = 0;
  std::deque<Waiter> queue_;
  std::unique_ptr<Clock::Timer> timer_;
};

}  // namespace mayfly::llm
