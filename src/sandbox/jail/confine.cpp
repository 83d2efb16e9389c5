#include "sandbox/jail/confine.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <linux/landlock.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <initializer_list>

#include "sandbox/jail/seccomp.h"
#include "sandbox/jail/wire.h"

namespace mayfly::jail {
namespace {

// From linux/landlock.h of newer kernels than the oldest whose headers must do.
constexpr std::uint64_t kFsTruncate = 1ULL << 14;                                  // version 3
constexpr std::uint64_t kFsIoctlDev = 1ULL << 15;                                  // version 5
constexpr std::uint64_t kScopeAbstractUnix = 1ULL << 0, kScopeSignal = 1ULL << 1;  // version 6

struct RulesetAttr {
  std::uint64_t fs = 0, net = 0, scoped = 0;
};

constexpr std::uint64_t kRead = LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR;
constexpr std::uint64_t kOfFiles =
    LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE | kFsTruncate | kFsIoctlDev;

std::uint64_t handled(int abi) {
  std::uint64_t all = (1ULL << 13) - 1;
  if (abi >= 2) all |= LANDLOCK_ACCESS_FS_REFER;
  if (abi >= 3) all |= kFsTruncate;
  if (abi >= 5) all |= kFsIoctlDev;
  return all;
}

/// A path that is not there needs no rule.
bool allow(int ruleset, const std::string& path, std::uint64_t access) {
  const Fd fd(::open(path.c_str(), O_PATH | O_CLOEXEC));
  if (!fd.valid()) return true;
  struct stat status{};
  if (::fstat(fd.get(), &status) != 0) return false;
  if (!S_ISDIR(status.st_mode)) access &= kOfFiles;
  const landlock_path_beneath_attr rule{.allowed_access = access, .parent_fd = fd.get()};
  return ::syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0) == 0;
}

bool add_rules(int ruleset, const Plan& plan, std::uint64_t all) {
  const std::uint64_t write = all & ~(LANDLOCK_ACCESS_FS_MAKE_CHAR | LANDLOCK_ACCESS_FS_MAKE_BLOCK | kFsIoctlDev);
  const std::uint64_t device = (kRead | LANDLOCK_ACCESS_FS_WRITE_FILE | kFsTruncate | kFsIoctlDev) & all;
  bool ok = allow(ruleset, "/dev", device) && allow(ruleset, "/tmp", write) && allow(ruleset, "/dev/shm", write);
  if (has(plan.walls, Wall::Mount)) {
    ok = ok && allow(ruleset, "/", kRead);
  } else {
    // The host's files are in sight: the same few folders as a root of its own would have.
    for (const char* path : {"/usr", "/lib", "/lib32", "/lib64", "/bin", "/sbin", "/etc", "/proc"}) ok = ok && allow(ruleset, path, kRead);
  }
  for (const Plan::Mount& mount : plan.mounts) ok = ok && allow(ruleset, mount.target, mount.writable ? write : kRead);
  return ok;
}

MaybeFault landlock(const Plan& plan) {
  const int abi = landlock_abi();
  if (abi < 1) return fault(Wall::Landlock, "use Landlock");
  RulesetAttr attr;
  // A process with file rules may not mount, and a zygote's children must.
  if (plan.role != Plan::Role::Zygote) attr.fs = handled(abi);
  if (abi >= 6) attr.scoped = kScopeAbstractUnix | kScopeSignal;
  if (attr.fs == 0 && attr.scoped == 0) return {};
  const std::size_t size = abi >= 6 ? 24 : abi >= 4 ? 16 : 8;
  const Fd ruleset(static_cast<int>(::syscall(SYS_landlock_create_ruleset, &attr, size, 0)));
  if (!ruleset.valid()) return fault(Wall::Landlock, "make Landlock rules");
  if (attr.fs != 0 && !add_rules(ruleset.get(), plan, attr.fs)) return fault(Wall::Landlock, "add a Landlock rule");
  if (::syscall(SYS_landlock_restrict_self, ruleset.get(), 0) != 0) return fault(Wall::Landlock, "enter Landlock");
  return {};
}

/// What bounds later gains goes first: it takes a capability itself.
MaybeFault drop_bounds() {
  for (int capability = 0; capability <= 63; ++capability) {
    if (::prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) != 0) {
      if (errno == EINVAL) break;  // beyond the kernel's last
      return fault(Wall::Capabilities, "drop the bounding set");
    }
  }
  if (::prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) != 0) return fault(Wall::Capabilities, "drop ambient capabilities");
  return {};
}

MaybeFault drop_capabilities() {
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct none[2] = {};
  if (::syscall(SYS_capset, &header, none) != 0) return fault(Wall::Capabilities, "drop capabilities");
  return {};
}

bool set_limit(int resource, std::uint64_t value) {
  rlimit now{};
  if (::syscall(SYS_prlimit64, 0, resource, nullptr, &now) != 0) return false;
  const rlim_t most = std::min<rlim_t>(value, now.rlim_max);
  const rlimit next{most, most};
  return ::syscall(SYS_prlimit64, 0, resource, &next, nullptr) == 0;
}

}  // namespace

int landlock_abi() {
  const long abi = ::syscall(SYS_landlock_create_ruleset, nullptr, 0, LANDLOCK_CREATE_RULESET_VERSION);
  return abi < 0 ? 0 : static_cast<int>(abi);
}

MaybeFault confine(const Plan& plan) {
  if (has(plan.walls, Wall::NoNewPrivileges) && ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) {
    return fault(Wall::NoNewPrivileges, "forbid new privileges");
  }
  if (has(plan.walls, Wall::Landlock)) {
    if (auto bad = landlock(plan)) return bad;
  }
  if (has(plan.walls, Wall::Capabilities)) {
    if (auto bad = drop_bounds()) return bad;
  }
  if (has(plan.walls, Wall::Seccomp)) {
    const Filter kind = plan.role == Plan::Role::Zygote ? Filter::Zygote : Filter::Program;
    if (!install_filter(make_filter(kind))) return fault(Wall::Seccomp, "install the system call filter");
  }
  if (has(plan.walls, Wall::Capabilities)) return drop_capabilities();
  return {};
}

MaybeFault limit(const Plan& plan) {
  if (!has(plan.walls, Wall::Rlimits)) return {};
  const struct {
    int resource;
    std::uint64_t value;
    bool wanted;
  } limits[] = {
      {RLIMIT_CORE, 0, true},
      {RLIMIT_MSGQUEUE, 0, true},
      {RLIMIT_NICE, 0, true},
      {RLIMIT_RTPRIO, 0, true},
      {RLIMIT_MEMLOCK, 64 * 1024, true},
      // POSIX timers count. What a zygote may is the sum of what its forks may.
      {RLIMIT_SIGPENDING, 512, plan.role != Plan::Role::Zygote},
      {RLIMIT_NOFILE, plan.open_files_max, plan.open_files_max > 0},
      {RLIMIT_FSIZE, plan.file_bytes_max, plan.file_bytes_max > 0},
      // Counted for each user in each user namespace; without one it would count all sandboxes together.
      {RLIMIT_NPROC, plan.processes_max, plan.processes_max > 0 && has(plan.walls, Wall::User)},
      {RLIMIT_AS, plan.memory_bytes_max, plan.memory_bytes_max > 0},
  };
  for (const auto& [resource, value, wanted] : limits) {
    if (wanted && !set_limit(resource, value)) return fault(Wall::Rlimits, "set limits");
  }
  return {};
}

}  // namespace mayfly::jail
