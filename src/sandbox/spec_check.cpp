#include "sandbox/spec_check.h"

#include <fmt/format.h>

#include <algorithm>

#include "sandbox/jail/address.h"
#include "sandbox/jailer_process.h"

namespace mayfly::sandbox {
namespace {

constexpr std::size_t kIdBytesMax = 64;
constexpr std::size_t kTextsMax = 4096;
constexpr std::size_t kMountsMax = 64;
constexpr std::size_t kListenersMax = 16;
constexpr std::size_t kZygoteNameBytesMax = 256;

std::unexpected<Error> refuse(std::string why) { return fail("sandbox.exec", std::move(why)); }

bool plain_id(std::string_view id) {
  return !id.empty() && id.size() <= kIdBytesMax &&
         std::all_of(id.begin(), id.end(), [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-'; });
}

bool has_nul(std::string_view text) { return text.find('\0') != std::string_view::npos; }

bool plain_path(std::string_view path) {
  return path.starts_with('/') && !has_nul(path) && (std::string(path) + "/").find("/../") == std::string::npos;
}

Result<void> check_texts(const std::vector<std::string>& argv, const std::vector<std::string>& environment) {
  if (argv.size() > kTextsMax || environment.size() > kTextsMax) {
    return refuse(fmt::format("more than {} arguments or variables: pass fewer", kTextsMax));
  }
  if (std::any_of(argv.begin(), argv.end(), has_nul)) return refuse("the command line holds a NUL byte: remove it");
  for (const std::string& variable : environment) {
    const std::size_t equals = variable.find('=');
    if (equals == std::string::npos || equals == 0 || has_nul(variable)) {
      return refuse("an environment variable is not NAME=value or holds a NUL byte: correct it");
    }
  }
  return {};
}

Result<void> check_mounts(const std::vector<Mount>& mounts) {
  if (mounts.size() > kMountsMax) return refuse(fmt::format("more than {} mounts: use fewer", kMountsMax));
  for (const Mount& mount : mounts) {
    if (plain_path(mount.source) && plain_path(mount.target) && mount.target != "/") continue;
    return refuse(
        fmt::format("the mount of {} as {} is not between absolute paths without \"..\": correct it", mount.source, mount.target));
  }
  return {};
}

std::vector<jail::LaunchMessage::Mount> convert(const std::vector<Mount>& mounts) {
  std::vector<jail::LaunchMessage::Mount> out;
  for (const Mount& mount : mounts) out.push_back({mount.source, mount.target, mount.writable});
  return out;
}

}  // namespace

Result<void> check(const SandboxSpec& spec) {
  if (!plain_id(spec.id)) return refuse(fmt::format("a sandbox' id has 1 to {} of a-z, 0-9 and -: correct \"{}\"", kIdBytesMax, spec.id));
  if (spec.zygote.empty() && (spec.argv.empty() || spec.argv.front().empty())) return refuse("the command is empty: name a program");
  if (spec.host_network && !spec.zygote.empty()) {
    return refuse("a zygote's forks cannot have the host's network: launch the program itself");
  }
  if (auto ok = check_texts(spec.argv, spec.environment); !ok) return ok;
  if (!plain_path(spec.directory)) return refuse("the working directory is not an absolute path without \"..\": correct it");
  if (auto ok = check_mounts(spec.mounts); !ok) return ok;
  if (spec.listen.size() > kListenersMax) return refuse(fmt::format("more than {} listeners: use fewer", kListenersMax));
  for (const std::string& address : spec.listen) {
    if (!jail::parse_address(address)) return refuse(fmt::format("\"{}\" is not an address such as 127.0.0.2:9001", address));
  }
  if (spec.hostname.empty() || spec.hostname.size() > 64 || has_nul(spec.hostname))
    return refuse("a host name has 1 to 64 bytes: correct it");
  const Limits& limits = spec.limits;
  if (limits.memory_bytes_max < (4U << 20) || limits.cpu_milli_max < 10 || limits.processes_max < 1 || limits.open_files_max < 8 ||
      limits.tmp_bytes_max < 4096 || limits.file_bytes_max < 4096) {
    return refuse(
        "a limit is too small to start a program (4 MiB of memory, 10 thousandths of a core, 1 process, 8 open files, 4 KiB of files)");
  }
  return {};
}

Result<void> check(const ZygoteSpec& zygote) {
  if (zygote.name.empty() || zygote.name.size() > kZygoteNameBytesMax) return refuse("a zygote needs a name of 1 to 256 bytes");
  if (zygote.argv.empty() || zygote.argv.front().empty()) return refuse("the zygote's command is empty: name a program");
  if (auto ok = check_texts(zygote.argv, zygote.environment); !ok) return ok;
  return check_mounts(zygote.mounts);
}

jail::LaunchMessage to_message(const SandboxSpec& spec, std::uint64_t sequence) {
  return {.sequence = sequence,
          .id = spec.id,
          .argv = spec.argv,
          .environment = spec.environment,
          .directory = spec.directory,
          .mounts = convert(spec.mounts),
          .memory_bytes_max = spec.limits.memory_bytes_max,
          .cpu_milli_max = spec.limits.cpu_milli_max,
          .processes_max = spec.limits.processes_max,
          .open_files_max = spec.limits.open_files_max,
          .file_bytes_max = spec.limits.file_bytes_max,
          .tmp_bytes_max = spec.limits.tmp_bytes_max,
          .host_network = spec.host_network,
          .listen = spec.listen,
          .hostname = spec.hostname,
          .zygote = spec.zygote,
          .without = walls_of(spec.without),
          .required = walls_of(spec.required)};
}

jail::ZygoteMessage to_message(const ZygoteSpec& zygote, std::uint64_t sequence) {
  return {
      .sequence = sequence, .name = zygote.name, .argv = zygote.argv, .environment = zygote.environment, .mounts = convert(zygote.mounts)};
}

}  // namespace mayfly::sandbox
