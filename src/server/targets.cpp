#include "server/targets.h"

#include "agent/agent_input.h"
#include "function/function_registry.h"
#include "function/function_service.h"
#include "function/function_starts.h"
#include "function/uuid.h"
#include "net/ssrf.h"
#include "queue/queue.h"
#include "workflow/workflow_registry.h"

namespace mayfly {
namespace {

using trigger::Target;

Result<function::ResolvedFunction> resolve_function(const AppContext& app, const std::string& name) {
  if (!app.functions) return fail("function.unavailable", "this server runs no functions; enable them in its configuration and start it again");
  auto ref = function::parse_function_ref(name);
  if (!ref) return fail(ref.error());
  return app.functions->resolve(*ref);
}

engine::StartRequest function_start(const function::ResolvedFunction& function, std::string payload, trigger::TargetHost::Ask ask,
                                    std::string request_id) {
  function::RunInput input;
  input.payload = payload;
  input.request_id = request_id;
  input.answer_as_value = ask == trigger::TargetHost::Ask::Call;
  const bool call = ask == trigger::TargetHost::Ask::Call && !function.revision->config.durable;
  auto out = call ? function::call_start(function, std::move(input)) : function::event_start(function, request_id, std::move(input));
  out.input_identity = std::move(payload);  // the request's id is new each time
  return out;
}

/// Of a function that failed: as a Lambda caller sees it.
Error function_error(const function::InvocationResult& result) {
  std::string text = result.payload.substr(0, 2'000);
  return Error{"function.failed", "the function failed (" + result.function_error + "): " + to_utf8_lossy(text), Retry::Safe};
}

}  // namespace

Result<engine::StartRequest> agent_start(const agent::AgentRegistry& agents, const std::string& name, const Json& input,
                                         const std::string& session) {
  const auto version = agents.current(name);
  if (!version) return fail(agents.not_found(name));
  const agent::AgentSpec& spec = version->spec;
  if (spec.session.keyed && session.empty())
    return fail("session.required", "the agent '" + name + "' keeps a conversation per session: give a session (a trigger's `session` says which)");
  if (!spec.session.keyed && !session.empty())
    return fail("session.not_keyed", "the agent '" + name + "' has no sessions; leave `session` out");
  auto normal = agent::normalise_input(input);
  if (!normal) return fail(normal.error());
  engine::StartRequest out;
  out.program = name;
  out.version = version->version;
  out.session_key = session;
  out.input = std::move(*normal);
  out.when_busy = static_cast<engine::BusyPolicy>(spec.session.when_busy);
  out.waiting_max = spec.session.queue_max;
  out.wall_time_max = spec.limits.wall_time;
  return out;
}

Result<engine::StartRequest> agent_start_of_payload(const agent::AgentRegistry& agents, const std::string& name, const Json& payload) {
  const auto* object = payload.if_object();
  const Json* input = object ? get(*object, "input") : nullptr;
  return agent_start(agents, name, input ? *input : payload, input ? get_string(*object, "session") : std::string());
}

Result<void> Targets::check(const Target& target) const {
  switch (target.kind) {
    case Target::Kind::Agent:
      if (!app_.registry->current(target.name)) return fail(app_.registry->not_found(target.name));
      return {};
    case Target::Kind::Function:
      if (auto found = resolve_function(app_, target.name); !found) return fail(found.error());
      return {};
    case Target::Kind::Workflow:
      if (!app_.workflows->revision(target.name)) return fail(app_.workflows->not_found(target.name));
      return {};
    case Target::Kind::Queue:
      if (auto found = app_.queues->info(target.name); !found) return fail(found.error());
      return {};
    case Target::Kind::Url:
      if (auto parsed = net::parse_target(target.name); !parsed) return fail(parsed.error());
      return {};
    case Target::Kind::Webhook: return {};  // endpoints are the trigger module's own
  }
  return {};
}

Result<engine::StartRequest> Targets::start(const Target& target, const Json& input, const std::string& session, Ask ask) const {
  switch (target.kind) {
    case Target::Kind::Agent: {
      // An agent without sessions takes events of triggers that group them.
      const auto version = app_.registry->current(target.name);
      const bool keyed = version && version->spec.session.keyed;
      return agent_start(*app_.registry, target.name, input, keyed ? session : std::string());
    }
    case Target::Kind::Function: {
      auto resolved = resolve_function(app_, target.name);
      if (!resolved) return fail(resolved.error());
      return function_start(*resolved, to_text(input), ask, function::make_uuid(*app_.random));
    }
    case Target::Kind::Workflow: return app_.workflows->start(target.name, 0, {}, input);
    default: break;
  }
  return fail("target.invalid", "a queue or an address starts nothing by itself");
}

Task<Result<Json>> Targets::call(std::string function, Json payload, CancelToken cancel) {
  if (!app_.function_service) co_return fail("function.unavailable", "this server runs no functions");
  auto ref = function::parse_function_ref(function);
  if (!ref) co_return fail(ref.error());
  function::Invoke invoke;
  invoke.function = *ref;
  invoke.payload = to_text(payload);
  invoke.cancel = std::move(cancel);
  auto done = co_await app_.function_service->invoke(std::move(invoke));
  if (!done) co_return fail(done.error());
  if (!done->result.function_error.empty()) co_return fail(function_error(done->result));
  auto answer = parse_json(done->result.payload);
  if (!answer) co_return fail("function.invalid_answer", "the function answered with something that is not JSON", Retry::Safe);
  co_return std::move(*answer);
}

}  // namespace mayfly
