#include "store/sqlite_store.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sqlite3.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>

#include "runtime/random.h"
#include "store/store_conformance.h"
#include "testing/faulty_vfs.h"
#include "testing/temporary_directory.h"

namespace mayfly {
namespace {

struct SqliteStoreTest : ::testing::Test {
  TemporaryDirectory temporary;
  std::string directory = temporary.path + "/data";
  asio::io_context io;
  std::unique_ptr<Store> store;

  Result<void> open(SqliteStoreOptions options = {}) {
    options.directory = directory;
    auto opened = open_sqlite_store(io.get_executor(), options);
    if (!opened) return fail(opened.error());
    store = std::move(*opened);
    return {};
  }
  void close() {
    run_on(io, store->close());
    store.reset();
  }
  Result<CommitOutcome> put(const std::string& key, const std::string& value) {
    return run_on(io, store->commit({.puts = {{key, value}}}));
  }
  std::string get(const std::string& key) {
    const auto record = run_on(io, store->get(key));
    if (!record) return record.error().code;
    return *record ? (*record)->value : "(absent)";
  }
  /// What a person sees who reads the database with the sqlite3 program.
  std::string query(const std::string& sql) {
    sqlite3* db = nullptr;
    std::string out;
    sqlite3_open_v2((directory + "/store.db").c_str(), &db, SQLITE_OPEN_READWRITE, nullptr);
    const auto append = [](void* text, int count, char** columns, char**) {
      for (int i = 0; i < count; ++i)
        *static_cast<std::string*>(text) += std::string(columns[i] ? columns[i] : "NULL") + (i + 1 < count ? "|" : "\n");
      return 0;
    };
    char* error = nullptr;
    if (sqlite3_exec(db, sql.c_str(), append, &out, &error) != SQLITE_OK) out += std::string("error: ") + error;
    sqlite3_free(error);
    sqlite3_close(db);
    return out;
  }
};

TEST_F(SqliteStoreTest, FilesAreForTheOwnerOnly) {
  ASSERT_TRUE(open());
  ASSERT_TRUE(put("p/a", "1"));
  struct stat status {};
  ASSERT_EQ(::stat(directory.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0700u);
  for (const char* name : {"lock", "store.db", "store.db-wal", "store.db-shm"}) {
    ASSERT_EQ(::stat((directory + "/" + name).c_str(), &status), 0) << name;
    EXPECT_EQ(status.st_mode & 0777, 0600u) << name;
  }
  EXPECT_TRUE(store->exclusive());
}

TEST_F(SqliteStoreTest, UnusableDirectoryIsAnErrorThatNamesIt) {
  std::ofstream(directory) << "a file";
  const auto opened = open();
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code, "store.io");
  EXPECT_NE(opened.error().message.find(directory), std::string::npos);
}

TEST_F(SqliteStoreTest, TrailingSlashMakesNoDifference) {
  directory += "/";
  ASSERT_TRUE(open());
  struct stat status {};
  ASSERT_EQ(::stat(directory.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0700u);
}

TEST_F(SqliteStoreTest, SecondOwnerIsRefusedUntilTheFirstEnds) {
  ASSERT_TRUE(open());
  const auto second = open_sqlite_store(io.get_executor(), {.directory = directory});
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, "store.locked");
  EXPECT_NE(second.error().message.find(directory), std::string::npos) << second.error().message;
  EXPECT_NE(second.error().message.find(std::to_string(::getpid())), std::string::npos) << second.error().message;
  close();
  EXPECT_TRUE(open());
}

TEST_F(SqliteStoreTest, PeopleCanReadRecordsThroughViews) {
  const std::string view = "CREATE VIEW runs AS SELECT key, json_extract(value, '$.status') AS status FROM kv WHERE key LIKE '%/x/%'";
  ASSERT_TRUE(open({.view_sql = {view}}));
  ASSERT_TRUE(put("0007/x/run_1", R"({"status":"Completed"})"));
  ASSERT_TRUE(put("0007/y/other", R"({"status":"Other"})"));
  EXPECT_EQ(query("SELECT key, status FROM runs"), "0007/x/run_1|Completed\n");
  close();

  ASSERT_TRUE(open({.view_sql = {"CREATE VIEW operations AS SELECT count(*) AS n FROM kv"}}));
  EXPECT_EQ(query("SELECT name FROM sqlite_schema WHERE type = 'view'"), "operations\n");
  EXPECT_EQ(query("SELECT n FROM operations"), "2\n");
  close();

  const auto wrong = open({.view_sql = {"CREATE VIEW runs AS SELEKT"}});
  ASSERT_FALSE(wrong);
  EXPECT_EQ(wrong.error().code, "store.invalid_view");
  ASSERT_TRUE(open({.view_sql = {view}}));
  EXPECT_EQ(query("SELECT status FROM runs"), "Completed\n") << "a refused view changed nothing";
}

TEST_F(SqliteStoreTest, NewerFormatIsRefused) {
  ASSERT_TRUE(open());
  close();
  query("UPDATE store_meta SET value = 2 WHERE name = 'format'");
  const auto opened = open();
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code, "store.too_new");
}

TEST_F(SqliteStoreTest, DamagedFileIsReportedNotRead) {
  ASSERT_TRUE(open());
  ASSERT_TRUE(put("p/a", "1"));
  close();
  std::fstream(directory + "/store.db", std::ios::in | std::ios::out | std::ios::binary) << "this is no database";
  const auto opened = open();
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code, "store.damaged");
}

TEST_F(SqliteStoreTest, DamageFoundWhileRunningIsReported) {
  ASSERT_TRUE(open());
  for (int i = 0; i < 200; ++i) ASSERT_TRUE(put("p/" + std::to_string(i), std::string(2000, 'x')));
  close();
  const auto pages = std::filesystem::file_size(directory + "/store.db") / 4096;
  std::fstream file(directory + "/store.db", std::ios::in | std::ios::out | std::ios::binary);
  for (std::size_t page = 4; page < pages; ++page) file.seekp(static_cast<std::streamoff>(page * 4096)) << std::string(4096, '\xee');
  file.close();
  ASSERT_TRUE(open());
  const auto scanned = run_on(io, store->scan({"", ""}, 1000, Direction::Forward));
  ASSERT_FALSE(scanned);
  EXPECT_EQ(scanned.error().code, "store.damaged");
  EXPECT_EQ(scanned.error().retry, Retry::Never);
}

TEST_F(SqliteStoreTest, QueueIsLimited) {
  ASSERT_TRUE(open({.queued_bytes_max = 1000}));
  const auto refused = put("p/a", std::string(2000, 'x'));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, "store.overloaded");
  EXPECT_EQ(refused.error().retry, Retry::Safe);
  EXPECT_TRUE(put("p/a", "small"));
}

struct FaultySqliteStoreTest : SqliteStoreTest {
  FaultyVfs vfs;
  ~FaultySqliteStoreTest() override { store.reset(); }
  Result<void> open_faulty(SqliteStoreOptions options = {}) {
    options.vfs = FaultyVfs::name();
    return open(options);
  }
};

TEST_F(FaultySqliteStoreTest, ManyCommitsShareASync) {
  ASSERT_TRUE(open_faulty());
  const int before = vfs.faults().syncs;
  std::vector<Batch> batches;
  for (int i = 0; i < 500; ++i) batches.push_back({.puts = {{"p/" + std::to_string(i), "v"}}});
  for (const auto& outcome : commit_all(io, *store, std::move(batches))) ASSERT_TRUE(outcome);
  const int syncs = vfs.faults().syncs - before;
  EXPECT_GE(syncs, 1) << "an acknowledged commit was synced";
  EXPECT_LT(syncs, 100);
  const int shared = vfs.faults().syncs;
  ASSERT_TRUE(put("p/again", "v"));
  EXPECT_EQ(vfs.faults().syncs, shared + 1) << "a single commit is synced before its answer";
}

TEST_F(FaultySqliteStoreTest, FailedWritesLoseNothingAndServiceReturns) {
  struct Case {
    int fault;
    const char* code;
  };
  ASSERT_TRUE(open_faulty());
  ASSERT_TRUE(put("p/a", "kept"));
  for (const Case& one :
       {Case{SQLITE_FULL, "store.full"}, Case{SQLITE_IOERR_WRITE, "store.io"}, Case{SQLITE_READONLY, "store.read_only"}}) {
    vfs.faults().write_error = one.fault;
    std::vector<Batch> batches;
    for (int i = 0; i < 10; ++i) batches.push_back({.puts = {{"p/a", "lost"}, {"p/" + std::to_string(i), "lost"}}});
    for (const auto& outcome : commit_all(io, *store, std::move(batches))) {
      ASSERT_FALSE(outcome);
      EXPECT_EQ(outcome.error().code, one.code);
      EXPECT_EQ(outcome.error().retry, Retry::Safe);
      EXPECT_NE(outcome.error().message.find(directory), std::string::npos);
    }
    EXPECT_EQ(get("p/a"), "kept") << "reading goes on";
    EXPECT_EQ(get("p/3"), "(absent)");
    vfs.faults().write_error = 0;
    ASSERT_TRUE(put("p/b", one.code)) << "writing goes on";
    EXPECT_EQ(get("p/b"), one.code);
  }
}

TEST_F(FaultySqliteStoreTest, FailedGroupForgetsItsVersions) {
  ASSERT_TRUE(open_faulty());
  const Version version = put("p/epoch", "1")->version;
  const auto guarded = [&] {
    return run_on(io, store->commit({.require = {Precondition::version_equals("p/epoch", version)}, .puts = {{"p/out", "x"}}}));
  };
  ASSERT_TRUE(guarded()->committed());
  vfs.faults().write_error = SQLITE_FULL;
  ASSERT_FALSE(put("p/epoch", "2"));
  vfs.faults().write_error = 0;
  const auto after = guarded();
  ASSERT_TRUE(after);
  EXPECT_TRUE(after->committed()) << "the epoch was not raised, so its holder can write";
}

TEST_F(FaultySqliteStoreTest, FailedSyncIsAnUnknownOutcomeAndServiceReturns) {
  ASSERT_TRUE(open_faulty());
  ASSERT_TRUE(put("p/a", "first"));
  vfs.faults().sync_error = SQLITE_IOERR_FSYNC;
  const auto unknown = put("p/a", "second");
  ASSERT_FALSE(unknown);
  EXPECT_EQ(unknown.error().code, "store.outcome_unknown");
  EXPECT_EQ(unknown.error().retry, Retry::OutcomeUnknown);
  vfs.faults().sync_error = 0;
  const std::string seen = get("p/a");
  EXPECT_TRUE(seen == "first" || seen == "second") << seen;
  const auto version = run_on(io, store->get("p/a")).value()->version;
  const auto next = run_on(io, store->commit({.require = {Precondition::version_equals("p/a", version)}, .puts = {{"p/a", "third"}}}));
  ASSERT_TRUE(next && next->committed()) << "what is read is what preconditions see";
  close();
  ASSERT_TRUE(open_faulty());
  EXPECT_EQ(get("p/a"), "third");
}

TEST_F(FaultySqliteStoreTest, FailedCheckpointsDoNotHinderCommits) {
  ASSERT_TRUE(open_faulty({.checkpoint_pages = 20}));
  vfs.faults().checkpoint_error = SQLITE_FULL;
  for (int i = 0; i < 200; ++i) ASSERT_TRUE(put("p/" + std::to_string(i), std::string(3000, 'x')));
  close();
  EXPECT_TRUE(std::filesystem::exists(directory + "/store.db-wal")) << "the log was not copied, so it must stay";
  vfs.faults().checkpoint_error = 0;
  ASSERT_TRUE(open_faulty({.checkpoint_pages = 20}));
  EXPECT_EQ(run_on(io, store->scan({"", ""}, 1000, Direction::Forward))->size(), 200u);
}

/// The child: commits numbered batches, ten at a time, and prints each number once it is acknowledged.
Task<> commit_and_print(Store* store, int first, int step, int pipe) {
  for (int number = first;; number += step) {
    Batch batch;
    for (int part = 0; part < 5; ++part)
      batch.puts.push_back({"p/" + std::to_string(number) + "/" + std::to_string(part), std::string(300, static_cast<char>('a' + part))});
    const auto outcome = co_await store->commit(std::move(batch));
    if (!outcome || !outcome->committed() || ::write(pipe, &number, sizeof number) != sizeof number) ::_exit(3);
  }
}

[[noreturn]] void run_child(const std::string& directory, int first, int pipe) {
  asio::io_context io;
  auto store = open_sqlite_store(io.get_executor(), {.directory = directory, .checkpoint_pages = 50});
  if (!store) ::_exit(2);
  TaskGroup group(io.get_executor());
  for (int i = 0; i < 10; ++i) group.spawn(commit_and_print(store->get(), first + i, 10, pipe));
  io.run();
  ::_exit(4);
}

/// Starts a child, kills it after `count` acknowledgements, and returns all it acknowledged.
std::vector<int> acknowledged_until_killed(const std::string& directory, int first, std::uint64_t count) {
  int ends[2];
  EXPECT_EQ(::pipe(ends), 0);
  const pid_t child = ::fork();
  if (child == 0) {
    ::close(ends[0]);
    run_child(directory, first, ends[1]);
  }
  ::close(ends[1]);
  std::vector<int> numbers;
  for (int number = 0; ::read(ends[0], &number, sizeof number) == sizeof number;) {
    numbers.push_back(number);
    if (numbers.size() == count) ::kill(child, SIGKILL);
  }
  ::close(ends[0]);
  int status = 0;
  ::waitpid(child, &status, 0);
  EXPECT_TRUE(WIFSIGNALED(status)) << "the child failed by itself: " << WEXITSTATUS(status);
  return numbers;
}

TEST_F(SqliteStoreTest, KilledProcessKeepsEveryAcknowledgedBatchWhole) {
  SeededRandom random(::testing::UnitTest::GetInstance()->random_seed() + 1u);
  std::vector<int> acknowledged;
  for (int round = 0; round < 6; ++round) {
    const auto more = acknowledged_until_killed(directory, round * 1'000'000, 1 + random.below(400));
    ASSERT_FALSE(more.empty());
    acknowledged.insert(acknowledged.end(), more.begin(), more.end());
    ASSERT_TRUE(open()) << "the lock went with the process";
    for (const int number : acknowledged)
      for (int part = 0; part < 5; ++part)
        ASSERT_EQ(get("p/" + std::to_string(number) + "/" + std::to_string(part)), std::string(300, static_cast<char>('a' + part)));
    EXPECT_EQ(query("SELECT count(*) % 5 FROM kv"), "0\n") << "no batch is there in part";
    EXPECT_EQ(query("PRAGMA integrity_check"), "ok\n");
    close();
  }
}

}  // namespace
}  // namespace mayfly
