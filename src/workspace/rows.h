#pragma once

#include <string>

#include "base/result.h"
#include "workspace/types.h"

/// How workspaces' nouns lie in the store: JSON with short names for what is often.
namespace mayfly::workspace {

std::string row_text(const Workspace& workspace);
std::string row_text(const Node& node);
std::string row_text(const FileVersion& version);
std::string row_text(const FileEvent& event);

/// Error: `store.damaged`, naming the row.
template <class T>
Result<T> row_as(const std::string& key, const std::string& text);
template <>
Result<Workspace> row_as<Workspace>(const std::string& key, const std::string& text);
template <>
Result<Node> row_as<Node>(const std::string& key, const std::string& text);
template <>
Result<FileVersion> row_as<FileVersion>(const std::string& key, const std::string& text);
template <>
Result<FileEvent> row_as<FileEvent>(const std::string& key, const std::string& text);

/// What PPPP/F/WS/c holds.
struct Counters {
  std::uint64_t last_event = 0;
  Usage usage;
  TimePoint quota_told{};  ///< the last event quota.exceeded
};
std::string row_text(const Counters& counters);
template <>
Result<Counters> row_as<Counters>(const std::string& key, const std::string& text);

}  // namespace mayfly::workspace
