#include <fmt/format.h>

#include <algorithm>

#include "workspace/events/events.h"
#include "workspace/paths.h"

namespace mayfly::workspace {
namespace {

constexpr std::string_view kTypePrefix = "dev.mayfly.workspace.";
constexpr std::size_t kDataBytesMax = 16 * 1024;

bool fits_type(const std::string& wanted, std::string_view type) {
  if (wanted.ends_with(".*")) return type.starts_with(std::string_view(wanted).substr(0, wanted.size() - 1));
  return wanted == type;
}

/// "/a" holds "/a" and "/a/b", not "/ab"; "/a/b" as it is written, with or without a slash at its end.
bool lies_under(std::string_view path, std::string_view prefix) {
  while (prefix.ends_with('/')) prefix.remove_suffix(1);
  return path.starts_with(prefix) && (path.size() == prefix.size() || path[prefix.size()] == '/');
}

template <class Test>
bool either_path(const FileEvent& event, Test test) {
  return test(event.path) || (!event.old_path.empty() && test(event.old_path));
}

}  // namespace

trigger::Event to_cloud_event(const FileEvent& event) {
  trigger::Event out;
  out.id = fmt::format("{}-{}", event.workspace, event.number);
  out.source = "/workspaces/" + event.workspace;
  out.type = std::string(kTypePrefix) + event.type;
  out.subject = event.path;
  out.time = event.at;
  out.data_content_type = "application/json";
  // Text of fixed width: a CloudEvents integer has 32 bits, and texts must sort like the numbers.
  out.extensions["sequence"] = fmt::format("{:016}", event.sequence);
  if (!event.organisation.empty()) out.extensions["organisation"] = event.organisation;
  JsonObject data = event.data;
  if (to_text(data).size() > kDataBytesMax) data = {{"truncated", true}};
  data["workspace"] = event.workspace;
  data["workspace_name"] = event.workspace_name;
  data["organisation"] = event.organisation;
  data["number"] = event.number;
  data["sequence"] = event.sequence;
  if (!event.node.empty()) data["node"] = event.node;
  if (!event.path.empty()) data["path"] = event.path;
  if (!event.old_path.empty()) data["old_path"] = event.old_path;
  data["actor"] = event.actor;
  data["actor_label"] = event.actor_label;
  out.data = std::move(data);
  return out;
}

bool wants(const EventFilter& filter, const FileEvent& event) {
  if (!filter.types.empty() && std::ranges::none_of(filter.types, [&](const std::string& type) { return fits_type(type, event.type); }))
    return false;
  if (!filter.actor.empty() && filter.actor != event.actor) return false;
  if (!filter.path_prefix.empty() && !either_path(event, [&](const std::string& path) { return lies_under(path, filter.path_prefix); }))
    return false;
  return filter.glob.empty() || either_path(event, [&](const std::string& path) { return matches_glob(path, filter.glob); });
}

}  // namespace mayfly::workspace
