#include "server/mcp/task_program.h"

#include "server/mcp/mcp_function.h"

namespace mayfly {
namespace {

using engine::Completion;
using engine::Decision;
using engine::ExecutionStatus;
using engine::OperationType;
using engine::ProgramContext;

constexpr std::string_view kCallKind = "mcp_call";
constexpr std::int64_t kRoundsMax = 32;
constexpr std::size_t kInputsMax = 32;

JsonObject object_of(const Json& value) { return value.is_object() ? value.get_object() : JsonObject(); }
JsonObject child(const JsonObject& from, std::string_view key) {
  const auto* found = get_object(from, key);
  return found ? *found : JsonObject();
}

void call(JsonObject& state, Decision& decision) {
  state["rounds"] = get_int(state, "rounds") + 1;
  engine::OperationRequest request;
  request.name = get_string(state, "tool");
  request.kind = kCallKind;
  request.input = JsonObject{{"function", get_string(state, "function")}, {"event", child(state, "event")}};
  decision.start.push_back(std::move(request));
}

Completion failed(Error error) { return {ExecutionStatus::Failed, nullptr, std::move(error)}; }

class CallProgram final : public engine::Program {
 public:
  Decision begin(ProgramContext context, const Json& input) const override {
    JsonObject state = object_of(input);
    context.run.summary = JsonObject{{"kind", "mcp"}, {"tool", get_string(state, "tool")}, {"caller", get_string(state, "caller")}};
    Decision out;
    call(state, out);
    context.run.state = std::move(state);
    return out;
  }

  Decision ended(ProgramContext context, const engine::Operation& operation) const override {
    JsonObject state = object_of(context.run.state);
    Decision out;
    if (operation.kind == kMcpInputKind) {
      JsonObject event = child(state, "event");
      JsonObject responses = child(event, "inputResponses");
      responses[operation.key.substr(operation.key.find('/') + 1)] = operation.result;
      event["inputResponses"] = std::move(responses);
      state["event"] = std::move(event);
      const std::int64_t left = get_int(state, "waiting") - 1;
      state["waiting"] = left;
      if (left <= 0) call(state, out);
    } else if (operation.error) {
      out.complete = failed(*operation.error);
    } else {
      after_call(&state, operation.result, &out);
    }
    context.run.state = std::move(state);
    return out;
  }

  Decision message(ProgramContext, const engine::Operation&) const override { return {}; }
  bool may_repeat(ProgramContext, const engine::PendingOperation&, const Error& error) const override {
    return error.retry != Retry::Never;
  }
  engine::OnUnknownOutcome on_unknown(ProgramContext, const engine::PendingOperation&) const override {
    return engine::OnUnknownOutcome::Fail;
  }

 private:
  static void after_call(JsonObject* state, const Json& answer, Decision* out) {
    const auto* object = answer.if_object();
    const auto* requests = object ? get_object(*object, "inputRequests") : nullptr;
    if (!requests) {
      out->complete = Completion{ExecutionStatus::Succeeded, result_json_of(answer), {}};
      return;
    }
    if (requests->empty() || requests->size() > kInputsMax || get_int(*state, "rounds") >= kRoundsMax) {
      out->complete = failed({"mcp.too_many_rounds", "the tool asked for input too often, or for nothing", Retry::Never});
      return;
    }
    JsonObject event = child(*state, "event");
    event.erase("inputResponses");
    event.erase("requestState");
    if (const std::string kept = get_string(*object, "requestState"); !kept.empty()) event["requestState"] = kept;
    (*state)["event"] = std::move(event);
    (*state)["waiting"] = requests->size();
    for (const auto& member : *requests) {
      engine::OperationRequest request;
      request.type = OperationType::Callback;
      request.name = member.key();
      request.kind = kMcpInputKind;
      request.key = std::to_string(get_int(*state, "rounds")) + "/" + std::string(member.key());
      request.input = member.value();
      out->start.push_back(std::move(request));
    }
  }
};

class Programs final : public McpTaskPrograms {
 public:
  explicit Programs(AppContext& app) : app_(app) {}

  std::shared_ptr<const engine::Program> find(const std::string& name, std::int64_t) override {
    return name == kMcpCallProgram ? program_ : nullptr;
  }

  Task<engine::StepOutcome> execute(engine::StepCall step) override {
    const JsonObject input = object_of(step.operation.input);
    mcp::CallContext context;
    context.cancel = step.cancel;
    context.traceparent = step.traceparent;
    auto answer = co_await invoke_for_mcp(&app_, nullptr, get_string(input, "function"), &context, child(input, "event"));
    engine::StepOutcome out;
    if (!answer) {
      out.error = answer.error();
      co_return out;
    }
    out.result = *std::move(answer);
    co_return out;
  }

 private:
  AppContext& app_;
  std::shared_ptr<const engine::Program> program_ = std::make_shared<CallProgram>();
};

}  // namespace

std::unique_ptr<McpTaskPrograms> make_mcp_task_programs(AppContext& app) { return std::make_unique<Programs>(app); }

engine::StartRequest mcp_call_start(const std::string& function, const std::string& tool, const std::string& caller, JsonObject event) {
  event["task"] = true;
  engine::StartRequest out;
  out.program = kMcpCallProgram;
  out.version = 1;
  out.input = JsonObject{{"function", function}, {"tool", tool}, {"caller", caller}, {"event", std::move(event)}};
  return out;
}

}  // namespace mayfly
