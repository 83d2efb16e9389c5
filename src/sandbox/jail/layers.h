#pragma once

#include <array>
#include <cstdint>

/// What the jailer, the zygotes and Mayfly's client share. Nothing here may use a library beside libc and libstdc++.
namespace mayfly::jail {

/// In the order of `mayfly::sandbox::Layer`.
enum class Wall : unsigned {
  User,
  Mount,
  Pid,
  Net,
  Ipc,
  Uts,
  Cgroup,
  Seccomp,
  Landlock,
  NoNewPrivileges,
  Capabilities,
  Rlimits,
  CgroupMemory,
  CgroupCpu,
  CgroupPids,
};
inline constexpr unsigned kWalls = 15;
using Walls = std::uint32_t;
inline constexpr Walls kAllWalls = (1U << kWalls) - 1;
constexpr Walls bit(Wall wall) { return 1U << static_cast<unsigned>(wall); }
constexpr bool has(Walls walls, Wall wall) { return (walls & bit(wall)) != 0; }

/// Who a program is inside; outside root's sandboxes belong to kHostId (a number that systemd's tables leave unused), others to their user.
inline constexpr unsigned kInnerId = 1000;
inline constexpr unsigned kHostId = 60900;

}  // namespace mayfly::jail
