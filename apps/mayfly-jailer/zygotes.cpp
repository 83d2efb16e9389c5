#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>

#include "jailer.h"

namespace mayfly::jail {
namespace {

constexpr std::int64_t kStartMillisMax = 60'000;
constexpr std::uint64_t kZygoteMemoryMax = 1ULL << 30;
constexpr std::size_t kOutputShown = 2000;
constexpr const char* kLibraryInside = "/run/mayfly/libmayfly_jail.so";

/// What it said, for the error: the end of it.
std::string last_words(int output) {
  std::string text;
  char buffer[4096];
  for (ssize_t count = 0; (count = ::read(output, buffer, sizeof buffer)) > 0;) {
    text.append(buffer, static_cast<std::size_t>(count));
    if (text.size() > kOutputShown) text.erase(0, text.size() - kOutputShown);
  }
  while (!text.empty() && text.back() == '\n') text.pop_back();
  return text;
}

}  // namespace

void Jailer::add_zygote(ZygoteMessage message) {
  if (paths_.zygote_library.empty()) {
    return failed(message.sequence, "sandbox.no_zygote", "libmayfly_jail.so is missing beside mayfly-jailer: install it");
  }
  Zygote& zygote = zygotes_[message.name];
  if (zygote.ready) return send(encode_zygote_ready(message.sequence));
  zygote.announce.push_back(message.sequence);
  if (zygote.pid >= 0) return;
  zygote.spec = std::move(message);
  start_zygote(zygote);
}

void Jailer::start_zygote(Zygote& zygote) {
  Sandbox start;
  start.walls = available_ & ~(bit(Wall::Pid) | bit(Wall::CgroupCpu) | bit(Wall::CgroupPids) | bit(Wall::Cgroup));
  Plan& plan = start.plan;
  plan = Plan{.role = Plan::Role::Zygote,
              .walls = start.walls,
              .from_root = root_user_,
              .argv = zygote.spec.argv,
              .environment = zygote.spec.environment,
              .hostname = "zygote"};
  const bool rooted = has(start.walls, Wall::Mount);
  plan.environment.push_back(std::string("MAYFLY_JAIL=") + (rooted ? kLibraryInside : paths_.zygote_library));
  std::vector<LaunchMessage::Mount> wanted = zygote.spec.mounts;
  if (rooted) wanted.push_back({.source = paths_.zygote_library, .target = kLibraryInside, .writable = false});
  for (auto& mount : wanted) mount.writable = false;
  std::vector<Fd> mounts;
  Fd control, sync;
  int pipe[2] = {};
  const auto refuse = [this, &zygote](MaybeFault bad) {
    zygote.bad = std::move(bad);
    zygote_ended(zygote, 0);
  };
  if (rooted && !system_root_.add_to(plan, mounts)) return refuse(fault("copy the system's folders"));
  for (const auto& mount : wanted) {
    plan.mounts.push_back({.target = mount.target, .writable = false});
    if (!rooted) continue;
    mounts.push_back(SystemRoot::clone(mount.source, false));
    if (!mounts.back().valid()) return refuse(fault("mount " + mount.source));
  }
  const auto group = cgroups_.create("zygote-" + std::to_string(zygote.spec.sequence), {.memory_bytes_max = kZygoteMemoryMax}, start.walls);
  if (!group) return refuse(fault("make its cgroup"));
  zygote.group = start.group = *group;
  if (::pipe2(pipe, O_CLOEXEC) != 0 || !make_channel(zygote.control, control) || !make_channel(start.sync, sync)) {
    return refuse(fault("make its channels"));
  }
  zygote.output = Fd(pipe[0]);
  const Fd output(pipe[1]);
  ::fcntl(zygote.output.get(), F_SETFL, O_NONBLOCK);
  FirstFds fds{.sync = sync.get(), .output = output.get(), .jailer = -1, .mounts = {}, .groups = {}};
  std::vector<Fd> groups;
  if (!cgroups_.open_tasks(zygote.group, groups)) return refuse(fault("open its cgroup"));
  for (const Fd& tasks : groups) fds.groups.push_back(tasks.get());
  for (const Fd& mount : mounts) fds.mounts.push_back(mount.get());
  start.pid = clone_process(start.walls, start.pidfd);
  if (start.pid == 0) become_zygote(plan, fds, control.get());
  if (start.pid < 0) return refuse(fault("make its namespaces"));
  zygote.pid = start.pid;
  zygote.deadline_ms = monotonic_millis() + kStartMillisMax;
  if (has(start.walls, Wall::User) && !map_ids(start.pid)) {
    zygote.bad = fault("map its user");
    ::kill(start.pid, SIGKILL);
  } else if (send_packet(start.sync.get(), std::string_view(&kGoMapped, 1))) {
    place(start);
  }
  zygote.sync = std::move(start.sync);
  ::fcntl(zygote.sync.get(), F_SETFL, O_NONBLOCK);
}

void Jailer::stop_zygote(Zygote& zygote) {
  if (zygote.pid > 0) ::kill(zygote.pid, SIGKILL);
}

void Jailer::remove_zygote(const std::string& name) {
  const auto found = zygotes_.find(name);
  if (found == zygotes_.end()) return;
  Zygote& zygote = found->second;
  if (zygote.pid > 0) {
    stop_zygote(zygote);
    int status = 0;
    ::waitpid(zygote.pid, &status, 0);
    zygote_ended(zygote, status);
  }
  zygotes_.erase(name);
}

void Jailer::zygote_message(Zygote& zygote) {
  Packet packet;
  if (receive_packet(zygote.control.get(), packet) != Received::Packet) {
    zygote.control.reset();
    return stop_zygote(zygote);  // its end is reaped and told there
  }
  if (zygote.ready || packet.data != std::string_view(&kZygoteReady, 1)) return;
  zygote.ready = true;
  for (const std::uint64_t sequence : zygote.announce) send(encode_zygote_ready(sequence));
  zygote.announce.clear();
  next_fork(zygote);
}

void Jailer::next_fork(Zygote& zygote) {
  // One at a time: it is stopped while a child of it enters its sandbox.
  while (zygote.ready && zygote.forking == 0 && !zygote.waiting.empty()) {
    LaunchMessage message = std::move(zygote.waiting.front());
    zygote.waiting.pop_front();
    begin(std::move(message));
  }
}

void Jailer::zygote_ended(Zygote& zygote, int status) {
  Packet packet;
  while (zygote.sync.valid() && receive_packet(zygote.sync.get(), packet) == Received::Packet) {
    Reader in(packet.data);
    if (static_cast<Report>(in.number()) != Report::Fault) continue;
    zygote.bad = Fault{static_cast<unsigned>(in.number()), in.text(), static_cast<int>(in.number())};
  }
  std::string why = "the zygote " + zygote.spec.name + " ended";
  if (zygote.bad) {
    why = "the zygote " + zygote.spec.name + " cannot " + zygote.bad->step + ": " + error_text(zygote.bad->error);
  } else if (WIFSIGNALED(status)) {
    why += " by signal " + std::to_string(WTERMSIG(status));
  } else {
    why += " with code " + std::to_string(WEXITSTATUS(status));
  }
  if (zygote.output.valid()) {
    if (const std::string words = last_words(zygote.output.get()); !words.empty()) why += "; its last words: " + words;
  }
  const bool was_ready = zygote.ready;
  const std::uint64_t forking = zygote.forking;
  cgroups_.kill(zygote.group);
  cgroups_.remove(zygote.group);
  zygote.pid = -1;
  zygote.ready = false;
  zygote.forking = 0;
  zygote.bad.reset();
  zygote.group = {};
  zygote.control.reset();
  zygote.sync.reset();
  zygote.output.reset();
  for (const std::uint64_t sequence : zygote.announce) failed(sequence, "sandbox.exec", why);
  zygote.announce.clear();
  if (forking != 0) {
    if (const auto found = sandboxes_.find(forking); found != sandboxes_.end() && found->second.pid < 0) ended(forking, std::nullopt);
  }
  // Those that it never saw: a zygote that worked is started again, one that cannot start fails them.
  if (was_ready && !zygote.waiting.empty()) return start_zygote(zygote);
  while (!zygote.waiting.empty()) {
    failed(zygote.waiting.front().sequence, "sandbox.exec", why);
    zygote.waiting.pop_front();
  }
}

}  // namespace mayfly::jail
