#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "workflow/workflow_registry.h"

/// How state machines look in the store.
namespace mayfly::workflow {

/// The row `meta/workflow/NAME`. A deleted state machine keeps one, so that its revisions' numbers never come again.
struct StoredWorkflow {
  WorkflowRecord record;
  std::int64_t revisions = 0;  ///< made so far
  bool deleted = false;
};

inline constexpr std::string_view kWorkflowPrefix = "meta/workflow/";
std::string workflow_key(std::string_view name);

std::string to_row(const StoredWorkflow& workflow);
/// Error: `store.damaged`.
Result<StoredWorkflow> workflow_from_row(std::string_view row);

/// A definition may be larger than one value of the store: `meta/workflow/NAME/r/REVISION`, and the rest of the text in `…/REVISION/1` and
/// on.
std::vector<Put> to_rows(const WorkflowRevision& revision);
/// From the rows' values, in order. Error: `store.damaged`.
Result<WorkflowRevision> revision_from_rows(const std::vector<std::string>& values);

}  // namespace mayfly::workflow
