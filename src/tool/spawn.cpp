#include "tool/spawn.h"

#include <fmt/format.h>
#include <linux/close_range.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <memory>

// Between clone and exec the child borrows the server's memory (CLONE_VM) while the calling thread is stopped (CLONE_VFORK):
// nothing is copied, so the cost does not grow with the server, where fork(2) would copy all page tables. posix_spawn(3) works
// the same way but cannot set limits, the parent-death signal or no_new_privs. The price is that the child may only
// do what is safe in borrowed memory: system calls with arguments prepared beforehand. It calls syscall(2) alone, because library
// wrappers may lock, allocate or (under a sanitizer) keep books that the server would then find changed.

namespace mayfly {
namespace {

struct Rlimit {
  int resource = 0;
  rlimit value{};
};

/// Prepared by the parent, read by the child; `step` and `error` are the child's answer.
struct Plan {
  const char* path = nullptr;
  char* const* argv = nullptr;
  char* const* environment = nullptr;
  const char* directory = nullptr;
  std::array<int, 3> descriptors{};
  std::array<Rlimit, 6> limits{};
  std::size_t limit_count = 0;
  pid_t parent = 0;
  const char* step = nullptr;
  int error = 0;
};

constexpr std::size_t kStackBytes = 64 * 1024;
constexpr int kSignalMax = 64;
constexpr std::size_t kKernelSigsetBytes = 8;

[[noreturn, clang::no_sanitize("address", "thread", "undefined")]] void give_up(Plan& plan, const char* step) {
  plan.error = errno;
  plan.step = step;
  for (;;) syscall(SYS_exit_group, 127);
}

[[clang::no_sanitize("address", "thread", "undefined")]] int child_main(void* argument) {
  Plan& plan = *static_cast<Plan*>(argument);
  if (syscall(SYS_setsid) < 0) give_up(plan, "start a session");
  if (syscall(SYS_prctl, PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0) give_up(plan, "tie it to the server");
  if (syscall(SYS_getppid) != plan.parent) give_up(plan, "tie it to the server");
  // An all-zero kernel sigaction is SIG_DFL. SIGKILL and SIGSTOP refuse, which is fine.
  const unsigned long zero[8] = {};
  for (int signal = 1; signal <= kSignalMax; ++signal) syscall(SYS_rt_sigaction, signal, zero, nullptr, kKernelSigsetBytes);
  for (std::size_t i = 0; i < plan.limit_count; ++i) {
    if (syscall(SYS_prlimit64, 0, plan.limits[i].resource, &plan.limits[i].value, nullptr) < 0) give_up(plan, "set its limits");
  }
  if (syscall(SYS_prctl, PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0) give_up(plan, "forbid new privileges");
  if (syscall(SYS_chdir, plan.directory) < 0) give_up(plan, "enter its directory");
  for (int i = 0; i < 3; ++i) {
    if (syscall(SYS_dup3, plan.descriptors[static_cast<std::size_t>(i)], i, 0) < 0) give_up(plan, "connect its input and output");
  }
  if (syscall(SYS_close_range, 3U, ~0U, 0U) < 0) give_up(plan, "close inherited files (Linux 5.9 or later is needed)");
  if (syscall(SYS_rt_sigprocmask, SIG_SETMASK, zero, nullptr, kKernelSigsetBytes) < 0) give_up(plan, "unblock signals");
  syscall(SYS_execve, plan.path, plan.argv, plan.environment);
  give_up(plan, "execute it");
}

void add_limit(Plan& plan, int resource, std::uint64_t value) {
  rlimit now{};
  if (getrlimit(static_cast<__rlimit_resource>(resource), &now) != 0) return;
  // The hard CPU limit kills without a word; one second below it SIGXCPU says why.
  const rlim_t hard = std::min<rlim_t>(resource == RLIMIT_CPU ? value + 1 : value, now.rlim_max);
  plan.limits[plan.limit_count++] = {resource, {std::min<rlim_t>(value, hard), hard}};
}

void add_limits(Plan& plan, const KernelLimits& limits) {
  add_limit(plan, RLIMIT_CORE, 0);
  if (limits.cpu_seconds > 0) add_limit(plan, RLIMIT_CPU, limits.cpu_seconds);
  if (limits.address_space_bytes > 0) add_limit(plan, RLIMIT_AS, limits.address_space_bytes);
  if (limits.file_bytes > 0) add_limit(plan, RLIMIT_FSIZE, limits.file_bytes);
  if (limits.open_files > 0) add_limit(plan, RLIMIT_NOFILE, limits.open_files);
  if (limits.processes > 0) add_limit(plan, RLIMIT_NPROC, limits.processes);
}

std::vector<char*> pointers(const std::vector<std::string>& texts) {
  std::vector<char*> out;
  out.reserve(texts.size() + 1);
  for (const std::string& text : texts) out.push_back(const_cast<char*>(text.c_str()));
  out.push_back(nullptr);
  return out;
}

std::unexpected<Error> spawn_error(const std::string& path, const char* step, int error) {
  const bool shortage = error == EAGAIN || error == ENOMEM || error == EMFILE || error == ENFILE || error == ETXTBSY;
  std::string remedy;
  if (error == ENOENT) remedy = "; check that the interpreter of its #! line and its directory exist";
  if (error == ENOEXEC) remedy = "; a script needs a #! line with its interpreter";
  if (error == EACCES) remedy = "; check its permissions (chmod +x) and those of its directory";
  if (error == E2BIG) remedy = "; its command line and environment are too large";
  return fail("tool.spawn_failed", fmt::format("could not start {}: cannot {}: {}{}", path, step, std::strerror(error), remedy),
              shortage ? Retry::Safe : Retry::Never);
}

enum class Kind { Missing, Executable, Other };

Kind kind_of(const std::string& path) {
  struct stat status{};
  if (::stat(path.c_str(), &status) != 0) return Kind::Missing;
  return S_ISREG(status.st_mode) && ::access(path.c_str(), X_OK) == 0 ? Kind::Executable : Kind::Other;
}

}  // namespace

Result<std::string> find_program(const std::string& program, const std::string& directory, const std::string& path_variable) {
  const auto not_executable = [&](const std::string& path) {
    return fail("tool.not_executable", fmt::format("{} is not an executable file: make it one (chmod +x {})", path, path));
  };
  if (program.find('/') != std::string::npos) {
    std::string path = program.starts_with('/') ? program : directory + "/" + program;
    const Kind kind = kind_of(path);
    if (kind == Kind::Executable) return path;
    if (kind == Kind::Other) return not_executable(path);
    return fail("tool.program_not_found", fmt::format("there is no program {}: correct the command of the tool or create the file", path));
  }
  std::string candidate;
  for (std::size_t at = 0; at <= path_variable.size();) {
    const std::size_t end = std::min(path_variable.find(':', at), path_variable.size());
    const std::string folder = path_variable.substr(at, end - at);
    at = end + 1;
    if (!folder.starts_with('/')) continue;
    std::string path = folder + "/" + program;
    const Kind kind = kind_of(path);
    if (kind == Kind::Executable) return path;
    if (kind == Kind::Other && candidate.empty()) candidate = std::move(path);
  }
  if (!candidate.empty()) return not_executable(candidate);
  return fail("tool.program_not_found",
              fmt::format("there is no program \"{}\" in PATH ({}): install it or give its full path; a file of the project starts with ./",
                          program, path_variable));
}

Result<Spawned> spawn(const SpawnRequest& request) {
  const std::vector<char*> argv = pointers(request.argv);
  const std::vector<char*> environment = pointers(request.environment);
  Plan plan{.path = request.path.c_str(),
            .argv = argv.data(),
            .environment = environment.data(),
            .directory = request.directory.c_str(),
            .descriptors = {request.stdin_fd, request.stdout_fd, request.stderr_fd},
            .parent = ::getpid()};
  add_limits(plan, request.limits);
  // A signal must find the child either without handlers or not at all: all are blocked until it has reset them.
  sigset_t all{}, before{};
  sigfillset(&all);
  const auto stack = std::make_unique<std::byte[]>(kStackBytes);
  Spawned spawned;
  pthread_sigmask(SIG_SETMASK, &all, &before);
  spawned.pid = ::clone(child_main, stack.get() + kStackBytes, CLONE_VM | CLONE_VFORK | CLONE_PIDFD | SIGCHLD, &plan, &spawned.pidfd);
  const int clone_error = errno;
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  if (spawned.pid < 0) return spawn_error(request.path, "create a process", clone_error);
  if (plan.step == nullptr) return spawned;
  ::waitid(P_PID, static_cast<id_t>(spawned.pid), nullptr, WEXITED);
  ::close(spawned.pidfd);
  return spawn_error(request.path, plan.step, plan.error);
}

}  // namespace mayfly
