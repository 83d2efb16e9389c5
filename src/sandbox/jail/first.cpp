#include "sandbox/jail/first.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <cstring>
#include <memory>

#include "sandbox/jail/confine.h"
#include "sandbox/jail/enter.h"

namespace mayfly::jail {
namespace {

constexpr std::size_t kStackBytes = 64 * 1024;

[[noreturn]] void give_up(int sync, const Fault& fault) {
  report_fault(sync, fault);
  exit_now(121);
}

std::vector<char*> pointers(const std::vector<std::string>& texts) {
  std::vector<char*> out;
  for (const std::string& text : texts) out.push_back(const_cast<char*>(text.c_str()));
  out.push_back(nullptr);
  return out;
}

/// The program's file: a name without '/' is looked for in PATH.
std::string find_program(const Plan& plan) {
  const std::string& name = plan.argv.front();
  if (name.find('/') != std::string::npos) return name;
  std::string path = "/usr/local/bin:/usr/bin:/bin";
  for (const std::string& variable : plan.environment) {
    if (variable.starts_with("PATH=")) path = variable.substr(5);
  }
  for (std::size_t at = 0; at <= path.size();) {
    const std::size_t end = std::min(path.find(':', at), path.size());
    std::string candidate = path.substr(at, end - at) + "/" + name;
    if (candidate.front() == '/' && candidate.size() > name.size() + 1 && ::access(candidate.c_str(), X_OK) == 0) return candidate;
    at = end + 1;
  }
  return "/" + name;  // does not exist, and the error says so
}

/// Prepared beforehand: the program's process borrows our memory until it executes (CLONE_VM | CLONE_VFORK), so nothing is copied.
struct Execution {
  const Plan* plan = nullptr;
  const char* path = nullptr;
  char* const* argv = nullptr;
  char* const* environment = nullptr;
  int output = -1;
  const char* step = nullptr;
  int error = 0;
};

int program_main(void* argument) {
  Execution& run = *static_cast<Execution*>(argument);
  const auto stop = [&run](const char* step) {
    run.error = errno;
    run.step = step;
    exit_now(127);
  };
  if (::setsid() < 0) stop("start a session");
  if (::syscall(SYS_prctl, PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) != 0) stop("tie it to the first process");
  if (run.path == nullptr) exit_now(0);
  if (::chdir(run.plan->directory.c_str()) != 0) stop("enter its working directory");
  if (!connect_output(run.output)) stop("connect its output");
  reset_signals();
  if (limit(*run.plan)) stop("set its limits");
  ::execve(run.path, run.argv, run.environment);
  stop("execute it");
  return 0;
}

pid_t start_program(const Plan& plan, const FirstFds& fds) {
  const bool probe = plan.role == Plan::Role::Probe;
  const std::string path = probe ? "" : find_program(plan);
  const std::vector<char*> argv = pointers(plan.argv), environment = pointers(plan.environment);
  Execution run{
      .plan = &plan, .path = probe ? nullptr : path.c_str(), .argv = argv.data(), .environment = environment.data(), .output = fds.output};
  const auto stack = std::make_unique<std::byte[]>(kStackBytes);
  const pid_t pid = ::clone(program_main, stack.get() + kStackBytes, CLONE_VM | CLONE_VFORK | SIGCHLD, &run);
  if (pid < 0) give_up(fds.sync, *fault("create a process"));
  if (run.step != nullptr) {
    errno = run.error;
    give_up(fds.sync, *fault(std::string(run.step)));
  }
  return pid;
}

/// Everything that is left, without a process namespace to do it: orphans come to us (PR_SET_CHILD_SUBREAPER), level by level.
void kill_descendants(int children) {
  for (;;) {
    char text[4096] = {};
    if (::pread(children, text, sizeof text - 1, 0) > 0) {
      // A number that the buffer cuts is of no process or of a later round.
      for (char* at = text; *at != 0;) {
        const long child = std::strtol(at, &at, 10);
        if (*at != ' ') break;
        ::kill(static_cast<pid_t>(child), SIGKILL);
        ++at;
      }
    }
    if (::waitpid(-1, nullptr, 0) < 0) return;
  }
}

}  // namespace

void block_signals() {
  sigset_t all{};
  sigfillset(&all);
  ::sigprocmask(SIG_SETMASK, &all, nullptr);
}

void close_memory() { ::prctl(PR_SET_DUMPABLE, 0, 0, 0, 0); }

int watch_children() {
  ::prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
  return ::open("/proc/thread-self/children", O_RDONLY | O_CLOEXEC);
}

bool connect_output(int output, unsigned keep) {
  const int null = ::open("/dev/null", O_RDONLY);
  if (null < 0 || ::syscall(SYS_dup3, output, 1, 0) < 0 || ::syscall(SYS_dup3, output, 2, 0) < 0) return false;
  if (null != 0 && ::syscall(SYS_dup3, null, 0, 0) < 0) return false;
  return ::syscall(SYS_close_range, keep, ~0U, 0) == 0;
}

void reset_signals() {
  const unsigned long zero[8] = {};
  for (int signal = 1; signal <= 64; ++signal) ::syscall(SYS_rt_sigaction, signal, zero, nullptr, 8);
  ::syscall(SYS_rt_sigprocmask, SIG_SETMASK, zero, nullptr, 8);
}

void reap_until_end(int sync, pid_t program, int children) {
  sigset_t wanted{};
  sigemptyset(&wanted);
  sigaddset(&wanted, SIGCHLD);
  sigaddset(&wanted, SIGTERM);
  for (;;) {
    int status = 0;
    for (pid_t pid = 0; (pid = ::waitpid(-1, &status, WNOHANG)) > 0;) {
      if (pid != program) continue;
      if (children >= 0) kill_descendants(children);
      Writer out;
      out.number(static_cast<std::uint64_t>(Report::Exited));
      out.number(static_cast<std::uint64_t>(status));
      send_packet(sync, out.bytes());
      exit_now(0);
    }
    if (::sigwaitinfo(&wanted, nullptr) == SIGTERM) ::kill(program, SIGTERM);
  }
}

void first_process(const Plan& plan, const FirstFds& fds) {
  const int children = has(plan.walls, Wall::Pid) ? -1 : watch_children();
  Entry entry{.plan = plan, .sync = fds.sync, .mounts = fds.mounts, .groups = fds.groups};
  if (auto bad = enter(entry)) give_up(fds.sync, *bad);
  if (auto bad = confine(plan)) give_up(fds.sync, *bad);
  const pid_t program = start_program(plan, fds);
  if (!report_started(entry)) exit_now(120);
  // Only the way to the jailer stays open: a descriptor kept here would outlive the program's own.
  ::dup3(fds.sync, 0, O_CLOEXEC);
  if (children >= 0) ::dup3(children, 1, O_CLOEXEC);
  ::syscall(SYS_close_range, 2U, ~0U, 0);
  reap_until_end(0, program, children >= 0 ? 1 : -1);
}

void become_zygote(const Plan& plan, const FirstFds& fds, int control) {
  Entry entry{.plan = plan, .sync = fds.sync, .mounts = fds.mounts, .groups = fds.groups};
  if (auto bad = enter(entry)) give_up(fds.sync, *bad);
  const std::string path = find_program(plan);
  const std::vector<char*> argv = pointers(plan.argv), environment = pointers(plan.environment);
  if (auto bad = confine(plan)) give_up(fds.sync, *bad);
  if (auto bad = limit(plan)) give_up(fds.sync, *bad);
  // From descriptor 4 on nothing survives; 3 is the control socket, and the report channel closes itself at the execve.
  const int sync = ::fcntl(fds.sync, F_DUPFD_CLOEXEC, 10);
  if (sync < 0 || ::setsid() < 0 || (control != 3 && ::dup2(control, 3) < 0) || ::fcntl(3, F_SETFD, 0) != 0) {
    give_up(fds.sync, *fault("connect the zygote"));
  }
  const int output = ::fcntl(fds.output, F_DUPFD_CLOEXEC, 10);
  const int null = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
  if (output < 0 || null < 0 || ::dup2(null, 0) < 0 || ::dup2(output, 1) < 0 || ::dup2(output, 2) < 0) {
    give_up(sync, *fault("connect its output"));
  }
  ::syscall(SYS_close_range, 4U, ~0U, 4 /* CLOSE_RANGE_CLOEXEC */);
  reset_signals();
  ::execve(path.c_str(), argv.data(), environment.data());
  give_up(sync, *fault("execute the zygote"));
}

}  // namespace mayfly::jail
