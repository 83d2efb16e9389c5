#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "blob/blob_store.h"

namespace mayfly {

/// A descriptor that is closed with its owner.
class FileHandle {
 public:
  FileHandle() = default;
  explicit FileHandle(int descriptor) : descriptor_(descriptor) {}
  FileHandle(FileHandle&& other) noexcept : descriptor_(std::exchange(other.descriptor_, -1)) {}
  FileHandle& operator=(FileHandle&& other) noexcept {
    std::swap(descriptor_, other.descriptor_);
    return *this;
  }
  ~FileHandle();
  int get() const { return descriptor_; }

 private:
  int descriptor_ = -1;
};

/// The blocking file work of the file-system blob store. Any thread may use it; what gives names to files and takes them away excludes each
/// other.
class BlobFiles {
 public:
  explicit BlobFiles(std::string directory) : directory_(std::move(directory)) {}

  /// Makes the directory and empties its folder of half-written files.
  Result<void> open();
  Result<void> put(const std::string& hash, const std::string& bytes);
  Result<std::string> get(const std::string& hash, std::size_t bytes_max);

  /// A file of its own under tmp/, and its path.
  Result<std::pair<FileHandle, std::string>> begin();
  Result<void> append(const FileHandle& file, const std::string& path, std::string_view bytes);
  /// Syncs the file and gives it its name, in place of one that is there (which may be damaged).
  Result<void> finish(const FileHandle& file, const std::string& path, const std::string& hash);
  void abandon(const std::string& path);
  Result<std::pair<FileHandle, std::uint64_t>> open_blob(const std::string& hash);
  Result<std::string> read(const FileHandle& file, std::uint64_t offset, std::size_t length);
  /// The names of all blobs.
  Result<std::vector<std::string>> list();
  /// Removes those that got their name more than `grace` ago.
  Result<BlobStore::Swept> remove_older(const std::vector<std::string>& hashes, Millis grace);

 private:
  std::string folder_of(const std::string& hash) const { return directory_ + "/" + hash.substr(0, 2); }
  std::string path_of(const std::string& hash) const { return folder_of(hash) + "/" + hash.substr(2); }

  std::string directory_;
  std::atomic<std::uint64_t> next_{1};
  std::mutex naming_;
};

}  // namespace mayfly
