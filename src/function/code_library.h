#pragma once

#include <boost/asio/thread_pool.hpp>
#include <filesystem>
#include <string>

#include "blob/blob_store.h"
#include "function/code_package.h"
#include "runtime/task.h"

namespace mayfly::function {

/// The code of all functions: zip files in the blob store, and each unpacked once in DIRECTORY/HASH. A thread of its own does the file
/// work.
class CodeLibrary {
 public:
  CodeLibrary(BlobStore& blobs, const std::string& directory) : blobs_(blobs), directory_(std::filesystem::absolute(directory)) {}
  ~CodeLibrary() { worker_.join(); }

  struct Kept {
    std::string blob;       ///< hash of the zip file
    std::string directory;  ///< where it is unpacked
    std::string sha256;     ///< base64
    std::uint64_t bytes = 0;
  };
  /// Errors: those of the package and of the blob store.
  Task<Result<Kept>> keep(CodePackage code);
  /// Makes sure that it is unpacked.
  Task<Result<void>> restore(std::string blob);
  Task<Result<std::string>> zip(std::string blob) { return blobs_.get(std::move(blob)); }
  std::string directory_of(const std::string& blob) const { return directory_ + "/" + blob; }

 private:
  Task<Result<void>> unpack_at(std::string blob, CodePackage code);

  BlobStore& blobs_;
  std::string directory_;
  asio::thread_pool worker_{1};
};

}  // namespace mayfly::function
