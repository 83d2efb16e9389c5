#include "function/code_package.h"

#include <archive.h>
#include <archive_entry.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "function/archive_handle.h"
#include "function/ignore_rules.h"
#include "testing/temporary_directory.h"

namespace mayfly::function {
namespace {

namespace fs = std::filesystem;

struct Entry {
  std::string name;
  std::string text;
  unsigned type = AE_IFREG;
  unsigned mode = 0644;
};

la_ssize_t append(struct archive*, void* to, const void* bytes, size_t count) {
  static_cast<std::string*>(to)->append(static_cast<const char*>(bytes), count);
  return static_cast<la_ssize_t>(count);
}

/// A zip file with any names and types, also evil ones.
CodePackage zip_of(const std::vector<Entry>& entries) {
  CodePackage out;
  const Archive zip(archive_write_new());
  archive_write_set_format_zip(zip.get());
  archive_write_set_bytes_per_block(zip.get(), 0);
  EXPECT_EQ(archive_write_open2(zip.get(), &out.zip, nullptr, append, nullptr, nullptr), ARCHIVE_OK);
  for (const Entry& one : entries) {
    const ArchiveEntry entry(archive_entry_new());
    archive_entry_set_pathname(entry.get(), one.name.c_str());
    archive_entry_set_filetype(entry.get(), one.type);
    archive_entry_set_perm(entry.get(), one.mode);
    archive_entry_set_size(entry.get(), one.type == AE_IFREG ? static_cast<la_int64_t>(one.text.size()) : 0);
    if (one.type == AE_IFLNK) archive_entry_set_symlink(entry.get(), one.text.c_str());
    EXPECT_EQ(archive_write_header(zip.get(), entry.get()), ARCHIVE_OK) << archive_error_string(zip.get());
    if (one.type == AE_IFREG) archive_write_data(zip.get(), one.text.data(), one.text.size());
  }
  archive_write_close(zip.get());
  return out;
}

class PackageTest : public testing::Test {
 protected:
  void write(const std::string& name, const std::string& text) {
    const fs::path path = fs::path(in_) / name;
    fs::create_directories(path.parent_path());
    std::ofstream(path) << text;
  }
  std::string read(const std::string& name) {
    std::ifstream file(out_ + "/" + name);
    std::stringstream text;
    text << file.rdbuf();
    return text.str();
  }
  /// The error's code; empty when it was accepted. A refused package must leave nothing.
  std::string unpack_code(const CodePackage& package, PackageLimits limits = {}) {
    const auto done = unpack(package, out_, limits);
    if (done) return "";
    EXPECT_FALSE(fs::exists(out_));
    EXPECT_FALSE(fs::exists(out_ + ".unpacking"));
    message_ = done.error().message;
    return done.error().code;
  }

  TemporaryDirectory directory_;
  const std::string in_ = directory_.path + "/in", out_ = directory_.path + "/out";
  std::string message_;
};

TEST_F(PackageTest, APackedFolderComesBackWithItsExecutableFilesAndLinks) {
  write("app.py", "def handler(event, context): return event\n");
  write("bin/tool", "#!/bin/sh\n");
  write("lib/grün.txt", "ä");
  write("empty", "");
  fs::permissions(in_ + "/bin/tool", fs::perms::owner_all);
  fs::create_symlink("../app.py", in_ + "/lib/app.py");
  const auto package = pack_folder(in_);
  ASSERT_TRUE(package) << package.error().message;
  ASSERT_EQ(unpack_code(*package), "") << message_;
  EXPECT_EQ(read("app.py"), "def handler(event, context): return event\n");
  EXPECT_EQ(read("lib/grün.txt"), "ä");
  EXPECT_EQ(read("lib/app.py"), read("app.py"));
  EXPECT_TRUE(fs::is_symlink(out_ + "/lib/app.py"));
  EXPECT_EQ(fs::file_size(out_ + "/empty"), 0u);
  EXPECT_EQ(fs::status(out_ + "/bin/tool").permissions(), static_cast<fs::perms>(0755));
  EXPECT_EQ(fs::status(out_ + "/app.py").permissions(), static_cast<fs::perms>(0644));
  EXPECT_EQ(fs::status(out_ + "/lib").permissions(), static_cast<fs::perms>(0755));
}

TEST_F(PackageTest, TheSameFilesGiveTheSameBytesWhateverTheirTimes) {
  write("b.py", "b");
  write("a.py", "a");
  const auto first = pack_folder(in_);
  fs::last_write_time(in_ + "/a.py", fs::file_time_type::clock::now() - std::chrono::hours(1000));
  const auto second = pack_folder(in_);
  ASSERT_TRUE(first && second);
  EXPECT_EQ(first->zip, second->zip);
  EXPECT_EQ(first->sha256_base64().size(), 44u);
  write("a.py", "A");
  EXPECT_NE(pack_folder(in_)->sha256_base64(), first->sha256_base64());
}

TEST_F(PackageTest, LeavesOutWhatTheIgnoreFileNames) {
  write(".mayflyignore", "*.log\n/build/\n!keep.log\n# a comment\ndocs/**/draft\n");
  for (const char* name : {"app.py", "x.log", "keep.log", "build/out", "sub/build/out", "sub/y.log", ".git/config", "__pycache__/app.pyc",
                           "docs/draft", "docs/a/b/draft", "docs/a/final"})
    write(name, "x");
  const auto package = pack_folder(in_);
  ASSERT_TRUE(package);
  ASSERT_EQ(unpack_code(*package), "");
  std::set<std::string> found;
  for (const auto& entry : fs::recursive_directory_iterator(out_))
    if (entry.is_regular_file()) found.insert(entry.path().lexically_relative(out_).string());
  EXPECT_EQ(found, (std::set<std::string>{"app.py", "keep.log", "sub/build/out", "docs/a/final"}));
}

TEST_F(PackageTest, SaysWhatItCannotPack) {
  EXPECT_EQ(pack_folder(in_).error().code, "package.unreadable");
  fs::create_directories(in_);
  EXPECT_EQ(pack_folder(in_).error().code, "package.unreadable");
  fs::create_symlink("/etc/passwd", in_ + "/secret");
  const auto out_of_it = pack_folder(in_);
  ASSERT_FALSE(out_of_it);
  EXPECT_NE(out_of_it.error().message.find("/etc/passwd"), std::string::npos);
  fs::remove(in_ + "/secret");
  write("a", std::string(1000, 'a'));
  write("b", "b");
  EXPECT_EQ(pack_folder(in_, {.files_max = 1}).error().code, "package.too_large");
  EXPECT_EQ(pack_folder(in_, {.unpacked_bytes_max = 1000}).error().code, "package.too_large");
  EXPECT_EQ(pack_folder(in_, {.packed_bytes_max = 50}).error().code, "package.too_large");
}

TEST_F(PackageTest, RefusesNamesThatLeadOut) {
  for (const char* name : {"../evil", "a/../../evil", "/etc/evil", "a/..", "..", "a//b"}) {
    EXPECT_EQ(unpack_code(zip_of({{"good", "x"}, {name, "x"}})), "package.invalid") << name;
    EXPECT_NE(message_.find(name), std::string::npos) << message_;
  }
  EXPECT_FALSE(fs::exists(directory_.path + "/evil"));
}

TEST_F(PackageTest, RefusesLinksThatLeadOutAndNeverWritesThroughOne) {
  for (const char* target : {"/etc/passwd", "../x", "a/../../x", "x/.."})
    EXPECT_EQ(unpack_code(zip_of({{"link", target, AE_IFLNK}})), "package.invalid") << target;
  // Each link alone looks harmless; together they would climb out.
  EXPECT_EQ(unpack_code(zip_of({{"a/here", ".", AE_IFLNK}, {"b", "a/here/here/../..", AE_IFLNK}})), "package.invalid");
  EXPECT_EQ(unpack_code(zip_of({{"d", ".", AE_IFLNK}, {"d/file", "x"}})), "package.invalid");
  EXPECT_EQ(unpack_code(zip_of({{"d/file", "x"}, {"d", ".", AE_IFLNK}})), "package.invalid");
  EXPECT_EQ(unpack_code(zip_of({{"d/f", "x"}, {"d/e/link", "../f", AE_IFLNK}})), "") << message_;
  EXPECT_EQ(read("d/e/link"), "x");
}

TEST_F(PackageTest, RefusesDuplicatesAndSpecialFiles) {
  EXPECT_EQ(unpack_code(zip_of({{"a", "1"}, {"a", "2"}})), "package.invalid");
  EXPECT_EQ(unpack_code(zip_of({{"a", "1"}, {"./a", "2"}})), "package.invalid");
  EXPECT_EQ(unpack_code(zip_of({{"a", "1"}, {"a/b", "2"}})), "package.invalid");
}

TEST_F(PackageTest, RefusesBombsAndTooManyFiles) {
  const CodePackage bomb = zip_of({{"zeros", std::string(4 << 20, '\0')}});
  ASSERT_LT(bomb.zip.size(), 64u << 10);
  EXPECT_EQ(unpack_code(bomb, {.unpacked_bytes_max = 1 << 20}), "package.too_large");
  EXPECT_EQ(unpack_code(zip_of({{"a", ""}, {"b", ""}, {"c", ""}}), {.files_max = 2}), "package.too_large");
  EXPECT_EQ(unpack_code(zip_of({{"a/b/c/d", ""}}), {.files_max = 2}), "package.too_large");
  EXPECT_EQ(unpack_code(zip_of({{"a", "abc"}}), {.packed_bytes_max = 10}), "package.too_large");
}

TEST_F(PackageTest, RefusesWhatIsNoZipFileOrDamaged) {
  EXPECT_EQ(unpack_code({""}), "package.invalid");
  EXPECT_EQ(unpack_code({"not a zip file at all"}), "package.invalid");
  EXPECT_EQ(unpack_code(zip_of({})), "package.invalid");
  EXPECT_EQ(unpack_code(zip_of({{"folder/", "", AE_IFDIR}})), "package.invalid");
  std::string varied;
  for (int i = 0; i < 2'000; ++i) varied += std::to_string(i * i);
  CodePackage damaged = zip_of({{"a", varied}});
  const std::size_t middle = damaged.zip.size() / 2;
  damaged.zip[middle] = static_cast<char>(damaged.zip[middle] ^ 0x55);
  EXPECT_EQ(unpack_code(damaged), "package.invalid");
  CodePackage cut = zip_of({{"a", "a"}, {"b", "b"}});
  cut.zip.resize(cut.zip.size() / 2);
  EXPECT_EQ(unpack_code(cut), "package.invalid");
}

TEST(IgnoreRules, FollowGitsPatterns) {
  IgnoreRules rules;
  rules.add("*.o\n/top\nsub/*.c\n**/deep\na/**\n[xy]?z\n!keep.o\nfolder/\nodd[\n");
  for (const char* path : {"a.o", "b/c.o", "top", "sub/x.c", "deep", "p/q/deep", "a/b", "a/b/c", "x1z"})
    EXPECT_TRUE(rules.ignores(path, false)) << path;
  for (const char* path : {"keep.o", "b/top", "sub/t/x.c", "z1z", "folder", "o", "a"}) EXPECT_FALSE(rules.ignores(path, false)) << path;
  EXPECT_TRUE(rules.ignores("b/folder", true));
  EXPECT_TRUE(rules.ignores("odd[", false));
}

}  // namespace
}  // namespace mayfly::function
