#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/time.h"

namespace mayfly::function {

struct FunctionLogOptions {
  std::string directory;                          ///< one folder a function; empty: nothing is written to disk
  std::size_t file_bytes_max = 8 * 1024 * 1024;   ///< then a new file begins
  std::size_t files_max = 4;                      ///< of one function; the oldest goes
  std::size_t pending_bytes_max = 64 * 1024;      ///< written at the latest when so much waits
  std::size_t functions_open_max = 256;           ///< files kept open
};

/// The logs of all functions: lines "TIME INSTANCE TEXT" in DIRECTORY/FUNCTION/current.log, older ones in 1.log, 2.log, …
/// Writing is buffered until `flush`; a disk that refuses costs lines, never an invocation.
class FunctionLog {
 public:
  explicit FunctionLog(FunctionLogOptions options);
  ~FunctionLog();

  /// `text` is one line without its end; bytes that are no UTF-8 are replaced.
  void line(const std::string& function, TimePoint time, std::string_view instance, std::string_view text);
  void flush(const std::string& function);
  /// The last lines, oldest first. Reads at most 4 MiB from the end.
  std::vector<std::string> last(const std::string& function, std::size_t lines_max);

 private:
  struct File;
  File& file_of(const std::string& function);
  void rotate(const std::string& folder);
  std::string folder_of(const std::string& function) const;

  FunctionLogOptions options_;
  std::map<std::string, std::unique_ptr<File>> files_;
  std::uint64_t uses_ = 0;
  bool warned_ = false;
};

/// Cuts a stream of bytes into lines. A line of more than `line_bytes_max` is cut there.
class LineSplitter {
 public:
  static constexpr std::size_t kLineBytesMax = 256 * 1024;
  /// Calls `take` with each whole line, without its "\n" or "\r\n".
  template <class Take>
  void feed(std::string_view bytes, Take take) {
    for (;;) {
      const auto end = bytes.find('\n');
      const std::string_view part = bytes.substr(0, end);
      if (end == std::string_view::npos && rest_.size() + part.size() < kLineBytesMax) {
        rest_ += part;
        return;
      }
      if (rest_.size() + part.size() > kLineBytesMax) {
        const std::size_t fits = kLineBytesMax - rest_.size();
        rest_ += part.substr(0, fits);
        take(std::string_view(rest_));
        rest_.clear();
        bytes.remove_prefix(fits);
        continue;
      }
      rest_ += part;
      std::string_view line = rest_;
      if (line.ends_with('\r')) line.remove_suffix(1);
      take(line);
      rest_.clear();
      if (end == std::string_view::npos) return;
      bytes.remove_prefix(end + 1);
    }
  }
  /// What came after the last end of a line.
  template <class Take>
  void finish(Take take) {
    if (rest_.empty()) return;
    take(std::string_view(rest_));
    rest_.clear();
  }

 private:
  std::string rest_;
};

/// The end of what one invocation logged.
class LogTail {
 public:
  static constexpr std::size_t kBytesMax = 4096;
  void add(std::string_view line);
  /// At most kBytesMax bytes, cut at the beginning of a line where one line is not longer than that.
  std::string text() const;

 private:
  std::string bytes_;
};

}  // namespace mayfly::function
