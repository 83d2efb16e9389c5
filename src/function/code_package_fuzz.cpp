#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <string>

#include "base/assert.h"
#include "function/code_package.h"

namespace fs = std::filesystem;

/// Whatever the zip holds: everything stays inside its folder, within the limits, and a refused one leaves nothing.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const std::string base = [] {
    std::string name = (fs::temp_directory_path() / "mayfly-fuzz-XXXXXX").string();
    MAYFLY_ASSERT(::mkdtemp(name.data()), "a temporary folder can be made");
    return name;
  }();
  const std::string folder = base + "/code";
  const mayfly::function::PackageLimits limits{.packed_bytes_max = 1 << 20, .unpacked_bytes_max = 1 << 20, .files_max = 100};
  const auto done = mayfly::function::unpack({std::string(reinterpret_cast<const char*>(data), size)}, folder, limits);
  std::size_t others = 0;
  for (const auto& entry : fs::directory_iterator(base)) others += entry.path() != folder;
  MAYFLY_ASSERT(others == 0 && fs::exists(folder) == done.has_value(), "nothing is left beside the folder, nor when refused");
  if (!done) return 0;
  std::uint64_t bytes = 0;
  const fs::path root = fs::canonical(folder);
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    std::error_code error;
    const fs::path real = fs::weakly_canonical(entry.path(), error);
    MAYFLY_ASSERT(error || real == root || real.string().starts_with(root.string() + "/"), "everything stays inside");
    if (entry.is_regular_file() && !entry.is_symlink()) bytes += entry.file_size();
  }
  MAYFLY_ASSERT(bytes <= limits.unpacked_bytes_max, "the limit holds");
  fs::remove_all(folder);
  return 0;
}
