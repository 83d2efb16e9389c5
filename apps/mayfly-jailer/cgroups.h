#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "sandbox/jail/layers.h"
#include "sandbox/jail/wire.h"

namespace mayfly::jail {

/// The cgroup of one sandbox: a folder for each controller; with cgroup v2 they are the same.
struct Group {
  std::string memory, cpu, pids;
  std::set<std::string> folders() const;
};

struct GroupLimits {
  std::uint64_t memory_bytes_max = 0, cpu_milli_max = 0, processes_max = 0;
};

/// cgroup v2, v1, or a mixture: each controller is taken from where it can be used.
class Cgroups {
 public:
  /// Finds out what can be used and sweeps what killed jailers left. `root`: with v2 a folder to make groups in, with v1 the path in each
  /// hierarchy; empty: where this process is.
  explicit Cgroups(const std::string& root);
  /// Removes its folders.
  ~Cgroups();
  Cgroups(const Cgroups&) = delete;
  Cgroups& operator=(const Cgroups&) = delete;

  Walls available() const;
  std::string detail(Wall wall) const;

  /// Makes the group with those limits that `walls` asks for. Nothing, with errno: it failed and nothing is left.
  std::optional<Group> create(const std::string& id, const GroupLimits& limits, Walls walls);
  /// Version 1: the files by which a process (of one thread) moves itself, writing "0". Moving another one waits for an RCU grace period
  /// while the machine is idle, 5 to 20 ms; this does not.
  bool open_tasks(const Group& group, std::vector<Fd>& files) const;
  /// Version 2: moves it.
  bool place(const Group& group, int pid) const;
  bool out_of_memory(const Group& group) const;
  void kill(const Group& group) const;
  /// Now or, when its last process is not quite gone, at a later call of `sweep`.
  void remove(const Group& group);
  void sweep();
  bool leftovers() const { return !doomed_.empty(); }
  std::string memory_now_file(const Group& group) const;
  std::string memory_peak_file(const Group& group) const;

 private:
  struct Controller {
    std::string base;  ///< our folder of groups; empty: not available
    bool v2 = false;
    std::string detail;
  };
  void use_v2(const std::string& folder, const std::string& mount);
  void use_v1(const std::string& name, const std::string& folder);
  Controller& controller(Wall wall) { return controllers_[static_cast<unsigned>(wall) - static_cast<unsigned>(Wall::CgroupMemory)]; }
  const Controller& controller(Wall wall) const {
    return controllers_[static_cast<unsigned>(wall) - static_cast<unsigned>(Wall::CgroupMemory)];
  }
  bool in_v2(const std::string& folder) const;
  bool apply(const Group& group, const GroupLimits& limits) const;

  std::array<Controller, 3> controllers_;
  std::set<std::string> doomed_;
};

}  // namespace mayfly::jail
