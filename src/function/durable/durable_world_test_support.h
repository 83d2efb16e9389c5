#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "blob/memory_blob_store.h"
#include "function/durable/durable_service.h"
#include "function/function_service.h"
#include "testing/sim_clock.h"
#include "testing/sim_store.h"

/// Servers with durable functions on a simulated disk and clock. Functions are scripts that act as AWS's SDKs do: they replay what is
/// recorded, checkpoint what is new, and suspend.
namespace mayfly::function {

/// One line of a function's script.
struct Line {
  enum class What { Step, RetriedStep, Wait, Callback, Invoke, Crash };
  Line(What kind, std::string name, std::int64_t count = 1, std::string target = {})
      : what(kind), id(std::move(name)), number(count), function(std::move(target)) {}
  What what;
  std::string id;
  std::int64_t number;   ///< failures before a step succeeds; seconds of a wait; invocations that crash here
  std::string function;  ///< to invoke
};
using Script = std::vector<Line>;

/// What lies outside of all servers.
struct Outside {
  std::map<std::string, Script> scripts;         ///< by function; others answer "echo PAYLOAD"
  std::map<std::string, int> executed;           ///< by "execution/step": how often its code ran
  std::map<std::string, std::string> recorded;   ///< results of steps that a checkpoint acknowledged
  std::map<std::string, std::string> callbacks;  ///< ids seen, by "execution/operation"
  std::set<std::string> answered;
  std::map<std::string, int> crashed;
  std::vector<std::string> violations;
  int values = 0;
};

class ScriptedSupervisor final : public Supervisor {
 public:
  ScriptedSupervisor(Outside& outside, Clock& clock) : outside_(outside), clock_(clock) {}
  void attach(DurableService& service) { service_ = &service; }
  Task<Result<InvocationResult>> invoke(InvocationRequest request) override;
  void changed(const std::string&, std::int64_t) override {}
  std::vector<InstanceInfo> instances() const override { return {}; }
  SupervisorCounters counters() const override { return {}; }
  Task<std::vector<std::string>> log(std::string, std::size_t) override { co_return std::vector<std::string>{}; }
  Task<> stop(Millis) override { co_return; }

 private:
  Outside& outside_;
  Clock& clock_;
  DurableService* service_ = nullptr;
};

struct DurableServer {
  DurableServer(asio::io_context& io, SimClock& world_clock, SimDisk& disk, MemoryBlobStore& blobs, Outside& outside, std::uint64_t seed,
                SimStoreFaults faults = {});
  ~DurableServer() { tasks.abandon(); }
  void die();
  Task<> open();

  ProcessClock clock;
  SeededRandom random;
  SimStore store;
  ScriptedSupervisor supervisor;
  std::unique_ptr<FunctionPrograms> programs;
  std::unique_ptr<engine::Engine> engine;
  std::unique_ptr<FunctionService> functions;
  std::unique_ptr<DurableService> durable;
  TaskGroup tasks;
  bool ready = false;
};

/// A revision whose name says what it is: "durable-…" are durable.
ResolvedFunction simulated_function(const std::string& name);

}  // namespace mayfly::function
