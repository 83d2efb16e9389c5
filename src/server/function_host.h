#pragma once

#include <memory>
#include <string>

#include "agent/registry.h"
#include "engine/engine.h"
#include "function/durable/durable_service.h"
#include "function/function_registry.h"
#include "function/function_service.h"
#include "function/supervisor.h"
#include "sandbox/sandbox.h"
#include "server/context.h"
#include "server/faces/face_app.h"

namespace mayfly {

namespace agent {
class AgentSteps;
}

/// Everything that runs functions, put together: sandbox, supervisor, programs, services. When this machine gives no sandbox all of it is
/// there nevertheless, and calls of functions fail with the reason.
class FunctionHost {
 public:
  FunctionHost(AppContext& context, function::FunctionRegistry& functions, agent::AgentRegistry& agents);
  ~FunctionHost();

  /// Errors: `server.config` (an unknown layer of the sandbox).
  Task<Result<void>> open();
  /// The programs "function:…" and their steps. Once open.
  function::FunctionPrograms& programs();
  /// Once, before the engine opens; `agents` outlives it.
  void attach(engine::Engine& engine, agent::AgentSteps& agents);
  /// What the gateway keeps between requests; from then on functions can reach it.
  void use_faces(std::shared_ptr<faces::FaceState> faces);
  /// Starts the processes that are provisioned.
  void warm_provisioned();
  /// A function changed: `revision` is the newest; 0: it was deleted.
  void changed(const std::string& function, std::int64_t revision);
  /// Ends all processes: those at work after `grace`. Idempotent.
  Task<> stop(Millis grace);

 private:
  struct Parts;
  std::unique_ptr<Parts> parts_;
};

}  // namespace mayfly
