#pragma once

#include "base/json.h"
#include "blob/blob_store.h"
#include "runtime/task.h"

namespace mayfly::engine {

/// Copies a value of more than 64 KiB of text to the blob store and returns the reference {"$blob": HASH, "bytes": N} that the journal
/// holds instead; null for a value that the journal holds itself.
Task<Result<Json>> spill(BlobStore& blobs, Json value);
/// The opposite; other values pass unchanged.
Task<Result<Json>> unspill(BlobStore& blobs, Json value);
/// A value that a user chose must not look like a reference.
bool looks_spilled(const Json& value);

}  // namespace mayfly::engine
