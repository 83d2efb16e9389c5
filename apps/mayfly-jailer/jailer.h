#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "cgroups.h"
#include "sandbox/jail/fault.h"
#include "sandbox/jail/first.h"
#include "sandbox/jail/plan.h"
#include "sandbox/jail/protocol.h"
#include "sandbox/jail/wire.h"
#include "system_root.h"

namespace mayfly::jail {

struct JailerPaths {
  std::string cgroup_root;
  std::string zygote_library;  ///< libmayfly_jail.so; empty: no zygotes
};

/// One process, one thread, one loop: makes sandboxes on request, reaps them, and takes all of them with it.
class Jailer {
 public:
  Jailer(int control, const JailerPaths& paths);
  /// Until Mayfly is gone or SIGTERM comes; then nothing is left.
  void run();

 private:
  static constexpr std::uint64_t kDying = ~0ULL;
  struct Sandbox {
    std::uint64_t sequence = 0;
    std::string id;
    Plan plan;
    Walls walls = 0;
    Group group;
    int pid = -1;
    Fd pidfd, sync, output;
    std::string zygote;
    std::string environment;  ///< a fork's, encoded; until it is sent
    std::vector<std::string> addresses;
    std::vector<Fd> listeners;
    std::optional<LaunchMessage> again;  ///< a fork that its zygote may die before; until it has a pid
    bool started = false;
    std::optional<int> program_status;
    std::optional<int> early_status;  ///< of the first process, when it was reaped before its pid was known
    MaybeFault bad;
    std::int64_t deadline_ms = 0;
  };
  struct Zygote {
    ZygoteMessage spec;
    int pid = -1;
    Fd control, sync, output;
    bool ready = false;
    Group group;
    MaybeFault bad;
    std::int64_t deadline_ms = 0;
    std::vector<std::uint64_t> announce;  ///< sequences that want to hear how its start went
    std::deque<LaunchMessage> waiting;
    std::uint64_t forking = 0;  ///< the sandbox it is busy with; 0: none; kDying: its end is to be reaped
  };
  // probe.cpp: what this machine gives
  void probe();
  MaybeFault try_walls(Walls walls);
  bool try_flag(unsigned long flags);
  std::string detail_of(Wall wall) const;

  // launch.cpp: from a message to a process
  void launch(LaunchMessage message);
  void begin(LaunchMessage message);
  bool make_plan(const LaunchMessage& message, Sandbox& sandbox, std::vector<Fd>& mounts);
  bool add_mounts(std::uint64_t sequence, const std::vector<LaunchMessage::Mount>& wanted, Plan& plan, std::vector<Fd>& mounts);
  int clone_process(Walls walls, Fd& pidfd);
  bool lend_user(unsigned id);
  bool map_ids(int pid);
  bool start_native(Sandbox& sandbox, const std::vector<Fd>& mounts, Fd sync, Fd output);
  bool start_fork(Sandbox& sandbox, const std::vector<Fd>& mounts, Fd sync, Fd output);
  bool send_environment(Sandbox& sandbox);
  bool place(Sandbox& sandbox);

  // zygotes.cpp
  void add_zygote(ZygoteMessage message);
  void start_zygote(Zygote& zygote);
  void remove_zygote(const std::string& name);
  void zygote_message(Zygote& zygote);
  void zygote_ended(Zygote& zygote, int status);
  void next_fork(Zygote& zygote);
  void stop_zygote(Zygote& zygote);

  // jailer.cpp: the loop
  void handle_control();
  void read_sync(std::uint64_t sequence);
  void handle_report(Sandbox& sandbox, Packet packet);
  void announce(Sandbox& sandbox);
  void fork_done(Sandbox& sandbox);
  bool fork_again(Sandbox& sandbox);
  void reap();
  void ended(std::uint64_t sequence, std::optional<int> status);
  void kill_orphans();
  void check_deadlines();
  int wait_millis() const;
  void stop_all();
  void failed(std::uint64_t sequence, const std::string& code, const std::string& message, bool safe = false);
  void failed(std::uint64_t sequence, const Fault& fault, const std::string& hint = {});
  void send(const std::string& packet, const std::vector<int>& fds = {});

  int control_;
  JailerPaths paths_;
  bool root_user_ = false;
  bool gone_ = false;  ///< Mayfly is
  SystemRoot system_root_;
  MaybeFault root_fault_;
  Cgroups cgroups_;
  Fd self_;  ///< this program
  Walls available_ = 0;
  std::map<unsigned, std::string> refusals_;
  std::map<std::uint64_t, Sandbox> sandboxes_;
  std::map<std::string, Zygote> zygotes_;
  std::map<int, int> early_ends_;     ///< processes that ended before their zygote told of them
  std::set<std::uint64_t> repeated_;  ///< forks that were already asked of a second zygote
  bool no_proc_ = false;              ///< the kernel grants sandboxes no /proc
  bool loose_ = false;                ///< there was a sandbox without a process namespace
};

std::int64_t monotonic_millis();
std::string error_text(int error);
std::string wall_names(Walls walls);

}  // namespace mayfly::jail
