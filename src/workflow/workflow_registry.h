#pragma once

#include <functional>
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

inline constexpr std::size_t kWorkflowsMax = 10'000;
inline constexpr std::int64_t kRevisionsMax = 10'000;  ///< of one state machine, deleted ones too
inline constexpr std::size_t kVersionsMax = 1'000;
inline constexpr std::size_t kAliasesMax = 100;
inline constexpr std::size_t kTagsMax = 50;
inline constexpr std::size_t kNameCharactersMax = 80;
inline constexpr Millis kNameKept{90LL * 24 * 3'600'000};  ///< how long an execution's name finds it

/// What CreateStateMachine, StartExecution and CreateActivity allow as a name: 1 to 80 characters without white space, control characters,
/// wildcards, brackets and `"#%\^|~`$&,;:/`.
bool is_valid_name(std::string_view name);

/// One revision of a state machine. Executions keep the one that they started with.
struct WorkflowRevision {
  std::string name;           ///< as `is_valid_name`
  std::int64_t revision = 0;  ///< from 1
  Json definition;
  std::string definition_text;    ///< as it was given
  std::string type = "STANDARD";  ///< or EXPRESS
  std::string role_arn;
  std::string revision_id;  ///< UUID
  std::string description;
  Json logging;  ///< kept and shown, otherwise without a meaning here
  Json tracing;
  TimePoint created{};
};

/// A published version: a name that stays with one revision.
struct PublishedVersion {
  std::int64_t revision = 0;
  std::string description;
  TimePoint created{};
};

/// Where the executions that name the alias go: weights are per cent and sum up to 100.
struct Alias {
  struct Route {
    std::int64_t version = 0;
    std::int64_t weight = 100;
    bool operator==(const Route&) const = default;
  };
  std::string description;
  std::vector<Route> routing;  ///< one or two
  TimePoint created{};
  TimePoint updated{};
};

struct WorkflowRecord {
  std::string name;
  std::int64_t current = 0;  ///< the revision that new executions get
  std::int64_t next_version = 1;
  std::map<std::int64_t, PublishedVersion> versions;
  std::map<std::string, Alias> aliases;
  std::map<std::string, std::string> tags;
  TimePoint created{};
};

/// What a qualifier means now.
struct ResolvedWorkflow {
  std::shared_ptr<const WorkflowRevision> revision;
  std::string qualifier;     ///< as it was asked for: a version's number, an alias, or nothing
  std::int64_t version = 0;  ///< the published one that it came to; 0: the current revision
};

/// Deployed state machines, in memory and in rows `meta/workflow/NAME` and `meta/workflow/NAME/r/REVISION`. The engine's host of the
/// programs "workflow:NAME", whose versions are the revisions. A deleted state machine keeps its rows: its executions go on.
class WorkflowRegistry final : public engine::ProgramHost {
 public:
  WorkflowRegistry(Store& store, Clock& clock, Random& random, Expressions& expressions);
  ~WorkflowRegistry() override;

  Task<Result<void>> load();

  enum class Deploy { Any, MustBeNew, MustExist };
  /// A revision equal to the current one deploys nothing. `definition` is read from `definition_text`, or the other way round; `revision`,
  /// `revision_id` and `created` are filled in. Errors: `workflow.invalid` (all problems, one a line), `workflow.invalid_name`,
  /// `workflow.exists` (MustBeNew, and another one is there), `workflow.not_found` (MustExist), `workflow.type_change`, `workflow.limit`,
  /// and those of the store.
  Task<Result<WorkflowRevision>> deploy(WorkflowRevision revision, Deploy mode = Deploy::Any);
  /// Makes the current revision a version; one that the newest version already holds gives that one. `if_revision_id`: only when it is
  /// still the current one. Errors: `workflow.not_found`, `workflow.conflict`, `workflow.limit`.
  Task<Result<std::int64_t>> publish(std::string name, std::string description, std::string if_revision_id);
  /// Applies `change` to versions, aliases and tags and writes them. An error changes nothing. May be called again when another write came
  /// between. Errors: `workflow.not_found`, those of `change`.
  Task<Result<void>> change(std::string name, std::function<Result<void>(WorkflowRecord&)> change);
  /// Error: `workflow.not_found`.
  Task<Result<void>> remove(std::string name);

  std::vector<WorkflowRecord> list() const;  ///< by name
  std::optional<WorkflowRecord> record(const std::string& name) const;
  /// Null when there is none. `revision` 0: the current one. Others also of deleted state machines.
  std::shared_ptr<const WorkflowRevision> revision(const std::string& name, std::int64_t revision = 0) const;
  /// An alias with two routes draws. Error: `workflow.not_found`.
  Result<ResolvedWorkflow> resolve(const std::string& name, const std::string& qualifier = {}) const;
  Error not_found(const std::string& name) const;

  /// The start of an execution. The idempotency key is the execution's name, kept 90 days; one without a name is called by its run's id.
  /// Errors: `workflow.not_found`, `workflow.invalid_name`, `workflow.input_too_large`.
  Result<engine::StartRequest> start(const ResolvedWorkflow& workflow, std::string execution_name, const Json& input) const;
  /// `revision` 0: the current one.
  Result<engine::StartRequest> start(const std::string& name, std::int64_t revision, std::string execution_name, const Json& input) const;

  std::shared_ptr<const engine::Program> find(const std::string& program, std::int64_t version) override;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

inline constexpr std::string_view kProgramPrefix = "workflow:";

}  // namespace mayfly::workflow
