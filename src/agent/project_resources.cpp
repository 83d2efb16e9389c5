#include "agent/project_resources.h"

#include <fmt/format.h>

#include "expression/expression.h"
#include "mcp/server/declared.h"
#include "queue/queue.h"
#include "schedule/schedule.h"
#include "trigger/trigger_service.h"
#include "workflow/workflow.h"

namespace mayfly::agent {
namespace {

Expressions& offline_expressions() {
  static Expressions expressions;
  return expressions;
}

Result<void> check_queue(const std::string& name, const Json& definition) {
  auto spec = queue::queue_spec_from_json(name, definition);
  if (!spec) return fail(spec.error());
  return {};
}

Result<void> check_schedule(const std::string& name, const Json& definition) {
  auto spec = schedule::schedule_spec_from_json(name, definition);
  if (!spec) return fail(spec.error());
  return {};
}

Result<void> check_endpoint(const std::string& name, const Json& definition) {
  auto spec = trigger::endpoint_from_json(name, definition);
  if (!spec) return fail(spec.error());
  return {};
}

Result<void> check_trigger(const std::string& name, const Json& definition) {
  auto spec = trigger::trigger_spec_from_json(name, definition);
  if (!spec) return fail(spec.error());
  for (const auto& [key, text] : {std::pair{"filter", &spec->filter}, std::pair{"session", &spec->session}, std::pair{"input", &spec->input},
                                  std::pair{"idempotency_key", &spec->idempotency_key}, std::pair{"correlation", &spec->correlation}}) {
    if (text->empty()) continue;
    if (auto fine = offline_expressions().check(*text); !fine) return fail("trigger.invalid", fmt::format("/{}: {}", key, fine.error().message));
  }
  return {};
}

std::string_view workflow_schema_text() {
  return R"({
    "description": "A state machine in the Amazon States Language.",
    "type": "object",
    "additionalProperties": false,
    "required": ["definition"],
    "properties": {
      "definition": {"description": "The definition itself, or its file (JSON) relative to mayfly.yaml.", "anyOf": [{"type": "string", "minLength": 1, "maxLength": 1024}, {"type": "object"}]},
      "description": {"description": "For people.", "type": "string", "maxLength": 1024},
      "type": {"description": "STANDARD (default) or EXPRESS.", "enum": ["STANDARD", "EXPRESS"]}
    }
  })";
}

Result<void> check_workflow(const std::string&, const Json& definition) {
  const Json* states = get(definition.as_object(), "definition");
  for (const workflow::Diagnostic& problem : workflow::validate(states ? *states : Json(nullptr), offline_expressions()))
    if (problem.severity == workflow::Diagnostic::Severity::Error)
      return fail("workflow.invalid", fmt::format("/definition{}: {}", problem.location, problem.message));
  return {};
}

Result<void> check_mcp(const std::string& section, const Json& definitions) { return mcp::check_section(section, definitions); }

constexpr std::string_view kPlainName = "^[a-z0-9][a-z0-9-]{0,62}$";

constexpr ResourceKind kKinds[] = {
    {"queues", "Durable queues, by name; that of a FIFO queue ends with .fifo.", "^[A-Za-z0-9_-]{1,75}([.]fifo)?$", queue::queue_schema_text,
     check_queue},
    {"workflows", "State machines, by name.", "^[A-Za-z0-9_-]{1,80}$", workflow_schema_text, check_workflow},
    {"endpoints", "Where signed webhooks are sent, by name.", kPlainName, trigger::endpoint_schema_text, check_endpoint},
    {"schedules", "What starts at fixed times, by name.", "^[0-9a-zA-Z_.-]{1,64}$", schedule::schedule_schema_text, check_schedule},
    {"triggers", "What starts agents, functions and state machines, by name.", kPlainName, trigger::trigger_schema_text, check_trigger},
    {"mcp", "What the MCP server offers beside agents and functions: tools, prompts, resources and templates.",
     "^(tools|prompts|resources|templates)$", mcp::section_schema_text, check_mcp},
};

/// A definition named by its file becomes the definition.
void inline_definition(ProjectReader& reader, const std::string& pointer, JsonObject& resource) {
  const Json* definition = get(resource, "definition");
  if (!definition || !definition->is_string()) return;
  const auto text = reader.file_text(std::string(definition->get_string()), pointer + "/definition");
  if (!text) return;
  auto parsed = parse_json(*text);
  if (!parsed)
    reader.problem(pointer + "/definition", fmt::format("names a file that is not JSON: {}", parsed.error().message));
  else
    resource["definition"] = std::move(*parsed);
}

void read_kind(ProjectReader& reader, const ResourceKind& kind, const JsonObject& definitions, JsonObject& out) {
  for (const auto& member : definitions) {
    const std::string name(member.key());
    const std::string pointer = fmt::format("/{}/{}", kind.key, escape_pointer_token(name));
    if (!member.value().is_object() || reader.broken(pointer)) continue;
    JsonObject resource = member.value().get_object();
    if (kind.key == "workflows") inline_definition(reader, pointer, resource);
    if (reader.broken(pointer)) continue;
    if (auto fine = kind.check(name, resource); !fine) {
      const std::string& message = fine.error().message;
      const bool has_pointer = message.starts_with('/') || message.starts_with(": ");
      const auto end = has_pointer ? message.find(": ") : std::string::npos;
      if (end == std::string::npos)
        reader.problem(pointer, message);
      else
        reader.problem(pointer + message.substr(0, end), message.substr(end + 2));
      continue;
    }
    out[name] = std::move(resource);
  }
}

std::string whole_schema() {
  Json schema = *parse_json(project_schema_base_text());
  JsonObject& root = schema.get_object();
  for (const ResourceKind& kind : kKinds) {
    JsonObject entry{{"description", kind.description}, {"type", "object"}, {"maxProperties", 1000}};
    entry["patternProperties"] = JsonObject{{kind.name_pattern, *parse_json(kind.schema())}};
    entry["additionalProperties"] = false;
    root["properties"].get_object()[kind.key] = std::move(entry);
  }
  return to_pretty_text(schema) + "\n";
}

}  // namespace

std::span<const ResourceKind> resource_kinds() { return kKinds; }

std::map<std::string, JsonObject> read_resources(ProjectReader& reader) {
  std::map<std::string, JsonObject> out;
  for (const ResourceKind& kind : kKinds) {
    const JsonObject* definitions = get_object(reader.root().as_object(), kind.key);
    if (definitions && !reader.broken(fmt::format("/{}", kind.key)))
      read_kind(reader, kind, *definitions, out[std::string(kind.key)]);
    else if (definitions)
      out[std::string(kind.key)];
  }
  return out;
}

std::string_view project_schema_text() {
  static const std::string text = whole_schema();
  return text;
}

}  // namespace mayfly::agent
