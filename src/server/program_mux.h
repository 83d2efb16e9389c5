#pragma once

#include <string>
#include <vector>

#include "engine/engine.h"
#include "trigger/trigger_service.h"

namespace mayfly {

/// The engine's one host and executor: sends each program to those who know it, by the prefix of its name ("function:", "workflow:",
/// "delivery:"). A name without a colon is an agent's.
class ProgramMux final : public engine::ProgramHost, public engine::StepExecutor {
 public:
  struct Entry {
    std::string prefix;  ///< empty: agents
    engine::ProgramHost* programs = nullptr;
    engine::StepExecutor* steps = nullptr;  ///< null: its programs start no STEPs
  };
  /// Before the engine opens; what is added outlives it.
  void add(Entry entry);
  /// What CHAINED_INVOKEs of the form {"target", "input", "session"} start.
  void use(const trigger::TargetHost& targets) { targets_ = &targets; }

  std::shared_ptr<const engine::Program> find(const std::string& name, std::int64_t version) override;
  Result<engine::StartRequest> chained(const JsonObject& invoke) override;
  Task<engine::StepOutcome> execute(engine::StepCall call) override;
  void hibernated(const std::string& session) override;

 private:
  const Entry* entry_of(std::string_view program) const;
  std::vector<Entry> entries_;
  const trigger::TargetHost* targets_ = nullptr;
};

}  // namespace mayfly
