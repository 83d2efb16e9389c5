#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <set>

#include "agent/a2a_tool.h"
#include "agent/project_reader.h"
#include "tool/http_template.h"
#include "tool/url_template.h"

namespace mayfly::agent {
namespace {

/// A function has its own timeout; this is the longest that any may have.
constexpr Millis kFunctionTimeout{900'000};
constexpr Millis kA2aTimeout{15 * 60'000};
constexpr Millis kEventTimeout{std::int64_t{7} * 86'400'000};
constexpr std::int64_t kWaitMaxMs = std::int64_t{30} * 86'400'000;
constexpr std::array<std::string_view, 8> kInterpreters{"python3", "python", "node", "bash", "sh", "ruby", "perl", "deno"};

Json text_parameter(std::string_view description) { return JsonObject{{"type", "string"}, {"description", description}}; }

Json closed_object(JsonObject properties, JsonArray required) {
  return JsonObject{
      {"type", "object"}, {"properties", std::move(properties)}, {"required", std::move(required)}, {"additionalProperties", false}};
}

Json sleep_parameters(std::int64_t max_ms) {
  return closed_object({{"seconds", JsonObject{{"type", "number"},
                                               {"minimum", 0},
                                               {"maximum", static_cast<double>(max_ms) / 1000},
                                               {"description", "How long to wait, in seconds."}}}},
                       {"seconds"});
}

Json wait_until_parameters() {
  return closed_object({{"time", JsonObject{{"type", "string"},
                                            {"format", "date-time"},
                                            {"description", "When to go on, as RFC 3339 with offset: 2026-01-31T09:00:00+01:00."}}}},
                       {"time"});
}

Json memory_parameters() {
  const JsonArray actions{"get", "set", "delete", "list"};
  JsonObject action{{"type", "string"}, {"enum", actions}, {"description", "What to do."}};
  JsonObject key{{"type", "string"}, {"minLength", 1}, {"maxLength", 256}, {"description", "Name of the note; not for list."}};
  JsonObject value{{"type", "string"}, {"maxLength", 16384}, {"description", "The note; only for set."}};
  Json parameters = closed_object({{"action", std::move(action)}, {"key", std::move(key)}, {"value", std::move(value)}}, {"action"});
  const auto needs = [](JsonArray when, JsonArray required) {
    return JsonObject{{"if", JsonObject{{"properties", JsonObject{{"action", JsonObject{{"enum", std::move(when)}}}}}}},
                      {"then", JsonObject{{"required", std::move(required)}}}};
  };
  parameters.as_object()["allOf"] = JsonArray{needs({"get", "delete"}, {"key"}), needs({"set"}, {"key", "value"})};
  return parameters;
}

Json ask_parameters(const JsonObject& config) {
  JsonObject properties;
  JsonArray required;
  if (get_string(config, "question").empty()) {
    properties["question"] = text_parameter("What to ask, complete in itself: the person does not see the conversation.");
    required.emplace_back("question");
  } else {
    properties["details"] = text_parameter("What the person should know to answer, if anything.");
  }
  if (get_string(config, "kind") == "choose" && !config.contains("options")) {
    properties["options"] = JsonObject{{"type", "array"},
                                       {"minItems", 2},
                                       {"maxItems", 20},
                                       {"items", JsonObject{{"type", "string"}, {"minLength", 1}, {"maxLength", 200}}},
                                       {"description", "The answers to choose from."}};
    required.emplace_back("options");
  }
  return closed_object(std::move(properties), std::move(required));
}

/// Fills a tool of a built-in kind; what the user wrote wins.
void built_in(ToolSpec& tool, ToolSpec::Kind kind, Effect effect, std::string_view description, Json parameters, Json config) {
  tool.kind = kind;
  tool.effect = effect;
  if (tool.description.empty()) tool.description = description;
  tool.parameters = std::move(parameters);
  tool.config = std::move(config);
}

void make_sleep(ToolSpec& tool, Millis max) {
  built_in(tool, ToolSpec::Kind::Sleep, Effect::ReadOnly,
           "Waits for a number of seconds before you go on. Use it when something needs time to happen; waiting costs nothing.",
           sleep_parameters(max.count()), JsonObject{{"max_ms", static_cast<std::int64_t>(max.count())}});
}

void make_wait_until(ToolSpec& tool, Millis max) {
  built_in(tool, ToolSpec::Kind::WaitUntil, Effect::ReadOnly,
           "Waits until a point in time before you go on. Use it for appointments and deadlines; waiting costs nothing.",
           wait_until_parameters(), JsonObject{{"max_ms", static_cast<std::int64_t>(max.count())}});
}

void make_memory(ToolSpec& tool, std::string_view scope) {
  built_in(
      tool, ToolSpec::Kind::Memory, Effect::Idempotent,
      "Keeps short notes under names beyond this conversation: set, get, delete, or list the names. Use it for facts worth remembering.",
      memory_parameters(), JsonObject{{"scope", scope}});
}

void make_ask(ToolSpec& tool, JsonObject config) {
  const std::string kind = get_string(config, "kind");
  const std::string_view description = kind == "approve"  ? "Asks a person to approve or deny something, and waits for the answer."
                                       : kind == "choose" ? "Asks a person to choose one of several options, and waits for the answer."
                                                          : "Asks a person a question and waits for the answer in their own words.";
  Json parameters = ask_parameters(config);
  built_in(tool, ToolSpec::Kind::AskPerson, Effect::Idempotent, description, std::move(parameters), std::move(config));
}

class ToolReader {
 public:
  ToolReader(ProjectReader& reader, const JsonObject& source, std::string pointer, const std::vector<FunctionSpec>& functions)
      : reader_(reader), source_(source), pointer_(std::move(pointer)), functions_(functions) {}

  ToolSpec read() {
    tool_.name = get_string(source_, "name");
    tool_.description = get_string(source_, "description");
    tool_.timeout = reader_.duration(source_, pointer_, "timeout", tool_.timeout);
    tool_.retry = read_retry(reader_, source_, pointer_, tool_.retry);
    const std::string on_unknown = get_string(source_, "on_unknown");
    tool_.on_unknown = on_unknown == "fail" ? OnUnknown::Fail : on_unknown == "retry" ? OnUnknown::Retry : OnUnknown::Ask;
    read_kind();
    if (source_.contains("approval")) read_approval();
    return std::move(tool_);
  }

 private:
  std::string at(std::string_view key) const { return fmt::format("{}/{}", pointer_, key); }

  void read_kind() {
    static constexpr std::array<std::string_view, 9> kKinds{"http",   "command",  "ask",            "sleep", "wait_until",
                                                            "memory", "function", "wait_for_event", "a2a"};
    std::vector<std::string_view> given;
    for (const std::string_view kind : kKinds)
      if (source_.contains(kind)) given.push_back(kind);
    if (given.size() != 1) {
      reader_.problem(given.empty() ? pointer_ : at(given[1]),
                      fmt::format("needs exactly one of {}{}", fmt::join(kKinds, ", "),
                                  given.empty() ? "" : fmt::format("; it has {}", fmt::join(given, " and "))));
      return;
    }
    const std::string_view kind = given.front();
    if (kind == "function") {
      read_function_tool(get_string(source_, "function"));
      return;
    }
    const JsonObject& settings = source_.at(kind).as_object();
    if (kind == "http" || kind == "command") {
      read_outside(kind, settings);
      return;
    }
    if (kind == "a2a") {
      read_a2a(settings);
      return;
    }
    for (const std::string_view key : {"parameters", "effect", "on_unknown", "retry", "timeout"}) {
      if (source_.contains(key)) reader_.key_problem(at(key), fmt::format("has no meaning for the built-in kind {}; remove it", kind));
    }
    if (kind == "sleep") make_sleep(tool_, reader_.duration(settings, at("sleep"), "max", Millis{kWaitMaxMs}));
    if (kind == "wait_until") make_wait_until(tool_, reader_.duration(settings, at("wait_until"), "max", Millis{kWaitMaxMs}));
    if (kind == "memory") make_memory(tool_, get_string(settings, "scope", "session"));
    if (kind == "ask") read_ask(settings);
    if (kind == "wait_for_event") read_wait_for_event(settings);
  }

  /// What the tool does not say itself comes from the function's `tool`.
  void read_function_tool(const std::string& name) {
    tool_.kind = ToolSpec::Kind::Function;
    tool_.effect = Effect::AtLeastOnce;
    if (!source_.contains("timeout")) tool_.timeout = kFunctionTimeout;
    tool_.config = JsonObject{{"function", name}};
    Json otherwise = closed_object({}, {});
    const auto known =
        std::ranges::find(functions_, name.substr(0, name.find(':')), [](const FunctionSpec& each) { return each.config.name; });
    if (known != functions_.end()) {
      if (tool_.description.empty()) tool_.description = known->config.tool_description;
      if (!known->config.tool_parameters.is_null()) otherwise = known->config.tool_parameters;
    }
    if (tool_.description.empty()) {
      reader_.problem(pointer_, fmt::format("needs a description: it tells the model what the tool does{}",
                                            known == functions_.end() ? "" : "; or give the function one under `tool`"));
    }
    read_parameters(std::move(otherwise));
    if (const auto effect = effect_from_string(get_string(source_, "effect"))) tool_.effect = *effect;
  }

  void read_parameters(Json otherwise) {
    const Json* parameters = get(source_, "parameters");
    tool_.parameters = parameters != nullptr ? *parameters : std::move(otherwise);
    if (parameters != nullptr && reader_.schema_compiles(*parameters, at("parameters")) &&
        get_string(parameters->as_object(), "type") != "object") {
      reader_.problem(at("parameters"), "must be the schema of an object; add `type: object`");
    }
  }

  void read_outside(std::string_view kind, const JsonObject& settings) {
    if (tool_.description.empty()) reader_.problem(pointer_, "needs a description: it tells the model what the tool does");
    read_parameters(closed_object({}, {}));
    if (kind == "http") read_http(settings);
    if (kind == "command") read_command(settings);
    if (const auto effect = effect_from_string(get_string(source_, "effect"))) tool_.effect = *effect;
  }

  void check_placeholders(const std::set<std::string>& names, const std::string& pointer) {
    const JsonObject* properties = get_object(tool_.parameters.as_object(), "properties");
    for (const std::string& name : names) {
      if (properties != nullptr && properties->contains(name)) continue;
      reader_.problem(pointer,
                      fmt::format("uses {{{}}}, which is not among the tool's parameters; add it to `parameters.properties`", name));
    }
  }

  void read_http(const JsonObject& in) {
    tool_.kind = ToolSpec::Kind::Http;
    const std::string method = get_string(in, "method", "GET");
    const bool reads = method == "GET" || method == "HEAD";
    tool_.effect = reads ? Effect::ReadOnly : Effect::AtMostOnce;
    const std::string url = get_string(in, "url");
    if (const auto parsed = UrlTemplate::parse(url)) {
      check_placeholders(parsed->parameters(), at("http/url"));
    } else {
      reader_.problem(at("http/url"), fmt::format("is not usable: {}", parsed.error().message));
    }
    JsonObject headers, query;
    if (const JsonObject* given = get_object(in, "headers")) {
      for (const auto& member : *given) {
        const auto parsed = HeaderTemplate::parse(std::string(member.key()), member.value().as_string());
        if (!parsed)
          reader_.problem(at("http/headers/") + escape_pointer_token(member.key()),
                          fmt::format("is not usable: {}", parsed.error().message));
      }
      headers = *given;
    }
    if (const JsonObject* given = get_object(in, "query")) {
      for (const auto& member : *given) {
        const std::string place = at("http/query/") + escape_pointer_token(member.key());
        if (const auto parsed = TextTemplate::parse(member.value().as_string())) {
          check_placeholders(parsed->parameters(), place);
        } else {
          reader_.problem(place, fmt::format("is not usable: {}", parsed.error().message));
        }
      }
      query = *given;
    }
    const bool has_body = method == "POST" || method == "PUT" || method == "PATCH";
    const std::string body = get_string(in, "body", has_body ? "json" : "none");
    if (body == "json" && reads)
      reader_.problem(at("http/body"), fmt::format("must be none: a {} has no body; use POST, or put the arguments into `query`", method));
    const JsonArray* hosts = get_array(in, "allow_hosts");
    tool_.config = JsonObject{{"method", method},
                              {"url", url},
                              {"headers", std::move(headers)},
                              {"query", std::move(query)},
                              {"body", body},
                              {"allow_hosts", hosts != nullptr ? *hosts : JsonArray{}},
                              {"allow_private", get_bool(in, "allow_private")},
                              {"response_bytes_max", get_int(in, "response_bytes_max", 256 * 1024)}};
  }

  void read_a2a(const JsonObject& in) {
    if (tool_.description.empty()) reader_.problem(pointer_, "needs a description: it tells the model what the remote agent is for");
    if (source_.contains("parameters")) reader_.key_problem(at("parameters"), "has no meaning for the kind a2a: what a message holds is given; remove it");
    tool_.kind = ToolSpec::Kind::A2a;
    tool_.effect = effect_from_string(get_string(source_, "effect")).value_or(Effect::AtLeastOnce);
    tool_.parameters = a2a_parameters();
    if (!source_.contains("timeout")) tool_.timeout = kA2aTimeout;
    const std::string url = reader_.expanded(get_string(in, "url"), at("a2a/url"));
    if (!reader_.broken(at("a2a/url")) && url_origin(url).empty()) reader_.problem(at("a2a/url"), "must be an absolute http or https URL without user name");
    JsonObject headers;
    if (const JsonObject* given = get_object(in, "headers")) {
      for (const auto& member : *given)
        if (const auto parsed = HeaderTemplate::parse(std::string(member.key()), member.value().as_string()); !parsed)
          reader_.problem(at("a2a/headers/") + escape_pointer_token(member.key()), fmt::format("is not usable: {}", parsed.error().message));
      headers = *given;
    }
    tool_.config = JsonObject{{"url", url}, {"binding", get_string(in, "binding")}, {"headers", std::move(headers)}, {"allow_private", get_bool(in, "allow_private")}};
  }

  void read_command(const JsonObject& in) {
    tool_.kind = ToolSpec::Kind::Command;
    tool_.effect = Effect::AtMostOnce;
    const JsonArray& run = in.at("run").as_array();
    const auto word = [&run](std::size_t i) { return std::string(run[i].as_string()); };
    const std::string program = word(0);
    if (program.contains('/')) {
      if (!program.starts_with('/')) reader_.file(program, at("command/run/0"));
    } else if (std::ranges::find(kInterpreters, program) != kInterpreters.end()) {
      std::size_t script = 1;
      while (script < run.size() && word(script).starts_with('-')) ++script;
      // After an option such as -c or -m the next word need not be a file.
      if (script == 1 && run.size() > 1) reader_.file(word(1), at("command/run/1"));
    }
    const JsonArray* env = get_array(in, "env");
    tool_.config = JsonObject{
        {"run", run}, {"env", env != nullptr ? *env : JsonArray{}}, {"output_bytes_max", get_int(in, "output_bytes_max", 64 * 1024)}};
  }

  void read_ask(const JsonObject& in) {
    const std::string kind = get_string(in, "kind");
    JsonObject config{{"kind", kind},
                      {"question", get_string(in, "question")},
                      {"timeout_ms", static_cast<std::int64_t>(reader_.duration(in, at("ask"), "timeout", Millis{0}).count())}};
    const JsonArray* options = get_array(in, "options");
    if (options != nullptr && kind != "choose") reader_.key_problem(at("ask/options"), "is only for `kind: choose`; remove it");
    if (options != nullptr) config["options"] = *options;
    if (const Json* otherwise = get(in, "default")) {
      config["default"] = *otherwise;
      if (!in.contains("timeout")) reader_.problem(at("ask/default"), "counts when the time is up, but there is no `timeout`; add one");
      if (kind == "approve" && *otherwise != Json("approve") && *otherwise != Json("deny"))
        reader_.problem(at("ask/default"), "must be approve or deny");
      if (options != nullptr && std::ranges::find(*options, *otherwise) == options->end())
        reader_.problem(at("ask/default"), "must be one of the options");
    }
    make_ask(tool_, std::move(config));
  }

  void read_wait_for_event(const JsonObject& in) {
    const std::string type = get_string(in, "type");
    JsonObject config{{"type", type},
                      {"timeout_ms", static_cast<std::int64_t>(reader_.duration(in, at("wait_for_event"), "timeout", kEventTimeout).count())}};
    Json parameters = closed_object({}, {});
    if (const Json* key = get(in, "key")) {
      config["key"] = *key;
    } else {
      JsonObject key_parameter{{"type", "string"}, {"minLength", 1}, {"maxLength", 256}, {"description", "Which one: the event's key, such as an order's number."}};
      parameters = closed_object({{"key", std::move(key_parameter)}}, {"key"});
    }
    built_in(tool_, ToolSpec::Kind::WaitForEvent, Effect::ReadOnly,
             "Waits until the event " + type + " arrives, and answers with it. Waiting costs nothing.", std::move(parameters), std::move(config));
  }

  void read_approval() {
    const JsonObject& in = source_.at("approval").as_object();
    const Json& when = in.at("when");
    tool_.approval_timeout = reader_.duration(in, at("approval"), "timeout", Millis{0});
    tool_.approval_default = get_string(in, "default");
    if (in.contains("default") && !in.contains("timeout")) {
      reader_.problem(at("approval/default"), "counts when the time is up, but there is no `timeout`; add one");
    }
    if (when == Json(false)) return;
    if (reader_.schema_compiles(when, at("approval/when"))) tool_.approval_when = when;
  }

  ProjectReader& reader_;
  const JsonObject& source_;
  std::string pointer_;
  const std::vector<FunctionSpec>& functions_;
  ToolSpec tool_;
};

}  // namespace

ToolSpec read_tool(ProjectReader& reader, const Json& source, const std::string& pointer, const std::vector<FunctionSpec>& functions) {
  if (source.is_object()) return ToolReader(reader, source.get_object(), pointer, functions).read();
  ToolSpec tool;
  tool.name = std::string(source.as_string());
  if (tool.name == "sleep") make_sleep(tool, Millis{kWaitMaxMs});
  if (tool.name == "wait_until") make_wait_until(tool, Millis{kWaitMaxMs});
  if (tool.name == "memory") make_memory(tool, "session");
  if (tool.name == "ask_person") make_ask(tool, JsonObject{{"kind", "text"}, {"question", ""}, {"timeout_ms", 0}});
  return tool;
}

}  // namespace mayfly::agent
