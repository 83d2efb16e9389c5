#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "sandbox/jail/layers.h"

namespace mayfly::jail {

/// What the first process of a sandbox does to itself: made by the jailer, carried out by its child or by a zygote's.
struct Plan {
  enum class Role : std::uint64_t {
    Program,  ///< first process, then `argv`
    Fork,     ///< first process, then a copy of the zygote
    Zygote,   ///< no first process: `argv` itself, able to make namespaces, with descriptor 3
    Probe,    ///< first process, then one that does nothing
  } role = Role::Program;
  Walls walls = 0;  ///< to raise; `Cgroup…` are the jailer's work
  /// True: root's jailer; without a user namespace the program then becomes kHostId.
  bool from_root = false;
  std::vector<std::string> argv;
  /// Empty for a Fork: the copy gets it from the jailer (`Environment` on its channel), since what a zygote reads its later copies could
  /// find.
  std::vector<std::string> environment;
  std::string directory = "/";
  std::string hostname;
  std::vector<std::string> listen;
  bool any_port = false;
  /// In the order of the mount descriptors; the first `system_mounts` are the system's folders.
  struct Mount {
    std::string target;
    bool writable = false;
  };
  std::vector<Mount> mounts;
  std::uint64_t system_mounts = 0;
  std::uint64_t groups = 0;                                ///< Fork: so many descriptors before the mounts are `tasks` files of its cgroups
  std::vector<std::pair<std::string, std::string>> links;  ///< name in the new root, what it points to
  std::uint64_t memory_bytes_max = 0;                      ///< as RLIMIT_AS; 0: a cgroup does it
  std::uint64_t processes_max = 0, open_files_max = 0, file_bytes_max = 0, tmp_bytes_max = 0;
};

std::string encode(const Plan& plan);
std::optional<Plan> decode_plan(std::string_view packet);
/// Overwrites all that is the function's own.
void wipe(Plan& plan);
void wipe(std::string& text);

/// What goes from a first process to the jailer, first number of the packet.
enum class Report : std::uint64_t {
  Hello = 1,  ///< pid as the jailer sees it (zygote's children only)
  Fault,      ///< wall (kWalls: none), step, errno
  Listening,  ///< addresses; with the listeners
  Guarded,    ///< process 1 of a fork: out of its copy's reach; now the environment may come
  Started,    ///< has /proc (0, 1)
  Exited,     ///< wait status of the program
};
/// Where a first process that executes the jailer's program finds its list of children, without a process namespace.
inline constexpr int kFirstChildren = 4;
/// What the jailer answers, one byte a packet.
inline constexpr char kGoMapped = 'm';  ///< its ids are mapped
inline constexpr char kGoPlaced = 'p';  ///< it is in its cgroups
/// Zygote → jailer on descriptor 3.
inline constexpr char kZygoteReady = 'R';

}  // namespace mayfly::jail
