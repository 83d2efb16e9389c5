#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdint>
#include <string>

#include "sandbox/jail/confine.h"
#include "sandbox/jail/enter.h"
#include "sandbox/jail/first.h"
#include "sandbox/jail/mayfly_jail.h"
#include "sandbox/jail/plan.h"
#include "sandbox/jail/wire.h"

// Two processes come of one request. The first one (process 1 inside) borrows the zygote's memory until it executes the jailer's program
// (CLONE_VM | CLONE_VFORK), so that the interpreter is copied once only and process 1 stays small. Between, it clones the interpreter's
// copy, which is its child and returns from mayfly_jail_zygote_next with 0. CLONE_PARENT makes the first one the jailer's child.

namespace mayfly::jail {
namespace {

constexpr int kPrGetTidAddress = 40;

struct CloneArguments {
  std::uint64_t flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls, set_tid, set_tid_size, cgroup;
};

/// clone3 with the caller's own stack. Not a function call: the child's next calls would overwrite the return address that the parent,
/// stopped meanwhile, still needs.
[[gnu::always_inline]] inline long clone3_in_place(const CloneArguments* arguments) {
#if defined(__x86_64__)
  long result = SYS_clone3;
  asm volatile("syscall" : "+a"(result) : "D"(arguments), "S"(sizeof *arguments) : "rcx", "r11", "memory");
  return result;
#elif defined(__aarch64__)
  register long number asm("x8") = SYS_clone3;
  register long result asm("x0") = reinterpret_cast<long>(arguments);
  register long size asm("x1") = sizeof *arguments;
  asm volatile("svc 0" : "+r"(result) : "r"(number), "r"(size) : "memory");
  return result;
#endif
}

struct Request {
  Plan plan;
  FirstFds fds;
  std::int32_t pid = -1;  ///< of the first process; written by the kernel before that runs
  sigset_t signals{};     ///< the zygote's mask
};

/// A fork(2) without the library's: that one would run handlers and take locks in memory that belongs to the zygote.
long fork_interpreter() {
  int* tid = nullptr;
  ::prctl(kPrGetTidAddress, &tid, 0, 0, 0);
  CloneArguments arguments{};
  arguments.exit_signal = SIGCHLD;
  if (tid != nullptr) {
    // The C library keeps the thread's number here.
    arguments.flags = CLONE_CHILD_SETTID | CLONE_CHILD_CLEARTID;
    arguments.child_tid = reinterpret_cast<std::uint64_t>(tid);
  }
  return ::syscall(SYS_clone3, &arguments, sizeof arguments);
}

[[noreturn]] void give_up(int sync, const Fault& fault) {
  report_fault(sync, fault);
  exit_now(121);
}

void set_environment(const std::vector<std::string>& environment) {
  ::clearenv();
  for (const std::string& variable : environment) {
    const std::size_t equals = variable.find('=');
    if (equals != std::string::npos) ::setenv(variable.substr(0, equals).c_str(), variable.c_str() + equals + 1, 1);
  }
}

/// From the jailer to the copy alone. It comes when process 1 is out of reach.
bool receive_environment(int sync) {
  Packet packet;
  if (receive_packet(sync, packet) != Received::Packet) return false;
  Reader in(packet.data);
  std::vector<std::string> environment = in.texts();
  if (!in.done()) return false;
  set_environment(environment);
  for (std::string& variable : environment) wipe(variable);
  wipe(packet.data);
  return true;
}

/// The interpreter's copy: the rest of its confinement, then back to the interpreter.
int become_program(Request& request, const Entry& entry) {
  const Plan& plan = request.plan;
  const int sync = request.fds.sync;
  if (::setsid() < 0 || ::prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) != 0) give_up(sync, *fault("start a session"));
  // What cost it this was the change of user before; without it /proc/self would be root's.
  ::prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
  if (::chdir(plan.directory.c_str()) != 0) give_up(sync, *fault("enter its working directory"));
  if (auto bad = confine(plan)) give_up(sync, *bad);
  if (!receive_environment(sync)) exit_now(120);
  if (auto bad = limit(plan)) give_up(sync, *bad);
  if (!report_started(entry)) exit_now(120);
  if (!connect_output(request.fds.output)) exit_now(121);
  sigset_t none{};
  sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  return 0;
}

/// In borrowed memory. Returns in the copy only.
[[gnu::noinline]] int first_of_fork(Request& request) {
  const int sync = request.fds.sync;
  int children = has(request.plan.walls, Wall::Pid) ? -1 : watch_children();
  Writer hello;
  hello.number(static_cast<std::uint64_t>(Report::Hello));
  hello.number(static_cast<std::uint64_t>(request.pid));
  if (!send_packet(sync, hello.bytes())) exit_now(120);
  Entry entry{.plan = request.plan, .sync = sync, .mounts = request.fds.mounts, .groups = request.fds.groups};
  if (auto bad = enter(entry)) give_up(sync, *bad);
  const long program = fork_interpreter();
  if (program == 0) return become_program(request, entry);
  if (program < 0) give_up(sync, *fault("fork the zygote"));
  char number[24] = {};
  for (long rest = program, at = sizeof number - 2; rest > 0; rest /= 10) number[at--] = static_cast<char>('0' + rest % 10);
  const char* text = number;
  while (*text == 0) ++text;
  // Above 3, which the report channel takes.
  if (children >= 0) children = ::fcntl(children, F_DUPFD, kFirstChildren);
  const char* own = children < 0 ? "1" : "0";
  const char* filtered = has(request.plan.walls, Wall::Seccomp) ? "1" : "0";
  char name[] = "mayfly-jailer", mode[] = "--first";
  char* argv[] = {name, mode, const_cast<char*>(text), const_cast<char*>(own), const_cast<char*>(filtered), nullptr};
  char* environment[] = {nullptr};
  const int jailer = ::fcntl(request.fds.jailer, F_DUPFD_CLOEXEC, 20);
  if (jailer < 0 || (children >= 0 && children != kFirstChildren && ::dup2(children, kFirstChildren) < 0) ||
      (sync != 3 ? ::dup2(sync, 3) : ::fcntl(3, F_SETFD, 0)) < 0)
    give_up(sync, *fault("start its first process"));
  ::syscall(SYS_execveat, jailer, "", argv, environment, AT_EMPTY_PATH);
  give_up(3, *fault("start its first process"));
}

/// > 0: pid, 0: in the copy, < 0: -errno.
[[gnu::noinline]] long fork_into_sandbox(Request& request) {
  CloneArguments arguments{};
  arguments.flags = clone_flags(request.plan.walls) | CLONE_PARENT | CLONE_VM | CLONE_VFORK | CLONE_PARENT_SETTID;
  arguments.parent_tid = reinterpret_cast<std::uint64_t>(&request.pid);
  block_signals();
  const long result = clone3_in_place(&arguments);
  if (result == 0) return first_of_fork(request);
  ::sigprocmask(SIG_SETMASK, &request.signals, nullptr);
  return result;
}

bool take(Packet packet, Request& request, std::vector<Fd>& owned) {
  auto plan = decode_plan(packet.data);
  wipe(packet.data);
  if (!plan || packet.fds.size() < 3 + plan->groups) return false;
  request.plan = std::move(*plan);
  owned = std::move(packet.fds);
  request.fds = {.sync = owned[0].get(), .output = owned[1].get(), .jailer = owned[2].get(), .mounts = {}, .groups = {}};
  for (std::size_t i = 3; i < owned.size(); ++i) {
    (i < 3 + request.plan.groups ? request.fds.groups : request.fds.mounts).push_back(owned[i].get());
  }
  return true;
}

int next(int control) {
  for (;;) {
    Packet packet;
    if (receive_packet(control, packet) != Received::Packet) return -1;
    Request request;
    std::vector<Fd> owned;
    ::sigprocmask(SIG_SETMASK, nullptr, &request.signals);
    if (!take(std::move(packet), request, owned)) return -1;
    const long pid = fork_into_sandbox(request);
    if (pid == 0) {
      for (Fd& fd : owned) fd.release();  // closed with all others
      return 0;
    }
    wipe(request.plan);  // a later copy could read it
    if (pid > 0) return static_cast<int>(pid);
    errno = static_cast<int>(-pid);
    report_fault(request.fds.sync, *fault("make its namespaces"));
  }
}

}  // namespace
}  // namespace mayfly::jail

extern "C" {

[[gnu::visibility("default")]] int mayfly_jail_zygote_ready(int control) {
  return mayfly::jail::send_packet(control, std::string_view(&mayfly::jail::kZygoteReady, 1)) ? 0 : -1;
}

[[gnu::visibility("default")]] int mayfly_jail_zygote_next(int control) { return mayfly::jail::next(control); }
}
