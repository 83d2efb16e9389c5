#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <boost/regex.hpp>
#include <fstream>
#include <sstream>

#include "agent/function_spec.h"

namespace mayfly::agent {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kSourceBytesMax = 1024 * 1024;
constexpr std::string_view kPython = "python3.13", kNode = "nodejs22.x", kProvided = "provided.al2023";
constexpr std::array<std::string_view, 4> kPythonModules{"lambda_function", "handler", "app", "main"};
constexpr std::array<std::string_view, 4> kNodeModules{"index", "handler", "app", "main"};
constexpr std::array<std::string_view, 3> kNodeEndings{".mjs", ".js", ".cjs"};

enum class Language { Python, Node, Other };
Language language_of(std::string_view runtime) {
  return runtime.starts_with("python") ? Language::Python : runtime.starts_with("nodejs") ? Language::Node : Language::Other;
}

bool is_file(const fs::path& path) {
  std::error_code code;
  return fs::is_regular_file(path, code);
}

bool is_executable(const fs::path& path) {
  std::error_code code;
  const auto status = fs::status(path, code);
  using enum fs::perms;
  return !code && fs::is_regular_file(status) && (status.permissions() & (owner_exec | group_exec | others_exec)) != none;
}

std::string source_of(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  std::string text(kSourceBytesMax, '\0');
  in.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<std::size_t>(std::max<std::streamsize>(in.gcount(), 0)));
  return text;
}

/// All first groups of `pattern` in `text`.
std::vector<std::string> matches(const std::string& text, const char* pattern) {
  std::vector<std::string> out;
  const boost::regex expression(pattern);
  for (boost::sregex_iterator at(text.begin(), text.end(), expression), end; at != end && out.size() < 1000; ++at)
    out.push_back((*at)[1].str());
  return out;
}

/// The usual name, else the first public one.
std::string choose(const std::vector<std::string>& names) {
  for (const std::string_view usual : {"lambda_handler", "handler"})
    if (std::ranges::find(names, usual) != names.end()) return std::string(usual);
  const auto found = std::ranges::find_if(names, [](const std::string& name) { return !name.starts_with('_'); });
  return found == names.end() ? std::string() : *found;
}

std::string python_function(const fs::path& file) { return choose(matches(source_of(file), R"(^(?:async\s+)?def\s+([A-Za-z_]\w*)\s*\()")); }

std::string node_function(const fs::path& file) {
  const std::string text = source_of(file);
  std::vector<std::string> names = matches(text, R"(^export\s+(?:const|let|var|async\s+function|function)\s+([A-Za-z_$][\w$]*))");
  for (std::string& name : matches(text, R"(^(?:module\.)?exports\.([A-Za-z_$][\w$]*)\s*=)")) names.push_back(std::move(name));
  return choose(names);
}

/// The file of "folder/module.function" for a language, relative; empty when there is none.
std::string handler_file(const fs::path& folder, const std::string& handler, Language language) {
  const auto dot = handler.rfind('.');
  if (dot == std::string::npos || dot == 0) return {};
  const std::string module = handler.substr(0, dot);
  if (language == Language::Python) {
    std::string path = module;
    std::ranges::replace(path, '.', '/');
    for (const std::string& candidate : {path + ".py", module + ".py", path + "/__init__.py"})
      if (is_file(folder / candidate)) return candidate;
    return {};
  }
  // AWS's Node.js runtime takes what precedes the first dot of the last part as the file's name.
  const auto slash = module.rfind('/');
  const std::string base = module.substr(0, module.find('.', slash == std::string::npos ? 0 : slash));
  for (const std::string_view ending : kNodeEndings)
    if (is_file(folder / (base + std::string(ending)))) return base + std::string(ending);
  return is_file(folder / base) ? base : std::string();
}

Result<GuessedCode> with_handler(const fs::path& folder, std::string runtime, std::string handler) {
  if (runtime.empty()) {
    if (!handler_file(folder, handler, Language::Python).empty()) return GuessedCode{std::string(kPython), std::move(handler)};
    if (!handler_file(folder, handler, Language::Node).empty()) return GuessedCode{std::string(kNode), std::move(handler)};
    return fail("function.no_code",
                fmt::format("holds no Python or Node.js file of the handler `{}`; write it as FILE.FUNCTION, or add `runtime`", handler));
  }
  const Language language = language_of(runtime);
  if (language != Language::Other && handler_file(folder, handler, language).empty()) {
    return fail("function.no_code",
                fmt::format("holds no file of the handler `{}`; write it as FILE.FUNCTION: `app.handler` is the function "
                            "`handler` in app.{}",
                            handler, language == Language::Python ? "py" : "mjs"));
  }
  return GuessedCode{std::move(runtime), std::move(handler)};
}

std::optional<GuessedCode> guess_python(const fs::path& folder, const std::string& runtime) {
  for (const std::string_view module : kPythonModules) {
    const fs::path file = folder / (std::string(module) + ".py");
    if (!is_file(file)) continue;
    if (const std::string function = python_function(file); !function.empty())
      return GuessedCode{runtime.empty() ? std::string(kPython) : runtime, fmt::format("{}.{}", module, function)};
  }
  return std::nullopt;
}

std::optional<GuessedCode> guess_node(const fs::path& folder, const std::string& runtime) {
  for (const std::string_view module : kNodeModules) {
    for (const std::string_view ending : kNodeEndings) {
      const fs::path file = folder / fmt::format("{}{}", module, ending);
      if (!is_file(file)) continue;
      if (const std::string function = node_function(file); !function.empty())
        return GuessedCode{runtime.empty() ? std::string(kNode) : runtime, fmt::format("{}.{}", module, function)};
    }
  }
  return std::nullopt;
}

}  // namespace

Result<GuessedCode> guess_code(const fs::path& folder, std::string runtime, std::string handler) {
  if (!handler.empty()) return with_handler(folder, std::move(runtime), std::move(handler));
  const bool has_bootstrap = is_executable(folder / "bootstrap");
  if (runtime.starts_with("provided") || runtime == "http" || (runtime.empty() && has_bootstrap)) {
    if (has_bootstrap) return GuessedCode{runtime.empty() ? std::string(kProvided) : runtime, "bootstrap"};
    return fail("function.no_code",
                fmt::format("holds no executable file `bootstrap`, which the runtime {} starts; add it (chmod +x)", runtime));
  }
  const Language language = language_of(runtime);
  if (runtime.empty() || language == Language::Python)
    if (auto found = guess_python(folder, runtime)) return *std::move(found);
  if (runtime.empty() || language == Language::Node)
    if (auto found = guess_node(folder, runtime)) return *std::move(found);
  return fail("function.no_code",
              "holds no code that is recognised (lambda_function.py, handler.py, app.py or main.py; index.mjs or index.js; an executable "
              "`bootstrap`); add `runtime` and `handler`");
}

}  // namespace mayfly::agent
