#pragma once

#include <memory>

#include "workspace/events/events.h"

namespace mayfly::workspace {

struct MirrorSpec {
  std::string workspace;  ///< its id
  std::string folder;     ///< of the workspace: "/"
  std::string directory;  ///< of this machine; absolute
  std::vector<std::string> ignore;  ///< globs; ".git/**", "*.tmp" …
};
struct MirrorStatus {
  MirrorSpec spec;
  std::string state;  ///< scanning, watching, failed
  std::string last_error;
  std::uint64_t uploaded = 0, downloaded = 0, conflicts = 0;
  std::uint64_t cursor = 0;
};

/// Keeps a host folder and a workspace's folder alike, both ways (inotify; whole scans after an overflow or a restart). Neither side's bytes are ever lost: when both
/// changed, the workspace keeps both as versions and the folder gets "NAME (conflict 2026-11-24 from LABEL).EXT" beside it. Symbolic links and special files are left alone;
/// nothing outside `directory` is touched (openat2 RESOLVE_BENEATH). What was last seen alike lies in rows `meta/mirror/…`.
class Mirrors {
 public:
  virtual ~Mirrors() = default;
  virtual Task<Result<void>> open() = 0;
  virtual Task<> stop() = 0;
  /// Operators only: the directory must be under one of `roots`. Errors: `mirror.invalid`, `mirror.not_allowed`, `mirror.exists`.
  virtual Task<Outcome<MirrorStatus>> add(Actor actor, MirrorSpec spec) = 0;
  virtual Task<Outcome<void>> remove(Actor actor, std::string workspace, std::string directory) = 0;
  virtual std::vector<MirrorStatus> list() const = 0;
};

struct MirrorDependencies {
  Spaces* spaces = nullptr;
  Files* files = nullptr;
  Events* events = nullptr;
  std::vector<std::string> roots;  ///< empty: mirrors are off
};
std::unique_ptr<Mirrors> make_mirrors(MirrorDependencies dependencies);

}  // namespace mayfly::workspace
