#include <fcntl.h>
#include <linux/securebits.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>

#include "jailer.h"
#include "sandbox/jail/enter.h"

namespace mayfly::jail {
namespace {

constexpr std::int64_t kSetUpMillisMax = 20'000;

bool write_file(const std::string& path, const std::string& text) {
  const Fd fd(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
  return fd.valid() && ::write(fd.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size());
}

/// What takes privileges, which a zygote has only in a new user namespace.
constexpr Walls kOfUserNamespace = bit(Wall::Mount) | bit(Wall::Pid) | bit(Wall::Net) | bit(Wall::Ipc) | bit(Wall::Uts) | bit(Wall::Cgroup);

std::vector<int> numbers(const std::vector<Fd>& fds) {
  std::vector<int> out;
  for (const Fd& fd : fds) out.push_back(fd.get());
  return out;
}

}  // namespace

void Jailer::launch(LaunchMessage message) {
  if (sandboxes_.contains(message.sequence)) return;
  if (message.zygote.empty()) return begin(std::move(message));
  const auto zygote = zygotes_.find(message.zygote);
  if (zygote == zygotes_.end()) {
    return failed(message.sequence, "sandbox.no_zygote", "there is no zygote \"" + message.zygote + "\": add it first");
  }
  zygote->second.waiting.push_back(std::move(message));
  if (zygote->second.pid < 0) start_zygote(zygote->second);
  next_fork(zygote->second);
}

bool Jailer::add_mounts(std::uint64_t sequence, const std::vector<LaunchMessage::Mount>& wanted, Plan& plan, std::vector<Fd>& mounts) {
  for (const LaunchMessage::Mount& mount : wanted) {
    plan.mounts.push_back({.target = mount.target, .writable = mount.writable});
    if (has(plan.walls, Wall::Mount)) {
      mounts.push_back(SystemRoot::clone(mount.source, mount.writable));
      if (mounts.back().valid()) continue;
      failed(sequence, "sandbox.exec", "cannot mount " + mount.source + ": " + error_text(errno));
      return false;
    }
    if (mount.source == mount.target) continue;
    failed(sequence, "sandbox.layer_missing",
           "showing " + mount.source + " as " + mount.target + " takes the layer mount_namespace, which is left out or not to be had here");
    return false;
  }
  return true;
}

bool Jailer::make_plan(const LaunchMessage& message, Sandbox& sandbox, std::vector<Fd>& mounts) {
  Walls walls = available_ & ~message.without;
  if (message.host_network) walls &= ~bit(Wall::Net);
  if (!message.zygote.empty() && !has(walls, Wall::User)) walls &= ~kOfUserNamespace;
  if (const Walls missing = message.required & ~walls; missing != 0) {
    failed(message.sequence, "sandbox.layer_missing",
           "this machine or this configuration does not give the required layer " + wall_names(missing) + ": see the layers' details");
    return false;
  }
  sandbox.walls = walls;
  sandbox.plan = Plan{.role = message.zygote.empty() ? Plan::Role::Program : Plan::Role::Fork,
                      .walls = walls,
                      .from_root = root_user_,
                      .argv = message.argv,
                      .environment = message.environment,
                      .directory = message.directory,
                      .hostname = message.hostname,
                      .listen = message.listen,
                      .any_port = !has(walls, Wall::Net),
                      .memory_bytes_max = has(walls, Wall::CgroupMemory) ? 0 : message.memory_bytes_max,
                      .processes_max = message.processes_max,
                      .open_files_max = message.open_files_max,
                      .file_bytes_max = message.file_bytes_max,
                      .tmp_bytes_max = message.tmp_bytes_max};
  if (has(walls, Wall::Mount) && !system_root_.add_to(sandbox.plan, mounts)) {
    failed(message.sequence, *fault("copy the system's folders"));
    return false;
  }
  return add_mounts(message.sequence, message.mounts, sandbox.plan, mounts);
}

void Jailer::begin(LaunchMessage message) {
  Sandbox sandbox;
  sandbox.sequence = message.sequence;
  sandbox.id = message.id;
  sandbox.zygote = message.zygote;
  std::vector<Fd> mounts;
  if (!make_plan(message, sandbox, mounts)) return;
  const GroupLimits limits{message.memory_bytes_max, message.cpu_milli_max, message.processes_max};
  auto group = cgroups_.create(message.id, limits, sandbox.walls);
  if (!group) return failed(message.sequence, *fault("make its cgroup"));
  sandbox.group = std::move(*group);
  int pipe[2] = {};
  Fd theirs;
  if (::pipe2(pipe, O_CLOEXEC) != 0 || !make_channel(sandbox.sync, theirs)) {
    failed(message.sequence, *fault("make its channels"));
    return cgroups_.remove(sandbox.group);
  }
  sandbox.output = Fd(pipe[0]);
  Fd output(pipe[1]);
  ::fcntl(sandbox.output.get(), F_SETFL, O_NONBLOCK);
  ::fcntl(sandbox.sync.get(), F_SETFL, O_NONBLOCK);
  sandbox.deadline_ms = monotonic_millis() + kSetUpMillisMax;
  loose_ = loose_ || !has(sandbox.walls, Wall::Pid);
  const bool fork = !sandbox.zygote.empty();
  if (fork) {
    Writer environment;
    environment.texts(sandbox.plan.environment);
    sandbox.environment = environment.bytes();
    for (std::string& variable : sandbox.plan.environment) wipe(variable);
    sandbox.plan.environment.clear();
    sandbox.again = std::move(message);
  }
  const bool ok = fork ? start_fork(sandbox, mounts, std::move(theirs), std::move(output))
                       : start_native(sandbox, mounts, std::move(theirs), std::move(output));
  if (!ok && sandbox.pid < 0) {
    cgroups_.remove(sandbox.group);
    if (fork) {
      sandbox.bad.reset();  // the socket's other end is gone
      if (fork_again(sandbox)) return;
    }
    failed(sandbox.sequence, sandbox.bad ? *sandbox.bad : *fault("start its process"));
    return;
  }
  if (fork) zygotes_.at(sandbox.zygote).forking = sandbox.sequence;
  wipe(sandbox.plan);
  const std::uint64_t sequence = sandbox.sequence;
  sandboxes_.emplace(sequence, std::move(sandbox));
}

int Jailer::clone_process(Walls walls, Fd& pidfd) {
  struct {
    std::uint64_t flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls, set_tid, set_tid_size, cgroup;
  } arguments{};
  int raw_pidfd = -1;
  arguments.flags = clone_flags(walls) | CLONE_PIDFD;
  arguments.pidfd = reinterpret_cast<std::uint64_t>(&raw_pidfd);
  arguments.exit_signal = SIGCHLD;
  // What a user namespace uses up (watches, pending signals, further namespaces) is charged to its maker: not to root and its services.
  const bool lent = root_user_ && has(walls, Wall::User) && lend_user(kHostId);
  const long pid = ::syscall(SYS_clone3, &arguments, sizeof arguments);
  if (pid != 0 && lent) lend_user(0);
  if (pid > 0) pidfd = Fd(raw_pidfd);
  return static_cast<int>(pid);
}

/// Root acts as `id`, with all its capabilities.
bool Jailer::lend_user(unsigned id) {
  const int error = errno;
  ::prctl(PR_SET_SECUREBITS, SECBIT_NO_SETUID_FIXUP, 0, 0, 0);
  const bool done = ::syscall(SYS_setresuid, -1, id, -1) == 0;
  if (id == 0 || !done) {
    ::prctl(PR_SET_SECUREBITS, 0, 0, 0, 0);
    ::prctl(PR_SET_PDEATHSIG, SIGTERM, 0, 0, 0);  // a change of user clears it
  }
  errno = error;
  return done;
}

bool Jailer::map_ids(int pid) {
  const std::string folder = "/proc/" + std::to_string(pid);
  const auto line = [](unsigned outer) { return std::to_string(kInnerId) + " " + std::to_string(outer) + " 1\n"; };
  return write_file(folder + "/setgroups", "deny") && write_file(folder + "/uid_map", line(root_user_ ? kHostId : ::geteuid())) &&
         write_file(folder + "/gid_map", line(root_user_ ? kHostId : ::getegid()));
}

bool Jailer::place(Sandbox& sandbox) {
  if (cgroups_.place(sandbox.group, sandbox.pid) && send_packet(sandbox.sync.get(), std::string_view(&kGoPlaced, 1))) return true;
  if (!sandbox.bad) sandbox.bad = fault("put it in its cgroup");
  ::kill(sandbox.pid, SIGKILL);
  return false;
}

bool Jailer::start_native(Sandbox& sandbox, const std::vector<Fd>& mounts, Fd sync, Fd output) {
  std::vector<Fd> groups;
  if (!cgroups_.open_tasks(sandbox.group, groups)) {
    sandbox.bad = fault("open its cgroup");
    return false;
  }
  const FirstFds fds{.sync = sync.get(), .output = output.get(), .jailer = -1, .mounts = numbers(mounts), .groups = numbers(groups)};
  sandbox.pid = clone_process(sandbox.walls, sandbox.pidfd);
  if (sandbox.pid == 0) {
    // Not even a copy of the way to Mayfly.
    ::close(control_);
    first_process(sandbox.plan, fds);
  }
  if (sandbox.pid < 0) {
    sandbox.bad = fault("make its namespaces");
    return false;
  }
  if (has(sandbox.walls, Wall::User) && !map_ids(sandbox.pid)) {
    sandbox.bad = fault(Wall::User, "map its user");
    ::kill(sandbox.pid, SIGKILL);
    return false;
  }
  return send_packet(sandbox.sync.get(), std::string_view(&kGoMapped, 1)) && place(sandbox);
}

bool Jailer::start_fork(Sandbox& sandbox, const std::vector<Fd>& mounts, Fd sync, Fd output) {
  std::vector<Fd> groups;
  if (!cgroups_.open_tasks(sandbox.group, groups)) {
    sandbox.bad = fault("open its cgroup");
    return false;
  }
  sandbox.plan.groups = groups.size();
  std::vector<int> fds{sync.get(), output.get(), self_.get()};
  for (const Fd& tasks : groups) fds.push_back(tasks.get());
  for (const Fd& mount : mounts) fds.push_back(mount.get());
  if (send_packet(zygotes_.at(sandbox.zygote).control.get(), encode(sandbox.plan), fds)) return true;
  sandbox.bad = fault("ask the zygote");
  return false;
}

bool Jailer::send_environment(Sandbox& sandbox) {
  const bool sent = send_packet(sandbox.sync.get(), sandbox.environment);
  if (!sent && !sandbox.bad) sandbox.bad = fault("give it its environment");
  wipe(sandbox.environment);
  return sent;
}

}  // namespace mayfly::jail
