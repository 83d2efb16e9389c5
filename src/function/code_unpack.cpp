#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <set>

#include "base/json.h"
#include "function/archive_handle.h"
#include "function/code_package.h"

namespace mayfly::function {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kNameBytesMax = 1'024, kPartBytesMax = 255, kDepthMax = 64, kLinkBytesMax = 1'024;
constexpr std::size_t kBufferBytes = 64 * 1024;

std::string shown(std::string_view name) { return "'" + to_utf8_lossy(name.substr(0, 200)) + "'"; }

std::unexpected<Error> invalid(const std::string& what) { return fail("package.invalid", what); }

std::unexpected<Error> refused(std::string_view name, const std::string& reason) {
  return invalid("the entry " + shown(name) + " of the zip file " + reason);
}

/// Without a "/" at the end. Error: names that lead elsewhere.
Result<std::string> checked_name(std::string_view name) {
  const std::string_view whole = name;
  while (name.ends_with('/')) name.remove_suffix(1);
  while (name.starts_with("./")) name.remove_prefix(2);
  if (name == ".") return std::string();
  if (name.empty() || name.size() > kNameBytesMax) return refused(whole, "has no name, or one of more than 1,024 bytes");
  if (name.starts_with('/')) return refused(whole, "has an absolute name; pack relative names");
  std::size_t depth = 0;
  for (std::string_view rest = name; !rest.empty();) {
    const auto end = std::min(rest.find('/'), rest.size());
    const std::string_view part = rest.substr(0, end);
    if (part == "..") return refused(whole, "leads out of the folder with \"..\"");
    if (part.empty() || part == "." || part.size() > kPartBytesMax) return refused(whole, "has an empty or too long part in its name");
    if (++depth > kDepthMax) return refused(whole, "lies deeper than 64 folders");
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  return std::string(name);
}

std::size_t depth_of(std::string_view name) { return static_cast<std::size_t>(std::ranges::count(name, '/')); }

class Unpacker {
 public:
  Unpacker(std::string folder, PackageLimits limits) : folder_(std::move(folder)), limits_(limits) {}

  Result<void> read(const std::string& zip_bytes) {
    const Archive zip(archive_read_new());
    archive_read_support_format_zip_seekable(zip.get());
    if (archive_read_open_memory(zip.get(), zip_bytes.data(), zip_bytes.size()) != ARCHIVE_OK) return not_a_zip();
    while (true) {
      struct archive_entry* entry = nullptr;
      const int status = archive_read_next_header(zip.get(), &entry);
      if (status == ARCHIVE_EOF) break;
      if (status != ARCHIVE_OK && status != ARCHIVE_WARN) return not_a_zip();
      if (auto taken = take(zip.get(), entry); !taken) return taken;
    }
    if (files_ == 0) return invalid("the zip file holds no files: Uploaded file must be a non-empty zip");
    if (auto open = open_folders(); !open) return open;
    return make_links();
  }

  /// So that a crash after the answer loses nothing.
  Result<void> sync() const {
    const int root = ::open(folder_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    const bool done = root >= 0 && ::syncfs(root) == 0;
    if (root >= 0) ::close(root);
    if (!done) return invalid("the unpacked code cannot be written to disk; is it full?");
    return {};
  }

 private:
  static std::unexpected<Error> not_a_zip() {
    return invalid("Could not unzip uploaded file. Please check your file, then try to upload again.");
  }

  /// Remembers a name once as a file; folders may come again. A folder on the way to it must not be a file or link.
  Result<void> claim(const std::string& name, bool is_folder) {
    for (auto slash = name.find('/'); slash != std::string::npos; slash = name.find('/', slash + 1)) {
      const auto [found, is_new] = names_.emplace(name.substr(0, slash), true);
      if (!found->second) return refused(name, "lies in something that is a file");
      if (is_new && names_.size() > limits_.files_max) return too_many();
    }
    const auto [found, is_new] = names_.emplace(name, is_folder);
    if (!is_new && !(found->second && is_folder)) return refused(name, "comes twice");
    if (names_.size() > limits_.files_max) return too_many();
    return {};
  }

  std::unexpected<Error> too_many() const {
    return fail("package.too_large", "the zip file holds more than " + std::to_string(limits_.files_max) + " files and folders");
  }

  Result<void> take(struct archive* zip, struct archive_entry* entry) {
    const char* text = archive_entry_pathname_utf8(entry);
    if (!text) text = archive_entry_pathname(entry);
    if (!text) return refused("?", "has a name in an unknown encoding; pack it with UTF-8 names");
    auto name = checked_name(text);
    if (!name) return fail(name.error());
    const auto type = archive_entry_filetype(entry);
    const bool is_folder = type == AE_IFDIR || std::string_view(text).ends_with('/');
    if (name->empty()) return is_folder ? Result<void>{} : refused(text, "has no name");
    if (archive_entry_is_data_encrypted(entry)) return refused(text, "is encrypted; pack it without a password");
    if (archive_entry_hardlink(entry)) return refused(text, "is a hard link");
    if (!is_folder && type != AE_IFREG && type != AE_IFLNK) return refused(text, "is neither a file, a folder nor a link");
    if (auto claimed = claim(*name, is_folder); !claimed) return claimed;
    if (auto made = is_folder ? make_folder(*name) : make_parent(*name); !made || is_folder) return made;
    ++files_;
    return type == AE_IFLNK ? take_link(*name, entry) : write_file(zip, *name, (archive_entry_perm(entry) & 0111) != 0);
  }

  Result<void> make_folder(const std::string& name) {
    std::error_code error;
    fs::create_directories(folder_ + "/" + name, error);
    if (error) return refused(name, "cannot be made: " + error.message());
    return {};
  }

  Result<void> take_link(const std::string& name, struct archive_entry* entry) {
    const char* target = archive_entry_symlink(entry);
    if (!target) target = archive_entry_symlink_utf8(entry);
    const std::string_view text = target ? target : "";
    if (text.empty() || text.size() > kLinkBytesMax || !link_stays_inside(text, depth_of(name)))
      return refused(name, "is a symbolic link that leads out of the folder");
    links_.emplace(name, text);
    return {};
  }

  /// The function runs as another user than the server, whose umask may be strict.
  Result<void> open_folders() const {
    if (::chmod(folder_.c_str(), 0755) != 0) return invalid("the folder of the unpacked code cannot be made readable");
    for (const auto& [name, is_folder] : names_)
      if (is_folder && ::chmod((folder_ + "/" + name).c_str(), 0755) != 0) return refused(name, "cannot be made readable");
    return {};
  }

  /// Last, so that nothing is ever written through one.
  Result<void> make_links() {
    for (const auto& [name, target] : links_)
      if (::symlink(target.c_str(), (folder_ + "/" + name).c_str()) != 0) return refused(name, "cannot be made as a link");
    return {};
  }

  Result<void> make_parent(const std::string& name) {
    const auto slash = name.rfind('/');
    return slash == std::string::npos ? Result<void>{} : make_folder(name.substr(0, slash));
  }

  Result<void> write_file(struct archive* zip, const std::string& name, bool is_executable) {
    const std::string path = folder_ + "/" + name;
    const int file = ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (file < 0) return refused(name, "cannot be written; is the disk full?");
    auto done = copy(zip, name, file);
    if (done && ::fchmod(file, is_executable ? 0755 : 0644) != 0) done = refused(name, "cannot be made readable");
    ::close(file);
    return done;
  }

  Result<void> copy(struct archive* zip, const std::string& name, int file) {
    while (true) {
      const la_ssize_t count = archive_read_data(zip, buffer_.data(), buffer_.size());
      if (count < 0) return refused(name, "is damaged: " + why(zip));
      if (count == 0) return {};
      bytes_ += static_cast<std::uint64_t>(count);
      if (bytes_ > limits_.unpacked_bytes_max)
        return fail("package.too_large", "Unzipped size must be smaller than " + std::to_string(limits_.unpacked_bytes_max) + " bytes");
      if (::write(file, buffer_.data(), static_cast<std::size_t>(count)) != count)
        return refused(name, "cannot be written; is the disk full?");
    }
  }

  std::string folder_;
  PackageLimits limits_;
  std::map<std::string, bool> names_;  ///< true: a folder
  std::map<std::string, std::string> links_;
  std::size_t files_ = 0;
  std::uint64_t bytes_ = 0;
  std::string buffer_ = std::string(kBufferBytes, '\0');
};

}  // namespace

bool link_stays_inside(std::string_view target, std::size_t folder_depth) {
  if (target.starts_with('/')) return false;
  bool named = false;
  while (!target.empty()) {
    const auto end = std::min(target.find('/'), target.size());
    const std::string_view part = target.substr(0, end);
    target.remove_prefix(std::min(end + 1, target.size()));
    if (part.empty() || part == ".") continue;
    if (part != "..") {
      named = true;
    } else if (named || folder_depth-- == 0) {
      return false;
    }
  }
  return true;
}

Result<void> unpack(const CodePackage& package, const std::string& folder, PackageLimits limits) {
  if (package.zip.size() > limits.packed_bytes_max)
    return fail("package.too_large", "the zip file has more than " + std::to_string(limits.packed_bytes_max >> 20) + " MiB");
  std::error_code error;
  if (fs::exists(folder, error)) return invalid("the folder " + folder + " is there already");
  const std::string unfinished = folder + ".unpacking";
  fs::remove_all(unfinished, error);
  fs::create_directories(unfinished, error);
  if (error) return invalid("cannot make the folder " + unfinished + ": " + error.message());
  Unpacker unpacker(unfinished, limits);
  auto done = unpacker.read(package.zip);
  if (done) done = unpacker.sync();
  if (done) {
    fs::rename(unfinished, folder, error);
    if (error) done = invalid("cannot make the folder " + folder + ": " + error.message());
  }
  if (!done) fs::remove_all(unfinished, error);
  return done;
}

}  // namespace mayfly::function
