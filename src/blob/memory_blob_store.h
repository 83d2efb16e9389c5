#pragma once

#include <algorithm>
#include <map>
#include <memory>
#include <string>

#include "base/hash.h"
#include "blob/blob_store.h"
#include "runtime/clock.h"

namespace mayfly {

/// Blobs in memory, for tests and simulations.
class MemoryBlobStore final : public BlobStore {
 public:
  MemoryBlobStore() = default;
  /// With a clock blobs grow old, so that `sweep` can take them; without one all are as new as can be.
  explicit MemoryBlobStore(const Clock& clock) : clock_(&clock) {}

  Task<Result<std::string>> put(std::string bytes) override { co_return add(std::move(bytes)); }
  Task<Result<std::string>> get(std::string hash) override {
    auto found = find(hash);
    if (!found) co_return fail(found.error());
    co_return **found;
  }
  Task<Result<std::unique_ptr<BlobWriter>>> create() override { co_return std::make_unique<Writer>(*this); }
  Task<Result<std::unique_ptr<BlobReader>>> open(std::string hash) override {
    auto found = find(hash);
    if (!found) co_return fail(found.error());
    co_return std::make_unique<Reader>(*found);
  }
  Task<Result<Swept>> sweep(std::function<bool(std::string_view hash)> is_used, Millis grace) override {
    Swept swept;
    for (auto blob = blobs_.begin(); blob != blobs_.end();) {
      if (is_used(blob->first) || now() - blob->second.touched < grace) {
        ++swept.kept;
        ++blob;
        continue;
      }
      ++swept.removed;
      swept.bytes += blob->second.bytes->size();
      blob = blobs_.erase(blob);
    }
    co_return swept;
  }
  std::size_t size() const { return blobs_.size(); }

 private:
  using Bytes = std::shared_ptr<const std::string>;
  struct Blob {
    Bytes bytes;
    TimePoint touched{};
  };
  class Writer final : public BlobWriter {
   public:
    explicit Writer(MemoryBlobStore& store) : store_(store) {}
    Task<Result<void>> write(std::string bytes) override {
      bytes_ += bytes;
      co_return Result<void>{};
    }
    std::uint64_t size() const override { return bytes_.size(); }
    Task<Result<Finished>> finish() override {
      const std::uint64_t size = bytes_.size();
      co_return Finished{store_.add(std::move(bytes_)), size};
    }

   private:
    MemoryBlobStore& store_;
    std::string bytes_;
  };
  class Reader final : public BlobReader {
   public:
    explicit Reader(Bytes bytes) : bytes_(std::move(bytes)) {}
    std::uint64_t size() const override { return bytes_->size(); }
    Task<Result<std::string>> read(std::uint64_t offset, std::size_t length) override {
      co_return offset >= bytes_->size() ? std::string() : bytes_->substr(offset, length);
    }

   private:
    Bytes bytes_;
  };

  TimePoint now() const { return clock_ ? clock_->now() : TimePoint{}; }
  std::string add(std::string bytes) {
    std::string hash = sha256_hex(bytes);
    blobs_[hash] = {std::make_shared<const std::string>(std::move(bytes)), now()};
    return hash;
  }
  Result<Bytes> find(const std::string& hash) const {
    if (auto ok = check_blob_hash(hash); !ok) return fail(ok.error());
    const auto found = blobs_.find(hash);
    if (found == blobs_.end()) return fail(blob_not_found(hash));
    return found->second.bytes;
  }

  const Clock* clock_ = nullptr;
  std::map<std::string, Blob> blobs_;
};

}  // namespace mayfly
