#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/time.h"

namespace mayfly {

/// A ULID (26 characters, Crockford base 32: 48 bits of time, 80 bits of `high`/`low` randomness); sorts by time.
/// Source: the ULID specification.
std::string make_ulid(TimePoint time, std::uint16_t random_high, std::uint64_t random_low);

/// Lower-case hexadecimal of `bytes`.
std::string to_hex(std::string_view bytes);
/// Fixed width, so that texts sort like numbers.
std::string to_hex16(std::uint64_t value);

}  // namespace mayfly
