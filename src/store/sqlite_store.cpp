#include "store/sqlite_store.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <thread>

#include "store/sqlite_schema.h"
#include "store/sqlite_writer.h"
#include "store/watchers.h"

namespace mayfly {
namespace {

constexpr std::size_t kGroupBytesMax = 16 * 1024 * 1024;
constexpr std::size_t kGroupJobsMax = 4096;

Error closed_error() { return {"store.closed", "The store is closed: start again after the restart.", Retry::Safe}; }

/// Hands jobs from the loop to the writer without a lock; the writer sleeps while there are none.
class JobQueue {
 public:
  ~JobQueue() { take(); }

  void push(std::unique_ptr<CommitJob> job) {
    CommitJob* raw = job.release();
    CommitJob* before = head_.load(std::memory_order_relaxed);
    do raw->next = before;
    while (!head_.compare_exchange_weak(before, raw, std::memory_order_release, std::memory_order_relaxed));
    if (!before) wake();
  }
  void stop() {
    stopping_.store(true);
    wake();
  }
  /// Everything that queued, oldest first; empty only when stopped.
  CommitGroup wait() {
    for (;;) {
      const auto seen = signal_.load();
      const bool stopping = stopping_.load();
      CommitGroup jobs = take();
      if (!jobs.empty() || stopping) return jobs;
      signal_.wait(seen);
    }
  }

 private:
  void wake() {
    signal_.fetch_add(1);
    signal_.notify_one();
  }
  CommitGroup take() {
    CommitGroup jobs;
    for (CommitJob* job = head_.exchange(nullptr, std::memory_order_acquire); job; job = job->next) jobs.emplace_back(job);
    std::ranges::reverse(jobs);
    return jobs;
  }

  std::atomic<CommitJob*> head_ = nullptr;
  std::atomic<std::int32_t> signal_ = 0;  // 32 bits: what a futex waits on
  std::atomic<bool> stopping_ = false;
};

/// What the loop knows of the commits under way. Shared with the handlers that the writer posts, which may run last.
struct Progress {
  std::size_t commits = 0;
  std::size_t bytes = 0;
  Watchers watchers;
  std::vector<Resume<bool>> idle;  // who waits for `commits` to become 0

  void finish(CommitGroup group) {
    const bool watched = !watchers.empty();
    for (const auto& job : group) {
      bytes -= job->bytes;
      if (watched && job->outcome && job->outcome->committed()) watchers.touch(job->batch);
      (*job->resume)(std::move(job->outcome));
    }
    commits -= group.size();
    if (commits == 0)
      for (auto& resume : std::exchange(idle, {})) resume(true);
    if (watched) watchers.notify();
  }
};

class SqliteStore final : public Store {
 public:
  SqliteStore(Executor executor, SqliteStoreOptions options, DirectoryLock lock)
      : executor_(executor), options_(std::move(options)), lock_(std::move(lock)), writer_(options_) {}
  ~SqliteStore() override { stop(); }

  Result<void> open() {
    if (auto ok = writer_.open(); !ok) return ok;
    if (auto ok = open_reader(); !ok) return ok;
    thread_ = std::thread([this] { write_until_stopped(); });
    return {};
  }

  Task<Result<std::optional<Record>>> get(std::string key) override { co_return read(key); }
  Task<Result<std::vector<Record>>> scan(KeyRange range, std::size_t limit, Direction direction) override {
    co_return read(range, limit, direction);
  }
  Task<Result<CommitOutcome>> commit(Batch batch) override;
  std::unique_ptr<Watch> watch(std::string prefix, std::function<void()> changed) override {
    return progress_->watchers.add(std::move(prefix), std::move(changed));
  }
  bool exclusive() const override { return true; }
  Task<> close() override;

 private:
  Result<void> open_reader();
  Result<std::optional<Record>> read(const std::string& key);
  Result<std::vector<Record>> read(const KeyRange& range, std::size_t limit, Direction direction);
  Result<void> submit_check(const Batch& batch, std::size_t bytes) const;
  void write_until_stopped();
  void stop();
  void post_finished(CommitGroup group) {
    asio::post(executor_, [progress = progress_, group = std::move(group)]() mutable { progress->finish(std::move(group)); });
  }

  Executor executor_;
  SqliteStoreOptions options_;
  DirectoryLock lock_;
  bool closed_ = false;
  std::shared_ptr<Progress> progress_ = std::make_shared<Progress>();

  SqliteDb reader_;
  SqliteStatement get_, scan_forward_, scan_backward_;

  std::shared_ptr<JobQueue> queue_ = std::make_shared<JobQueue>();
  SqliteWriter writer_;  // used by thread_ only, while it runs
  std::thread thread_;
};

Result<void> SqliteStore::open_reader() {
  auto db = open_for_reading(options_);
  if (!db) return fail(db.error());
  const std::string columns = "SELECT key, version, value FROM kv WHERE key ";
  auto get = sqlite_prepare(db->get(), columns + "= ?1");
  if (!get) return fail(get.error());
  auto forward = sqlite_prepare(db->get(), columns + ">= ?1 AND key < ?2 ORDER BY key LIMIT ?3");
  if (!forward) return fail(forward.error());
  auto backward = sqlite_prepare(db->get(), columns + ">= ?1 AND key < ?2 ORDER BY key DESC LIMIT ?3");
  if (!backward) return fail(backward.error());
  reader_ = std::move(*db);
  get_ = std::move(*get), scan_forward_ = std::move(*forward), scan_backward_ = std::move(*backward);
  return {};
}

Record record_of(sqlite3_stmt* row) {
  return {std::string(sqlite_text(row, 0)), std::string(sqlite_text(row, 2)), static_cast<Version>(sqlite3_column_int64(row, 1))};
}

Result<std::optional<Record>> SqliteStore::read(const std::string& key) {
  if (closed_) return fail(closed_error());
  sqlite_bind(get_.get(), 1, key);
  const int code = sqlite3_step(get_.get());
  std::optional<Record> record;
  if (code == SQLITE_ROW) record = record_of(get_.get());
  sqlite3_reset(get_.get());
  if (code != SQLITE_ROW && code != SQLITE_DONE) return fail(sqlite_error(reader_.get(), code));
  return record;
}

Result<std::vector<Record>> SqliteStore::read(const KeyRange& range, std::size_t limit, Direction direction) {
  if (closed_) return fail(closed_error());
  if (auto ok = check_scan(limit); !ok) return fail(ok.error());
  sqlite3_stmt* rows = (direction == Direction::Forward ? scan_forward_ : scan_backward_).get();
  sqlite_bind(rows, 1, range.begin);
  // Any blob sorts after every text: an end for ranges that have none.
  if (range.end.empty()) sqlite3_bind_zeroblob(rows, 2, 1);
  else sqlite_bind(rows, 2, range.end);
  sqlite_bind(rows, 3, static_cast<sqlite3_int64>(limit));
  std::vector<Record> records;
  int code = SQLITE_OK;
  while ((code = sqlite3_step(rows)) == SQLITE_ROW) records.push_back(record_of(rows));
  sqlite3_reset(rows);
  if (code != SQLITE_DONE) return fail(sqlite_error(reader_.get(), code));
  return records;
}

Result<void> SqliteStore::submit_check(const Batch& batch, std::size_t bytes) const {
  if (closed_) return fail(closed_error());
  if (auto ok = check_batch(batch, options_.limits); !ok) return ok;
  if (progress_->bytes + bytes > options_.queued_bytes_max)
    return fail("store.overloaded", fmt::format("{} bytes of commits wait for the disk: send less, or repeat later.", progress_->bytes),
                Retry::Safe);
  return {};
}

Task<Result<CommitOutcome>> SqliteStore::commit(Batch batch) {
  const std::size_t bytes = bytes_of(batch);
  if (auto ok = submit_check(batch, bytes); !ok) co_return fail(ok.error());
  auto job = std::make_unique<CommitJob>();
  job->batch = std::move(batch);
  job->bytes = bytes;
  ++progress_->commits;
  progress_->bytes += bytes;
  co_return co_await suspend<Result<CommitOutcome>>(
      [queue = queue_, job = std::move(job)](Resume<Result<CommitOutcome>> resume) mutable {
        job->resume.emplace(std::move(resume));
        queue->push(std::move(job));
      });
}

void SqliteStore::write_until_stopped() {
  for (;;) {
    CommitGroup jobs = queue_->wait();
    if (jobs.empty()) return;
    for (auto next = jobs.begin(); next != jobs.end();) {
      CommitGroup group;
      for (std::size_t bytes = 0; next != jobs.end() && group.size() < kGroupJobsMax && bytes < kGroupBytesMax; ++next) {
        bytes += (*next)->bytes;
        group.push_back(std::move(*next));
      }
      writer_.commit(group);
      post_finished(std::move(group));
      writer_.tidy();
    }
  }
}

void SqliteStore::stop() {
  if (thread_.joinable()) {
    queue_->stop();
    thread_.join();
  }
  for (SqliteStatement* statement : {&get_, &scan_forward_, &scan_backward_}) statement->reset();
  reader_.reset();
  writer_.close();  // last, so that closing it empties the write-ahead log
  lock_ = {};
}

Task<> SqliteStore::close() {
  closed_ = true;
  while (progress_->commits > 0)
    co_await suspend<bool>([progress = progress_](Resume<bool> resume) { progress->idle.push_back(std::move(resume)); });
  stop();
}

}  // namespace

Result<std::unique_ptr<Store>> open_sqlite_store(Executor executor, SqliteStoreOptions options) {
  while (options.directory.size() > 1 && options.directory.ends_with('/')) options.directory.pop_back();
  auto lock = lock_directory(options.directory);
  if (!lock) return fail(lock.error());
  auto store = std::make_unique<SqliteStore>(executor, std::move(options), std::move(*lock));
  if (auto ok = store->open(); !ok) return fail(ok.error());
  return store;
}

}  // namespace mayfly
