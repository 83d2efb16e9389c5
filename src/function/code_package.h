#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "base/result.h"

namespace mayfly::function {

struct PackageLimits {
  std::uint64_t packed_bytes_max = 50ull << 20;
  std::uint64_t unpacked_bytes_max = 250ull << 20;
  std::size_t files_max = 20'000;
};

/// Code as a zip archive (Lambda's format).
struct CodePackage {
  std::string zip;
  std::string sha256_base64() const;
};

/// Packs a folder; leaves out .git, __pycache__, and what `.mayflyignore` (as .gitignore) names. Deterministic: the same files give the
/// same bytes. Errors: `package.unreadable`, `package.too_large`.
Result<CodePackage> pack_folder(const std::string& folder, PackageLimits limits = {});

/// Unpacks to a new folder, fsync'd; on an error nothing is left. Keeps the executable bits. Refuses absolute names, "..", symbolic links
/// that leave the folder, devices, duplicate names, bombs. Blocks: call it off the loop. Errors: `package.invalid` (names the entry),
/// `package.too_large`.
Result<void> unpack(const CodePackage& package, const std::string& folder, PackageLimits limits = {});

}  // namespace mayfly::function
