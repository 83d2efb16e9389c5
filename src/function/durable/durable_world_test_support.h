#pragma once

#include <gtest/gtest.h>

#include <algorithm>
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
  std::map<std::string, int> failing;                        ///< plain functions: how many more invocations fail
  std::map<std::string, int> throttled;                      ///< and how many more are refused
  std::map<std::string, std::vector<std::string>> received;  ///< payloads, by plain function
  std::map<std::string, AsyncConfig> async;                  ///< by function
  std::vector<std::string> violations;
  int values = 0;
  std::map<std::string, int> zombies;  ///< by execution: invocations that will be called dead while they go on
  bool acknowledge_refused = false;    ///< planted bug: handlers hear that refused checkpoints were taken
};

class ScriptedSupervisor final : public Supervisor {
 public:
  ScriptedSupervisor(Outside& outside, Clock& clock, TaskGroup& tasks) : outside_(outside), clock_(clock), tasks_(tasks) {}
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
  TaskGroup& tasks_;
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
  TaskGroup tasks;
  ScriptedSupervisor supervisor;
  std::unique_ptr<FunctionPrograms> programs;
  std::unique_ptr<engine::Engine> engine;
  std::unique_ptr<FunctionService> functions;
  std::unique_ptr<DurableService> durable;
  bool ready = false;
};

/// A revision whose name says what it is: "durable-…" are durable.
ResolvedFunction simulated_function(const std::string& name, AsyncConfig async = {});

/// Successive servers on one disk, and whoever uses them.
class DurableWorld {
 public:
  ~DurableWorld() {
    for (auto& server : servers_) server->die();
    disk_.release_crashed();
  }
  DurableServer& server() { return *servers_.back(); }
  void boot() {
    servers_.push_back(std::make_unique<DurableServer>(io_, clock_, disk_, blobs_, outside_, ++seed_, faults_));
    server().tasks.spawn(server().open());
  }
  void crash() {
    server().die();
    boot();
  }
  bool run_until(const std::function<bool()>& done) {
    for (int i = 0; i < 100'000; ++i) {
      if (done()) return true;
      if (io_.poll_one() == 0 && !clock_.advance()) return done();
    }
    return done();
  }
  template <class T>
  static Task<> keep(Task<T> task, std::shared_ptr<std::optional<T>> out) {
    out->emplace(co_await std::move(task));
  }
  template <class T>
  std::shared_ptr<std::optional<T>> begin(Task<T> task) {
    auto out = std::make_shared<std::optional<T>>();
    server().tasks.spawn(keep(std::move(task), out));
    return out;
  }
  template <class T>
  T wait(Task<T> task) {
    auto out = begin(std::move(task));
    EXPECT_TRUE(run_until([&] { return out->has_value(); }));
    return std::move(**out);
  }
  Invoke request(const std::string& function, const std::string& name, const std::string& payload = "\"in\"") {
    return {.function = {function, ""}, .payload = payload, .execution_name = name};
  }
  /// Invokes under a name, again and again until an answer comes, whatever crashes meanwhile. `before_commit`: the server dies when the
  /// disk has seen so many; 0: never.
  Invoked invoke_through_crashes(const std::string& function, std::size_t crash_at) {
    boot();
    std::optional<Invoked> answer;
    bool crashed = crash_at == 0;
    std::shared_ptr<std::optional<Result<Invoked>>> asked;
    run_until([&] {
      if (!crashed && disk_.batches_applied() >= crash_at) {
        crashed = true;
        asked.reset();
        crash();
      }
      if (!server().ready) return false;
      if (!asked) asked = begin(server().functions->invoke(request(function, "one")));
      answer_callbacks();
      if (asked->has_value()) {
        if (**asked)
          answer = ***asked;
        else
          asked.reset();
      }
      return answer.has_value();
    });
    EXPECT_TRUE(answer) << "no answer when crashed at commit " << crash_at;
    return answer.value_or(Invoked{});
  }
  void answer_callbacks() {
    for (const auto& [operation, id] : outside_.callbacks)
      if (outside_.answered.insert(operation + "@" + std::to_string(servers_.size())).second) server().tasks.spawn(answer(&server(), id));
  }
  static Task<> answer(DurableServer* server, std::string id) {
    co_await sleep_for(server->clock, Millis{3'000});
    for (int i = 0; i < 20; ++i) {
      const auto answered = co_await server->durable->callback_succeed(id, "\"approved\"");
      if (answered || answered.error().code.starts_with("callback.")) co_return;
      co_await sleep_for(server->clock, Millis{100});
    }
  }
  std::vector<std::string> history(const std::string& arn) {
    std::vector<std::string> out;
    const auto answer = wait(server().durable->history(arn, true, false, {.items_max = 1000}));
    EXPECT_TRUE(answer);
    if (!answer) return out;
    for (const Json& event : answer->at("Events").as_array()) {
      EXPECT_EQ(event.at("EventId"), static_cast<std::int64_t>(out.size()) + 1);
      const JsonObject& object = event.as_object();
      const std::string id = get_string(object, "Id");
      out.push_back(get_string(object, "EventType") +
                    (object.contains("ParentId") || get_string(object, "EventType").starts_with("Execution") ? "" : " " + id));
    }
    return out;
  }

  asio::io_context io_;
  asio::executor_work_guard<Executor> guard_ = asio::make_work_guard(io_);
  SimClock clock_;
  SimDisk disk_;
  MemoryBlobStore blobs_;
  Outside outside_;
  std::vector<std::unique_ptr<DurableServer>> servers_;
  std::uint64_t seed_ = 0;
  SimStoreFaults faults_;
};

}  // namespace mayfly::function
