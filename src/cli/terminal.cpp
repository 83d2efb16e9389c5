#include "cli/terminal.h"

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iostream>

namespace mayfly::cli {

ExitCode exit_code_of(const Error& error) {
  const std::string& code = error.code;
  if (code == "usage" || code == "input.invalid" || code == "input.too_large" || code == "net.invalid_url") return ExitCode::Usage;
  if (code.starts_with("net.")) return ExitCode::Unreachable;
  if (code.starts_with("auth.") || code == "http.401" || code == "http.403") return ExitCode::NotAuthorised;
  if (code.ends_with("not_found") || code == "http.404") return ExitCode::NotFound;
  return ExitCode::Failed;
}

Terminal::Terminal()
    : in_is_terminal_(::isatty(STDIN_FILENO) == 1),
      out_is_terminal_(::isatty(STDOUT_FILENO) == 1),
      err_is_terminal_(::isatty(STDERR_FILENO) == 1) {
  const char* no_color = std::getenv("NO_COLOR");
  const char* term = std::getenv("TERM");
  const bool wanted = (no_color == nullptr || *no_color == '\0') && !(term != nullptr && std::string_view(term) == "dumb");
  out_colour_ = wanted && out_is_terminal_;
  err_colour_ = wanted && err_is_terminal_;
  winsize size{};
  if (out_is_terminal_ && ::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) width_ = size.ws_col;
}

void Terminal::print(std::string_view text) const {
  std::fwrite(text.data(), 1, text.size(), stdout);
  std::fflush(stdout);
}

void Terminal::line(std::string_view text) const { print(std::string(text) + "\n"); }

void Terminal::note_part(std::string_view text) const {
  std::fwrite(text.data(), 1, text.size(), stderr);
  std::fflush(stderr);
}

void Terminal::note(std::string_view text) const { note_part(std::string(text) + "\n"); }

ExitCode Terminal::error(const Error& error) const {
  note(fmt::format("{} {} {}", note_ink(Ink::Red, "error:"), printable(error.message),
                   note_ink(Ink::Dim, fmt::format("({})", printable(error.code)))));
  return exit_code_of(error);
}

std::optional<std::string> Terminal::ask(std::string_view prompt) const {
  note_part(prompt);
  std::string line;
  if (!std::getline(std::cin, line)) return std::nullopt;
  if (line.ends_with('\r')) line.pop_back();
  return line;
}

namespace {

Result<std::string> read_stream(std::FILE* file, std::string_view name, std::size_t bytes_max) {
  std::string out;
  std::array<char, 64 * 1024> chunk{};
  while (const std::size_t size = std::fread(chunk.data(), 1, chunk.size(), file)) {
    out.append(chunk.data(), size);
    if (out.size() > bytes_max) return fail("input.too_large", fmt::format("{} is larger than {} bytes; make it smaller", name, bytes_max));
  }
  if (std::ferror(file) != 0) return fail("input.invalid", fmt::format("{} cannot be read; check that it is a readable file", name));
  return out;
}

}  // namespace

Result<std::string> read_standard_input(std::size_t bytes_max) { return read_stream(stdin, "standard input", bytes_max); }

Result<std::string> read_file(const std::string& path, std::size_t bytes_max) {
  std::FILE* file = std::fopen(path.c_str(), "rbe");
  if (file == nullptr) return fail("input.invalid", fmt::format("cannot open `{}`; check the path and its permissions", path));
  auto out = read_stream(file, fmt::format("`{}`", path), bytes_max);
  std::fclose(file);
  return out;
}

}  // namespace mayfly::cli
