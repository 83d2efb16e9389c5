#pragma once

#include <sqlite3.h>

#include <memory>
#include <string>
#include <string_view>

#include "base/result.h"

/// A thin layer over SQLite's C interface; only the files named sqlite_* of this module use it.
namespace mayfly {

struct SqliteCloser {
  void operator()(sqlite3* db) const { sqlite3_close_v2(db); }
  void operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }
};
using SqliteDb = std::unique_ptr<sqlite3, SqliteCloser>;
using SqliteStatement = std::unique_ptr<sqlite3_stmt, SqliteCloser>;

/// Opens a connection that one thread at a time uses. `vfs` empty: the system's files.
Result<SqliteDb> sqlite_open(const std::string& file, const std::string& vfs);
/// Runs statements that return nothing of interest.
Result<void> sqlite_run(sqlite3* db, const std::string& sql);
/// A statement that is kept for the life of the connection.
Result<SqliteStatement> sqlite_prepare(sqlite3* db, std::string_view sql);

/// The text must stay valid until the statement is reset.
inline void sqlite_bind(sqlite3_stmt* statement, int index, std::string_view text) {
  sqlite3_bind_text64(statement, index, text.data() ? text.data() : "", text.size(), SQLITE_STATIC, SQLITE_UTF8);
}
inline void sqlite_bind(sqlite3_stmt* statement, int index, sqlite3_int64 value) { sqlite3_bind_int64(statement, index, value); }
/// The bytes of a text column; valid until the next step.
inline std::string_view sqlite_text(sqlite3_stmt* statement, int column) {
  const auto* bytes = static_cast<const char*>(sqlite3_column_blob(statement, column));
  return {bytes, static_cast<std::size_t>(sqlite3_column_bytes(statement, column))};
}
/// Runs a statement that returns no row, and resets it. SQLITE_OK or the extended error code.
int sqlite_step_once(sqlite3_stmt* statement);

/// Says a failure in the codes of store.h: `store.full`, `store.read_only`, `store.damaged`, `store.outcome_unknown` (the
/// sync itself failed), else `store.io`. `code` is extended; the place is read from the connection.
Error sqlite_error(sqlite3* db, int code);

}  // namespace mayfly
