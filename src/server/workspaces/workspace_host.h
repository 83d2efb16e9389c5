#pragma once

#include <memory>
#include <string>

#include "blob/blob_store.h"
#include "engine/engine.h"
#include "server/context.h"
#include "workspace/workspaces.h"

namespace mayfly {

/// Workspaces, put together.
class WorkspaceHost {
 public:
  /// `context` outlives it.
  explicit WorkspaceHost(AppContext& context);
  ~WorkspaceHost();

  /// Between the triggers' opening and the engine's, so that resumed agents find their files. Errors: those of store and blobs.
  Task<Result<void>> open(engine::Engine& engine);
  /// A run has ended: its locks are released.
  void run_ended(const std::string& run);
  /// Nothing leaves any more: before the triggers stop.
  Task<> stop();
  /// After the engine has stopped.
  Task<> close();

 private:
  struct Parts;
  std::unique_ptr<Parts> parts_;
};

}  // namespace mayfly
