#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "runtime/task.h"
#include "store/store.h"

namespace mayfly {

struct SqliteStoreOptions {
  std::string directory;  ///< made with mode 0700 when missing; files have mode 0600
  /// `CREATE VIEW <name> AS SELECT …` over the table kv(key, version, value), for people who read the database with the
  /// sqlite3 program: `json_extract(value, '$.status')` works. Views that changed or went are replaced at opening.
  std::vector<std::string> view_sql;
  StoreLimits limits;
  /// Pages (4 KiB) of the write-ahead log after which it is copied into the database file.
  int checkpoint_pages = 16'000;
  std::size_t queued_bytes_max = 256 * 1024 * 1024;  ///< waiting commits above this are refused with `store.overloaded`
  std::string vfs;  ///< the name of another SQLite VFS; for tests
};

/// The embedded store: one SQLite database in WAL mode, synced before a commit is acknowledged. One thread writes and
/// commits in one transaction whatever queued while it synced; reads run inside the call, on the loop.
/// Must be destroyed before the executor's loop; destroying it waits until what was called has been written.
///
/// Errors beside those of store.h: `store.locked` (another process has the directory; named with its pid),
/// `store.too_new` (written by a newer version), `store.invalid_view`, `store.overloaded` (Retry::Safe).
Result<std::unique_ptr<Store>> open_sqlite_store(Executor executor, SqliteStoreOptions options);

}  // namespace mayfly
