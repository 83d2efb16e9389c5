#include "function/runtimes.h"

#include <unistd.h>

#include <array>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <vector>

namespace mayfly::function {
namespace {

namespace fs = std::filesystem;

bool is_program(const fs::path& path) {
  // Version managers put shell scripts in the PATH that need a home; only real programs run inside a sandbox.
  std::array<char, 4> magic{};
  std::ifstream in(path, std::ios::binary);
  if (!in.read(magic.data(), magic.size())) return false;
  return std::string_view(magic.data(), magic.size()) == "\x7f" "ELF" && ::access(path.c_str(), X_OK) == 0;
}

std::vector<std::string> search_folders() {
  std::vector<std::string> folders{"/usr/local/bin", "/usr/bin"};
  const char* path = std::getenv("PATH");
  std::string_view left = path ? path : "";
  while (!left.empty()) {
    const auto colon = left.find(':');
    const std::string_view folder = left.substr(0, colon);
    if (folder.starts_with('/')) folders.emplace_back(folder);
    left = colon == std::string_view::npos ? std::string_view{} : left.substr(colon + 1);
  }
  return folders;
}

}  // namespace

Result<Language> language_of(std::string_view runtime) {
  if (runtime.starts_with("python")) return Language::Python;
  if (runtime.starts_with("nodejs")) return Language::Node;
  if (runtime.starts_with("provided")) return Language::Native;
  if (runtime == "http") return Language::Http;
  return fail("function.unknown_runtime", "There is no runtime \"" + std::string(runtime) +
                                              "\"; use python3.x, nodejs…, provided.al2023 (an executable named bootstrap) or http.");
}

Result<Interpreter> find_interpreter(Language language, std::string_view runtime) {
  std::vector<std::string> names;
  if (language == Language::Python) names = {std::string(runtime), "python3"};
  if (language == Language::Node) names = {"node", "nodejs"};
  for (const auto& name : names) {
    for (const auto& folder : search_folders()) {
      std::error_code error;
      const fs::path real = fs::canonical(fs::path(folder) / name, error);
      if (error || !is_program(real)) continue;
      Interpreter found{.path = real.string(), .prefix = {}};
      const std::string text = real.string();
      if (!text.starts_with("/usr/") && !text.starts_with("/bin/")) found.prefix = real.parent_path().parent_path().string();
      return found;
    }
  }
  const std::string wanted = language == Language::Python ? "Python 3" : "Node.js";
  return fail("function.runtime_missing", wanted + " is not installed on this machine; install it, or deploy an executable with runtime provided.al2023.");
}

std::string runtimes_directory() {
  std::error_code error;
  const fs::path self = fs::read_symlink("/proc/self/exe", error);
  if (error) return {};
  const fs::path folder = self.parent_path();
  for (const fs::path& candidate : {folder / "runtimes", folder / ".." / "runtimes", folder / ".." / "share" / "mayfly" / "runtimes"}) {
    if (fs::is_regular_file(candidate / "python" / "bootstrap.py", error)) return fs::weakly_canonical(candidate, error).string();
  }
  return {};
}

}  // namespace mayfly::function
