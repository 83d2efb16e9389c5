#include "store/sqlite_db.h"

#include <fmt/format.h>

#include <cerrno>
#include <filesystem>
#include <mutex>

namespace mayfly {
namespace {

std::string place_of(sqlite3* db) {
  const char* file = db ? sqlite3_db_filename(db, "main") : nullptr;
  return file && *file ? std::filesystem::path(file).parent_path().string() : "the store";
}

bool out_of_space(int code, int system_error) {
  return code == SQLITE_FULL || system_error == ENOSPC || system_error == EDQUOT || system_error == EFBIG;
}

bool not_writable(int code, int system_error) {
  const int primary = code & 0xff;
  return primary == SQLITE_READONLY || primary == SQLITE_PERM || system_error == EROFS || system_error == EACCES;
}

}  // namespace

Error sqlite_error(sqlite3* db, int code) {
  const int primary = code & 0xff;
  const bool about_files = primary == SQLITE_IOERR || primary == SQLITE_CANTOPEN;
  const int system_error = db && about_files ? sqlite3_system_errno(db) : 0;
  const std::string place = place_of(db);
  if (code == SQLITE_IOERR_FSYNC || code == SQLITE_IOERR_DIR_FSYNC)
    return {"store.outcome_unknown",
            fmt::format("The disk under {} failed while it made a commit durable, so it may or may not be stored: read the "
                        "records before you repeat it, and check the disk.", place),
            Retry::OutcomeUnknown};
  if (out_of_space(code, system_error))
    return {"store.full",
            fmt::format("The disk under {} is full and nothing was written: free some space; the store then goes on by itself.",
                        place),
            Retry::Safe};
  if (not_writable(code, system_error))
    return {"store.read_only", fmt::format("{} cannot be written: make the file system and its files writable for this user.", place),
            Retry::Safe};
  if (primary == SQLITE_CORRUPT || primary == SQLITE_NOTADB)
    return {"store.damaged", fmt::format("The database in {} is damaged: stop, keep a copy, check the disk and restore a backup.", place),
            Retry::Never};
  if (primary == SQLITE_BUSY || primary == SQLITE_LOCKED)
    return {"store.io", fmt::format("Another program holds the database in {} open for writing: close it and repeat.", place), Retry::Safe};
  return {"store.io",
          fmt::format("The database in {} could not be used ({}, code {}) and nothing was written: check the disk and repeat.", place,
                      sqlite3_errstr(code), code),
          Retry::Safe};
}

Result<SqliteDb> sqlite_open(const std::string& file, const std::string& vfs) {
  // Counting memory takes a global lock at every allocation; it must be off before SQLite's first use.
  static std::once_flag once;
  std::call_once(once, [] { sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0); });
  sqlite3* raw = nullptr;
  const int code = sqlite3_open_v2(file.c_str(), &raw, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX,
                                   vfs.empty() ? nullptr : vfs.c_str());
  SqliteDb db(raw);
  if (code != SQLITE_OK) return fail(sqlite_error(db.get(), db ? sqlite3_extended_errcode(db.get()) : code));
  sqlite3_extended_result_codes(db.get(), 1);
  sqlite3_busy_timeout(db.get(), 5000);
  return db;
}

Result<void> sqlite_run(sqlite3* db, const std::string& sql) {
  const int code = sqlite3_exec(db, sql.c_str(), nullptr, nullptr, nullptr);
  if (code == SQLITE_OK) return {};
  return fail(sqlite_error(db, code));
}

Result<SqliteStatement> sqlite_prepare(sqlite3* db, std::string_view sql) {
  sqlite3_stmt* raw = nullptr;
  const int code = sqlite3_prepare_v3(db, sql.data(), static_cast<int>(sql.size()), SQLITE_PREPARE_PERSISTENT, &raw, nullptr);
  if (code != SQLITE_OK) return fail(sqlite_error(db, code));
  return SqliteStatement(raw);
}

int sqlite_step_once(sqlite3_stmt* statement) {
  const int code = sqlite3_step(statement);
  sqlite3_reset(statement);
  return code == SQLITE_DONE || code == SQLITE_ROW ? SQLITE_OK : code;
}

}  // namespace mayfly
