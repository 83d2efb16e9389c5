#include "function/function_service.h"

#include "function/durable/durable_service.h"
#include "function/durable/history.h"
#include "function/durable/invocation_outcome.h"
#include "function/function_starts.h"
#include "function/uuid.h"

namespace mayfly::function {
namespace {

constexpr Millis kWaitMax{15 * 60'000};

const JsonObject& object_of(const Json& value) {
  static const JsonObject kEmpty;
  return value.is_object() ? value.get_object() : kEmpty;
}

/// Lambda's error document of an ErrorObject.
std::string error_document(const Json& error) {
  const JsonObject& from = object_of(error);
  JsonObject out;
  for (const auto& [theirs, ours] : {std::pair{"ErrorMessage", "errorMessage"}, std::pair{"ErrorType", "errorType"},
                                     std::pair{"ErrorData", "errorData"}, std::pair{"StackTrace", "stackTrace"}})
    if (const Json* value = get(from, theirs)) out[ours] = *value;
  if (!out.contains("errorMessage")) out["errorMessage"] = "the execution did not succeed";
  return to_text(out);
}

class FunctionServiceImpl final : public FunctionService {
 public:
  FunctionServiceImpl(FunctionServiceDependencies dependencies, engine::Engine& engine) : deps_(std::move(dependencies)), engine_(engine) {}

  Task<Result<Invoked>> invoke(Invoke invoke) override {
    auto function = lookup_of(deps_).resolve(invoke.function);
    if (!function) co_return std::unexpected(function.error());
    if (function->revision->config.durable) co_return co_await invoke_durable(std::move(*function), std::move(invoke));
    if (!invoke.execution_name.empty()) co_return not_durable();
    InvocationRequest request;
    request.function = function->revision;
    request.version = function->version;
    request.invoked_arn = function_arn(invoke.function.name, invoke.function.qualifier);
    request.payload = invoke.payload.empty() ? std::string("null") : std::move(invoke.payload);
    request.client_context = std::move(invoke.client_context);
    request.trace_header = std::move(invoke.trace_header);
    request.tenant_id = std::move(invoke.tenant_id);
    request.want_log_tail = invoke.want_log_tail;
    request.cancel = invoke.cancel;
    request.on_stream_start = std::move(invoke.on_stream_start);
    request.on_stream = std::move(invoke.on_stream);
    auto result = co_await deps_.supervisor->invoke(std::move(request));
    if (!result) co_return std::unexpected(result.error());
    co_return Invoked{std::move(*result), function->version, {}};
  }

  Task<Result<Invoked>> invoke_async(Invoke invoke) override {
    if (invoke.payload.size() > kAsyncPayloadBytesMax)
      co_return fail("function.payload_too_large",
                     "the payload of an asynchronous invocation has at most " + std::to_string(kAsyncPayloadBytesMax) + " bytes");
    auto function = lookup_of(deps_).resolve(invoke.function);
    if (!function) co_return std::unexpected(function.error());
    if (function->revision->config.durable) {
      auto started = co_await start_execution(*function, invoke);
      if (!started) co_return std::unexpected(started.error());
      Invoked out;
      out.executed_version = function->version;
      out.durable_execution_arn = started->arn;
      out.result.request_id = make_uuid(*deps_.random);
      co_return out;
    }
    if (!invoke.execution_name.empty()) co_return not_durable();
    Invoked out;
    out.executed_version = function->version;
    out.result.request_id = make_uuid(*deps_.random);
    auto started = co_await engine_.start(async_start(*function, input_of(invoke, out.result.request_id)));
    if (!started) co_return std::unexpected(started.error());
    co_return out;
  }

  Result<void> check(const Invoke& invoke) override {
    auto function = lookup_of(deps_).resolve(invoke.function);
    if (!function) return std::unexpected(function.error());
    if (!invoke.execution_name.empty() && !function->revision->config.durable) return not_durable();
    if (!invoke.execution_name.empty()) return check_execution_name(invoke.execution_name);
    return {};
  }

 private:
  struct StartedExecution {
    std::string run;
    std::string arn;
  };

  static std::unexpected<Error> not_durable() {
    return fail("function.not_durable",
                "only durable functions have executions with names; set DurableConfig when you create the function");
  }

  static RunInput input_of(Invoke& invoke, std::string request_id) {
    return {.payload = Json(invoke.payload.empty() ? std::string("null") : std::move(invoke.payload)),
            .invoked_arn = function_arn(invoke.function.name, invoke.function.qualifier),
            .client_context = std::move(invoke.client_context),
            .tenant_id = std::move(invoke.tenant_id),
            .request_id = std::move(request_id),
            .trace_header = std::move(invoke.trace_header)};
  }

  Task<Result<StartedExecution>> start_execution(const ResolvedFunction& function, Invoke& invoke) {
    const std::string program = program_name(function.revision->config.name), version = function.version;
    const bool named = !invoke.execution_name.empty();
    if (named) {
      if (auto valid = check_execution_name(invoke.execution_name); !valid) co_return std::unexpected(valid.error());
    }
    const std::string name = named ? invoke.execution_name : make_uuid(*deps_.random);
    // As AWS: an execution without input gets an empty object.
    if (invoke.payload.empty()) invoke.payload = "{}";
    engine::StartRequest request = durable_start(function, name, input_of(invoke, {}));
    if (named) {
      request.idempotency_key = "execution/" + name;
      if (const auto& durable = function.revision->config.durable)
        request.idempotency_ttl = durable->execution_timeout + std::chrono::hours{24 * durable->retention_days};
    }
    auto started = co_await engine_.start(std::move(request));
    if (!started && started.error().code == "idempotency.mismatch")
      co_return fail("execution.name_in_use", "another execution with other input is named '" + name + "'; choose another name");
    if (!started) co_return std::unexpected(started.error());
    const std::string function_name = function_of_program(program).value_or("");
    co_return StartedExecution{started->run, to_string(ExecutionArn{function_name, version, name, started->run})};
  }

  Task<Result<Invoked>> invoke_durable(ResolvedFunction function, Invoke invoke) {
    auto started = co_await start_execution(function, invoke);
    if (!started) co_return std::unexpected(started.error());
    auto ended = co_await wait_for_end(started->run, invoke.cancel);
    if (!ended) co_return std::unexpected(ended.error());
    Invoked out;
    out.executed_version = function.version;
    out.durable_execution_arn = started->arn;
    out.result.request_id = make_uuid(*deps_.random);
    out.result.duration = std::chrono::duration_cast<Millis>(ended->ended.value_or(ended->created) - ended->created);
    if (ended->status == engine::ExecutionStatus::Succeeded) {
      const Json* stored = get(object_of(ended->result), "Result");
      auto result = co_await engine_.unspill(stored ? *stored : Json(nullptr));
      if (!result) co_return std::unexpected(result.error());
      out.result.payload = result->is_string() ? std::string(result->get_string()) : std::string("null");
    } else {
      const Json error = execution_error(*ended, durable_state_from_json(ended->state));
      out.result.function_error = "Unhandled";
      out.result.error_type = get_string(object_of(error), "ErrorType");
      out.result.payload = error_document(error);
    }
    co_return out;
  }

  /// Errors: `execution.still_running`, `function.cancelled`; the execution goes on then.
  Task<Result<engine::Execution>> wait_for_end(std::string run, CancelToken cancel) {
    CancelSource stop;
    bool late = false;
    const auto forwarded = cancel.on_cancel([&] { stop.cancel(); });
    const auto timer = deps_.clock->call_after(kWaitMax, [&] {
      late = true;
      stop.cancel();
    });
    for (;;) {
      const auto subscription = engine_.subscribe(run, engine::Interest::End);
      auto execution = co_await engine_.get(run);
      if (!execution || !execution->open()) co_return execution;
      if (late)
        co_return fail("execution.still_running",
                       "the execution takes longer than 15 minutes and goes on; start such ones asynchronously, or look at its ARN later");
      if (stop.cancelled()) co_return fail("function.cancelled", "nobody waits any more; the execution goes on");
      auto item = co_await subscription->next(stop.token());
      if (item || stop.cancelled()) continue;
      // The stream ends with the run, when it lagged, or when the engine stops.
      execution = co_await engine_.get(run);
      if (!execution || !execution->open()) co_return execution;
      if (!co_await sleep_for(*deps_.clock, Millis{100}, stop.token())) continue;
    }
  }

  FunctionServiceDependencies deps_;
  engine::Engine& engine_;
};

}  // namespace

std::unique_ptr<FunctionService> make_function_service(FunctionServiceDependencies dependencies, engine::Engine& engine) {
  return std::make_unique<FunctionServiceImpl>(std::move(dependencies), engine);
}

}  // namespace mayfly::function
