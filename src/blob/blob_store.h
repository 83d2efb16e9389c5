#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "base/result.h"
#include "base/time.h"
#include "runtime/task.h"

namespace mayfly {

/// Values above this size go to the blob store and are referenced by hash.
inline constexpr std::size_t kInlineValueBytesMax = 64 * 1024;

/// A blob on its way in. Destroyed before `finish`: as if it had never begun.
class BlobWriter {
 public:
  virtual ~BlobWriter() = default;
  /// One call at a time. Errors: `blob.too_large`, `blob.full`, `blob.io`; after one, all calls give it.
  virtual Task<Result<void>> write(std::string bytes) = 0;
  virtual std::uint64_t size() const = 0;
  struct Finished {
    std::string hash;
    std::uint64_t size = 0;
  };
  /// Once the bytes are durable. Once.
  virtual Task<Result<Finished>> finish() = 0;
};

/// A blob that can be read in pieces. Stays readable while it is held, also when it is removed meanwhile.
class BlobReader {
 public:
  virtual ~BlobReader() = default;
  virtual std::uint64_t size() const = 0;
  /// At most `length` bytes from `offset`; empty at the end. Reading from 0 to the end in order checks the hash: `blob.damaged` comes
  /// instead of the last piece. Other reads are checked as far as the store can (see its header).
  virtual Task<Result<std::string>> read(std::uint64_t offset, std::size_t length) = 0;
};

/// Content-addressed values: the key of a blob is the SHA-256 of its bytes, 64 hexadecimal digits.
/// Errors: `blob.not_found`, `blob.invalid_hash`, `blob.damaged` (the bytes do not match the hash), `blob.full`, `blob.io`.
class BlobStore {
 public:
  virtual ~BlobStore() = default;
  /// Returns the hash once the bytes are durable. Putting the same bytes again is cheap and not an error.
  virtual Task<Result<std::string>> put(std::string bytes) = 0;
  virtual Task<Result<std::string>> get(std::string hash) = 0;

  /// For values that do not fit memory, in bounded memory.
  virtual Task<Result<std::unique_ptr<BlobWriter>>> create() = 0;
  virtual Task<Result<std::unique_ptr<BlobReader>>> open(std::string hash) = 0;

  struct Swept {
    std::uint64_t removed = 0, bytes = 0, kept = 0;
  };
  /// Removes blobs that `is_used` does not know and that were not put (again) for `grace`. Safe beside writers: a blob that was put or
  /// finished less than `grace` ago stays, so whoever writes a reference within `grace` of its put finds the blob. `is_used` is called on
  /// the loop.
  virtual Task<Result<Swept>> sweep(std::function<bool(std::string_view hash)> is_used, Millis grace) = 0;
};

/// 64 lower-case hexadecimal digits, or `blob.invalid_hash`.
Result<void> check_blob_hash(std::string_view hash);
Error blob_not_found(std::string_view hash);

}  // namespace mayfly
