#include "workflow/workflow_registry.h"

#include <gtest/gtest.h>

#include "store/sqlite_store.h"
#include "testing/sim_clock.h"
#include "testing/temporary_directory.h"

namespace mayfly::workflow {
namespace {

template <class T>
Task<> keep_result(Task<T> task, std::optional<T>* out) {
  out->emplace(co_await std::move(task));
}

std::string passing(std::string_view result) {
  return R"({"StartAt": "A", "States": {"A": {"Type": "Pass", "Result": ")" + std::string(result) + R"(", "End": true}}})";
}

class WorkflowRegistryTest : public testing::Test {
 protected:
  WorkflowRegistryTest() { open(); }
  ~WorkflowRegistryTest() override { close(); }

  template <class T>
  T run(Task<T> task) {
    std::optional<T> out;
    TaskGroup group(io_.get_executor());
    group.spawn(keep_result(std::move(task), &out));
    io_.restart();
    while (group.size() > 0 && io_.run_one_for(std::chrono::seconds(30)) > 0) {
    }
    EXPECT_EQ(group.size(), 0u) << "the loop has nothing to do, or hangs";
    return std::move(*out);
  }
  void open() {
    store_ = std::move(*open_sqlite_store(io_.get_executor(), {.directory = directory_.path + "/data"}));
    registry_ = std::make_unique<WorkflowRegistry>(*store_, clock_, random_, expressions_);
    const auto loaded = run(registry_->load());
    ASSERT_TRUE(loaded) << loaded.error().message;
  }
  void close() {
    registry_.reset();
    run(close_store());
    store_.reset();
  }
  void reopen() {
    close();
    open();
  }
  Task<bool> close_store() {
    co_await store_->close();
    co_return true;
  }
  Result<WorkflowRevision> deploy(const std::string& name, const std::string& text,
                                  WorkflowRegistry::Deploy mode = WorkflowRegistry::Deploy::Any, const std::string& role = "role") {
    WorkflowRevision revision;
    revision.name = name;
    revision.definition_text = text;
    revision.role_arn = role;
    return run(registry_->deploy(std::move(revision), mode));
  }
  std::int64_t publish(const std::string& name) {
    const auto version = run(registry_->publish(name, "", ""));
    EXPECT_TRUE(version);
    return version.value_or(0);
  }

  TemporaryDirectory directory_;
  asio::io_context io_;
  SimClock clock_;
  SeededRandom random_{7};
  Expressions expressions_;
  std::unique_ptr<Store> store_;
  std::unique_ptr<WorkflowRegistry> registry_;
};

TEST(WorkflowNames, AreThoseOfStepFunctions) {
  for (const char* good : {"a", "Order_review-2.x", "bücher", "x!=()'+@"}) EXPECT_TRUE(is_valid_name(good)) << good;
  for (const char* bad : {"", "a b", "a:b", "a/b", "a*", "a\tb", "\xc2\x85", "a\"", "{a}", "\xff"}) EXPECT_FALSE(is_valid_name(bad)) << bad;
  EXPECT_TRUE(is_valid_name(std::string(80, 'a')));
  EXPECT_FALSE(is_valid_name(std::string(81, 'a')));
}

TEST_F(WorkflowRegistryTest, AnEqualDefinitionDeploysNothingAndAnotherOneMakesARevision) {
  const auto first = deploy("review", passing("one"));
  ASSERT_TRUE(first) << first.error().message;
  EXPECT_EQ(first->revision, 1);
  EXPECT_EQ(deploy("review", passing("one") + "\n")->revision_id, first->revision_id);
  const auto second = deploy("review", passing("two"));
  EXPECT_EQ(second->revision, 2);
  EXPECT_NE(second->revision_id, first->revision_id);
  reopen();
  EXPECT_EQ(registry_->record("review")->current, 2);
  EXPECT_EQ(registry_->revision("review", 1)->definition_text, passing("one"));
  EXPECT_EQ(registry_->revision("review")->definition_text, passing("two"));
}

TEST_F(WorkflowRegistryTest, CreatingAgainWithAnotherRoleIsTheSameAndWithAnotherDefinitionAnError) {
  using enum WorkflowRegistry::Deploy;
  const auto first = deploy("review", passing("one"), MustBeNew);
  ASSERT_TRUE(first);
  EXPECT_EQ(deploy("review", passing("one"), MustBeNew, "another")->revision, 1);
  EXPECT_EQ(deploy("review", passing("two"), MustBeNew).error().code, "workflow.exists");
  EXPECT_EQ(deploy("review", passing("one"), MustExist, "another")->revision, 2);
  EXPECT_EQ(deploy("other", passing("one"), MustExist).error().code, "workflow.not_found");
}

TEST_F(WorkflowRegistryTest, RefusesWhatCannotRun) {
  EXPECT_EQ(deploy("a b", passing("x")).error().code, "workflow.invalid_name");
  EXPECT_EQ(deploy("a", "{").error().code, "workflow.invalid");
  EXPECT_EQ(deploy("a", R"({"StartAt": "B", "States": {"A": {"Type": "Pass", "End": true}}})").error().code, "workflow.invalid");
  EXPECT_EQ(deploy("a", passing(std::string(kDefinitionBytesMax, 'x'))).error().code, "workflow.invalid");
  EXPECT_TRUE(registry_->list().empty());
}

TEST_F(WorkflowRegistryTest, KeepsADefinitionThatIsLargerThanAValueOfTheStore) {
  const std::string text = passing("one") + std::string(kDefinitionBytesMax - passing("one").size(), '\n');
  ASSERT_TRUE(deploy("large", text));
  reopen();
  EXPECT_EQ(registry_->revision("large")->definition_text, text);
}

TEST_F(WorkflowRegistryTest, VersionsStayAndTheirNumbersNeverComeAgain) {
  ASSERT_TRUE(deploy("review", passing("one")));
  EXPECT_EQ(publish("review"), 1);
  EXPECT_EQ(publish("review"), 1) << "the same revision is published once";
  ASSERT_TRUE(deploy("review", passing("two")));
  EXPECT_EQ(publish("review"), 2);
  EXPECT_EQ(registry_->resolve("review", "1")->revision->revision, 1);
  EXPECT_EQ(registry_->resolve("review")->revision->revision, 2);
  ASSERT_TRUE(run(registry_->change("review", [](WorkflowRecord& record) -> Result<void> {
    record.versions.erase(2);
    return {};
  })));
  EXPECT_EQ(registry_->resolve("review", "2").error().code, "workflow.not_found");
  EXPECT_EQ(publish("review"), 3);
  reopen();
  EXPECT_EQ(registry_->resolve("review", "3")->version, 3);
  EXPECT_EQ(run(registry_->publish("review", "", "another")).error().code, "workflow.conflict");
}

TEST_F(WorkflowRegistryTest, AnAliasDrawsByItsWeights) {
  ASSERT_TRUE(deploy("review", passing("one")));
  publish("review");
  ASSERT_TRUE(deploy("review", passing("two")));
  publish("review");
  ASSERT_TRUE(run(registry_->change("review", [](WorkflowRecord& record) -> Result<void> {
    record.aliases["live"] = {"", {{1, 90}, {2, 10}}, {}, {}};
    record.aliases["next"] = {"", {{1, 0}, {2, 100}}, {}, {}};
    return {};
  })));
  reopen();
  int newer = 0;
  for (int i = 0; i < 1'000; ++i) newer += registry_->resolve("review", "live")->version == 2;
  EXPECT_GT(newer, 60);
  EXPECT_LT(newer, 150);
  for (int i = 0; i < 100; ++i) EXPECT_EQ(registry_->resolve("review", "next")->version, 2);
}

TEST_F(WorkflowRegistryTest, ADeletedOneIsGoneButItsExecutionsFindTheirProgram) {
  ASSERT_TRUE(deploy("review", passing("one")));
  ASSERT_TRUE(run(registry_->remove("review")));
  EXPECT_EQ(run(registry_->remove("review")).error().code, "workflow.not_found");
  reopen();
  EXPECT_FALSE(registry_->record("review"));
  EXPECT_EQ(registry_->revision("review"), nullptr);
  EXPECT_NE(registry_->find("workflow:review", 1), nullptr);
  EXPECT_EQ(registry_->find("workflow:review", 2), nullptr);
  EXPECT_EQ(registry_->find("agent", 1), nullptr);
  EXPECT_EQ(deploy("review", passing("two"))->revision, 2) << "a number stands for one definition only";
}

TEST_F(WorkflowRegistryTest, AStartCarriesTheExecutionsNameAsItsIdempotencyKey) {
  ASSERT_TRUE(deploy("review", passing("one")));
  const auto start = registry_->start("review", 0, "order-7", Json{{"id", 7}});
  ASSERT_TRUE(start);
  EXPECT_EQ(start->program, "workflow:review");
  EXPECT_EQ(start->version, 1);
  EXPECT_EQ(start->idempotency_key, "order-7");
  EXPECT_EQ(start->idempotency_ttl, kNameKept);
  EXPECT_TRUE(registry_->start("review", 0, "", Json())->idempotency_key.empty());
  EXPECT_EQ(to_text(registry_->start("review", 0, "", Json())->input), to_text(registry_->start("review", 0, "", Json())->input))
      << "asked again after a crash it must be the same start";
  EXPECT_EQ(registry_->start("review", 0, "a b", Json()).error().code, "workflow.invalid_name");
  EXPECT_EQ(registry_->start("none", 0, "", Json()).error().code, "workflow.not_found");
  EXPECT_EQ(registry_->start("review", 0, "", Json(std::string(kStateBytesMax, 'x'))).error().code, "workflow.input_too_large");
}

}  // namespace
}  // namespace mayfly::workflow
