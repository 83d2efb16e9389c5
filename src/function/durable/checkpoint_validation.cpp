#include <algorithm>

#include "function/durable/checkpoint.h"
#include "function/durable/tokens.h"

namespace mayfly::function {
namespace {

using engine::OperationType;
using engine::ProgramContext;
using Where = KnownOperations::Where;

std::unexpected<Error> invalid(std::string message) { return fail("checkpoint.invalid", std::move(message)); }

bool is_valid_action(OperationType type, Action action) {
  switch (type) {
    case OperationType::Step: return action != Action::Cancel;
    case OperationType::Context: return action == Action::Start || action == Action::Fail || action == Action::Succeed;
    case OperationType::Wait: return action == Action::Start || action == Action::Cancel;
    case OperationType::Callback:
    case OperationType::ChainedInvoke: return action == Action::Start;
    case OperationType::Execution: return action == Action::Succeed || action == Action::Fail;
  }
  return false;
}

Result<void> validate_execution_updates(const std::vector<Update>& updates) {
  const auto is_execution = [](const Update& update) { return update.type == OperationType::Execution; };
  const auto count = std::ranges::count_if(updates, is_execution);
  if (count > 1) return invalid("Cannot checkpoint multiple EXECUTION updates.");
  if (count == 1 && !is_execution(updates.back())) return invalid("EXECUTION checkpoint must be the last update.");
  return {};
}

Result<void> validate_ids(const std::vector<Update>& updates, const KnownOperations& known) {
  std::unordered_map<std::string_view, const Update*> started, last;
  for (const Update& update : updates) {
    if (const auto before = last.find(update.id); before != last.end()) {
      const Update& first = *before->second;
      const bool goes_on = (first.type == OperationType::Step || first.type == OperationType::Context) && first.action == Action::Start &&
                           update.action != Action::Start;
      if (!goes_on) return invalid("Cannot checkpoint multiple operations with the same ID.");
      if (first.type != update.type) return invalid("Inconsistent operation type.");
    }
    if (!update.parent.empty()) {
      const auto parent = started.find(update.parent);
      const bool is_context =
          parent != started.end() ? parent->second->type == OperationType::Context : known.find(update.parent).is_context;
      if (!is_context) return invalid("Invalid parent operation id.");
    }
    if (update.action == Action::Start) started[update.id] = &update;
    last[update.id] = &update;
  }
  return {};
}

Result<void> validate_metadata(const Update& update, const KnownOperations::Found& found) {
  if (found.where == Where::Nowhere) return {};
  if (found.is_context != (update.type == OperationType::Context)) return invalid("Inconsistent operation type.");
  if (found.where == Where::Ended) return {};
  const engine::PendingOperation& op = *found.pending;
  if (op.type != update.type) return invalid("Inconsistent operation type.");
  if (!update.sub_type.empty() && update.sub_type != op.kind) return invalid("Inconsistent operation subtype.");
  if (!update.name.empty() && update.name != op.name) return invalid("Inconsistent operation name.");
  if (!update.parent.empty() && update.parent != note_from_json(op.note).parent) return invalid("Inconsistent parent operation id.");
  return {};
}

Result<void> validate_step(const Update& update, const KnownOperations::Found& found) {
  if (found.where == Where::Nowhere) return {};
  const std::string status = found.where == Where::Pending ? note_from_json(found.pending->note).status : "";
  const bool active = status == "STARTED" || status == "READY";
  switch (update.action) {
    case Action::Start:
      if (status != "READY") return invalid("Invalid current STEP state to start.");
      return {};
    case Action::Retry:
      if (!active) return invalid("Invalid current STEP state to re-attempt.");
      if (!update.retry_delay) return invalid("Invalid StepOptions for the given action.");
      if (!update.error.is_null() && !update.payload.is_null()) return invalid("Cannot provide both error and payload to RETRY a STEP.");
      return {};
    default:
      if (!active) return invalid("Invalid current STEP state to close.");
      if (update.action == Action::Fail && !update.payload.is_null()) return invalid("Cannot provide a Payload for FAIL action.");
      if (update.action == Action::Succeed && !update.error.is_null()) return invalid("Cannot provide an Error for SUCCEED action.");
      return {};
  }
}

Result<void> validate_context(const Update& update, const KnownOperations::Found& found) {
  if (update.action == Action::Start) {
    if (found.where != Where::Nowhere) return invalid("Cannot start a CONTEXT that already exist.");
    return {};
  }
  if (found.where == Where::Ended) return invalid("Invalid current CONTEXT state to close.");
  if (update.action == Action::Fail && !update.payload.is_null()) return invalid("Cannot provide a Payload for FAIL action.");
  if (update.action == Action::Succeed && !update.error.is_null()) return invalid("Cannot provide an Error for SUCCEED action.");
  return {};
}

Result<void> validate_wait(const Update& update, const KnownOperations::Found& found) {
  if (update.action == Action::Start) {
    if (found.where != Where::Nowhere) return invalid("Cannot start a WAIT that already exist.");
  } else if (found.where != Where::Pending) {
    return invalid("Cannot cancel a WAIT that does not exist or has already completed.");
  }
  return {};
}

Result<void> validate_invoke(const Update& update, const KnownOperations::Found& found) {
  if (found.where != Where::Nowhere) return invalid("Cannot start a CHAINED_INVOKE operation that already exists.");
  if (!update.has_invoke_options) return invalid("Update for CHAINED_INVOKE operation requires ChainedInvokeOptions.");
  return {};
}

Result<void> validate_transition(const Update& update, const KnownOperations::Found& found) {
  switch (update.type) {
    case OperationType::Step: return validate_step(update, found);
    case OperationType::Context: return validate_context(update, found);
    case OperationType::Wait: return validate_wait(update, found);
    case OperationType::ChainedInvoke: return validate_invoke(update, found);
    case OperationType::Callback:
      if (found.where != Where::Nowhere) return invalid("Cannot start a CALLBACK that already exist.");
      return {};
    case OperationType::Execution:
      if (update.action == Action::Succeed && !update.error.is_null()) return invalid("Cannot provide an Error for SUCCEED action.");
      if (update.action == Action::Fail && !update.payload.is_null()) return invalid("Cannot provide a Payload for FAIL action.");
      return {};
  }
  return {};
}

Result<void> validate_sizes(const Update& update, const ProgramContext& context) {
  const std::string limit = std::to_string(kChainedPayloadBytesMax) + " bytes.";
  if (update.payload_bytes <= kChainedPayloadBytesMax) return {};
  if (update.type == OperationType::ChainedInvoke)
    return invalid("CHAINED_INVOKE input payload size must be less than or equal to " + limit);
  if (update.type == OperationType::Execution && context.run.parent)
    return invalid("Execution output payload size must be less than or equal to " + limit);
  return {};
}

}  // namespace

KnownOperations::KnownOperations(ProgramContext context) : ended_(context.ended) {
  for (engine::PendingOperation& op : context.run.pending)
    if (!op.key.empty()) pending_.emplace(op.key, &op);
}

KnownOperations::Found KnownOperations::find(std::string_view id) const {
  for (const bool is_context : {false, true}) {
    const std::string key = operation_key(is_context ? OperationType::Context : OperationType::Step, id);
    if (const auto at = pending_.find(key); at != pending_.end()) return {Where::Pending, is_context, at->second, {}};
    if (!ended_) continue;
    if (const auto at = ended_->find(key); at != ended_->end()) return {Where::Ended, is_context, nullptr, at->second};
  }
  return {};
}

Result<void> validate(const std::vector<Update>& updates, ProgramContext context, const DurableState& state) {
  const KnownOperations known(context);
  if (auto valid = validate_execution_updates(updates); !valid) return valid;
  if (auto valid = validate_ids(updates, known); !valid) return valid;
  std::int64_t fresh = 0;
  std::unordered_map<std::string_view, bool> counted;
  for (const Update& update : updates) {
    const bool is_execution = update.type == OperationType::Execution;
    const KnownOperations::Found found = is_execution ? KnownOperations::Found{} : known.find(update.id);
    if (auto valid = validate_metadata(update, found); !valid) return valid;
    if (auto valid = validate_sizes(update, context); !valid) return valid;
    if (!is_valid_action(update.type, update.action)) return invalid("Invalid action for the given operation type.");
    if (auto valid = validate_transition(update, found); !valid) return valid;
    if (!is_execution && found.where == Where::Nowhere && counted.emplace(update.id, true).second) ++fresh;
  }
  if (state.operations + fresh > kOperationsMax)
    return invalid("A durable execution has at most " + std::to_string(kOperationsMax) +
                   " operations; start child executions by invoking functions, or process several items in one step.");
  return {};
}

}  // namespace mayfly::function
