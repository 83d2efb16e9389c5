#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <optional>
#include <sstream>

#include "function/archive_handle.h"
#include "function/code_package.h"
#include "function/ignore_rules.h"

namespace mayfly::function {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kIgnoreFile = ".mayflyignore";
constexpr std::size_t kBufferBytes = 64 * 1024;

struct Item {
  std::string name;  ///< relative, with '/'
  fs::path path;
  bool is_link = false;
  bool is_executable = false;
};

std::unexpected<Error> unreadable(const fs::path& path, const std::string& reason) {
  return fail("package.unreadable", "cannot pack " + path.string() + ": " + reason);
}

std::unexpected<Error> too_large(const std::string& what) {
  return fail("package.too_large", what + "; leave files out with a .mayflyignore in the folder of the code");
}

bool is_left_out(std::string_view name, bool is_folder, const IgnoreRules& rules) {
  const std::string_view last = name.substr(name.rfind('/') + 1);
  return (is_folder && (last == ".git" || last == "__pycache__")) || name == kIgnoreFile || rules.ignores(name, is_folder);
}

Result<IgnoreRules> read_rules(const fs::path& folder) {
  IgnoreRules out;
  std::ifstream in(folder / kIgnoreFile);
  std::stringstream text;
  text << in.rdbuf();
  out.add(text.str());
  return out;
}

/// All files below a folder, sorted by name.
Result<std::vector<Item>> list_files(const fs::path& folder, const PackageLimits& limits) {
  std::error_code error;
  if (!fs::is_directory(folder, error)) return unreadable(folder, "it is not a folder");
  const auto rules = read_rules(folder);
  if (!rules) return fail(rules.error());
  std::vector<Item> out;
  fs::recursive_directory_iterator walk(folder, error);
  for (; !error && walk != fs::recursive_directory_iterator(); walk.increment(error)) {
    const fs::path& path = walk->path();
    std::string name = path.lexically_relative(folder).generic_string();
    const fs::file_status status = walk->symlink_status(error);
    if (error) break;
    const bool is_folder = fs::is_directory(status), is_link = fs::is_symlink(status);
    if (is_left_out(name, is_folder, *rules)) {
      if (is_folder) walk.disable_recursion_pending();
      continue;
    }
    if (is_folder) continue;
    if (!is_link && !fs::is_regular_file(status)) return unreadable(path, "it is neither a file nor a folder");
    if (out.size() >= limits.files_max) return too_large("the code has more than " + std::to_string(limits.files_max) + " files");
    const bool is_executable = (status.permissions() & fs::perms::owner_exec) != fs::perms::none;
    out.push_back({std::move(name), path, is_link, is_executable});
  }
  if (error) return unreadable(folder, error.message());
  std::ranges::sort(out, {}, &Item::name);
  return out;
}

Result<void> pack_link(struct archive* zip, struct archive_entry* entry, const Item& item) {
  std::error_code error;
  const std::string target = fs::read_symlink(item.path, error).string();
  if (error) return unreadable(item.path, error.message());
  if (!link_stays_inside(target, static_cast<std::size_t>(std::ranges::count(item.name, '/'))))
    return unreadable(item.path, "it is a link out of the folder (to " + target + "); copy the file instead");
  archive_entry_set_filetype(entry, AE_IFLNK);
  archive_entry_set_symlink(entry, target.c_str());
  archive_entry_set_perm(entry, 0777);
  if (archive_write_header(zip, entry) != ARCHIVE_OK) return unreadable(item.path, why(zip));
  return {};
}

Result<void> pack_file(struct archive* zip, struct archive_entry* entry, const Item& item, std::uint64_t bytes) {
  archive_entry_set_filetype(entry, AE_IFREG);
  archive_entry_set_perm(entry, item.is_executable ? 0755 : 0644);
  archive_entry_set_size(entry, static_cast<la_int64_t>(bytes));
  if (archive_write_header(zip, entry) != ARCHIVE_OK) return unreadable(item.path, why(zip));
  std::ifstream in(item.path, std::ios::binary);
  if (!in) return unreadable(item.path, "it cannot be opened");
  std::string buffer(kBufferBytes, '\0');
  std::uint64_t copied = 0;
  while (in.read(buffer.data(), static_cast<std::streamsize>(buffer.size())) || in.gcount() > 0) {
    const auto count = static_cast<std::size_t>(in.gcount());
    if (archive_write_data(zip, buffer.data(), count) != static_cast<la_ssize_t>(count)) return unreadable(item.path, why(zip));
    copied += count;
  }
  if (copied != bytes) return unreadable(item.path, "it changed while it was read; try again");
  return {};
}

la_ssize_t append(struct archive*, void* to, const void* bytes, size_t count) {
  static_cast<std::string*>(to)->append(static_cast<const char*>(bytes), count);
  return static_cast<la_ssize_t>(count);
}

}  // namespace

Result<CodePackage> pack_folder(const std::string& folder, PackageLimits limits) {
  const auto items = list_files(folder, limits);
  if (!items) return fail(items.error());
  if (items->empty()) return unreadable(folder, "it holds no files");
  CodePackage out;
  const Archive zip(archive_write_new());
  archive_write_set_format_zip(zip.get());
  archive_write_zip_set_compression_deflate(zip.get());
  archive_write_set_bytes_per_block(zip.get(), 0);
  if (archive_write_open2(zip.get(), &out.zip, nullptr, append, nullptr, nullptr) != ARCHIVE_OK) return unreadable(folder, why(zip.get()));
  std::uint64_t unpacked = 0;
  for (const Item& item : *items) {
    // Neither times nor owners: the same files give the same bytes.
    const ArchiveEntry entry(archive_entry_new());
    archive_entry_set_pathname(entry.get(), item.name.c_str());
    std::error_code error;
    const std::uint64_t bytes = item.is_link ? 0 : fs::file_size(item.path, error);
    if (error) return unreadable(item.path, error.message());
    unpacked += bytes;
    if (unpacked > limits.unpacked_bytes_max)
      return too_large("the code has more than " + std::to_string(limits.unpacked_bytes_max >> 20) + " MiB");
    const auto packed = item.is_link ? pack_link(zip.get(), entry.get(), item) : pack_file(zip.get(), entry.get(), item, bytes);
    if (!packed) return fail(packed.error());
  }
  if (archive_write_close(zip.get()) != ARCHIVE_OK) return unreadable(folder, why(zip.get()));
  if (out.zip.size() > limits.packed_bytes_max)
    return too_large("the packed code has more than " + std::to_string(limits.packed_bytes_max >> 20) + " MiB");
  return out;
}

}  // namespace mayfly::function
