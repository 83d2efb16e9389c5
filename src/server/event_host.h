#pragma once

#include <memory>
#include <string>

#include "blob/blob_store.h"
#include "function/secret_box.h"
#include "server/context.h"
#include "server/program_mux.h"

namespace mayfly {

/// Queues, schedules, triggers and state machines, put together.
class EventHost {
 public:
  /// Everything given outlives it.
  EventHost(AppContext& context, BlobStore& blobs, const function::SecretBox& secrets, ProgramMux& programs);
  ~EventHost();

  /// Between the engine's leases and its opening, so that whatever it resumes finds all this. Errors: those of the store.
  Task<Result<void>> open(engine::Engine& engine);
  /// For EngineDependencies::deliver. Error before `open`: `engine.starting` (Retry::Safe).
  Task<Result<void>> message(std::string id, Json message);
  /// No event is taken any more; consumers get `grace` to end. Before the engine stops.
  Task<> stop(Millis grace);
  /// After the engine has stopped.
  Task<> close();

 private:
  struct Parts;
  std::unique_ptr<Parts> parts_;
};

}  // namespace mayfly
