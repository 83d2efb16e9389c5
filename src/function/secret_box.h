#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace mayfly::function {

/// Seals small secrets for storage with AES-256-GCM (NIST SP 800-38D) under a key in a file that only its owner can read.
class SecretBox {
 public:
  enum class IfMissing {
    Make,  ///< the first start
    Fail,  ///< something was sealed with it already
  };
  /// Errors: `secret.key_missing`, `secret.key_invalid` (not 32 bytes, or others may read it), `secret.key_unwritable`.
  static Result<SecretBox> open(const std::string& path, IfMissing if_missing);

  /// Base64 of nonce, ciphertext and tag. `context` says what it is (a row's key): what was sealed for one place opens in no other.
  std::string seal(std::string_view plain, std::string_view context) const;
  /// Error: `secret.wrong_key`: another key, another context, or damage.
  Result<std::string> unseal(std::string_view sealed, std::string_view context) const;

 private:
  explicit SecretBox(std::string key) : key_(std::move(key)) {}
  std::string key_;
};

}  // namespace mayfly::function
