#include <fmt/format.h>

#include "cli/commands.h"
#include "cli/run_view.h"

/// Durable executions, over the Lambda API of 2025-12-01: its field names, its times in seconds.
namespace mayfly::cli {
namespace {

constexpr std::string_view kApi = "2025-12-01";
constexpr std::size_t kEventsMax = 100'000;

const JsonObject& object_of(const Json& value) {
  static const JsonObject empty;
  const JsonObject* object = value.if_object();
  return object ? *object : empty;
}

std::optional<TimePoint> seconds_of(const JsonObject& object, std::string_view key) {
  const Json* value = get(object, key);
  if (!value || !value->is_number()) return std::nullopt;
  return from_unix_ms(static_cast<std::int64_t>(value->to_number<double>() * 1000));
}

Cell status_of(const JsonObject& execution) {
  const std::string status = get_string(execution, "Status");
  return {one_line(status, 20), status == "SUCCEEDED" ? Ink::Green : status == "RUNNING" ? Ink::Cyan : Ink::Red};
}

/// What an event says beside its type: its result, error or timer.
std::string details_of(const JsonObject& event) {
  for (const auto& member : event) {
    if (!std::string_view(member.key()).ends_with("Details") || !member.value().is_object()) continue;
    const JsonObject& details = member.value().get_object();
    for (const char* name : {"Result", "Error", "Input"}) {
      const JsonObject* part = get_object(details, name);
      const Json* payload = part ? get(*part, "Payload") : nullptr;
      if (payload && !payload->is_null()) return payload->is_string() ? std::string(payload->get_string()) : to_text(*payload);
    }
    if (const std::string id = get_string(details, "CallbackId"); !id.empty()) return "callback id " + id;
    if (const auto until = seconds_of(details, "ScheduledEndTimestamp")) return "until " + to_rfc3339(*until);
  }
  return {};
}

}  // namespace

Task<ExitCode> list_executions(Env& env, std::string function, std::string status, std::int64_t limit) {
  std::string path = path_of({kApi, "functions", function, "durable-executions"}) + fmt::format("?MaxItems={}&ReverseOrder=true", limit);
  for (char& c : status) c = c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c == '-' ? '_' : c;
  if (!status.empty()) path += "&Statuses=" + net::percent_encode(status);
  const auto answer = co_await env.api.get(path);
  if (!answer) co_return env.terminal.error(answer.error());
  const JsonArray list = items_of(*answer, "DurableExecutions");
  if (env.json) {
    env.terminal.line(to_text(Json(list)));
    co_return ExitCode::Ok;
  }
  if (list.empty()) env.terminal.note("no executions");
  std::vector<std::vector<Cell>> rows;
  for (const Json& item : list) {
    const JsonObject& execution = object_of(item);
    const auto started = seconds_of(execution, "StartTimestamp"), ended = seconds_of(execution, "EndTimestamp");
    rows.push_back({{one_line(get_string(execution, "DurableExecutionName"), 64), Ink::Bold},
                    status_of(execution),
                    {started ? age(env.clock.now() - *started) : "-"},
                    {started && ended ? to_human(*ended - *started) : "-"},
                    {one_line(get_string(execution, "DurableExecutionArn"), 400)}});
  }
  if (!rows.empty())
    env.terminal.print(table({{"EXECUTION"}, {"STATUS"}, {"AGE", Align::Right}, {"TOOK", Align::Right}, {"ARN"}}, rows,
                             env.terminal.width(), env.terminal.out_colour()));
  co_return ExitCode::Ok;
}

Task<ExitCode> show_execution(Env& env, std::string arn) {
  const auto answer = co_await env.api.get(path_of({kApi, "durable-executions", arn}) + "?IncludeExecutionData=true");
  if (!answer) co_return env.terminal.error(answer.error());
  if (env.json) {
    env.terminal.line(to_text(*answer));
    co_return ExitCode::Ok;
  }
  const JsonObject& view = object_of(*answer);
  const auto line = [&](std::string_view name, const std::string& value) {
    if (!value.empty()) env.terminal.line(fmt::format("{}  {}", env.terminal.ink(Ink::Bold, fmt::format("{:<9}", name)), printable(value)));
  };
  const auto started = seconds_of(view, "StartTimestamp"), ended = seconds_of(view, "EndTimestamp");
  line("execution", get_string(view, "DurableExecutionName"));
  line("function", get_string(view, "FunctionArn"));
  const Cell status = status_of(view);
  line("status", env.terminal.ink(status.ink, status.text));
  line("started", started ? to_rfc3339(*started) : "");
  line("ended", ended ? to_rfc3339(*ended) : "");
  line("input", get_string(view, "InputPayload"));
  line("result", get_string(view, "Result"));
  if (const JsonObject* error = get_object(view, "Error"))
    line("error", fmt::format("{}: {}", get_string(*error, "ErrorType", "Error"), get_string(*error, "ErrorMessage")));
  co_return ExitCode::Ok;
}

Task<ExitCode> execution_history(Env& env, std::string arn) {
  JsonArray all;
  std::string marker;
  do {
    std::string path = path_of({kApi, "durable-executions", arn, "history"}) + "?IncludeExecutionData=true&MaxItems=1000";
    if (!marker.empty()) path += "&Marker=" + net::percent_encode(marker);
    const auto answer = co_await env.api.get(path);
    if (!answer) co_return env.terminal.error(answer.error());
    for (const Json& event : items_of(*answer, "Events")) all.push_back(event);
    marker = get_string(object_of(*answer), "NextMarker");
  } while (!marker.empty() && all.size() < kEventsMax);
  if (env.json) {
    env.terminal.line(to_text(Json(all)));
    co_return ExitCode::Ok;
  }
  std::vector<std::vector<Cell>> rows;
  for (const Json& item : all) {
    const JsonObject& event = object_of(item);
    const auto at = seconds_of(event, "EventTimestamp");
    rows.push_back({{std::to_string(get_int(event, "EventId"))},
                    {at ? to_rfc3339(*at) : "-", Ink::Dim},
                    {one_line(get_string(event, "EventType"), 40), Ink::Bold},
                    {one_line(get_string(event, "Name"), 40)},
                    {one_line(details_of(event), 200)}});
  }
  env.terminal.print(
      table({{"#", Align::Right}, {"TIME"}, {"EVENT"}, {"NAME"}, {"DETAILS"}}, rows, env.terminal.width(), env.terminal.out_colour()));
  co_return ExitCode::Ok;
}

Task<ExitCode> stop_execution(Env& env, std::string arn, std::string reason) {
  JsonObject body;
  if (!reason.empty()) body = {{"ErrorType", "Stopped"}, {"ErrorMessage", reason}};
  const auto answer = co_await env.api.post(path_of({kApi, "durable-executions", arn, "stop"}), std::move(body));
  if (!answer) co_return env.terminal.error(answer.error());
  env.terminal.note("stopped");
  co_return ExitCode::Ok;
}

}  // namespace mayfly::cli
