#pragma once

#include "engine/core/program.h"
#include "workflow/fields.h"
#include "workflow/frame.h"
#include "workflow/resource.h"
#include "workflow/state_machine.h"

namespace mayfly::workflow {

/// One event of a run, from its kept state to the decision. Pure.
class Interpreter {
 public:
  Interpreter(engine::ProgramContext context, const StateMachine& machine, Expressions& expressions);

  engine::Decision begin(const Json& input);
  engine::Decision ended(const engine::Operation& operation);
  /// Error: `operation.not_waiting`. The context is untouched then.
  Result<engine::Decision> command(const JsonObject& body);

  /// Adds the end to the log; called when the run ends.
  void completing(const engine::Completion& completion);
  /// Keeps the state in the run. Something: the run ends, because it holds too much.
  std::optional<engine::Completion> save();

 private:
  // interpreter.cpp: the flow
  engine::Decision go();
  void enter(Frame& frame);
  void work(Frame& frame);
  void pass(Frame& frame);
  void choose_next(Frame& frame);
  void wait(Frame& frame);
  void fail_by_definition(Frame& frame);
  void leave(Frame& frame, Json output, const JsonObject* assigned, const std::string& next);
  void succeed(Frame& frame, const Json& result);
  void state_failed(std::int64_t id, StateError error);
  bool retried(Frame& frame, const StateError& error);
  bool caught(Frame& frame, const StateError& error);
  void frame_failed(std::int64_t id, StateError error);
  void frame_ended(std::int64_t id, Json output);
  void complete(engine::Completion completion);

  // gather.cpp: Parallel and Map
  void start_parallel(Frame& frame);
  void start_map(Frame& frame);
  void start_iterations(std::int64_t id);
  Frame& add_child(Frame& parent, std::int64_t index, const JsonObject& machine, Json input);
  void child_ended(std::int64_t parent, std::int64_t child, Json output);
  void child_failed(std::int64_t parent, std::int64_t child, StateError error);
  void abort_children(std::int64_t parent);
  void abort(std::int64_t id);

  // task.cpp
  void start_task(Frame& frame);
  /// Nothing: it is under way. A value: it is done.
  StateResult<std::optional<Json>> call(Frame& frame, const Resource& resource, const Json& arguments);
  void announce(Frame& frame, const Resource& resource, const Json& arguments, std::int64_t timeout, std::int64_t heartbeat);
  void task_succeeded(Frame& frame, const Resource& resource, const Json& result);
  StateResult<Json> task_result(const Resource& resource, const engine::Operation& operation);
  void task_ended(Frame& frame, const engine::Operation& operation);
  void task_failed(Frame& frame, const Resource& resource, StateError error, bool timed_out);
  void stop_operations(Frame& frame);
  StateResult<std::int64_t> seconds_of(const Frame& frame, std::string_view name, const FieldScope& scope);

  // values
  const JsonObject& machine_of(const Frame& frame) const;
  const JsonObject& state_of(const Frame& frame) const;
  const JsonObject* child_machine(const Frame& parent, std::int64_t index) const;
  Json context_of(const Frame& frame, const std::string& token = {}) const;
  std::map<std::string, Json> variables_of(const Frame& frame) const;
  /// Holds what a FieldScope points to.
  struct Scope {
    Json input, context, result, error_output;
    std::map<std::string, Json> variables;
    FieldScope fields;
  };
  std::unique_ptr<Scope> scope_of(const Frame& frame, Json input, const std::string& token = {});
  StateResult<Json> effective_input(const Frame& frame, const std::string& token = {});
  StateResult<JsonObject> assigned_by(const JsonObject& assign, Scope& scope);
  StateResult<Json> checked(const Frame& frame, Json value) const;
  std::int64_t start(engine::OperationRequest request);
  std::int64_t start_timer(const Frame& frame, std::string kind, TimePoint due);
  void event(Frame& frame, std::string type, std::string_view details_key = {}, JsonObject details = {});

  engine::ProgramContext context_;
  const StateMachine& machine_;
  Expressions& expressions_;
  WorkflowState state_;
  engine::Decision decision_;
  std::size_t log_bytes_ = 0;
  SeededRandom random_;
  bool is_over_ = false;
};

}  // namespace mayfly::workflow
