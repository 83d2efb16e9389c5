#include "store/sqlite_writer.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>

#include "store/sqlite_schema.h"

namespace mayfly {
namespace {

constexpr std::size_t kRememberedKeysMax = 65'536;
/// Versions are taken in blocks, so that a commit need not store the last one; a restart skips the rest of the block.
constexpr Version kVersionBlock = 1'000'000;
constexpr std::int64_t kLogBytesPerPage = 4096 + 24;  // the format of SQLite's log: a frame has a header of 24 bytes
constexpr std::int64_t kLogBytesAhead = 1024 * 1024;
constexpr std::size_t kLogChunkBytes = 4 * 1024 * 1024;

bool holds(const Precondition& precondition, Version version) {
  switch (precondition.kind) {
    case Precondition::Kind::Absent: return version == 0;
    case Precondition::Kind::Present: return version != 0;
    case Precondition::Kind::VersionEquals: return version == precondition.version;
  }
  return false;
}

}  // namespace

Result<void> SqliteWriter::open() {
  auto db = open_for_writing(options_);
  if (!db) return fail(db.error());
  if (auto ok = prepare_schema(db->get(), options_); !ok) return ok;
  const auto prepare = [&](SqliteStatement& to, std::string_view sql) -> Result<void> {
    auto statement = sqlite_prepare(db->get(), sql);
    if (!statement) return fail(statement.error());
    to = std::move(*statement);
    return {};
  };
  SqliteStatement begin, commit, version, put, remove, ceiling, read_ceiling;
  if (auto ok = prepare(begin, "BEGIN IMMEDIATE"); !ok) return ok;
  if (auto ok = prepare(commit, "COMMIT"); !ok) return ok;
  if (auto ok = prepare(version, "SELECT version FROM kv WHERE key = ?1"); !ok) return ok;
  if (auto ok = prepare(put, "INSERT INTO kv(key, version, value) VALUES(?1, ?2, ?3) "
                             "ON CONFLICT(key) DO UPDATE SET version = excluded.version, value = excluded.value"); !ok) return ok;
  if (auto ok = prepare(remove, "DELETE FROM kv WHERE key = ?1"); !ok) return ok;
  if (auto ok = prepare(ceiling, "UPDATE store_meta SET value = ?1 WHERE name = 'version_ceiling'"); !ok) return ok;
  if (auto ok = prepare(read_ceiling, "SELECT value FROM store_meta WHERE name = 'version_ceiling'"); !ok) return ok;
  if (const int code = sqlite3_step(read_ceiling.get()); code != SQLITE_ROW) return fail(sqlite_error(db->get(), code));
  const auto stored_ceiling = static_cast<Version>(sqlite3_column_int64(read_ceiling.get(), 0));
  read_ceiling.reset();

  close();
  db_ = std::move(*db);
  begin_ = std::move(begin), commit_ = std::move(commit), version_ = std::move(version);
  put_ = std::move(put), delete_ = std::move(remove), ceiling_ = std::move(ceiling);
  versions_.clear();
  last_version_ = version_ceiling_ = stored_ceiling;
  sqlite3_wal_hook(
      db_.get(), [](void* pages, sqlite3*, const char*, int count) { return *static_cast<int*>(pages) = count, SQLITE_OK; }, &wal_pages_);
  checkpoint_at_ = options_.checkpoint_pages;
  log_bytes_ = 0;
  extend_log();
  return {};
}

void SqliteWriter::close() {
  for (SqliteStatement* statement : {&begin_, &commit_, &version_, &put_, &delete_, &ceiling_}) statement->reset();
  db_.reset();
}

void SqliteWriter::commit(CommitGroup& group) {
  if (auto done = apply_all(group); !done)
    for (const auto& job : group) job->outcome = fail(done.error());
}

Result<void> SqliteWriter::apply_all(CommitGroup& group) {
  if (!db_)
    if (auto ok = open(); !ok) return ok;
  const Version version_before = last_version_, ceiling_before = version_ceiling_;
  int code = sqlite_step_once(begin_.get());
  for (auto job = group.begin(); code == SQLITE_OK && job != group.end(); ++job) code = apply(**job);
  if (code == SQLITE_OK) code = sqlite_step_once(commit_.get());
  if (code == SQLITE_OK) return {};
  const Error error = sqlite_error(db_.get(), code);
  last_version_ = version_before, version_ceiling_ = ceiling_before;
  roll_back(error);
  return fail(error);
}

void SqliteWriter::roll_back(const Error& error) {
  versions_.clear();
  const bool rolled_back = sqlite3_get_autocommit(db_.get()) != 0 || sqlite_run(db_.get(), "ROLLBACK").has_value();
  // What a failed sync left behind is known only to a connection that reads the files anew.
  if (!rolled_back || error.retry != Retry::Safe) close();
}

int SqliteWriter::apply(CommitJob& job) {
  const Precondition* conflict = nullptr;
  if (const int code = find_conflict(job.batch, conflict); code != SQLITE_OK) return code;
  if (conflict) {
    job.outcome = CommitOutcome{.status = CommitOutcome::Status::Conflict, .conflict_key = conflict->key};
    return SQLITE_OK;
  }
  if (!job.batch.empty()) ++last_version_;
  job.outcome = CommitOutcome{.version = last_version_};
  if (last_version_ > version_ceiling_)
    if (const int code = raise_ceiling(); code != SQLITE_OK) return code;
  for (const Put& one : job.batch.puts)
    if (const int code = put(one); code != SQLITE_OK) return code;
  for (const std::string& key : job.batch.deletes)
    if (const int code = remove(key); code != SQLITE_OK) return code;
  return SQLITE_OK;
}

int SqliteWriter::find_conflict(const Batch& batch, const Precondition*& conflict) {
  for (const Precondition& precondition : batch.require) {
    Version version = 0;
    const bool keep = precondition.kind == Precondition::Kind::VersionEquals;
    if (const int code = version_of(precondition.key, keep, version); code != SQLITE_OK) return code;
    if (holds(precondition, version)) continue;
    conflict = &precondition;
    return SQLITE_OK;
  }
  return SQLITE_OK;
}

int SqliteWriter::version_of(const std::string& key, bool keep, Version& version) {
  if (const auto known = versions_.find(key); known != versions_.end()) {
    version = known->second;
    return SQLITE_OK;
  }
  sqlite_bind(version_.get(), 1, key);
  const int code = sqlite3_step(version_.get());
  version = code == SQLITE_ROW ? static_cast<Version>(sqlite3_column_int64(version_.get(), 0)) : 0;
  sqlite3_reset(version_.get());
  if (code != SQLITE_ROW && code != SQLITE_DONE) return code;
  if (keep) {
    if (versions_.size() >= kRememberedKeysMax) versions_.clear();
    versions_.emplace(key, version);
  }
  return SQLITE_OK;
}

int SqliteWriter::raise_ceiling() {
  version_ceiling_ = last_version_ + kVersionBlock;
  sqlite_bind(ceiling_.get(), 1, static_cast<sqlite3_int64>(version_ceiling_));
  return sqlite_step_once(ceiling_.get());
}

int SqliteWriter::put(const Put& put) {
  sqlite_bind(put_.get(), 1, put.key);
  sqlite_bind(put_.get(), 2, static_cast<sqlite3_int64>(last_version_));
  sqlite_bind(put_.get(), 3, put.value);
  remember(put.key, last_version_);
  return sqlite_step_once(put_.get());
}

int SqliteWriter::remove(const std::string& key) {
  sqlite_bind(delete_.get(), 1, key);
  remember(key, 0);
  return sqlite_step_once(delete_.get());
}

void SqliteWriter::remember(const std::string& key, Version version) {
  if (const auto known = versions_.find(key); known != versions_.end()) known->second = version;
}

void SqliteWriter::tidy() {
  if (!db_) return;
  if (wal_pages_ >= checkpoint_at_) checkpoint();
  if (wal_pages_ * kLogBytesPerPage + kLogBytesAhead > log_bytes_) extend_log();
}

void SqliteWriter::checkpoint() {
  int pages = 0, copied = 0;
  sqlite3_wal_checkpoint_v2(db_.get(), nullptr, SQLITE_CHECKPOINT_PASSIVE, &pages, &copied);
  // A reader or a full disk can hold it up: try again only after more pages. The log stays the truth meanwhile.
  const bool complete = pages >= 0 && copied == pages;
  checkpoint_at_ = complete ? options_.checkpoint_pages : wal_pages_ + options_.checkpoint_pages / 4;
  if (complete) wal_pages_ = 0;
}

void SqliteWriter::extend_log() {
  // SQLite takes no lock on this file, and only this thread writes it, always before its end.
  const int file = ::open((database_file(options_) + "-wal").c_str(), O_WRONLY | O_CLOEXEC);
  if (file < 0) return;
  const std::int64_t size = ::lseek(file, 0, SEEK_END);
  const std::int64_t wanted = wal_pages_ * kLogBytesPerPage + kLogBytesAhead;
  log_bytes_ = std::max(size, wanted);
  if (size >= 0 && size < wanted) {
    const std::string zeros(kLogChunkBytes, '\0');
    // Without space it stays short until the log has grown further; a commit that needs the space says so.
    if (const auto written = ::pwrite(file, zeros.data(), zeros.size(), size); written > 0 && ::fdatasync(file) == 0)
      log_bytes_ = std::max(size + written, wanted);
  }
  ::close(file);
}

}  // namespace mayfly
