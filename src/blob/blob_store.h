#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "base/result.h"
#include "runtime/task.h"

namespace mayfly {

/// Values above this size go to the blob store and are referenced by hash.
inline constexpr std::size_t kInlineValueBytesMax = 64 * 1024;

/// Content-addressed values: the key of a blob is the SHA-256 of its bytes, 64 hexadecimal digits.
/// Errors: `blob.not_found`, `blob.invalid_hash`, `blob.damaged` (the bytes do not match the hash), `blob.full`, `blob.io`.
class BlobStore {
 public:
  virtual ~BlobStore() = default;
  /// Returns the hash once the bytes are durable. Putting the same bytes again is cheap and not an error.
  virtual Task<Result<std::string>> put(std::string bytes) = 0;
  virtual Task<Result<std::string>> get(std::string hash) = 0;
};

/// 64 lower-case hexadecimal digits, or `blob.invalid_hash`.
Result<void> check_blob_hash(std::string_view hash);
Error blob_not_found(std::string_view hash);

}  // namespace mayfly
