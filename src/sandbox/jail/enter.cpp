#include "sandbox/jail/enter.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstring>

#include "sandbox/jail/address.h"
#include "sandbox/jail/first.h"
#include "sandbox/jail/root.h"

namespace mayfly::jail {
namespace {

bool write_file(const char* path, const std::string& text) {
  const Fd fd(::open(path, O_WRONLY | O_CLOEXEC));
  return fd.valid() && ::write(fd.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size());
}

/// Waits for one word of the jailer.
void await(int sync, char word) {
  char got = 0;
  ssize_t count = 0;
  do count = ::recv(sync, &got, 1, 0);
  while (count < 0 && errno == EINTR);
  if (count != 1 || got != word) exit_now(120);
}

/// A fork of a zygote is the only one who may write its own: the jailer is not in the parent's namespace.
MaybeFault map_own_ids() {
  const std::string same = std::to_string(kInnerId) + " " + std::to_string(kInnerId) + " 1\n";
  if (!write_file("/proc/self/setgroups", "deny") || !write_file("/proc/self/uid_map", same) || !write_file("/proc/self/gid_map", same)) {
    return fault(Wall::User, "map its user");
  }
  return {};
}

/// Keeps capabilities: the rest of the set-up needs them.
MaybeFault become(unsigned id) {
  if (::prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) != 0) return fault("keep capabilities");
  // The system calls, not the library: it would tell other threads, and in borrowed memory these are a zygote's.
  if (::syscall(SYS_setresgid, id, id, id) != 0 || ::syscall(SYS_setresuid, id, id, id) != 0)
    return fault(Wall::User, "become an ordinary user");
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct data[2] = {};
  if (::syscall(SYS_capget, &header, data) != 0) return fault("read capabilities");
  for (auto& word : data) word.effective = word.permitted;
  if (::syscall(SYS_capset, &header, data) != 0) return fault("keep capabilities");
  // A change of user clears it.
  if (::prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) != 0) return fault("tie it to the jailer");
  return {};
}

MaybeFault raise_loopback() {
  const Fd socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  ifreq request{};
  std::strcpy(request.ifr_name, "lo");
  request.ifr_flags = IFF_UP | IFF_RUNNING;
  if (!socket.valid() || ::ioctl(socket.get(), SIOCSIFFLAGS, &request) != 0) return fault(Wall::Net, "raise the loopback device");
  return {};
}

/// The jailer writes where only it can (cgroup v2).
MaybeFault move_to_groups(const std::vector<int>& groups) {
  for (const int tasks : groups) {
    if (::write(tasks, "0", 1) != 1) return fault("put it in its cgroup");
  }
  return {};
}

/// What a user namespace uses up is charged to its maker, too, and so to the host's services. Not to be had where /proc/sys is read-only.
void bound_namespace() {
  write_file("/proc/sys/user/max_inotify_instances", "16");
  write_file("/proc/sys/user/max_inotify_watches", "16384");
}

/// Handed over at once: the program's small limit of descriptors also bounds how many its user may have under way between sockets.
MaybeFault make_listeners(const Entry& entry) {
  std::vector<Fd> listeners;
  std::vector<int> numbers;
  std::vector<std::string> addresses;
  for (const std::string& text : entry.plan.listen) {
    auto address = parse_address(text);
    if (!address) {
      errno = EINVAL;
      return fault("understand the address " + text);
    }
    if (entry.plan.any_port) address->set_port(0);
    Fd socket(::socket(address->family(), SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    const int on = 1;
    if (!socket.valid() || ::setsockopt(socket.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0 ||
        ::bind(socket.get(), address->get(), address->length) != 0 || ::listen(socket.get(), 128) != 0 ||
        !address->read_name(socket.get())) {
      return fault("listen on " + text);
    }
    addresses.push_back(address->text());
    numbers.push_back(socket.get());
    listeners.push_back(std::move(socket));
  }
  if (listeners.empty()) return {};
  Writer out;
  out.number(static_cast<std::uint64_t>(Report::Listening));
  out.texts(addresses);
  if (!send_packet(entry.sync, out.bytes(), numbers)) return fault("hand over its listeners");
  return {};
}

}  // namespace

unsigned long clone_flags(Walls walls) {
  unsigned long flags = 0;
  if (has(walls, Wall::User)) flags |= CLONE_NEWUSER;
  if (has(walls, Wall::Mount)) flags |= CLONE_NEWNS;
  if (has(walls, Wall::Pid)) flags |= CLONE_NEWPID;
  if (has(walls, Wall::Net)) flags |= CLONE_NEWNET;
  if (has(walls, Wall::Ipc)) flags |= CLONE_NEWIPC;
  if (has(walls, Wall::Uts)) flags |= CLONE_NEWUTS;
  return flags;  // the cgroup namespace comes later: its root is where the process then is
}

MaybeFault enter(Entry& entry) {
  const Plan& plan = entry.plan;
  if (::prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) != 0) return fault("tie it to the jailer");
  if (plan.role == Plan::Role::Fork) {
    if (has(plan.walls, Wall::User)) {
      if (auto bad = map_own_ids()) return bad;
    }
  } else {
    await(entry.sync, kGoMapped);  // also proves that the jailer lived when the tie was made
    close_memory();                // a copy of the jailer's; not before: the jailer could not have mapped its ids
    if (has(plan.walls, Wall::User) || plan.from_root) {
      if (auto bad = become(has(plan.walls, Wall::User) ? kInnerId : kHostId)) return bad;
    }
  }
  if (auto bad = move_to_groups(entry.groups)) return bad;
  // A zygote's limits would be the sum of all its forks'.
  if (has(plan.walls, Wall::User) && plan.role != Plan::Role::Zygote) bound_namespace();
  if (has(plan.walls, Wall::Net)) {
    if (auto bad = raise_loopback()) return bad;
  }
  if (auto bad = make_listeners(entry)) return bad;
  if (has(plan.walls, Wall::Uts) && ::sethostname(plan.hostname.data(), plan.hostname.size()) != 0) {
    return fault(Wall::Uts, "set the host name");
  }
  if (has(plan.walls, Wall::Mount)) {
    if (auto bad = make_root(plan, entry.mounts, entry.has_proc)) return bad;
  }
  await(entry.sync, kGoPlaced);
  if (has(plan.walls, Wall::Cgroup) && ::unshare(CLONE_NEWCGROUP) != 0) return fault(Wall::Cgroup, "make a cgroup namespace");
  return {};
}

bool report_fault(int sync, const Fault& fault) {
  Writer out;
  out.number(static_cast<std::uint64_t>(Report::Fault));
  out.number(fault.wall);
  out.text(fault.step);
  out.number(static_cast<std::uint64_t>(fault.error));
  return send_packet(sync, out.bytes());
}

bool report_started(const Entry& entry) {
  Writer out;
  out.number(static_cast<std::uint64_t>(Report::Started));
  out.number(entry.has_proc ? 1 : 0);
  return send_packet(entry.sync, out.bytes());
}

void exit_now(int code) {
  for (;;) ::syscall(SYS_exit_group, code);
}

}  // namespace mayfly::jail
