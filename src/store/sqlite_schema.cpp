#include "store/sqlite_schema.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <system_error>

#include "base/hash.h"

namespace mayfly {
namespace {

constexpr int kFormat = 1;

std::unexpected<Error> file_error(const std::string& path, int error) {
  if (error == ENOSPC || error == EDQUOT) return fail("store.full", fmt::format("No space to create {}: free some.", path), Retry::Safe);
  if (error == EROFS || error == EACCES || error == EPERM)
    return fail("store.read_only", fmt::format("{} cannot be written: make it writable for this user.", path), Retry::Safe);
  return fail("store.io", fmt::format("{} cannot be used: {}.", path, std::strerror(error)), Retry::Safe);
}

std::string holder_of(int descriptor) {
  char text[32] = {};
  const auto length = ::pread(descriptor, text, sizeof text - 1, 0);
  std::string pid(text, length > 0 ? static_cast<std::size_t>(length) : 0);
  return pid.substr(0, pid.find('\n'));
}

/// The first column of the first row; empty when there is none.
Result<std::string> query_text(sqlite3* db, const std::string& sql) {
  auto statement = sqlite_prepare(db, sql);
  if (!statement) return fail(statement.error());
  const int code = sqlite3_step(statement->get());
  if (code == SQLITE_ROW) return std::string(sqlite_text(statement->get(), 0));
  if (code == SQLITE_DONE) return std::string();
  return fail(sqlite_error(db, code));
}

Result<void> replace_views(sqlite3* db, const std::vector<std::string>& view_sql) {
  for (;;) {
    const auto name = query_text(db, "SELECT name FROM sqlite_schema WHERE type = 'view' LIMIT 1");
    if (!name) return fail(name.error());
    if (name->empty()) break;
    std::string quoted = *name;
    for (std::size_t at = 0; (at = quoted.find('"', at)) != std::string::npos; at += 2) quoted.insert(at, 1, '"');
    if (auto ok = sqlite_run(db, fmt::format("DROP VIEW \"{}\"", quoted)); !ok) return ok;
  }
  for (const std::string& sql : view_sql) {
    const int code = sqlite3_exec(db, sql.c_str(), nullptr, nullptr, nullptr);
    if ((code & 0xff) == SQLITE_ERROR)
      return fail("store.invalid_view", fmt::format("A view does not compile ({}): correct its SQL: {}", sqlite3_errmsg(db), sql));
    if (code != SQLITE_OK) return fail(sqlite_error(db, code));
  }
  return {};
}

Result<void> prepare_tables(sqlite3* db) {
  return sqlite_run(db, fmt::format("CREATE TABLE store_meta(name TEXT PRIMARY KEY, value);"
                                    "CREATE TABLE kv(pos INTEGER PRIMARY KEY, key TEXT, version INTEGER, value TEXT);"
                                    "CREATE UNIQUE INDEX kv_key ON kv(key);"
                                    "INSERT INTO store_meta VALUES('format', {}), ('version_ceiling', 0), ('views', '')", kFormat));
}

Result<void> prepare_in_transaction(sqlite3* db, const SqliteStoreOptions& options) {
  const auto exists = query_text(db, "SELECT name FROM sqlite_schema WHERE name = 'store_meta'");
  if (!exists) return fail(exists.error());
  if (exists->empty())
    if (auto ok = prepare_tables(db); !ok) return ok;
  const auto format = query_text(db, "SELECT CAST(value AS TEXT) FROM store_meta WHERE name = 'format'");
  if (!format) return fail(format.error());
  if (*format != std::to_string(kFormat))
    return fail("store.too_new", fmt::format("{} holds data of format {}, this program reads format {}: start the newer version.",
                                             options.directory, *format, kFormat));
  std::string all;
  for (const std::string& sql : options.view_sql) all += sql + ";\n";
  const std::string wanted = sha256_hex(all);
  const auto views = query_text(db, "SELECT value FROM store_meta WHERE name = 'views'");
  if (!views) return fail(views.error());
  if (*views == wanted) return {};
  if (auto ok = replace_views(db, options.view_sql); !ok) return ok;
  return sqlite_run(db, fmt::format("UPDATE store_meta SET value = '{}' WHERE name = 'views'", wanted));
}

}  // namespace

DirectoryLock::~DirectoryLock() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

Result<DirectoryLock> lock_directory(const std::string& directory) {
  std::error_code error;
  std::filesystem::create_directories(std::filesystem::path(directory).parent_path(), error);
  if (::mkdir(directory.c_str(), 0700) != 0 && errno != EEXIST) return file_error(directory, errno);
  const std::string path = directory + "/lock";
  const int descriptor = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (descriptor < 0) return file_error(path, errno);
  DirectoryLock lock(descriptor);
  if (::flock(descriptor, LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK) return file_error(path, errno);
    return fail("store.locked", fmt::format("{} is in use by the process {}: stop it, or choose another directory.", directory,
                                            holder_of(descriptor)));
  }
  const std::string pid = fmt::format("{}\n", ::getpid());
  if (::ftruncate(descriptor, 0) != 0 || ::pwrite(descriptor, pid.data(), pid.size(), 0) < 0) return file_error(path, errno);
  return lock;
}

std::string database_file(const SqliteStoreOptions& options) { return options.directory + "/store.db"; }

Result<SqliteDb> open_for_writing(const SqliteStoreOptions& options) {
  const std::string file = database_file(options);
  // SQLite would create it with mode 0644; the -wal and -shm files take the mode of this one.
  const int descriptor = ::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (descriptor < 0) return file_error(file, errno);
  ::close(descriptor);
  auto db = sqlite_open(file, options.vfs);
  if (!db) return db;
  if (auto ok = sqlite_run(db->get(), "PRAGMA page_size=4096; PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA temp_store=MEMORY;"
                                      "PRAGMA cache_size=-65536; PRAGMA wal_autocheckpoint=0; PRAGMA trusted_schema=OFF");
      !ok)
    return fail(ok.error());
  return db;
}

Result<SqliteDb> open_for_reading(const SqliteStoreOptions& options) {
  auto db = sqlite_open(database_file(options), options.vfs);
  if (!db) return db;
  sqlite3_busy_timeout(db->get(), 250);  // it would hold up the loop
  if (auto ok = sqlite_run(db->get(), "PRAGMA query_only=ON; PRAGMA cache_size=-16384; PRAGMA temp_store=MEMORY;"
                                      "PRAGMA trusted_schema=OFF"); !ok)
    return fail(ok.error());
  return db;
}

Result<void> prepare_schema(sqlite3* db, const SqliteStoreOptions& options) {
  if (auto ok = sqlite_run(db, "BEGIN IMMEDIATE"); !ok) return ok;
  auto prepared = prepare_in_transaction(db, options);
  if (prepared) prepared = sqlite_run(db, "COMMIT");
  if (!prepared && sqlite3_get_autocommit(db) == 0) (void)sqlite_run(db, "ROLLBACK");
  return prepared;
}

}  // namespace mayfly
