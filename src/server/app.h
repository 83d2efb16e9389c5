#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "agent/agent_spec.h"
#include "server/config.h"
#include "server/context.h"
#include "server/router.h"

namespace mayfly {

/// The composition root: one whole server on one loop.
///
///     App app(io.get_executor(), config);   // spawn app.start(), run the loop, on a signal spawn app.stop()
class App {
 public:
  App(Executor executor, ServerConfig config);
  /// After stop() has returned (or start() failed); before the loop goes away.
  ~App();

  /// Opens the data directory, loads what is deployed, deploys `config.project`, resumes runs, then listens. After a failure everything
  /// is closed.
  /// Errors: `store.locked` and others of the store, `net.address_in_use`, `net.bind`, `project.invalid` (all problems, one a line),
  /// `prices.invalid`, `telemetry.invalid`.
  Task<Result<void>> start();
  /// Stops accepting, gives requests and steps `shutdown_grace`, leaves the rest to the next start. Idempotent.
  Task<> stop();

  std::uint16_t port() const;
  std::string url() const;                          ///< "http://127.0.0.1:7400"
  /// Where the first start wrote the admin key; the file may have been removed since.
  std::string admin_key_path() const;
  bool made_admin_key() const;                      ///< by this start
  /// Deploys the agents and providers of a project. Errors name the agent.
  Task<Result<std::vector<agent::AgentVersion>>> deploy(agent::Project project);
  AppContext& context();
  Router& router();

 private:
  struct Parts;
  std::unique_ptr<Parts> parts_;
};

}  // namespace mayfly
