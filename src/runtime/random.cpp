#include "runtime/random.h"

#include <cstring>

#include "base/hash.h"

namespace mayfly {

SeededRandom make_system_random() {
  const std::string bytes = secure_random_bytes(8);
  std::uint64_t seed = 0;
  std::memcpy(&seed, bytes.data(), sizeof seed);
  return SeededRandom(seed);
}

}  // namespace mayfly
