#include "blob/blob_store.h"

#include <algorithm>

namespace mayfly {

Result<void> check_blob_hash(std::string_view hash) {
  const auto is_digit = [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); };
  if (hash.size() == 64 && std::ranges::all_of(hash, is_digit)) return {};
  return fail("blob.invalid_hash", "A blob is named by its SHA-256: 64 lower-case hexadecimal digits.");
}

Error blob_not_found(std::string_view hash) {
  return {"blob.not_found", "There is no blob " + std::string(hash) + ": check the hash, or that this is the store it was put into."};
}

}  // namespace mayfly
