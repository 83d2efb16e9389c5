#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <utility>

#include "base/result.h"

namespace mayfly::workspace {

/// Closes its descriptor.
class FileHandle {
 public:
  explicit FileHandle(int fd = -1) : fd_(fd) {}
  FileHandle(FileHandle&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  FileHandle& operator=(FileHandle&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~FileHandle();
  int get() const { return fd_; }

 private:
  int fd_;
};

struct HostEntry {
  bool is_folder = false;
  std::int64_t size = 0;
  std::int64_t changed_ns = 0;  ///< mtime
  std::uint64_t inode = 0;
  bool operator==(const HostEntry&) const = default;
};

/// A folder of this machine and nothing outside it: every name is resolved beneath it, never through a symbolic link (openat2). Paths are
/// relative with a leading '/': "/a/b.txt"; "/" is the folder itself. Errors: `mirror.io`, `mirror.changed` (somebody was faster), `mirror.limit`.
class HostFolder {
 public:
  static constexpr std::size_t kEntriesMax = 100'000;
  static constexpr std::string_view kTemporary = ".mayfly-mirror-";

  static Result<HostFolder> open(const std::string& directory);

  /// Folders and ordinary files; all else is left alone. `enter` sees each folder's descriptor before it is read. Leftovers of interrupted
  /// downloads are removed.
  using Enter = std::function<Result<void>(const std::string& path, int folder)>;
  Result<std::map<std::string, HostEntry>> scan(const std::function<bool(const std::string&)>& ignored, const Enter& enter) const;
  Result<std::optional<HostEntry>> stat(const std::string& path) const;
  Result<FileHandle> read(const std::string& path) const;
  static Result<HostEntry> stat_open(const FileHandle& file);

  /// With all that is missing above.
  Result<void> make_folder(const std::string& path) const;
  /// A file only while it is as `expected`; a folder only when it is empty.
  Result<void> remove(const std::string& path, const HostEntry& expected) const;
  /// Never replaces.
  Result<void> rename(const std::string& from, const std::string& to) const;

  /// A file on its way in.
  struct Incoming {
    FileHandle folder, file;
    std::string name;
  };
  Result<Incoming> begin(const std::string& path) const;
  static Result<void> write(const Incoming& incoming, std::string_view bytes);
  /// Takes the place of what is there, if that is as `expected` (nothing: there must be nothing); keeps its mode. Durable when it returns.
  static Result<HostEntry> finish(Incoming incoming, const std::string& path, std::optional<HostEntry> expected);
  static void give_up(const Incoming& incoming);

 private:
  explicit HostFolder(FileHandle root) : root_(std::move(root)) {}
  Result<FileHandle> open_at(const std::string& path, int flags) const;
  FileHandle root_;
};

}  // namespace mayfly::workspace
