#include "server/a2a/a2a_task.h"

#include <algorithm>

namespace mayfly::a2a {
namespace {

using engine::Execution;
using engine::ExecutionStatus;
using engine::WaitReason;

constexpr std::size_t kPartsMax = 100;

std::unexpected<Error> invalid(std::string message) { return fail("a2a.invalid_message", std::move(message)); }

JsonObject text_part(std::string_view text) { return {{"text", text}, {"mediaType", "text/plain"}}; }

JsonObject message_json(const std::string& id, const Execution& run, std::string_view role, JsonArray parts) {
  return {{"messageId", id}, {"contextId", context_of(run)}, {"taskId", run.id}, {"role", role}, {"parts", std::move(parts)}};
}

/// A normalised input as parts.
JsonArray parts_of_input(const JsonObject& input) {
  JsonArray out;
  if (const JsonArray* content = get_array(input, "message")) {
    for (const Json& item : *content) {
      const JsonObject* part = item.if_object();
      if (!part) continue;
      const std::string type = get_string(*part, "type");
      if (type == "text") out.push_back(text_part(get_string(*part, "text")));
      if (type == "image" && part->contains("data"))
        out.push_back(JsonObject{{"raw", get_string(*part, "data")}, {"mediaType", get_string(*part, "media_type")}});
      if (type == "image" && part->contains("url")) out.push_back(JsonObject{{"url", get_string(*part, "url")}});
    }
  }
  if (const Json* data = get(input, "data")) out.push_back(JsonObject{{"data", *data}, {"mediaType", "application/json"}});
  return out;
}

/// One part as content for the model; JSON goes into `*data`.
Result<void> read_part(const JsonObject& part, JsonArray& content, JsonArray& data) {
  const std::string media = get_string(part, "mediaType");
  if (const Json* text = get(part, "text")) {
    if (!text->is_string()) return invalid("a part's `text` must be a string");
    content.push_back(JsonObject{{"type", "text"}, {"text", *text}});
    return {};
  }
  if (const Json* value = get(part, "data")) {
    data.push_back(*value);
    return {};
  }
  const bool is_image = media.starts_with("image/");
  if (part.contains("raw") || part.contains("url")) {
    if (!is_image) return fail("a2a.content_type", "files of type '" + media.substr(0, 100) + "' are not taken; send text, JSON or images");
    JsonObject image{{"type", "image"}};
    if (part.contains("url")) {
      image["url"] = get_string(part, "url");
    } else {
      image["media_type"] = media;
      image["data"] = get_string(part, "raw");
    }
    content.push_back(std::move(image));
    return {};
  }
  return invalid("a part needs one of text, data, raw and url");
}

Result<const JsonArray*> parts_of(const JsonObject& message) {
  const JsonArray* parts = get_array(message, "parts");
  if (!parts || parts->empty()) return invalid("the message has no `parts`");
  if (parts->size() > kPartsMax) return invalid("a message has at most 100 parts");
  for (const Json& part : *parts)
    if (!part.is_object()) return invalid("every part must be an object");
  return parts;
}

}  // namespace

bool is_asking(const Execution& run) {
  return run.open() && run.wait && (run.wait->kind == WaitReason::Kind::Callback || run.wait->kind == WaitReason::Kind::OutcomeUnknown);
}

std::string_view state_of(const Execution& run, bool asks) {
  switch (run.status) {
    case ExecutionStatus::Running: break;
    case ExecutionStatus::Succeeded: return "TASK_STATE_COMPLETED";
    case ExecutionStatus::Failed:
    case ExecutionStatus::TimedOut: return "TASK_STATE_FAILED";
    case ExecutionStatus::Stopped: return "TASK_STATE_CANCELED";
  }
  if (asks) return "TASK_STATE_INPUT_REQUIRED";
  return run.begun ? "TASK_STATE_WORKING" : "TASK_STATE_SUBMITTED";
}

bool is_terminal(std::string_view state) {
  return state == "TASK_STATE_COMPLETED" || state == "TASK_STATE_FAILED" || state == "TASK_STATE_CANCELED" || state == "TASK_STATE_REJECTED";
}

std::string context_of(const Execution& run) { return run.keyed ? run.session.substr(run.session.find('/') + 1) : run.id; }

JsonObject status_of_task(const Execution& run, const std::optional<agent::Question>& question) {
  JsonObject out{{"state", state_of(run, question.has_value())}, {"timestamp", to_rfc3339(run.updated)}};
  std::string says;
  if (question) says = question->text;
  if (run.error) says = run.error->message;
  if (says.empty()) return out;
  JsonArray parts{text_part(says)};
  if (question && !question->details.is_null())
    parts.push_back(JsonObject{{"data", JsonObject{{"question", question->kind}, {"details", question->details}}}, {"mediaType", "application/json"}});
  const std::string id = run.id + "-" + (question ? "question-" + std::to_string(question->operation) : std::string("end"));
  out["message"] = message_json(id, run, "ROLE_AGENT", std::move(parts));
  return out;
}

std::optional<JsonObject> artifact_of(const Execution& run) {
  if (run.status != ExecutionStatus::Succeeded) return std::nullopt;
  JsonArray parts;
  const JsonObject* result = run.result.if_object();
  const Json* text = result ? get(*result, "text") : nullptr;
  if (text && text->is_string() && !text->get_string().empty()) parts.push_back(text_part(text->get_string()));
  if (const Json* data = result ? get(*result, "data") : nullptr; data && !data->is_null())
    parts.push_back(JsonObject{{"data", *data}, {"mediaType", "application/json"}});
  if (parts.empty()) parts.push_back(result || run.result.is_null() ? text_part("") : JsonObject{{"data", run.result}});
  return JsonObject{{"artifactId", "answer"}, {"name", "answer"}, {"parts", std::move(parts)}};
}

JsonObject task_of(const Execution& run, const std::optional<agent::Question>& question, const Json& input, const TaskDetail& detail) {
  JsonObject out{{"id", run.id}, {"contextId", context_of(run)}, {"status", status_of_task(run, question)}};
  if (detail.artifacts)
    if (auto artifact = artifact_of(run)) out["artifacts"] = JsonArray{std::move(*artifact)};
  if (const JsonObject* from = input.if_object(); from && detail.history_max.value_or(1) > 0)
    out["history"] = JsonArray{message_json(run.id + "-input", run, "ROLE_USER", parts_of_input(*from))};
  return out;
}

Result<Json> input_of_message(const JsonObject& message) {
  if (const std::string role = get_string(message, "role", "ROLE_USER"); role != "ROLE_USER") return invalid("the role must be ROLE_USER");
  auto parts = parts_of(message);
  if (!parts) return fail(parts.error());
  JsonArray content, data;
  for (const Json& part : **parts)
    if (auto read = read_part(part.get_object(), content, data); !read) return fail(read.error());
  JsonObject out;
  if (!content.empty()) out["message"] = std::move(content);
  if (data.size() == 1) out["data"] = std::move(data.front());
  if (data.size() > 1) out["data"] = std::move(data);
  if (!out.contains("message")) out["message"] = to_text(out["data"]);
  return Json(std::move(out));
}

Result<agent::PersonAnswer> answer_of_message(const JsonObject& message) {
  auto parts = parts_of(message);
  if (!parts) return fail(parts.error());
  agent::PersonAnswer out;
  out.by = "a2a";
  for (const Json& item : **parts) {
    const JsonObject& part = item.get_object();
    if (const JsonObject* data = get_object(part, "data")) {
      out.decision = get_string(*data, "decision", out.decision);
      out.comment = get_string(*data, "comment", out.comment);
      if (const Json* add = get(*data, "add")) out.add = *add;
    } else if (part.contains("text")) {
      out.decision += (out.decision.empty() ? "" : "\n") + get_string(part, "text");
    }
  }
  if (out.decision.empty()) return invalid("the task waits for an answer; send it as text, or as data {\"decision\": …}");
  return out;
}

}  // namespace mayfly::a2a
