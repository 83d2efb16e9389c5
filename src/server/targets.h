#pragma once

#include <string>

#include "agent/registry.h"
#include "server/context.h"
#include "trigger/trigger_service.h"

namespace mayfly {

/// A run of the agent's current version. Errors: `agent.not_found`, `session.required`, `session.not_keyed`, `input.invalid`.
Result<engine::StartRequest> agent_start(const agent::AgentRegistry& agents, const std::string& name, const Json& input,
                                         const std::string& session);
/// The same of a payload {"input", "session"}, or the input itself.
Result<engine::StartRequest> agent_start_of_payload(const agent::AgentRegistry& agents, const std::string& name, const Json& payload);

/// What events are sent to, and what state machines and deliveries invoke.
class Targets final : public trigger::TargetHost {
 public:
  explicit Targets(AppContext& app) : app_(app) {}
  Result<void> check(const trigger::Target& target) const override;
  Result<engine::StartRequest> start(const trigger::Target& target, const Json& input, const std::string& session, Ask ask) const override;
  Task<Result<Json>> call(std::string function, Json payload, CancelToken cancel) override;

 private:
  AppContext& app_;
};

}  // namespace mayfly
