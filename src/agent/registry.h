#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "agent/agent_spec.h"
#include "engine/engine.h"

namespace mayfly::agent {

struct AgentVersion {
  std::int64_t version = 0;  ///< from 1
  AgentSpec spec;
  TimePoint deployed{};
};

/// The deployed agents and all their versions, kept in memory: rows `meta/agent/NAME` (which version new runs get) and
/// `meta/agent/NAME/v/VERSION`. A run keeps the version that it started with.
class AgentRegistry final : public engine::ProgramHost {
 public:
  AgentRegistry(Store& store, Clock& clock, llm::PriceTable prices);
  ~AgentRegistry() override;

  /// Reads every version from the store. Before the engine opens.
  Task<Result<void>> load();
  /// A spec equal to the current version deploys nothing. Returns the version that new runs get.
  Task<Result<AgentVersion>> deploy(AgentSpec spec);
  /// A further version that new runs do not get by default (a fork's).
  Task<Result<AgentVersion>> add_version(AgentSpec spec);
  /// Lets new runs start with `version` again, or with the one before the current. Errors: `agent.not_found`, `agent.no_such_version`.
  Task<Result<AgentVersion>> rollback(std::string name, std::optional<std::int64_t> version);
  /// Removes the agent from the list; its runs go on.
  Task<Result<void>> remove(std::string name);

  /// Current versions by name.
  std::vector<AgentVersion> list() const;
  /// Null when there is none. A version never changes; a caller may keep it.
  std::shared_ptr<const AgentVersion> current(const std::string& name) const;
  std::shared_ptr<const AgentVersion> version(const std::string& name, std::int64_t version) const;
  std::vector<AgentVersion> versions(const std::string& name) const;
  /// The error for an unknown name, with the names that exist.
  Error not_found(const std::string& name) const;

  std::shared_ptr<const engine::Program> find(const std::string& name, std::int64_t version) override;
  /// {"agent": NAME, "input", "lineage", "session"?, "wall_time_ms"?}: a run of the agent's current version at this moment.
  Result<engine::StartRequest> chained(const JsonObject& invoke) override;

 private:
  struct Entry;
  Task<Result<AgentVersion>> write(AgentSpec spec, bool make_current);
  Task<Result<void>> write_head(std::string name, std::int64_t current);
  Store& store_;
  Clock& clock_;
  llm::PriceTable prices_;
  std::map<std::string, std::unique_ptr<Entry>> agents_;
};

}  // namespace mayfly::agent
