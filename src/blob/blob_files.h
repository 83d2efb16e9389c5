#pragma once

#include <cstddef>
#include <string>

#include "base/result.h"

namespace mayfly {

/// The blocking file work of the file-system blob store; may be used by one thread at a time.
class BlobFiles {
 public:
  explicit BlobFiles(std::string directory) : directory_(std::move(directory)) {}

  /// Makes the directory and empties its folder of half-written files.
  Result<void> open();
  Result<void> put(const std::string& hash, const std::string& bytes);
  Result<std::string> get(const std::string& hash, std::size_t bytes_max);

 private:
  std::string folder_of(const std::string& hash) const { return directory_ + "/" + hash.substr(0, 2); }
  std::string path_of(const std::string& hash) const { return folder_of(hash) + "/" + hash.substr(2); }

  std::string directory_;
};

}  // namespace mayfly
