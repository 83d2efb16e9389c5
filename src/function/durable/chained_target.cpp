#include "function/durable/chained_target.h"

#include <algorithm>

#include "function/function_starts.h"
#include "function/uuid.h"

namespace mayfly::function {
namespace {

constexpr std::size_t kNameBytesMax = 256;

bool is_tenant(std::string_view text) {
  return text.size() <= 256 && std::ranges::all_of(text, [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                  std::string_view("._:/=+-@ ").find(c) != std::string_view::npos;
         });
}

/// Agents get the payload's JSON value. It travels in the run's own record, so it must be small.
ChainedTarget agent_target(const FunctionServiceDependencies& dependencies, const std::string& name, const Json& payload) {
  ChainedTarget out;
  const auto refuse = [&](std::string_view type, const std::string& message) {
    out.refused = make_error_object(type, message);
    return out;
  };
  if (!dependencies.agent_start) return refuse("ResourceNotFoundException", "Agent not found: " + name);
  if (payload.is_object())
    return refuse("RequestTooLargeException", "an agent's input has at most 64 KiB; put more into a workspace or a memory");
  Json value = JsonObject();
  if (payload.is_string()) {
    auto parsed = parse_json(payload.get_string());
    value = parsed ? std::move(*parsed) : payload;
  }
  auto start = dependencies.agent_start(name, value);
  if (!start)
    return refuse(start.error().code == "agent.not_found" ? "ResourceNotFoundException" : start.error().code, start.error().message);
  out.invoke = invoke_json(*start, "agent");
  out.invoke["payload"] = payload;
  return out;
}

}  // namespace

Result<ChainedTarget> chained_target(const FunctionServiceDependencies& dependencies, const Update& update, Json payload) {
  const auto invalid = [](std::string message) { return fail("checkpoint.invalid", std::move(message)); };
  if (!update.has_invoke_options) return ChainedTarget{};
  if (!is_tenant(update.tenant)) return invalid("TenantId must be 1 to 256 characters matching [a-zA-Z0-9._:/=+-@ ].");
  if (update.function.starts_with(kAgentTargetPrefix) && update.function.size() <= kNameBytesMax)
    return agent_target(dependencies, update.function.substr(kAgentTargetPrefix.size()), payload);
  auto ref = update.function.size() <= kNameBytesMax ? parse_function_ref(update.function) : fail("function.invalid_name", "too long");
  if (!ref) return invalid("Invalid function ARN '" + update.function.substr(0, kNameBytesMax) + "'");

  ChainedTarget out;
  auto function = lookup_of(dependencies).resolve(*ref);
  if (!function) {
    out.refused = make_error_object("ResourceNotFoundException", "Function not found: " + function_arn(ref->name, ref->qualifier));
    return out;
  }
  RunInput input{.payload = payload.is_null() ? Json("{}") : std::move(payload),
                 .invoked_arn = function_arn(ref->name, ref->qualifier),
                 .tenant_id = update.tenant,
                 .request_id = make_uuid(*dependencies.random)};
  const engine::StartRequest start = function->revision->config.durable
                                         ? durable_start(*function, make_uuid(*dependencies.random), std::move(input))
                                         : call_start(*function, std::move(input));
  out.invoke = invoke_json(start, "function");
  out.invoke["executed_version"] = function->version;
  return out;
}

}  // namespace mayfly::function
