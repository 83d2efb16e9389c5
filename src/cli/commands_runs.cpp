#include <fmt/format.h>

#include "cli/commands.h"
#include "cli/project_json.h"
#include "cli/run_stream.h"
#include "cli/run_view.h"

namespace mayfly::cli {
namespace {

ViewOptions view_of(const Env& env) { return {.now = env.clock.now(), .width = env.terminal.width(), .colour = env.terminal.out_colour()}; }

}  // namespace

Task<ExitCode> runs(Env& env, RunsOptions options) {
  std::string path = fmt::format("/v1/runs?limit={}", options.limit);
  const auto add = [&path](std::string_view name, const std::string& value) {
    if (!value.empty()) path += fmt::format("&{}={}", name, net::percent_encode(value));
  };
  add("agent", options.agent);
  add("session", options.session);
  for (char& c : options.status) c = c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c == '-' ? '_' : c;
  add("status", options.status);
  if (options.waiting) path += "&waiting=true";
  const auto answer = co_await env.api.get(path);
  if (!answer) co_return env.terminal.error(answer.error());
  const JsonArray list = items_of(*answer, "runs");
  if (env.json) {
    env.terminal.line(to_text(Json(list)));
  } else if (list.empty()) {
    env.terminal.note("no runs yet; start one with: mayfly invoke AGENT \"text\"");
  } else {
    env.terminal.print(runs_table(list, view_of(env)));
  }
  co_return ExitCode::Ok;
}

Task<ExitCode> show(Env& env, ShowOptions options) {
  if (options.transcript) {
    const auto transcript = co_await env.api.get(path_of({"v1", "runs", options.run, "transcript"}));
    if (!transcript) co_return env.terminal.error(transcript.error());
    if (env.json) {
      env.terminal.line(to_text(*transcript));
    } else {
      env.terminal.print(transcript_text(items_of(*transcript, "messages"), view_of(env)));
    }
    co_return ExitCode::Ok;
  }
  const auto run = co_await env.api.get(path_of({"v1", "runs", options.run}));
  if (!run) co_return env.terminal.error(run.error());
  const auto operations = co_await env.api.get(path_of({"v1", "runs", options.run, "operations"}));
  if (!operations) co_return env.terminal.error(operations.error());
  if (!run->is_object())
    co_return env.terminal.error({"api.invalid_answer", "the server's answer is no run; is it a Mayfly server of this version?"});
  const JsonArray list = items_of(*operations, "operations");
  const JsonObject& view = run->get_object();
  if (env.json) {
    env.terminal.line(to_text(JsonObject{{"run", view}, {"operations", list}}));
    co_return ExitCode::Ok;
  }
  env.terminal.print(run_head(view, view_of(env)));
  env.terminal.print("\n" + timeline(view, list, options.full ? Detail::Full : Detail::Brief, view_of(env)));
  if (const std::string tree = run_tree(view, view_of(env)); !tree.empty()) env.terminal.print("\n" + tree);
  if (const Json* result = get(view, "result"); result && !result->is_null()) env.terminal.print("\n" + readable(*result) + "\n");
  std::vector<std::string> asking = asking_runs(view);
  if (get_object(view, "wait")) asking.insert(asking.begin(), options.run);
  for (const std::string& run_id : asking) {
    const auto questions = co_await env.api.get("/v1/questions?run=" + net::percent_encode(run_id));
    if (questions)
      for (const Json& item : items_of(*questions, "questions"))
        if (item.is_object()) env.terminal.print("\n" + question_text(item.get_object(), view_of(env)));
  }
  co_return ExitCode::Ok;
}

Task<ExitCode> logs(Env& env, std::string run, bool follow) {
  const auto view = co_await env.api.get(path_of({"v1", "runs", run}));
  if (!view) co_return env.terminal.error(view.error());
  // Without -f: up to the newest event there is now.
  const std::int64_t newest = view->is_object() ? get_int(view->get_object(), "events", -1) : -1;
  const bool ended = view->is_object() && get_string(view->get_object(), "status") != "RUNNING";
  RunFollower follower;
  std::string end_status;
  const FollowHooks hooks{.on_update =
                              [&](const RunUpdate& update) {
                                static constexpr std::array<std::string_view, 5> kNames{"run.started", "operation.started",
                                                                                        "operation.ended", "run.ended", "delta"};
                                if (update.kind == RunUpdate::Kind::Text) return !follow && !ended ? Follow::Stop : Follow::On;
                                const std::string_view name = kNames[static_cast<std::size_t>(update.kind)];
                                if (env.json) {
                                  JsonObject line{{"event", name}};
                                  for (const auto& [key, value] : update.data) line[key] = value;
                                  env.terminal.line(to_text(line));
                                } else {
                                  env.terminal.line(event_line(name, update.data, view_of(env)));
                                }
                                if (update.kind == RunUpdate::Kind::RunEnded) end_status = get_string(update.data, "status");
                                return !follow && newest >= 0 && get_int(update.data, "number") >= newest ? Follow::Stop : Follow::On;
                              },
                          .on_interruption = [&](std::string_view text) { env.terminal.note(text); },
                          .on_resumed = [&] { env.terminal.note("connected again"); }};
  const auto followed = co_await follow_run(env.api, env.clock, run, follower, hooks, Millis{120'000});
  if (!followed) co_return env.terminal.error(followed.error());
  co_return !follow || end_status.empty() || end_status == "SUCCEEDED" ? ExitCode::Ok : ExitCode::Failed;
}

Task<ExitCode> cancel(Env& env, std::string run, std::string reason) {
  JsonObject body;
  if (!reason.empty()) body["reason"] = reason;
  const auto sent = co_await env.api.post(path_of({"v1", "runs", run, "cancel"}), std::move(body));
  if (!sent) co_return env.terminal.error(sent.error());
  env.terminal.note(fmt::format("cancelled {}", run));
  co_return ExitCode::Ok;
}

Task<ExitCode> fork(Env& env, std::string run, std::int64_t at, std::string instructions_file, std::string model) {
  JsonObject body{{"at", at}};
  if (!model.empty()) body["model"] = model;
  if (!instructions_file.empty()) {
    const auto text = read_file(instructions_file, 1024 * 1024);
    if (!text) co_return env.terminal.error(text.error());
    body["instructions"] = *text;
  }
  const auto started = co_await env.api.post(path_of({"v1", "runs", run, "fork"}), std::move(body));
  if (!started) co_return env.terminal.error(started.error());
  const std::string made = started->is_object() ? get_string(started->get_object(), "run") : "";
  env.terminal.line(env.json ? to_text(*started) : made);
  if (!env.json) env.terminal.note(fmt::format("follow it with: mayfly logs -f {}", made));
  co_return ExitCode::Ok;
}

Task<ExitCode> replay(Env& env, std::string run, std::string project, std::string agent) {
  JsonObject body;
  if (!project.empty()) {
    const auto view = co_await env.api.get(path_of({"v1", "runs", run}));
    if (!view) co_return env.terminal.error(view.error());
    if (agent.empty() && view->is_object()) agent = get_string(view->get_object(), "agent");
    auto spec = agent_of_project(env.terminal, project, agent);
    if (!spec) co_return env.terminal.error(spec.error());
    body["agent"] = std::move(*spec);
  }
  const auto report = co_await env.api.post(path_of({"v1", "runs", run, "replay"}), std::move(body));
  if (!report) co_return env.terminal.error(report.error());
  const JsonObject empty;
  const JsonObject& view = report->is_object() ? report->get_object() : empty;
  const JsonObject* difference = get_object(view, "first_difference");
  if (env.json) {
    env.terminal.line(to_text(*report));
  } else if (difference) {
    env.terminal.line(
        fmt::format("first difference at operation {}: {}", get_int(*difference, "operation"), printable(get_string(*difference, "what"))));
  } else {
    env.terminal.line(fmt::format("no difference: {} model calls would be made as recorded", get_int(view, "model_calls")));
  }
  co_return difference ? ExitCode::Failed : ExitCode::Ok;
}

}  // namespace mayfly::cli
