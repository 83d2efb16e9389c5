#include "base/assert.h"
#include "function/async/async_program.h"
#include "function/async/destination.h"
#include "function/durable/durable_program.h"
#include "function/durable/invocation.h"
#include "function/function_service.h"
#include "function/function_starts.h"
#include "function/uuid.h"

namespace mayfly::function {
namespace {

constexpr std::size_t kAnswerAsValueBytesMax = 256 * 1024;

using engine::ProgramContext;

engine::StepOutcome failed(Error error) { return {.error = std::move(error)}; }

/// Every program "function:NAME": what the run is for decides which logic it has.
class FunctionProgram final : public engine::Program {
 public:
  engine::Decision begin(ProgramContext context, const Json& input) const override { return logic(kind_of(input)).begin(context, input); }
  engine::Decision ended(ProgramContext context, const engine::Operation& operation) const override {
    return of(context).ended(context, operation);
  }
  engine::Decision message(ProgramContext context, const engine::Operation& operation) const override {
    return of(context).message(context, operation);
  }
  bool may_repeat(ProgramContext context, const engine::PendingOperation& operation, const Error& error) const override {
    return of(context).may_repeat(context, operation, error);
  }
  engine::OnUnknownOutcome on_unknown(ProgramContext context, const engine::PendingOperation& operation) const override {
    return of(context).on_unknown(context, operation);
  }
  void closing(ProgramContext context, engine::Operation& operation) const override { of(context).closing(context, operation); }
  void completing(ProgramContext context, const engine::Completion& completion) const override {
    of(context).completing(context, completion);
  }
  engine::Decision ready(ProgramContext context, const engine::PendingOperation& operation) const override {
    return of(context).ready(context, operation);
  }
  Result<engine::Reaction> command(ProgramContext context, const Json& body) const override { return of(context).command(context, body); }

 private:
  static std::string kind_of(const Json& value) { return value.is_object() ? get_string(value.get_object(), "kind") : std::string(); }
  const engine::Program& logic(const std::string& kind) const {
    if (kind == "durable") return durable_;
    return async_;
  }
  const engine::Program& of(ProgramContext context) const { return logic(kind_of(context.run.state)); }

  DurableProgram durable_;
  AsyncProgram async_;
};

class FunctionProgramsImpl final : public FunctionPrograms {
 public:
  explicit FunctionProgramsImpl(FunctionServiceDependencies dependencies) : deps_(std::move(dependencies)) {}

  void attach(engine::Engine& engine) override { engine_ = &engine; }

  std::shared_ptr<const engine::Program> find(const std::string& name, std::int64_t) override {
    return function_of_program(name) ? program_ : nullptr;
  }

  Task<engine::StepOutcome> execute(engine::StepCall call) override {
    MAYFLY_ASSERT(engine_, "attached before the engine opens");
    const std::string kind = call.operation.kind;
    if (kind == kInvocationKind) co_return co_await invoke_durable(deps_, *engine_, std::move(call));
    if (kind == kDestinationKind) co_return co_await deliver(deps_, *engine_, std::move(call));
    co_return co_await invoke_plain(std::move(call));
  }

 private:
  Task<engine::StepOutcome> invoke_plain(engine::StepCall call) {
    const std::string name = function_of_program(call.program).value_or("");
    const auto revision = lookup_of(deps_).revision(name, call.version);
    if (!revision) co_return failed({"function.not_found", "Function not found: " + function_arn(name), Retry::Never});
    auto found = co_await engine_->operations_by_id(call.run, {0});
    if (!found) co_return failed(found.error());
    auto* start = found->empty() ? nullptr : std::get_if<engine::Operation>(&found->front());
    auto input = co_await engine_->unspill(start ? std::move(start->input) : Json(nullptr));
    if (!input) co_return failed(input.error());
    if (!input->is_object()) co_return failed({"store.damaged", "the input of " + call.run + " cannot be read", Retry::Never});
    const JsonObject& from = input->get_object();
    const Json* stored = get(from, "payload");
    auto payload = co_await engine_->unspill(stored ? *stored : Json(nullptr));
    if (!payload) co_return failed(payload.error());

    InvocationRequest request;
    request.function = revision;
    request.version = get_string(from, "version");
    request.invoked_arn = get_string(from, "invoked_arn", function_arn(name));
    request.payload = payload->is_string() ? std::string(payload->get_string()) : std::string("null");
    // Lambda's retries keep the request id of the event.
    request.request_id = get_string(from, "request_id");
    if (request.request_id.empty()) request.request_id = make_uuid(*deps_.random);
    request.client_context = get_string(from, "client_context");
    request.tenant_id = get_string(from, "tenant");
    request.trace_header = trace_header_of(call.traceparent);
    request.cancel = call.cancel;
    const TimePoint started = deps_.clock->now();
    auto result = co_await deps_.supervisor->invoke(std::move(request));
    if (!result) co_return failed(result.error());

    JsonObject out{{"RequestId", result->request_id}, {"ExecutedVersion", get_string(from, "version")}, {"bytes", result->payload.size()}};
    if (!result->function_error.empty()) {
      out["FunctionError"] = result->function_error;
      out["Error"] = error_of_result(*result);
    }
    Json meta = meta_of(*result, started);
    // Who asked for the answer itself is a program that cannot read references; a call's answer is bounded.
    const bool as_value = get_bool(from, "as_value") && result->payload.size() <= kAnswerAsValueBytesMax;
    auto kept = as_value ? Result<Json>(Json(std::move(result->payload))) : co_await engine_->spill(Json(std::move(result->payload)));
    if (!kept) co_return failed({kept.error().code, kept.error().message, Retry::Safe});
    out["Payload"] = std::move(*kept);
    co_return engine::StepOutcome{.result = std::move(out), .meta = std::move(meta)};
  }

  FunctionServiceDependencies deps_;
  engine::Engine* engine_ = nullptr;
  std::shared_ptr<const engine::Program> program_ = std::make_shared<FunctionProgram>();
};

}  // namespace

std::unique_ptr<FunctionPrograms> make_function_programs(FunctionServiceDependencies dependencies) {
  return std::make_unique<FunctionProgramsImpl>(std::move(dependencies));
}

}  // namespace mayfly::function
