#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "sandbox/jail/layers.h"

/// Messages between Mayfly and its jailer, one a packet. The first number is the Kind.
namespace mayfly::jail {

enum class Kind : std::uint64_t {
  Launch = 1,    ///< → jailer
  AddZygote,     ///< → jailer
  RemoveZygote,  ///< → jailer
  Layers,        ///< ← once, at start
  Started,       ///< ← with descriptors: pidfd, output, listeners
  Failed,        ///< ← a launch or a zygote
  Ended,         ///< ←
  ZygoteReady,   ///< ←
};

/// What fits in a SandboxSpec, in the jailer's terms.
struct LaunchMessage {
  std::uint64_t sequence = 0;  ///< names the sandbox in all later messages
  std::string id;
  std::vector<std::string> argv;
  std::vector<std::string> environment;
  std::string directory = "/";
  struct Mount {
    std::string source, target;
    bool writable = false;
  };
  std::vector<Mount> mounts;
  std::uint64_t memory_bytes_max = 0, cpu_milli_max = 0, processes_max = 0, open_files_max = 0, file_bytes_max = 0, tmp_bytes_max = 0;
  bool host_network = false;
  std::vector<std::string> listen;
  std::string hostname;
  std::string zygote;
  Walls without = 0;
  Walls required = 0;
};

struct ZygoteMessage {
  std::uint64_t sequence = 0;
  std::string name;
  std::vector<std::string> argv;
  std::vector<std::string> environment;
  std::vector<LaunchMessage::Mount> mounts;
};

struct LayersMessage {
  Walls active = 0;
  std::vector<std::string> details;  ///< one for each wall
};

struct StartedMessage {
  std::uint64_t sequence = 0;
  std::uint64_t pid = 0;
  Walls active = 0;
  std::vector<std::string> addresses;  ///< of the listeners
  /// Files to read usage from; empty without such a cgroup.
  std::string memory_now, memory_peak, processes_now;
};

struct FailedMessage {
  std::uint64_t sequence = 0;
  std::string code, message;
  bool safe = false;  ///< the same request may succeed later
};

struct EndedMessage {
  std::uint64_t sequence = 0;
  bool signalled = false, out_of_memory = false;
  std::uint64_t code = 0;
};

std::string encode(const LaunchMessage& message);
std::string encode(const ZygoteMessage& message);
std::string encode_remove_zygote(const std::string& name);
std::string encode(const LayersMessage& message);
std::string encode(const StartedMessage& message);
std::string encode(const FailedMessage& message);
std::string encode(const EndedMessage& message);
std::string encode_zygote_ready(std::uint64_t sequence);

std::optional<Kind> kind_of(std::string_view packet);
/// Each: nothing when the packet is not exactly such a message.
std::optional<LaunchMessage> decode_launch(std::string_view packet);
std::optional<ZygoteMessage> decode_zygote(std::string_view packet);
std::optional<std::string> decode_remove_zygote(std::string_view packet);
std::optional<LayersMessage> decode_layers(std::string_view packet);
std::optional<StartedMessage> decode_started(std::string_view packet);
std::optional<FailedMessage> decode_failed(std::string_view packet);
std::optional<EndedMessage> decode_ended(std::string_view packet);
std::optional<std::uint64_t> decode_zygote_ready(std::string_view packet);

}  // namespace mayfly::jail
