#include "function/function_log.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>

#include "base/json.h"
#include "base/log.h"

namespace mayfly::function {
namespace {

constexpr std::string_view kCurrent = "current.log";
constexpr std::size_t kReadBytesMax = 4 * 1024 * 1024;
constexpr std::size_t kTailSlack = 4 * LogTail::kBytesMax;

std::string older_name(std::size_t number) { return fmt::format("{}.log", number); }

std::string read_end(const std::string& path, std::size_t bytes_max) {
  std::ifstream in(path, std::ios::binary | std::ios::ate);
  if (!in) return {};
  const auto size = static_cast<std::size_t>(in.tellg());
  const std::size_t wanted = std::min(size, bytes_max);
  std::string out(wanted, '\0');
  in.seekg(static_cast<std::streamoff>(size - wanted));
  in.read(out.data(), static_cast<std::streamsize>(wanted));
  out.resize(static_cast<std::size_t>(in.gcount()));
  // The first line is only whole when the file was read whole.
  if (wanted < size) out.erase(0, out.find('\n') == std::string::npos ? out.size() : out.find('\n') + 1);
  return out;
}

void prepend_lines(std::deque<std::string>& lines, std::string_view text, std::size_t lines_max) {
  while (!text.empty() && lines.size() < lines_max) {
    if (text.ends_with('\n')) text.remove_suffix(1);
    const auto start = text.rfind('\n');
    const std::size_t from = start == std::string_view::npos ? 0 : start + 1;
    lines.emplace_front(text.substr(from));
    text = text.substr(0, from);
  }
}

}  // namespace

struct FunctionLog::File {
  int fd = -1;
  std::size_t bytes = 0;
  std::string pending;
  std::uint64_t used = 0;

  ~File() {
    if (fd >= 0) ::close(fd);
  }
};

FunctionLog::FunctionLog(FunctionLogOptions options) : options_(std::move(options)) {}

FunctionLog::~FunctionLog() {
  for (const auto& [function, file] : files_) flush(function);
}

std::string FunctionLog::folder_of(const std::string& function) const { return options_.directory + "/" + function; }

FunctionLog::File& FunctionLog::file_of(const std::string& function) {
  auto found = files_.find(function);
  if (found == files_.end()) {
    if (files_.size() >= options_.functions_open_max) {
      const auto oldest = std::ranges::min_element(files_, {}, [](const auto& entry) { return entry.second->used; });
      flush(std::string(oldest->first));
      files_.erase(oldest);
    }
    found = files_.emplace(function, std::make_unique<File>()).first;
  }
  found->second->used = ++uses_;
  return *found->second;
}

void FunctionLog::line(const std::string& function, TimePoint time, std::string_view instance, std::string_view text) {
  File& file = file_of(function);
  file.pending.append(to_rfc3339(time)).append(" ").append(instance).append(" ");
  const std::size_t from = file.pending.size();
  if (is_utf8(text)) {
    file.pending.append(text);
  } else {
    file.pending.append(to_utf8_lossy(text));
  }
  // One entry is one line, whatever it holds. Runtimes hold the lines of a trace together by carriage returns.
  std::replace(file.pending.begin() + static_cast<std::ptrdiff_t>(from), file.pending.end(), '\n', '\r');
  file.pending += '\n';
  if (file.pending.size() >= options_.pending_bytes_max) flush(function);
}

void FunctionLog::rotate(const std::string& folder) {
  std::error_code ignored;
  const std::size_t older = options_.files_max > 0 ? options_.files_max - 1 : 0;
  std::filesystem::remove(folder + "/" + older_name(older), ignored);
  for (std::size_t i = older; i > 1; --i) {
    std::filesystem::rename(folder + "/" + older_name(i - 1), folder + "/" + older_name(i), ignored);
  }
  const std::string current = folder + "/" + std::string(kCurrent);
  if (older > 0) {
    std::filesystem::rename(current, folder + "/" + older_name(1), ignored);
  } else {
    std::filesystem::remove(current, ignored);
  }
}

void FunctionLog::flush(const std::string& function) {
  const auto found = files_.find(function);
  if (found == files_.end() || found->second->pending.empty()) return;
  File& file = *found->second;
  const std::string pending = std::exchange(file.pending, {});
  if (options_.directory.empty()) return;
  const std::string folder = folder_of(function);
  if (file.fd >= 0 && file.bytes + pending.size() > options_.file_bytes_max) {
    ::close(std::exchange(file.fd, -1));
    rotate(folder);
  }
  if (file.fd < 0) {
    std::error_code ignored;
    std::filesystem::create_directories(folder, ignored);
    file.fd = ::open((folder + "/" + std::string(kCurrent)).c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0640);
    struct stat about{};
    file.bytes = file.fd >= 0 && ::fstat(file.fd, &about) == 0 ? static_cast<std::size_t>(about.st_size) : 0;
  }
  std::string_view left = pending;
  while (file.fd >= 0 && !left.empty()) {
    const auto count = ::write(file.fd, left.data(), left.size());
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) break;
    file.bytes += static_cast<std::size_t>(count);
    left.remove_prefix(static_cast<std::size_t>(count));
  }
  if (!left.empty() && !std::exchange(warned_, true)) {
    log::warn("cannot write a function's log; its lines are lost until the disk takes them",
              {{"folder", folder}, {"error", std::strerror(errno)}});
  }
}

std::vector<std::string> FunctionLog::last(const std::string& function, std::size_t lines_max) {
  flush(function);
  std::deque<std::string> lines;
  const std::string folder = folder_of(function);
  std::size_t budget = options_.directory.empty() ? 0 : kReadBytesMax;
  for (std::size_t i = 0; i < options_.files_max && lines.size() < lines_max && budget > 0; ++i) {
    const std::string text = read_end(folder + "/" + (i == 0 ? std::string(kCurrent) : older_name(i)), budget);
    budget -= std::min(budget, text.size());
    prepend_lines(lines, text, lines_max);
  }
  return {std::make_move_iterator(lines.begin()), std::make_move_iterator(lines.end())};
}

void LogTail::add(std::string_view line) {
  if (line.size() > kBytesMax) line.remove_prefix(line.size() - kBytesMax);
  bytes_.append(line).append("\n");
  if (bytes_.size() > kTailSlack) bytes_.erase(0, bytes_.size() - kBytesMax - 1);
}

std::string LogTail::text() const {
  if (bytes_.size() <= kBytesMax) return bytes_;
  std::string_view tail = std::string_view(bytes_).substr(bytes_.size() - kBytesMax);
  const auto start = tail.find('\n');
  if (start != std::string_view::npos && start + 1 < tail.size()) tail.remove_prefix(start + 1);
  return std::string(tail);
}

}  // namespace mayfly::function
