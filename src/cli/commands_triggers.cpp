#include <fmt/format.h>

#include "base/hash.h"
#include "base/id.h"
#include "cli/commands.h"
#include "cli/run_view.h"

namespace mayfly::cli {
namespace {

constexpr std::size_t kBodyBytesMax = 1024 * 1024;
constexpr std::size_t kIdBytes = 16;

const JsonObject& object_of(const Json& value) {
  static const JsonObject empty;
  const JsonObject* object = value.if_object();
  return object ? *object : empty;
}

const JsonObject& part_of(const JsonObject& object, std::string_view name) {
  static const JsonObject empty;
  const JsonObject* part = get_object(object, name);
  return part ? *part : empty;
}

/// "JSON", "-" or "@FILE" as a value.
Result<Json> json_of(const std::string& given, std::string_view what) {
  auto text = given == "-"             ? read_standard_input(kBodyBytesMax)
              : given.starts_with("@") ? read_file(given.substr(1), kBodyBytesMax)
                                       : Result<std::string>(given);
  if (!text) return fail(text.error());
  auto value = parse_json(*text);
  if (!value) return fail("usage", fmt::format("{} takes JSON, @FILE or -: {}", what, value.error().message));
  return *std::move(value);
}

std::string new_id() { return to_hex(secure_random_bytes(kIdBytes)); }

/// A CloudEvent needs an id and a source; what a person tries out gets them.
Json completed(Json event, std::string_view source) {
  JsonObject* object = event.if_object();
  if (!object) return event;
  if (!object->contains("specversion")) (*object)["specversion"] = "1.0";
  if (!object->contains("id")) (*object)["id"] = new_id();
  if (!object->contains("source")) (*object)["source"] = source;
  return event;
}

constexpr std::string_view kSources[] = {"http", "webhook", "queue", "sqs", "schedule", "event", "file"};

std::string_view source_kind(const JsonObject& spec) {
  for (const std::string_view kind : kSources)
    if (spec.contains(kind)) return kind;
  return "?";
}

std::string joined(const JsonObject& object, std::string_view name, std::string_view otherwise) {
  std::string out;
  if (const JsonArray* list = get_array(object, name))
    for (const Json& item : *list)
      if (item.is_string()) out += (out.empty() ? "" : ", ") + std::string(item.get_string());
  return out.empty() ? std::string(otherwise) : out;
}

/// "POST /tickets", "queue jobs", "orders.*": what starts it.
std::string source_text(const JsonObject& spec) {
  const std::string_view kind = source_kind(spec);
  const JsonObject& source = part_of(spec, kind);
  if (kind == "http") return fmt::format("{} {}", get_string(source, "method", "POST"), get_string(source, "path"));
  if (kind == "webhook") return fmt::format("{} ({})", get_string(source, "path"), get_string(source, "scheme", "standard"));
  if (kind == "queue") return get_string(source, "name", get_string(spec, "queue"));
  if (kind == "sqs") return get_string(source, "url");
  if (kind == "schedule") return get_string(source, "expression", get_string(spec, "schedule"));
  if (kind == "file") return fmt::format("{}: {}", get_string(source, "workspace", get_string(spec, "file")), joined(source, "paths", "all files"));
  return joined(source, "types", "all types");
}

/// {"agent": "clerk"} as "agent clerk".
std::string target_text(const JsonObject& target) {
  for (const std::string_view kind : {"agent", "function", "workflow", "queue", "url", "webhook"})
    if (target.contains(kind)) return fmt::format("{} {}", kind, get_string(target, kind));
  return "?";
}

Ink state_ink(std::string_view state) {
  return state == "delivered" ? Ink::Green : state == "pending" ? Ink::Yellow : Ink::Red;
}

std::string ago(const Env& env, const JsonObject& object, std::string_view name) {
  const auto when = time_of(object, name);
  return when ? age(env.clock.now() - *when) : "-";
}

/// "name  value" lines; nothing for an empty value.
struct Lines {
  const Env& env;
  void operator()(std::string_view name, const std::string& value) const {
    if (!value.empty())
      env.terminal.line(fmt::format("{}  {}", env.terminal.ink(Ink::Bold, fmt::format("{:<15}", name)), printable(value)));
  }
};

/// A list as JSON or as a table; `nothing` when there is none.
template <class Row>
ExitCode show_list(const Env& env, const Result<Json>& answer, std::string_view key, std::string_view nothing,
                   const std::vector<Column>& columns, Row row) {
  if (!answer) return env.terminal.error(answer.error());
  const JsonArray list = items_of(*answer, key);
  if (env.json) {
    env.terminal.line(to_text(Json(list)));
    return ExitCode::Ok;
  }
  if (list.empty()) env.terminal.note(nothing);
  std::vector<std::vector<Cell>> rows;
  for (const Json& item : list) rows.push_back(row(object_of(item)));
  if (!rows.empty()) env.terminal.print(table(columns, rows, env.terminal.width(), env.terminal.out_colour()));
  return ExitCode::Ok;
}

ExitCode done(const Env& env, const Result<Json>& answer, const std::string& sentence) {
  if (!answer) return env.terminal.error(answer.error());
  if (env.json && !answer->is_null())
    env.terminal.line(to_text(*answer));
  else
    env.terminal.note(sentence);
  return ExitCode::Ok;
}

void show_spec(const Lines& line, const JsonObject& spec) {
  for (const std::string_view name : {"filter", "session", "input", "idempotency_key", "correlation"}) line(name, get_string(spec, name));
  line("target", target_text(part_of(spec, "target")));
  line("message group", get_string(part_of(spec, "target"), "group"));
  if (const JsonObject* retry = get_object(spec, "retry")) line("retry", to_text(*retry));
  line("dead letters to", get_string(spec, "dead_letter_queue"));
}

}  // namespace

Task<ExitCode> list_triggers(Env& env) {
  const auto answer = co_await env.api.get("/v1/triggers");
  co_return show_list(env, answer, "triggers", "no triggers yet; write them under `triggers:` in mayfly.yaml and `mayfly deploy`",
                      {{"TRIGGER"},
                       {"KIND"},
                       {"SOURCE"},
                       {"TARGET"},
                       {"STATE"},
                       {"RECEIVED", Align::Right},
                       {"FILTERED", Align::Right},
                       {"ACCEPTED", Align::Right},
                       {"FAILED", Align::Right},
                       {"DEAD", Align::Right}},
                      [](const JsonObject& trigger) {
                        const JsonObject& spec = part_of(trigger, "spec");
                        const JsonObject& counters = part_of(trigger, "counters");
                        const bool enabled = get_bool(spec, "enabled", true);
                        const auto number = [&](std::string_view name) { return Cell{count(get_int(counters, name))}; };
                        return std::vector<Cell>{{one_line(get_string(trigger, "name"), 63), Ink::Bold},
                                                 {std::string(source_kind(spec))},
                                                 {one_line(source_text(spec), 50)},
                                                 {one_line(target_text(part_of(spec, "target")), 50)},
                                                 {enabled ? "enabled" : "disabled", enabled ? Ink::Plain : Ink::Yellow},
                                                 number("received"),
                                                 number("filtered"),
                                                 number("accepted"),
                                                 number("failed"),
                                                 number("dead")};
                      });
}

Task<ExitCode> show_trigger(Env& env, std::string trigger) {
  const auto answer = co_await env.api.get(path_of({"v1", "triggers", trigger}));
  if (!answer) co_return env.terminal.error(answer.error());
  if (env.json) {
    env.terminal.line(to_text(*answer));
    co_return ExitCode::Ok;
  }
  const JsonObject& whole = object_of(*answer);
  const JsonObject& spec = part_of(whole, "spec");
  const JsonObject& counters = part_of(whole, "counters");
  const std::string_view kind = source_kind(spec);
  const Lines line{env};
  line("trigger", get_string(whole, "name"));
  line("description", get_string(spec, "description"));
  line("state", get_bool(spec, "enabled", true) ? "enabled" : "disabled: it takes nothing");
  line("source", fmt::format("{} {}", kind, source_text(spec)));
  if (const Json* source = get(spec, kind)) line("", brief(*source, 0));
  show_spec(line, spec);
  line("since the start",
       fmt::format("{} received, {} filtered out, {} duplicates, {} accepted, {} refused", get_int(counters, "received"),
                   get_int(counters, "filtered"), get_int(counters, "duplicates"), get_int(counters, "accepted"), get_int(counters, "refused")));
  line("deliveries", fmt::format("{} delivered, {} failed, {} dead", get_int(counters, "delivered"), get_int(counters, "failed"),
                                 get_int(counters, "dead")));
  co_return ExitCode::Ok;
}

Task<ExitCode> delete_trigger(Env& env, std::string trigger) {
  const auto answer = co_await env.api.call("DELETE", path_of({"v1", "triggers", trigger}));
  co_return done(env, answer, fmt::format("deleted the trigger {}; what it accepted goes on", trigger));
}

Task<ExitCode> test_trigger(Env& env, std::string trigger, std::string event) {
  auto given = json_of(event, "--event");
  if (!given) co_return env.terminal.error(given.error());
  const auto answer =
      co_await env.api.post(path_of({"v1", "triggers", trigger, "test"}), completed(*std::move(given), "mayfly/cli"));
  if (!answer) co_return env.terminal.error(answer.error());
  if (env.json) {
    env.terminal.line(to_text(*answer));
    co_return ExitCode::Ok;
  }
  const JsonObject& shown = object_of(*answer);
  if (get_bool(shown, "filtered")) {
    env.terminal.line("filtered out: the trigger's filter says no, nothing would start");
    co_return ExitCode::Ok;
  }
  const Lines line{env};
  line("target", target_text(part_of(shown, "target")));
  line("session", get_string(shown, "session"));
  line("correlation", get_string(shown, "correlation"));
  const Json* input = get(shown, "input");
  line("input", input && !input->is_null() ? readable(*input) : "the event");
  co_return ExitCode::Ok;
}

Task<ExitCode> send_event(Env& env, EventSendOptions options) {
  JsonObject event{{"specversion", "1.0"}, {"id", options.id.empty() ? new_id() : options.id}, {"source", options.source}, {"type", options.type}};
  if (!options.subject.empty()) event["subject"] = options.subject;
  if (!options.data.empty()) {
    auto data = json_of(options.data, "--data");
    if (!data) co_return env.terminal.error(data.error());
    event["datacontenttype"] = "application/json";
    event["data"] = *std::move(data);
  }
  const auto text = co_await env.api.text("POST", "/v1/events", to_text(event), {{"Content-Type", "application/cloudevents+json"}});
  if (!text) co_return env.terminal.error(text.error());
  auto answer = parse_json(*text);
  if (!answer) co_return env.terminal.error(answer.error());
  if (env.json) {
    env.terminal.line(to_text(*answer));
    co_return ExitCode::Ok;
  }
  for (const Json& item : items_of(*answer, "events")) {
    for (const Json& taken : items_of(item, "accepted"))
      env.terminal.note(get_bool(object_of(taken), "duplicate")
                            ? "it was sent before within a day: nothing new happens"
                            : fmt::format("accepted; what it starts: mayfly show {}", one_line(get_string(object_of(taken), "run"), 0)));
    env.terminal.line(printable(get_string(object_of(item), "id")));
  }
  co_return ExitCode::Ok;
}

Task<ExitCode> list_endpoints(Env& env) {
  const auto answer = co_await env.api.get("/v1/endpoints");
  co_return show_list(env, answer, "endpoints", "no endpoints yet; register one: mayfly endpoints put NAME --endpoint-url URL",
                      {{"ENDPOINT"}, {"STATE"}, {"EVENTS"}, {"SENDS TO"}}, [](const JsonObject& endpoint) {
                        const JsonObject& spec = part_of(endpoint, "spec");
                        const bool enabled = get_bool(endpoint, "enabled", true);
                        const std::string why = get_string(endpoint, "disabled_reason");
                        return std::vector<Cell>{
                            {one_line(get_string(endpoint, "name"), 63), Ink::Bold},
                            {enabled ? "enabled" : "disabled" + (why.empty() ? "" : ": " + one_line(why, 60)), enabled ? Ink::Plain : Ink::Yellow},
                            {one_line(joined(spec, "types", "only what names it"), 60)},
                            {one_line(get_string(spec, "url"), 120)}};
                      });
}

Task<ExitCode> put_endpoint(Env& env, EndpointPutOptions options) {
  JsonObject spec;
  if (!options.spec.empty()) {
    auto given = json_of(options.spec, "--spec");
    if (!given || !given->is_object())
      co_return env.terminal.error(given ? Error{"usage", "--spec takes a JSON object, or @FILE with one"} : given.error());
    spec = std::move(given->get_object());
  }
  const auto texts = [&spec](std::string_view name, const std::vector<std::string>& given) {
    JsonArray list;
    for (const std::string& text : given) list.emplace_back(text);
    if (!list.empty()) spec[name] = std::move(list);
  };
  if (!options.url.empty()) spec["url"] = options.url;
  texts("types", options.types);
  texts("secret_env", options.secret_env);
  if (options.private_network) spec["private_network"] = true;
  if (options.disabled) spec["enabled"] = false;
  if (!options.dead_letter_queue.empty()) spec["dead_letter_queue"] = options.dead_letter_queue;
  const auto answer = co_await env.api.call("PUT", path_of({"v1", "endpoints", options.endpoint}), Json(std::move(spec)));
  co_return done(env, answer,
                 fmt::format("the endpoint {} is registered; the secret that verifies what it gets: mayfly endpoints secret {}",
                             options.endpoint, options.endpoint));
}

Task<ExitCode> delete_endpoint(Env& env, std::string endpoint) {
  const auto answer = co_await env.api.call("DELETE", path_of({"v1", "endpoints", endpoint}));
  co_return done(env, answer, fmt::format("deleted the endpoint {}", endpoint));
}

Task<ExitCode> endpoint_secret(Env& env, std::string endpoint) {
  const auto answer = co_await env.api.get(path_of({"v1", "endpoints", endpoint, "secret"}));
  if (!answer) co_return env.terminal.error(answer.error());
  env.terminal.line(env.json ? to_text(*answer) : printable(get_string(object_of(*answer), "secret")));
  co_return ExitCode::Ok;
}

Task<ExitCode> list_deliveries(Env& env, DeliveriesOptions options) {
  std::string path = fmt::format("/v1/deliveries?limit={}", options.limit);
  if (!options.trigger.empty()) path += "&trigger=" + net::percent_encode(options.trigger);
  if (!options.target.empty()) path += "&target=" + net::percent_encode(options.target);
  const auto answer = co_await env.api.get(std::move(path));
  co_return show_list(env, answer, "deliveries", "no deliveries; triggers without `retry` and `dead_letter_queue` start their target directly",
                      {{"DELIVERY"}, {"STATE"}, {"AGE", Align::Right}, {"ATTEMPTS", Align::Right}, {"TRIGGER"}, {"TARGET"}, {"EVENT"}},
                      [&env](const JsonObject& delivery) {
                        const JsonArray* attempts = get_array(delivery, "attempts");
                        const JsonObject& event = part_of(delivery, "event");
                        const std::string state = get_string(delivery, "state");
                        return std::vector<Cell>{{one_line(get_string(delivery, "id"), 0), Ink::Bold},
                                                 {state, state_ink(state)},
                                                 {ago(env, delivery, "created")},
                                                 {std::to_string(attempts ? attempts->size() : 0)},
                                                 {one_line(get_string(delivery, "trigger", "-"), 63)},
                                                 {one_line(target_text(part_of(delivery, "target")), 80)},
                                                 {one_line(get_string(event, "type"), 80)}};
                      });
}

Task<ExitCode> show_delivery(Env& env, std::string delivery) {
  const auto answer = co_await env.api.get(path_of({"v1", "deliveries", delivery}));
  if (!answer) co_return env.terminal.error(answer.error());
  if (env.json) {
    env.terminal.line(to_text(*answer));
    co_return ExitCode::Ok;
  }
  const JsonObject& whole = object_of(*answer);
  const JsonObject& event = part_of(whole, "event");
  const Lines line{env};
  line("delivery", get_string(whole, "id"));
  line("state", get_string(whole, "state"));
  line("trigger", get_string(whole, "trigger"));
  line("target", target_text(part_of(whole, "target")));
  line("event", fmt::format("{} from {}, id {}", get_string(event, "type"), get_string(event, "source"), get_string(event, "id")));
  line("subject", get_string(event, "subject"));
  line("age", ago(env, whole, "created"));
  line("next attempt", get_string(whole, "next"));
  for (const Json& item : items_of(*answer, "attempts")) {
    const JsonObject& attempt = object_of(item);
    const std::int64_t status = get_int(attempt, "status");
    const std::string error = get_string(attempt, "error");
    line(fmt::format("attempt {}", get_int(attempt, "number")),
         fmt::format("{} after {} ms{}{}", get_string(attempt, "at"), get_int(attempt, "took_ms"),
                     status ? fmt::format(", answer {}", status) : std::string(), error.empty() ? ", ok" : ": " + one_line(error, 400)));
  }
  if (const Json* data = get(event, "data")) line("data", readable(*data));
  co_return ExitCode::Ok;
}

Task<ExitCode> redeliver(Env& env, std::string delivery) {
  const auto answer = co_await env.api.post(path_of({"v1", "deliveries", delivery, "redeliver"}), JsonObject());
  if (!answer) co_return env.terminal.error(answer.error());
  const JsonObject& accepted = object_of(*answer);
  env.terminal.line(env.json ? to_text(*answer) : printable(get_string(accepted, "run", get_string(accepted, "message_id"))));
  co_return ExitCode::Ok;
}

}  // namespace mayfly::cli
