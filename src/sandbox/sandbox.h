#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "runtime/cancel.h"
#include "runtime/clock.h"
#include "runtime/task.h"

/// Where user code runs. The waist knows processes and limits; it knows neither functions nor HTTP.
///
/// A shared kernel is not a virtual machine: a kernel fault can be reached from inside. The layers make that as small as they can.
namespace mayfly::sandbox {

/// One wall. All are wanted; a kernel or container may refuse some, and then `Sandbox::layers` says so.
enum class Layer : unsigned {
  UserNamespace,
  MountNamespace,  ///< read-only root made of a few system folders and `SandboxSpec::mounts`; private /tmp, /dev, /proc
  PidNamespace,    ///< no other process is visible; all die with the first
  NetNamespace,
  IpcNamespace,
  UtsNamespace,
  CgroupNamespace,
  Seccomp,  ///< allow-list of system calls
  Landlock,
  NoNewPrivileges,
  Capabilities,  ///< all dropped, bounding set included
  Rlimits,
  CgroupMemory,  ///< a cgroup of its own, v1 or v2; without it memory is bounded by RLIMIT_AS per process
  CgroupCpu,
  CgroupPids,
};
std::string_view to_string(Layer layer);  ///< "user_namespace", …
std::optional<Layer> layer_from_string(std::string_view text);
using Layers = std::set<Layer>;
Layers all_layers();

struct LayerState {
  Layer layer;
  bool active = false;
  std::string detail;  ///< how, or why not and what would help: one sentence
};

struct Mount {
  std::string source;  ///< absolute, on the host
  std::string target;  ///< absolute, inside
  /// The program is an ordinary user: 60900 on the host when Mayfly is root, else Mayfly's own. The folder must be writable for that one.
  bool writable = false;
};

struct Limits {
  std::uint64_t memory_bytes_max = 128ull << 20;
  std::uint32_t cpu_milli_max = 1'000;  ///< 1,000 = one core
  std::uint32_t processes_max = 256;    ///< threads count
  std::uint32_t open_files_max = 1'024;
  std::uint64_t file_bytes_max = 1ull << 30;  ///< one file
  std::uint64_t tmp_bytes_max = 512ull << 20;
};

struct SandboxSpec {
  std::string id;                        ///< [a-z0-9-]{1,64}, unique among those alive: names its cgroup
  std::vector<std::string> argv;         ///< as seen inside; ignored with `zygote`
  std::vector<std::string> environment;  ///< "NAME=value", complete: nothing is inherited
  std::string directory = "/";           ///< working directory inside
  std::vector<Mount> mounts;  ///< beside the system's folders (/usr, /lib*, /bin, /sbin, parts of /etc), which are there, read-only
  Limits limits;
  /// False: a network namespace of its own with only the loopback device. True: the host's network; not with a zygote.
  bool host_network = false;
  /// "127.0.0.2:9001" …: bound and listening inside before the program starts; the descriptors come back in this order.
  /// With the host's network the port is ignored and a free one is taken; see `SandboxProcess::listeners`.
  std::vector<std::string> listen;
  std::string hostname = "mayfly";
  /// Name of a zygote added by `Sandbox::add_zygote`: the process is forked from it instead of executed. Environment,
  /// directory, limits and all layers hold the same.
  std::string zygote;
  Layers without;   ///< left out: tests and `mayfly.yaml` `sandbox.without`
  Layers required;  ///< one that cannot be had: `sandbox.layer_missing`
};

/// A program that has loaded an interpreter and libraries, but no user's code, and forks on demand.
/// It is itself confined (no network, no writable files). It must speak the protocol of `zygote_protocol.md`.
struct ZygoteSpec {
  std::string name;  ///< "python3.11/boto3": runtime and preloaded modules
  std::vector<std::string> argv;
  std::vector<std::string> environment;
  std::vector<Mount> mounts;
};

struct ProcessEnd {
  enum class How { Exited, Signalled, OutOfMemory, Lost } how = How::Lost;
  int code = 0;  ///< exit code or signal
};

struct Usage {
  std::uint64_t memory_bytes = 0;       ///< now
  std::uint64_t memory_bytes_peak = 0;  ///< of all processes inside, where cgroups tell; else of the first one
  std::uint64_t processes = 0;
};

/// A sandbox that runs. Destroying it kills everything inside, without waiting.
class SandboxProcess {
 public:
  virtual ~SandboxProcess() = default;
  virtual int pid() const = 0;  ///< on the host
  struct Listener {
    int fd = -1;          ///< non-blocking, close-on-exec
    std::string address;  ///< "127.0.0.2:9001", as the program inside reaches it
  };
  /// The descriptors asked for in `listen`: the caller takes and closes them. Once.
  virtual std::vector<Listener> take_listeners() = 0;
  /// Standard output and error as they come: at most 64 KiB a call, empty at the end. Stops reading (and so blocks the program)
  /// while nobody calls. One reader at a time.
  virtual Task<std::string> read_output() = 0;
  /// SIGTERM to the first process.
  virtual void terminate() = 0;
  /// SIGKILL to everything inside.
  virtual void kill() = 0;
  /// Until everything inside has ended and was reaped. May be called once.
  virtual Task<ProcessEnd> wait() = 0;
  virtual Usage usage() const = 0;
  /// Which layers this process has.
  virtual const Layers& active() const = 0;
};

/// The waist. `JailerSandbox` (make_jailer_sandbox) is the real one; `testing` may fake it.
class Sandbox {
 public:
  virtual ~Sandbox() = default;
  /// What this machine gives, found out by trying.
  virtual std::vector<LayerState> layers() const = 0;
  /// Errors: `sandbox.layer_missing`, `sandbox.exec` (the program cannot be started: why), `sandbox.resources` (Safe: processes,
  /// memory or descriptors of the host are short), `sandbox.jailer_lost` (Safe: it is being restarted), `sandbox.no_zygote`.
  virtual Task<Result<std::unique_ptr<SandboxProcess>>> launch(SandboxSpec spec) = 0;
  /// Starts it if it is not running; returns when it can fork. A zygote that dies is started again by the next launch.
  virtual Task<Result<void>> add_zygote(ZygoteSpec zygote) = 0;
  virtual void remove_zygote(const std::string& name) = 0;
  /// Kills everything and waits for it. Idempotent; required before destruction.
  virtual Task<> stop() = 0;
};

struct JailerOptions {
  std::string jailer;       ///< path of `mayfly-jailer`; beside the running program by default
  std::string cgroup_root;  ///< where to make cgroups (v2: the delegated folder); empty: found out
};
/// Starts `mayfly-jailer`, a small process that makes the sandboxes (forking from a large one is slow) and that takes all of them with
/// it when Mayfly ends, however it ends. Errors: `sandbox.jailer_missing`, `sandbox.jailer_failed`.
Task<Result<std::unique_ptr<Sandbox>>> make_jailer_sandbox(Executor executor, Clock& clock, JailerOptions options);

}  // namespace mayfly::sandbox
