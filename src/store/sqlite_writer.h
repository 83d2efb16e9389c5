#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "store/sqlite_db.h"
#include "store/sqlite_store.h"
#include "store/store.h"

namespace mayfly {

/// One commit on its way through the writer.
struct CommitJob {
  Batch batch;
  std::size_t bytes = 0;
  Result<CommitOutcome> outcome = CommitOutcome{};
  std::optional<Resume<Result<CommitOutcome>>> resume;
  CommitJob* next = nullptr;
};
using CommitGroup = std::vector<std::unique_ptr<CommitJob>>;

/// Applies groups of batches, each group in one transaction. Used by one thread at a time.
class SqliteWriter {
 public:
  explicit SqliteWriter(SqliteStoreOptions options) : options_(std::move(options)) {}

  Result<void> open();
  /// Fills in every job's outcome. After a failure the connection is sound again, or re-opened by the next call.
  void commit(CommitGroup& group);
  /// Work for when nobody waits: copies the write-ahead log into the database file when it has grown enough, and keeps
  /// zeros ready behind its end, because a sync is much cheaper when it does not have to record a longer file.
  void tidy();
  void close();

 private:
  Result<void> apply_all(CommitGroup& group);
  int apply(CommitJob& job);
  int find_conflict(const Batch& batch, const Precondition*& conflict);
  int version_of(const std::string& key, bool keep, Version& version);
  int raise_ceiling();
  int put(const Put& put);
  int remove(const std::string& key);
  void remember(const std::string& key, Version version);
  void checkpoint();
  void extend_log();
  void roll_back(const Error& error);

  SqliteStoreOptions options_;
  SqliteDb db_;
  SqliteStatement begin_, commit_, version_, put_, delete_, ceiling_;
  /// Versions of keys that preconditions name (0: absent). Exact, because nobody else writes.
  std::unordered_map<std::string, Version> versions_;
  Version last_version_ = 0;
  Version version_ceiling_ = 0;  ///< stored: versions up to here may have been given out
  int wal_pages_ = 0;
  int checkpoint_at_ = 0;
  std::int64_t log_bytes_ = 0;  ///< size of the write-ahead log's file, as far as `extend_log` knows
};

}  // namespace mayfly
