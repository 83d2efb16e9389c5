#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <fstream>
#include <map>
#include <sstream>

#include "agent/project_reader.h"
#include "agent/project_resources.h"
#include "schema/json_schema.h"
#include "schema/suggest.h"
#include "tool/url_template.h"

namespace mayfly::agent {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kFileName = "mayfly.yaml";
constexpr std::uintmax_t kFileBytesMax = 1024 * 1024;

std::vector<SpecProblem> one_problem(std::string where, std::string message) {
  return {SpecProblem{.where = std::move(where), .pointer = "", .message = std::move(message)}};
}

const JsonSchema& project_schema() {
  static const JsonSchema schema = *JsonSchema::compile(*parse_json(project_schema_text()));
  return schema;
}

/// Keys whose value is a duration, for a better word than "must be a string".
bool is_duration_key(std::string_view key) {
  static constexpr std::array<std::string_view, 11> kKeys{"deadline", "timeout",        "wall_time", "first_delay",       "max_delay", "first_token",
                                                          "between_tokens", "max",       "execution_timeout", "retention", "max_age"};
  return std::ranges::find(kKeys, key) != kKeys.end();
}

}  // namespace

void report_violation(ProjectReader& reader, const std::string& base, std::string_view sentence) {
  const auto split = sentence.find(": ");
  const std::string pointer = base + (sentence.starts_with("/:") ? "" : std::string(sentence.substr(0, split)));
  std::string words(sentence.substr(split + 2));
  const auto slash = pointer.rfind('/');
  const std::string_view parent = std::string_view(pointer).substr(0, slash == std::string::npos ? 0 : slash);
  if (words.starts_with("is not a known key") && (parent == "/agents" || parent == "/providers")) {
    reader.key_problem(pointer, "is not a valid name; use lower-case letters, digits and dashes, at most 63");
    return;
  }
  if (words.starts_with("is not a known key") && parent == "/functions") {
    reader.key_problem(pointer, "is not a valid name; use letters, digits, dashes and underscores, at most 64");
    return;
  }
  if (words.starts_with("is not a known key") && parent.ends_with("/environment")) {
    reader.problem(pointer, "is not a valid name of a variable; use letters, digits and underscores");
    return;
  }
  if (words.starts_with("is not a known key")) {
    reader.key_problem(pointer, words);
    return;
  }
  if (words.starts_with("the key `"))
    words = "has no key " + words.substr(8, words.size() - 8 - std::string_view(" is missing").size()) + ", which it needs";
  if (words.starts_with("must be a string") && slash != std::string::npos && is_duration_key(std::string_view(pointer).substr(slash + 1))) {
    words = "must be a duration with its unit, like 30s, 15m or 2h";
  }
  reader.problem(pointer, words);
}

namespace {

class Loader {
 public:
  explicit Loader(ProjectReader& reader) : reader_(reader) {}

  Project load() {
    const JsonObject& root = reader_.root().as_object();
    project_.directory = reader_.directory().string();
    if (const JsonObject* providers = get_object(root, "providers")) {
      for (const auto& member : *providers) read_provider(std::string(member.key()), member.value());
    }
    if (const JsonObject* functions = get_object(root, "functions")) {
      for (const auto& member : *functions) read_function_at(std::string(member.key()), member.value());
    }
    project_.resources = read_resources(reader_);
    if (!root.contains("agents") && !root.contains("functions") && project_.resources.empty())
      reader_.problem("", "has no key `agents` (or `functions`), which it needs");
    if (const JsonObject* agents = get_object(root, "agents")) {
      for (const auto& member : *agents) {
        if (const JsonObject* agent = member.value().if_object()) project_.agents.push_back(read_agent(std::string(member.key()), *agent));
      }
    }
    return std::move(project_);
  }

 private:
  void read_function_at(const std::string& name, const Json& source) {
    const std::string pointer = "/functions/" + escape_pointer_token(name);
    FunctionSpec spec;
    spec.config.name = name;
    spec.config.tool_description = "-";  // a broken one is known, so that tools that name it are not reported too
    if (source.is_object() && !reader_.broken(pointer) && function::parse_function_ref(name))
      spec = read_function(reader_, name, source.get_object(), pointer, FunctionOrigin::Project);
    project_.functions.push_back(std::move(spec));
  }

  static bool is_built_in(std::string_view name) { return name == "anthropic" || name == "openai"; }

  static std::string default_key_env(std::string_view name) {
    return name == "anthropic" ? "ANTHROPIC_API_KEY" : name == "openai" ? "OPENAI_API_KEY" : "";
  }

  void add_provider(llm::ProviderConfig config, std::string key_env) {
    project_.providers.push_back(std::move(config));
    project_.provider_key_env.push_back(std::move(key_env));
  }

  void read_provider(const std::string& name, const Json& source) {
    const std::string pointer = "/providers/" + escape_pointer_token(name);
    llm::ProviderConfig config;
    config.name = name;
    if (reader_.broken(pointer)) {
      add_provider(std::move(config), "");  // so that models that name it are not reported too
      return;
    }
    const JsonObject& in = source.as_object();
    config.kind = get_string(in, "kind", is_built_in(name) ? name : "");
    if (config.kind.empty()) reader_.problem(pointer, "has no key `kind`, which it needs: anthropic, openai, openai-responses or scripted");
    read_address(config, in, pointer);
    config.concurrency_max = static_cast<int>(get_int(in, "concurrency", config.concurrency_max));
    config.requests_per_minute = get_double(in, "requests_per_minute");
    config.tokens_per_minute = get_double(in, "tokens_per_minute");
    // A key goes only where the user says, or to the API that it is made for.
    std::string key_env = get_string(in, "api_key_env", in.contains("base_url") ? "" : default_key_env(name));
    add_provider(std::move(config), std::move(key_env));
  }

  void read_address(llm::ProviderConfig& config, const JsonObject& in, const std::string& pointer) {
    if (config.kind == "scripted") {
      for (const std::string_view key : {"base_url", "api_key_env"}) {
        if (in.contains(key)) reader_.key_problem(fmt::format("{}/{}", pointer, key), "has no meaning for kind scripted; remove it");
      }
      const std::string script = get_string(in, "script");
      if (script.empty()) {
        reader_.problem(pointer, "has no key `script`, which kind scripted needs: the file with the answers");
      } else if (const auto path = reader_.file(script, pointer + "/script")) {
        config.script_path = path->string();
      }
      return;
    }
    if (in.contains("script")) reader_.key_problem(pointer + "/script", "is only for kind scripted; remove it");
    config.base_url = in.contains("base_url") ? reader_.expanded(get_string(in, "base_url"), pointer + "/base_url") : "";
    while (config.base_url.ends_with('/')) config.base_url.pop_back();
    if (in.contains("base_url") && !reader_.broken(pointer) && url_origin(config.base_url).empty()) {
      reader_.problem(pointer + "/base_url", "must be an absolute http or https URL without user name");
    }
  }

  bool has_provider(std::string_view name) const {
    return std::ranges::find(project_.providers, name, &llm::ProviderConfig::name) != project_.providers.end();
  }

  void read_model(AgentSpec& spec, const Json& source, const std::string& pointer) {
    const std::string model = reader_.expanded(std::string(source.as_string()), pointer);
    const auto slash = model.find('/');
    const std::string provider = model.substr(0, slash);
    if (slash == std::string::npos || provider.empty() || slash + 1 == model.size()) {
      reader_.problem(pointer, fmt::format("`{}` must be PROVIDER/MODEL, like anthropic/claude-sonnet-4-5", model));
      return;
    }
    if (!has_provider(provider)) {
      if (!is_built_in(provider)) {
        std::vector<std::string> known{"anthropic", "openai"};
        for (const auto& each : project_.providers)
          if (!is_built_in(each.name)) known.push_back(each.name);
        const std::string meant = closest_name(provider, known);
        reader_.problem(pointer, fmt::format("names the provider `{}`, which is not under `providers`; {}", provider,
                                             meant.empty() ? fmt::format("known are {}", fmt::join(known, ", "))
                                                           : fmt::format("did you mean `{}`?", meant)));
        return;
      }
      llm::ProviderConfig config;
      config.name = config.kind = provider;
      add_provider(std::move(config), default_key_env(provider));
    }
    if (std::ranges::find(spec.models, model) != spec.models.end())
      reader_.problem(pointer, fmt::format("names `{}` a second time; remove it", model));
    spec.models.push_back(model);
  }

  AgentSpec read_agent(const std::string& name, const JsonObject& in) {
    const std::string pointer = "/agents/" + escape_pointer_token(name);
    AgentSpec spec;
    spec.name = name;
    spec.base_dir = project_.directory;
    spec.description = get_string(in, "description");
    if (const Json* model = get(in, "model"); model != nullptr && !reader_.broken(pointer + "/model"))
      read_models(spec, *model, pointer + "/model");
    read_instructions(spec, in, pointer);
    spec.output_tokens_max = get_int(in, "max_output_tokens", spec.output_tokens_max);
    if (in.contains("temperature")) spec.temperature = get_double(in, "temperature");
    spec.reasoning = reasoning(get_string(in, "reasoning"));
    if (const JsonObject* timeouts = get_object(in, "timeouts")) {
      spec.first_token_timeout = reader_.duration(*timeouts, pointer + "/timeouts", "first_token", spec.first_token_timeout);
      spec.between_tokens_timeout = reader_.duration(*timeouts, pointer + "/timeouts", "between_tokens", spec.between_tokens_timeout);
    }
    spec.model_retry = read_retry(reader_, in, pointer, spec.model_retry);
    if (const Json* session = get(in, "session"); session != nullptr && !reader_.broken(pointer + "/session"))
      spec.session = read_session(*session);
    if (const JsonObject* limits = get_object(in, "limits")) read_limits(spec.limits, *limits, pointer + "/limits");
    if (const JsonObject* context = get_object(in, "context")) {
      spec.context = {.tokens_max = get_int(*context, "max_tokens", spec.context.tokens_max),
                      .keep_messages = get_int(*context, "keep_messages", spec.context.keep_messages)};
    }
    if (const JsonObject* output = get_object(in, "output"); output != nullptr && !reader_.broken(pointer + "/output"))
      read_output(spec, *output, pointer + "/output");
    if (const JsonArray* tools = get_array(in, "tools")) read_tools(spec, *tools, pointer + "/tools");
    read_mcp(spec, in, pointer);
    read_delegation(reader_, spec, in, pointer);
    return spec;
  }

  void read_models(AgentSpec& spec, const Json& source, const std::string& pointer) {
    if (source.is_string()) {
      read_model(spec, source, pointer);
      return;
    }
    const JsonArray& list = source.as_array();
    for (std::size_t i = 0; i < list.size(); ++i) read_model(spec, list[i], fmt::format("{}/{}", pointer, i));
  }

  void read_instructions(AgentSpec& spec, const JsonObject& in, const std::string& pointer) {
    const bool has_text = in.contains("instructions"), has_file = in.contains("instructions_file");
    if (has_text && has_file) {
      reader_.key_problem(pointer + "/instructions_file", "stands beside `instructions`; keep one of them");
    } else if (!has_text && !has_file) {
      reader_.problem(pointer, "has no key `instructions` (or `instructions_file`), which it needs");
    }
    spec.instructions = get_string(in, "instructions");
    if (!has_file || reader_.broken(pointer + "/instructions_file")) return;
    if (auto text = reader_.file_text(get_string(in, "instructions_file"), pointer + "/instructions_file"))
      spec.instructions = *std::move(text);
  }

  static llm::ReasoningEffort reasoning(std::string_view word) {
    using enum llm::ReasoningEffort;
    return word == "none" ? None : word == "low" ? Low : word == "medium" ? Medium : word == "high" ? High : Default;
  }

  static SessionPolicy read_session(const Json& source) {
    SessionPolicy out;
    if (const auto* word = source.if_string()) {
      out.keyed = *word == "keyed";
      return out;
    }
    const JsonObject& in = source.as_object();
    // Queueing settings only make sense for sessions that several messages share.
    out.keyed = get_bool(in, "keyed", true);
    const std::string when_busy = get_string(in, "when_busy");
    out.when_busy = when_busy == "reject" ? WhenBusy::Reject : when_busy == "steer" ? WhenBusy::Steer : WhenBusy::Queue;
    out.queue_max = get_int(in, "queue_max", out.queue_max);
    return out;
  }

  void read_limits(Limits& out, const JsonObject& in, const std::string& pointer) {
    out.steps = get_int(in, "steps", out.steps);
    out.wall_time = reader_.duration(in, pointer, "wall_time", out.wall_time);
    out.input_tokens = get_int(in, "input_tokens");
    out.output_tokens = get_int(in, "output_tokens");
    out.parallel_tool_calls = get_int(in, "parallel_tool_calls", out.parallel_tool_calls);
    out.on_breach = get_string(in, "on_breach") == "stop" ? Limits::OnBreach::Stop : Limits::OnBreach::Ask;
    out.depth = get_int(in, "depth", out.depth);
    out.usd = read_usd(reader_, in, pointer);
  }

  void read_output(AgentSpec& spec, const JsonObject& in, const std::string& pointer) {
    spec.output_retries = get_int(in, "retries", spec.output_retries);
    const Json* schema = get(in, "schema");
    const Json* file = get(in, "schema_file");
    if ((schema == nullptr) == (file == nullptr)) {
      reader_.problem(pointer, "needs exactly one of schema and schema_file");
      return;
    }
    if (schema != nullptr) {
      if (reader_.schema_compiles(*schema, pointer + "/schema")) spec.output_schema = *schema;
      return;
    }
    const std::string place = pointer + "/schema_file";
    const auto text = reader_.file_text(std::string(file->as_string()), place);
    if (!text) return;
    const auto parsed = parse_json(*text);
    if (!parsed) {
      reader_.problem(place, fmt::format("names a file that is not JSON: {}", parsed.error().message));
    } else if (!parsed->is_object()) {
      reader_.problem(place, "names a file that is not a JSON object");
    } else if (reader_.schema_compiles(*parsed, place)) {
      spec.output_schema = *parsed;
    }
  }

  /// What deploying makes tools of: the workspace and the MCP servers that the agent uses.
  void read_mcp(AgentSpec& spec, const JsonObject& in, const std::string& pointer) {
    JsonObject out;
    if (const Json* workspace = get(in, "workspace"); workspace && !reader_.broken(pointer + "/workspace"))
      out["workspace"] = workspace->is_string() ? Json(JsonObject{{"name", *workspace}}) : *workspace;
    if (const JsonObject* servers = get_object(in, "mcp"); servers && !reader_.broken(pointer + "/mcp")) {
      JsonObject expanded;
      for (const auto& [name, server] : *servers) {
        JsonObject one = server.as_object();
        const std::string at = pointer + "/mcp/" + std::string(name);
        one["url"] = reader_.expanded(get_string(one, "url"), at + "/url");
        if (const std::string url = get_string(one, "url"); !url.starts_with("https://") && !url.starts_with("http://"))
          reader_.problem(at + "/url", "must be an absolute http or https URL");
        expanded[name] = std::move(one);
      }
      out["servers"] = std::move(expanded);
    }
    if (!out.empty()) spec.mcp = std::move(out);
  }

  void read_tools(AgentSpec& spec, const JsonArray& tools, const std::string& pointer) {
    for (std::size_t i = 0; i < tools.size(); ++i) {
      const std::string place = fmt::format("{}/{}", pointer, i);
      if (reader_.broken(place)) continue;
      ToolSpec tool = read_tool(reader_, tools[i], place, project_.functions);
      if (spec.find_tool(tool.name) != nullptr) {
        reader_.problem(tools[i].is_object() ? place + "/name" : place,
                        fmt::format("`{}` is the name of an earlier tool; choose another", tool.name));
      }
      spec.tools.push_back(std::move(tool));
    }
  }

  ProjectReader& reader_;
  Project project_;
};

std::expected<std::string, std::vector<SpecProblem>> read_file(const fs::path& path) {
  std::error_code code;
  const std::string name = path.filename().string();
  if (!fs::is_regular_file(path, code)) {
    return std::unexpected(
        one_problem(name, fmt::format("`{}` does not exist; run `mayfly init` to write one, or give another path", path.string())));
  }
  if (fs::file_size(path, code) > kFileBytesMax || code)
    return std::unexpected(one_problem(name, "the file is larger than 1 MiB; split it"));
  std::ifstream in(path, std::ios::binary);
  std::ostringstream text;
  if (in.peek() != std::ifstream::traits_type::eof()) text << in.rdbuf();
  if (!in) return std::unexpected(one_problem(name, fmt::format("`{}` cannot be read; check its permissions", path.string())));
  return std::move(text).str();
}

/// "FILE:LINE:COLUMN: what" of the YAML reader.
std::vector<SpecProblem> yaml_problem(const std::string& message, const std::string& file_name) {
  const auto end = message.find(": ", file_name.size());
  if (end == std::string::npos) return one_problem(file_name, message);
  return one_problem(message.substr(0, end), message.substr(end + 2));
}

}  // namespace

std::expected<Project, std::vector<SpecProblem>> load_project(const std::string& path) {
  std::error_code code;
  fs::path file = fs::weakly_canonical(path.empty() ? "." : path, code);
  if (code) return std::unexpected(one_problem(path, "the path cannot be read; check it"));
  if (fs::is_directory(file, code)) file /= kFileName;
  auto text = read_file(file);
  if (!text) return std::unexpected(std::move(text.error()));
  const std::string file_name = file.filename().string();
  auto document = parse_yaml(*text, file_name);
  if (!document) return std::unexpected(yaml_problem(document.error().message, file_name));
  ProjectReader reader(*std::move(document), file_name, file.parent_path());
  for (const std::string& sentence : project_schema().validate(reader.root())) report_violation(reader, "", sentence);
  if (!reader.root().is_object()) return std::unexpected(reader.take_problems());
  Project project = Loader(reader).load();
  if (reader.failed()) return std::unexpected(reader.take_problems());
  return project;
}

}  // namespace mayfly::agent
