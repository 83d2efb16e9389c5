#include "server/a2a/a2a_methods.h"

#include <algorithm>

#include "base/hash.h"
#include "server/a2a/a2a_task.h"
#include "server/run_stream.h"

namespace mayfly::a2a {
namespace {

constexpr Millis kBlockingMax{10 * 60'000};
constexpr Millis kKeepAlive{15'000};
constexpr std::size_t kListScan = 1'000;
constexpr std::int64_t kPageMax = 100;
constexpr std::int64_t kPageDefault = 50;

/// A run with what a task shows beside it.
struct Seen {
  engine::Execution run;
  std::optional<agent::Question> question;
  std::string state;
};

Task<Result<Seen>> look(AppContext* app, std::string run) {
  auto found = co_await app->engine->get(run);
  if (!found) co_return fail(found.error());
  Seen out{std::move(*found), {}, {}};
  if (is_asking(out.run)) {
    auto questions = co_await app->service->questions(run, 1);
    if (questions && !questions->empty()) out.question = std::move(questions->front());
  }
  if (!out.run.open()) {
    auto result = co_await app->engine->unspill(std::move(out.run.result));
    if (!result) co_return fail(result.error());
    out.run.result = std::move(*result);
  }
  out.state = state_of(out.run, out.question.has_value());
  co_return out;
}

bool is_settled(const Seen& seen) { return is_terminal(seen.state) || seen.question.has_value(); }

Task<Result<Json>> input_of(AppContext* app, std::string run) {
  auto found = co_await app->engine->operations_by_id(run, {0});
  if (!found) co_return fail(found.error());
  auto* operation = found->empty() ? nullptr : std::get_if<engine::Operation>(&found->front());
  co_return co_await app->engine->unspill(operation ? std::move(operation->input) : Json(nullptr));
}

Task<Result<Json>> task_json(AppContext* app, Seen seen, TaskDetail detail) {
  Json input;
  if (detail.history_max.value_or(1) > 0) {
    auto read = co_await input_of(app, seen.run.id);
    if (!read) co_return fail(read.error());
    input = std::move(*read);
  }
  co_return Json(task_of(seen.run, seen.question, input, detail));
}

TaskDetail detail_of(const JsonObject& params) {
  TaskDetail out;
  if (params.contains("historyLength")) out.history_max = get_int(params, "historyLength");
  return out;
}

/// Of this agent, and nobody else's.
Task<Result<Seen>> find_task(const Request& request, std::string id) {
  const Error unknown{"a2a.task_not_found", "the agent '" + request.agent + "' has no task '" + id.substr(0, 100) + "'", Retry::Never};
  if (id.empty()) co_return fail("a2a.invalid_params", "the request names no task");
  auto seen = co_await look(request.app, std::move(id));
  if (!seen && seen.error().code == "run.not_found") co_return fail(unknown);
  if (seen && seen->run.program != request.agent) co_return fail(unknown);
  co_return seen;
}

Result<void> may(const Request& request, Scopes any_of) {
  const Scopes& scopes = request.principal.scopes;
  if (scopes.has(Scope::Admin) || scopes.intersects(any_of)) return {};
  std::string names;
  for (const std::string_view name : any_of.names()) names += (names.empty() ? "" : " or ") + std::string(name);
  return fail("auth.forbidden", "this API key must not do that; it needs the scope " + names);
}

/// Waits until the task has ended or asks somebody, at most `wait`.
Task<Result<Seen>> settle(Request request, std::string run, Millis wait) {
  AppContext* app = request.app;
  const auto deadline = app->clock->monotonic() + wait;
  for (;;) {
    auto subscription = app->engine->subscribe(run);
    bool is_over = false;
    for (;;) {
      auto seen = co_await look(app, run);
      if (!seen || is_settled(*seen) || is_over) co_return seen;
      const auto left = std::chrono::ceil<Millis>(deadline - app->clock->monotonic());
      if (left <= Millis{0}) co_return seen;
      const auto item = co_await next_item(app, subscription.get(), request.disconnected, left, &is_over);
      if (is_over || request.disconnected.cancelled() || app->stopping.cancelled()) co_return co_await look(app, run);
      if (!item) break;
    }
  }
}

/// The run that a message starts, or the task whose question it answers.
Task<Result<std::string>> take_message(Request request) {
  if (auto fine = may(request, {Scope::Invoke}); !fine) co_return fail(fine.error());
  const JsonObject* message = get_object(request.params, "message");
  if (!message) co_return fail("a2a.invalid_message", "the request has no `message`");
  const std::string task = get_string(*message, "taskId"), message_id = get_string(*message, "messageId");
  if (message_id.empty() || message_id.size() > 200) co_return fail("a2a.invalid_message", "the message needs a `messageId` of at most 200 bytes");
  if (!task.empty()) {
    auto seen = co_await find_task(request, task);
    if (!seen) co_return fail(seen.error());
    if (const std::string context = get_string(*message, "contextId"); !context.empty() && context != context_of(seen->run))
      co_return fail("a2a.invalid_message", "the task belongs to another context");
    if (!seen->question)
      co_return fail("a2a.unsupported", "the task " + task + (is_terminal(seen->state) ? " has ended" : " waits for nobody") +
                                            "; send the message without taskId, in the same context");
    // What a person is asked may be an approval: whoever may start runs must not thereby approve them.
    if (auto fine = may(request, {Scope::Answer}); !fine) co_return fail(fine.error());
    auto answer = answer_of_message(*message);
    if (!answer) co_return fail(answer.error());
    answer->by = "a2a:" + request.principal.name;
    auto answered = co_await request.app->service->answer(task, seen->question->operation, std::move(*answer));
    if (!answered) co_return fail(answered.error());
    co_return task;
  }
  const auto version = request.app->registry->current(request.agent);
  if (!version) co_return fail(request.app->registry->not_found(request.agent));
  auto input = input_of_message(*message);
  if (!input) co_return fail(input.error());
  agent::Invocation invocation;
  invocation.agent = request.agent;
  invocation.input = std::move(*input);
  invocation.session = get_string(*message, "contextId");
  if (!version->spec.session.keyed && !invocation.session.empty())
    co_return fail("a2a.unsupported", "the agent '" + request.agent + "' keeps no conversations; leave contextId out");
  // A message that is sent again is not another one: not even its new context is.
  invocation.idempotency_key = "a2a-" + request.principal.key_id + "-" + message_id;
  if (version->spec.session.keyed && invocation.session.empty())
    invocation.session = "ctx-" + sha256_hex(invocation.idempotency_key).substr(0, 32);
  invocation.traceparent = request.traceparent;
  auto started = co_await request.app->service->invoke(std::move(invocation));
  if (!started) co_return fail(started.error());
  co_return started->run;
}

Task<Result<void>> keep_push_config(const Request& request, const std::string& run) {
  const JsonObject* configuration = get_object(request.params, "configuration");
  const JsonObject* wanted = configuration ? get_object(*configuration, "taskPushNotificationConfig") : nullptr;
  if (!wanted) co_return Result<void>{};
  auto config = push_config_from_json(*wanted);
  if (!config) co_return fail(config.error());
  config->run = run;
  auto kept = co_await request.push->put(std::move(*config));
  if (!kept) co_return fail(kept.error());
  co_return Result<void>{};
}

Task<Result<Json>> send_message(Request request) {
  const JsonObject* configuration = get_object(request.params, "configuration");
  const JsonObject none;
  const JsonObject& wishes = configuration ? *configuration : none;
  if (const JsonObject* push = get_object(wishes, "taskPushNotificationConfig"))
    if (auto valid = push_config_from_json(*push); !valid) co_return fail(valid.error());
  auto run = co_await take_message(request);
  if (!run) co_return fail(run.error());
  if (auto kept = co_await keep_push_config(request, *run); !kept) co_return fail(kept.error());
  auto seen = get_bool(wishes, "returnImmediately") ? co_await look(request.app, *run) : co_await settle(request, *run, kBlockingMax);
  if (!seen) co_return fail(seen.error());
  auto task = co_await task_json(request.app, std::move(*seen), detail_of(wishes));
  if (!task) co_return task;
  co_return Json(JsonObject{{"task", std::move(*task)}});
}

Task<Result<Json>> get_task(Request request) {
  if (auto fine = may(request, {Scope::Read}); !fine) co_return fail(fine.error());
  auto seen = co_await find_task(request, get_string(request.params, "id"));
  if (!seen) co_return fail(seen.error());
  co_return co_await task_json(request.app, std::move(*seen), detail_of(request.params));
}

Task<Result<Json>> cancel_task(Request request) {
  if (auto fine = may(request, {Scope::Invoke}); !fine) co_return fail(fine.error());
  auto seen = co_await find_task(request, get_string(request.params, "id"));
  if (!seen) co_return fail(seen.error());
  auto cancelled = co_await request.app->engine->cancel(seen->run.id, "cancelled by A2A client " + request.principal.name);
  if (!cancelled) co_return fail(cancelled.error());
  auto after = co_await look(request.app, seen->run.id);
  if (!after) co_return fail(after.error());
  co_return co_await task_json(request.app, std::move(*after), {});
}

Task<Result<Json>> list_tasks(Request request) {
  const JsonObject& params = request.params;
  const std::string context = get_string(params, "contextId"), status = get_string(params, "status");
  if (auto fine = may(request, {Scope::Read}); !fine) co_return fail(fine.error());
  const std::int64_t page = params.contains("pageSize") ? get_int(params, "pageSize") : kPageDefault;
  if (page < 1 || page > kPageMax) co_return fail("a2a.invalid_params", "pageSize must be from 1 to 100");
  std::optional<TimePoint> after;
  if (const std::string text = get_string(params, "statusTimestampAfter"); !text.empty()) {
    auto time = parse_rfc3339(text);
    if (!time) co_return fail("a2a.invalid_params", "statusTimestampAfter: " + time.error().message);
    after = *time;
  }
  const auto version = request.app->registry->current(request.agent);
  if (!version) co_return fail(request.app->registry->not_found(request.agent));
  engine::ListFilter filter{.program = request.agent, .session_key = {}, .status = {}, .limit = kListScan, .before = {}};
  if (version->spec.session.keyed) filter.session_key = context;
  auto runs = co_await request.app->engine->list(std::move(filter));
  if (!runs) co_return fail(runs.error());
  TaskDetail detail = detail_of(params);
  detail.artifacts = get_bool(params, "includeArtifacts");
  std::vector<std::string> found;
  for (const engine::Execution& run : *runs) {
    const bool asks = is_asking(run);
    if (!context.empty() && context_of(run) != context) continue;
    if (!status.empty() && status != "TASK_STATE_UNSPECIFIED" && status != state_of(run, asks)) continue;
    if (after && run.updated < *after) continue;
    found.push_back(run.id);
  }
  const std::string token = get_string(params, "pageToken");
  auto next = token.empty() ? found.begin() : std::ranges::find_if(found, [&](const std::string& run) { return run < token; });
  JsonArray tasks;
  for (; next != found.end() && static_cast<std::int64_t>(tasks.size()) < page; ++next) {
    auto seen = co_await look(request.app, *next);
    if (!seen) continue;
    auto task = co_await task_json(request.app, std::move(*seen), detail);
    if (!task) co_return task;
    tasks.push_back(std::move(*task));
  }
  const bool more = next != found.end();
  co_return Json(JsonObject{{"tasks", std::move(tasks)},
                            {"nextPageToken", more ? *std::prev(next) : std::string()},
                            {"pageSize", page},
                            {"totalSize", found.size()}});
}

/// What other clients of the agent may see too.
JsonObject without_secrets(PushConfig config) {
  config.token.clear();
  config.credentials.clear();
  return to_json(config);
}

Task<Result<Json>> push_method(Request request) {
  if (auto fine = may(request, {Scope::Invoke}); !fine) co_return fail(fine.error());
  auto seen = co_await find_task(request, get_string(request.params, "taskId"));
  if (!seen) co_return fail(seen.error());
  const std::string run = seen->run.id, id = get_string(request.params, "id");
  if (request.method == "CreateTaskPushNotificationConfig") {
    auto config = push_config_from_json(request.params);
    if (!config) co_return fail(config.error());
    config->run = run;
    auto kept = co_await request.push->put(std::move(*config));
    if (!kept) co_return fail(kept.error());
    co_return Json(without_secrets(*kept));
  }
  const std::vector<PushConfig> configs = request.push->list(run);
  if (request.method == "ListTaskPushNotificationConfigs") {
    JsonArray out;
    for (const PushConfig& config : configs) out.push_back(without_secrets(config));
    co_return Json(JsonObject{{"configs", std::move(out)}, {"nextPageToken", ""}});
  }
  const auto config = std::ranges::find(configs, id, &PushConfig::id);
  if (request.method == "DeleteTaskPushNotificationConfig") {
    if (auto removed = co_await request.push->remove(run, id); !removed) co_return fail(removed.error());
    co_return Json(JsonObject());
  }
  if (config == configs.end()) co_return fail("a2a.task_not_found", "the task has no push notification configuration '" + id.substr(0, 100) + "'");
  co_return Json(without_secrets(*config));
}

/// What the answer's text has come to in a stream.
struct Said {
  std::int64_t operation = 0;
  std::int64_t attempt = 0;
};

Json artifact_update(const engine::Execution& run, JsonObject artifact, bool append, bool last) {
  return JsonObject{{"artifactUpdate", JsonObject{{"taskId", run.id},
                                                  {"contextId", context_of(run)},
                                                  {"artifact", std::move(artifact)},
                                                  {"append", append},
                                                  {"lastChunk", last}}}};
}

Json status_update(const Seen& seen) {
  return JsonObject{{"statusUpdate", JsonObject{{"taskId", seen.run.id},
                                                {"contextId", context_of(seen.run)},
                                                {"status", status_of_task(seen.run, seen.question)}}}};
}

/// A text of the model as more of the artifact; another model call starts it anew.
Json delta_update(const engine::Execution& run, const engine::Delta& delta, Said& said) {
  const bool same = said.operation == delta.operation && said.attempt == delta.attempt && delta.offset > 0;
  said = {delta.operation, delta.attempt};
  JsonObject artifact{{"artifactId", "answer"},
                      {"name", "answer"},
                      {"parts", JsonArray{JsonObject{{"text", delta.text}, {"mediaType", "text/plain"}}}}};
  return artifact_update(run, std::move(artifact), same, false);
}

/// The state now, when it is another than `state`, and the artifact before it. False: the stream ends.
Task<bool> emit_state(AppContext* app, const std::string& run, std::string* state, const Emit& emit) {
  auto seen = co_await look(app, run);
  if (!seen) co_return false;
  if (seen->state != *state) {
    *state = seen->state;
    if (auto artifact = artifact_of(seen->run))
      if (!co_await emit(artifact_update(seen->run, std::move(*artifact), false, true))) co_return false;
    if (!co_await emit(status_update(*seen))) co_return false;
  }
  co_return !is_settled(*seen);
}

}  // namespace

bool is_streaming(std::string_view method) { return method == "SendStreamingMessage" || method == "SubscribeToTask"; }

Task<Result<Json>> call(Request request) {
  const std::string& method = request.method;
  if (method == "SendMessage") co_return co_await send_message(std::move(request));
  if (method == "GetTask") co_return co_await get_task(std::move(request));
  if (method == "ListTasks") co_return co_await list_tasks(std::move(request));
  if (method == "CancelTask") co_return co_await cancel_task(std::move(request));
  if (method.ends_with("TaskPushNotificationConfig") || method == "ListTaskPushNotificationConfigs") co_return co_await push_method(std::move(request));
  if (method == "GetExtendedAgentCard") co_return fail("a2a.unsupported", "there is no extended card; the public one says everything");
  co_return fail("a2a.method_not_found", "A2A 1.0 has no method '" + method.substr(0, 100) + "'");
}

Task<Result<Stream>> open_stream(Request request) {
  if (request.method == "SubscribeToTask") {
    if (auto fine = may(request, {Scope::Read}); !fine) co_return fail(fine.error());
    auto seen = co_await find_task(request, get_string(request.params, "id"));
    if (!seen) co_return fail(seen.error());
    if (is_terminal(seen->state)) co_return fail("a2a.unsupported", "the task has ended; there is nothing to subscribe to");
    co_return Stream{seen->run.id};
  }
  auto run = co_await take_message(request);
  if (!run) co_return fail(run.error());
  if (auto kept = co_await keep_push_config(request, *run); !kept) co_return fail(kept.error());
  co_return Stream{std::move(*run)};
}

Task<> run_stream(Request request, Stream stream, Emit emit, std::function<Task<bool>()> keep_alive) {
  AppContext* app = request.app;
  std::string state;
  Said said;
  bool first = true;
  for (;;) {
    auto subscription = app->engine->subscribe(stream.run);
    if (std::exchange(first, false)) {
      auto seen = co_await look(app, stream.run);
      if (!seen) co_return;
      const bool settled = is_settled(*seen);
      state = seen->state;
      auto task = co_await task_json(app, std::move(*seen), {});
      if (!task || !co_await emit(JsonObject{{"task", std::move(*task)}}) || settled) co_return;
    } else if (!co_await emit_state(app, stream.run, &state, emit)) {
      co_return;
    }
    for (;;) {
      bool is_over = false;
      auto item = co_await next_item(app, subscription.get(), request.disconnected, kKeepAlive, &is_over);
      if (request.disconnected.cancelled() || app->stopping.cancelled()) co_return;
      if (is_over) {
        if (!co_await keep_alive()) co_return;
        continue;
      }
      if (!item) break;
      const auto* delta = std::get_if<engine::Delta>(&*item);
      if (!delta) {
        if (!co_await emit_state(app, stream.run, &state, emit)) co_return;
      } else if (delta->channel == "text" && !delta->text.empty()) {
        auto run = co_await app->engine->get(stream.run);
        if (!run || !co_await emit(delta_update(*run, *delta, said))) co_return;
      }
    }
  }
}

Task<Result<Json>> snapshot(AppContext* app, std::string run) {
  auto seen = co_await look(app, std::move(run));
  if (!seen) co_return fail(seen.error());
  auto task = co_await task_json(app, std::move(*seen), {});
  if (!task) co_return task;
  co_return Json(JsonObject{{"task", std::move(*task)}});
}

}  // namespace mayfly::a2a
