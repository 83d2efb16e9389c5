#include <fmt/format.h>

#include "cli/commands.h"
#include "cli/run_view.h"

namespace mayfly::cli {
namespace {

constexpr std::size_t kEventBytesMax = 6 * 1024 * 1024;
/// Longer than any function may take.
constexpr Millis kInvokeTimeout{16 * 60'000};

const JsonObject& object_of(const Json& value) {
  static const JsonObject empty;
  const JsonObject* object = value.if_object();
  return object ? *object : empty;
}

/// The event's JSON text: as given, "-" standard input, "@FILE" a file; nothing given: {}.
Result<std::string> event_text(const std::string& given) {
  auto text = given == "-"             ? read_standard_input(kEventBytesMax)
              : given.starts_with("@") ? read_file(given.substr(1), kEventBytesMax)
                                       : Result<std::string>(given.empty() ? "{}" : given);
  if (!text) return text;
  if (const auto json = parse_json(*text); !json)
    return fail("usage", fmt::format("the event is not JSON: {}; a text needs quotes: '\"hello\"'", json.error().message));
  return text;
}

std::string bytes_text(std::int64_t bytes) {
  if (bytes < 1024) return fmt::format("{} B", bytes);
  if (bytes < 1024 * 1024) return fmt::format("{:.1f} KiB", static_cast<double>(bytes) / 1024);
  return fmt::format("{:.1f} MiB", static_cast<double>(bytes) / (1024 * 1024));
}

ExitCode show_invoked(const Env& env, const JsonObject& answer) {
  const std::string log = get_string(answer, "log");
  if (!log.empty()) env.terminal.note(printable(log));
  const bool failed = get_string(answer, "status") == "FAILED";
  const std::string start = get_bool(answer, "cold") ? fmt::format(", cold start {} ms", get_int(answer, "init_ms")) : "";
  env.terminal.note(
      env.terminal.note_ink(Ink::Dim, fmt::format("{} in {} ms{} · {}", failed ? "failed" : "succeeded", get_int(answer, "duration_ms"),
                                                  start, one_line(get_string(answer, "request_id"), 64))));
  if (const std::string execution = get_string(answer, "execution"); !execution.empty())
    env.terminal.note(env.terminal.note_ink(Ink::Dim, "execution " + one_line(execution, 300)));
  if (!failed) {
    const Json* result = get(answer, "result");
    env.terminal.line(result ? readable(*result) : "null");
    return ExitCode::Ok;
  }
  static const Json kNothing;
  const Json* error = get(answer, "error");
  const JsonObject& details = object_of(error ? *error : kNothing);
  if (const JsonArray* stack = get_array(details, "stackTrace"))
    for (const Json& frame : *stack)
      if (frame.is_string()) env.terminal.note(printable(std::string_view(frame.get_string())));
  const std::string type = get_string(details, "errorType", get_string(answer, "error_type", "Error"));
  return env.terminal.error(
      {"function.failed", fmt::format("{}: {}", type, get_string(details, "errorMessage", error ? to_text(*error) : ""))});
}

void show_function(const Env& env, const JsonObject& function) {
  const auto line = [&](std::string_view name, const std::string& value) {
    if (!value.empty())
      env.terminal.line(fmt::format("{}  {}", env.terminal.ink(Ink::Bold, fmt::format("{:<11}", name)), printable(value)));
  };
  const auto modified = time_of(function, "modified");
  line("function", get_string(function, "name"));
  line("description", get_string(function, "description"));
  line("runtime", fmt::format("{} ({})", get_string(function, "runtime"), get_string(function, "handler")));
  line("revision", fmt::format("{}{}", get_int(function, "revision"), modified ? ", " + age(env.clock.now() - *modified) + " old" : ""));
  line("code", fmt::format("{}, sha256 {}", bytes_text(get_int(function, "code_bytes")), get_string(function, "code_sha256")));
  line("limits", fmt::format("{} MiB, {} s", get_int(function, "memory_mb"), get_int(function, "timeout_s")));
  line("durable", get_bool(function, "durable") ? "yes" : "");
  if (const std::string url = get_string(function, "url"); !url.empty()) line("url", env.api.connection().url + url);
  if (const JsonObject* aliases = get_object(function, "aliases"))
    for (const auto& [name, version] : *aliases) line("alias", fmt::format("{} → {}", std::string_view(name), readable(version)));
  if (const JsonObject* spec = get_object(function, "spec")) {
    if (const Json* egress = get(*spec, "egress")) line("egress", egress->is_string() ? readable(*egress) : to_text(*egress));
    if (const JsonObject* variables = get_object(*spec, "environment")) {
      std::string names;
      for (const auto& member : *variables) names += (names.empty() ? "" : ", ") + std::string(member.key());
      line("environment", names);
    }
  }
  if (const JsonArray* instances = get_array(function, "instances"))
    for (const Json& item : *instances) {
      const JsonObject& instance = object_of(item);
      line("process", fmt::format("{} {}, {}, {} invocations", get_int(instance, "pid"), get_string(instance, "state"),
                                  bytes_text(get_int(instance, "memory_bytes")), get_int(instance, "invocations")));
    }
}

}  // namespace

Task<ExitCode> list_functions(Env& env) {
  const auto answer = co_await env.api.get("/v1/functions");
  if (!answer) co_return env.terminal.error(answer.error());
  const JsonArray list = items_of(*answer, "functions");
  if (env.json) {
    env.terminal.line(to_text(Json(list)));
    co_return ExitCode::Ok;
  }
  if (list.empty()) env.terminal.note("no functions yet; deploy a folder with a handler: mayfly deploy FOLDER --name NAME");
  std::vector<std::vector<Cell>> rows;
  for (const Json& item : list) {
    const JsonObject& function = object_of(item);
    const auto modified = time_of(function, "modified");
    rows.push_back({{one_line(get_string(function, "name"), 64), Ink::Bold},
                    {one_line(get_string(function, "runtime"), 20)},
                    {fmt::format("{} MiB", get_int(function, "memory_mb"))},
                    {fmt::format("{} s", get_int(function, "timeout_s"))},
                    {get_bool(function, "durable") ? "yes" : "-"},
                    {std::to_string(get_int(function, "revision"))},
                    {modified ? age(env.clock.now() - *modified) : "-"},
                    {one_line(get_string(function, "description"), 80)}});
  }
  if (!rows.empty())
    env.terminal.print(table({{"FUNCTION"},
                              {"RUNTIME"},
                              {"MEMORY", Align::Right},
                              {"TIMEOUT", Align::Right},
                              {"DURABLE"},
                              {"REVISION", Align::Right},
                              {"AGE", Align::Right},
                              {"DESCRIPTION"}},
                             rows, env.terminal.width(), env.terminal.out_colour()));
  co_return ExitCode::Ok;
}

Task<ExitCode> show_function(Env& env, std::string name) {
  const auto answer = co_await env.api.get(path_of({"v1", "functions", name}));
  if (!answer) co_return env.terminal.error(answer.error());
  if (env.json) {
    env.terminal.line(to_text(*answer));
  } else {
    show_function(env, object_of(*answer));
  }
  co_return ExitCode::Ok;
}

Task<ExitCode> invoke_function(Env& env, FunctionInvokeOptions options) {
  auto event = event_text(options.event);
  if (!event) co_return env.terminal.error(event.error());
  std::string path = path_of({"v1", "functions", options.name, "invoke"});
  path += options.async ? "?async=1" : options.log ? "?log=1" : "";
  net::Headers headers{{"Content-Type", "application/json"}};
  if (!options.execution_name.empty()) headers.set("Idempotency-Key", options.execution_name);
  const auto text = co_await env.api.text("POST", std::move(path), *std::move(event), std::move(headers), kInvokeTimeout);
  if (!text) co_return env.terminal.error(text.error());
  const auto answer = parse_json(*text);
  if (!answer || !answer->is_object())
    co_return env.terminal.error({"api.invalid_answer", "the server's answer is not JSON; is it a Mayfly server of this version?"});
  const JsonObject& view = answer->get_object();
  if (env.json) {
    env.terminal.line(to_text(view));
    co_return get_string(view, "status") == "FAILED" ? ExitCode::Failed : ExitCode::Ok;
  }
  if (!options.async) co_return show_invoked(env, view);
  env.terminal.note("accepted; it is tried until it succeeds or its retries are used up");
  const std::string execution = get_string(view, "execution");
  env.terminal.line(execution.empty() ? get_string(view, "request_id") : execution);
  co_return ExitCode::Ok;
}

Task<ExitCode> function_logs(Env& env, std::string name, std::int64_t lines) {
  const auto answer = co_await env.api.get(path_of({"v1", "functions", name, "logs"}) + fmt::format("?lines={}", lines));
  if (!answer) co_return env.terminal.error(answer.error());
  const JsonArray list = items_of(*answer, "lines");
  if (env.json) {
    env.terminal.line(to_text(Json(list)));
    co_return ExitCode::Ok;
  }
  for (const Json& line : list)
    if (line.is_string()) env.terminal.line(printable(std::string_view(line.get_string())));
  if (list.empty()) env.terminal.note("nothing was logged yet");
  co_return ExitCode::Ok;
}

Task<ExitCode> delete_function(Env& env, std::string name) {
  const auto answer = co_await env.api.call("DELETE", path_of({"v1", "functions", name}));
  if (!answer) co_return env.terminal.error(answer.error());
  env.terminal.note(fmt::format("deleted {}", name));
  co_return ExitCode::Ok;
}

}  // namespace mayfly::cli
