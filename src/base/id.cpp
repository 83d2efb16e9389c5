#include "base/id.h"

namespace mayfly {

std::string make_ulid(TimePoint time, std::uint16_t random_high, std::uint64_t random_low) {
  static constexpr std::string_view kAlphabet = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
  std::string out(26, '0');
  auto ms = static_cast<std::uint64_t>(to_unix_ms(time));
  for (int i = 9; i >= 0; --i, ms >>= 5) out[static_cast<std::size_t>(i)] = kAlphabet[ms & 31];
  __extension__ unsigned __int128 random = (static_cast<unsigned __int128>(random_high) << 64) | random_low;
  for (int i = 25; i >= 10; --i, random >>= 5) out[static_cast<std::size_t>(i)] = kAlphabet[static_cast<std::size_t>(random & 31)];
  return out;
}

std::string to_hex(std::string_view bytes) {
  static constexpr std::string_view kDigits = "0123456789abcdef";
  std::string out;
  out.reserve(bytes.size() * 2);
  for (const char c : bytes) {
    out += kDigits[static_cast<unsigned char>(c) >> 4];
    out += kDigits[static_cast<unsigned char>(c) & 15];
  }
  return out;
}

std::string to_hex16(std::uint64_t value) {
  static constexpr std::string_view kDigits = "0123456789abcdef";
  std::string out(16, '0');
  for (std::size_t i = 16; i-- > 0; value >>= 4) out[i] = kDigits[value & 15];
  return out;
}

}  // namespace mayfly
