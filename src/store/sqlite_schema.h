#pragma once

#include <string>

#include "base/result.h"
#include "store/sqlite_db.h"
#include "store/sqlite_store.h"

/// What lies on disk: the directory, its lock, the database's tables and views.
namespace mayfly {

/// Holds `<directory>/lock` until destroyed or the process ends, however it ends.
class DirectoryLock {
 public:
  DirectoryLock() = default;
  explicit DirectoryLock(int descriptor) : descriptor_(descriptor) {}
  DirectoryLock(DirectoryLock&& other) noexcept : descriptor_(std::exchange(other.descriptor_, -1)) {}
  DirectoryLock& operator=(DirectoryLock&& other) noexcept {
    std::swap(descriptor_, other.descriptor_);
    return *this;
  }
  ~DirectoryLock();

 private:
  int descriptor_ = -1;
};

/// Makes the directory when missing. Errors: `store.locked`, `store.read_only`, `store.full`, `store.io`.
Result<DirectoryLock> lock_directory(const std::string& directory);

std::string database_file(const SqliteStoreOptions& options);

/// Settings of the connection that writes.
Result<SqliteDb> open_for_writing(const SqliteStoreOptions& options);
/// Settings of the connection that reads.
Result<SqliteDb> open_for_reading(const SqliteStoreOptions& options);
/// Creates tables and views, or checks that this program understands what is there. Error: `store.too_new`.
Result<void> prepare_schema(sqlite3* db, const SqliteStoreOptions& options);

}  // namespace mayfly
