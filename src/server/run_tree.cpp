#include "server/run_tree.h"

#include <algorithm>

#include "server/json_views.h"

namespace mayfly {
namespace {

using engine::OperationType;

/// Most runs have no children, and their operations need not be read to know it.
bool may_have_children(const engine::Execution& run) {
  const JsonObject* summary = run.summary.if_object();
  return (summary && get_int(*summary, "children") > 0) ||
         std::ranges::find(run.pending, OperationType::ChainedInvoke, &engine::PendingOperation::type) != run.pending.end();
}

/// The operations that started runs, pending and ended, by id.
Task<Result<std::vector<std::int64_t>>> invokes_of(engine::Engine& engine, std::string run) {
  auto description = co_await engine.describe(std::move(run));
  if (!description) co_return std::unexpected(description.error());
  std::vector<std::int64_t> out;
  for (const engine::Operation& operation : description->operations)
    if (operation.type == OperationType::ChainedInvoke) out.push_back(operation.id);
  for (const engine::PendingOperation& operation : description->run.pending)
    if (operation.type == OperationType::ChainedInvoke) out.push_back(operation.id);
  std::ranges::sort(out);
  co_return out;
}

}  // namespace

Task<Result<JsonArray>> children_view(engine::Engine& engine, engine::Execution run, std::size_t* budget) {
  JsonArray out;
  if (!may_have_children(run) || *budget == 0) co_return out;
  const auto invokes = co_await invokes_of(engine, run.id);
  if (!invokes) co_return std::unexpected(invokes.error());
  for (const std::int64_t operation : *invokes) {
    if (*budget == 0) break;
    const auto id = co_await engine.invoked(run.id, operation);
    if (!id) co_return std::unexpected(id.error());
    if (!*id) continue;
    auto child = co_await engine.get(**id);
    if (!child) continue;
    --*budget;
    auto below = co_await children_view(engine, *child, budget);
    if (!below) co_return std::unexpected(below.error());
    out.push_back(child_view(*child, operation, std::move(*below)));
  }
  co_return out;
}

}  // namespace mayfly
