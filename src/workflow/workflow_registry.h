#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "runtime/clock.h"
#include "runtime/random.h"
#include "store/store.h"
#include "workflow/workflow.h"

namespace mayfly::workflow {

/// One revision of a state machine. Executions keep the one that they started with.
struct WorkflowRevision {
  std::string name;          ///< 1 to 80 characters as CreateStateMachine allows them
  std::int64_t revision = 0;  ///< from 1
  Json definition;
  std::string definition_text;  ///< as it was given
  std::string type = "STANDARD";  ///< or EXPRESS
  std::string role_arn;
  std::string revision_id;  ///< UUID
  std::string description;
  Json logging;
  Json tracing;
  TimePoint created{};
};

struct WorkflowRecord {
  std::string name;
  std::int64_t current = 0;                        ///< the revision that new executions get
  std::map<std::int64_t, std::int64_t> versions;   ///< published version → revision
  std::map<std::string, Json> aliases;             ///< name → {description, routing: [{version, weight}], created, updated}
  std::map<std::string, std::string> tags;
  bool deleting = false;
  TimePoint created{};
};

/// Deployed state machines, in memory and in rows `meta/workflow/NAME` and `meta/workflow/NAME/r/REVISION`. The engine's host of the programs
/// "workflow:NAME".
class WorkflowRegistry final : public engine::ProgramHost {
 public:
  WorkflowRegistry(Store& store, Clock& clock, Random& random, Expressions& expressions);
  ~WorkflowRegistry() override;

  Task<Result<void>> load();
  /// A revision equal to the current one deploys nothing. Errors: `workflow.invalid`, `workflow.limit`, and those of the store.
  Task<Result<WorkflowRevision>> deploy(WorkflowRevision revision);
  Task<Result<void>> put(WorkflowRecord record);
  Task<Result<void>> remove(std::string name);

  std::vector<WorkflowRecord> list() const;
  std::optional<WorkflowRecord> record(const std::string& name) const;
  /// Null when there is none. `revision` 0: the current one.
  std::shared_ptr<const WorkflowRevision> revision(const std::string& name, std::int64_t revision = 0) const;
  Error not_found(const std::string& name) const;

  /// The start of an execution; `execution_name` empty: one is made. The idempotency key is the execution's name, kept 90 days.
  Result<engine::StartRequest> start(const std::string& name, std::int64_t revision, std::string execution_name, const Json& input) const;

  std::shared_ptr<const engine::Program> find(const std::string& program, std::int64_t version) override;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

inline constexpr std::string_view kProgramPrefix = "workflow:";

}  // namespace mayfly::workflow
