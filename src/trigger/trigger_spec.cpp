#include "trigger/trigger_spec.h"

#include <array>

#include "trigger/policy.h"

namespace mayfly::trigger {
namespace {

constexpr std::array<std::string_view, 7> kSources{"http", "webhook", "queue", "sqs", "schedule", "event", "file"};
constexpr std::size_t kExpressionBytesMax = 32 * 1'024;

std::unexpected<Error> invalid(std::string message) { return fail("trigger.invalid", std::move(message)); }

/// An error of a part, whose pointer counts from the part's own root.
std::unexpected<Error> invalid_part(std::string_view part, const Error& error) { return invalid("/" + std::string(part) + error.message); }

Result<QueueSource> queue_source_from_json(const Json& value) {
  QueueSource out;
  if (value.is_string()) {
    out.queue = std::string_view(value.get_string());
    return out;
  }
  SpecReader reader(value, "");
  reader.text("name", &out.queue, 80);
  reader.number("batch", &out.batch_max, 1, 1'000);
  reader.duration("batch_window", &out.batch_window, Millis{0}, Millis{300'000});
  reader.number("concurrency", &out.concurrency, 1, 1'000);
  if (auto done = reader.done(); !done) return std::unexpected(done.error());
  if (out.queue.empty()) return invalid("/name: the queue's name is missing");
  return out;
}

Result<SqsSource> sqs_source_from_json(const Json& value) {
  SqsSource out;
  SpecReader reader(value, "");
  reader.text("url", &out.url, 2'048);
  reader.text("region", &out.region, 64);
  reader.text("endpoint", &out.endpoint, 2'048);
  reader.text("credentials_env", &out.credentials_env, 150);
  reader.duration("wait", &out.wait, Millis{0}, Millis{20'000});
  reader.number("batch", &out.batch_max, 1, 10);
  if (const Json* allowed = reader.member("private_network")) {
    if (allowed->is_bool())
      out.private_network = allowed->get_bool();
    else
      reader.refuse("private_network", "must be true or false");
  }
  if (!out.url.starts_with("https://") && !out.url.starts_with("http://")) reader.refuse("url", "must be the URL of a queue");
  if (!is_environment_name(out.credentials_env)) reader.refuse("credentials_env", "must be the prefix of names of environment variables");
  if (auto done = reader.done(); !done) return std::unexpected(done.error());
  return out;
}

Result<ScheduleSource> schedule_source_from_json(const std::string& name, const Json& value) {
  Json whole = value.is_string() ? Json(JsonObject{{"expression", value}}) : value;
  if (JsonObject* object = whole.if_object()) {
    for (const std::string_view member : {"target", "input", "retry", "dead_letter_queue"})
      if (object->contains(member)) return invalid("/" + std::string(member) + ": belongs to the trigger, beside `schedule`");
    // The form of schedules demands a target; the trigger's own is used.
    (*object)["target"] = JsonObject{{"queue", "trigger"}};
  }
  auto spec = schedule::schedule_spec_from_json(name, whole);
  if (!spec) return invalid(spec.error().message);
  spec->group = "triggers";
  spec->target = nullptr;
  return ScheduleSource{std::move(*spec)};
}

Result<EventSource> event_source_from_json(const Json& value) {
  EventSource out;
  SpecReader reader(value, "");
  reader.texts("types", &out.types, 100);
  reader.texts("sources", &out.sources, 100);
  for (const std::string& type : out.types)
    if (type.empty() || type.substr(0, type.size() - 1).contains('*') || (type.ends_with('*') && !type.ends_with(".*")))
      reader.refuse("types", "a type is exact, or a prefix that ends with \".*\"");
  if (auto done = reader.done(); !done) return std::unexpected(done.error());
  return out;
}

Result<Source> source_from_json(const std::string& name, std::string_view kind, const Json& value) {
  const auto as_source = [](auto part) -> Result<Source> {
    if (!part) return std::unexpected(part.error());
    return Source{*std::move(part)};
  };
  if (kind == "http") return as_source(http_source_from_json(value));
  if (kind == "webhook") return as_source(webhook_source_from_json(value));
  if (kind == "queue") return as_source(queue_source_from_json(value));
  if (kind == "sqs") return as_source(sqs_source_from_json(value));
  if (kind == "schedule") return as_source(schedule_source_from_json(name, value));
  if (kind == "file") return as_source(file_source_from_json(value));
  return as_source(event_source_from_json(value));
}

JsonArray texts(const std::vector<std::string>& from) {
  JsonArray out;
  for (const std::string& text : from) out.emplace_back(text);
  return out;
}

Json source_to_json(const HttpSource& source) { return to_json(source); }
Json source_to_json(const WebhookSource& source) { return to_json(source); }
Json source_to_json(const FileSource& source) { return to_json(source); }
Json source_to_json(const QueueSource& source) {
  JsonObject out{{"name", source.queue}, {"batch", source.batch_max}, {"concurrency", source.concurrency}};
  if (source.batch_window.count() > 0) out["batch_window"] = to_spec_text(source.batch_window);
  return out;
}
Json source_to_json(const SqsSource& source) {
  JsonObject out{{"url", source.url}, {"credentials_env", source.credentials_env}, {"wait", to_spec_text(source.wait)}, {"batch", source.batch_max}};
  if (!source.region.empty()) out["region"] = source.region;
  if (!source.endpoint.empty()) out["endpoint"] = source.endpoint;
  if (source.private_network) out["private_network"] = true;
  return out;
}
Json source_to_json(const ScheduleSource& source) {
  schedule::ScheduleSpec spec = source.schedule;
  spec.target = nullptr;
  Json out = schedule::to_json(spec);
  if (JsonObject* object = out.if_object())
    for (const std::string_view member : {"name", "group", "target", "input", "retry", "dead_letter_queue"}) object->erase(member);
  return out;
}
Json source_to_json(const EventSource& source) {
  JsonObject out;
  if (!source.types.empty()) out["types"] = texts(source.types);
  if (!source.sources.empty()) out["sources"] = texts(source.sources);
  return out;
}

Result<void> read_rest(SpecReader& reader, TriggerSpec* out) {
  reader.text("description", &out->description, 1'024);
  if (const Json* enabled = reader.member("enabled")) {
    if (enabled->is_bool())
      out->enabled = enabled->get_bool();
    else
      reader.refuse("enabled", "must be true or false");
  }
  reader.text("filter", &out->filter, kExpressionBytesMax);
  reader.text("session", &out->session, kExpressionBytesMax);
  reader.text("input", &out->input, kExpressionBytesMax);
  reader.text("idempotency_key", &out->idempotency_key, kExpressionBytesMax);
  reader.text("correlation", &out->correlation, kExpressionBytesMax);
  return read_policy(reader, &out->delivery);
}

}  // namespace

Json to_json(const TriggerSpec& spec) {
  JsonObject out;
  if (!spec.description.empty()) out["description"] = spec.description;
  if (!spec.enabled) out["enabled"] = false;
  out[kSources[spec.source.index()]] = std::visit([](const auto& source) { return source_to_json(source); }, spec.source);
  const std::pair<std::string_view, const std::string*> expressions[] = {{"filter", &spec.filter},
                                                                         {"session", &spec.session},
                                                                         {"input", &spec.input},
                                                                         {"idempotency_key", &spec.idempotency_key},
                                                                         {"correlation", &spec.correlation}};
  for (const auto& [name, text] : expressions)
    if (!text->empty()) out[name] = *text;
  out["target"] = to_json(spec.target);
  write_policy(spec.delivery, {}, &out);
  return out;
}

Result<TriggerSpec> trigger_spec_from_json(std::string name, const Json& value) {
  if (!is_trigger_name(name)) return invalid(": a trigger's name has 1 to 63 of a-z, 0-9 and '-', and begins with a letter or digit");
  if (!value.is_object()) return invalid(": a trigger is an object with a source and a `target`");
  TriggerSpec out;
  out.name = std::move(name);
  SpecReader reader(value, "");
  std::string_view kind;
  for (const std::string_view candidate : kSources) {
    if (!reader.member(candidate)) continue;
    if (!kind.empty()) return invalid("/" + std::string(candidate) + ": a trigger has exactly one of http, webhook, queue, sqs, schedule, event, file");
    kind = candidate;
  }
  if (kind.empty()) return invalid(": a trigger needs one of http, webhook, queue, sqs, schedule, event, file");
  const Json* target = reader.member("target");
  if (!target) return invalid("/target: says where events go; give {\"agent\": NAME}, or a function, workflow, queue, url or webhook");
  if (auto rest = read_rest(reader, &out); !rest) return std::unexpected(rest.error());
  if (auto done = reader.done(); !done) return std::unexpected(done.error());
  auto source = source_from_json(out.name, kind, value.get_object().at(kind));
  if (!source) return invalid_part(kind, source.error());
  out.source = *std::move(source);
  auto to = target_from_json(*target);
  if (!to) return invalid_part("target", to.error());
  out.target = *std::move(to);
  if (const auto* queue = std::get_if<QueueSource>(&out.source)) {
    if (value.get_object().contains("retry") || !out.delivery.dead_letter_queue.empty())
      return invalid("/retry: a queue tries its messages again by itself; set `visibility_timeout` and `dead_letter` of the queue");
    if (queue->batch_max > 1 && out.target.kind != Target::Kind::Function && out.target.kind != Target::Kind::Queue)
      return invalid("/queue/batch: only functions and queues take batches; leave it out");
  }
  return out;
}

std::string_view trigger_schema_text() {
  static const std::string kText = [] {
    const auto expression = [](std::string_view text) {
      return R"({"type":"string","maxLength":32768,"description":"JSONata: )" + std::string(text) + "\"}";
    };
    std::string out = R"({"type":"object","description":"What starts a target","required":["target"],"oneOf":[)"
                      R"({"required":["http"]},{"required":["webhook"]},{"required":["queue"]},{"required":["sqs"]},{"required":["schedule"]},{"required":["event"]},{"required":["file"]}],)"
                      R"("properties":{"description":{"description":"For people.","type":"string","maxLength":1024},"enabled":{"description":"Whether it takes events. Default true.","type":"boolean"},)";
    out += R"("http":)" + std::string(http_source_schema_text());
    out += R"(,"webhook":)" + std::string(webhook_source_schema_text());
    out += R"(,"queue":{"description":"A queue of Mayfly's own","oneOf":[{"type":"string"},{"type":"object","required":["name"],"properties":{)"
           R"("name":{"description":"Of the queue.","type":"string"},"batch":{"description":"Messages given together.","type":"integer","minimum":1,"maximum":1000},"batch_window":{"description":"How long a batch waits to fill.","type":"string"},)"
           R"("concurrency":{"description":"Batches under way at a time. Default 10.","type":"integer","minimum":1,"maximum":1000}},"additionalProperties":false}]})";
    out += R"(,"sqs":{"type":"object","description":"A queue of Amazon SQS","required":["url"],"properties":{"url":{"description":"Of the queue.","type":"string"},)"
           R"("region":{"description":"Of the queue.","type":"string"},"endpoint":{"description":"Instead of the origin of the url.","type":"string"},"credentials_env":{"type":"string","description":"Prefix of the names of environment variables"},)"
           R"("wait":{"description":"Long polling. Default 20s.","type":"string"},"batch":{"description":"Messages given together.","type":"integer","minimum":1,"maximum":10},"private_network":{"description":"Whether private and loopback addresses may be reached. Default false.","type":"boolean"}},"additionalProperties":false})";
    out += R"(,"schedule":{"description":"At fixed times: an expression, or a schedule without target","oneOf":[{"type":"string"},{"type":"object","required":["expression"]}]})";
    out += R"(,"event":{"type":"object","description":"Published events","properties":{"types":{"description":"Exact, or a prefix that ends with .*; default: all.","oneOf":[{"type":"string"},{"type":"array","items":{"type":"string"}}]},)"
           R"("sources":{"description":"Exact; default: all.","oneOf":[{"type":"string"},{"type":"array","items":{"type":"string"}}]}},"additionalProperties":false})";
    out += R"(,"file":)" + std::string(file_source_schema_text());
    out += R"(,"filter":)" + expression("only events for which this is true");
    out += R"(,"session":)" + expression("a text, the session's key");
    out += R"(,"input":)" + expression("what the target is given; by default the event's data");
    out += R"(,"idempotency_key":)" + expression("a text; the same within a day starts nothing; by default source and id");
    out += R"(,"correlation":)" + expression("a text that waiting runs match; by default the event's subject");
    out += R"(,"target":)" + std::string(target_schema_text());
    out += R"(,"retry":)" + std::string(kRetrySchema);
    out += R"(,"dead_letter_queue":{"description":"A queue for events that failed too often.","type":"string"}},"additionalProperties":false})";
    return out;
  }();
  return kText;
}

}  // namespace mayfly::trigger
