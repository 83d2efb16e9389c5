#pragma once

#include <string>

#include "base/id.h"
#include "runtime/random.h"

namespace mayfly::function {

/// RFC 9562 §5.4 (version 4).
inline std::string make_uuid(Random& random) {
  const std::uint64_t high = (random.next() & ~0xf000ull) | 0x4000ull;
  const std::uint64_t low = (random.next() & ~(3ull << 62)) | (2ull << 62);
  std::string out = to_hex16(high) + to_hex16(low);
  for (const std::size_t at : {8, 13, 18, 23}) out.insert(at, "-");
  return out;
}

}  // namespace mayfly::function
