#pragma once

#include <string>
#include <vector>

#include "base/json.h"
#include "cli/terminal.h"

/// Runs, operations and questions of the API as texts for people. Pure.
namespace mayfly::cli {

/// How much a view may use.
struct ViewOptions {
  TimePoint now{};
  std::size_t width = 0;  ///< 0: no limit
  bool colour = false;
};

/// The runs below it (of other agents), each indented under the one that started it: status, cost, why it waits. Empty when there are none.
std::string run_tree(const JsonObject& run, const ViewOptions& view);
/// Those of them that ask a person something now, at most ten.
std::vector<std::string> asking_runs(const JsonObject& run);

/// "succeeded", "running", "waits for approval of refund", "sleeps until 15:04", … with its colour.
Cell status_cell(const JsonObject& run);
/// The table of `mayfly runs`.
std::string runs_table(const JsonArray& runs, const ViewOptions& view);
/// The head of `mayfly show`.
std::string run_head(const JsonObject& run, const ViewOptions& view);
enum class Detail { Brief, Full };
/// One line an operation, in the order of starting; with Full, whole inputs and results below each.
std::string timeline(const JsonObject& run, const JsonArray& operations, Detail detail, const ViewOptions& view);
/// "succeeded · 3 steps · 1.2k tokens · $0.0021 · 4.1s".
std::string run_footer(const JsonObject& run);
/// The question and the commands that answer it.
std::string question_text(const JsonObject& question, const ViewOptions& view);
/// What may be answered to a question of this kind, the default first; empty when any text goes.
std::vector<std::string> choices_of(const JsonObject& question);
/// A conversation, one paragraph a message.
std::string transcript_text(const JsonArray& messages, const ViewOptions& view);
/// One line of `mayfly logs` for an event of the stream.
std::string event_line(std::string_view event, const JsonObject& data, const ViewOptions& view);

/// A time of the API: RFC 3339 text, or milliseconds.
std::optional<TimePoint> time_of(const JsonObject& object, std::string_view key);

}  // namespace mayfly::cli
