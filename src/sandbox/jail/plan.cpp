#include "sandbox/jail/plan.h"

#include <cstring>

#include "sandbox/jail/wire.h"

namespace mayfly::jail {

std::string encode(const Plan& plan) {
  Writer out;
  out.number(static_cast<std::uint64_t>(plan.role));
  out.number(plan.walls);
  out.number(plan.from_root ? 1 : 0);
  out.texts(plan.argv);
  out.texts(plan.environment);
  out.text(plan.directory);
  out.text(plan.hostname);
  out.texts(plan.listen);
  out.number(plan.any_port ? 1 : 0);
  out.number(plan.mounts.size());
  for (const Plan::Mount& mount : plan.mounts) {
    out.text(mount.target);
    out.number(mount.writable ? 1 : 0);
  }
  out.number(plan.system_mounts);
  out.number(plan.groups);
  out.number(plan.links.size());
  for (const auto& [name, target] : plan.links) {
    out.text(name);
    out.text(target);
  }
  for (const std::uint64_t limit :
       {plan.memory_bytes_max, plan.processes_max, plan.open_files_max, plan.file_bytes_max, plan.tmp_bytes_max}) {
    out.number(limit);
  }
  return out.bytes();
}

std::optional<Plan> decode_plan(std::string_view packet) {
  Reader in(packet);
  Plan plan;
  const std::uint64_t role = in.number();
  if (role > static_cast<std::uint64_t>(Plan::Role::Probe)) return std::nullopt;
  plan.role = static_cast<Plan::Role>(role);
  plan.walls = static_cast<Walls>(in.number()) & kAllWalls;
  plan.from_root = in.number() != 0;
  plan.argv = in.texts();
  plan.environment = in.texts();
  plan.directory = in.text();
  plan.hostname = in.text();
  plan.listen = in.texts();
  plan.any_port = in.number() != 0;
  plan.mounts.resize(in.count());
  for (Plan::Mount& mount : plan.mounts) {
    mount.target = in.text();
    mount.writable = in.number() != 0;
  }
  plan.system_mounts = in.number();
  plan.groups = in.number();
  plan.links.resize(in.count());
  for (auto& [name, target] : plan.links) {
    name = in.text();
    target = in.text();
  }
  for (std::uint64_t* limit :
       {&plan.memory_bytes_max, &plan.processes_max, &plan.open_files_max, &plan.file_bytes_max, &plan.tmp_bytes_max}) {
    *limit = in.number();
  }
  if (!in.done()) return std::nullopt;
  return plan;
}

void wipe(std::string& text) {
  explicit_bzero(text.data(), text.size());
  text.clear();
}

void wipe(Plan& plan) {
  for (auto* texts : {&plan.argv, &plan.environment, &plan.listen}) {
    for (std::string& text : *texts) wipe(text);
  }
  for (Plan::Mount& mount : plan.mounts) wipe(mount.target);
  wipe(plan.directory);
  wipe(plan.hostname);
}

}  // namespace mayfly::jail
