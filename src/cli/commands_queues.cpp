#include <fmt/format.h>

#include "cli/commands.h"
#include "cli/run_view.h"

namespace mayfly::cli {
namespace {

constexpr std::size_t kBodyBytesMax = 1024 * 1024;

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

std::string number_of(const JsonObject& object, std::string_view name) { return count(get_int(object, name)); }

/// What a request answered, as JSON or as a sentence.
ExitCode done(const Env& env, const Result<Json>& answer, const std::string& sentence) {
  if (!answer) return env.terminal.error(answer.error());
  if (env.json)
    env.terminal.line(to_text(*answer));
  else
    env.terminal.note(sentence);
  return ExitCode::Ok;
}

void show_queue(const Env& env, const JsonObject& queue) {
  const auto line = [&](std::string_view name, const std::string& value) {
    if (!value.empty())
      env.terminal.line(fmt::format("{}  {}", env.terminal.ink(Ink::Bold, fmt::format("{:<11}", name)), printable(value)));
  };
  const JsonObject& depth = part_of(queue, "depth");
  const JsonObject& counters = part_of(queue, "counters");
  const JsonObject& spec = part_of(queue, "spec");
  const auto created = time_of(queue, "created");
  const auto oldest = time_of(depth, "oldest");
  line("queue", get_string(queue, "name"));
  line("kind", get_bool(spec, "fifo") ? "FIFO: messages of one group in their order" : "standard");
  line("paused", get_bool(queue, "paused") ? "yes: nothing is given out; `mayfly queues resume` goes on" : "");
  line("age", created ? age(env.clock.now() - *created) : "");
  line("messages", fmt::format("{} visible, {} in flight, {} delayed{}", get_int(depth, "visible"), get_int(depth, "in_flight"),
                               get_int(depth, "delayed"), oldest ? ", oldest " + age(env.clock.now() - *oldest) : ""));
  line("so far", fmt::format("{} sent, {} received, {} deleted, {} dead, {} expired, {} refused", get_int(counters, "sent"),
                             get_int(counters, "received"), get_int(counters, "deleted"), get_int(counters, "dead"),
                             get_int(counters, "expired"), get_int(counters, "refused")));
  line("visibility", get_string(spec, "visibility_timeout"));
  line("delay", get_string(spec, "delay"));
  line("retention", get_string(spec, "retention"));
  line("limits", fmt::format("{} messages, {} bytes each", get_int(spec, "messages_max"), get_int(spec, "message_bytes_max")));
  if (const JsonObject* dead = get_object(spec, "dead_letter"))
    line("dead letter", fmt::format("to {} after {} receives", get_string(*dead, "queue"), get_int(*dead, "receives_max")));
  if (const JsonObject* tags = get_object(spec, "tags"))
    for (const auto& tag : *tags) line("tag", fmt::format("{}={}", std::string_view(tag.key()), readable(tag.value())));
}

ExitCode show_messages(const Env& env, const Result<Json>& answer, std::string_view nothing) {
  if (!answer) return env.terminal.error(answer.error());
  const JsonArray list = items_of(*answer, "messages");
  if (env.json) {
    env.terminal.line(to_text(Json(list)));
    return ExitCode::Ok;
  }
  if (list.empty()) env.terminal.note(nothing);
  for (const Json& item : list) {
    const JsonObject& message = object_of(item);
    const auto sent = time_of(message, "sent");
    std::string head = fmt::format("{}  {} ago, received {} times", get_string(message, "id"), sent ? age(env.clock.now() - *sent) : "?",
                                   get_int(message, "receive_count"));
    for (const std::string_view name : {"group", "sequence_number", "dead_letter_source", "dead_letter_reason"})
      if (const std::string value = get_string(message, name); !value.empty()) head += fmt::format(", {} {}", name, value);
    env.terminal.note(env.terminal.note_ink(Ink::Dim, one_line(head, 0)));
    if (const JsonObject* attributes = get_object(message, "attributes"))
      for (const auto& attribute : *attributes)
        env.terminal.note(env.terminal.note_ink(
            Ink::Dim,
            one_line(fmt::format("{}: {}", std::string_view(attribute.key()), get_string(object_of(attribute.value()), "value")), 0)));
    if (const std::string handle = get_string(message, "receipt_handle"); !handle.empty())
      env.terminal.note(env.terminal.note_ink(Ink::Dim, "receipt " + one_line(handle, 0)));
    env.terminal.line(printable(get_string(message, "body")));
  }
  return ExitCode::Ok;
}

/// "NAME=value" pairs as an object.
Result<JsonObject> pairs(const std::vector<std::string>& texts, std::string_view option) {
  JsonObject out;
  for (const std::string& text : texts) {
    const auto equals = text.find('=');
    if (equals == 0 || equals == std::string::npos) return fail("usage", fmt::format("{} takes NAME=value, not '{}'", option, text));
    out[text.substr(0, equals)] = text.substr(equals + 1);
  }
  return out;
}

Result<JsonObject> spec_of(const QueueCreateOptions& options) {
  JsonObject out;
  if (!options.spec.empty()) {
    auto text = options.spec.starts_with("@") ? read_file(options.spec.substr(1), kBodyBytesMax) : Result<std::string>(options.spec);
    if (!text) return fail(text.error());
    auto value = parse_json(*text);
    if (!value || !value->is_object()) return fail("usage", "--spec takes a JSON object, or @FILE with one");
    out = std::move(value->get_object());
  }
  const std::pair<std::string_view, const std::string*> texts[] = {{"visibility_timeout", &options.visibility},
                                                                   {"delay", &options.delay},
                                                                   {"retention", &options.retention},
                                                                   {"receive_wait", &options.receive_wait}};
  for (const auto& [name, value] : texts)
    if (!value->empty()) out[name] = *value;
  if (options.fifo) out["fifo"] = true;
  if (options.content_deduplication) out["content_deduplication"] = true;
  if (!options.dead_letter_queue.empty())
    out["dead_letter"] = JsonObject{{"queue", options.dead_letter_queue}, {"receives_max", options.receives_max}};
  auto tags = pairs(options.tags, "--tag");
  if (!tags) return tags;
  if (!tags->empty()) out["tags"] = std::move(*tags);
  return out;
}

}  // namespace

Task<ExitCode> list_queues(Env& env, std::string prefix) {
  const auto answer = co_await env.api.get("/v1/queues" + (prefix.empty() ? "" : "?prefix=" + net::percent_encode(prefix)));
  if (!answer) co_return env.terminal.error(answer.error());
  const JsonArray list = items_of(*answer, "queues");
  if (env.json) {
    env.terminal.line(to_text(Json(list)));
    co_return ExitCode::Ok;
  }
  if (list.empty()) env.terminal.note("no queues yet; make one: mayfly queues create NAME");
  std::vector<std::vector<Cell>> rows;
  for (const Json& item : list) {
    const JsonObject& queue = object_of(item);
    const JsonObject& depth = part_of(queue, "depth");
    const JsonObject& spec = part_of(queue, "spec");
    const auto oldest = time_of(depth, "oldest");
    rows.push_back({{one_line(get_string(queue, "name"), 80), Ink::Bold},
                    {number_of(depth, "visible")},
                    {number_of(depth, "in_flight")},
                    {number_of(depth, "delayed")},
                    {oldest ? age(env.clock.now() - *oldest) : "-"},
                    {number_of(part_of(queue, "counters"), "dead")},
                    {get_bool(queue, "paused") ? "paused" : "-", get_bool(queue, "paused") ? Ink::Yellow : Ink::Plain},
                    {one_line(get_string(part_of(spec, "dead_letter"), "queue", "-"), 80)}});
  }
  if (!rows.empty())
    env.terminal.print(table({{"QUEUE"},
                              {"VISIBLE", Align::Right},
                              {"IN FLIGHT", Align::Right},
                              {"DELAYED", Align::Right},
                              {"OLDEST", Align::Right},
                              {"DEAD", Align::Right},
                              {"STATE"},
                              {"DEAD-LETTER QUEUE"}},
                             rows, env.terminal.width(), env.terminal.out_colour()));
  co_return ExitCode::Ok;
}

Task<ExitCode> show_queue(Env& env, std::string queue) {
  const auto answer = co_await env.api.get(path_of({"v1", "queues", queue}));
  if (!answer) co_return env.terminal.error(answer.error());
  if (env.json) {
    env.terminal.line(to_text(*answer));
  } else {
    show_queue(env, object_of(*answer));
  }
  co_return ExitCode::Ok;
}

Task<ExitCode> create_queue(Env& env, QueueCreateOptions options) {
  auto spec = spec_of(options);
  if (!spec) co_return env.terminal.error(spec.error());
  const auto answer = co_await env.api.call("PUT", path_of({"v1", "queues", options.queue}), Json(std::move(*spec)));
  co_return done(env, answer, fmt::format("the queue {} is there; send with: mayfly queues send {} TEXT", options.queue, options.queue));
}

Task<ExitCode> send_to_queue(Env& env, QueueSendOptions options) {
  auto body = options.body == "-"             ? read_standard_input(kBodyBytesMax)
              : options.body.starts_with("@") ? read_file(options.body.substr(1), kBodyBytesMax)
                                              : Result<std::string>(options.body);
  if (!body) co_return env.terminal.error(body.error());
  auto attributes = pairs(options.attributes, "--attribute");
  if (!attributes) co_return env.terminal.error(attributes.error());
  JsonObject message{{"body", std::move(*body)}};
  const std::pair<std::string_view, const std::string*> texts[] = {{"delay", &options.delay},
                                                                   {"group", &options.group},
                                                                   {"deduplication_id", &options.deduplication_id},
                                                                   {"idempotency_key", &options.idempotency_key}};
  for (const auto& [name, value] : texts)
    if (!value->empty()) message[name] = *value;
  if (options.priority != 0) message["priority"] = options.priority;
  if (!attributes->empty()) message["attributes"] = std::move(*attributes);
  const auto answer = co_await env.api.post(path_of({"v1", "queues", options.queue, "messages"}), std::move(message));
  if (!answer) co_return env.terminal.error(answer.error());
  if (!env.json && get_bool(object_of(*answer), "duplicate")) env.terminal.note("it was sent before; this is the first one's id");
  env.terminal.line(env.json ? to_text(*answer) : get_string(object_of(*answer), "id"));
  co_return ExitCode::Ok;
}

Task<ExitCode> receive_from_queue(Env& env, QueueReceiveOptions options) {
  JsonObject body{{"max", options.max}};
  if (!options.wait.empty()) body["wait"] = options.wait;
  if (!options.visibility.empty()) body["visibility"] = options.visibility;
  const auto answer = co_await env.api.post(path_of({"v1", "queues", options.queue, "receive"}), std::move(body));
  const ExitCode shown = show_messages(env, answer, "nothing to receive");
  if (shown != ExitCode::Ok || !options.remove) co_return shown;
  JsonArray handles;
  for (const Json& message : items_of(*answer, "messages")) handles.emplace_back(get_string(object_of(message), "receipt_handle"));
  if (handles.empty()) co_return shown;
  const auto deleted = co_await env.api.post(path_of({"v1", "queues", options.queue, "messages", "delete"}),
                                             JsonObject{{"receipt_handles", std::move(handles)}});
  if (!deleted) co_return env.terminal.error(deleted.error());
  co_return shown;
}

Task<ExitCode> peek_queue(Env& env, std::string queue, std::int64_t limit) {
  const auto answer = co_await env.api.get(path_of({"v1", "queues", queue, "messages"}) + fmt::format("?limit={}", limit));
  co_return show_messages(env, answer, "the queue is empty");
}

Task<ExitCode> delete_from_queue(Env& env, std::string queue, std::vector<std::string> handles) {
  if (handles.empty()) {
    const auto answer = co_await env.api.call("DELETE", path_of({"v1", "queues", queue}));
    if (!answer) co_return env.terminal.error(answer.error());
    env.terminal.note(fmt::format("deleted the queue {} with its messages", queue));
    co_return ExitCode::Ok;
  }
  JsonArray list;
  for (const std::string& handle : handles) list.emplace_back(handle);
  const auto answer =
      co_await env.api.post(path_of({"v1", "queues", queue, "messages", "delete"}), JsonObject{{"receipt_handles", std::move(list)}});
  if (!answer) co_return env.terminal.error(answer.error());
  if (env.json) env.terminal.line(to_text(*answer));
  const JsonArray failed = items_of(*answer, "failed");
  if (!failed.empty()) {
    const JsonObject& first = object_of(failed.front());
    co_return env.terminal.error({get_string(first, "code"), get_string(first, "message")});
  }
  if (!env.json) env.terminal.note(fmt::format("deleted {} messages", get_int(object_of(*answer), "deleted")));
  co_return ExitCode::Ok;
}

Task<ExitCode> act_on_queue(Env& env, std::string queue, std::string action) {
  const auto answer = co_await env.api.post(path_of({"v1", "queues", queue, action}), JsonObject());
  const std::string what = action == "purge"   ? "all messages are deleted; those in flight too"
                           : action == "pause" ? "paused: nothing is given out until `mayfly queues resume`"
                                               : "messages are given out again";
  co_return done(env, answer, what);
}

Task<ExitCode> redrive_queue(Env& env, QueueRedriveOptions options) {
  if (options.list) {
    const auto answer = co_await env.api.get(path_of({"v1", "queues", options.queue, "redrives"}));
    if (!answer) co_return env.terminal.error(answer.error());
    const JsonArray list = items_of(*answer, "redrives");
    if (env.json) {
      env.terminal.line(to_text(Json(list)));
      co_return ExitCode::Ok;
    }
    std::vector<std::vector<Cell>> rows;
    for (const Json& item : list) {
      const JsonObject& task = object_of(item);
      rows.push_back({{get_string(task, "status"), Ink::Bold},
                      {number_of(task, "moved")},
                      {number_of(task, "to_move")},
                      {one_line(get_string(task, "destination", "their sources"), 80)},
                      {one_line(get_string(task, "handle"), 0)}});
    }
    if (rows.empty()) env.terminal.note("no redrives yet");
    if (!rows.empty())
      env.terminal.print(table({{"STATUS"}, {"MOVED", Align::Right}, {"TO MOVE", Align::Right}, {"TO"}, {"HANDLE"}}, rows,
                               env.terminal.width(), env.terminal.out_colour()));
    co_return ExitCode::Ok;
  }
  if (!options.cancel.empty()) {
    const auto answer =
        co_await env.api.post(path_of({"v1", "queues", options.queue, "redrive", "cancel"}), JsonObject{{"handle", options.cancel}});
    co_return done(env, answer, "cancelled; what was moved stays moved");
  }
  JsonObject body;
  if (!options.destination.empty()) body["destination"] = options.destination;
  if (options.per_second_max > 0) body["per_second_max"] = options.per_second_max;
  const auto answer = co_await env.api.post(path_of({"v1", "queues", options.queue, "redrive"}), std::move(body));
  co_return done(env, answer, fmt::format("moving; see `mayfly queues redrive {} --list`", options.queue));
}

}  // namespace mayfly::cli
