#include "blob/fs_blob_store.h"

#include <boost/asio/thread_pool.hpp>

#include "base/hash.h"
#include "base/sha256.h"
#include "blob/blob_files.h"

namespace mayfly {
namespace {

using Files = std::shared_ptr<BlobFiles>;
using Pool = std::shared_ptr<asio::thread_pool>;

template <class T>
Task<Result<T>> run_on(Pool pool, std::move_only_function<Result<T>()> work) {
  return suspend<Result<T>>([pool = std::move(pool), work = std::move(work)](Resume<Result<T>> resume) mutable {
    asio::post(*pool, [work = std::move(work), resume = std::move(resume)]() mutable {
      auto result = work();
      // What it holds is given up here, so that an owner on the loop who lets go is the last.
      work = nullptr;
      resume(std::move(result));
    });
  });
}

Error damaged(const std::string& hash) {
  return {"blob.damaged", "The blob " + hash + " does not match its hash: check the disk, then put it again or restore a backup.",
          Retry::Never};
}

/// What a stream's work on a pool's thread shares with its owner on the loop; one at a time uses it.
struct Incoming {
  Files files;
  FileHandle file;
  std::string path;
  Sha256 hash;
  std::optional<Error> error;
  bool finished = false;

  ~Incoming() {
    if (!finished && !path.empty()) files->abandon(path);
  }
};

class FsBlobWriter final : public BlobWriter {
 public:
  FsBlobWriter(Pool pool, std::shared_ptr<Incoming> incoming, std::uint64_t bytes_max)
      : pool_(std::move(pool)), incoming_(std::move(incoming)), bytes_max_(bytes_max) {}

  Task<Result<void>> write(std::string bytes) override {
    size_ += bytes.size();
    if (!incoming_->error && size_ > bytes_max_)
      incoming_->error = Error{"blob.too_large", "A blob may have " + std::to_string(bytes_max_) + " bytes: split it.", Retry::Never};
    if (incoming_->error) co_return fail(*incoming_->error);
    co_return co_await run_on<void>(pool_, [incoming = incoming_, bytes = std::move(bytes)]() -> Result<void> {
      incoming->hash.update(bytes);
      auto done = incoming->files->append(incoming->file, incoming->path, bytes);
      if (!done) incoming->error = done.error();
      return done;
    });
  }
  std::uint64_t size() const override { return size_; }
  Task<Result<Finished>> finish() override {
    if (incoming_->error) co_return fail(*incoming_->error);
    co_return co_await run_on<Finished>(pool_, [incoming = incoming_, size = size_]() -> Result<Finished> {
      std::string hash = incoming->hash.hex();
      if (auto done = incoming->files->finish(incoming->file, incoming->path, hash); !done) return fail(done.error());
      incoming->finished = true;
      return Finished{std::move(hash), size};
    });
  }

 private:
  Pool pool_;
  std::shared_ptr<Incoming> incoming_;
  std::uint64_t bytes_max_;
  std::uint64_t size_ = 0;
};

struct Outgoing {
  Files files;
  FileHandle file;
  std::string hash;
  std::uint64_t size = 0, checked = 0;
  Sha256 digest;
};

class FsBlobReader final : public BlobReader {
 public:
  FsBlobReader(Pool pool, std::shared_ptr<Outgoing> outgoing) : pool_(std::move(pool)), outgoing_(std::move(outgoing)) {}
  std::uint64_t size() const override { return outgoing_->size; }
  Task<Result<std::string>> read(std::uint64_t offset, std::size_t length) override {
    if (offset >= outgoing_->size || length == 0) co_return std::string();
    co_return co_await run_on<std::string>(pool_, [out = outgoing_, offset, length]() -> Result<std::string> {
      const std::size_t wanted = static_cast<std::size_t>(std::min<std::uint64_t>(length, out->size - offset));
      auto bytes = out->files->read(out->file, offset, wanted);
      if (!bytes) return bytes;
      if (bytes->size() != wanted) return fail(damaged(out->hash));
      if (offset != out->checked) return bytes;
      out->digest.update(*bytes);
      out->checked += bytes->size();
      if (out->checked == out->size && out->digest.hex() != out->hash) return fail(damaged(out->hash));
      return bytes;
    });
  }

 private:
  Pool pool_;
  std::shared_ptr<Outgoing> outgoing_;
};

class FsBlobStore final : public BlobStore {
 public:
  explicit FsBlobStore(FsBlobStoreOptions options)
      : bytes_max_(options.blob_bytes_max),
        stream_bytes_max_(options.stream_bytes_max),
        files_(std::make_shared<BlobFiles>(std::move(options.directory))) {}
  ~FsBlobStore() override {
    worker_->join();
    streams_->join();
  }

  Result<void> open() { return files_->open(); }

  Task<Result<std::string>> put(std::string bytes) override {
    if (bytes.size() > bytes_max_)
      co_return fail("blob.too_large", "A blob of " + std::to_string(bytes.size()) + " bytes is over the limit of " +
                                           std::to_string(bytes_max_) + ": split it.");
    co_return co_await run_on<std::string>(worker_, [files = files_, bytes = std::move(bytes)]() -> Result<std::string> {
      std::string hash = sha256_hex(bytes);
      if (auto ok = files->put(hash, bytes); !ok) return fail(ok.error());
      return hash;
    });
  }

  Task<Result<std::string>> get(std::string hash) override {
    if (auto ok = check_blob_hash(hash); !ok) co_return fail(ok.error());
    co_return co_await run_on<std::string>(
        worker_, [files = files_, hash = std::move(hash), bytes_max = bytes_max_] { return files->get(hash, bytes_max); });
  }

  Task<Result<std::unique_ptr<BlobWriter>>> create() override {
    auto incoming = std::make_shared<Incoming>();
    incoming->files = files_;
    auto begun = co_await run_on<void>(streams_, [incoming]() -> Result<void> {
      auto file = incoming->files->begin();
      if (!file) return fail(file.error());
      incoming->file = std::move(file->first);
      incoming->path = std::move(file->second);
      return {};
    });
    if (!begun) co_return fail(begun.error());
    co_return std::make_unique<FsBlobWriter>(streams_, std::move(incoming), stream_bytes_max_);
  }

  Task<Result<std::unique_ptr<BlobReader>>> open(std::string hash) override {
    if (auto ok = check_blob_hash(hash); !ok) co_return fail(ok.error());
    auto outgoing = std::make_shared<Outgoing>();
    outgoing->files = files_;
    outgoing->hash = std::move(hash);
    auto opened = co_await run_on<void>(streams_, [outgoing]() -> Result<void> {
      auto file = outgoing->files->open_blob(outgoing->hash);
      if (!file) return fail(file.error());
      outgoing->file = std::move(file->first);
      outgoing->size = file->second;
      if (outgoing->size == 0 && outgoing->hash != sha256_hex("")) return fail(damaged(outgoing->hash));
      return {};
    });
    if (!opened) co_return fail(opened.error());
    co_return std::make_unique<FsBlobReader>(streams_, std::move(outgoing));
  }

  Task<Result<Swept>> sweep(std::function<bool(std::string_view hash)> is_used, Millis grace) override {
    auto all = co_await run_on<std::vector<std::string>>(streams_, [files = files_] { return files->list(); });
    if (!all) co_return fail(all.error());
    std::vector<std::string> unused;
    for (std::string& hash : *all)
      if (!is_used(hash)) unused.push_back(std::move(hash));
    const std::uint64_t used = all->size() - unused.size();
    auto swept = co_await run_on<Swept>(streams_,
                                        [files = files_, unused = std::move(unused), grace] { return files->remove_older(unused, grace); });
    if (swept) swept->kept += used;
    co_return swept;
  }

 private:
  std::size_t bytes_max_;
  std::uint64_t stream_bytes_max_;
  Files files_;
  Pool worker_ = std::make_shared<asio::thread_pool>(1);
  Pool streams_ = std::make_shared<asio::thread_pool>(3);
};

}  // namespace

Result<std::unique_ptr<BlobStore>> open_fs_blob_store(Executor, FsBlobStoreOptions options) {
  auto store = std::make_unique<FsBlobStore>(std::move(options));
  if (auto ok = store->open(); !ok) return fail(ok.error());
  return store;
}

}  // namespace mayfly
