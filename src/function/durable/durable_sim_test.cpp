#include <cstdlib>

#include "base/log.h"
#include "function/durable/durable_world_test_support.h"

/// Random durable functions under faults of the store, crashes of the server and invocations that outlive their end. MAYFLY_SIM_SEEDS: how
/// many worlds (40).
namespace mayfly::function {
namespace {

using What = Line::What;

constexpr int kExecutions = 6;
constexpr int kCrashes = 5;
constexpr std::size_t kTurnsMax = 400'000;

class Simulation : public DurableWorld {
 public:
  explicit Simulation(std::uint64_t seed) : random_(seed) {
    log::init(log::Level::Off, log::Format::Text);
    seed_ = seed * 1000;
    // Functions invoke only later ones.
    for (int f = 3; f >= 0; --f) outside_.scripts["durable-" + std::to_string(f)] = script(f);
    faults_ = {.apply_delay_max = Millis{5},
               .answer_delay_max = Millis{5},
               .refused = 0.02,
               .unknown_applied = 0.02,
               .unknown_lost = 0.02,
               .read_failed = 0.01};
  }

  void run() {
    boot();
    std::vector<Asked> asked(kExecutions);
    for (int i = 0; i < kExecutions; ++i) {
      asked[i].function = "durable-" + std::to_string(random_.below(2));
      outside_.zombies["e" + std::to_string(i)] = static_cast<int>(random_.below(3));
    }
    int crashes = 0;
    for (std::size_t turn = 0; turn < kTurnsMax; ++turn) {
      if (io_.poll_one() == 0 && !clock_.advance()) break;
      if (crashes < kCrashes && turn > 200 && random_.below(700) == 0) {
        // The last server heals the world.
        if (++crashes == kCrashes) faults_ = {};
        crash();
        for (Asked& one : asked) one.asking = false;
      }
      if (!server().ready) continue;
      if (turn % 8 == 0) answer_callbacks();
      bool all = true;
      for (int i = 0; i < kExecutions; ++i) {
        if (!asked[i].asking && !asked[i].arn.empty() && random_.below(400) != 0) continue;
        if (!asked[i].asking) ask(i, asked[i]);
        all = all && !asked[i].arn.empty();
      }
      if (all && turn % 64 == 0 && finished(asked)) break;
    }
    check(asked);
  }

 private:
  struct Asked {
    std::string function, arn, payload;
    bool asking = false;
  };

  Script script(int function) {
    Script out;
    const int lines = 1 + static_cast<int>(random_.below(7));
    int crashes = 0;
    for (int i = 0; i < lines; ++i) {
      const std::string id = "o" + std::to_string(i);
      switch (random_.below(8)) {
        case 0: out.emplace_back(What::Wait, id, 1 + random_.below(30)); break;
        case 1: out.emplace_back(What::RetriedStep, id, 1 + random_.below(3)); break;
        case 2: out.emplace_back(What::Callback, id); break;
        case 3:
          out.emplace_back(
              What::Invoke, id, 1,
              function < 3 && random_.below(2) ? "durable-" + std::to_string(function + 1 + random_.below(3 - function)) : "plain");
          break;
        case 4:
          if (crashes++ < 2) out.emplace_back(What::Crash, id, 1);
          break;
        default: out.emplace_back(What::Step, id); break;
      }
    }
    return out;
  }

  void ask(int number, Asked& one) {
    one.asking = true;
    server().tasks.spawn(ask_server(&server(), &one, "e" + std::to_string(number)));
  }
  static Task<> ask_server(DurableServer* server, Asked* one, std::string name) {
    Invoke invoke{.function = {one->function, ""}, .payload = "1", .execution_name = std::move(name)};
    const auto started = co_await server->functions->invoke_async(std::move(invoke));
    if (started) {
      EXPECT_TRUE(one->arn.empty() || one->arn == started->durable_execution_arn) << "one name, two executions";
      one->arn = started->durable_execution_arn;
    }
    one->asking = false;
  }

  bool finished(const std::vector<Asked>& asked) {
    for (const Asked& one : asked) {
      const auto got = wait(server().durable->get(one.arn, false));
      if (!got || got->at("Status") == "RUNNING") return false;
    }
    return true;
  }

  void check(const std::vector<Asked>& asked) {
    server().store.set_faults({});
    for (const std::string& violation : outside_.violations) violations.push_back(violation);
    for (const Asked& one : asked) {
      const auto got = one.arn.empty() ? fail("", "") : wait(server().durable->get(one.arn, true));
      if (!got || got->at("Status") != "SUCCEEDED") {
        violations.push_back(one.function + " did not succeed: " + (got ? to_text(*got) : one.arn));
        continue;
      }
      std::map<std::string, int> seen;
      for (const std::string& event : history(one.arn)) ++seen[event];
      const ExecutionArn arn = *parse_execution_arn(one.arn);
      for (const Line& line : outside_.scripts[one.function]) {
        const bool step = line.what == What::Step || line.what == What::RetriedStep;
        if (step && seen["StepSucceeded " + line.id] != 1)
          violations.push_back(std::to_string(seen["StepSucceeded " + line.id]) + " times StepSucceeded " + line.id);
        // A server that died before it answered has recorded a result that nobody heard of.
        const auto recorded = outside_.recorded.find(arn.name + "/" + line.id);
        const std::string expected = recorded == outside_.recorded.end() ? line.id + "#" : recorded->second;
        if (step && !std::string(got->at("Result").as_string()).contains(expected))
          violations.push_back("the answer of " + arn.name + " does not have the result of " + line.id);
      }
    }
  }

  SeededRandom random_;

 public:
  std::vector<std::string> violations;
};

std::uint64_t seeds() {
  const char* wanted = std::getenv("MAYFLY_SIM_SEEDS");
  return wanted ? std::strtoull(wanted, nullptr, 10) : 40;
}

TEST(DurableSimulation, RecordedResultsAreNeitherLostNorRepeated) {
  for (std::uint64_t seed = 1; seed <= seeds(); ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    Simulation simulation(seed);
    simulation.run();
    EXPECT_EQ(simulation.violations, std::vector<std::string>{});
    if (::testing::Test::HasFailure()) break;
  }
}

TEST(DurableSimulation, ItsCheckerSeesRefusedCheckpointsThatWereAcknowledged) {
  bool seen = false;
  for (std::uint64_t seed = 1; seed <= 60 && !seen; ++seed) {
    Simulation simulation(seed);
    simulation.outside_.acknowledge_refused = true;
    simulation.run();
    seen = !simulation.violations.empty();
  }
  EXPECT_TRUE(seen);
}

}  // namespace
}  // namespace mayfly::function
