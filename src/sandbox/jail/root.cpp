#include "sandbox/jail/root.h"

#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>

namespace mayfly::jail {
namespace {

constexpr std::uint64_t kRootBytesMax = 1 << 20;  // holds folders and links only
constexpr std::uint64_t kShmBytesMax = 64ULL << 20;

/// Without a process namespace of its own a new one would show the host's processes; then there is none.
Fd new_proc() {
  const Fd context(::fsopen("proc", FSOPEN_CLOEXEC));
  if (!context.valid()) return Fd();
  ::fsconfig(context.get(), FSCONFIG_SET_STRING, "hidepid", "2", 0);
  if (::fsconfig(context.get(), FSCONFIG_CMD_CREATE, nullptr, nullptr, 0) != 0) return Fd();
  return Fd(::fsmount(context.get(), FSMOUNT_CLOEXEC, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC));
}

bool mount_tmpfs(const char* path, std::uint64_t bytes_max) {
  const Fd mount = new_tmpfs(bytes_max, "1777");
  return mount.valid() && attach(mount.get(), path);
}

bool make_target(const std::string& path, int mount) {
  struct stat status{};
  if (::fstat(mount, &status) != 0) return false;
  if (S_ISDIR(status.st_mode)) return make_folders(path);
  const std::size_t slash = path.rfind('/');
  std::string folder = path.substr(0, slash);
  const bool made = folder.empty() || make_folders(folder);
  wipe(folder);
  if (!made) return false;
  const Fd file(::open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644));
  return file.valid() || ::access(path.c_str(), F_OK) == 0;
}

/// From here on "/" is the new, empty root.
MaybeFault enter_empty_root() {
  if (::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) return fault(Wall::Mount, "make its mounts private");
  const Fd root = new_tmpfs(kRootBytesMax, "755");
  // Mounted over the old root, where no path leads to it: the descriptor does.
  if (!root.valid() || !attach(root.get(), "/") || ::fchdir(root.get()) != 0) return fault(Wall::Mount, "mount its root");
  return {};
}

MaybeFault swap_root() {
  if (::syscall(SYS_pivot_root, ".", ".") != 0) return fault(Wall::Mount, "change its root");
  if (::umount2(".", MNT_DETACH) != 0) return fault(Wall::Mount, "leave the old root");
  if (::chdir("/") != 0) return fault(Wall::Mount, "enter its root");
  return {};
}

MaybeFault attach_all(const Plan& plan, const std::vector<int>& mounts, std::size_t begin, std::size_t end) {
  for (std::size_t i = begin; i < end; ++i) {
    const std::string& target = plan.mounts[i].target;
    if (!make_target(target, mounts[i])) return fault("make the mount point " + target);
    if (!attach(mounts[i], target.c_str())) return fault("mount " + target);
  }
  return {};
}

}  // namespace

Fd new_tmpfs(std::uint64_t bytes_max, const char* mode) {
  const Fd context(::fsopen("tmpfs", FSOPEN_CLOEXEC));
  if (!context.valid()) return Fd();
  const std::string size = std::to_string(bytes_max);
  const std::string inodes = std::to_string(std::clamp<std::uint64_t>(bytes_max / 4096, 1024, 1 << 20));
  if (::fsconfig(context.get(), FSCONFIG_SET_STRING, "size", size.c_str(), 0) != 0 ||
      ::fsconfig(context.get(), FSCONFIG_SET_STRING, "nr_inodes", inodes.c_str(), 0) != 0 ||
      ::fsconfig(context.get(), FSCONFIG_SET_STRING, "mode", mode, 0) != 0 ||
      ::fsconfig(context.get(), FSCONFIG_CMD_CREATE, nullptr, nullptr, 0) != 0) {
    return Fd();
  }
  return Fd(::fsmount(context.get(), FSMOUNT_CLOEXEC, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV));
}

bool attach(int mount, const char* path) { return ::move_mount(mount, "", AT_FDCWD, path, MOVE_MOUNT_F_EMPTY_PATH) == 0; }

bool make_folders(const std::string& path) {
  std::string part;
  bool made = true;
  part.reserve(path.size());
  for (std::size_t at = 0; at <= path.size() && made; ++at) {
    // EROFS and EACCES too come for a folder that exists in something mounted read-only.
    if (at > 0 && (at == path.size() || path[at] == '/')) made = ::mkdir(part.c_str(), 0755) == 0 || ::access(part.c_str(), F_OK) == 0;
    if (at < path.size()) part += path[at];
  }
  wipe(part);  // in borrowed memory it would be found by later copies
  return made;
}

MaybeFault make_root(const Plan& plan, const std::vector<int>& mounts, bool& has_proc) {
  if (mounts.size() != plan.mounts.size() || plan.system_mounts > mounts.size()) {
    errno = EPROTO;
    return fault("find its mounts");
  }
  const bool zygote = plan.role == Plan::Role::Zygote;
  if (auto bad = enter_empty_root()) return bad;
  // Before the old root goes: the kernel grants a new /proc only to who can see a whole one.
  Fd proc;
  if (has(plan.walls, Wall::Pid) && !zygote) proc = new_proc();
  has_proc = proc.valid() || zygote;
  if (auto bad = swap_root()) return bad;
  for (const auto& [name, target] : plan.links) {
    if (::symlink(target.c_str(), ("/" + name).c_str()) != 0) return fault(Wall::Mount, "make the link /" + name);
  }
  if (auto bad = attach_all(plan, mounts, 0, plan.system_mounts)) return bad;
  if (!make_folders("/proc") || !make_folders("/tmp")) return fault(Wall::Mount, "make its folders");
  if (proc.valid() && !attach(proc.get(), "/proc")) return fault(Wall::Mount, "mount /proc");
  if (!zygote && (!mount_tmpfs("/tmp", plan.tmp_bytes_max) || !mount_tmpfs("/dev/shm", std::min(plan.tmp_bytes_max, kShmBytesMax)))) {
    return fault(Wall::Mount, "mount /tmp");
  }
  if (auto bad = attach_all(plan, mounts, plan.system_mounts, mounts.size())) return bad;
  struct mount_attr attributes{};
  attributes.attr_set = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV;
  if (::mount_setattr(AT_FDCWD, "/", 0, &attributes, sizeof attributes) != 0) return fault(Wall::Mount, "make its root read-only");
  return {};
}

}  // namespace mayfly::jail
