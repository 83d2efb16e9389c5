#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <vector>

#include "engine/engine.h"
#include "telemetry/otlp.h"

namespace mayfly::telemetry {

/// Spans of one run, at most; later operations are left out and counted in the attribute `mayfly.operations_left_out`.
inline constexpr std::size_t kRunSpansMax = 2'000;

/// The span id of an operation, 0 meaning the run itself. A hash: the same after a crash, so that exporting twice does not double anything.
std::string span_id_of(std::string_view run, std::int64_t operation);

/// The traceparent to send with the calls that an operation makes, so that the other side's spans hang below ours.
/// Empty when `traceparent` is.
std::string traceparent_of(std::string_view traceparent, std::string_view run, std::int64_t operation);

/// A run that has ended, as spans after the OpenTelemetry semantic conventions for generative AI (development status, as of v1.41):
///
///     invoke_agent AGENT        INTERNAL  the run; its parent is the caller's span, or the operation of the run that started it
///       chat MODEL              CLIENT    a model call
///       execute_tool TOOL       INTERNAL  a tool call
///       approval TOOL, limit …  INTERNAL  what a person or a timer had to end
///
/// No prompts, answers, arguments or results. Empty for a run that has not ended or whose caller did not sample its trace.
/// The trace id of a run without traceparent is a hash of the run.
std::vector<Span> make_run_spans(const engine::RunDescription& description);

/// Exports every run when it ends. `run_ended` may be called from anywhere on the loop: it only notes the run, the description is read
/// later, and what piles up beyond `queue_max` is dropped and counted.
class RunObserver {
 public:
  RunObserver(Executor executor, TraceExporter& exporter, std::size_t queue_max = 10'000)
      : exporter_(exporter), queue_max_(queue_max), tasks_(executor) {}

  /// Before that, and after `stop`, run_ended does nothing. `engine` must outlive `stop`.
  void start(engine::Engine& engine) { engine_ = &engine; }
  void run_ended(std::string run);
  /// Reads what was noted. Before the exporter and the engine stop. Idempotent.
  Task<> stop();
  std::uint64_t dropped() const { return dropped_; }

 private:
  Task<> work();

  TraceExporter& exporter_;
  std::size_t queue_max_;
  engine::Engine* engine_ = nullptr;
  std::deque<std::string> ended_;
  TaskGroup tasks_;
  bool is_working_ = false;
  std::uint64_t dropped_ = 0;
};

}  // namespace mayfly::telemetry
