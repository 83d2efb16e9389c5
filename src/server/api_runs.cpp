#include "llm/message.h"
#include "server/api.h"
#include "server/api_events.h"
#include "server/body_reader.h"
#include "server/json_views.h"
#include "server/problem.h"
#include "server/run_tree.h"

namespace mayfly {
namespace {

constexpr std::size_t kResultsBytesMax = 32 * 1024 * 1024;
constexpr std::size_t kListMax = 1'000;

bool wants_events(const net::Request& request) {
  return request.headers.get("accept").find("text/event-stream") != std::string::npos;
}

/// The header draft makes it a quoted string; most clients send it bare.
std::string idempotency_key(const net::Request& request) {
  std::string key = request.headers.get("idempotency-key");
  if (key.size() >= 2 && key.front() == '"' && key.back() == '"') return key.substr(1, key.size() - 2);
  return key;
}

Result<agent::Invocation> read_invocation(const Call& call) {
  const auto body = read_object(call.request, {"input", "session", "version"});
  if (!body) return fail(body.error());
  agent::Invocation out;
  out.agent = call.parameter("name");
  const Json* input = get(*body, "input");
  if (!input) return fail("request.invalid", "the body lacks \"input\"; send {\"input\": \"a text or any JSON\"}");
  out.input = *input;
  const auto session = read_text(*body, "session", 1'000);
  if (!session) return fail(session.error());
  out.session = session->value_or(std::string());
  const auto version = read_int(*body, "version", 1, 1'000'000'000);
  if (!version) return fail(version.error());
  out.version = *version;
  out.idempotency_key = idempotency_key(call.request);
  out.traceparent = call.traceparent;
  return out;
}

/// {run, started_as, links, status, …}: what is known of a run that was just started.
Task<Result<net::Response>> started_response(AppContext* app, engine::Started started, std::optional<Millis> wait,
                                             CancelToken disconnected) {
  JsonObject out = started_view(started);
  std::optional<engine::Execution> ended;
  if (wait) {
    auto waited = co_await wait_for_end(*app, started.run, *wait, disconnected);
    if (!waited) co_return fail(waited.error());
    ended = std::move(*waited);
  }
  const bool is_done = ended.has_value();
  auto run = is_done ? Result<engine::Execution>(std::move(*ended)) : co_await app->engine->get(started.run);
  if (!run) co_return fail(run.error());
  auto view = co_await run_view(*app->engine, std::move(*run), Detail::Full);
  if (!view) co_return fail(view.error());
  for (auto& member : *view) out[member.key()] = std::move(member.value());
  net::Response response = json_response(is_done ? 200 : 202, std::move(out));
  response.headers.add("Mayfly-Run", started.run);
  response.headers.add("Location", "/v1/runs/" + started.run);
  if (wait) response.headers.add("Preference-Applied", "wait=" + std::to_string(wait->count() / 1000));
  co_return response;
}

Task<> invoke(AppContext& app, Call& call) {
  auto invocation = read_invocation(call);
  const auto wait = read_wait(call.request);
  if (!invocation || !wait) {
    co_await call.responder.send(to_problem(invocation ? wait.error() : invocation.error()));
    co_return;
  }
  auto started = co_await app.service->invoke(std::move(*invocation));
  if (!started) {
    co_await call.responder.send(to_problem(started.error()));
    co_return;
  }
  if (wants_events(call.request)) {
    co_await stream_run(app, call, started->run, {});
    co_return;
  }
  auto response = co_await started_response(&app, std::move(*started), *wait, call.request.disconnected);
  co_await call.responder.send(response ? std::move(*response) : to_problem(response.error()));
}

Result<engine::ListFilter> read_filter(const net::Request& request) {
  engine::ListFilter out;
  out.program = request.query_parameter("agent").value_or(std::string());
  out.session_key = request.query_parameter("session").value_or(std::string());
  out.before = request.query_parameter("before").value_or(std::string());
  if (!out.session_key.empty() && out.program.empty()) return fail("request.invalid", "\"session\" needs \"agent\" beside it");
  if (!out.before.empty() && !engine::keys::partition_of_run(out.before)) return fail("request.invalid", "\"before\" must be a run's id");
  if (const auto status = request.query_parameter("status"); status && !status->empty()) {
    out.status = engine::execution_status_from_string(*status);
    if (!out.status) return fail("request.invalid", "\"status\" must be RUNNING, SUCCEEDED, FAILED, TIMED_OUT or STOPPED");
  }
  if (const auto waiting = request.query_parameter("waiting")) {
    if (*waiting != "true" && *waiting != "false") return fail("request.invalid", "\"waiting\" must be true or false");
    out.waiting_only = *waiting == "true";
  }
  const auto limit = read_limit(request, 50, kListMax);
  if (!limit) return fail(limit.error());
  out.limit = *limit;
  return out;
}

Task<Result<net::Response>> list_runs(AppContext& app, Call& call) {
  auto filter = read_filter(call.request);
  if (!filter) co_return fail(filter.error());
  const std::size_t limit = filter->limit;
  auto runs = co_await app.engine->list(std::move(*filter));
  if (!runs) co_return fail(runs.error());
  JsonObject out{{"next", runs->size() == limit ? Json(runs->back().id) : Json(nullptr)}};
  JsonArray views;
  for (engine::Execution& run : *runs) {
    auto view = co_await run_view(*app.engine, std::move(run), Detail::List);
    if (!view) co_return fail(view.error());
    views.push_back(std::move(*view));
  }
  out["runs"] = std::move(views);
  co_return json_response(200, std::move(out));
}

Task<Result<net::Response>> get_run(AppContext& app, Call& call) {
  const auto wait = read_wait(call.request);
  if (!wait) co_return fail(wait.error());
  const std::string& id = call.parameter("run");
  if (*wait)
    if (auto waited = co_await wait_for_end(app, id, **wait, call.request.disconnected); !waited) co_return fail(waited.error());
  auto run = co_await app.engine->get(id);
  if (!run) co_return fail(run.error());
  std::size_t budget = kTreeRunsMax;
  auto children = co_await children_view(*app.engine, *run, &budget);
  if (!children) co_return fail(children.error());
  auto view = co_await run_view(*app.engine, std::move(*run), Detail::Full);
  if (!view) co_return fail(view.error());
  (*view)["children"] = std::move(*children);
  co_return json_response(200, std::move(*view));
}

Task<Result<net::Response>> list_operations(AppContext& app, Call& call) {
  auto description = co_await app.engine->describe(call.parameter("run"));
  if (!description) co_return fail(description.error());
  std::vector<std::pair<std::int64_t, Json>> records;
  for (const auto& operation : description->operations) records.emplace_back(operation.id, engine::to_json(operation));
  for (const auto& operation : description->run.pending) records.emplace_back(operation.id, engine::to_json(operation));
  std::ranges::sort(records, {}, &std::pair<std::int64_t, Json>::first);
  JsonArray views;
  std::size_t budget = kResultsBytesMax;
  for (auto& [id, record] : records) {
    auto view = co_await operation_view(*app.engine, std::move(record), &budget);
    if (!view) co_return fail(view.error());
    views.push_back(std::move(*view));
  }
  co_return json_response(200, JsonObject{{"run", description->run.id}, {"operations", std::move(views)}});
}

Task<Result<net::Response>> get_transcript(AppContext& app, Call& call) {
  auto messages = co_await app.service->transcript(call.parameter("run"));
  if (!messages) co_return fail(messages.error());
  JsonArray out;
  for (const auto& message : *messages) out.push_back(llm::to_json(message));
  co_return json_response(200, JsonObject{{"run", call.parameter("run")}, {"messages", std::move(out)}});
}

Task<Result<net::Response>> get_cassette(AppContext& app, Call& call) {
  auto lines = co_await app.service->cassette(call.parameter("run"));
  if (!lines) co_return fail(lines.error());
  co_return net::Response{200, {{"Content-Type", "application/jsonl"}, {"Cache-Control", "no-store"}}, std::move(*lines)};
}

Task<Result<net::Response>> cancel_run(AppContext& app, Call& call) {
  const auto body = read_object(call.request, {"reason"});
  if (!body) co_return fail(body.error());
  const auto reason = read_text(*body, "reason", 4096);
  if (!reason) co_return fail(reason.error());
  std::string why = reason->value_or("cancelled with the key '" + call.principal.name + "'");
  auto cancelled = co_await app.engine->cancel(call.parameter("run"), std::move(why));
  if (!cancelled) co_return fail(cancelled.error());
  co_return co_await get_run(app, call);
}

Task<Result<net::Response>> answer_run(AppContext& app, Call& call) {
  const auto body = read_object(call.request, {"operation", "decision", "comment", "add"});
  if (!body) co_return fail(body.error());
  const auto operation = read_int(*body, "operation", 1, 1'000'000'000);
  if (!operation) co_return fail(operation.error());
  const auto decision = read_text(*body, "decision");
  if (!decision) co_return fail(decision.error());
  if (!*decision) co_return fail("request.invalid", "the body lacks \"decision\"; GET /v1/questions says what is asked");
  const auto comment = read_text(*body, "comment");
  if (!comment) co_return fail(comment.error());
  agent::PersonAnswer answer{**decision, comment->value_or(std::string()), call.principal.name, nullptr};
  if (const Json* add = get(*body, "add")) answer.add = *add;
  auto answered = co_await app.service->answer(call.parameter("run"), operation->value_or(0), std::move(answer));
  if (!answered) co_return fail(answered.error());
  co_return co_await get_run(app, call);
}

Task<Result<net::Response>> fork_run(AppContext& app, Call& call) {
  const auto body = read_object(call.request, {"at", "instructions", "model"});
  if (!body) co_return fail(body.error());
  const auto at = read_int(*body, "at", 0, 1'000'000'000);
  if (!at) co_return fail(at.error());
  const auto instructions = read_text(*body, "instructions", 1024 * 1024);
  if (!instructions) co_return fail(instructions.error());
  const auto model = read_text(*body, "model", 300);
  if (!model) co_return fail(model.error());
  auto started = co_await app.service->fork({call.parameter("run"), at->value_or(0), *instructions, *model});
  if (!started) co_return fail(started.error());
  const auto wait = read_wait(call.request);
  if (!wait) co_return fail(wait.error());
  co_return co_await started_response(&app, std::move(*started), *wait, call.request.disconnected);
}

Task<Result<net::Response>> replay_run(AppContext& app, Call& call) {
  const auto body = read_object(call.request, {"agent"});
  if (!body) co_return fail(body.error());
  std::optional<agent::AgentSpec> spec;
  if (const Json* value = get(*body, "agent"); value && !value->is_null()) {
    auto read = agent::spec_from_json(*value);
    if (!read) co_return fail("agent.invalid", read.error().message);
    spec = std::move(*read);
  }
  auto report = co_await app.service->replay(call.parameter("run"), std::move(spec));
  if (!report) co_return fail(report.error());
  JsonObject out{{"run", call.parameter("run")}, {"model_calls", report->model_calls}, {"identical", !report->first_difference}};
  out["first_difference"] =
      report->first_difference
          ? Json(JsonObject{{"operation", report->first_difference->operation}, {"what", report->first_difference->what}})
          : Json(nullptr);
  co_return json_response(200, std::move(out));
}

Task<Result<net::Response>> list_questions(AppContext& app, Call& call) {
  const auto limit = read_limit(call.request, 50, kListMax);
  if (!limit) co_return fail(limit.error());
  auto questions = co_await app.service->questions(call.request.query_parameter("run").value_or(std::string()), *limit);
  if (!questions) co_return fail(questions.error());
  JsonArray out;
  for (const auto& question : *questions) out.push_back(question_view(question));
  co_return json_response(200, JsonObject{{"questions", std::move(out)}});
}

Task<Result<net::Response>> list_sessions(AppContext& app, Call& call) {
  const auto limit = read_limit(call.request, 50, kListMax);
  if (!limit) co_return fail(limit.error());
  auto sessions = co_await app.engine->sessions(call.request.query_parameter("agent").value_or(std::string()), *limit);
  if (!sessions) co_return fail(sessions.error());
  JsonArray out;
  for (const auto& session : *sessions) out.push_back(session_view(session));
  co_return json_response(200, JsonObject{{"sessions", std::move(out)}});
}

Task<Result<net::Response>> get_session(AppContext& app, Call& call) {
  const auto limit = read_limit(call.request, 50, kListMax);
  if (!limit) co_return fail(limit.error());
  const std::string &agent = call.parameter("agent"), &key = call.parameter("key");
  auto ids = co_await app.engine->session_runs(agent + "/" + key, *limit);
  if (!ids) co_return fail(ids.error());
  if (ids->empty())
    co_return fail("session.not_found", "agent '" + agent + "' has no session '" + key + "'; list them with GET /v1/sessions");
  JsonArray runs;
  for (const std::string& id : *ids) {
    auto run = co_await app.engine->get(id);
    if (!run) co_return fail(run.error());
    auto view = co_await run_view(*app.engine, std::move(*run), Detail::List);
    if (!view) co_return fail(view.error());
    runs.push_back(std::move(*view));
  }
  co_return json_response(200, JsonObject{{"agent", agent}, {"key", key}, {"runs", std::move(runs)}});
}

}  // namespace

void add_run_routes(Router& router) {
  router.add_stream("POST", "/v1/agents/{name}/runs", {{Scope::Invoke}}, invoke);
  router.add("GET", "/v1/runs", {{Scope::Read}}, list_runs);
  router.add("GET", "/v1/runs/{run}", {{Scope::Read}}, get_run);
  router.add("GET", "/v1/runs/{run}/operations", {{Scope::Read}}, list_operations);
  router.add("GET", "/v1/runs/{run}/transcript", {{Scope::Read}}, get_transcript);
  router.add("GET", "/v1/runs/{run}/cassette", {{Scope::Read}}, get_cassette);
  router.add("POST", "/v1/runs/{run}/cancel", {{Scope::Invoke}}, cancel_run);
  router.add("POST", "/v1/runs/{run}/answer", {{Scope::Answer}}, answer_run);
  router.add("POST", "/v1/runs/{run}/fork", {{Scope::Invoke}}, fork_run);
  router.add("POST", "/v1/runs/{run}/replay", {{Scope::Read}}, replay_run);
  router.add("GET", "/v1/questions", {{Scope::Read, Scope::Answer}}, list_questions);
  router.add("GET", "/v1/sessions", {{Scope::Read}}, list_sessions);
  router.add("GET", "/v1/sessions/{agent}/{key}", {{Scope::Read}}, get_session);
}

}  // namespace mayfly
