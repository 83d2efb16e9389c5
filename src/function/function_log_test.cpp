#include "function/function_log.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "testing/temporary_directory.h"

namespace mayfly::function {
namespace {

TEST(FunctionLog, GivesTheLastLinesAcrossFilesAndStaysBounded) {
  TemporaryDirectory directory;
  FunctionLog log({.directory = directory.path, .file_bytes_max = 2'000, .files_max = 3, .pending_bytes_max = 100});
  for (int i = 0; i < 1'000; ++i) log.line("f", from_unix_ms(1'795'000'000'000), "fn-1", "line " + std::to_string(i));
  const auto last = log.last("f", 40);
  ASSERT_EQ(last.size(), 40u);
  EXPECT_TRUE(last.front().ends_with("Z fn-1 line 960")) << last.front();
  EXPECT_TRUE(last.back().ends_with(" line 999"));
  std::uintmax_t bytes = 0;
  std::size_t files = 0;
  for (const auto& file : std::filesystem::directory_iterator(directory.path + "/f")) {
    bytes += file.file_size();
    ++files;
  }
  EXPECT_EQ(files, 3u);
  EXPECT_LE(bytes, 3u * 2'000u);
}

TEST(FunctionLog, GoesOnWhereAnEarlierProcessStopped) {
  TemporaryDirectory directory;
  { FunctionLog(FunctionLogOptions{.directory = directory.path}).line("f", from_unix_ms(0), "a", "before"); }
  FunctionLog log({.directory = directory.path});
  log.line("f", from_unix_ms(0), "b", "after \xff");
  const auto lines = log.last("f", 10);
  ASSERT_EQ(lines.size(), 2u);
  EXPECT_TRUE(lines[0].ends_with("a before"));
  EXPECT_TRUE(lines[1].ends_with("b after \xef\xbf\xbd")) << "no broken UTF-8 in the file";
  EXPECT_TRUE(log.last("other", 10).empty());
}

TEST(FunctionLog, LosesLinesButNothingElseWithoutADisk) {
  FunctionLog log({.directory = "/proc/no-such-folder"});
  log.line("f", from_unix_ms(0), "a", "lost");
  EXPECT_TRUE(log.last("f", 10).empty());
}

TEST(LineSplitter, CutsLinesWhereverTheBytesAreCut) {
  const std::string text = "one\ntwo\r\n\nthree";
  for (std::size_t cut = 0; cut <= text.size(); ++cut) {
    LineSplitter splitter;
    std::vector<std::string> lines;
    const auto take = [&](std::string_view line) { lines.emplace_back(line); };
    splitter.feed(std::string_view(text).substr(0, cut), take);
    splitter.feed(std::string_view(text).substr(cut), take);
    splitter.finish(take);
    EXPECT_EQ(lines, (std::vector<std::string>{"one", "two", "", "three"})) << cut;
  }
}

TEST(LineSplitter, BoundsALineWithoutEnd) {
  LineSplitter splitter;
  std::vector<std::size_t> sizes;
  const auto take = [&](std::string_view line) { sizes.push_back(line.size()); };
  for (int i = 0; i < 10; ++i) splitter.feed(std::string(100'000, 'x'), take);
  splitter.finish(take);
  EXPECT_EQ(sizes, (std::vector<std::size_t>{262'144, 262'144, 262'144, 1'000'000 - 3 * 262'144}));
}

TEST(LogTail, KeepsTheLastFourKibibytesFromTheBeginningOfALine) {
  LogTail tail;
  for (int i = 0; i < 10'000; ++i) tail.add("line " + std::to_string(i));
  EXPECT_LE(tail.text().size(), LogTail::kBytesMax);
  EXPECT_TRUE(tail.text().starts_with("line 9"));
  EXPECT_TRUE(tail.text().ends_with("line 9999\n"));
}

}  // namespace
}  // namespace mayfly::function
