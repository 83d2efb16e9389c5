#include "jailer.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <fstream>
#include <set>
#include <stdexcept>

namespace mayfly::jail {
namespace {

constexpr int kSweepMillis = 50;
constexpr std::size_t kEarlyEndsMax = 4096;

constexpr const char* kNames[kWalls] = {"user_namespace", "mount_namespace",  "pid_namespace", "net_namespace", "ipc_namespace",
                                        "uts_namespace",  "cgroup_namespace", "seccomp",       "landlock",      "no_new_privileges",
                                        "capabilities",   "rlimits",          "cgroup_memory", "cgroup_cpu",    "cgroup_pids"};

bool short_of_something(int error) {
  return error == EAGAIN || error == ENOMEM || error == EMFILE || error == ENFILE || error == ENOSPC || error == EUSERS ||
         error == ETXTBSY || error == ETOOMANYREFS;
}

std::string remedy(const Fault& fault) {
  if (fault.step == "execute it") {
    if (fault.error == ENOENT) return "; check its path inside the sandbox, its mounts and the interpreter of its #! line";
    if (fault.error == EACCES) {
      return "; check that it and its folders are readable and executable for everybody (chmod a+rx): a sandbox has an ordinary user";
    }
    if (fault.error == ENOEXEC) return "; a script needs a #! line with its interpreter";
    if (fault.error == E2BIG) return "; its command line and environment are too large";
  }
  if (fault.error == ENOSPC && fault.step.find("namespace") != std::string::npos) return "; raise the sysctl user.max_*_namespaces";
  if (short_of_something(fault.error)) return "; the machine is short of processes, memory or descriptors: try again later";
  return {};
}

}  // namespace

std::int64_t monotonic_millis() {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<std::int64_t>(now.tv_sec) * 1000 + now.tv_nsec / 1'000'000;
}

std::string error_text(int error) { return std::strerror(error); }

std::string wall_names(Walls walls) {
  std::string names;
  for (unsigned i = 0; i < kWalls; ++i) {
    if (has(walls, static_cast<Wall>(i))) names += (names.empty() ? "" : ", ") + std::string(kNames[i]);
  }
  return names;
}

Jailer::Jailer(int control, const JailerPaths& paths)
    : control_(control),
      paths_(paths),
      root_user_(::geteuid() == 0),
      cgroups_(paths.cgroup_root),
      self_(::open("/proc/self/exe", O_PATH | O_CLOEXEC)) {
  block_signals();
  // Descriptors under way to this process count against the sender's limit, which programs share with the one that sets them up.
  rlimit files{};
  if (::getrlimit(RLIMIT_NOFILE, &files) == 0) {
    files.rlim_cur = files.rlim_max;
    ::setrlimit(RLIMIT_NOFILE, &files);
  }
  // Not SIGKILL: with SIGTERM there is time to take everything down in order. The socket's end says the same.
  ::prctl(PR_SET_PDEATHSIG, SIGTERM, 0, 0, 0);
  ::prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
  if (root_user_) ::syscall(SYS_setgroups, 0, nullptr);
  root_fault_ = system_root_.build();
  probe();
  LayersMessage layers{.active = available_, .details = {}};
  for (unsigned i = 0; i < kWalls; ++i) layers.details.push_back(detail_of(static_cast<Wall>(i)));
  send(encode(layers));
}

void Jailer::run() {
  sigset_t wanted{};
  sigemptyset(&wanted);
  for (const int signal : {SIGCHLD, SIGTERM, SIGINT, SIGHUP}) sigaddset(&wanted, signal);
  const Fd signals(::signalfd(-1, &wanted, SFD_CLOEXEC | SFD_NONBLOCK));
  if (!signals.valid()) throw std::runtime_error("cannot watch signals: " + error_text(errno));
  while (!gone_) {
    std::vector<pollfd> polled{{control_, POLLIN, 0}, {signals.get(), POLLIN, 0}};
    std::vector<std::uint64_t> sequences;
    std::vector<std::string> names;
    for (const auto& [sequence, sandbox] : sandboxes_) {
      if (sandbox.started || !sandbox.sync.valid()) continue;  // its end is read when it is reaped
      sequences.push_back(sequence);
      polled.push_back({sandbox.sync.get(), POLLIN, 0});
    }
    for (const auto& [name, zygote] : zygotes_) {
      if (!zygote.control.valid()) continue;
      names.push_back(name);
      polled.push_back({zygote.control.get(), POLLIN, 0});
    }
    if (::poll(polled.data(), polled.size(), wait_millis()) < 0 && errno != EINTR) throw std::runtime_error("poll: " + error_text(errno));
    for (std::size_t i = 0; i < sequences.size(); ++i) {
      if (polled[2 + i].revents != 0) read_sync(sequences[i]);
    }
    for (std::size_t i = 0; i < names.size(); ++i) {
      if (polled[2 + sequences.size() + i].revents == 0) continue;
      if (const auto found = zygotes_.find(names[i]); found != zygotes_.end() && found->second.control.valid())
        zygote_message(found->second);
    }
    if (polled[1].revents != 0) {
      signalfd_siginfo info{};
      while (::read(signals.get(), &info, sizeof info) == sizeof info) gone_ = gone_ || info.ssi_signo != SIGCHLD;
      reap();
    }
    if (polled[0].revents != 0) handle_control();
    check_deadlines();
    cgroups_.sweep();
  }
  stop_all();
}

void Jailer::handle_control() {
  Packet packet;
  if (receive_packet(control_, packet) != Received::Packet) {
    gone_ = true;
    return;
  }
  if (auto launch_message = decode_launch(packet.data)) {
    launch(std::move(*launch_message));
  } else if (auto zygote = decode_zygote(packet.data)) {
    add_zygote(std::move(*zygote));
  } else if (const auto name = decode_remove_zygote(packet.data)) {
    remove_zygote(*name);
  } else {
    gone_ = true;  // not our Mayfly
  }
  explicit_bzero(packet.data.data(), packet.data.size());
}

void Jailer::read_sync(std::uint64_t sequence) {
  Packet packet;
  for (;;) {
    const auto found = sandboxes_.find(sequence);
    if (found == sandboxes_.end() || !found->second.sync.valid()) return;
    switch (receive_packet(found->second.sync.get(), packet)) {
      case Received::Nothing: return;
      case Received::Packet:
        handle_report(found->second, std::move(packet));
        if (const auto early = std::exchange(found->second.early_status, std::nullopt)) return ended(sequence, early);
        break;
      case Received::Closed:
        found->second.sync.reset();
        // A zygote that could not even fork tells, and no process of its own will be reaped.
        if (found->second.pid < 0) ended(sequence, std::nullopt);
        return;
    }
  }
}

void Jailer::handle_report(Sandbox& sandbox, Packet packet) {
  Reader in(packet.data);
  switch (static_cast<Report>(in.number())) {
    case Report::Hello: {
      const int pid = static_cast<int>(in.number());
      // Only a child of ours can be meant.
      siginfo_t info{};
      const auto early = early_ends_.find(pid);
      if (early == early_ends_.end() && ::waitid(P_PID, static_cast<id_t>(pid), &info, WEXITED | WNOHANG | WNOWAIT) != 0) return;
      sandbox.pid = pid;
      sandbox.again.reset();
      if (early != early_ends_.end()) {
        sandbox.early_status = early->second;
        early_ends_.erase(early);
        return;
      }
      sandbox.pidfd = Fd(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
      place(sandbox);
      return;
    }
    case Report::Fault:
      if (!sandbox.bad) sandbox.bad = Fault{static_cast<unsigned>(in.number()), in.text(), static_cast<int>(in.number())};
      return;
    case Report::Listening:
      sandbox.addresses = in.texts();
      sandbox.listeners = std::move(packet.fds);
      return;
    case Report::Guarded:
      if (!send_environment(sandbox) && sandbox.pid > 0) ::kill(sandbox.pid, SIGKILL);
      return fork_done(sandbox);  // its zygote goes on since process 1 executed; the copy finishes by itself
    case Report::Started:
      if (sandbox.pid > 0 && sandbox.addresses.size() == sandbox.listeners.size()) announce(sandbox);
      return;
    case Report::Exited: sandbox.program_status = static_cast<int>(in.number()); return;
  }
}

void Jailer::announce(Sandbox& sandbox) {
  StartedMessage started{.sequence = sandbox.sequence, .pid = static_cast<std::uint64_t>(sandbox.pid), .active = sandbox.walls};
  started.addresses = sandbox.addresses;
  started.memory_now = cgroups_.memory_now_file(sandbox.group);
  started.memory_peak = cgroups_.memory_peak_file(sandbox.group);
  if (!sandbox.group.pids.empty()) started.processes_now = sandbox.group.pids + "/pids.current";
  std::vector<int> fds{sandbox.pidfd.get(), sandbox.output.get()};
  for (const Fd& fd : sandbox.listeners) fds.push_back(fd.get());
  send(encode(started), fds);
  sandbox.started = true;
  sandbox.output.reset();
  sandbox.listeners.clear();
}

void Jailer::fork_done(Sandbox& sandbox) {
  const auto zygote = zygotes_.find(sandbox.zygote);
  if (zygote == zygotes_.end() || zygote->second.forking != sandbox.sequence) return;
  zygote->second.forking = 0;
  next_fork(zygote->second);
}

void Jailer::reap() {
  // What a zygote's child said before it died comes first: its pid.
  std::vector<std::uint64_t> unnamed;
  for (const auto& [sequence, sandbox] : sandboxes_) {
    if (sandbox.pid < 0) unnamed.push_back(sequence);
  }
  for (const std::uint64_t sequence : unnamed) read_sync(sequence);
  int status = 0;
  for (pid_t pid = 0; (pid = ::waitpid(-1, &status, WNOHANG)) > 0;) {
    const auto sandbox = std::find_if(sandboxes_.begin(), sandboxes_.end(), [pid](const auto& each) { return each.second.pid == pid; });
    if (sandbox != sandboxes_.end()) {
      ended(sandbox->first, status);
      continue;
    }
    const auto zygote = std::find_if(zygotes_.begin(), zygotes_.end(), [pid](const auto& each) { return each.second.pid == pid; });
    if (zygote != zygotes_.end()) {
      zygote_ended(zygote->second, status);
    } else if (!unnamed.empty() && early_ends_.size() < kEarlyEndsMax) {
      early_ends_[pid] = status;
    }
  }
  for (const std::uint64_t sequence : unnamed) read_sync(sequence);
  if (std::none_of(sandboxes_.begin(), sandboxes_.end(), [](const auto& each) { return each.second.pid < 0; })) early_ends_.clear();
  if (loose_) kill_orphans();
}

void Jailer::ended(std::uint64_t sequence, std::optional<int> status) {
  read_sync(sequence);
  const auto found = sandboxes_.find(sequence);
  if (found == sandboxes_.end()) return;
  Sandbox sandbox = std::move(found->second);
  sandboxes_.erase(found);
  const bool out_of_memory = cgroups_.out_of_memory(sandbox.group);
  cgroups_.kill(sandbox.group);
  cgroups_.remove(sandbox.group);
  if (sandbox.started) {
    const int end = sandbox.program_status.value_or(status.value_or(SIGKILL));
    send(encode(EndedMessage{.sequence = sequence,
                             .signalled = WIFSIGNALED(end),
                             .out_of_memory = out_of_memory && !(WIFEXITED(end) && WEXITSTATUS(end) == 0),
                             .code = static_cast<std::uint64_t>(WIFSIGNALED(end) ? WTERMSIG(end) : WEXITSTATUS(end))}));
  } else if (fork_again(sandbox)) {
    return;
  } else if (sandbox.bad) {
    failed(sequence, *sandbox.bad);
  } else if (out_of_memory) {
    failed(sequence, "sandbox.exec", "its memory limit is too small to start a program: raise it");
  } else {
    failed(sequence, "sandbox.resources", "its first process ended during the set-up: try again", true);
  }
  repeated_.erase(sequence);
  fork_done(sandbox);
}

/// A zygote that died before it forked did nothing: the next one, once, gets the request.
bool Jailer::fork_again(Sandbox& sandbox) {
  const auto zygote = zygotes_.find(sandbox.zygote);
  if (!sandbox.again || sandbox.bad || zygote == zygotes_.end() || !repeated_.insert(sandbox.sequence).second) return false;
  zygote->second.waiting.push_front(std::move(*sandbox.again));
  zygote->second.forking = zygote->second.pid < 0 ? 0 : kDying;
  return true;
}

void Jailer::kill_orphans() {
  std::set<int> known;
  for (const auto& [sequence, sandbox] : sandboxes_) known.insert(sandbox.pid);
  for (const auto& [name, zygote] : zygotes_) known.insert(zygote.pid);
  // A fork whose zygote has not told its pid yet is no orphan.
  for (const auto& [sequence, sandbox] : sandboxes_) {
    if (sandbox.pid < 0) return;
  }
  std::ifstream children("/proc/self/task/" + std::to_string(::getpid()) + "/children");
  for (int pid = 0; children >> pid;) {
    if (!known.contains(pid)) ::kill(pid, SIGKILL);
  }
}

void Jailer::check_deadlines() {
  const std::int64_t now = monotonic_millis();
  for (auto& [sequence, sandbox] : sandboxes_) {
    if (sandbox.started || sandbox.deadline_ms > now || sandbox.bad) continue;
    sandbox.bad = Fault{kWalls, "finish its set-up in time", ETIMEDOUT};
    if (sandbox.pid > 0) {
      ::kill(sandbox.pid, SIGKILL);
    } else if (const auto zygote = zygotes_.find(sandbox.zygote); zygote != zygotes_.end()) {
      stop_zygote(zygote->second);
    }
  }
  for (auto& [name, zygote] : zygotes_) {
    if (zygote.ready || zygote.pid < 0 || zygote.deadline_ms > now || zygote.bad) continue;
    zygote.bad = Fault{kWalls, "get ready in time", ETIMEDOUT};
    stop_zygote(zygote);
  }
}

int Jailer::wait_millis() const {
  if (cgroups_.leftovers()) return kSweepMillis;
  const bool starting =
      std::any_of(sandboxes_.begin(), sandboxes_.end(), [](const auto& each) { return !each.second.started; }) ||
      std::any_of(zygotes_.begin(), zygotes_.end(), [](const auto& each) { return each.second.pid > 0 && !each.second.ready; });
  return starting ? 1000 : -1;
}

void Jailer::stop_all() {
  for (auto& [name, zygote] : zygotes_) stop_zygote(zygote);
  for (auto& [sequence, sandbox] : sandboxes_) {
    if (sandbox.pid > 0) ::kill(sandbox.pid, SIGKILL);
    cgroups_.kill(sandbox.group);
  }
  // Whoever is left is a child of ours by now or will be.
  for (;;) {
    std::ifstream children("/proc/self/task/" + std::to_string(::getpid()) + "/children");
    for (int pid = 0; children >> pid;) ::kill(pid, SIGKILL);
    if (::waitpid(-1, nullptr, 0) < 0 && errno == ECHILD) break;
  }
  for (auto& [name, zygote] : zygotes_) cgroups_.remove(zygote.group);
  for (auto& [sequence, sandbox] : sandboxes_) cgroups_.remove(sandbox.group);
}

void Jailer::failed(std::uint64_t sequence, const std::string& code, const std::string& message, bool safe) {
  send(encode(FailedMessage{.sequence = sequence, .code = code, .message = message, .safe = safe}));
}

void Jailer::failed(std::uint64_t sequence, const Fault& fault, const std::string& hint) {
  const bool safe = short_of_something(fault.error);
  failed(sequence, safe ? "sandbox.resources" : "sandbox.exec",
         "the sandbox cannot " + fault.step + ": " + error_text(fault.error) + remedy(fault) + hint, safe);
}

void Jailer::send(const std::string& packet, const std::vector<int>& fds) {
  if (!send_packet(control_, packet, fds)) gone_ = true;
}

}  // namespace mayfly::jail
