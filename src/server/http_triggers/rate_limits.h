#pragma once

#include <chrono>
#include <list>
#include <string>
#include <unordered_map>

#include "trigger/trigger_spec.h"

namespace mayfly::http_triggers {

/// Token buckets, one for a route or for a caller of a route. Those used least lately make room: memory is bounded, and who comes back after
/// that finds a full bucket.
class RateLimits {
 public:
  explicit RateLimits(std::size_t buckets_max = 50'000) : buckets_max_(buckets_max) {}

  struct Verdict {
    bool allowed = true;
    std::int64_t remaining = 0;
    std::int64_t reset_seconds = 0;  ///< until one more is let through, or until the bucket is full when one would be now
  };
  Verdict take(const std::string& key, const trigger::RateLimit& limit, std::chrono::nanoseconds now);
  std::size_t size() const { return buckets_.size(); }

 private:
  struct Bucket {
    std::string key;
    double tokens = 0;
    std::chrono::nanoseconds filled{0};
  };
  std::size_t buckets_max_;
  std::list<Bucket> order_;  ///< the latest first
  std::unordered_map<std::string, std::list<Bucket>::iterator> buckets_;
};

}  // namespace mayfly::http_triggers
