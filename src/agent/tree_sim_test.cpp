// Trees of agents on the real engine, registry and loop, over a simulated store, clock and model: faults, crashes and cancellations at random
// moments. What must hold: no run outlives a cancelled ancestor, a tree never costs more than its root may, every parent gets each child's
// result once, and failures of some are seen.
#include <gtest/gtest.h>

#include <map>
#include <set>

#include "agent/agent_input.h"
#include "agent/delegation_tools.h"
#include "agent/loop_test_support.h"
#include "agent/registry.h"
#include "base/log.h"
#include "blob/memory_blob_store.h"
#include "testing/sim_clock.h"
#include "testing/sim_store.h"

namespace mayfly::agent {
namespace {

using engine::Execution;

enum class Plant {
  None,
  IgnoreShares,         ///< a child does not know what it may use
  ForgetGrandchildren,  ///< only the first level is cancelled
};

constexpr int kLevels = 4;
constexpr int kRoots = 6;
constexpr llm::NanoUsd kBudget = 150'000'000;  ///< about fifteen model calls at their worst
constexpr std::int64_t kInputTokens = 20;

SimStoreFaults faults() {
  return {.apply_delay_max = Millis{20}, .answer_delay_max = Millis{20}, .refused = 0.01, .full = 0.005, .unknown_applied = 0.01, .unknown_lost = 0.01,
          .read_failed = 0.005};
}

AgentSpec level(int number) {
  AgentSpec out = spec();
  out.name = "a" + std::to_string(number);
  out.model_retry = {.attempts_max = 50, .delay_first = Millis{100}, .delay_max = Millis{2'000}};
  out.limits.on_breach = Limits::OnBreach::Stop;
  if (number == 0) out.limits.usd = kBudget;
  ToolSpec sleep = tool("sleep", ToolSpec::Kind::Sleep);
  sleep.parameters = *parse_json(R"({"type":"object"})");
  sleep.config = JsonObject{{"max_ms", 36'000'000}};
  out.tools = {std::move(sleep)};
  out.fan_out = {.parallel = 2, .children = 8};
  for (int below = number + 1; below < kLevels; ++below) out.agents.push_back({.agent = "a" + std::to_string(below)});
  for (ToolSpec& each : delegation_tools(out)) out.tools.push_back(std::move(each));
  return out;
}

/// What is outside of the server: the model's meter.
struct Meter {
  SeededRandom random;
  bool faulty = true;
  std::map<std::string, llm::NanoUsd> billed;  ///< by run
};

class TreeModel final : public engine::StepExecutor {
 public:
  TreeModel(Meter& meter, ProcessClock& clock) : meter_(meter), clock_(clock) {}

  Task<engine::StepOutcome> execute(engine::StepCall call) override {
    const JsonObject input = call.operation.input.as_object();
    if (call.operation.kind != kind::kModel)
      co_return engine::StepOutcome{.result = JsonObject{{"text", get_string(input, "text")}, {"is_error", call.operation.kind == kind::kRefused}}};
    // While the call runs the worst is billed; what follows corrects it downwards.
    const llm::NanoUsd worst = kInputTokens * 1'000 + get_int(input, "output_tokens_max") * 10'000;
    meter_.billed[call.run] += worst;
    co_await sleep_for(clock_, Millis{static_cast<std::int64_t>(meter_.random.below(2'000))});
    if (meter_.faulty && meter_.random.below(15) == 0)
      co_return engine::StepOutcome{.error = Error{"llm.bad_response", "cut", Retry::OutcomeUnknown}};
    const std::int64_t output = 1 + static_cast<std::int64_t>(meter_.random.below(static_cast<std::uint64_t>(get_int(input, "output_tokens_max"))));
    const llm::Usage usage{.input = kInputTokens, .output = output};
    const llm::NanoUsd cost = prices().cost("m", usage);
    meter_.billed[call.run] -= worst - cost;
    std::string stop;
    llm::Message message = answer(call, get_int(input, "step"), &stop);
    co_return engine::StepOutcome{.result = JsonObject{{"message", llm::to_json(message)}, {"stop_reason", stop}},
                                  .meta = JsonObject{{"usage", llm::to_json(usage)}, {"nano_usd", cost}}};
  }

 private:
  std::string below(int number) { return "a" + std::to_string(number + 1 + static_cast<int>(meter_.random.below(static_cast<std::uint64_t>(kLevels - 1 - number)))); }

  llm::Message answer(const engine::StepCall& call, std::int64_t step, std::string* stop) {
    const int number = call.program.back() - '0';
    llm::Message out;
    out.role = llm::Role::Assistant;
    const auto add = [&](std::string_view name, Json arguments) {
      out.content.push_back(llm::Content::make_tool_call("c" + std::to_string(out.content.size()), std::string(name), std::move(arguments)));
    };
    const auto random = [&](std::uint64_t n) { return meter_.random.below(n); };
    const auto task = [&] { return Json(JsonObject{{"agent", below(number)}, {"task", "part of " + call.run}}); };
    *stop = to_string(llm::StopReason::ToolCalls);
    if (number == kLevels - 1 && step == 1 && random(4) == 0) {
      add("sleep", JsonObject{{"seconds", 7'200}});
    } else if (number < kLevels - 1 && (step == 1 || (step == 2 && random(3) == 0))) {
      const auto what = random(4);
      if (what < 2) add(tool_name::kDelegate, task());
      if (what > 0) {
        JsonArray tasks;
        for (std::uint64_t i = 0; i < 2 + random(3); ++i) tasks.push_back(task());
        const char* const gather[] = {"all", "first", "quorum"};
        add(tool_name::kFanOut, JsonObject{{"tasks", std::move(tasks)}, {"gather", gather[random(3)]}});
      }
    } else {
      out.content.push_back(llm::Content::make_text("answer of " + call.run));
      *stop = to_string(random(5) == 0 ? llm::StopReason::Refusal : llm::StopReason::End);
    }
    return out;
  }

  Meter& meter_;
  ProcessClock& clock_;
};

class PlantedHost final : public engine::ProgramHost {
 public:
  PlantedHost(AgentRegistry& registry, Plant plant) : registry_(registry), plant_(plant) {}
  std::shared_ptr<const engine::Program> find(const std::string& name, std::int64_t version) override { return registry_.find(name, version); }
  Result<engine::StartRequest> chained(const JsonObject& invoke) override {
    auto out = registry_.chained(invoke);
    if (out && plant_ == Plant::IgnoreShares) out->input.as_object()["lineage"].as_object().erase("budget");
    return out;
  }

 private:
  AgentRegistry& registry_;
  Plant plant_;
};

class PlantedStore final : public Store {
 public:
  PlantedStore(SimStore& inner, Plant plant) : inner_(inner), plant_(plant) {}
  Task<Result<std::optional<Record>>> get(std::string key) override { return inner_.get(std::move(key)); }
  Task<Result<std::vector<Record>>> scan(KeyRange range, std::size_t limit, Direction direction) override {
    return inner_.scan(std::move(range), limit, direction);
  }
  Task<Result<CommitOutcome>> commit(Batch batch) override {
    if (plant_ == Plant::ForgetGrandchildren) std::erase_if(batch.puts, [](const Put& put) { return cancels_grandchild(put.value); });
    return inner_.commit(std::move(batch));
  }
  std::unique_ptr<Watch> watch(std::string prefix, std::function<void()> changed) override { return inner_.watch(std::move(prefix), std::move(changed)); }
  bool exclusive() const override { return true; }
  Task<> close() override { return inner_.close(); }

 private:
  static bool cancels_grandchild(const std::string& value) {
    if (!value.starts_with(R"({"kind":"cancel")")) return false;
    return Lineage::from_json(parse_json(value)->at("invoke").at("lineage")).agents.size() > 1;
  }
  SimStore& inner_;
  Plant plant_;
};

class Forest;

struct Process {
  Process(Forest& forest, std::uint64_t seed);
  ~Process() { tasks.abandon(); }
  void die() {
    clock.die();
    if (!sim_store.crashed()) sim_store.crash();
    engine->crash();
    tasks.abandon();
  }
  ProcessClock clock;
  SeededRandom random;
  SimStore sim_store;
  PlantedStore store;
  AgentRegistry registry;
  PlantedHost host;
  TreeModel model;
  std::unique_ptr<engine::Engine> engine;
  TaskGroup tasks;
  bool ready = false;
};

class Forest {
 public:
  Forest(std::uint64_t seed, Plant plant) : plant(plant), random_(seed), meter{SeededRandom(seed * 7919 + 1), true, {}} {}
  ~Forest() {
    for (auto& process : processes_) process->die();
    disk.release_crashed();
  }

  std::vector<std::string> run() {
    const auto guard = asio::make_work_guard(io);
    for (int i = 0; i < kRoots; ++i) roots_.push_back({"root-" + std::to_string(i), {}, random_.below(2) == 0, false});
    boot();
    const TimePoint healed = clock.now() + Millis{60'000}, looked = healed + Millis{600'000}, given_up = healed + Millis{12 * 3'600'000};
    bool early_checked = false;
    for (int event = 0;; ++event) {
      if (clock.now() > given_up || event > 600'000) {
        violate("not finished");
        break;
      }
      if (meter.faulty && clock.now() >= healed) {
        meter.faulty = false;
        crash();
        processes_.back()->sim_store.set_faults({});
      }
      if (meter.faulty && crashes_ < 3 && random_.below(700) == 0) crash();
      if (!early_checked && clock.now() > looked) {
        early_checked = true;
        check_cancelled();
      }
      if (!meter.faulty && event % 100 == 0 && early_checked && finished()) break;
      if (io.poll_one() == 0 && !clock.advance()) {
        if (!early_checked) check_cancelled();
        if (!finished()) violate("nothing happens any more");
        break;
      }
    }
    check_end();
    return violations;
  }

  Plant plant;
  SeededRandom random_;
  SimClock clock;
  asio::io_context io;
  SimDisk disk;
  MemoryBlobStore blobs;
  Meter meter;
  std::vector<std::string> violations;

 private:
  struct Root {
    std::string key, run;
    bool doomed = false;
    bool cancelled = false;
  };
  void violate(std::string what) { violations.push_back(std::move(what)); }

  void boot() {
    processes_.push_back(std::make_unique<Process>(*this, random_.next()));
    processes_.back()->tasks.spawn(boot_process(processes_.back().get()));
  }
  void crash() {
    ++crashes_;
    processes_.back()->die();
    boot();
  }
  Task<> boot_process(Process* process) {
    while (!process->ready) {
      bool ok = static_cast<bool>(co_await process->registry.load());
      for (int i = 0; i < kLevels; ++i) ok = ok && co_await process->registry.deploy(level(i));
      ok = ok && co_await process->engine->open();
      process->ready = ok;
      if (!ok) co_await sleep_for(process->clock, Millis{100});
    }
    for (Root& root : roots_) process->tasks.spawn(tend(process, &root));
  }
  /// Starts a tree, and cancels it if it is doomed; again and again until both are acknowledged.
  Task<> tend(Process* process, Root* root) {
    while (root->run.empty()) {
      co_await sleep_for(process->clock, Millis{static_cast<std::int64_t>(meter.random.below(10'000))});
      engine::StartRequest request;
      request.program = "a0";
      request.version = 1;
      request.input = *normalise_input(Json("go " + root->key));
      request.idempotency_key = root->key;
      const auto started = co_await process->engine->start(std::move(request));
      if (started) root->run = started->run;
    }
    while (root->doomed && !root->cancelled) {
      co_await sleep_for(process->clock, Millis{static_cast<std::int64_t>(meter.random.below(15'000))});
      const auto cancelled = co_await process->engine->cancel(root->run, "enough");
      root->cancelled = cancelled || cancelled.error().code == "run.ended";
    }
  }

  std::map<std::string, Execution> executions() const {
    std::map<std::string, Execution> out;
    for (const auto& [key, cell] : disk.cells()) {
      if (key.size() <= 7 || key.substr(4, 3) != "/x/") continue;
      auto run = engine::execution_from_json(*engine::parse_record(cell.value));
      out.emplace(run->id, std::move(*run));
    }
    return out;
  }
  bool finished() const {
    for (const Root& root : roots_)
      if (root.run.empty() || (root.doomed && !root.cancelled)) return false;
    for (const auto& [id, run] : executions())
      if (run.open()) return false;
    for (const auto& [key, cell] : disk.cells())
      if (key.size() > 7 && key.substr(4, 3) == "/b/") return false;
    return true;
  }
  static std::string root_of(const std::map<std::string, Execution>& runs, std::string id) {
    while (runs.contains(id) && runs.at(id).parent) id = runs.at(id).parent->run;
    return id;
  }
  void check_cancelled() {
    const auto runs = executions();
    for (const auto& [id, run] : runs) {
      const auto root = runs.find(root_of(runs, id));
      if (run.open() && root != runs.end() && root->second.status == engine::ExecutionStatus::Stopped)
        violate("outlives its cancelled root: " + id + " of " + run.program);
    }
  }

  std::optional<Operation> operation(const std::string& run, std::int64_t id) const {
    const auto cell = disk.cells().find(engine::keys::operation(*engine::keys::partition_of_run(run), run, id));
    if (cell == disk.cells().end()) return std::nullopt;
    return *engine::operation_from_json(*engine::parse_record(cell->second.value));
  }

  void check_end() {
    const auto runs = executions();
    std::map<std::string, llm::NanoUsd> tree;
    std::set<std::pair<std::string, std::int64_t>> invoked;
    for (const auto& [id, run] : runs) {
      const std::string root = root_of(runs, id);
      tree[root] += meter.billed[id];
      if (!run.parent) continue;
      if (!invoked.insert({run.parent->run, run.parent->operation}).second) violate("two runs for one operation: " + id);
      if (!run.open()) check_result(runs.at(run.parent->run), run);
    }
    for (const auto& [root, nano] : tree) {
      if (nano > kBudget) violate("budget: the tree of " + root + " was billed " + std::to_string(nano));
      const JsonObject* total = get_object(runs.at(root).summary.as_object(), "total");
      if (total && get_int(*total, "nano_usd") < nano)
        violate("roll-up: " + root + " says " + std::to_string(get_int(*total, "nano_usd")) + " of " + std::to_string(nano));
    }
    for (const auto& [key, cell] : disk.cells())
      if (key.size() > 7 && key.substr(4, 3) == "/o/") check_fan_out(key, *engine::operation_from_json(*engine::parse_record(cell.value)));
  }
  void check_result(const Execution& parent, const Execution& child) {
    const auto op = operation(parent.id, child.parent->operation);
    if (!op) return violate("never told: " + parent.id + " of " + child.id);
    if (op->status == OperationStatus::Cancelled) return;
    if (get_string(op->meta.as_object(), "run") != child.id) violate("told of another run than " + child.id);
    const bool ok = child.status == ExecutionStatus::Succeeded;
    if ((op->status == OperationStatus::Succeeded) != ok) violate("told wrongly of " + child.id);
    if (ok && op->result != child.result) violate("another result than that of " + child.id);
  }
  void check_fan_out(const std::string& key, const Operation& op) {
    if (op.kind != kind::kFanOut || op.status != OperationStatus::Succeeded) return;
    ++fan_outs;
    const std::string run = key.substr(7, 30);
    std::vector<Operation> children;
    for (const Json& entry : op.result.at("tasks").as_array()) {
      const JsonObject& task = entry.as_object();
      const auto child = operation(run, get_int(task, "operation"));
      const std::string state = get_string(task, "state");
      const bool started = get_int(task, "operation") > 0;
      const bool right = !started ? state == "refused" || state == "cancelled"
                                  : child && ((state == "succeeded" && child->status == OperationStatus::Succeeded) ||
                                              (state == "failed" && child->status == OperationStatus::Failed) ||
                                              (state == "cancelled" && child->status == OperationStatus::Cancelled));
      if (!right) violate("state of a task: " + state + " in " + run);
      if (started && child) children.push_back(*child);
    }
    const std::string text = fan_out_text(op, children);
    for (const Operation& child : children)
      if (child.status == OperationStatus::Failed && !text.contains(child.error->message.substr(0, 40))) violate("a failure is not seen: " + text);
  }

  std::vector<std::unique_ptr<Process>> processes_;
  std::vector<Root> roots_;
  int crashes_ = 0;

 public:
  int fan_outs = 0;
};

Process::Process(Forest& forest, std::uint64_t seed)
    : clock(forest.clock),
      random(seed),
      sim_store(forest.disk, forest.io.get_executor(), clock, random, forest.meter.faulty ? faults() : SimStoreFaults{}),
      store(sim_store, forest.plant),
      registry(store, clock, prices()),
      host(registry, forest.plant),
      model(forest.meter, clock),
      engine(engine::make_engine({.executor = forest.io.get_executor(),
                                  .store = &store,
                                  .blobs = &forest.blobs,
                                  .clock = &clock,
                                  .random = &random,
                                  .programs = &host,
                                  .steps = &model},
                                 {.node = "sim", .partitions = 4})),
      tasks(forest.io.get_executor()) {}

class TreeSim : public testing::Test {
 protected:
  void SetUp() override { log::init(log::Level::Off, log::Format::Text); }
  /// The seeds that show a violation.
  static int bad_seeds(Plant plant, std::uint64_t seeds, std::string* first, int* fan_outs = nullptr) {
    int bad = 0;
    for (std::uint64_t seed = 1; seed <= seeds; ++seed) {
      Forest forest(seed, plant);
      const auto violations = forest.run();
      if (fan_outs) *fan_outs += forest.fan_outs;
      if (!violations.empty() && bad++ == 0) *first = "seed " + std::to_string(seed) + ": " + violations.front();
      if (bad > 0 && plant != Plant::None) return bad;
    }
    return bad;
  }
};

TEST_F(TreeSim, TreesKeepTheirPromisesThroughFaultsCrashesAndCancellations) {
  std::string first;
  int fan_outs = 0;
  EXPECT_EQ(bad_seeds(Plant::None, 30, &first, &fan_outs), 0) << first;
  EXPECT_GT(fan_outs, 100);
}

TEST_F(TreeSim, SeesAForgottenShare) {
  std::string first;
  EXPECT_GT(bad_seeds(Plant::IgnoreShares, 30, &first), 0);
  EXPECT_TRUE(first.contains("budget")) << first;
}

TEST_F(TreeSim, SeesForgottenGrandchildren) {
  std::string first;
  EXPECT_GT(bad_seeds(Plant::ForgetGrandchildren, 30, &first), 0);
  EXPECT_TRUE(first.contains("outlives")) << first;
}

}  // namespace
}  // namespace mayfly::agent
