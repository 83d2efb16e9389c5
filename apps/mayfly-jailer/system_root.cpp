#include "system_root.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstring>

#include "sandbox/jail/root.h"

namespace mayfly::jail {
namespace {

constexpr std::uint64_t kReadOnly = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV;

bool write_at(int folder, const char* name, const std::string& text) {
  const Fd fd(::openat(folder, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644));
  return fd.valid() && ::write(fd.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size());
}

bool write_file(const char* path, const std::string& text) {
  const Fd fd(::open(path, O_WRONLY | O_CLOEXEC));
  return fd.valid() && ::write(fd.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size());
}

/// An ordinary user may mount only in a user namespace; there it stays who it is.
MaybeFault own_namespaces() {
  const unsigned uid = ::geteuid(), gid = ::getegid();
  if (uid == 0) {
    if (::unshare(CLONE_NEWNS) != 0) return fault(Wall::Mount, "make a mount namespace for the jailer");
    return {};
  }
  if (::unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0) return fault(Wall::Mount, "make a user and a mount namespace for the jailer");
  const auto same = [](unsigned id) { return std::to_string(id) + " " + std::to_string(id) + " 1\n"; };
  if (!write_file("/proc/self/setgroups", "deny") || !write_file("/proc/self/uid_map", same(uid)) ||
      !write_file("/proc/self/gid_map", same(gid))) {
    return fault(Wall::Mount, "map the jailer's user");
  }
  return {};
}

bool set_attributes(int mount, std::uint64_t set) {
  struct mount_attr attributes{};
  attributes.attr_set = set;
  attributes.propagation = MS_PRIVATE;
  return ::mount_setattr(mount, "", AT_EMPTY_PATH | AT_RECURSIVE, &attributes, sizeof attributes) == 0;
}

Fd detached(int folder, const char* path) { return Fd(::open_tree(folder, path, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE)); }

}  // namespace

Fd SystemRoot::clone(const std::string& path, bool writable) {
  Fd mount = detached(AT_FDCWD, path.c_str());
  if (mount.valid() && !set_attributes(mount.get(), writable ? MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV : kReadOnly)) return Fd();
  return mount;
}

bool SystemRoot::bind(const std::string& source, const std::string& name, std::uint64_t attributes) {
  struct stat status{};
  if (::stat(source.c_str(), &status) != 0) return true;  // not on this machine
  if (S_ISDIR(status.st_mode)) {
    if (::mkdirat(root_.get(), name.c_str(), 0755) != 0 && errno != EEXIST) return false;
  } else if (!write_at(root_.get(), name.c_str(), "")) {
    return false;
  }
  const Fd mount = detached(AT_FDCWD, source.c_str());
  return mount.valid() && set_attributes(mount.get(), attributes) &&
         ::move_mount(mount.get(), "", root_.get(), name.c_str(), MOVE_MOUNT_F_EMPTY_PATH) == 0;
}

MaybeFault SystemRoot::make_etc() {
  if (::mkdirat(root_.get(), "etc", 0755) != 0 || ::mkdirat(root_.get(), "etc/ssl", 0755) != 0) return fault(Wall::Mount, "make /etc");
  const std::string id = std::to_string(kInnerId);
  const std::pair<const char*, std::string> files[] = {
      {"etc/passwd", "root:x:0:0:root:/:/usr/sbin/nologin\nsandbox:x:" + id + ":" + id +
                         ":sandbox:/tmp:/bin/sh\n"
                         "nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n"},
      {"etc/group", "root:x:0:\nsandbox:x:" + id + ":\nnogroup:x:65534:\n"},
      {"etc/hosts", "127.0.0.1 localhost\n::1 localhost ip6-localhost\n"},
      {"etc/nsswitch.conf", "passwd: files\ngroup: files\nhosts: files dns\nservices: files\nprotocols: files\n"},
  };
  for (const auto& [name, text] : files) {
    if (!write_at(root_.get(), name, text)) return fault(Wall::Mount, std::string("write /") + name);
  }
  for (const char* name : {"ld.so.cache", "ld.so.conf", "ld.so.conf.d", "localtime", "timezone", "resolv.conf", "gai.conf", "host.conf",
                           "services", "protocols", "mime.types", "alternatives", "ssl/certs", "ssl/openssl.cnf", "ca-certificates", "pki",
                           "crypto-policies", "python3", "python3.11"}) {
    if (!bind(std::string("/etc/") + name, std::string("etc/") + name, kReadOnly))
      return fault(Wall::Mount, std::string("show /etc/") + name);
  }
  return {};
}

MaybeFault SystemRoot::make_dev() {
  if (::mkdirat(root_.get(), "dev", 0755) != 0 || ::mkdirat(root_.get(), "dev/shm", 01777) != 0) return fault(Wall::Mount, "make /dev");
  for (const char* name : {"null", "zero", "full", "random", "urandom"}) {
    if (!bind(std::string("/dev/") + name, std::string("dev/") + name, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC)) {
      return fault(Wall::Mount, std::string("show /dev/") + name);
    }
  }
  const std::pair<const char*, const char*> links[] = {
      {"/proc/self/fd", "dev/fd"}, {"/proc/self/fd/0", "dev/stdin"}, {"/proc/self/fd/1", "dev/stdout"}, {"/proc/self/fd/2", "dev/stderr"}};
  for (const auto& [target, name] : links) {
    if (::symlinkat(target, root_.get(), name) != 0) return fault(Wall::Mount, "make /dev");
  }
  return {};
}

/// Clones can be made of attached mounts only. Nobody shows these folders to a sandbox, so it hides nothing. (Not over "/": who has a root
/// other than its namespace's may not make user namespaces.)
bool SystemRoot::attach_somewhere() {
  for (const char* folder :
       {"/sys/kernel/debug", "/sys/kernel/security", "/sys/fs/bpf", "/sys/kernel/config", "/boot", "/mnt", "/media", "/srv"}) {
    if (attach(root_.get(), folder)) return true;
  }
  return false;
}

MaybeFault SystemRoot::build() {
  if (auto bad = own_namespaces()) return bad;
  // What is mounted on the host later shall appear here, never the other way round.
  if (::mount(nullptr, "/", nullptr, MS_REC | MS_SLAVE, nullptr) != 0) return fault(Wall::Mount, "separate the jailer's mounts");
  root_ = new_tmpfs(1 << 20, "755");
  if (!root_.valid()) return fault(Wall::Mount, "make a file system in memory");
  const auto failed = [this](MaybeFault bad) {
    root_.reset();
    return bad;
  };
  if (!attach_somewhere()) return failed(fault(Wall::Mount, "mount the system's root"));
  for (const char* name : {"usr", "lib", "lib32", "lib64", "libx32", "bin", "sbin"}) {
    const std::string source = std::string("/") + name;
    char target[256] = {};
    if (::readlink(source.c_str(), target, sizeof target - 1) > 0) {
      links_.emplace_back(name, target);
    } else if (::access(source.c_str(), F_OK) == 0) {
      if (!bind(source, name, kReadOnly)) return failed(fault(Wall::Mount, "show " + source));
      folders_.push_back(name);
    }
  }
  if (auto bad = make_etc()) return failed(bad);
  if (auto bad = make_dev()) return failed(bad);
  folders_.insert(folders_.end(), {"etc", "dev"});
  struct mount_attr attributes{};
  attributes.attr_set = kReadOnly;
  if (::mount_setattr(root_.get(), "", AT_EMPTY_PATH, &attributes, sizeof attributes) != 0) {
    return failed(fault(Wall::Mount, "make the system's root read-only"));
  }
  return {};
}

bool SystemRoot::add_to(Plan& plan, std::vector<Fd>& fds) const {
  const auto add = [&](const std::string& target, Fd mount) {
    if (!mount.valid()) return false;
    plan.mounts.push_back({.target = target, .writable = false});
    fds.push_back(std::move(mount));
    return true;
  };
  for (const std::string& folder : folders_) {
    if (!add("/" + folder, detached(root_.get(), folder.c_str()))) return false;
  }
  if (plan.role == Plan::Role::Zygote && !add("/proc", detached(AT_FDCWD, "/proc"))) return false;
  plan.links = links_;
  plan.system_mounts = plan.mounts.size();
  return true;
}

}  // namespace mayfly::jail
