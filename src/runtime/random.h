#pragma once

#include <cstdint>
#include <string>

#include "base/id.h"
#include "base/time.h"

namespace mayfly {

/// The only source of randomness above `base`, for ids and jitter; not for secrets (see `secure_random_bytes`).
class Random {
 public:
  virtual ~Random() = default;
  virtual std::uint64_t next() = 0;
  /// Uniform in [0, bound); bound > 0.
  std::uint64_t below(std::uint64_t bound) {
    __extension__ using Wide = unsigned __int128;
    return static_cast<std::uint64_t>((static_cast<Wide>(next()) * bound) >> 64);
  }
  /// Uniform in [0, 1).
  double unit() { return static_cast<double>(next() >> 11) * 0x1.0p-53; }
};

/// Fast and statistically good (SplitMix64); the same seed gives the same sequence.
class SeededRandom final : public Random {
 public:
  explicit SeededRandom(std::uint64_t seed) : state_(seed) {}
  std::uint64_t next() override {
    std::uint64_t z = (state_ += 0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
  }

 private:
  std::uint64_t state_;
};

/// A SeededRandom whose seed comes from the operating system.
SeededRandom make_system_random();

inline std::string make_ulid(TimePoint time, Random& random) {
  const auto high = static_cast<std::uint16_t>(random.next());
  return make_ulid(time, high, random.next());
}

}  // namespace mayfly
