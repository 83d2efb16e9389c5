#include "server/states/executions.h"

#include <algorithm>

#include "server/states/states_arn.h"

namespace mayfly::states {
namespace {

constexpr std::string_view kStopped = "run.cancelled";
constexpr int kReadsMax = 5;

/// Who stops an execution may name an error; the engine keeps one text.
struct StopReason {
  std::string error, cause;
};
StopReason stop_reason(const std::string& message) {
  if (message.starts_with('{')) {
    const auto value = parse_json(message);
    const JsonObject* object = value ? value->if_object() : nullptr;
    if (object && object->size() == 2 && object->contains("error") && object->contains("cause"))
      return {get_string(*object, "error"), get_string(*object, "cause")};
  }
  return {{}, message};
}

Error task_error(const Error& error) {
  if (error.code == "run.not_found") return {"task.not_found", "Task Does Not Exist: 'Provided task does not exist'", Retry::Never};
  if (error.code == "run.ended" || error.code == "operation.not_waiting")
    return {"task.ended", "Task Timed Out: 'Provided task does not exist anymore'", Retry::Never};
  return error;
}

bool is_state_machine(const engine::Execution& run) { return run.program.starts_with(workflow::kProgramPrefix); }

Result<workflow::TaskRef> task_of(const std::string& token) {
  auto out = workflow::parse_task_token(token);
  if (!out) return fail("workflow.invalid_token", "Invalid Token: 'Invalid token'");
  return out;
}

/// The same as `wanted` of an execution that holds the name.
Task<Result<ExecutionDetails>> holder_of_name(AppContext* app, std::string workflow, std::string name, Json wanted) {
  const Error exists{"execution.exists", "Execution Already Exists: '" + execution_arn(workflow, name) + "'", Retry::Never};
  auto run = co_await find_execution(app, workflow, name);
  if (!run) co_return fail(run.error().code == "execution.not_found" ? exists : run.error());
  auto details = co_await details_of(app, *std::move(run));
  if (!details) co_return details;
  if (!details->run.open() || to_canonical_text(details->input) != to_canonical_text(wanted)) co_return fail(exists);
  co_return details;
}

}  // namespace

std::string ExecutionDetails::arn() const { return is_express ? express_arn(workflow, name, run.id) : execution_arn(workflow, name); }

std::string ExecutionDetails::status() const {
  return run.status == engine::ExecutionStatus::Stopped ? "ABORTED" : std::string(engine::to_string(run.status));
}

std::string ExecutionDetails::error() const {
  if (!run.error) return {};
  return run.error->code == kStopped ? stop_reason(run.error->message).error : run.error->code;
}

std::string ExecutionDetails::cause() const {
  if (!run.error) return {};
  return run.error->code == kStopped ? stop_reason(run.error->message).cause : run.error->message;
}

Task<Result<ExecutionDetails>> start_execution(AppContext* app, workflow::ResolvedWorkflow workflow, std::string name, Json input,
                                               std::string traceparent) {
  auto request = app->workflows->start(workflow, name, input);
  if (!request) co_return fail(request.error());
  const bool is_express = workflow.revision->type == "EXPRESS";
  if (is_express) request->idempotency_key.clear();
  request->traceparent = std::move(traceparent);
  auto started = co_await app->engine->start(*std::move(request));
  const bool is_taken = started ? started->as == engine::StartedAs::Duplicate : started.error().code == "idempotency.mismatch";
  if (is_taken) co_return co_await holder_of_name(app, workflow.revision->name, name, std::move(input));
  if (!started) co_return fail(started.error());
  auto run = co_await app->engine->get(started->run);
  if (!run) co_return fail(run.error());
  ExecutionDetails out{*std::move(run), workflow.revision->name, name, workflow.qualifier, workflow.version, is_express, std::move(input)};
  if (out.name.empty()) out.name = out.run.id;
  co_return out;
}

Task<Result<engine::Execution>> find_execution(AppContext* app, std::string workflow, std::string name) {
  const Error missing{"execution.not_found",
                      "Execution Does Not Exist: '" + execution_arn(to_utf8_lossy(workflow), to_utf8_lossy(name)) + "'", Retry::Never};
  const std::string program = std::string(workflow::kProgramPrefix) + workflow;
  auto found = co_await app->engine->find_by_key(program, {}, name);
  if (!found) co_return fail(found.error());
  if (!*found && !engine::keys::partition_of_run(name)) co_return fail(missing);
  auto run = co_await app->engine->get(found->value_or(name));
  if (!run) co_return fail(run.error().code == "run.not_found" ? missing : run.error());
  if (run->program != program) co_return fail(missing);
  co_return run;
}

Task<Result<ExecutionDetails>> details_of(AppContext* app, engine::Execution run) {
  if (!is_state_machine(run))
    co_return fail("execution.not_found", run.id + " is not an execution of a state machine; look at it with `mayfly show " + run.id + "`");
  auto first = co_await app->engine->operations_by_id(run.id, {0});
  if (!first) co_return fail(first.error());
  Json start;
  if (!first->empty()) start = std::visit([](const auto& operation) { return operation.input; }, first->front());
  auto whole = co_await app->engine->unspill(std::move(start));
  if (!whole) co_return fail(whole.error());
  ExecutionDetails out;
  out.workflow = run.program.substr(workflow::kProgramPrefix.size());
  const auto revision = app->workflows->revision(out.workflow, run.version);
  out.is_express = revision && revision->type == "EXPRESS";
  out.name = run.id;
  if (const JsonObject* object = whole->if_object()) {
    if (std::string name = get_string(*object, "name"); !name.empty()) out.name = std::move(name);
    out.qualifier = get_string(*object, "qualifier");
    out.published = get_int(*object, "published");
    if (const Json* input = get(*object, "input")) out.input = *input;
  }
  out.run = std::move(run);
  co_return out;
}

Task<Result<Json>> output_of(AppContext* app, engine::Execution run) { co_return co_await app->engine->unspill(std::move(run.result)); }

Task<Result<std::vector<JsonObject>>> history_of(AppContext* app, std::string run) {
  for (int reads = 0; reads < kReadsMax; ++reads) {
    auto before = co_await app->engine->get(run);
    if (!before) co_return fail(before.error());
    auto operations = co_await app->engine->operations(run, -1);
    if (!operations) co_return fail(operations.error());
    auto after = co_await app->engine->get(run);
    if (!after) co_return fail(after.error());
    // The record and the operations must be of one moment.
    if (before->revision != after->revision && reads + 1 < kReadsMax) continue;
    auto result = co_await app->engine->unspill(std::move(after->result));
    if (!result) co_return fail(result.error());
    after->result = *std::move(result);
    const auto has_ended = [&](const engine::PendingOperation& pending) {
      return std::ranges::find(*operations, pending.id, &engine::Operation::id) != operations->end();
    };
    std::erase_if(after->pending, has_ended);
    auto events = workflow::history_of(*after, *operations);
    if (events.empty() || !after->error || after->error->code != kStopped) co_return events;
    if (Json* details = events.back().if_contains("executionAbortedEventDetails"); details && details->is_object()) {
      const StopReason reason = stop_reason(after->error->message);
      JsonObject shown;
      if (!reason.error.empty()) shown["error"] = reason.error;
      if (!reason.cause.empty()) shown["cause"] = reason.cause;
      *details = std::move(shown);
    }
    co_return events;
  }
  co_return fail("engine.overloaded", "the execution changes too fast to be read; try again", Retry::Safe);
}

Task<Result<void>> stop_execution(AppContext* app, std::string run, std::string error, std::string cause) {
  std::string reason = error.empty() ? std::move(cause) : to_text(JsonObject{{"error", error}, {"cause", cause}});
  auto stopped = co_await app->engine->cancel(run, std::move(reason));
  if (!stopped && stopped.error().code != "run.ended") co_return fail(stopped.error());
  co_return Result<void>{};
}

/// A token is no secret and names any operation: only tasks of state machines that wait for one are answered by it.
Task<Result<workflow::TaskRef>> waiting_task(AppContext* app, std::string token) {
  auto task = task_of(token);
  if (!task) co_return task;
  auto run = co_await app->engine->get(task->run);
  if (!run) co_return fail(task_error(run.error()));
  if (!run->program.starts_with(workflow::kProgramPrefix)) co_return fail("workflow.invalid_token", "this is not the token of a task");
  const engine::PendingOperation* operation = run->find_pending(task->operation);
  const bool waits = operation && operation->type == engine::OperationType::Callback && (operation->kind == "task" || operation->kind == "activity");
  if (!waits) co_return fail(task_error({"operation.not_waiting", "the task does not wait any more", Retry::Never}));
  co_return task;
}

Task<Result<void>> task_succeeded(AppContext* app, std::string token, Json output) {
  const auto task = co_await waiting_task(app, std::move(token));
  if (!task) co_return fail(task.error());
  auto done = co_await app->engine->resolve(workflow::task_succeeded(*task, std::move(output)));
  if (!done) co_return fail(task_error(done.error()));
  co_return done;
}

Task<Result<void>> task_failed(AppContext* app, std::string token, std::string error, std::string cause) {
  const auto task = co_await waiting_task(app, std::move(token));
  if (!task) co_return fail(task.error());
  auto done = co_await app->engine->resolve(workflow::task_failed(*task, std::move(error), std::move(cause)));
  if (!done) co_return fail(task_error(done.error()));
  co_return done;
}

Task<Result<void>> task_heartbeat(AppContext* app, std::string token) {
  const auto task = co_await waiting_task(app, std::move(token));
  if (!task) co_return fail(task.error());
  auto done = co_await app->engine->command(task->run, workflow::heartbeat_command(*task));
  if (!done) co_return fail(task_error(done.error()));
  co_return Result<void>{};
}

}  // namespace mayfly::states
