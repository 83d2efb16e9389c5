#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "runtime/task.h"

namespace mayfly {

/// Grows with every commit of a store; a record's version is that of the commit that wrote it last. Never 0.
using Version = std::uint64_t;

struct Record {
  std::string key;
  std::string value;
  Version version = 0;
};

/// Keys in [begin, end), compared as bytes. An empty `end` means no upper bound.
struct KeyRange {
  std::string begin;
  std::string end;
  /// All keys that start with `prefix`.
  static KeyRange prefix(std::string_view prefix);
};

enum class Direction { Forward, Backward };

struct Precondition {
  enum class Kind { Absent, Present, VersionEquals };
  Kind kind = Kind::Absent;
  std::string key;
  Version version = 0;  ///< for VersionEquals

  static Precondition absent(std::string key) { return {Kind::Absent, std::move(key), 0}; }
  static Precondition present(std::string key) { return {Kind::Present, std::move(key), 0}; }
  static Precondition version_equals(std::string key, Version version) { return {Kind::VersionEquals, std::move(key), version}; }
};

struct Put {
  std::string key;
  std::string value;
};

/// Puts and deletes that are applied together or not at all. Every key, also of a precondition, starts with the same
/// partition (see `partition_of`): this is what lets a batch run on DynamoDB or a Redis hash tag.
/// A key appears at most once among puts and deletes. Deleting an absent key is not an error.
struct Batch {
  std::vector<Precondition> require;
  std::vector<Put> puts;
  std::vector<std::string> deletes;

  bool empty() const { return puts.empty() && deletes.empty(); }
};

/// What became of a batch that the store did not refuse.
struct CommitOutcome {
  enum class Status { Committed, Conflict };
  Status status = Status::Committed;
  Version version = 0;        ///< of the records written, when committed
  std::string conflict_key;   ///< the first precondition that did not hold

  bool committed() const { return status == Status::Committed; }
};

/// The key's partition: everything before its first '/'.
std::string_view partition_of(std::string_view key);

/// The most records that one scan returns.
inline constexpr std::size_t kScanRecordsMax = 10'000;

struct StoreLimits {
  std::size_t key_bytes_max = 512;
  std::size_t value_bytes_max = 1024 * 1024;  ///< larger values belong in the blob store
  std::size_t batch_operations_max = 100;     ///< DynamoDB's TransactWriteItems takes as many
  std::size_t batch_bytes_max = 4 * 1024 * 1024;
};

/// An ordered map of byte keys to values with versions: the one place where anything becomes durable.
///
/// All calls are made on one loop. Commits are applied in the order in which they were called, and a `get` or `scan`
/// called after a commit returned sees it. Concurrent commits share one sync (group commit).
///
/// Errors: `store.full` (no space; Retry::Safe, nothing was applied), `store.read_only`, `store.io` (Retry::Safe when
/// certainly not applied), `store.outcome_unknown` (Retry::OutcomeUnknown: the batch may or may not be there),
/// `store.damaged`, `store.closed`, `store.invalid_batch` (limits, two partitions, a key twice; Retry::Never),
/// `store.invalid_scan` (its limit is 0 or too large).
class Store {
 public:
  virtual ~Store() = default;

  virtual Task<Result<std::optional<Record>>> get(std::string key) = 0;
  /// At most `limit` records (1 … 10,000) in key order, or from the end of the range with Direction::Backward.
  virtual Task<Result<std::vector<Record>>> scan(KeyRange range, std::size_t limit, Direction direction) = 0;
  /// Returns once the batch is durable, refused or failed.
  virtual Task<Result<CommitOutcome>> commit(Batch batch) = 0;

  /// Calls `changed` on the loop after commits (by this process, at least) that touched a key with `prefix`; until the
  /// returned handle is destroyed.
  class Watch {
   public:
    virtual ~Watch() = default;
  };
  [[nodiscard]] virtual std::unique_ptr<Watch> watch(std::string prefix, std::function<void()> changed) = 0;

  /// True when opening this store proves that no other process can write to it (the embedded store's file lock), so that
  /// leases of an earlier owner can be taken over at once.
  virtual bool exclusive() const = 0;
  /// Finishes what was called, then refuses everything with `store.closed`.
  virtual Task<> close() = 0;
};

/// Checks a batch against the contract above. Every implementation calls it first. Error: `store.invalid_batch`.
Result<void> check_batch(const Batch& batch, const StoreLimits& limits = {});
/// Checks the limit of a scan. Error: `store.invalid_scan`.
Result<void> check_scan(std::size_t limit);
/// Bytes of all keys and values of a batch.
std::size_t bytes_of(const Batch& batch);

}  // namespace mayfly
