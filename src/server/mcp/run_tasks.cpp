#include "server/mcp/run_tasks.h"

#include <charconv>

#include "server/mcp/task_program.h"
#include "server/run_stream.h"

namespace mayfly {
namespace {

using mcp::TaskState;
using Status = TaskState::Status;

constexpr std::string_view kQuestion = "question_";
constexpr Millis kLongTime{3'600'000};
constexpr std::size_t kQuestionsMax = 16;

JsonObject object_of(const Json& value) { return value.is_object() ? value.get_object() : JsonObject(); }

JsonObject text_result(std::string text, bool is_error) {
  JsonObject out{{"content", JsonArray{JsonObject{{"type", "text"}, {"text", std::move(text)}}}}};
  if (is_error) out["isError"] = true;
  return out;
}

/// An agent's {"text", "data"?, …}.
JsonObject agent_result(const Json& result) {
  const JsonObject fields = object_of(result);
  JsonObject out = text_result(fields.contains("text") ? get_string(fields, "text") : to_text(result), false);
  if (const Json* data = get(fields, "data"); data && data->is_object()) out["structuredContent"] = *data;
  return out;
}

JsonObject question_request(const agent::Question& question) {
  JsonObject answer{{"type", "string"}, {"title", "Answer"}};
  return {{"method", "elicitation/create"},
          {"params", JsonObject{{"mode", "form"},
                                {"message", question.text},
                                {"requestedSchema", JsonObject{{"type", "object"},
                                                               {"properties", JsonObject{{"answer", std::move(answer)}}},
                                                               {"required", JsonArray{"answer"}}}}}}};
}

class RunTasks final : public mcp::TaskPort {
 public:
  explicit RunTasks(AppContext& app) : app_(app) {}

  Task<Result<TaskState>> get(mcp::Caller caller, std::string id) override {
    auto run = co_await find(&caller, id);
    if (!run) co_return fail(run.error());
    co_return co_await state_of(*std::move(run));
  }

  Task<Result<void>> update(mcp::Caller caller, std::string id, JsonObject responses) override {
    auto run = co_await find(&caller, id);
    if (!run) co_return fail(run.error());
    for (const auto& pending : run->pending) {
      const Json* response = pending.kind == kMcpInputKind ? mayfly::get(responses, pending.name) : nullptr;
      if (!response) continue;
      auto done = co_await app_.engine->resolve({.run = id, .operation = pending.id, .result = *response});
      if (!done && done.error().code != "operation.not_waiting") co_return done;
    }
    for (const auto& member : responses) {
      const std::string_view name = member.key();
      if (!name.starts_with(kQuestion)) continue;
      std::int64_t operation = 0;
      std::from_chars(name.data() + kQuestion.size(), name.data() + name.size(), operation);
      const JsonObject answer = object_of(member.value());
      const auto* content = get_object(answer, "content");
      if (operation <= 0 || get_string(answer, "action") != "accept" || !content) continue;
      agent::PersonAnswer given;
      given.decision = get_string(*content, "answer");
      given.by = caller.label.empty() ? caller.id : caller.label;
      auto done = co_await app_.service->answer(id, operation, std::move(given));
      if (!done && done.error().code != "question.not_found") co_return done;
    }
    co_return Result<void>{};
  }

  Task<Result<void>> cancel(mcp::Caller caller, std::string id) override {
    auto run = co_await find(&caller, id);
    if (!run) co_return fail(run.error());
    if (!run->open()) co_return Result<void>{};
    auto done = co_await app_.engine->cancel(id, "cancelled by its MCP client");
    if (!done && done.error().code != "run.ended") co_return done;
    co_return Result<void>{};
  }

  Task<Result<TaskState>> wait(mcp::Caller caller, std::string id, std::function<void(double, std::optional<double>, std::string)> progress,
                               CancelToken cancel) override {
    double steps = 0;
    auto subscription = app_.engine->subscribe(id);
    for (;;) {
      auto state = co_await get(caller, id);
      if (!state || state->ended() || state->status == Status::InputRequired || cancel.cancelled() || app_.stopping.cancelled())
        co_return state;
      bool timed_out = false;
      const auto item = co_await next_item(&app_, subscription.get(), cancel, kLongTime, &timed_out);
      if (!item && !timed_out) subscription = app_.engine->subscribe(id);
      const auto* event = item ? std::get_if<engine::RunEvent>(&*item) : nullptr;
      if (event && progress && event->kind == engine::RunEvent::Kind::OperationEnded)
        progress(++steps, std::nullopt, get_string(object_of(event->body), "name"));
    }
  }

  Task<Result<TaskState>> next_status(mcp::Caller caller, std::string id, Status status, CancelToken cancel) override {
    auto subscription = app_.engine->subscribe(id);
    for (;;) {
      auto state = co_await get(caller, id);
      if (!state || state->status != status || cancel.cancelled() || app_.stopping.cancelled()) co_return state;
      bool timed_out = false;
      const auto item = co_await next_item(&app_, subscription.get(), cancel, kLongTime, &timed_out);
      if (!item && !timed_out) subscription = app_.engine->subscribe(id);
    }
  }

 private:
  Task<Result<engine::Execution>> find(const mcp::Caller* caller, std::string id) {
    const Error unknown{"mcp.unknown_task", "there is no task " + to_utf8_lossy(id.substr(0, 100)) + " of this caller", Retry::Never};
    if (!id.starts_with("run_") || (!caller->may("invoke") && !caller->may("read"))) co_return fail(unknown);
    auto run = co_await app_.engine->get(id);
    if (!run) co_return fail(run.error().code == "run.not_found" ? unknown : run.error());
    const bool is_call = run->program == kMcpCallProgram;
    if (!is_call && run->program.find(':') != std::string::npos) co_return fail(unknown);
    if (is_call && !caller->scopes.contains("admin") && get_string(object_of(run->summary), "caller") != caller->id)
      co_return fail(unknown);
    co_return run;
  }

  Task<Result<TaskState>> state_of(engine::Execution run) {
    const bool is_call = run.program == kMcpCallProgram;
    TaskState out;
    out.id = run.id;
    out.created = run.created;
    out.updated = run.ended.value_or(run.updated);
    switch (run.status) {
      case engine::ExecutionStatus::Running: break;
      case engine::ExecutionStatus::Succeeded: {
        auto result = co_await app_.engine->unspill(run.result);
        if (!result) co_return fail(result.error());
        out.status = Status::Completed;
        out.result = is_call ? object_of(*result) : agent_result(*result);
        co_return out;
      }
      case engine::ExecutionStatus::Stopped: out.status = Status::Cancelled; co_return out;
      case engine::ExecutionStatus::Failed:
      case engine::ExecutionStatus::TimedOut: {
        const std::string why = run.error ? run.error->message : std::string("it took too long");
        if (is_call) {
          out.status = Status::Failed;
          out.error = mcp::RpcError{mcp::rpc_code::kInternal, why, std::nullopt};
        } else {
          out.status = Status::Completed;
          out.result = text_result("The agent did not succeed: " + why, true);
        }
        out.message = why;
        co_return out;
      }
    }
    for (const auto& pending : run.pending)
      if (pending.kind == kMcpInputKind) out.input_requests[pending.name] = pending.input;
    if (!is_call && run.wait && run.wait->kind == engine::WaitReason::Kind::Callback)
      if (auto questions = co_await app_.service->questions(run.id, kQuestionsMax); questions)
        for (const agent::Question& question : *questions)
          out.input_requests[std::string(kQuestion) + std::to_string(question.operation)] = question_request(question);
    if (!out.input_requests.empty()) out.status = Status::InputRequired;
    if (run.wait)
      out.message = "waits: " + std::string(engine::to_string(run.wait->kind)) + (run.wait->name.empty() ? "" : " " + run.wait->name);
    co_return out;
  }

  AppContext& app_;
};

}  // namespace

std::unique_ptr<mcp::TaskPort> make_run_tasks(AppContext& app) { return std::make_unique<RunTasks>(app); }

}  // namespace mayfly
