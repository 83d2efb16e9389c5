#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "cli/text.h"

namespace mayfly::cli {

/// What a script can rely on.
enum class ExitCode : int {
  Ok = 0,
  Failed = 1,         ///< the run failed, the check is negative, or the server refused
  Usage = 2,          ///< the command line or the input is wrong
  Unreachable = 3,    ///< no server answers at the URL
  NotAuthorised = 4,  ///< no key, a wrong key, or one without the scope
  NotFound = 5,       ///< no such agent, run or question
  Waiting = 6,        ///< the run waits for a person; nothing is lost
};
ExitCode exit_code_of(const Error& error);

/// Where a command reads and writes: data on standard output, everything else on standard error. Colours only on a terminal and
/// without NO_COLOR (no-color.org).
class Terminal {
 public:
  /// Looks at the process' descriptors and environment.
  Terminal();

  void print(std::string_view text) const;      ///< data, as it is
  void line(std::string_view text) const;       ///< data and a newline
  void note(std::string_view text) const;       ///< a line about what happens
  void note_part(std::string_view text) const;  ///< the same without a newline
  ExitCode error(const Error& error) const;     ///< says it and returns the code to exit with
  /// One line from standard input; nothing at its end.
  std::optional<std::string> ask(std::string_view prompt) const;

  std::string ink(Ink ink, std::string_view text) const { return inked(ink, text, out_colour_); }
  std::string note_ink(Ink ink, std::string_view text) const { return inked(ink, text, err_colour_); }
  bool out_is_terminal() const { return out_is_terminal_; }
  bool out_colour() const { return out_colour_; }
  /// A person can be asked: input and output are a terminal.
  bool interactive() const { return in_is_terminal_ && err_is_terminal_; }
  /// Columns, or 0 when standard output is no terminal.
  std::size_t width() const { return width_; }

 private:
  bool in_is_terminal_ = false;
  bool out_is_terminal_ = false;
  bool err_is_terminal_ = false;
  bool out_colour_ = false;
  bool err_colour_ = false;
  std::size_t width_ = 0;
};

/// All of standard input. Error: `input.too_large` above `bytes_max`.
Result<std::string> read_standard_input(std::size_t bytes_max);
/// A whole file. Errors: `input.invalid` (cannot be read), `input.too_large`.
Result<std::string> read_file(const std::string& path, std::size_t bytes_max);

}  // namespace mayfly::cli
