#pragma once

#include <cstddef>
#include <memory>
#include <string>

#include "blob/blob_store.h"

namespace mayfly {

struct FsBlobStoreOptions {
  std::string directory;                           ///< made with mode 0700 when missing; files have mode 0600
  std::size_t blob_bytes_max = 256 * 1024 * 1024;  ///< of `put` and `get`
  std::uint64_t stream_bytes_max = 1ULL << 40;     ///< of `create`
};

/// Blobs as files `<directory>/ab/cdef…`. A blob appears whole and synced, or not at all; what a crash left half-written
/// is removed at opening. One thread does the work of `put` and `get`, in the order of the calls; three serve the streams. Results come
/// back on the loop. A reader that goes from 0 to the end in order checks the hash; other reads are checked for their length alone. Must be
/// destroyed before the executor's loop; destroying it waits for the work under way. Errors beside those of blob_store.h: `blob.too_large`,
/// `blob.read_only`.
Result<std::unique_ptr<BlobStore>> open_fs_blob_store(Executor executor, FsBlobStoreOptions options);

}  // namespace mayfly
