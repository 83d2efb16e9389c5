#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "workspace/paths.h"

/// What is accepted is normal: it stays as it is, and its parts are names.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace mayfly::workspace;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto path = normal_path(text);
  if (!path) return 0;
  const auto again = normal_path(*path);
  if (!again || *again != *path || path->size() > kPathBytesMax) std::abort();
  for (const auto& name : split_path(*path)) {
    const auto same = normal_name(name);
    if (!same || *same != name || name == "." || name == "..") std::abort();
  }
  matches_glob(*path, text.substr(0, 64));
  return 0;
}
