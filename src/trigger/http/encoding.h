#pragma once

#include <optional>
#include <string>
#include <string_view>

/// Strict decoding: what is not exactly an encoding is refused.
namespace mayfly::trigger {

/// RFC 4648 §4 with padding, nothing else in between.
std::optional<std::string> decode_base64(std::string_view text);
/// RFC 4648 §5 without padding and with no bits left over, as RFC 7515 wants it.
std::optional<std::string> decode_base64url(std::string_view text);
/// An even number of digits of either case.
std::optional<std::string> decode_hex(std::string_view text);

}  // namespace mayfly::trigger
