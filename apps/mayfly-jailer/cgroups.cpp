#include "cgroups.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "sandbox/jail/wire.h"

namespace mayfly::jail {
namespace {

constexpr std::uint64_t kCpuPeriodMicros = 100'000;
constexpr const char* kPrefix = "mayfly-";
constexpr Wall kControllerWalls[] = {Wall::CgroupMemory, Wall::CgroupCpu, Wall::CgroupPids};
constexpr const char* kControllerNames[] = {"memory", "cpu", "pids"};

bool write_file(const std::string& path, const std::string& text) {
  const Fd fd(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
  return fd.valid() && ::write(fd.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size());
}

std::string read_file(const std::string& path) {
  std::ifstream in(path);
  std::stringstream text;
  text << in.rdbuf();
  return text.str();
}

bool exists(const std::string& path) { return ::access(path.c_str(), F_OK) == 0; }

bool has_word(const std::string& list, const std::string& word, char separator) {
  std::stringstream in(list);
  for (std::string item; std::getline(in, item, separator);) {
    while (!item.empty() && item.back() == '\n') item.pop_back();
    if (item == word) return true;
  }
  return false;
}

std::uint64_t counter(const std::string& path, const std::string& name) {
  std::ifstream in(path);
  std::string key;
  for (std::uint64_t value = 0; in >> key >> value;) {
    if (key == name) return value;
  }
  return 0;
}

struct Hierarchy {
  std::string mount, root;  ///< where it is mounted, and which of its folders that shows
  std::string options;
  bool v2 = false;
};

std::vector<Hierarchy> hierarchies() {
  std::vector<Hierarchy> found;
  std::ifstream in("/proc/self/mountinfo");
  for (std::string line; std::getline(in, line);) {
    const std::size_t dash = line.find(" - ");
    if (dash == std::string::npos) continue;
    std::stringstream left(line.substr(0, dash)), right(line.substr(dash + 3));
    std::string skip, root, mount, type, source, options;
    left >> skip >> skip >> skip >> root >> mount;
    right >> type >> source >> options;
    if (type == "cgroup" || type == "cgroup2") found.push_back({mount, root, options, type == "cgroup2"});
  }
  return found;
}

/// Where this process is in the hierarchy that has `controller` (v2: empty).
std::string own_path(const std::string& controller) {
  std::ifstream in("/proc/self/cgroup");
  for (std::string line; std::getline(in, line);) {
    const std::size_t first = line.find(':'), second = line.find(':', first + 1);
    if (second == std::string::npos) continue;
    const std::string names = line.substr(first + 1, second - first - 1);
    if (controller.empty() ? names.empty() : has_word(names, controller, ',')) return line.substr(second + 1);
  }
  return {};
}

std::string folder_in(const Hierarchy& hierarchy, const std::string& path) {
  std::string inside = path;
  if (hierarchy.root != "/" && inside.starts_with(hierarchy.root)) inside = inside.substr(hierarchy.root.size());
  std::string folder = hierarchy.mount + (inside.starts_with('/') || inside.empty() ? "" : "/") + inside;
  while (folder.size() > 1 && folder.back() == '/') folder.pop_back();
  return folder;
}

void kill_members(const std::string& folder) {
  if (write_file(folder + "/cgroup.kill", "1")) return;
  // A fork may slip between reading and killing; its parent is dead then, so a few rounds see the end of it.
  for (int round = 0; round < 100; ++round) {
    std::ifstream members(folder + "/cgroup.procs");
    bool any = false;
    for (int pid = 0; members >> pid;) {
      if (pid <= 0 || pid == ::getpid()) continue;
      ::kill(pid, SIGKILL);
      any = true;
    }
    if (!any) return;
  }
}

/// Groups of jailers that were killed before they could clean up.
void sweep_stale(const std::string& folder) {
  std::error_code ignored;
  for (const auto& entry : std::filesystem::directory_iterator(folder, ignored)) {
    const std::string name = entry.path().filename();
    const std::size_t prefix = std::strlen(kPrefix);
    if (!name.starts_with(kPrefix) || name.find_first_not_of("0123456789", prefix) != std::string::npos || name.size() > prefix + 9)
      continue;
    if (name.size() == prefix || ::kill(std::stoi(name.substr(prefix)), 0) == 0 || errno != ESRCH) continue;
    for (const auto& group : std::filesystem::directory_iterator(entry.path(), ignored)) {
      if (!group.is_directory(ignored)) continue;
      kill_members(group.path());
      ::rmdir(group.path().c_str());
    }
    ::rmdir(entry.path().c_str());
  }
}

/// v2 gives controllers only to folders below one that has no processes itself: ours, and Mayfly's when it is alone there, step aside.
bool step_aside(const std::string& folder) {
  std::ifstream members(folder + "/cgroup.procs");
  for (int pid = 0; members >> pid;) {
    if (pid != ::getpid() && pid != ::getppid()) return false;
  }
  const std::string aside = folder + "/mayfly-supervisor";
  if (::mkdir(aside.c_str(), 0755) != 0 && errno != EEXIST) return false;
  return write_file(aside + "/cgroup.procs", std::to_string(::getppid())) &&
         write_file(aside + "/cgroup.procs", std::to_string(::getpid()));
}

bool enable(const std::string& folder, const std::string& name) {
  if (has_word(read_file(folder + "/cgroup.subtree_control"), name, ' ')) return true;
  const std::string file = folder + "/cgroup.subtree_control";
  if (write_file(file, "+" + name)) return true;
  return errno == EBUSY && step_aside(folder) && write_file(file, "+" + name);
}

}  // namespace

std::set<std::string> Group::folders() const {
  std::set<std::string> all{memory, cpu, pids};
  all.erase("");
  return all;
}

Cgroups::Cgroups(const std::string& root) {
  for (Controller& each : controllers_)
    each.detail = "this machine shows no such cgroup controller: mount cgroup v2 or delegate it to Mayfly";
  for (const Hierarchy& hierarchy : hierarchies()) {
    if (!hierarchy.v2) continue;
    use_v2(root.starts_with(hierarchy.mount) ? root : folder_in(hierarchy, own_path("")), hierarchy.mount);
  }
  for (unsigned i = 0; i < 3; ++i) {
    if (!controllers_[i].base.empty()) continue;
    for (const Hierarchy& hierarchy : hierarchies()) {
      if (hierarchy.v2 || !has_word(hierarchy.options, kControllerNames[i], ',')) continue;
      use_v1(kControllerNames[i], folder_in(hierarchy, root.empty() ? own_path(kControllerNames[i]) : root));
    }
  }
}

Cgroups::~Cgroups() {
  sweep();
  for (const Controller& each : controllers_) {
    if (!each.base.empty()) ::rmdir(each.base.c_str());
  }
}

void Cgroups::use_v2(const std::string& folder, const std::string& mount) {
  const std::string offered = read_file(folder + "/cgroup.controllers");
  for (unsigned i = 0; i < 3; ++i) {
    // The root folder of a hierarchy has no cgroup.controllers in old kernels' containers; then nothing is offered.
    if (!has_word(offered, kControllerNames[i], ' ')) continue;
    const std::string base = folder + "/" + kPrefix + std::to_string(::getpid());
    if (i == 0) sweep_stale(folder);
    if (!enable(folder, kControllerNames[i])) {
      controllers_[i].detail = "the cgroup " + folder + " cannot be divided (" + std::strerror(errno) +
                               "): start Mayfly with a delegated one (systemd: Delegate=yes) or name one below " + mount;
      continue;
    }
    if ((::mkdir(base.c_str(), 0755) != 0 && errno != EEXIST) || !enable(base, kControllerNames[i])) {
      controllers_[i].detail = "cannot make a cgroup in " + folder + ": " + std::strerror(errno);
      continue;
    }
    controllers_[i] = {base, true, "cgroup v2 in " + folder};
  }
}

void Cgroups::use_v1(const std::string& name, const std::string& folder) {
  for (unsigned i = 0; i < 3; ++i) {
    if (name != kControllerNames[i]) continue;
    sweep_stale(folder);
    const std::string base = folder + "/" + kPrefix + std::to_string(::getpid());
    if (::mkdir(base.c_str(), 0755) != 0 && errno != EEXIST) {
      controllers_[i].detail = "cannot make a cgroup in " + folder + ": " + std::strerror(errno);
      continue;
    }
    controllers_[i] = {base, false, "cgroup v1 in " + folder};
  }
}

Walls Cgroups::available() const {
  Walls walls = 0;
  for (const Wall wall : kControllerWalls) {
    if (!controller(wall).base.empty()) walls |= bit(wall);
  }
  return walls;
}

std::string Cgroups::detail(Wall wall) const { return controller(wall).detail; }

std::optional<Group> Cgroups::create(const std::string& id, const GroupLimits& limits, Walls walls) {
  Group group;
  std::string* folders[] = {&group.memory, &group.cpu, &group.pids};
  for (unsigned i = 0; i < 3; ++i) {
    if (has(walls, kControllerWalls[i]) && !controllers_[i].base.empty()) *folders[i] = controllers_[i].base + "/" + id;
  }
  for (const std::string& folder : group.folders()) {
    doomed_.erase(folder);
    if (::mkdir(folder.c_str(), 0755) == 0 || errno == EEXIST) continue;
    const int error = errno;
    remove(group);
    errno = error;
    return std::nullopt;
  }
  if (apply(group, limits)) return group;
  const int error = errno;
  remove(group);
  errno = error;
  return std::nullopt;
}

bool Cgroups::apply(const Group& group, const GroupLimits& limits) const {
  const std::string memory = std::to_string(limits.memory_bytes_max);
  if (!group.memory.empty() && limits.memory_bytes_max > 0) {
    if (controller(Wall::CgroupMemory).v2) {
      if (!write_file(group.memory + "/memory.max", memory)) return false;
      write_file(group.memory + "/memory.swap.max", "0");  // absent without swap
      write_file(group.memory + "/memory.oom.group", "1");
    } else {
      if (!write_file(group.memory + "/memory.limit_in_bytes", memory)) return false;
      write_file(group.memory + "/memory.memsw.limit_in_bytes", memory);  // absent without swap accounting
      write_file(group.memory + "/memory.swappiness", "0");
    }
  }
  if (!group.cpu.empty() && limits.cpu_milli_max > 0) {
    const std::string quota = std::to_string(std::max<std::uint64_t>(limits.cpu_milli_max * kCpuPeriodMicros / 1000, 1000));
    const std::string period = std::to_string(kCpuPeriodMicros);
    if (controller(Wall::CgroupCpu).v2) {
      if (!write_file(group.cpu + "/cpu.max", quota + " " + period)) return false;
    } else if (!write_file(group.cpu + "/cpu.cfs_period_us", period) || !write_file(group.cpu + "/cpu.cfs_quota_us", quota)) {
      return false;
    }
  }
  // One more for the first process, which is ours.
  return group.pids.empty() || limits.processes_max == 0 || write_file(group.pids + "/pids.max", std::to_string(limits.processes_max + 1));
}

bool Cgroups::open_tasks(const Group& group, std::vector<Fd>& files) const {
  for (const std::string& folder : group.folders()) {
    if (in_v2(folder)) continue;
    files.emplace_back(::open((folder + "/tasks").c_str(), O_WRONLY | O_CLOEXEC));
    if (!files.back().valid()) return false;
  }
  return true;
}

bool Cgroups::in_v2(const std::string& folder) const {
  return std::any_of(controllers_.begin(), controllers_.end(),
                     [&folder](const Controller& each) { return each.v2 && folder.starts_with(each.base + "/"); });
}

bool Cgroups::place(const Group& group, int pid) const {
  for (const std::string& folder : group.folders()) {
    if (!in_v2(folder)) continue;
    if (!write_file(folder + "/cgroup.procs", std::to_string(pid))) return false;
  }
  return true;
}

bool Cgroups::out_of_memory(const Group& group) const {
  if (group.memory.empty()) return false;
  const bool v2 = controller(Wall::CgroupMemory).v2;
  return counter(group.memory + (v2 ? "/memory.events" : "/memory.oom_control"), "oom_kill") > 0;
}

void Cgroups::kill(const Group& group) const {
  for (const std::string& folder : group.folders()) kill_members(folder);
}

void Cgroups::remove(const Group& group) {
  for (const std::string& folder : group.folders()) {
    if (::rmdir(folder.c_str()) != 0 && errno != ENOENT) doomed_.insert(folder);
  }
}

void Cgroups::sweep() {
  std::erase_if(doomed_, [](const std::string& folder) { return ::rmdir(folder.c_str()) == 0 || errno == ENOENT; });
}

std::string Cgroups::memory_now_file(const Group& group) const {
  if (group.memory.empty()) return {};
  return group.memory + (controller(Wall::CgroupMemory).v2 ? "/memory.current" : "/memory.usage_in_bytes");
}

std::string Cgroups::memory_peak_file(const Group& group) const {
  if (group.memory.empty()) return {};
  const std::string file = group.memory + (controller(Wall::CgroupMemory).v2 ? "/memory.peak" : "/memory.max_usage_in_bytes");
  return exists(file) ? file : memory_now_file(group);
}

}  // namespace mayfly::jail
