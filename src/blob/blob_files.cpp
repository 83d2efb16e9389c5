#include "blob/blob_files.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <system_error>

#include "base/hash.h"
#include "blob/blob_store.h"

namespace mayfly {
namespace {

std::unexpected<Error> file_error(const std::string& path, int error) {
  if (error == ENOSPC || error == EDQUOT || error == EFBIG)
    return fail("blob.full", "No space for " + path + ": free some; nothing was stored.", Retry::Safe);
  if (error == EROFS || error == EACCES || error == EPERM)
    return fail("blob.read_only", path + " cannot be written or read: make it accessible for this user.", Retry::Safe);
  return fail("blob.io", path + " cannot be used (" + std::strerror(error) + "): check the disk and repeat.", Retry::Safe);
}

class File {
 public:
  File(const std::string& path, int flags) : descriptor_(::open(path.c_str(), flags | O_CLOEXEC, 0600)) {}
  ~File() {
    if (descriptor_ >= 0) ::close(descriptor_);
  }
  File(const File&) = delete;
  File& operator=(const File&) = delete;
  bool is_open() const { return descriptor_ >= 0; }
  int descriptor() const { return descriptor_; }

  bool write_all(const std::string& bytes) const {
    for (std::size_t done = 0; done < bytes.size();) {
      const auto count = ::write(descriptor_, bytes.data() + done, bytes.size() - done);
      if (count < 0 && errno != EINTR) return false;
      if (count > 0) done += static_cast<std::size_t>(count);
    }
    return true;
  }
  bool read_all(std::string& bytes) const {
    for (std::size_t done = 0; done < bytes.size();) {
      const auto count = ::read(descriptor_, bytes.data() + done, bytes.size() - done);
      if (count < 0 && errno != EINTR) return false;
      if (count == 0) bytes.resize(done);
      if (count > 0) done += static_cast<std::size_t>(count);
    }
    return true;
  }

 private:
  int descriptor_;
};

Result<void> sync_directory(const std::string& path) {
  const File directory(path, O_RDONLY | O_DIRECTORY);
  if (!directory.is_open() || ::fsync(directory.descriptor()) != 0) return file_error(path, errno);
  return {};
}

Result<void> make_directory(const std::string& path) {
  if (::mkdir(path.c_str(), 0700) == 0) return sync_directory(std::filesystem::path(path).parent_path().string());
  if (errno != EEXIST) return file_error(path, errno);
  return {};
}

Result<void> write_new(const std::string& path, const std::string& bytes) {
  const File file(path, O_WRONLY | O_CREAT | O_TRUNC);
  if (!file.is_open() || !file.write_all(bytes) || ::fsync(file.descriptor()) != 0) return file_error(path, errno);
  return {};
}

bool holds(const std::string& path, const std::string& bytes) {
  const File file(path, O_RDONLY);
  struct stat status {};
  if (!file.is_open() || ::fstat(file.descriptor(), &status) != 0 || static_cast<std::size_t>(status.st_size) != bytes.size()) return false;
  std::string present(bytes.size(), '\0');
  return file.read_all(present) && present == bytes;
}

}  // namespace

Result<void> BlobFiles::open() {
  std::error_code ignored;
  directory_ = std::filesystem::absolute(directory_, ignored).string();
  while (directory_.size() > 1 && directory_.ends_with('/')) directory_.pop_back();
  std::filesystem::create_directories(std::filesystem::path(directory_).parent_path(), ignored);
  if (auto ok = make_directory(directory_); !ok) return ok;
  std::filesystem::remove_all(directory_ + "/tmp", ignored);
  return make_directory(directory_ + "/tmp");
}

Result<void> BlobFiles::put(const std::string& hash, const std::string& bytes) {
  const std::string folder = folder_of(hash), path = path_of(hash), temporary = directory_ + "/tmp/" + hash;
  if (auto ok = make_directory(folder); !ok) return ok;
  // A file that is there may be damaged, or its name not yet synced by an earlier process.
  if (holds(path, bytes)) return sync_directory(folder);
  if (auto ok = write_new(temporary, bytes); !ok) {
    ::unlink(temporary.c_str());
    return ok;
  }
  if (::rename(temporary.c_str(), path.c_str()) != 0) return file_error(path, errno);
  return sync_directory(folder);
}

Result<std::string> BlobFiles::get(const std::string& hash, std::size_t bytes_max) {
  const std::string path = path_of(hash);
  const File file(path, O_RDONLY);
  if (!file.is_open()) {
    if (errno == ENOENT) return fail(blob_not_found(hash));
    return file_error(path, errno);
  }
  struct stat status {};
  if (::fstat(file.descriptor(), &status) != 0) return file_error(path, errno);
  const auto damaged = fail("blob.damaged", "The blob " + hash +
                                                " does not match its hash: check the disk, then put it again or restore a backup.");
  if (!S_ISREG(status.st_mode) || static_cast<std::size_t>(status.st_size) > bytes_max) return damaged;
  std::string bytes(static_cast<std::size_t>(status.st_size), '\0');
  if (!file.read_all(bytes)) return file_error(path, errno);
  if (sha256_hex(bytes) != hash) return damaged;
  return bytes;
}

}  // namespace mayfly
