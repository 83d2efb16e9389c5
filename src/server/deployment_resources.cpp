#include <algorithm>

#include "agent/project_resources.h"
#include "queue/queue.h"
#include "schedule/schedule.h"
#include "server/deployment.h"
#include "server/mcp/declared_offer.h"
#include "trigger/trigger_service.h"
#include "workflow/workflow_registry.h"

namespace mayfly {
namespace {

Error named(std::string_view kind, const std::string& name, const Error& error) {
  return {error.code, std::string(kind) + "." + name + ": " + error.message, error.retry};
}

Task<Result<void>> deploy_queue(AppContext* app, std::string name, Json definition) {
  auto spec = queue::queue_spec_from_json(std::move(name), definition);
  if (!spec) co_return fail(spec.error());
  auto done = co_await app->queues->put(*std::move(spec));
  if (!done) co_return fail(done.error());
  co_return Result<void>{};
}

Task<Result<void>> deploy_workflow(AppContext* app, std::string name, Json definition) {
  const JsonObject& in = definition.get_object();
  workflow::WorkflowRevision revision;
  revision.name = std::move(name);
  if (const Json* states = get(in, "definition")) revision.definition = *states;
  revision.definition_text = to_text(revision.definition);
  revision.type = get_string(in, "type", "STANDARD");
  revision.description = get_string(in, "description");
  auto done = co_await app->workflows->deploy(std::move(revision));
  if (!done) co_return fail(done.error());
  co_return Result<void>{};
}

Task<Result<void>> deploy_endpoint(AppContext* app, std::string name, Json definition) {
  auto endpoint = trigger::endpoint_from_json(std::move(name), definition);
  if (!endpoint) co_return fail(endpoint.error());
  auto done = co_await app->triggers->put_endpoint(*std::move(endpoint));
  if (!done) co_return fail(done.error());
  co_return Result<void>{};
}

Task<Result<void>> deploy_schedule(AppContext* app, std::string name, Json definition) {
  auto spec = schedule::schedule_spec_from_json(std::move(name), definition);
  if (!spec) co_return fail(spec.error());
  auto done = co_await app->schedules->put(*std::move(spec));
  if (!done) co_return fail(done.error());
  co_return Result<void>{};
}

Task<Result<void>> deploy_trigger(AppContext* app, std::string name, Json definition) {
  auto spec = trigger::trigger_spec_from_json(std::move(name), definition);
  if (!spec) co_return fail(spec.error());
  auto done = co_await app->triggers->put(*std::move(spec));
  if (!done) co_return fail(done.error());
  co_return Result<void>{};
}

Task<Result<void>> deploy_mcp(AppContext* app, std::string section, Json definitions) {
  co_return co_await app->mcp_declared->put(std::move(section), definitions.get_object());
}

using Deploy = Task<Result<void>> (*)(AppContext* app, std::string name, Json definition);
struct Step {
  std::string_view kind;
  Deploy deploy;
};
constexpr Step kSteps[] = {{"queues", deploy_queue},
                           {"workflows", deploy_workflow},
                           {"endpoints", deploy_endpoint},
                           {"schedules", deploy_schedule},
                           {"triggers", deploy_trigger},
                           {"mcp", deploy_mcp}};

/// A dead-letter queue comes before the queues that name it.
std::vector<std::string> names_in_order(const JsonObject& definitions) {
  std::vector<std::string> out;
  for (const bool dependent : {false, true})
    for (const auto& member : definitions)
      if (member.value().get_object().contains("dead_letter") == dependent) out.emplace_back(member.key());
  return out;
}

}  // namespace

std::vector<std::string_view> resource_keys() {
  std::vector<std::string_view> out;
  for (const agent::ResourceKind& kind : agent::resource_kinds()) out.push_back(kind.key);
  return out;
}

Result<std::map<std::string, JsonObject>> resources_from_json(const JsonObject& body) {
  std::map<std::string, JsonObject> out;
  for (const agent::ResourceKind& kind : agent::resource_kinds()) {
    const Json* definitions = get(body, kind.key);
    if (!definitions) continue;
    if (!definitions->is_object())
      return fail("request.invalid", "\"" + std::string(kind.key) + "\" must be an object of definitions by name");
    for (const auto& member : definitions->get_object()) {
      const std::string name(member.key());
      if (!member.value().is_object()) return fail("request.invalid", std::string(kind.key) + "." + name + " must be an object");
      if (auto fine = kind.check(name, member.value()); !fine) return fail(named(kind.key, name, fine.error()));
    }
    out[std::string(kind.key)] = definitions->get_object();
  }
  return out;
}

Task<Result<std::map<std::string, std::vector<std::string>>>> deploy_resources(AppContext* app, std::map<std::string, JsonObject> resources) {
  std::map<std::string, std::vector<std::string>> out;
  for (const Step& step : kSteps) {
    const auto definitions = resources.find(std::string(step.kind));
    if (definitions == resources.end()) continue;
    std::vector<std::string>& done = out[std::string(step.kind)];
    for (const std::string& name : names_in_order(definitions->second)) {
      auto deployed = co_await step.deploy(app, name, definitions->second.at(name));
      if (!deployed) co_return fail(named(step.kind, name, deployed.error()));
      done.push_back(name);
    }
  }
  co_return out;
}

}  // namespace mayfly
