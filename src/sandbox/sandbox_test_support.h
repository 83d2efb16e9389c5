#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "runtime/clock.h"
#include "runtime/task.h"
#include "sandbox/sandbox.h"

namespace mayfly::sandbox {

struct Outcome {
  Result<void> launched;
  std::string output;
  ProcessEnd end;
  Layers active;
};

/// A jailer of its own for each test, and a folder that everybody may read with the probe in it.
class SandboxTest : public ::testing::Test {
 protected:
  SandboxTest() : clock_(io_.get_executor()) {}

  void SetUp() override {
    char name[] = "/tmp/mayfly-sandbox-XXXXXX";
    folder_ = ::mkdtemp(name);
    ::chmod(folder_.c_str(), 0755);
    std::filesystem::copy_file(MAYFLY_PROBE, folder_ + "/probe");
    restart();
  }
  void TearDown() override {
    if (sandbox_) wait_for(stop_all());
    sandbox_.reset();
    drain();
    std::filesystem::remove_all(folder_);
  }

  void restart() {
    Result<std::unique_ptr<Sandbox>> made = fail("", "");
    wait_for(make(&made));
    ASSERT_TRUE(made) << made.error().message;
    sandbox_ = std::move(*made);
  }

  template <class T = void>
  void wait_for(Task<T> task) {
    TaskGroup group(io_.get_executor());
    group.spawn(std::move(task));
    io_.restart();
    while (group.size() > 0 && io_.run_one() > 0) {
    }
  }
  void drain() {
    io_.restart();
    io_.poll();
  }

  std::string probe() const { return folder_ + "/probe"; }
  /// The probe with `arguments`, where the host and the sandbox know it by the same path.
  SandboxSpec spec(std::vector<std::string> arguments, Layers without = {}) {
    arguments.insert(arguments.begin(), probe());
    SandboxSpec made;
    made.id = "t-" + std::to_string(++made_);
    made.argv = std::move(arguments);
    made.mounts = {{.source = folder_, .target = folder_}};
    made.without = std::move(without);
    return made;
  }
  Outcome run_spec(SandboxSpec spec) {
    Outcome outcome;
    wait_for(run_one(std::move(spec), &outcome));
    return outcome;
  }
  Outcome run(std::vector<std::string> arguments, Layers without = {}) { return run_spec(spec(std::move(arguments), std::move(without))); }
  std::string output(std::vector<std::string> arguments, Layers without = {}) {
    const Outcome outcome = run(std::move(arguments), std::move(without));
    return outcome.launched ? outcome.output : "not launched: " + outcome.launched.error().message;
  }
  std::unique_ptr<SandboxProcess> start(SandboxSpec spec) {
    Result<std::unique_ptr<SandboxProcess>> process = fail("", "");
    wait_for(launch(std::move(spec), &process));
    EXPECT_TRUE(process) << process.error().message;
    return process ? std::move(*process) : nullptr;
  }
  std::string read(SandboxProcess& process) {
    std::string text;
    wait_for(read_once(&process, &text));
    return text;
  }
  ProcessEnd end(SandboxProcess& process) {
    ProcessEnd ended;
    wait_for(wait_end(&process, &ended));
    return ended;
  }
  bool has(Layer layer) const {
    for (const LayerState& state : sandbox_->layers()) {
      if (state.layer == layer) return state.active;
    }
    return false;
  }

  Task<> make(Result<std::unique_ptr<Sandbox>>* made) {
    const char* root = std::getenv("MAYFLY_TEST_CGROUP_ROOT");
    *made = co_await make_jailer_sandbox(io_.get_executor(), clock_,
                                         {.jailer = MAYFLY_APPS "/mayfly-jailer", .cgroup_root = root == nullptr ? "" : root});
  }
  Task<> stop_all() { co_await sandbox_->stop(); }
  Task<> launch(SandboxSpec spec, Result<std::unique_ptr<SandboxProcess>>* process) {
    *process = co_await sandbox_->launch(std::move(spec));
  }
  Task<> read_once(SandboxProcess* process, std::string* text) { *text = co_await process->read_output(); }
  Task<> wait_end(SandboxProcess* process, ProcessEnd* end) { *end = co_await process->wait(); }
  Task<> run_one(SandboxSpec spec, Outcome* outcome) {
    auto process = co_await sandbox_->launch(std::move(spec));
    if (!process) {
      outcome->launched = fail(process.error());
      co_return;
    }
    outcome->active = (*process)->active();
    for (;;) {
      const std::string bytes = co_await (*process)->read_output();
      if (bytes.empty()) break;
      outcome->output += bytes;
    }
    outcome->end = co_await (*process)->wait();
  }
  Task<> add(ZygoteSpec zygote, Result<void>* result) { *result = co_await sandbox_->add_zygote(std::move(zygote)); }

  asio::io_context io_;
  SystemClock clock_;
  std::unique_ptr<Sandbox> sandbox_;
  std::string folder_;
  int made_ = 0;
};

/// The probe shows the opposite when its layer is left out: a test that could not fail would prove nothing.
#define NEEDS(layer) \
  if (!has(layer)) GTEST_SKIP() << "this machine does not give " << to_string(layer)

}  // namespace mayfly::sandbox
