#pragma once

#include <optional>
#include <string>
#include <vector>

#include "agent/service.h"
#include "base/json.h"
#include "engine/engine.h"

/// Runs as tasks: a task is a run, a context is a session.
namespace mayfly::a2a {

/// TASK_STATE_…; `asks`: a person's answer is what it waits for.
std::string_view state_of(const engine::Execution& run, bool asks);
bool is_terminal(std::string_view state);
/// Whether a run without an end waits for an answer of a person.
bool is_asking(const engine::Execution& run);
std::string context_of(const engine::Execution& run);

/// What of a task is wanted.
struct TaskDetail {
  std::optional<std::int64_t> history_max;  ///< nothing: all
  bool artifacts = true;
};
/// `run.result` whole. `input`: of the run's EXECUTION operation, normalised; null where the history is not wanted.
JsonObject task_of(const engine::Execution& run, const std::optional<agent::Question>& question, const Json& input, const TaskDetail& detail);
JsonObject status_of_task(const engine::Execution& run, const std::optional<agent::Question>& question);
/// The answer of a run that succeeded, as its one artifact.
std::optional<JsonObject> artifact_of(const engine::Execution& run);

/// What an agent is given for a message: texts, JSON and images. Errors: `a2a.invalid_message`, `a2a.content_type`.
Result<Json> input_of_message(const JsonObject& message);
/// What a message answers to a question: its data {"decision", "comment", "add"}, or its text as the decision.
Result<agent::PersonAnswer> answer_of_message(const JsonObject& message);

}  // namespace mayfly::a2a
