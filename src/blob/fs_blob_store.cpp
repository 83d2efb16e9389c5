#include "blob/fs_blob_store.h"

#include <boost/asio/thread_pool.hpp>

#include "base/hash.h"
#include "blob/blob_files.h"

namespace mayfly {
namespace {

class FsBlobStore final : public BlobStore {
 public:
  explicit FsBlobStore(FsBlobStoreOptions options)
      : bytes_max_(options.blob_bytes_max), files_(std::make_shared<BlobFiles>(std::move(options.directory))) {}
  ~FsBlobStore() override { worker_.join(); }

  Result<void> open() { return files_->open(); }

  Task<Result<std::string>> put(std::string bytes) override {
    if (bytes.size() > bytes_max_)
      co_return fail("blob.too_large", "A blob of " + std::to_string(bytes.size()) + " bytes is over the limit of " +
                                           std::to_string(bytes_max_) + ": split it.");
    co_return co_await on_worker([files = files_, bytes = std::move(bytes)]() -> Result<std::string> {
      std::string hash = sha256_hex(bytes);
      if (auto ok = files->put(hash, bytes); !ok) return fail(ok.error());
      return hash;
    });
  }

  Task<Result<std::string>> get(std::string hash) override {
    if (auto ok = check_blob_hash(hash); !ok) co_return fail(ok.error());
    co_return co_await on_worker([files = files_, hash = std::move(hash), bytes_max = bytes_max_] { return files->get(hash, bytes_max); });
  }

 private:
  using Work = std::move_only_function<Result<std::string>()>;

  Task<Result<std::string>> on_worker(Work work) {
    return suspend<Result<std::string>>([this, work = std::move(work)](Resume<Result<std::string>> resume) mutable {
      asio::post(worker_, [work = std::move(work), resume = std::move(resume)]() mutable { resume(work()); });
    });
  }

  std::size_t bytes_max_;
  std::shared_ptr<BlobFiles> files_;
  asio::thread_pool worker_{1};
};

}  // namespace

Result<std::unique_ptr<BlobStore>> open_fs_blob_store(Executor, FsBlobStoreOptions options) {
  auto store = std::make_unique<FsBlobStore>(std::move(options));
  if (auto ok = store->open(); !ok) return fail(ok.error());
  return store;
}

}  // namespace mayfly
