#include "server/json_views.h"

#include <array>

namespace mayfly {
namespace {

Json optional_time(const std::optional<TimePoint>& time) { return time ? Json(to_rfc3339(*time)) : Json(nullptr); }

JsonObject error_view(const JsonObject& error) {
  return {{"code", get_string(error, "code")}, {"message", get_string(error, "message")}, {"retry", get_string(error, "retry")}};
}

double to_usd(std::int64_t nano_usd) { return static_cast<double>(nano_usd) / 1e9; }

JsonObject links_of(const std::string& run) {
  const std::string self = "/v1/runs/" + run;
  return {{"self", self}, {"events", self + "/events"}, {"operations", self + "/operations"}, {"transcript", self + "/transcript"}};
}

JsonObject summary_view(const Json& summary) {
  const JsonObject none;
  const JsonObject& in = summary.is_object() ? summary.get_object() : none;
  const auto amounts = [](const JsonObject& of) {
    return JsonObject{{"steps", get_int(of, "steps")},
                      {"input_tokens", get_int(of, "input_tokens")},
                      {"output_tokens", get_int(of, "output_tokens")},
                      {"cost_usd", to_usd(get_int(of, "nano_usd"))}};
  };
  JsonObject out = amounts(in);
  if (const std::int64_t children = get_int(in, "children"); children > 0) out["children"] = children;
  if (const JsonObject* total = get_object(in, "total")) out["total"] = amounts(*total);
  return out;
}

/// The size of a value that lives in the blob store, or nothing (see engine/shell/spill.h).
std::optional<std::int64_t> spilled_bytes(const Json& value) {
  const auto* object = value.if_object();
  if (!object || object->size() != 2 || !object->contains("$blob") || !object->contains("bytes")) return std::nullopt;
  return get_int(*object, "bytes");
}

Json wait_view(const engine::Execution& run) {
  const auto& wait = run.wait;
  if (!wait) return nullptr;
  const engine::PendingOperation* operation = run.find_pending(wait->operation);
  return JsonObject{{"for", operation ? Json(operation->kind) : Json(nullptr)},
                    {"kind", engine::to_string(wait->kind)},
                    {"operation", wait->operation ? Json(wait->operation) : Json(nullptr)},
                    {"name", wait->name},
                    {"until", optional_time(wait->until)}};
}

/// What an executor measured, with money in dollars.
Json meta_view(const Json& meta) {
  const auto* in = meta.if_object();
  if (!in) return meta;
  JsonObject out = *in;
  if (out.contains("nano_usd")) {
    out["cost_usd"] = to_usd(get_int(*in, "nano_usd"));
    out.erase("nano_usd");
  }
  return out;
}

}  // namespace

Json session_key_of(const engine::Execution& run) {
  if (!run.keyed) return nullptr;
  const std::size_t prefix = run.program.size() + 1;
  return Json(run.session.size() > prefix ? std::string_view(run.session).substr(prefix) : std::string_view(run.session));
}

Task<Result<JsonObject>> run_view(engine::Engine& engine, engine::Execution run, Detail detail) {
  JsonObject out{{"id", run.id},
                 {"agent", run.program},
                 {"version", run.version},
                 {"session", session_key_of(run)},
                 {"status", engine::to_string(run.status)},
                 {"queued", run.open() && !run.begun},
                 {"wait", wait_view(run)},
                 {"created", to_rfc3339(run.created)},
                 {"updated", to_rfc3339(run.updated)},
                 {"ended", optional_time(run.ended)},
                 {"deadline", optional_time(run.deadline)}};
  const auto spilled = spilled_bytes(run.result);
  if (spilled && detail == Detail::List) {
    out["result"] = nullptr;
    out["result_bytes"] = *spilled;
  } else {
    auto result = co_await engine.unspill(std::move(run.result));
    if (!result) co_return fail(result.error());
    out["result"] = std::move(*result);
  }
  out["error"] = run.error ? Json(error_view(engine::to_json(*run.error).get_object())) : Json(nullptr);
  out["summary"] = summary_view(run.summary);
  out["events"] = run.events;
  out["parent"] = run.parent ? Json(JsonObject{{"run", run.parent->run}, {"operation", run.parent->operation}}) : Json(nullptr);
  out["links"] = links_of(run.id);
  co_return out;
}

JsonObject child_view(const engine::Execution& run, std::int64_t operation, JsonArray children) {
  return {{"run", run.id},
          {"agent", run.program},
          {"operation", operation},
          {"status", engine::to_string(run.status)},
          {"queued", run.open() && !run.begun},
          {"wait", wait_view(run)},
          {"created", to_rfc3339(run.created)},
          {"updated", to_rfc3339(run.updated)},
          {"ended", optional_time(run.ended)},
          {"error", run.error ? Json(error_view(engine::to_json(*run.error).get_object())) : Json(nullptr)},
          {"summary", summary_view(run.summary)},
          {"children", std::move(children)}};
}

Task<Result<JsonObject>> operation_view(engine::Engine& engine, Json record, std::size_t* budget) {
  const JsonObject none;
  const JsonObject& in = record.is_object() ? record.get_object() : none;
  JsonObject out;
  for (const std::string_view name : {"id", "type", "status", "name", "kind", "started_event", "ended_event"})
    if (const Json* value = get(in, name)) out[name] = *value;
  out["attempts"] = get_int(in, "attempts", get_int(in, "attempt", 1));
  for (const std::string_view name : {"started", "ended", "due"})
    if (get(in, name)) out[name] = to_rfc3339(from_unix_ms(get_int(in, name)));
  if (get(in, "ended")) out["duration_ms"] = get_int(in, "ended") - get_int(in, "started");
  for (const std::string_view name : {"input", "result"}) {
    const Json* value = get(in, name);
    if (!value) continue;
    const auto bytes = spilled_bytes(*value);
    if (bytes && static_cast<std::size_t>(*bytes) > *budget) {
      out[std::string(name) + "_bytes"] = *bytes;
      continue;
    }
    if (bytes) *budget -= static_cast<std::size_t>(*bytes);
    auto whole = co_await engine.unspill(*value);
    if (!whole) co_return fail(whole.error());
    out[name] = std::move(*whole);
  }
  if (const auto* error = get_object(in, "error")) out["error"] = error_view(*error);
  if (const Json* error = get(in, "last_error")) out["last_error"] = *error;
  if (const Json* meta = get(in, "meta")) out["meta"] = meta_view(*meta);
  co_return out;
}

JsonObject session_view(const engine::Session& session) {
  const std::size_t prefix = session.program.size() + 1;
  return {{"agent", session.program},
          {"key", session.id.size() > prefix ? session.id.substr(prefix) : session.id},
          {"running", session.running.empty() ? Json(nullptr) : Json(session.running)},
          {"waiting", session.waiting},
          {"runs", session.runs},
          {"created", to_rfc3339(session.created)},
          {"updated", to_rfc3339(session.updated)}};
}

JsonObject question_view(const agent::Question& question) {
  return {{"run", question.run},         {"operation", question.operation}, {"agent", question.agent},
          {"session", question.session}, {"kind", question.kind},           {"text", question.text},
          {"details", question.details}, {"asked", to_rfc3339(question.asked)}, {"until", optional_time(question.until)}};
}

JsonObject agent_view(const agent::AgentVersion& version) {
  JsonArray models;
  for (const auto& model : version.spec.models) models.emplace_back(model);
  return {{"name", version.spec.name},
          {"version", version.version},
          {"description", version.spec.description},
          {"models", std::move(models)},
          {"keyed", version.spec.session.keyed},
          {"deployed", to_rfc3339(version.deployed)}};
}

JsonObject key_view(const ApiKey& key) {
  JsonArray scopes;
  for (const std::string_view name : key.scopes.names()) scopes.emplace_back(name);
  return {{"id", key.id},
          {"access_key_id", KeyRing::access_key_id(key.id)},
          {"name", key.name},
          {"scopes", std::move(scopes)},
          {"organisation", key.organisation},
          {"person", key.is_person},
          {"workspace", key.workspace.empty() ? Json() : Json(key.workspace)},
          {"role", key.role_max.empty() ? Json() : Json(key.role_max)},
          {"created", to_rfc3339(key.created)},
          {"expires", optional_time(key.expires)},
          {"last_used", optional_time(key.last_used)}};
}

JsonObject started_view(const engine::Started& started) {
  constexpr std::array<std::string_view, 4> kNames{"begun", "queued", "steered", "duplicate"};
  return {{"run", started.run}, {"started_as", kNames[static_cast<std::size_t>(started.as)]}, {"links", links_of(started.run)}};
}

}  // namespace mayfly
