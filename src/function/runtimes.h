#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"

namespace mayfly::function {

enum class Language {
  Python,
  Node,
  Native,  ///< "provided…": the package's `bootstrap`
  Http     ///< "http": a web server of the package on port 8080
};

/// Of a FunctionConfig::runtime. The version in the name is a wish: the installed interpreter runs. Errors: `function.unknown_runtime`.
Result<Language> language_of(std::string_view runtime);

/// An installed interpreter.
struct Interpreter {
  std::string path;    ///< of the program itself, no link
  std::string prefix;  ///< to mount read-only at the same place; empty when it lies in a system folder
};
/// Looks for the wanted version first, then for any: in /usr/local/bin, /usr/bin and the PATH. Errors: `function.runtime_missing`.
Result<Interpreter> find_interpreter(Language language, std::string_view runtime);

/// The folder that holds python/ and nodejs/: beside the running program, or ../share/mayfly/runtimes of it; empty when there is none.
std::string runtimes_directory();

}  // namespace mayfly::function
