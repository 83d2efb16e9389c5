#include "sandbox/sandbox.h"

#include <array>
#include <utility>

namespace mayfly::sandbox {
namespace {

constexpr std::array<std::pair<Layer, std::string_view>, 15> kNames{{
    {Layer::UserNamespace, "user_namespace"},
    {Layer::MountNamespace, "mount_namespace"},
    {Layer::PidNamespace, "pid_namespace"},
    {Layer::NetNamespace, "net_namespace"},
    {Layer::IpcNamespace, "ipc_namespace"},
    {Layer::UtsNamespace, "uts_namespace"},
    {Layer::CgroupNamespace, "cgroup_namespace"},
    {Layer::Seccomp, "seccomp"},
    {Layer::Landlock, "landlock"},
    {Layer::NoNewPrivileges, "no_new_privileges"},
    {Layer::Capabilities, "capabilities"},
    {Layer::Rlimits, "rlimits"},
    {Layer::CgroupMemory, "cgroup_memory"},
    {Layer::CgroupCpu, "cgroup_cpu"},
    {Layer::CgroupPids, "cgroup_pids"},
}};

}  // namespace

std::string_view to_string(Layer layer) { return kNames.at(static_cast<unsigned>(layer)).second; }

std::optional<Layer> layer_from_string(std::string_view text) {
  for (const auto& [layer, name] : kNames) {
    if (name == text) return layer;
  }
  return std::nullopt;
}

Layers all_layers() {
  Layers layers;
  for (const auto& [layer, name] : kNames) layers.insert(layer);
  return layers;
}

}  // namespace mayfly::sandbox
