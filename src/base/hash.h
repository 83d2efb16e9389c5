#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace mayfly {

/// SHA-256 as 64 lower-case hexadecimal digits.
std::string sha256_hex(std::string_view bytes);
/// HMAC-SHA-256 as raw 32 bytes.
std::string hmac_sha256(std::string_view key, std::string_view message);
/// FNV-1a, 64 bits: for placement, never for security. Stable for ever: partitions depend on it.
std::uint64_t stable_hash64(std::string_view bytes);
/// Compares without leaking where the difference lies.
bool equal_constant_time(std::string_view a, std::string_view b);

/// RFC 4648 §4, padded.
std::string to_base64(std::string_view bytes);
std::optional<std::string> from_base64(std::string_view text);
/// RFC 4648 §5, without padding.
std::string to_base64url(std::string_view bytes);

/// `count` bytes from the operating system's generator, for keys and secrets (never simulated).
std::string secure_random_bytes(std::size_t count);

}  // namespace mayfly
