#include <fmt/format.h>

#include "cli/commands.h"
#include "cli/run_view.h"
#include "schedule/schedule_expression.h"

namespace mayfly::cli {
namespace {

constexpr std::size_t kInputBytesMax = 256 * 1024;
constexpr int kNextTimes = 10;

const JsonObject& object_of(const Json& value) {
  static const JsonObject empty;
  const JsonObject* object = value.if_object();
  return object ? *object : empty;
}

std::string path_of_schedule(const std::string& group, const std::string& name) {
  return path_of({"v1", "schedules", name}) + "?group=" + net::percent_encode(group);
}

std::string time_text(const JsonObject& object, std::string_view key) {
  const auto time = time_of(object, key);
  return time ? to_rfc3339(*time).substr(0, 19) + "Z" : "-";
}

/// "agent clerk".
std::string target_text(const JsonObject& schedule) {
  std::string out;
  if (const JsonObject* target = get_object(schedule, "target"))
    for (const auto& part : *target) out += (out.empty() ? "" : ", ") + std::string(part.key()) + " " + readable(part.value());
  return out;
}

bool is_enabled(const JsonObject& schedule) {
  const Json* enabled = get(schedule, "enabled");
  return !enabled || !enabled->is_bool() || enabled->get_bool();
}

/// JSON, "@FILE" with JSON, or else a text.
Result<Json> value_of(const std::string& given) {
  auto text = given.starts_with("@") ? read_file(given.substr(1), kInputBytesMax) : Result<std::string>(given);
  if (!text) return fail(text.error());
  auto value = parse_json(*text);
  if (value) return value;
  return Json(std::move(*text));
}

/// "agent=clerk" as the API has it.
Result<Json> target_of(const std::string& given) {
  if (given.starts_with("{") || given.starts_with("@")) return value_of(given);
  const auto equals = given.find('=');
  if (equals == 0 || equals == std::string::npos || equals + 1 == given.size())
    return fail("usage", "--target takes KIND=NAME such as agent=clerk or queue=jobs, or JSON");
  return Json(JsonObject{{given.substr(0, equals), given.substr(equals + 1)}});
}

Result<JsonObject> spec_of(const SchedulePutOptions& options) {
  JsonObject out;
  if (!options.spec.empty()) {
    auto value = value_of(options.spec);
    if (!value) return fail(value.error());
    if (!value->is_object()) return fail("usage", "--spec must be a JSON object, or @FILE with one");
    out = value->get_object();
  }
  const std::pair<std::string_view, const std::string*> texts[] = {{"expression", &options.expression},
                                                                   {"time_zone", &options.time_zone},
                                                                   {"start", &options.start},
                                                                   {"end", &options.end},
                                                                   {"flexible_window", &options.flexible_window},
                                                                   {"missed", &options.missed},
                                                                   {"description", &options.description},
                                                                   {"dead_letter_queue", &options.dead_letter_queue}};
  for (const auto& [name, value] : texts)
    if (!value->empty()) out[name] = *value;
  if (options.delete_after_completion) out["delete_after_completion"] = true;
  for (const auto& [name, given, read] : {std::tuple{"target", &options.target, &target_of}, std::tuple{"input", &options.input, &value_of}}) {
    if (given->empty()) continue;
    auto value = read(*given);
    if (!value) return fail(value.error());
    out[name] = std::move(*value);
  }
  return out;
}

void show_one(const Env& env, const JsonObject& schedule) {
  const auto line = [&](std::string_view name, const std::string& value) {
    if (!value.empty() && value != "-")
      env.terminal.line(fmt::format("{}  {}", env.terminal.ink(Ink::Bold, fmt::format("{:<11}", name)), printable(value)));
  };
  line("schedule", get_string(schedule, "group") + "/" + get_string(schedule, "name"));
  line("about", get_string(schedule, "description"));
  line("times", get_string(schedule, "expression"));
  line("time zone", get_string(schedule, "time_zone"));
  line("paused", is_enabled(schedule) ? "" : "yes: nothing is due until `mayfly schedules resume`");
  line("next", time_text(schedule, "next"));
  line("last", time_text(schedule, "last"));
  line("fired", count(get_int(schedule, "fired")));
  line("start", time_text(schedule, "start"));
  line("end", time_text(schedule, "end"));
  line("window", get_string(schedule, "flexible_window"));
  line("missed", get_string(schedule, "missed"));
  line("target", target_text(schedule));
  if (const Json* input = get(schedule, "input")) line("input", readable(*input));
  if (const JsonObject* retry = get_object(schedule, "retry"))
    line("retry", fmt::format("{} times within {}", get_int(*retry, "attempts"), get_string(*retry, "max_age")));
  line("dead letter", get_string(schedule, "dead_letter_queue"));
  line("error", get_string(schedule, "last_error"));
}

/// What PUT takes: what GET answers without what only the server knows.
JsonObject spec_of_view(JsonObject schedule) {
  for (const std::string_view key : {"created", "modified", "fired", "next", "last", "last_error", "description_of_times"}) schedule.erase(key);
  return schedule;
}

}  // namespace

Task<ExitCode> list_schedules(Env& env, std::string group, std::string prefix) {
  JsonArray all;
  std::string after;
  do {
    std::string query = "/v1/schedules?limit=1000";
    for (const auto& [name, value] : {std::pair{"group", &group}, std::pair{"prefix", &prefix}, std::pair{"after", &after}})
      if (!value->empty()) query += fmt::format("&{}={}", name, net::percent_encode(*value));
    const auto answer = co_await env.api.get(query);
    if (!answer) co_return env.terminal.error(answer.error());
    for (const Json& item : items_of(*answer, "schedules")) all.push_back(item);
    after = get_string(object_of(*answer), "next");
  } while (!after.empty());
  if (env.json) {
    env.terminal.line(to_text(Json(all)));
    co_return ExitCode::Ok;
  }
  if (all.empty()) env.terminal.note("no schedules yet; make one: mayfly schedules put NAME 'rate(1 hour)' --target agent=NAME");
  std::vector<std::vector<Cell>> rows;
  for (const Json& item : all) {
    const JsonObject& schedule = object_of(item);
    const bool fails = !get_string(schedule, "last_error").empty();
    const std::string state = !is_enabled(schedule) ? "paused" : fails ? "failing" : "-";
    rows.push_back({{one_line(get_string(schedule, "group") + "/" + get_string(schedule, "name"), 80), Ink::Bold},
                    {one_line(get_string(schedule, "expression"), 60)},
                    {one_line(get_string(schedule, "time_zone"), 40)},
                    {time_text(schedule, "next")},
                    {count(get_int(schedule, "fired"))},
                    {state, state == "-" ? Ink::Plain : Ink::Yellow},
                    {one_line(target_text(schedule), 60)}});
  }
  if (!rows.empty())
    env.terminal.print(table({{"SCHEDULE"}, {"TIMES"}, {"TIME ZONE"}, {"NEXT"}, {"FIRED", Align::Right}, {"STATE"}, {"TARGET"}}, rows,
                             env.terminal.width(), env.terminal.out_colour()));
  co_return ExitCode::Ok;
}

Task<ExitCode> show_schedule(Env& env, std::string group, std::string name) {
  const auto answer = co_await env.api.get(path_of_schedule(group, name));
  if (!answer) co_return env.terminal.error(answer.error());
  if (env.json) {
    env.terminal.line(to_text(*answer));
  } else {
    show_one(env, object_of(*answer));
  }
  co_return ExitCode::Ok;
}

Task<ExitCode> put_schedule(Env& env, SchedulePutOptions options) {
  auto spec = spec_of(options);
  if (!spec) co_return env.terminal.error(spec.error());
  const auto answer = co_await env.api.call("PUT", path_of_schedule(options.group, options.name), Json(std::move(*spec)));
  if (!answer) co_return env.terminal.error(answer.error());
  if (env.json) {
    env.terminal.line(to_text(*answer));
    co_return ExitCode::Ok;
  }
  const std::string next = time_text(object_of(*answer), "next");
  env.terminal.note(next == "-" ? fmt::format("the schedule {} is there; it is never due again", options.name)
                                : fmt::format("the schedule {} is there, next at {}", options.name, next));
  co_return ExitCode::Ok;
}

Task<ExitCode> enable_schedule(Env& env, std::string group, std::string name, bool enabled) {
  const auto before = co_await env.api.get(path_of_schedule(group, name));
  if (!before) co_return env.terminal.error(before.error());
  JsonObject spec = spec_of_view(object_of(*before));
  spec["enabled"] = enabled;
  const auto answer = co_await env.api.call("PUT", path_of_schedule(group, name), Json(std::move(spec)));
  if (!answer) co_return env.terminal.error(answer.error());
  if (env.json)
    env.terminal.line(to_text(*answer));
  else
    env.terminal.note(enabled ? "next at " + time_text(object_of(*answer), "next") : "paused: nothing is due until `mayfly schedules resume`");
  co_return ExitCode::Ok;
}

Task<ExitCode> delete_schedule(Env& env, std::string group, std::string name) {
  const auto answer = co_await env.api.call("DELETE", path_of_schedule(group, name));
  if (!answer) co_return env.terminal.error(answer.error());
  env.terminal.note(fmt::format("deleted the schedule {}", name));
  co_return ExitCode::Ok;
}

ExitCode next_times(const Terminal& terminal, bool json, const std::string& text, const std::string& time_zone) {
  asio::io_context io(1);
  const TimePoint now = SystemClock(io.get_executor()).now();
  const auto expression = schedule::ScheduleExpression::parse(text, time_zone);
  if (!expression) {
    terminal.error(expression.error());
    return ExitCode::Usage;
  }
  JsonArray times;
  auto due = expression->next(now, now);
  for (int i = 0; due && i < kNextTimes; ++i, due = expression->next(*due, now)) times.emplace_back(to_rfc3339(*due));
  if (json) {
    terminal.line(to_text(JsonObject{{"description", expression->describe()}, {"times", times}}));
    return ExitCode::Ok;
  }
  terminal.note(expression->describe());
  if (times.empty()) terminal.note("it is never due again");
  for (const Json& time : times) terminal.line(std::string(std::string_view(time.get_string())).substr(0, 19) + "Z");
  return ExitCode::Ok;
}

}  // namespace mayfly::cli
