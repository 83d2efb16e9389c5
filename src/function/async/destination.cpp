#include "function/async/destination.h"

#include <variant>

#include "function/function_starts.h"
#include "function/uuid.h"

namespace mayfly::function {
namespace {

const JsonObject& object_of(const Json& value) {
  static const JsonObject kEmpty;
  return value.is_object() ? value.get_object() : kEmpty;
}
Json value_of(const JsonObject& from, std::string_view key) {
  const Json* value = get(from, key);
  return value ? *value : Json(nullptr);
}

engine::StepOutcome failed(Error error) { return {.error = std::move(error)}; }

/// The JSON value of a text; the text itself when it is none.
Json value_of_text(const Json& text) {
  if (!text.is_string()) return text;
  auto value = parse_json(text.get_string());
  return value ? std::move(*value) : text;
}

/// What happened: the run's input and the operation of its last invocation, payloads whole.
struct Invocation {
  JsonObject input;
  Json request;
  JsonObject result;
  Json response;
  std::optional<Error> error;
};

Task<Result<Invocation>> load(engine::Engine& engine, std::string run, std::int64_t operation) {
  auto found = co_await engine.operations_by_id(run, {0, operation});
  if (!found) co_return std::unexpected(found.error());
  Invocation out;
  for (auto& item : *found) {
    auto* op = std::get_if<engine::Operation>(&item);
    if (!op) continue;
    auto value = co_await engine.unspill(op->id == 0 ? std::move(op->input) : std::move(op->result));
    if (!value) co_return std::unexpected(value.error());
    (op->id == 0 ? out.input : out.result) = object_of(*value);
    if (op->id != 0) out.error = op->error;
  }
  auto request = co_await engine.unspill(value_of(out.input, "payload"));
  if (!request) co_return std::unexpected(request.error());
  auto response = co_await engine.unspill(value_of(out.result, "Payload"));
  if (!response) co_return std::unexpected(response.error());
  out.request = std::move(*request);
  out.response = std::move(*response);
  co_return out;
}

/// https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-retain-records.html
JsonObject record_of(const engine::StepCall& call, const Invocation& invocation, TimePoint now) {
  const JsonObject& order = object_of(call.operation.input);
  const std::string function = function_of_program(call.program).value_or("");
  const std::string version = get_string(invocation.input, "version");
  JsonObject out{{"version", "1.0"},
                 {"timestamp", to_rfc3339(now)},
                 {"requestContext", JsonObject{{"requestId", get_string(invocation.input, "request_id")},
                                               {"functionArn", function_arn(function, version)},
                                               {"condition", get_string(order, "condition")},
                                               {"approximateInvokeCount", get_int(order, "attempts")}}},
                 {"requestPayload", value_of_text(invocation.request)}};
  if (invocation.error) {
    out["responseContext"] = JsonObject{{"statusCode", 500}, {"executedVersion", version}, {"functionError", invocation.error->code}};
    out["responsePayload"] = nullptr;
    return out;
  }
  JsonObject context{{"statusCode", 200}, {"executedVersion", version}};
  if (std::string error = get_string(invocation.result, "FunctionError"); !error.empty()) context["functionError"] = std::move(error);
  out["responseContext"] = std::move(context);
  out["responsePayload"] = value_of_text(invocation.response);
  return out;
}

}  // namespace

Result<void> check_destination(std::string_view arn) {
  const auto unsupported = [&](std::string_view what) {
    return fail("function.unsupported_destination", std::string(what) + " cannot be a destination here; use the ARN of a function, or " +
                                                        std::string(kAgentArnPrefix) + "NAME");
  };
  if (arn.empty()) return {};
  if (arn.starts_with(kAgentArnPrefix) && arn.size() > kAgentArnPrefix.size()) return {};
  for (const auto& [part, what] : {std::pair{":sqs:", "an SQS queue"}, std::pair{":sns:", "an SNS topic"},
                                   std::pair{":events:", "an EventBridge bus"}, std::pair{":s3:", "an S3 bucket"}})
    if (arn.starts_with("arn:") && arn.find(part) != std::string_view::npos) return unsupported(what);
  if (arn.starts_with("http://") || arn.starts_with("https://")) return unsupported("an HTTP address");
  if (!arn.starts_with("arn:") || arn.find(":lambda:") == std::string_view::npos || !parse_function_ref(arn))
    return unsupported("'" + std::string(arn.substr(0, 200)) + "'");
  return {};
}

Task<engine::StepOutcome> deliver(const FunctionServiceDependencies& dependencies, engine::Engine& engine, engine::StepCall call) {
  const JsonObject order = object_of(call.operation.input);
  const std::string arn = get_string(order, "arn");
  if (auto valid = check_destination(arn); !valid) co_return failed(valid.error());
  auto invocation = co_await load(engine, call.run, get_int(order, "operation"));
  if (!invocation) co_return failed(invocation.error());
  const Json content =
      get_bool(order, "bare") ? value_of_text(invocation->request) : Json(record_of(call, *invocation, dependencies.clock->now()));
  engine::StartRequest start;
  if (arn.starts_with(kAgentArnPrefix)) {
    if (!dependencies.agent_start) co_return failed({"agent.not_found", "agents cannot be reached from here", Retry::Never});
    auto agent = dependencies.agent_start(arn.substr(kAgentArnPrefix.size()), content);
    if (!agent) co_return failed(agent.error());
    start = std::move(*agent);
  } else {
    auto ref = parse_function_ref(arn);
    auto function = ref ? lookup_of(dependencies).resolve(*ref) : Result<ResolvedFunction>(std::unexpected(ref.error()));
    if (!function) co_return failed(function.error());
    auto payload = co_await engine.spill(Json(to_text(content)));
    if (!payload) co_return failed(payload.error());
    start = event_start(*function, "destination-" + call.run.substr(call.run.find('_') + 1) + "-" + std::to_string(call.operation.id),
                        {.payload = std::move(*payload), .invoked_arn = arn, .request_id = call.idempotency_key});
  }
  start.idempotency_key = "destination-" + call.idempotency_key;
  start.traceparent = call.traceparent;
  auto started = co_await engine.start(std::move(start));
  if (!started) co_return failed(started.error());
  co_return engine::StepOutcome{.result = JsonObject{{"run", started->run}}};
}

}  // namespace mayfly::function
