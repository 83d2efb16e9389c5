#include <fmt/format.h>

#include "cli/commands.h"
#include "cli/run_view.h"

/// State machines and their executions.
namespace mayfly::cli {
namespace {

constexpr std::size_t kFileBytesMax = 2 * 1024 * 1024;

const JsonObject& object_of(const Json& value) {
  static const JsonObject empty;
  const JsonObject* object = value.if_object();
  return object ? *object : empty;
}

Cell status_of(const JsonObject& execution) {
  const std::string status = get_string(execution, "status");
  return {one_line(status, 20), status == "SUCCEEDED" ? Ink::Green : status == "RUNNING" ? Ink::Cyan : Ink::Red};
}

/// JSON as it was given: a text, "-" standard input, "@FILE" a file.
Result<Json> json_of(const std::string& given, std::string_view what) {
  auto text = given == "-"             ? read_standard_input(kFileBytesMax)
              : given.starts_with("@") ? read_file(given.substr(1), kFileBytesMax)
                                       : Result<std::string>(given);
  if (!text) return fail(text.error());
  auto value = parse_json(*text);
  if (!value) return fail("usage", fmt::format("{} is not JSON: {}; a text needs quotes: '\"hello\"'", what, value.error().message));
  return value;
}

Result<Json> definition_of(const std::string& file) {
  auto text = file == "-" ? read_standard_input(kFileBytesMax) : read_file(file, kFileBytesMax);
  if (!text) return fail(text.error());
  auto value = parse_json(*text);
  if (!value) return fail("input.invalid", fmt::format("{} is not JSON: {}", file, value.error().message));
  if (!value->is_object()) return fail("input.invalid", fmt::format("{} must hold a JSON object: a state machine", file));
  return value;
}

/// "order-review.asl.json" is called order-review.
std::string name_of_file(std::string_view file) {
  file = file.substr(file.rfind('/') + 1);
  return std::string(file.substr(0, file.find('.')));
}

void line(const Env& env, std::string_view name, const std::string& value) {
  if (!value.empty()) env.terminal.line(fmt::format("{}  {}", env.terminal.ink(Ink::Bold, fmt::format("{:<9}", name)), printable(value)));
}

void show_diagnostics(const Env& env, const JsonArray& diagnostics) {
  for (const Json& item : diagnostics) {
    const JsonObject& of = object_of(item);
    const bool is_error = get_string(of, "severity") == "ERROR";
    env.terminal.line(fmt::format("{}  {}  {} {}", env.terminal.ink(is_error ? Ink::Red : Ink::Yellow, is_error ? "error" : "warning"),
                                  printable(get_string(of, "location")), printable(get_string(of, "message")),
                                  env.terminal.ink(Ink::Dim, one_line(get_string(of, "code"), 60))));
  }
}

ExitCode show_execution(const Env& env, const Json& answer) {
  const JsonObject& of = object_of(answer);
  const std::string status = get_string(of, "status");
  const bool failed = status != "SUCCEEDED" && status != "RUNNING";
  if (env.json) {
    env.terminal.line(to_text(answer));
    return failed ? ExitCode::Failed : ExitCode::Ok;
  }
  const Cell cell = status_of(of);
  line(env, "execution", get_string(of, "name"));
  line(env, "workflow", fmt::format("{} (revision {})", get_string(of, "workflow"), get_int(of, "revision")));
  line(env, "run", get_string(of, "run"));
  line(env, "status", env.terminal.ink(cell.ink, cell.text));
  line(env, "started", get_string(of, "started"));
  line(env, "ended", get_string(of, "ended"));
  if (const Json* input = get(of, "input")) line(env, "input", to_text(*input));
  if (const Json* output = get(of, "output"); output && status == "SUCCEEDED") line(env, "output", to_text(*output));
  if (const JsonObject* error = get_object(of, "error"))
    line(env, "error",
         fmt::format("{}{}{}", get_string(*error, "error"), get_string(*error, "cause").empty() ? "" : ": ", get_string(*error, "cause")));
  return failed ? ExitCode::Failed : ExitCode::Ok;
}

/// What an event says beside its type.
std::string details_of(const JsonObject& event) {
  const JsonObject* details = get_object(event, "details");
  if (!details) return {};
  std::string out = get_string(*details, "name");
  for (const char* name : {"resource", "error", "cause", "output", "input"}) {
    const std::string value = get_string(*details, name);
    if (value.empty()) continue;
    out += (out.empty() ? "" : "  ") + value;
    break;
  }
  if (const Json* index = get(*details, "index")) out += " #" + to_text(*index);
  return out;
}

/// One line an event, indented below the state that it belongs to.
std::string history_text(const Env& env, const JsonArray& events) {
  std::map<std::int64_t, std::size_t> depth_of;  // after the event
  std::vector<std::vector<Cell>> rows;
  for (const Json& item : events) {
    const JsonObject& event = object_of(item);
    const std::string type = get_string(event, "type");
    const auto before = depth_of.find(get_int(event, "previous"));
    std::size_t depth = before == depth_of.end() ? 0 : before->second;
    const bool enters = type.ends_with("StateEntered") || type == "MapIterationStarted";
    const bool leaves = type.ends_with("StateExited") || type == "MapIterationSucceeded" || type == "MapIterationFailed" ||
                        type == "MapIterationAborted" || (type.starts_with("Execution") && type != "ExecutionStarted");
    if (leaves && depth > 0) --depth;
    depth_of[get_int(event, "id")] = enters ? depth + 1 : depth;
    const Ink ink = type.ends_with("Failed") || type.ends_with("TimedOut") || type.ends_with("Aborted") ? Ink::Red
                    : type.ends_with("Succeeded")                                                       ? Ink::Green
                                                                                                        : Ink::Bold;
    rows.push_back({{std::to_string(get_int(event, "id"))},
                    {one_line(get_string(event, "time"), 30), Ink::Dim},
                    {std::string(2 * std::min<std::size_t>(depth, 20), ' ') + one_line(type, 60), ink},
                    {one_line(details_of(event), 300)}});
  }
  return table({{"#", Align::Right}, {"TIME"}, {"EVENT"}, {"DETAILS"}}, rows, env.terminal.width(), env.terminal.out_colour());
}

}  // namespace

Task<ExitCode> list_workflows(Env& env) {
  const auto answer = co_await env.api.get("/v1/workflows");
  if (!answer) co_return env.terminal.error(answer.error());
  const JsonArray list = items_of(*answer, "workflows");
  if (env.json) {
    env.terminal.line(to_text(Json(list)));
    co_return ExitCode::Ok;
  }
  if (list.empty()) env.terminal.note("no state machines yet; deploy one: mayfly workflows deploy FILE --name NAME");
  std::vector<std::vector<Cell>> rows;
  for (const Json& item : list) {
    const JsonObject& of = object_of(item);
    const auto modified = time_of(of, "modified");
    rows.push_back({{one_line(get_string(of, "name"), 80), Ink::Bold},
                    {one_line(get_string(of, "type"), 20)},
                    {std::to_string(get_int(of, "states"))},
                    {std::to_string(get_int(of, "revision"))},
                    {modified ? age(env.clock.now() - *modified) : "-"},
                    {one_line(get_string(of, "description"), 80)}});
  }
  if (!rows.empty())
    env.terminal.print(
        table({{"WORKFLOW"}, {"TYPE"}, {"STATES", Align::Right}, {"REVISION", Align::Right}, {"AGE", Align::Right}, {"DESCRIPTION"}}, rows,
              env.terminal.width(), env.terminal.out_colour()));
  co_return ExitCode::Ok;
}

Task<ExitCode> show_workflow(Env& env, std::string name) {
  const auto answer = co_await env.api.get(path_of({"v1", "workflows", name}));
  if (!answer) co_return env.terminal.error(answer.error());
  const JsonObject& of = object_of(*answer);
  if (env.json) {
    env.terminal.line(to_text(*answer));
    co_return ExitCode::Ok;
  }
  line(env, "workflow", get_string(of, "name"));
  line(env, "arn", get_string(of, "arn"));
  line(env, "type", get_string(of, "type"));
  line(env, "about", get_string(of, "description"));
  line(env, "revision", std::to_string(get_int(of, "revision")));
  line(env, "created", get_string(of, "created"));
  line(env, "modified", get_string(of, "modified"));
  if (const JsonObject* versions = get_object(of, "versions"))
    for (const auto& [number, revision] : *versions)
      line(env, "version", fmt::format("{} → revision {}", std::string_view(number), to_text(revision)));
  if (const JsonObject* aliases = get_object(of, "aliases"))
    for (const auto& [alias, routes] : *aliases) line(env, "alias", fmt::format("{} → {}", std::string_view(alias), to_text(routes)));
  if (const Json* definition = get(of, "definition")) env.terminal.line(printable(to_pretty_text(*definition)));
  co_return ExitCode::Ok;
}

Task<ExitCode> validate_workflow(Env& env, std::string file) {
  auto definition = definition_of(file);
  if (!definition) co_return env.terminal.error(definition.error());
  const auto answer = co_await env.api.post("/v1/workflows/validate", JsonObject{{"definition", *std::move(definition)}});
  if (!answer) co_return env.terminal.error(answer.error());
  const bool is_valid = get_bool(object_of(*answer), "valid");
  if (env.json) {
    env.terminal.line(to_text(*answer));
  } else {
    show_diagnostics(env, items_of(*answer, "diagnostics"));
    if (is_valid) env.terminal.note(fmt::format("{} is valid", file));
  }
  co_return is_valid ? ExitCode::Ok : ExitCode::Failed;
}

Task<ExitCode> deploy_workflow(Env& env, WorkflowDeployOptions options) {
  auto definition = definition_of(options.file);
  if (!definition) co_return env.terminal.error(definition.error());
  if (options.name.empty()) options.name = name_of_file(options.file);
  JsonObject body{{"definition", *std::move(definition)}};
  if (!options.description.empty()) body["description"] = options.description;
  if (options.express) body["type"] = "EXPRESS";
  const auto answer = co_await env.api.call("PUT", path_of({"v1", "workflows", options.name}), std::move(body));
  if (!answer) co_return env.terminal.error(answer.error());
  if (env.json)
    env.terminal.line(to_text(*answer));
  else
    env.terminal.line(
        fmt::format("{} revision {}", printable(get_string(object_of(*answer), "name")), get_int(object_of(*answer), "revision")));
  co_return ExitCode::Ok;
}

Task<ExitCode> delete_workflow(Env& env, std::string name) {
  const auto answer = co_await env.api.call("DELETE", path_of({"v1", "workflows", name}));
  if (!answer) co_return env.terminal.error(answer.error());
  env.terminal.note(fmt::format("deleted {}", printable(name)));
  co_return ExitCode::Ok;
}

Task<ExitCode> start_workflow(Env& env, WorkflowStartOptions options) {
  auto input = json_of(options.input.empty() ? "{}" : options.input, "the input");
  if (!input) co_return env.terminal.error(input.error());
  JsonObject body{{"input", *std::move(input)}};
  if (!options.execution.empty()) body["name"] = options.execution;
  if (!options.qualifier.empty()) body["qualifier"] = options.qualifier;
  std::string path = path_of({"v1", "workflows", options.name, "executions"});
  if (!options.wait.empty()) path += "?wait=" + net::percent_encode(options.wait);
  const auto answer = co_await env.api.post(std::move(path), std::move(body));
  if (!answer) co_return env.terminal.error(answer.error());
  const JsonObject& of = object_of(*answer);
  if (env.json || !options.wait.empty()) co_return show_execution(env, *answer);
  env.terminal.line(printable(get_string(of, "name")));
  co_return ExitCode::Ok;
}

Task<ExitCode> show_workflow_execution(Env& env, std::string name, std::string execution) {
  const auto answer = co_await env.api.get(path_of({"v1", "workflows", name, "executions", execution}));
  if (!answer) co_return env.terminal.error(answer.error());
  co_return show_execution(env, *answer);
}

Task<ExitCode> list_workflow_executions(Env& env, std::string name, std::string status, std::int64_t limit) {
  for (char& c : status) c = c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c == '-' ? '_' : c;
  std::string path = path_of({"v1", "workflows", name, "executions"}) + fmt::format("?limit={}", limit);
  if (!status.empty()) path += "&status=" + net::percent_encode(status);
  const auto answer = co_await env.api.get(std::move(path));
  if (!answer) co_return env.terminal.error(answer.error());
  const JsonArray list = items_of(*answer, "executions");
  if (env.json) {
    env.terminal.line(to_text(Json(list)));
    co_return ExitCode::Ok;
  }
  if (list.empty()) env.terminal.note("no executions");
  std::vector<std::vector<Cell>> rows;
  for (const Json& item : list) {
    const JsonObject& of = object_of(item);
    const auto started = time_of(of, "started"), ended = time_of(of, "ended");
    rows.push_back({{one_line(get_string(of, "name"), 80), Ink::Bold},
                    status_of(of),
                    {started ? age(env.clock.now() - *started) : "-"},
                    {started && ended ? to_human(*ended - *started) : "-"},
                    {std::to_string(get_int(of, "revision"))}});
  }
  if (!rows.empty())
    env.terminal.print(table({{"EXECUTION"}, {"STATUS"}, {"AGE", Align::Right}, {"TOOK", Align::Right}, {"REVISION", Align::Right}}, rows,
                             env.terminal.width(), env.terminal.out_colour()));
  co_return ExitCode::Ok;
}

Task<ExitCode> workflow_history(Env& env, std::string name, std::string execution) {
  const auto answer = co_await env.api.get(path_of({"v1", "workflows", name, "executions", execution, "history"}));
  if (!answer) co_return env.terminal.error(answer.error());
  const JsonArray events = items_of(*answer, "events");
  if (env.json)
    env.terminal.line(to_text(Json(events)));
  else
    env.terminal.print(history_text(env, events));
  co_return ExitCode::Ok;
}

Task<ExitCode> stop_workflow(Env& env, std::string name, std::string execution, TaskFailureOptions why) {
  JsonObject body;
  if (!why.error.empty()) body["error"] = why.error;
  if (!why.cause.empty()) body["cause"] = why.cause;
  const auto answer = co_await env.api.post(path_of({"v1", "workflows", name, "executions", execution, "stop"}), std::move(body));
  if (!answer) co_return env.terminal.error(answer.error());
  env.terminal.note(fmt::format("{} is {}", printable(execution), get_string(object_of(*answer), "status")));
  co_return ExitCode::Ok;
}

Task<ExitCode> task_success(Env& env, std::string token, std::string output) {
  auto value = json_of(output.empty() ? "{}" : output, "the output");
  if (!value) co_return env.terminal.error(value.error());
  const auto answer = co_await env.api.post(path_of({"v1", "tasks", token, "success"}), JsonObject{{"output", *std::move(value)}});
  if (!answer) co_return env.terminal.error(answer.error());
  env.terminal.note("the task has its result");
  co_return ExitCode::Ok;
}

Task<ExitCode> task_failure(Env& env, std::string token, TaskFailureOptions why) {
  const auto answer =
      co_await env.api.post(path_of({"v1", "tasks", token, "failure"}), JsonObject{{"error", why.error}, {"cause", why.cause}});
  if (!answer) co_return env.terminal.error(answer.error());
  env.terminal.note("the task has failed");
  co_return ExitCode::Ok;
}

Task<ExitCode> task_heartbeat(Env& env, std::string token) {
  const auto answer = co_await env.api.post(path_of({"v1", "tasks", token, "heartbeat"}), JsonObject());
  if (!answer) co_return env.terminal.error(answer.error());
  env.terminal.note("the task goes on");
  co_return ExitCode::Ok;
}

}  // namespace mayfly::cli
