#include "server/api.h"
#include "server/api_events.h"
#include "server/body_reader.h"
#include "server/problem.h"
#include "server/states/executions.h"
#include "server/states/states_arn.h"
#include "workflow/workflow_registry.h"

namespace mayfly {
namespace {

using workflow::WorkflowRecord;
using workflow::WorkflowRevision;

constexpr std::size_t kListMax = 1'000;
constexpr std::string_view kRole = "arn:aws:iam::000000000000:role/mayfly";
constexpr JsonLimits kDefinitionLimits{.bytes_max = 4 * 1024 * 1024};

Result<void> is_up(const AppContext& app) {
  if (app.workflows) return {};
  return fail("engine.starting", "the server is starting; try again in a moment", Retry::Safe);
}

JsonObject workflow_view(const WorkflowRecord& record, const WorkflowRevision& revision) {
  const JsonObject* definition = revision.definition.if_object();
  const JsonObject* states = definition ? get_object(*definition, "States") : nullptr;
  return {{"name", record.name},
          {"arn", states::state_machine_arn(record.name)},
          {"type", revision.type},
          {"description", revision.description},
          {"revision", revision.revision},
          {"revision_id", revision.revision_id},
          {"states", states ? states->size() : 0},
          {"created", to_rfc3339(record.created)},
          {"modified", to_rfc3339(revision.created)}};
}

JsonObject whole_view(const WorkflowRecord& record, const WorkflowRevision& revision) {
  JsonObject out = workflow_view(record, revision);
  JsonObject versions, aliases, tags;
  for (const auto& [number, version] : record.versions) versions[std::to_string(number)] = version.revision;
  for (const auto& [name, alias] : record.aliases) {
    JsonObject routes;
    for (const auto& route : alias.routing) routes[std::to_string(route.version)] = route.weight;
    aliases[name] = std::move(routes);
  }
  for (const auto& [key, value] : record.tags) tags[key] = value;
  out["versions"] = std::move(versions);
  out["aliases"] = std::move(aliases);
  out["tags"] = std::move(tags);
  out["definition"] = revision.definition;
  return out;
}

JsonObject execution_item(const states::ExecutionDetails& of) {
  JsonObject out{{"name", of.name},
                 {"arn", of.arn()},
                 {"run", of.run.id},
                 {"workflow", of.workflow},
                 {"revision", of.run.version},
                 {"status", of.status()},
                 {"started", to_rfc3339(of.run.created)}};
  out["version"] = of.published > 0 ? Json(of.published) : Json(nullptr);
  out["ended"] = of.run.ended ? Json(to_rfc3339(*of.run.ended)) : Json(nullptr);
  return out;
}

Task<Result<JsonObject>> execution_view(AppContext* app, states::ExecutionDetails of) {
  JsonObject out = execution_item(of);
  out["input"] = of.input;
  out["output"] = nullptr;
  out["error"] = nullptr;
  if (of.run.status == engine::ExecutionStatus::Succeeded) {
    auto output = co_await states::output_of(app, of.run);
    if (!output) co_return fail(output.error());
    out["output"] = *std::move(output);
  } else if (!of.run.open()) {
    out["error"] = JsonObject{{"error", of.error()}, {"cause", of.cause()}};
  }
  co_return out;
}

Task<Result<engine::Execution>> run_of(AppContext* app, const Call* call) {
  if (auto up = is_up(*app); !up) co_return fail(up.error());
  co_return co_await states::find_execution(app, call->parameter("workflow"), call->parameter("execution"));
}

/// {"definition", …}, or the definition alone.
Result<JsonObject> read_definition(const net::Request& request) {
  auto body = parse_json(request.body, kDefinitionLimits);
  if (!body) return fail(body.error());
  if (!body->is_object())
    return fail("request.invalid", "the body must be a JSON object: a state machine in the Amazon States Language, or {\"definition\": …}");
  JsonObject out = std::move(body->get_object());
  if (out.contains("StartAt") || out.contains("States")) return JsonObject{{"definition", std::move(out)}};
  for (const auto& member : out)
    if (const std::string_view key = member.key(); key != "definition" && key != "type" && key != "description")
      return fail("request.invalid",
                  "\"" + std::string(key) + "\" is not known here; the body has \"definition\", \"type\" and \"description\"");
  if (!get_object(out, "definition"))
    return fail("request.invalid", "the body lacks \"definition\": an object in the Amazon States Language");
  return out;
}

Task<Result<net::Response>> list_workflows(AppContext& app, Call&) {
  if (auto up = is_up(app); !up) co_return fail(up.error());
  JsonArray out;
  for (const WorkflowRecord& record : app.workflows->list())
    if (const auto revision = app.workflows->revision(record.name)) out.push_back(workflow_view(record, *revision));
  co_return json_response(200, JsonObject{{"workflows", std::move(out)}});
}

Task<Result<net::Response>> get_workflow(AppContext& app, Call& call) {
  if (auto up = is_up(app); !up) co_return fail(up.error());
  const std::string& name = call.parameter("workflow");
  const auto record = app.workflows->record(name);
  const auto revision = app.workflows->revision(name);
  if (!record || !revision) co_return fail(app.workflows->not_found(name));
  co_return json_response(200, whole_view(*record, *revision));
}

Task<Result<net::Response>> put_workflow(AppContext& app, Call& call) {
  if (auto up = is_up(app); !up) co_return fail(up.error());
  auto body = read_definition(call.request);
  if (!body) co_return fail(body.error());
  WorkflowRevision revision;
  revision.name = call.parameter("workflow");
  const auto before = app.workflows->revision(revision.name);
  const auto type = read_text(*body, "type", 20), description = read_text(*body, "description", 4'096);
  if (!type) co_return fail(type.error());
  if (!description) co_return fail(description.error());
  if (before) {
    revision.role_arn = before->role_arn;
    revision.logging = before->logging;
    revision.tracing = before->tracing;
  }
  if (revision.role_arn.empty()) revision.role_arn = kRole;
  revision.type = type->value_or(before ? before->type : "STANDARD");
  revision.description = description->value_or(std::string());
  revision.definition = std::move((*body)["definition"]);
  auto deployed = co_await app.workflows->deploy(std::move(revision));
  if (!deployed) co_return fail(deployed.error());
  const auto record = app.workflows->record(deployed->name);
  if (!record) co_return fail(app.workflows->not_found(deployed->name));
  co_return json_response(before ? 200 : 201, whole_view(*record, *deployed));
}

Task<Result<net::Response>> remove_workflow(AppContext& app, Call& call) {
  if (auto up = is_up(app); !up) co_return fail(up.error());
  auto removed = co_await app.workflows->remove(call.parameter("workflow"));
  if (!removed) co_return fail(removed.error());
  co_return net::Response{204, {}, {}};
}

Task<Result<net::Response>> validate_workflow(AppContext& app, Call& call) {
  if (auto up = is_up(app); !up) co_return fail(up.error());
  auto body = read_definition(call.request);
  if (!body) co_return fail(body.error());
  JsonArray out;
  bool is_valid = true;
  for (const workflow::Diagnostic& diagnostic : workflow::validate((*body)["definition"], *app.expressions)) {
    const bool is_error = diagnostic.severity == workflow::Diagnostic::Severity::Error;
    is_valid &= !is_error;
    out.push_back(JsonObject{{"severity", is_error ? "ERROR" : "WARNING"},
                             {"code", diagnostic.code},
                             {"location", diagnostic.location},
                             {"message", diagnostic.message}});
  }
  co_return json_response(200, JsonObject{{"valid", is_valid}, {"diagnostics", std::move(out)}});
}

Task<Result<net::Response>> start(AppContext& app, Call& call) {
  if (auto up = is_up(app); !up) co_return fail(up.error());
  auto body = read_object(call.request, {"input", "name", "qualifier"});
  if (!body) co_return fail(body.error());
  const auto name = read_text(*body, "name", 400), qualifier = read_text(*body, "qualifier", 80);
  if (!name) co_return fail(name.error());
  if (!qualifier) co_return fail(qualifier.error());
  const auto wait = read_wait(call.request);
  if (!wait) co_return fail(wait.error());
  auto found = app.workflows->resolve(call.parameter("workflow"), qualifier->value_or(std::string()));
  if (!found) co_return fail(found.error());
  const Json* input = get(*body, "input");
  auto started = co_await states::start_execution(&app, *std::move(found), name->value_or(std::string()),
                                                  input ? *input : Json(JsonObject()), call.traceparent);
  if (!started) co_return fail(started.error());
  if (*wait) {
    auto ended = co_await wait_for_end(app, started->run.id, **wait, call.request.disconnected);
    if (!ended) co_return fail(ended.error());
    if (*ended) started->run = **std::move(ended);
  }
  const int status = started->run.open() ? 202 : 200;
  auto view = co_await execution_view(&app, *std::move(started));
  if (!view) co_return fail(view.error());
  co_return json_response(status, *std::move(view));
}

Task<Result<net::Response>> list_executions(AppContext& app, Call& call) {
  if (auto up = is_up(app); !up) co_return fail(up.error());
  const std::string& name = call.parameter("workflow");
  engine::ListFilter filter{.program = std::string(workflow::kProgramPrefix) + name};
  filter.before = call.request.query_parameter("before").value_or(std::string());
  if (!filter.before.empty() && !engine::keys::partition_of_run(filter.before))
    co_return fail("request.invalid", "\"before\" must be a run's id: \"next\" of the page before");
  if (std::string status = call.request.query_parameter("status").value_or(std::string()); !status.empty()) {
    filter.status = engine::execution_status_from_string(status == "ABORTED" ? "STOPPED" : status);
    if (!filter.status) co_return fail("request.invalid", "\"status\" must be RUNNING, SUCCEEDED, FAILED, TIMED_OUT or ABORTED");
  }
  const auto limit = read_limit(call.request, 50, kListMax);
  if (!limit) co_return fail(limit.error());
  filter.limit = *limit;
  if (!app.workflows->record(name)) co_return fail(app.workflows->not_found(name));
  auto runs = co_await app.engine->list(filter);
  if (!runs) co_return fail(runs.error());
  JsonArray out;
  for (const engine::Execution& run : *runs) {
    auto details = co_await states::details_of(&app, run);
    if (!details) co_return fail(details.error());
    out.push_back(execution_item(*details));
  }
  const Json next = runs->size() == *limit ? Json(runs->back().id) : Json(nullptr);
  co_return json_response(200, JsonObject{{"executions", std::move(out)}, {"next", next}});
}

Task<Result<net::Response>> get_execution(AppContext& app, Call& call) {
  const auto wait = read_wait(call.request);
  if (!wait) co_return fail(wait.error());
  auto run = co_await run_of(&app, &call);
  if (!run) co_return fail(run.error());
  if (*wait && run->open()) {
    auto ended = co_await wait_for_end(app, run->id, **wait, call.request.disconnected);
    if (!ended) co_return fail(ended.error());
    if (*ended) *run = **std::move(ended);
  }
  auto details = co_await states::details_of(&app, *std::move(run));
  if (!details) co_return fail(details.error());
  auto view = co_await execution_view(&app, *std::move(details));
  if (!view) co_return fail(view.error());
  co_return json_response(200, *std::move(view));
}

/// Of an event {"id", "type", "…EventDetails"} the details.
JsonObject event_view(JsonObject event) {
  JsonObject out{{"id", get_int(event, "id")},
                 {"previous", get_int(event, "previousEventId")},
                 {"time", to_rfc3339(from_unix_ms(get_int(event, "timestamp")))},
                 {"type", get_string(event, "type")},
                 {"details", JsonObject()}};
  for (auto& member : event)
    if (std::string_view(member.key()).ends_with("EventDetails")) out["details"] = std::move(member.value());
  return out;
}

Task<Result<net::Response>> get_history(AppContext& app, Call& call) {
  auto run = co_await run_of(&app, &call);
  if (!run) co_return fail(run.error());
  auto events = co_await states::history_of(&app, run->id);
  if (!events) co_return fail(events.error());
  JsonArray out;
  for (JsonObject& event : *events) out.push_back(event_view(std::move(event)));
  co_return json_response(200, JsonObject{{"execution", call.parameter("execution")}, {"run", run->id}, {"events", std::move(out)}});
}

/// Texts of the body that name an error.
struct Failure {
  std::string error, cause;
};
Result<Failure> read_failure(const net::Request& request) {
  const auto body = read_object(request, {"error", "cause"});
  if (!body) return fail(body.error());
  const auto error = read_text(*body, "error", 1'024), cause = read_text(*body, "cause", 32'768);
  if (!error) return fail(error.error());
  if (!cause) return fail(cause.error());
  return Failure{error->value_or(std::string()), cause->value_or(std::string())};
}

Task<Result<net::Response>> stop(AppContext& app, Call& call) {
  const auto failure = read_failure(call.request);
  if (!failure) co_return fail(failure.error());
  auto run = co_await run_of(&app, &call);
  if (!run) co_return fail(run.error());
  auto stopped = co_await states::stop_execution(&app, run->id, failure->error, failure->cause);
  if (!stopped) co_return fail(stopped.error());
  co_return co_await get_execution(app, call);
}

Result<net::Response> nothing_or(Result<void> done) {
  if (!done) return fail(done.error());
  return net::Response{204, {}, {}};
}

Task<Result<net::Response>> task_success(AppContext& app, Call& call) {
  auto body = read_object(call.request, {"output"});
  if (!body) co_return fail(body.error());
  const Json* output = get(*body, "output");
  if (!output) co_return fail("request.invalid", "the body lacks \"output\"; send {\"output\": any JSON}");
  if (to_text(*output).size() > workflow::kStateBytesMax)
    co_return fail("input.too_large", "the output of a task has at most 262,144 bytes; keep large data elsewhere and pass its name");
  co_return nothing_or(co_await states::task_succeeded(&app, call.parameter("token"), *output));
}

Task<Result<net::Response>> task_failure(AppContext& app, Call& call) {
  auto failure = read_failure(call.request);
  if (!failure) co_return fail(failure.error());
  co_return nothing_or(co_await states::task_failed(&app, call.parameter("token"), failure->error, failure->cause));
}

Task<Result<net::Response>> task_heartbeat(AppContext& app, Call& call) {
  co_return nothing_or(co_await states::task_heartbeat(&app, call.parameter("token")));
}

}  // namespace

void add_workflow_routes(Router& router) {
  router.add("GET", "/v1/workflows", {{Scope::Read, Scope::Invoke}}, list_workflows);
  router.add("POST", "/v1/workflows/validate", {{Scope::Read, Scope::Deploy}}, validate_workflow);
  router.add("GET", "/v1/workflows/{workflow}", {{Scope::Read}}, get_workflow);
  router.add("PUT", "/v1/workflows/{workflow}", {{Scope::Deploy}}, put_workflow);
  router.add("DELETE", "/v1/workflows/{workflow}", {{Scope::Deploy}}, remove_workflow);
  router.add("POST", "/v1/workflows/{workflow}/executions", {{Scope::Invoke}}, start);
  router.add("GET", "/v1/workflows/{workflow}/executions", {{Scope::Read}}, list_executions);
  router.add("GET", "/v1/workflows/{workflow}/executions/{execution}", {{Scope::Read, Scope::Invoke}}, get_execution);
  router.add("GET", "/v1/workflows/{workflow}/executions/{execution}/history", {{Scope::Read}}, get_history);
  router.add("POST", "/v1/workflows/{workflow}/executions/{execution}/stop", {{Scope::Invoke}}, stop);
  router.add("POST", "/v1/tasks/{token}/success", {{Scope::Invoke, Scope::Answer}}, task_success);
  router.add("POST", "/v1/tasks/{token}/failure", {{Scope::Invoke, Scope::Answer}}, task_failure);
  router.add("POST", "/v1/tasks/{token}/heartbeat", {{Scope::Invoke, Scope::Answer}}, task_heartbeat);
}

}  // namespace mayfly
