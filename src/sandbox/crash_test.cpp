#include <poll.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <csignal>
#include <fstream>
#include <iostream>

#include "sandbox/sandbox_test_support.h"

namespace mayfly::sandbox {
namespace {

using How = ProcessEnd::How;

std::vector<int> children_of(int pid) {
  const std::string text = std::to_string(pid);
  std::ifstream in("/proc/" + text + "/task/" + text + "/children");
  std::vector<int> found;
  for (int child = 0; in >> child;) found.push_back(child);
  return found;
}

int parent_of(int pid) {
  std::ifstream in("/proc/" + std::to_string(pid) + "/status");
  for (std::string line; std::getline(in, line);) {
    if (line.starts_with("PPid:")) return std::stoi(line.substr(5));
  }
  return -1;
}

/// Holds on to processes, to see the end of these very ones.
class Watched {
 public:
  void add(int pid) { fds_.push_back(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0))); }
  void add_all(int first_process) {
    add(first_process);
    for (const int child : children_of(first_process)) add(child);
  }
  std::size_t size() const { return fds_.size(); }
  void wait_for_all() {
    for (const int fd : fds_) {
      ASSERT_GE(fd, 0);
      pollfd polled{fd, POLLIN, 0};
      ASSERT_EQ(::poll(&polled, 1, -1), 1);
      ::close(fd);
    }
    fds_.clear();
  }

 private:
  std::vector<int> fds_;
};

class CrashTest : public SandboxTest {
 protected:
  /// A program with a daemon beside it, both ready.
  std::unique_ptr<SandboxProcess> start_family(Layers without = {}) {
    auto process = start(spec({"daemon", "escaped", "stay"}, std::move(without)));
    if (process) EXPECT_EQ(read(*process), "ready\n");
    return process;
  }
};

TEST_F(CrashTest, TheEndOfTheProgramEndsAllInside) {
  for (const Layers& without :
       {Layers{}, Layers{Layer::PidNamespace}, Layers{Layer::PidNamespace, Layer::CgroupMemory, Layer::CgroupCpu, Layer::CgroupPids}}) {
    const auto process = start_family(without);
    ASSERT_TRUE(process);
    Watched all;
    all.add_all(process->pid());
    EXPECT_EQ(all.size(), 3U) << "first process, program, daemon";
    const int program = children_of(process->pid()).front();
    ::kill(program, SIGTERM);
    EXPECT_EQ(end(*process).code, SIGTERM);
    all.wait_for_all();
  }
}

TEST_F(CrashTest, KillEndsAllInside) {
  for (const Layers& without :
       {Layers{}, Layers{Layer::PidNamespace}, Layers{Layer::PidNamespace, Layer::CgroupMemory, Layer::CgroupCpu, Layer::CgroupPids}}) {
    const auto process = start_family(without);
    ASSERT_TRUE(process);
    Watched all;
    all.add_all(process->pid());
    process->kill();
    EXPECT_EQ(end(*process).how, How::Signalled);
    all.wait_for_all();
  }
}

TEST_F(CrashTest, DestroyingTheProcessEndsAllInside) {
  auto process = start_family();
  Watched all;
  all.add_all(process->pid());
  process.reset();
  all.wait_for_all();
}

TEST_F(CrashTest, AKilledJailerLeavesNothingAndIsStartedAgain) {
  NEEDS(Layer::PidNamespace);
  const auto process = start_family();
  const int jailer = parent_of(process->pid());
  Watched all;
  all.add_all(process->pid());
  all.add(jailer);
  ::kill(jailer, SIGKILL);
  EXPECT_EQ(end(*process).how, How::Lost);
  all.wait_for_all();
  const Outcome again = run({"exit", "3"});
  ASSERT_TRUE(again.launched) << again.launched.error().message;
  EXPECT_EQ(again.end.code, 3);
  // The new jailer swept what the old one could not.
  for (const LayerState& state : sandbox_->layers()) {
    if (state.layer != Layer::CgroupPids || !state.active) continue;
    EXPECT_FALSE(std::filesystem::exists(state.detail.substr(state.detail.find('/')) + "/mayfly-" + std::to_string(jailer)));
  }
}

/// Its loop makes one, after it told what it can do.
bool has_signal_descriptor(int pid) {
  std::error_code ignored;
  for (const auto& entry : std::filesystem::directory_iterator("/proc/" + std::to_string(pid) + "/fd", ignored)) {
    if (std::filesystem::read_symlink(entry.path(), ignored).string().find("signalfd") != std::string::npos) return true;
  }
  return false;
}

TEST_F(CrashTest, AJailerThatDiesBeforeItsAnswerIsReadHoldsNobodyUp) {
  const auto process = start_family();
  ::kill(parent_of(process->pid()), SIGKILL);
  end(*process);
  TaskGroup group(io_.get_executor());
  Outcome outcome;
  group.spawn(run_one(spec({"exit", "0"}), &outcome));
  io_.restart();
  while (children_of(::getpid()).empty()) io_.poll_one();
  const int jailer = children_of(::getpid()).front();
  while (!has_signal_descriptor(jailer)) ::sched_yield();
  ::kill(jailer, SIGKILL);
  siginfo_t ended{};
  ASSERT_EQ(::waitid(P_PID, static_cast<id_t>(jailer), &ended, WEXITED | WNOWAIT), 0);
  io_.restart();
  while (group.size() > 0 && io_.run_one() > 0) {
  }
  ASSERT_FALSE(outcome.launched);
  EXPECT_EQ(outcome.launched.error().code, "sandbox.jailer_lost");
  EXPECT_EQ(run({"exit", "3"}).end.code, 3);
}

TEST_F(CrashTest, ALaunchUnderWayWhenTheJailerDiesMayBeRepeated) {
  const auto process = start_family();
  const int jailer = parent_of(process->pid());
  ::kill(jailer, SIGSTOP);
  TaskGroup group(io_.get_executor());
  Outcome outcome;
  group.spawn(run_one(spec({"exit", "0"}), &outcome));
  io_.restart();
  io_.poll();
  ::kill(jailer, SIGKILL);
  io_.restart();
  while (group.size() > 0 && io_.run_one() > 0) {
  }
  ASSERT_FALSE(outcome.launched);
  EXPECT_EQ(outcome.launched.error().code, "sandbox.jailer_lost");
  EXPECT_EQ(outcome.launched.error().retry, Retry::Safe);
}

/// Not a test: the process that the next one kills.
TEST_F(CrashTest, DISABLED_HoldsASandbox) {
  const auto process = start_family();
  std::string pids = std::to_string(process->pid()) + " " + std::to_string(parent_of(process->pid()));
  for (const int child : children_of(process->pid())) pids += " " + std::to_string(child);
  const std::string report = std::getenv("MAYFLY_TEST_REPORT");
  std::filesystem::remove_all(folder_);  // nobody else will
  std::ofstream(report) << pids << "\n";
  for (;;) ::pause();
}

TEST_F(CrashTest, AKilledMayflyLeavesNothing) {
  const std::string report = folder_ + "/report";
  ASSERT_EQ(::mkfifo(report.c_str(), 0600), 0);
  const int child = ::fork();
  if (child == 0) {
    ::setenv("MAYFLY_TEST_REPORT", report.c_str(), 1);
    const int null = ::open("/dev/null", O_WRONLY);
    ::dup2(null, 1);
    ::execl("/proc/self/exe", "sandbox_test", "--gtest_filter=CrashTest.DISABLED_HoldsASandbox", "--gtest_also_run_disabled_tests",
            nullptr);
    ::_exit(1);
  }
  Watched all;
  std::ifstream in(report);
  for (int pid = 0; in >> pid;) all.add(pid);
  ASSERT_EQ(all.size(), 4U) << "first process, jailer, program, daemon";
  ::kill(child, SIGKILL);
  ::waitpid(child, nullptr, 0);
  all.wait_for_all();
}

TEST_F(CrashTest, StopEndsEverythingAndRefusesMore) {
  const auto process = start_family();
  const int jailer = parent_of(process->pid());
  Watched all;
  all.add_all(process->pid());
  all.add(jailer);
  std::string folder;
  for (const LayerState& state : sandbox_->layers()) {
    if (state.layer == Layer::CgroupMemory && state.active) folder = state.detail.substr(state.detail.find('/'));
  }
  wait_for(stop_all());
  wait_for(stop_all());
  all.wait_for_all();
  EXPECT_EQ(end(*process).how, How::Signalled);
  EXPECT_FALSE(run({"exit", "0"}).launched);
  if (!folder.empty()) EXPECT_FALSE(std::filesystem::exists(folder + "/mayfly-" + std::to_string(jailer)));
}

TEST_F(CrashTest, SaysWhenThereIsNoJailer) {
  Result<std::unique_ptr<Sandbox>> made = fail("", "");
  const auto make_missing = [](SandboxTest*, asio::io_context* io, Clock* clock, Result<std::unique_ptr<Sandbox>>* out,
                               std::string path) -> Task<> {
    *out = co_await make_jailer_sandbox(io->get_executor(), *clock, {.jailer = path});
  };
  wait_for(make_missing(this, &io_, &clock_, &made, "/nowhere/mayfly-jailer"));
  EXPECT_EQ(made.error().code, "sandbox.jailer_missing");
  wait_for(make_missing(this, &io_, &clock_, &made, "/bin/false"));
  EXPECT_EQ(made.error().code, "sandbox.jailer_failed");
}

}  // namespace
}  // namespace mayfly::sandbox
