#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "store/store.h"

/// What every Store does, as one typed suite. A harness has `asio::io_context io` and `std::unique_ptr<Store> open()`, which
/// opens the same data again each time (the one before is destroyed).
/// Use: INSTANTIATE_TYPED_TEST_SUITE_P(Sqlite, StoreConformance, SqliteHarness);
namespace mayfly {

template <class T>
Task<> await_into(Task<T> task, std::optional<T>* out) {
  *out = co_await std::move(task);
}

inline Task<> await_flag(Task<> task, bool* done) {
  co_await std::move(task);
  *done = true;
}

/// Runs the loop until the task has returned.
template <class T>
T run_on(asio::io_context& io, Task<T> task) {
  std::optional<T> out;
  TaskGroup group(io.get_executor());
  group.spawn(await_into(std::move(task), &out));
  io.restart();
  while (group.size() > 0 && io.run_one() > 0) {
  }
  return std::move(out.value());
}

inline void run_on(asio::io_context& io, Task<> task) {
  bool done = false;
  TaskGroup group(io.get_executor());
  group.spawn(await_flag(std::move(task), &done));
  io.restart();
  while (group.size() > 0 && io.run_one() > 0) {
  }
  ASSERT_TRUE(done);
}

template <class Harness>
class StoreConformance : public ::testing::Test {
 protected:
  StoreConformance() : store_(harness_.open()) {}

  Result<CommitOutcome> commit(Batch batch) { return run_on(harness_.io, store_->commit(std::move(batch))); }
  Version put(const std::string& key, const std::string& value) {
    const auto outcome = commit({.puts = {{key, value}}});
    EXPECT_TRUE(outcome && outcome->committed()) << key;
    return outcome ? outcome->version : 0;
  }
  std::optional<Record> get(const std::string& key) {
    auto record = run_on(harness_.io, store_->get(key));
    EXPECT_TRUE(record) << record.error().message;
    return record ? *record : std::nullopt;
  }
  std::string value(const std::string& key) {
    const auto record = get(key);
    return record ? record->value : "(absent)";
  }
  std::vector<std::string> keys(KeyRange range, std::size_t limit = 100, Direction direction = Direction::Forward) {
    const auto records = run_on(harness_.io, store_->scan(std::move(range), limit, direction));
    EXPECT_TRUE(records) << records.error().message;
    std::vector<std::string> keys;
    for (const Record& record : *records) keys.push_back(record.key);
    return keys;
  }
  void reopen() {
    run_on(harness_.io, store_->close());
    store_.reset();
    store_ = harness_.open();
  }
  std::string conflict_of(Batch batch) {
    const auto outcome = commit(std::move(batch));
    if (!outcome) return outcome.error().code;
    return outcome->committed() ? "(committed)" : outcome->conflict_key;
  }

  Harness harness_;
  std::unique_ptr<Store> store_;
};

TYPED_TEST_SUITE_P(StoreConformance);

TYPED_TEST_P(StoreConformance, ReadsWhatWasCommitted) {
  EXPECT_FALSE(this->get("p/a"));
  const Version version = this->put("p/a", "one");
  const auto record = this->get("p/a");
  ASSERT_TRUE(record);
  EXPECT_EQ(record->key, "p/a");
  EXPECT_EQ(record->value, "one");
  EXPECT_EQ(record->version, version);
  EXPECT_NE(version, 0u);
}

TYPED_TEST_P(StoreConformance, KeepsAnyBytes) {
  std::string all;
  for (int byte = 0; byte < 256; ++byte) all += static_cast<char>(byte);
  const std::string key = "p/" + all, large(1024 * 1024, '\xfe');
  this->put(key, all);
  this->put("p/empty", "");
  this->put("p/large", large);
  EXPECT_EQ(this->value(key), all);
  EXPECT_EQ(this->value("p/empty"), "");
  EXPECT_EQ(this->value("p/large"), large);
}

TYPED_TEST_P(StoreConformance, ScansInByteOrderBothWays) {
  const std::vector<std::string> sorted = {"p/", std::string("p/\0", 3), std::string("p/\0a", 4), "p/A", "p/a", "p/a\x01", "p/aa",
                                           "p/\x7f", "p/\x80", "p/\xc3\xa9", "p/\xff", "p/\xff\xff"};
  for (const std::size_t at : {5u, 0u, 11u, 3u, 8u, 1u, 10u, 2u, 9u, 4u, 7u, 6u}) this->put(sorted[at], "v");
  EXPECT_EQ(this->keys(KeyRange::prefix("p/")), sorted);
  EXPECT_EQ(this->keys(KeyRange::prefix("p/"), 100, Direction::Backward), std::vector(sorted.rbegin(), sorted.rend()));
  EXPECT_EQ(this->keys(KeyRange::prefix("p/\xff")), (std::vector<std::string>{"p/\xff", "p/\xff\xff"}));
  EXPECT_EQ(this->keys(KeyRange::prefix("p/a")), (std::vector<std::string>{"p/a", "p/a\x01", "p/aa"}));
}

TYPED_TEST_P(StoreConformance, ScanHonoursRangeAndLimit) {
  for (const char* key : {"p/a", "p/b", "p/c", "p/d", "q/a"}) this->put(key, "v");
  using Keys = std::vector<std::string>;
  EXPECT_EQ(this->keys({"p/b", "p/d"}), (Keys{"p/b", "p/c"}));
  EXPECT_EQ(this->keys({"p/b", ""}), (Keys{"p/b", "p/c", "p/d", "q/a"}));
  EXPECT_EQ(this->keys({"", ""}, 2), (Keys{"p/a", "p/b"}));
  EXPECT_EQ(this->keys({"p/a", "p/d"}, 2, Direction::Backward), (Keys{"p/c", "p/b"}));
  EXPECT_EQ(this->keys({"p/d", "p/a"}), Keys{});
  for (const std::size_t limit : {std::size_t{0}, kScanRecordsMax + 1}) {
    const auto refused = run_on(this->harness_.io, this->store_->scan({"", ""}, limit, Direction::Forward));
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, "store.invalid_scan");
  }
}

TYPED_TEST_P(StoreConformance, VersionsGrowAndAreSharedByABatch) {
  const Version first = this->put("p/a", "1");
  const Version second = this->put("q/a", "1");
  EXPECT_GT(second, first);
  const auto third = this->commit({.puts = {{"p/a", "2"}, {"p/b", "2"}}});
  ASSERT_TRUE(third);
  EXPECT_GT(third->version, second);
  EXPECT_EQ(this->get("p/a")->version, third->version);
  EXPECT_EQ(this->get("p/b")->version, third->version);
  EXPECT_EQ(this->get("q/a")->version, second);
}

TYPED_TEST_P(StoreConformance, ConflictAppliesNothingAndNamesTheFirstKey) {
  const Version version = this->put("p/a", "old");
  EXPECT_EQ(this->conflict_of({.require = {Precondition::present("p/a"), Precondition::present("p/x"), Precondition::present("p/y")},
                               .puts = {{"p/b", "new"}, {"p/a", "new"}}}),
            "p/x");
  EXPECT_EQ(this->value("p/a"), "old");
  EXPECT_EQ(this->get("p/a")->version, version);
  EXPECT_EQ(this->value("p/b"), "(absent)");
  EXPECT_EQ(this->conflict_of({.require = {Precondition::present("p/x")}, .deletes = {"p/a"}}), "p/x");
  EXPECT_EQ(this->value("p/a"), "old");
}

TYPED_TEST_P(StoreConformance, EachPreconditionHoldsOnlyWhenTrue) {
  const Version version = this->put("p/a", "1");
  const std::vector<Put> puts = {{"p/out", "x"}};
  const auto run = [&](Precondition precondition) { return this->conflict_of({.require = {std::move(precondition)}, .puts = puts}); };
  EXPECT_EQ(run(Precondition::absent("p/none")), "(committed)");
  EXPECT_EQ(run(Precondition::absent("p/a")), "p/a");
  EXPECT_EQ(run(Precondition::present("p/a")), "(committed)");
  EXPECT_EQ(run(Precondition::present("p/none")), "p/none");
  EXPECT_EQ(run(Precondition::version_equals("p/a", version)), "(committed)");
  EXPECT_EQ(run(Precondition::version_equals("p/a", version + 1)), "p/a");
  EXPECT_EQ(run(Precondition::version_equals("p/none", version)), "p/none");
}

TYPED_TEST_P(StoreConformance, VersionPreconditionFollowsEveryWrite) {
  const auto guarded = [&](Version version) {
    return this->conflict_of({.require = {Precondition::version_equals("p/epoch", version)}, .puts = {{"p/out", "x"}}});
  };
  const Version first = this->put("p/epoch", "1");
  EXPECT_EQ(guarded(first), "(committed)");
  const Version second = this->put("p/epoch", "1");
  EXPECT_EQ(guarded(first), "p/epoch");
  EXPECT_EQ(guarded(second), "(committed)");
  ASSERT_TRUE(this->commit({.deletes = {"p/epoch"}}));
  EXPECT_EQ(guarded(second), "p/epoch");
  const Version third = this->put("p/epoch", "1");
  EXPECT_GT(third, second);
  EXPECT_EQ(guarded(second), "p/epoch");
  EXPECT_EQ(guarded(third), "(committed)");
}

TYPED_TEST_P(StoreConformance, PreconditionsAloneCanBeAsked) {
  this->put("p/a", "1");
  EXPECT_EQ(this->conflict_of({.require = {Precondition::present("p/a")}}), "(committed)");
  EXPECT_EQ(this->conflict_of({.require = {Precondition::absent("p/a")}}), "p/a");
}

inline Task<> commit_into(Store* store, Batch batch, std::optional<Result<CommitOutcome>>* out) {
  *out = co_await store->commit(std::move(batch));
}

/// Starts all the batches at once and waits for the last answer.
inline std::vector<Result<CommitOutcome>> commit_all(asio::io_context& io, Store& store, std::vector<Batch> batches) {
  std::vector<std::optional<Result<CommitOutcome>>> outcomes(batches.size());
  TaskGroup group(io.get_executor());
  for (std::size_t i = 0; i < batches.size(); ++i) group.spawn(commit_into(&store, std::move(batches[i]), &outcomes[i]));
  io.restart();
  while (group.size() > 0 && io.run_one() > 0) {
  }
  std::vector<Result<CommitOutcome>> out;
  for (auto& outcome : outcomes) out.push_back(std::move(outcome.value()));
  return out;
}

TYPED_TEST_P(StoreConformance, ConcurrentCommitsApplyInCallOrder) {
  std::vector<Batch> batches;
  for (int i = 0; i < 300; ++i) batches.push_back({.puts = {{"p/last", std::to_string(i)}, {"p/n/" + std::to_string(1000 + i), "x"}}});
  const auto outcomes = commit_all(this->harness_.io, *this->store_, std::move(batches));
  Version previous = 0;
  for (const auto& outcome : outcomes) {
    ASSERT_TRUE(outcome && outcome->committed());
    EXPECT_GT(outcome->version, previous);
    previous = outcome->version;
  }
  EXPECT_EQ(this->value("p/last"), "299");
  EXPECT_EQ(this->keys(KeyRange::prefix("p/n/"), 1000).size(), 300u);
}

TYPED_TEST_P(StoreConformance, OfConcurrentCommitsOnOneVersionTheFirstWins) {
  const Version version = this->put("p/a", "0");
  std::vector<Batch> batches;
  for (int i = 1; i <= 50; ++i)
    batches.push_back({.require = {Precondition::version_equals("p/a", version)}, .puts = {{"p/a", std::to_string(i)}}});
  for (int i = 1; i <= 50; ++i) batches.push_back({.require = {Precondition::absent("p/new")}, .puts = {{"p/new", std::to_string(i)}}});
  const auto outcomes = commit_all(this->harness_.io, *this->store_, std::move(batches));
  for (std::size_t i = 0; i < outcomes.size(); ++i) {
    ASSERT_TRUE(outcomes[i]);
    EXPECT_EQ(outcomes[i]->committed(), i % 50 == 0) << i;
  }
  EXPECT_EQ(this->value("p/a"), "1");
  EXPECT_EQ(this->value("p/new"), "1");
}

TYPED_TEST_P(StoreConformance, RefusesInvalidBatches) {
  const auto code = [&](Batch batch) { return this->conflict_of(std::move(batch)); };
  const std::string invalid = "store.invalid_batch";
  EXPECT_EQ(code({}), invalid);
  EXPECT_EQ(code({.puts = {{"p/a", "1"}, {"q/a", "1"}}}), invalid);
  EXPECT_EQ(code({.puts = {{"p/a", "1"}}, .deletes = {"q/a"}}), invalid);
  EXPECT_EQ(code({.require = {Precondition::absent("q/a")}, .puts = {{"p/a", "1"}}}), invalid);
  EXPECT_EQ(code({.puts = {{"p/a", "1"}, {"p/a", "2"}}}), invalid);
  EXPECT_EQ(code({.puts = {{"p/a", "1"}}, .deletes = {"p/a"}}), invalid);
  EXPECT_EQ(code({.puts = {{"nopartition", "1"}}}), invalid);
  EXPECT_EQ(code({.puts = {{"/a", "1"}}}), invalid);
  EXPECT_EQ(code({.puts = {{"p/" + std::string(511, 'k'), "1"}}}), invalid);
  EXPECT_EQ(code({.puts = {{"p/a", std::string(1024 * 1024 + 1, 'v')}}}), invalid);
  Batch many, heavy;
  for (int i = 0; i < 101; ++i) many.puts.push_back({"p/" + std::to_string(i), "v"});
  for (int i = 0; i < 5; ++i) heavy.puts.push_back({"p/" + std::to_string(i), std::string(1024 * 1024, 'v')});
  EXPECT_EQ(code(std::move(many)), invalid);
  EXPECT_EQ(code(std::move(heavy)), invalid);
  EXPECT_EQ(this->keys({"", ""}), std::vector<std::string>{});
  EXPECT_EQ(code({.puts = {{"p/" + std::string(510, 'k'), "1"}}}), "(committed)");
}

TYPED_TEST_P(StoreConformance, DeletesAlsoWhatIsNotThere) {
  this->put("p/a", "1");
  EXPECT_EQ(this->conflict_of({.deletes = {"p/a", "p/never"}}), "(committed)");
  EXPECT_FALSE(this->get("p/a"));
  EXPECT_EQ(this->keys({"", ""}), std::vector<std::string>{});
}

TYPED_TEST_P(StoreConformance, WatchersHearOfTheirPrefixOnly) {
  int a = 0, all = 0, gone = 0;
  auto watch_a = this->store_->watch("p/a", [&] { ++a; });
  const auto watch_all = this->store_->watch("", [&] { ++all; });
  { const auto dropped = this->store_->watch("p/", [&] { ++gone; }); }
  this->put("p/a1", "1");
  this->put("p/b", "1");
  EXPECT_EQ(a, 1);
  EXPECT_EQ(all, 2);
  ASSERT_TRUE(this->commit({.deletes = {"p/a1"}}));
  EXPECT_EQ(a, 2);
  EXPECT_EQ(this->conflict_of({.require = {Precondition::absent("p/b")}, .puts = {{"p/a1", "x"}}}), "p/b");
  EXPECT_EQ(a, 2) << "a conflict changes nothing";
  watch_a.reset();
  this->put("p/a2", "1");
  EXPECT_EQ(a, 2);
  EXPECT_EQ(all, 4);
  EXPECT_EQ(gone, 0);
}

inline Task<> commit_two_and_close(Store* store, std::optional<Result<CommitOutcome>>* first, std::optional<Result<CommitOutcome>>* late) {
  TaskGroup group(co_await asio::this_coro::executor);
  group.spawn(commit_into(store, {.puts = {{"p/a", "before"}}}, first));
  co_await yield_now();
  co_await store->close();
  *late = co_await store->commit({.puts = {{"p/a", "after"}}});
  co_await group.join();
}

TYPED_TEST_P(StoreConformance, CloseFinishesThenRefuses) {
  std::optional<Result<CommitOutcome>> first, late;
  run_on(this->harness_.io, commit_two_and_close(this->store_.get(), &first, &late));
  ASSERT_TRUE(first && *first);
  EXPECT_TRUE((*first)->committed());
  ASSERT_TRUE(late && !*late);
  EXPECT_EQ(late->error().code, "store.closed");
  const auto read = run_on(this->harness_.io, this->store_->get("p/a"));
  ASSERT_FALSE(read);
  EXPECT_EQ(read.error().code, "store.closed");
  this->reopen();
  EXPECT_EQ(this->value("p/a"), "before");
}

TYPED_TEST_P(StoreConformance, ReopeningKeepsEverythingAndVersionsGrow) {
  const Version first = this->put("p/a", "1");
  const Version second = this->put("p/b", std::string(50'000, 'b'));
  this->reopen();
  EXPECT_EQ(this->get("p/a")->version, first);
  EXPECT_EQ(this->get("p/b")->version, second);
  EXPECT_EQ(this->get("p/b")->value.size(), 50'000u);
  EXPECT_EQ(this->conflict_of({.require = {Precondition::version_equals("p/a", first)}, .puts = {{"p/c", "1"}}}), "(committed)");
  EXPECT_GT(this->get("p/c")->version, second);
}

TYPED_TEST_P(StoreConformance, ScansTenThousandRecords) {
  std::vector<Batch> batches;
  for (int i = 0; i < 101; ++i) {
    Batch batch;
    for (int j = 0; j < 100; ++j) batch.puts.push_back({"p/" + std::to_string(100'000 + i * 100 + j), std::to_string(j)});
    batches.push_back(std::move(batch));
  }
  for (const auto& outcome : commit_all(this->harness_.io, *this->store_, std::move(batches))) ASSERT_TRUE(outcome);
  const auto keys = this->keys({"", ""}, kScanRecordsMax);
  ASSERT_EQ(keys.size(), kScanRecordsMax);
  EXPECT_EQ(keys.front(), "p/100000");
  EXPECT_EQ(keys.back(), "p/109999");
  EXPECT_EQ(this->keys({"", ""}, 1, Direction::Backward), std::vector<std::string>{"p/110099"});
}

REGISTER_TYPED_TEST_SUITE_P(StoreConformance, ReadsWhatWasCommitted, KeepsAnyBytes, ScansInByteOrderBothWays, ScanHonoursRangeAndLimit,
                            VersionsGrowAndAreSharedByABatch, ConflictAppliesNothingAndNamesTheFirstKey,
                            EachPreconditionHoldsOnlyWhenTrue, VersionPreconditionFollowsEveryWrite, PreconditionsAloneCanBeAsked,
                            ConcurrentCommitsApplyInCallOrder, OfConcurrentCommitsOnOneVersionTheFirstWins, RefusesInvalidBatches,
                            DeletesAlsoWhatIsNotThere, WatchersHearOfTheirPrefixOnly, CloseFinishesThenRefuses,
                            ReopeningKeepsEverythingAndVersionsGrow, ScansTenThousandRecords);

}  // namespace mayfly
