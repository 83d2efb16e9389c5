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

namespace mayfly {
namespace {

std::unexpected<Error> file_error(const std::string& path, int error) {
  if (error == ENOSPC || error == EDQUOT || error == EFBIG)
    return fail("blob.full", "No space for " + path + ": free some; nothing was stored.", Retry::Safe);
  if (error == EROFS || error == EACCES || error == EPERM)
    return fail("blob.read_only", path + " cannot be written or read: make it accessible for this user.", Retry::Safe);
  return fail("blob.io", path + " cannot be used (" + std::strerror(error) + "): check the disk and repeat.", Retry::Safe);
}

bool write_bytes(int descriptor, std::string_view bytes) {
  for (std::size_t done = 0; done < bytes.size();) {
    const auto count = ::write(descriptor, bytes.data() + done, bytes.size() - done);
    if (count < 0 && errno != EINTR) return false;
    if (count > 0) done += static_cast<std::size_t>(count);
  }
  return true;
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

  bool write_all(std::string_view bytes) const { return write_bytes(descriptor_, bytes); }
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
  struct stat status{};
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
  const std::string folder = folder_of(hash), path = path_of(hash);
  const std::string temporary = directory_ + "/tmp/" + hash + "." + std::to_string(next_++);
  if (auto ok = make_directory(folder); !ok) return ok;
  {
    const std::lock_guard lock(naming_);
    // A file that is there may be damaged, or its name not yet synced by an earlier process; as a new one it is safe from the collector.
    if (holds(path, bytes) && ::utimensat(AT_FDCWD, path.c_str(), nullptr, 0) == 0) return sync_directory(folder);
  }
  if (auto ok = write_new(temporary, bytes); !ok) {
    ::unlink(temporary.c_str());
    return ok;
  }
  const std::lock_guard lock(naming_);
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
  struct stat status{};
  if (::fstat(file.descriptor(), &status) != 0) return file_error(path, errno);
  const auto damaged =
      fail("blob.damaged", "The blob " + hash + " does not match its hash: check the disk, then put it again or restore a backup.");
  if (!S_ISREG(status.st_mode) || static_cast<std::size_t>(status.st_size) > bytes_max) return damaged;
  std::string bytes(static_cast<std::size_t>(status.st_size), '\0');
  if (!file.read_all(bytes)) return file_error(path, errno);
  if (sha256_hex(bytes) != hash) return damaged;
  return bytes;
}

FileHandle::~FileHandle() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

Result<std::pair<FileHandle, std::string>> BlobFiles::begin() {
  std::string path = directory_ + "/tmp/stream." + std::to_string(next_++);
  FileHandle file(::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
  if (file.get() < 0) return file_error(path, errno);
  return std::pair{std::move(file), std::move(path)};
}

Result<void> BlobFiles::append(const FileHandle& file, const std::string& path, std::string_view bytes) {
  if (!write_bytes(file.get(), bytes)) return file_error(path, errno);
  return {};
}

Result<void> BlobFiles::finish(const FileHandle& file, const std::string& path, const std::string& hash) {
  if (::fsync(file.get()) != 0) return file_error(path, errno);
  if (auto ok = make_directory(folder_of(hash)); !ok) return ok;
  const std::lock_guard lock(naming_);
  // The collector counts from when a blob got its name, not from when its first byte came.
  if (::futimens(file.get(), nullptr) != 0 || ::rename(path.c_str(), path_of(hash).c_str()) != 0) return file_error(path, errno);
  return sync_directory(folder_of(hash));
}

void BlobFiles::abandon(const std::string& path) { ::unlink(path.c_str()); }

Result<std::pair<FileHandle, std::uint64_t>> BlobFiles::open_blob(const std::string& hash) {
  const std::string path = path_of(hash);
  FileHandle file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (file.get() < 0) return errno == ENOENT ? std::unexpected(blob_not_found(hash)) : file_error(path, errno);
  struct stat status{};
  if (::fstat(file.get(), &status) != 0) return file_error(path, errno);
  return std::pair{std::move(file), static_cast<std::uint64_t>(status.st_size)};
}

Result<std::string> BlobFiles::read(const FileHandle& file, std::uint64_t offset, std::size_t length) {
  std::string bytes(length, '\0');
  std::size_t done = 0;
  while (done < length) {
    const auto count = ::pread(file.get(), bytes.data() + done, length - done, static_cast<off_t>(offset + done));
    if (count < 0 && errno != EINTR) return file_error("a blob", errno);
    if (count == 0) break;
    if (count > 0) done += static_cast<std::size_t>(count);
  }
  bytes.resize(done);
  return bytes;
}

Result<std::vector<std::string>> BlobFiles::list() {
  std::vector<std::string> out;
  std::error_code error;
  for (std::filesystem::directory_iterator folder(directory_, error), end; !error && folder != end; folder.increment(error)) {
    const std::string prefix = folder->path().filename().string();
    if (prefix.size() != 2) continue;
    for (std::filesystem::directory_iterator file(folder->path(), error), last; !error && file != last; file.increment(error)) {
      std::string hash = prefix + file->path().filename().string();
      if (check_blob_hash(hash)) out.push_back(std::move(hash));
    }
  }
  if (error) return file_error(directory_, error.value());
  return out;
}

Result<BlobStore::Swept> BlobFiles::remove_older(const std::vector<std::string>& hashes, Millis grace) {
  BlobStore::Swept swept;
  for (const std::string& hash : hashes) {
    const std::string path = path_of(hash);
    const std::lock_guard lock(naming_);
    struct stat status{};
    if (::stat(path.c_str(), &status) != 0) continue;
    struct timespec now{};
    ::clock_gettime(CLOCK_REALTIME, &now);
    const Millis age = std::chrono::duration_cast<Millis>(std::chrono::seconds(now.tv_sec - status.st_mtim.tv_sec) +
                                                          std::chrono::nanoseconds(now.tv_nsec - status.st_mtim.tv_nsec));
    if (age < grace || ::unlink(path.c_str()) != 0) {
      ++swept.kept;
      continue;
    }
    ++swept.removed;
    swept.bytes += static_cast<std::uint64_t>(status.st_size);
  }
  return swept;
}

}  // namespace mayfly
