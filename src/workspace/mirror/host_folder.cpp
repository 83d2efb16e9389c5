#include "workspace/mirror/host_folder.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <memory>
#include <vector>

#include "base/hash.h"
#include "base/id.h"
#include "workspace/paths.h"

namespace mayfly::workspace {
namespace {

std::unexpected<Error> io(const std::string& what, const std::string& path, int error = errno) {
  return fail("mirror.io", "cannot " + what + " '" + path + "': " + std::strerror(error) + "; check the folder and its permissions", Retry::Safe);
}

std::unexpected<Error> changed(const std::string& path) {
  return fail("mirror.changed", "'" + path + "' changed at the same time; it is looked at again", Retry::Safe);
}

HostEntry entry_of(const struct stat& from) {
  HostEntry out;
  out.is_folder = S_ISDIR(from.st_mode);
  if (!out.is_folder) {
    out.size = from.st_size;
    out.changed_ns = static_cast<std::int64_t>(from.st_mtim.tv_sec) * 1'000'000'000 + from.st_mtim.tv_nsec;
  }
  out.inode = from.st_ino;
  return out;
}

bool is_ours(const struct stat& from) { return S_ISDIR(from.st_mode) || S_ISREG(from.st_mode); }

std::optional<struct stat> stat_at(int folder, const std::string& name) {
  struct stat out {};
  if (::fstatat(folder, name.c_str(), &out, AT_SYMLINK_NOFOLLOW) != 0) return std::nullopt;
  return out;
}

std::string temporary_name() { return std::string(HostFolder::kTemporary) + to_hex(secure_random_bytes(8)); }

/// Moves a file aside, looks whether it is what was expected, and puts it back when not: nobody's bytes are lost between a look and a change.
Result<void> take_away(int folder, const std::string& name, const HostEntry& expected, const std::string& path) {
  const std::string aside = temporary_name();
  if (::renameat2(folder, name.c_str(), folder, aside.c_str(), RENAME_NOREPLACE) != 0) return io("remove", path);
  const auto found = stat_at(folder, aside);
  if (!found || entry_of(*found) != expected) {
    // When the place is taken again the bytes stay under a name that people see.
    if (::renameat2(folder, aside.c_str(), folder, name.c_str(), RENAME_NOREPLACE) != 0) {
      const std::string kept = name + " (kept " + aside.substr(HostFolder::kTemporary.size(), 6) + ")";
      ::renameat2(folder, aside.c_str(), folder, kept.c_str(), RENAME_NOREPLACE);
    }
    return changed(path);
  }
  if (::unlinkat(folder, aside.c_str(), 0) != 0) return io("remove", path);
  return {};
}

}  // namespace

FileHandle::~FileHandle() {
  if (fd_ >= 0) ::close(fd_);
}

Result<HostFolder> HostFolder::open(const std::string& directory) {
  const int fd = ::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
  if (fd < 0) return io("open", directory);
  return HostFolder(FileHandle(fd));
}

Result<FileHandle> HostFolder::open_at(const std::string& path, int flags) const {
  const std::string relative = path == "/" ? "." : path.substr(1);
  struct open_how how {};
  how.flags = static_cast<std::uint64_t>(flags) | O_CLOEXEC | O_NOFOLLOW;
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_XDEV;
  const long fd = ::syscall(SYS_openat2, root_.get(), relative.c_str(), &how, sizeof how);
  if (fd < 0 && (errno == ENOENT || errno == ENOTDIR)) return fail("mirror.missing", "'" + path + "' is not there any more", Retry::Safe);
  if (fd < 0) return io("open", path);
  return FileHandle(static_cast<int>(fd));
}

Result<std::map<std::string, HostEntry>> HostFolder::scan(const std::function<bool(const std::string&)>& ignored, const Enter& enter) const {
  std::map<std::string, HostEntry> out;
  std::vector<std::string> folders{"/"};
  while (!folders.empty()) {
    const std::string folder = std::move(folders.back());
    folders.pop_back();
    auto opened = open_at(folder, O_RDONLY | O_DIRECTORY);
    // A folder that has just gone will be told of again.
    if (!opened && folder != "/" && opened.error().code == "mirror.missing") continue;
    if (!opened) return fail(opened.error());
    if (auto entered = enter(folder, opened->get()); !entered) return fail(entered.error());
    const int copy = ::fcntl(opened->get(), F_DUPFD_CLOEXEC, 0);
    const std::unique_ptr<DIR, int (*)(DIR*)> listing(copy < 0 ? nullptr : ::fdopendir(copy), ::closedir);
    if (!listing) return io("list", folder);
    while (const dirent* item = ::readdir(listing.get())) {
      const std::string name = item->d_name;
      if (name == "." || name == "..") continue;
      if (name.starts_with(kTemporary)) {
        ::unlinkat(opened->get(), name.c_str(), 0);
        continue;
      }
      const std::string path = join_path(folder, name);
      const auto found = stat_at(opened->get(), name);
      if (!found || !is_ours(*found) || ignored(path)) continue;
      if (out.size() >= kEntriesMax) return fail("mirror.limit", "the folder holds more than 100,000 files; mirror a smaller one or ignore some");
      out.emplace(path, entry_of(*found));
      if (S_ISDIR(found->st_mode)) folders.push_back(path);
    }
  }
  return out;
}

Result<std::optional<HostEntry>> HostFolder::stat(const std::string& path) const {
  auto parent = open_at(parent_path(path), O_PATH | O_DIRECTORY);
  if (!parent && parent.error().code == "mirror.missing") return std::nullopt;
  if (!parent) return fail(parent.error());
  const auto found = stat_at(parent->get(), base_name(path));
  if (!found && errno != ENOENT) return io("look at", path);
  if (!found || !is_ours(*found)) return std::nullopt;
  return entry_of(*found);
}

Result<FileHandle> HostFolder::read(const std::string& path) const {
  auto file = open_at(path, O_RDONLY | O_NONBLOCK);
  if (!file) return file;
  struct stat found {};
  if (::fstat(file->get(), &found) != 0) return io("read", path);
  if (!S_ISREG(found.st_mode)) return changed(path);
  return file;
}

Result<HostEntry> HostFolder::stat_open(const FileHandle& file) {
  struct stat found {};
  if (::fstat(file.get(), &found) != 0) return io("read", "a file");
  return entry_of(found);
}

Result<void> HostFolder::make_folder(const std::string& path) const {
  if (path == "/") return {};
  if (auto made = make_folder(parent_path(path)); !made) return made;
  auto parent = open_at(parent_path(path), O_RDONLY | O_DIRECTORY);
  if (!parent) return fail(parent.error());
  if (::mkdirat(parent->get(), base_name(path).c_str(), 0755) != 0 && errno != EEXIST) return io("make the folder", path);
  auto made = open_at(path, O_PATH | O_DIRECTORY);
  if (!made) return fail(made.error());
  return {};
}

Result<void> HostFolder::remove(const std::string& path, const HostEntry& expected) const {
  auto parent = open_at(parent_path(path), O_RDONLY | O_DIRECTORY);
  if (!parent) return fail(parent.error());
  const std::string name = base_name(path);
  if (!expected.is_folder) return take_away(parent->get(), name, expected, path);
  if (::unlinkat(parent->get(), name.c_str(), AT_REMOVEDIR) != 0 && errno != ENOENT) return io("remove", path);
  return {};
}

Result<void> HostFolder::rename(const std::string& from, const std::string& to) const {
  if (auto made = make_folder(parent_path(to)); !made) return made;
  auto source = open_at(parent_path(from), O_RDONLY | O_DIRECTORY), target = open_at(parent_path(to), O_RDONLY | O_DIRECTORY);
  if (!source) return fail(source.error());
  if (!target) return fail(target.error());
  if (::renameat2(source->get(), base_name(from).c_str(), target->get(), base_name(to).c_str(), RENAME_NOREPLACE) != 0) return io("rename", from);
  return {};
}

Result<HostFolder::Incoming> HostFolder::begin(const std::string& path) const {
  if (auto made = make_folder(parent_path(path)); !made) return fail(made.error());
  auto parent = open_at(parent_path(path), O_RDONLY | O_DIRECTORY);
  if (!parent) return fail(parent.error());
  Incoming out;
  out.name = temporary_name();
  out.file = FileHandle(::openat(parent->get(), out.name.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0644));
  if (out.file.get() < 0) return io("write", path);
  out.folder = std::move(*parent);
  return out;
}

Result<void> HostFolder::write(const Incoming& incoming, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t count = ::write(incoming.file.get(), bytes.data(), bytes.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return io("write", incoming.name);
    bytes.remove_prefix(static_cast<std::size_t>(count));
  }
  return {};
}

void HostFolder::give_up(const Incoming& incoming) { ::unlinkat(incoming.folder.get(), incoming.name.c_str(), 0); }

Result<HostEntry> HostFolder::finish(Incoming incoming, const std::string& path, std::optional<HostEntry> expected) {
  const std::string name = base_name(path);
  const int folder = incoming.folder.get();
  const auto there = stat_at(folder, name);
  if (there.has_value() != expected.has_value() || (there && entry_of(*there) != *expected)) {
    give_up(incoming);
    return changed(path);
  }
  if (there) ::fchmod(incoming.file.get(), there->st_mode & 07777);
  if (::fsync(incoming.file.get()) != 0) return io("write", path);
  if (::renameat2(folder, incoming.name.c_str(), folder, name.c_str(), there ? RENAME_EXCHANGE : RENAME_NOREPLACE) != 0) {
    give_up(incoming);
    return changed(path);
  }
  if (there) {
    // The old file has our temporary name now; if somebody wrote it in between it goes back.
    const auto old = stat_at(folder, incoming.name);
    if (!old || entry_of(*old) != *expected) {
      ::renameat2(folder, incoming.name.c_str(), folder, name.c_str(), RENAME_EXCHANGE);
      give_up(incoming);
      return changed(path);
    }
    give_up(incoming);
  }
  ::fsync(folder);
  return stat_open(incoming.file);
}

}  // namespace mayfly::workspace
