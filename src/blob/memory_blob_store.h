#pragma once

#include <map>
#include <string>

#include "base/hash.h"
#include "blob/blob_store.h"

namespace mayfly {

/// Blobs in memory, for tests and simulations.
class MemoryBlobStore final : public BlobStore {
 public:
  Task<Result<std::string>> put(std::string bytes) override {
    std::string hash = sha256_hex(bytes);
    blobs_.emplace(hash, std::move(bytes));
    co_return hash;
  }
  Task<Result<std::string>> get(std::string hash) override {
    if (auto ok = check_blob_hash(hash); !ok) co_return fail(ok.error());
    const auto found = blobs_.find(hash);
    if (found == blobs_.end()) co_return fail(blob_not_found(hash));
    co_return found->second;
  }
  std::size_t size() const { return blobs_.size(); }

 private:
  std::map<std::string, std::string> blobs_;
};

}  // namespace mayfly
