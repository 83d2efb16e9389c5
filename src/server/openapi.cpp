#include "server/openapi.h"

#include "base/assert.h"
#include "base/json.h"

namespace mayfly {
namespace {

JsonObject reference(std::string_view kind, std::string_view name) {
  return {{"$ref", "#/components/" + std::string(kind) + "/" + std::string(name)}};
}

JsonArray split(std::string_view words) {
  JsonArray out;
  while (!words.empty()) {
    const auto end = std::min(words.find(' '), words.size());
    out.emplace_back(words.substr(0, end));
    words.remove_prefix(std::min(end + 1, words.size()));
  }
  return out;
}

JsonArray parameters_of(const Endpoint& endpoint) {
  JsonArray out;
  for (auto open = endpoint.path.find('{'); open != std::string_view::npos; open = endpoint.path.find('{', open + 1))
    out.push_back(reference("parameters", "path_" + std::string(endpoint.path.substr(open + 1, endpoint.path.find('}', open) - open - 1))));
  for (const Json& name : split(endpoint.query)) out.push_back(reference("parameters", std::string_view(name.get_string())));
  return out;
}

JsonObject content_of(std::string_view result) {
  if (result == "(text)") return {{"text/plain", JsonObject{{"schema", JsonObject{{"type", "string"}}}}}};
  if (result == "(events)") return {{"text/event-stream", JsonObject{{"schema", reference("schemas", "EventStream")}}}};
  if (result == "(lines)") return {{"application/jsonl", JsonObject{{"schema", JsonObject{{"type", "string"}}}}}};
  return {{"application/json", JsonObject{{"schema", reference("schemas", result)}}}};
}

JsonObject responses_of(const Endpoint& endpoint) {
  JsonObject out;
  JsonObject success{{"description", endpoint.status == 202   ? "Under way"
                                     : endpoint.status == 204 ? "Done"
                                     : endpoint.status == 201 ? "Made"
                                                              : "The answer"}};
  if (!endpoint.result.empty()) success["content"] = content_of(endpoint.result);
  if (endpoint.status == 202) {
    JsonObject finished = success;
    finished["description"] = "Finished within the time to wait";
    if (endpoint.id == "invoke") finished["content"].get_object()["text/event-stream"] = content_of("(events)")["text/event-stream"];
    out["200"] = std::move(finished);
  }
  if (endpoint.method == "PUT" && endpoint.status == 201) {
    out["200"] = success;
    out["200"].get_object()["description"] = "Changed, or as it was";
  }
  out[std::to_string(endpoint.status)] = std::move(success);
  if (endpoint.result == "(events)") out["204"] = JsonObject{{"description", "The run has ended and the reader has everything"}};
  const bool names_a_thing = endpoint.path.contains('{') || endpoint.query.contains("of_run");
  const auto add = [&](const char* status, std::string_view name) { out[status] = reference("responses", name); };
  add("421", "Misdirected");
  if (endpoint.path.starts_with("/openai/") || endpoint.path.starts_with("/gateway/")) {
    // Their clients expect the statuses and bodies of the provider's own API.
    add("default", "ProviderError");
    return out;
  }
  if (!endpoint.query.empty() || !endpoint.body.empty()) add("400", "BadRequest");
  if (!endpoint.scopes.empty()) {
    add("401", "Unauthorized");
    add("403", "Forbidden");
  }
  if (names_a_thing) add("404", "NotFound");
  if (!endpoint.body.empty()) {
    add("409", "Conflict");
    add("413", "TooLarge");
    add("422", "Unprocessable");
    add("429", "TooMany");
  }
  add("503", "Unavailable");
  return out;
}

JsonObject operation_of(const Endpoint& endpoint) {
  JsonObject out{{"operationId", endpoint.id}, {"tags", JsonArray{Json(endpoint.tag)}}, {"summary", endpoint.summary}};
  std::string description(endpoint.description);
  std::string scopes;
  for (const std::string_view name : endpoint.scopes.names()) scopes += (scopes.empty() ? "`" : " or `") + std::string(name) + "`";
  if (!scopes.empty()) description += (description.empty() ? "" : "\n\n") + ("Needs a key with the scope " + scopes + " (or `admin`).");
  if (!description.empty()) out["description"] = std::move(description);
  if (endpoint.scopes.empty()) out["security"] = JsonArray();
  if (JsonArray parameters = parameters_of(endpoint); !parameters.empty()) out["parameters"] = std::move(parameters);
  if (!endpoint.body.empty())
    out["requestBody"] = JsonObject{{"required", endpoint.body == "Invocation" || endpoint.body == "ModelCall" ||
                                                     endpoint.body == "Deployment" || endpoint.body == "FunctionUpload"},
                                    {"content", content_of(endpoint.body)}};
  out["responses"] = responses_of(endpoint);
  return out;
}

JsonArray tags() {
  const auto tag = [](std::string_view name, std::string_view description) {
    return JsonObject{{"name", name}, {"description", description}};
  };
  return {tag("agents", "What is deployed"),
          tag("functions", "Code that runs on demand"),
          tag("runs", "What ran, runs and waits"),
          tag("questions", "What runs ask people"),
          tag("sessions", "Conversations"),
          tag("keys", "API keys and their scopes"),
          tag("openai", "Agents for clients of OpenAI's API: base URL `/openai/v1`, the model is the agent"),
          tag("gateway", "Models for code: base URLs `/gateway/openai/v1` and `/gateway/anthropic`, the model is `provider/model`"),
          tag("operations", "Health, metrics and documents")};
}

void add_paths(JsonObject& paths, std::span<const Endpoint> all) {
  for (const Endpoint& endpoint : all) {
    Json& item = paths[endpoint.path];
    if (!item.is_object()) item = JsonObject();
    std::string method(endpoint.method);
    for (char& c : method) c = static_cast<char>(c - 'A' + 'a');
    item.get_object()[method] = operation_of(endpoint);
  }
}

JsonObject make_document() {
  auto components = parse_json(openapi_components_text());
  MAYFLY_ASSERT(components, "the components of the OpenAPI document are JSON");
  JsonArray all_tags = tags();
  JsonObject paths;
  add_paths(paths, endpoints());
  for (const EndpointGroup& group : endpoint_groups()) {
    add_paths(paths, group.endpoints);
    all_tags.push_back(JsonObject{{"name", group.tag}, {"description", group.description}});
    const auto schemas = parse_json(group.schemas);
    MAYFLY_ASSERT(schemas, "the schemas of a group of endpoints are JSON");
    JsonObject& known = components->get_object()["schemas"].get_object();
    for (const auto& [name, schema] : schemas->get_object()) known[name] = schema;
  }
  JsonObject info{
      {"title", "Mayfly"},
      {"version", "1"},
      {"summary", "A self-hosted serverless platform for AI agents"},
      {"description",
       "Runs of agents are durable: an answered request survives any crash. Errors are RFC 9457 problem details with a stable `code`. "
       "Keys go into `Authorization: Bearer` or `x-api-key`."},
      {"license", JsonObject{{"name", "Apache-2.0"}, {"identifier", "Apache-2.0"}}}};
  return {{"openapi", "3.1.0"},
          {"info", std::move(info)},
          {"servers", JsonArray{JsonObject{{"url", "/"}, {"description", "This server"}}}},
          {"security", JsonArray{JsonObject{{"bearer", JsonArray()}}, JsonObject{{"apiKey", JsonArray()}}}},
          {"tags", std::move(all_tags)},
          {"paths", std::move(paths)},
          {"components", *components}};
}

}  // namespace

std::vector<EndpointGroup> endpoint_groups() {
  return {queue_endpoints(), schedule_endpoints(), trigger_endpoints(), workflow_endpoints(), workspace_endpoints()};
}

const std::string& openapi_text() {
  static const std::string text = to_text(make_document());
  return text;
}

}  // namespace mayfly
