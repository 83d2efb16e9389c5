#include "agent/service.h"

#include <gtest/gtest.h>

#include "agent/agent_program.h"
#include "testing/sim_clock.h"
#include "testing/sim_store.h"

namespace mayfly::agent {
namespace {

/// One run, and what was answered to it.
class OneRunEngine final : public engine::Engine {
 public:
  engine::Execution run;
  std::vector<engine::Resolved> resolved;

  Task<Result<engine::Execution>> get(std::string) override { co_return run; }
  Task<Result<void>> resolve(engine::Resolved answer) override {
    resolved.push_back(std::move(answer));
    co_return Result<void>{};
  }

  Task<Result<void>> open() override { co_return Result<void>{}; }
  Task<> stop(Millis) override { co_return; }
  void crash() override {}
  Task<Result<engine::Started>> start(engine::StartRequest) override { co_return engine::Started{}; }
  Task<Result<void>> cancel(std::string, std::string) override { co_return Result<void>{}; }
  Task<Result<Json>> command(std::string, Json) override { co_return Json(); }
  Task<Result<Json>> spill(Json value) override { co_return value; }
  Task<Result<std::vector<std::variant<engine::PendingOperation, engine::Operation>>>> operations_by_id(
      std::string, std::vector<std::int64_t>) override {
    co_return std::vector<std::variant<engine::PendingOperation, engine::Operation>>{};
  }
  Task<Result<engine::RunDescription>> describe(std::string) override { co_return engine::RunDescription{}; }
  Task<Result<std::vector<engine::Operation>>> operations(std::string, std::int64_t) override {
    co_return std::vector<engine::Operation>{};
  }
  Task<Result<std::vector<engine::Execution>>> list(engine::ListFilter) override { co_return std::vector<engine::Execution>{}; }
  Task<Result<std::vector<engine::Session>>> sessions(std::string, std::size_t) override { co_return std::vector<engine::Session>{}; }
  Task<Result<std::vector<std::string>>> session_runs(std::string, std::size_t) override { co_return std::vector<std::string>{}; }
  Task<Result<Json>> unspill(Json value) override { co_return value; }
  std::unique_ptr<engine::Subscription> subscribe(const std::string&, engine::Interest) override { return nullptr; }
  std::vector<engine::Delta> said_so_far(const std::string&) override { return {}; }
  Task<Result<std::optional<std::string>>> find_by_key(std::string, std::string, std::string) override { co_return std::optional<std::string>(); }
  Task<Result<std::optional<std::string>>> invoked(std::string, std::int64_t) override { co_return std::optional<std::string>(); }
  engine::keys::Partition partitions() const override { return 1; }
  Precondition lease(engine::keys::Partition) const override { return Precondition::absent("0000/epoch"); }
  engine::EngineCounters counters() const override { return {}; }
  bool recovering() const override { return false; }
};

template <class T>
Task<> keep(Task<T> task, std::optional<T>* out) {
  *out = co_await std::move(task);
}

class ServiceTest : public testing::Test {
 protected:
  template <class T>
  T wait(Task<T> task) {
    std::optional<T> out;
    TaskGroup group(io_.get_executor());
    group.spawn(keep(std::move(task), &out));
    io_.restart();
    do io_.run();
    while (clock_.advance() || io_.poll() > 0);
    return std::move(*out);
  }

  /// The code of the refusal, or nothing when the answer was taken.
  std::string answer_limit(const std::string& add) {
    engine::PendingOperation limit;
    limit.id = 3;
    limit.type = engine::OperationType::Callback;
    limit.kind = kind::kLimit;
    limit.input = JsonObject{{"limit", "usd"}, {"question", "Continue?"}};
    engine_.run.id = "run_1";
    engine_.run.pending = {limit};
    const auto done = wait(service_->answer("run_1", 0, {.decision = "continue", .by = "ann", .add = *parse_json(add)}));
    return done ? "" : done.error().code;
  }

  asio::io_context io_;
  SimClock clock_;
  SeededRandom random_{1};
  SimDisk disk_;
  SimStore store_{disk_, io_.get_executor(), clock_, random_};
  AgentRegistry registry_{store_, clock_, llm::PriceTable::built_in()};
  OneRunEngine engine_;
  std::unique_ptr<AgentService> service_ = make_agent_service({.executor = io_.get_executor(), .registry = &registry_}, engine_);
};

TEST_F(ServiceTest, ALimitIsExtendedBySensibleAmountsOnly) {
  for (const char* add :
       {"null", "{}", R"({"usd":0.5})", R"({"usd":1000000,"steps":0})", R"({"input_tokens":1000000000,"output_tokens":1e3})"})
    EXPECT_EQ(answer_limit(add), "") << add;
  EXPECT_EQ(engine_.resolved.size(), 5u);
  for (const char* add :
       {"5", "[]", R"({"usd":-1})", R"({"usd":1000001})", R"({"usd":"1"})", R"({"usd":1e300})", R"({"steps":-1})", R"({"steps":1.5})",
        R"({"steps":1000000001})", R"({"output_tokens":18446744073709551615})", R"({"dollars":1})", R"({"usd":1,"step":1})"})
    EXPECT_EQ(answer_limit(add), "question.invalid_answer") << add;
  EXPECT_EQ(engine_.resolved.size(), 5u) << "a refused answer changes nothing";
}

TEST_F(ServiceTest, AnUnknownVersionIsToldFromAnUnknownAgent) {
  AgentSpec spec;
  spec.name = "clerk";
  spec.models = {"p/m"};
  ASSERT_TRUE(wait(registry_.deploy(spec)));
  const auto code = [&](Invocation invocation) {
    const auto started = wait(service_->invoke(std::move(invocation)));
    return started ? std::string() : started.error().code + ": " + started.error().message;
  };
  EXPECT_EQ(code({.agent = "clerk", .input = "hi", .version = 1}), "");
  EXPECT_EQ(code({.agent = "clerk", .input = "hi", .version = 7}), "agent.no_such_version: 'clerk' has no version 7; its newest is 1");
  EXPECT_EQ(code({.agent = "clark", .input = "hi", .version = 1}).find("agent.not_found"), 0u);
}

}  // namespace
}  // namespace mayfly::agent
