#include "sandbox/jailer_spawn.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <spawn.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>

namespace mayfly::sandbox {
namespace {

constexpr int kControl = 3;

std::unexpected<Error> failed(const char* what, int error) {
  return fail("sandbox.jailer_failed", fmt::format("cannot {} for mayfly-jailer: {}", what, std::strerror(error)), Retry::Safe);
}

}  // namespace

Result<JailerFiles> find_jailer(const JailerOptions& options) {
  namespace fs = std::filesystem;
  std::error_code error;
  fs::path jailer = options.jailer;
  if (jailer.empty()) jailer = fs::read_symlink("/proc/self/exe", error).parent_path() / "mayfly-jailer";
  jailer = fs::absolute(jailer, error);
  if (::access(jailer.c_str(), X_OK) != 0) {
    return fail(
        "sandbox.jailer_missing",
        fmt::format("there is no program {}: install mayfly-jailer beside mayfly or name it in the configuration", jailer.string()));
  }
  JailerFiles files{.jailer = jailer, .zygote_library = {}, .cgroup_root = options.cgroup_root};
  for (const fs::path& folder : {jailer.parent_path(), jailer.parent_path().parent_path() / "lib"}) {
    const fs::path library = folder / "libmayfly_jail.so";
    if (files.zygote_library.empty() && fs::exists(library, error)) files.zygote_library = library;
  }
  return files;
}

Result<SpawnedJailer> spawn_jailer(const JailerFiles& files) {
  SpawnedJailer spawned;
  jail::Fd theirs;
  if (!jail::make_channel(spawned.control, theirs)) return failed("make a socket", errno);
  ::fcntl(spawned.control.get(), F_SETFL, O_NONBLOCK);
  posix_spawn_file_actions_t actions;
  posix_spawnattr_t attributes;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawnattr_init(&attributes);
  ::posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDWR, 0);
  ::posix_spawn_file_actions_adddup2(&actions, theirs.get(), kControl);
  ::posix_spawn_file_actions_adddup2(&actions, 0, 1);
  ::posix_spawn_file_actions_addclosefrom_np(&actions, kControl + 1);
  sigset_t none{}, all{};
  sigemptyset(&none);
  sigfillset(&all);
  ::posix_spawnattr_setsigmask(&attributes, &none);
  ::posix_spawnattr_setsigdefault(&attributes, &all);
  ::posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSID);
  char* argv[] = {const_cast<char*>(files.jailer.c_str()), const_cast<char*>(files.cgroup_root.c_str()),
                  const_cast<char*>(files.zygote_library.c_str()), nullptr};
  char* environment[] = {nullptr};
  const int error = ::posix_spawn(&spawned.pid, files.jailer.c_str(), &actions, &attributes, argv, environment);
  ::posix_spawn_file_actions_destroy(&actions);
  ::posix_spawnattr_destroy(&attributes);
  if (error != 0) return failed("start a process", error);
  spawned.pidfd = jail::Fd(static_cast<int>(::syscall(SYS_pidfd_open, spawned.pid, 0)));
  if (!spawned.pidfd.valid()) return failed("watch its process", errno);
  return spawned;
}

}  // namespace mayfly::sandbox
