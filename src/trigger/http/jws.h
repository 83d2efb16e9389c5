#pragma once

#include "trigger/jwt.h"

namespace mayfly::trigger {

inline constexpr std::size_t kTokenBytesMax = 16 * 1024;
inline constexpr std::size_t kHs256SecretBytesMin = 32;  ///< RFC 7518 §3.2

/// The payload of a JWS in compact form (RFC 7515) whose signature one of the rules' keys has made. Errors: `jwt.invalid`, `jwt.unknown_key`.
Result<std::string> verify_jws(std::string_view token, const JwtRules& rules);

enum class JwsAlgorithm { Hs256, Rs256, Ps256, Es256, EdDsa };

}  // namespace mayfly::trigger
