#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "jailer.h"
#include "sandbox/jail/confine.h"
#include "sandbox/jail/enter.h"

namespace mayfly::jail {
namespace {

constexpr Walls kNamespaces =
    bit(Wall::User) | bit(Wall::Mount) | bit(Wall::Pid) | bit(Wall::Net) | bit(Wall::Ipc) | bit(Wall::Uts) | bit(Wall::Cgroup);
constexpr Walls kCgroups = bit(Wall::CgroupMemory) | bit(Wall::CgroupCpu) | bit(Wall::CgroupPids);

}  // namespace

bool Jailer::try_flag(unsigned long flags) {
  struct {
    std::uint64_t flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls, set_tid, set_tid_size, cgroup;
  } arguments{};
  arguments.flags = flags;
  arguments.exit_signal = SIGCHLD;
  const long pid = ::syscall(SYS_clone3, &arguments, sizeof arguments);
  if (pid == 0) exit_now(0);
  if (pid < 0) return false;
  ::waitpid(static_cast<pid_t>(pid), nullptr, 0);
  return true;
}

/// A whole launch of nothing.
MaybeFault Jailer::try_walls(Walls walls) {
  Sandbox sandbox;
  sandbox.walls = walls;
  Plan& plan = sandbox.plan;
  plan = Plan{.role = Plan::Role::Probe,
              .walls = walls,
              .from_root = root_user_,
              .argv = {""},
              .hostname = "probe",
              .processes_max = 16,
              .open_files_max = 64,
              .file_bytes_max = 1 << 20,
              .tmp_bytes_max = 1 << 20};
  std::vector<Fd> mounts;
  if (has(walls, Wall::Mount) && !system_root_.add_to(plan, mounts)) return fault(Wall::Mount, "copy the system's folders");
  Fd mine, theirs;
  if (!make_channel(mine, theirs)) return fault("make a socket");
  sandbox.sync = std::move(mine);
  Fd output(::dup(2));
  if (!start_native(sandbox, mounts, std::move(theirs), std::move(output))) {
    if (sandbox.pid > 0) ::waitpid(sandbox.pid, nullptr, 0);
    return sandbox.bad ? sandbox.bad : fault("start a process");
  }
  Packet packet;
  MaybeFault bad = Fault{kWalls, "start a process", ECHILD};
  while (receive_packet(sandbox.sync.get(), packet) == Received::Packet) {
    Reader in(packet.data);
    const auto report = static_cast<Report>(in.number());
    if (report == Report::Started) {
      bad.reset();
      no_proc_ = in.number() == 0;
    }
    if (report == Report::Fault) bad = Fault{static_cast<unsigned>(in.number()), in.text(), static_cast<int>(in.number())};
  }
  ::waitpid(sandbox.pid, nullptr, 0);
  return bad;
}

void Jailer::probe() {
  Walls walls = kAllWalls & ~kCgroups;
  if (root_fault_) {
    walls &= ~bit(Wall::Mount);
    refusals_[static_cast<unsigned>(Wall::Mount)] = "cannot " + root_fault_->step + ": " + error_text(root_fault_->error);
  }
  if (landlock_abi() < 1) {
    walls &= ~bit(Wall::Landlock);
    refusals_[static_cast<unsigned>(Wall::Landlock)] = "this kernel has no Landlock: boot it with lsm=landlock,… (Linux 5.13 or later)";
  }
  if (!try_flag(CLONE_NEWUSER)) {
    walls &= ~bit(Wall::User);
    refusals_[static_cast<unsigned>(Wall::User)] = "cannot make a user namespace: " + error_text(errno);
  }
  const unsigned long user = has(walls, Wall::User) ? CLONE_NEWUSER : 0;
  for (unsigned i = 1; i < static_cast<unsigned>(Wall::Seccomp); ++i) {
    const Wall wall = static_cast<Wall>(i);
    const unsigned long flag = wall == Wall::Cgroup ? CLONE_NEWCGROUP : clone_flags(bit(wall));
    if (!has(walls, wall) || try_flag(user | flag)) continue;
    walls &= ~bit(wall);
    refusals_[i] = "cannot make such a namespace: " + error_text(errno);
  }
  for (unsigned round = 0; round <= kWalls; ++round) {
    const MaybeFault bad = try_walls(walls);
    if (!bad) {
      available_ = walls | cgroups_.available();
      return;
    }
    const std::string why = "cannot " + bad->step + ": " + error_text(bad->error);
    // A step of no wall fails with namespaces only, if at all.
    const Walls blamed = bad->wall < kWalls ? bit(static_cast<Wall>(bad->wall)) : walls & kNamespaces;
    for (unsigned i = 0; i < kWalls; ++i) {
      if (has(blamed & walls, static_cast<Wall>(i))) refusals_[i] = why;
    }
    walls &= ~blamed;
  }
  available_ = cgroups_.available();
}

std::string Jailer::detail_of(Wall wall) const {
  if (const auto refused = refusals_.find(static_cast<unsigned>(wall)); refused != refusals_.end()) return refused->second;
  switch (wall) {
    case Wall::User:
      return root_user_ ? "root's sandboxes run as user " + std::to_string(kHostId)
                        : "sandboxes run as user " + std::to_string(::geteuid());
    case Wall::Mount:
      return no_proc_ ? "tried; there is no /proc inside, because this container hides parts of its own (Docker: systempaths=unconfined)"
                      : "tried";
    case Wall::Landlock: return "version " + std::to_string(landlock_abi());
    case Wall::CgroupMemory:
    case Wall::CgroupCpu:
    case Wall::CgroupPids: return cgroups_.detail(wall);
    default: return "tried";
  }
}

}  // namespace mayfly::jail
