#pragma once

#include <cstddef>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "runtime/clock.h"
#include "runtime/random.h"
#include "runtime/task.h"
#include "store/store.h"
#include "store/watchers.h"

namespace mayfly {

/// What survives a crash: the durable records that successive incarnations of a process share.
///
/// It also keeps the tasks that a crash left suspended, for ever: their coroutines are destroyed (not resumed) by
/// `release_crashed()` or with the disk. Call it while the loop and whatever those tasks refer to still exist.
class SimDisk {
 public:
  struct Cell {
    std::string value;
    Version version = 0;
  };
  SimDisk() = default;
  SimDisk(const SimDisk&) = delete;
  SimDisk& operator=(const SimDisk&) = delete;

  /// The durable truth, for checkers.
  const std::map<std::string, Cell>& cells() const { return cells_; }
  std::size_t batches_applied() const { return batches_applied_; }
  std::size_t tasks_crashed() const { return crashed_.size(); }
  void release_crashed() { crashed_.clear(); }

  /// Applies a batch as one commit of any store would.
  CommitOutcome apply(const Batch& batch);
  /// Keeps a task suspended for ever.
  template <class T>
  void bury(Resume<T> resume) {
    crashed_.emplace_back([resume = std::move(resume)] {});
  }

 private:
  std::map<std::string, Cell> cells_;
  Version last_version_ = 0;
  std::size_t batches_applied_ = 0;
  std::vector<std::move_only_function<void()>> crashed_;
};

/// What may go wrong, as probabilities from 0 to 1. The default is a store without faults or delays.
struct SimStoreFaults {
  Millis apply_delay_max{0};    ///< from the call to the moment when the batch is durable
  Millis answer_delay_max{0};   ///< from that moment to the answer
  double refused = 0;           ///< `store.io`, Retry::Safe; not applied
  double full = 0;              ///< `store.full`, Retry::Safe; not applied
  double unknown_applied = 0;   ///< `store.outcome_unknown`; applied
  double unknown_lost = 0;      ///< `store.outcome_unknown`; not applied
  double read_failed = 0;       ///< `store.io` from get and scan
};

/// A Store for deterministic simulation on one loop: the same calls, Clock and Random give the same history.
/// Any number may use one disk: an owner that was fenced off can go on committing, as in life. Destroying it crashes it.
class SimStore final : public Store {
 public:
  SimStore(SimDisk& disk, Executor executor, Clock& clock, Random& random, SimStoreFaults faults = {});
  ~SimStore() override;

  void set_faults(SimStoreFaults faults) { faults_ = faults; }
  /// The process dies now. A random number of the commits under way, oldest first, are durable, the rest is lost; no batch
  /// is torn. Whoever awaits this store, now or later, is never resumed, and no watcher is called again.
  void crash();
  bool crashed() const { return crashed_; }

  Task<Result<std::optional<Record>>> get(std::string key) override;
  Task<Result<std::vector<Record>>> scan(KeyRange range, std::size_t limit, Direction direction) override;
  Task<Result<CommitOutcome>> commit(Batch batch) override;
  std::unique_ptr<Watch> watch(std::string prefix, std::function<void()> changed) override;
  bool exclusive() const override { return true; }
  Task<> close() override;

 private:
  enum class Fate { Normal, Refused, Full, UnknownApplied, UnknownLost };
  struct Pending {
    Batch batch;
    Fate fate;
    std::chrono::nanoseconds apply_at, answer_at;
    Resume<Result<CommitOutcome>> resume;
    bool applied = false;
    Result<CommitOutcome> outcome = CommitOutcome{};
  };

  bool chance(double probability);
  Fate draw_fate();
  std::chrono::nanoseconds draw_delay(Millis max);
  Result<void> before_read();
  void enqueue(Batch batch, Resume<Result<CommitOutcome>> resume);
  void apply(Pending& pending);
  void arm();
  void pump();

  SimDisk& disk_;
  Executor executor_;
  Clock& clock_;
  Random& random_;
  SimStoreFaults faults_;
  Watchers watchers_;
  std::deque<Pending> queue_;  // in call order; the applied ones first
  std::vector<Resume<bool>> idle_;
  std::unique_ptr<Clock::Timer> timer_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
  bool armed_ = false;
  bool closed_ = false;
  bool crashed_ = false;
};

}  // namespace mayfly
