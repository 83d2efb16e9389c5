#pragma once

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>

#include "runtime/task.h"
#include "workspace/outcome.h"

namespace mayfly::workspace {

/// What the kernel tells of changes in a folder. A file that is being written counts as busy until whoever writes closes it.
class MirrorWatch {
 public:
  MirrorWatch(Executor executor, std::function<void()> changed);
  ~MirrorWatch();
  /// Error: `mirror.io` (the system has no watch left).
  Result<void> open();
  /// The folder of the descriptor; the same one again is nothing new.
  Result<void> add(const std::string& path, int folder);
  bool is_busy(const std::string& path) const { return busy_.contains(path); }
  /// Reads until `close`.
  Task<> run();
  void close();

 private:
  struct Descriptor;
  bool take(std::string_view events);
  std::unique_ptr<Descriptor> descriptor_;
  Executor executor_;
  std::function<void()> changed_;
  std::map<int, std::string> folders_;
  std::set<std::string> busy_;
};

}  // namespace mayfly::workspace
