#pragma once

#include <optional>
#include <string>
#include <vector>

#include "agent/agent_spec.h"
#include "agent/lineage.h"
#include "engine/core/types.h"
#include "llm/message.h"

namespace mayfly::agent {

/// What the journal holds as a run's input: {"message": content parts, "data"?: any, "history"?: messages, "lineage"?: see lineage.h}.
/// A number `hops` (also in `data`) counts the destinations on the way here. From what a caller sent (see `Invocation::input`). Error: `input.invalid`.
Result<Json> normalise_input(const Json& input);

/// The user message of a normalised input.
llm::Message message_of_input(const Json& input);
/// Messages before it (of a forked run).
std::vector<llm::Message> history_of_input(const Json& input);

Lineage lineage_of_input(const Json& input);

/// What the model is told of an ended tool call.
std::string tool_result_text(const engine::Operation& operation);
bool tool_result_is_error(const engine::Operation& operation);
/// The same of a `fan_out` (CONTEXT), whose answers are those of the run's other operations.
std::string fan_out_text(const engine::Operation& operation, const std::vector<engine::Operation>& operations);
/// How much of each answer goes back to the model when so many are gathered.
std::size_t gathered_bytes_max(std::size_t tasks);

/// The conversation of one run as the journal tells it: input, model answers, tool results in the order of the calls, notes,
/// messages that joined. Calls without a result (the run ended first) get one that says so. With `upto`, only what came before that
/// operation. `from`: operations up to this one are left out (a summary stands for them).
std::vector<llm::Message> conversation_of(const std::vector<engine::Operation>& operations, std::int64_t from = -1,
                                          std::int64_t upto = INT64_MAX);

}  // namespace mayfly::agent
