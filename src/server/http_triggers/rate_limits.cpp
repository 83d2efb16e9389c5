#include "server/http_triggers/rate_limits.h"

#include <algorithm>
#include <cmath>

namespace mayfly::http_triggers {

RateLimits::Verdict RateLimits::take(const std::string& key, const trigger::RateLimit& limit, std::chrono::nanoseconds now) {
  const auto capacity = static_cast<double>(limit.requests);
  const double per_second = capacity / std::chrono::duration<double>(limit.per).count();
  const auto found = buckets_.find(key);
  if (found == buckets_.end()) {
    if (buckets_.size() >= buckets_max_) {
      buckets_.erase(order_.back().key);
      order_.pop_back();
    }
    order_.push_front({key, capacity, now});
    buckets_[key] = order_.begin();
  } else {
    order_.splice(order_.begin(), order_, found->second);
  }
  Bucket& bucket = order_.front();
  bucket.tokens = std::min(capacity, bucket.tokens + std::chrono::duration<double>(now - bucket.filled).count() * per_second);
  bucket.filled = now;
  Verdict out;
  out.allowed = bucket.tokens >= 1;
  if (out.allowed) bucket.tokens -= 1;
  out.remaining = static_cast<std::int64_t>(bucket.tokens);
  const double missing = out.allowed ? capacity - bucket.tokens : 1 - bucket.tokens;
  out.reset_seconds = std::max<std::int64_t>(1, static_cast<std::int64_t>(std::ceil(missing / per_second)));
  return out;
}

}  // namespace mayfly::http_triggers
