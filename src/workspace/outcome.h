#pragma once

#include <expected>
#include <utility>

#include "base/json.h"
#include "base/result.h"
#include "runtime/task.h"

namespace mayfly::workspace {

/// An Error with what a program needs to act on it. `details` is small JSON, shown as it is over REST and MCP:
///
/// `ws.locked`        {"holder": label, "mode", "expires_at", "retry_after_ms", "queue_position"?, "node", "path"}
/// `ws.lock_lost`     {"fence": now, "given": theirs?}
/// `ws.conflict`      {"etag", "version", "author", "modified_at", "diff"?: unified, at most 2 KiB; absent: not text}
/// `ws.exists`        {"etag", "version", "node"}
/// `ws.quota`         {"quota": "bytes|file_bytes|files|credits|workspaces", "limit", "used", "asked"?}
///
/// Codes: `ws.not_found` (also what one may not see), `ws.forbidden`, `ws.locked`, `ws.lock_lost`, `ws.conflict`, `ws.exists`,
/// `ws.precondition_required`, `ws.quota`, `ws.invalid_path`, `ws.invalid_name`, `ws.invalid` (an argument), `ws.not_empty`, `ws.is_folder`,
/// `ws.not_folder`, `ws.not_text`, `ws.archived`, `ws.too_large`, `ws.range` (not satisfiable), `ws.hash_mismatch`, `ws.upload_incomplete`, `ws.cursor_expired`,
/// `ws.busy` (Retry::Safe), `link.invalid` (unknown, spent and expired alike), `link.password`, and those of store and blobs.
struct Refusal : Error {
  Refusal() = default;
  Refusal(Error error) : Error(std::move(error)) {}  // NOLINT: an Error is a Refusal without details
  Refusal(Error error, JsonObject with) : Error(std::move(error)), details(std::move(with)) {}
  JsonObject details;
};

template <class T>
using Outcome = std::expected<T, Refusal>;

inline std::unexpected<Refusal> refuse(std::string code, std::string message, JsonObject details = {}, Retry retry = Retry::Never) {
  return std::unexpected(Refusal(Error{std::move(code), std::move(message), retry}, std::move(details)));
}

}  // namespace mayfly::workspace
