#include <fmt/format.h>

#include "agent/project_reader.h"
#include "function/function_rules.h"
#include "net/egress_rules.h"
#include "schema/json_schema.h"

namespace mayfly::agent {
namespace {

namespace fs = std::filesystem;
using std::chrono::seconds;

constexpr seconds kTimeoutMax{900};
constexpr seconds kExecutionMax{seconds{366} * 86'400};

/// Names without a version mean the newest one that Mayfly speaks for.
std::string full_runtime(const std::string& name) {
  return name == "python3" ? "python3.13" : name == "nodejs" ? "nodejs22.x" : name == "provided" ? "provided.al2023" : name;
}

/// "15m", "366d": as one would write it.
std::string plain(seconds duration) {
  const std::int64_t count = duration.count();
  if (count % 86'400 == 0) return fmt::format("{}d", count / 86'400);
  if (count % 3'600 == 0) return fmt::format("{}h", count / 3'600);
  return count % 60 == 0 ? fmt::format("{}m", count / 60) : fmt::format("{}s", count);
}

Result<void> check_rules(const FunctionSpec& spec) {
  auto fine = function::check_config(spec.config);
  return fine && spec.async ? function::check_async(*spec.async) : fine;
}

class FunctionReader {
 public:
  FunctionReader(ProjectReader& reader, const JsonObject& in, std::string pointer, FunctionOrigin origin)
      : reader_(reader), in_(in), pointer_(std::move(pointer)), origin_(origin) {}

  FunctionSpec read(const std::string& name) {
    function::FunctionConfig& config = spec_.config;
    config.name = name;
    config.description = get_string(in_, "description");
    config.runtime = full_runtime(get_string(in_, "runtime"));
    config.handler = get_string(in_, "handler");
    config.memory_mb = get_int(in_, "memory", 256);
    config.tmp_mb = get_int(in_, "tmp", 512);
    config.timeout = whole_seconds(in_, pointer_, "timeout", seconds{30}, seconds{1}, kTimeoutMax);
    config.architectures = {"x86_64"};
    read_environment();
    read_egress();
    if (const JsonArray* modules = get_array(in_, "preload")) config.preload = texts(*modules);
    if (const JsonObject* durable = get_object(in_, "durable")) read_durable(*durable);
    if (const JsonObject* concurrency = get_object(in_, "concurrency")) read_concurrency(*concurrency);
    if (const JsonObject* url = get_object(in_, "url"))
      spec_.url = FunctionUrlSpec{.needs_iam = get_string(*url, "auth", "iam") == "iam", .streams = get_bool(*url, "stream")};
    if (const JsonObject* async = get_object(in_, "async")) read_async(*async);
    if (const JsonObject* tool = get_object(in_, "tool")) read_tool_settings(*tool);
    if (origin_ == FunctionOrigin::Project) {
      read_code();
      check_rest();
    }
    return std::move(spec_);
  }

 private:
  std::string at(std::string_view key) const { return fmt::format("{}/{}", pointer_, key); }

  static std::vector<std::string> texts(const JsonArray& list) {
    std::vector<std::string> out;
    for (const Json& item : list)
      if (item.is_string()) out.emplace_back(item.get_string());
    return out;
  }

  seconds whole_seconds(const JsonObject& in, const std::string& pointer, std::string_view key, seconds otherwise, seconds least,
                        seconds most) {
    const Millis given = reader_.duration(in, pointer, key, otherwise);
    const auto rounded = std::chrono::ceil<seconds>(given);
    const std::string place = fmt::format("{}/{}", pointer, key);
    if (rounded != given) {
      reader_.problem(place, "must be whole seconds");
    } else if (rounded < least || rounded > most) {
      reader_.problem(place, fmt::format("must be from {} to {}", plain(least), plain(most)));
    } else {
      return rounded;
    }
    return otherwise;
  }

  void read_environment() {
    const JsonObject* variables = get_object(in_, "environment");
    if (variables == nullptr) return;
    for (const auto& member : *variables) {
      if (!member.value().is_string()) continue;
      const std::string text(member.value().get_string());
      const std::string place = at("environment/") + escape_pointer_token(member.key());
      const std::string value = origin_ == FunctionOrigin::Project ? reader_.expanded(text, place) : text;
      spec_.config.environment.emplace(member.key(), value);
    }
  }

  void read_egress() {
    const Json* egress = get(in_, "egress");
    if (egress == nullptr) return;
    function::Egress& out = spec_.config.egress;
    if (egress->is_string()) out.mode = *egress == Json("open") ? function::Egress::Mode::Open : function::Egress::Mode::None;
    if (!egress->is_object()) return;
    out.mode = function::Egress::Mode::Allow;
    if (const JsonArray* allow = get_array(egress->get_object(), "allow")) out.allow = texts(*allow);
    if (origin_ == FunctionOrigin::Project)
      for (std::string& pattern : out.allow) pattern = reader_.expanded(pattern, at("egress/allow"));
    if (reader_.broken(at("egress"))) return;
    if (const auto rules = net::EgressRules::parse(out.allow); !rules)
      reader_.problem(at("egress/allow"), "is not usable: " + rules.error().message);
  }

  void read_durable(const JsonObject& in) {
    constexpr seconds kDay{86'400};
    const seconds retention = whole_seconds(in, at("durable"), "retention", 14 * kDay, kDay, 90 * kDay);
    if (retention % kDay != seconds{0}) reader_.problem(at("durable/retention"), "must be whole days, like 14d");
    spec_.config.durable =
        function::DurableConfig{.execution_timeout = whole_seconds(in, at("durable"), "execution_timeout", kDay, seconds{1}, kExecutionMax),
                                .retention_days = retention / kDay};
  }

  void read_concurrency(const JsonObject& in) {
    if (in.contains("reserved")) spec_.reserved = get_int(in, "reserved");
    spec_.provisioned = get_int(in, "provisioned");
    spec_.config.per_process_max = get_int(in, "per_process", 1);
    if (spec_.reserved && spec_.provisioned > *spec_.reserved)
      reader_.problem(at("concurrency/provisioned"), fmt::format("must not be more than `reserved` ({})", *spec_.reserved));
    if (spec_.config.per_process_max > 1 && spec_.config.runtime != "http")
      reader_.problem(at("concurrency/per_process"), "is only for `runtime: http`; other runtimes take one invocation at a time");
  }

  void read_async(const JsonObject& in) {
    spec_.async =
        function::AsyncConfig{.retries_max = get_int(in, "retries", 2),
                              .age_max = whole_seconds(in, at("async"), "max_age", seconds{6 * 3600}, seconds{60}, seconds{6 * 3600}),
                              .on_success = get_string(in, "on_success"),
                              .on_failure = get_string(in, "on_failure")};
  }

  void read_tool_settings(const JsonObject& in) {
    spec_.config.tool_description = get_string(in, "description");
    const Json* parameters = get(in, "parameters");
    if (parameters == nullptr || !reader_.schema_compiles(*parameters, at("tool/parameters"))) return;
    if (get_string(parameters->as_object(), "type") != "object")
      reader_.problem(at("tool/parameters"), "must be the schema of an object; add `type: object`");
    spec_.config.tool_parameters = *parameters;
  }

  /// What is a matter of the function's own rules; only where the form is right.
  void check_rest() {
    if (reader_.broken(pointer_)) return;
    if (const auto fine = check_rules(spec_); !fine) reader_.problem(pointer_, "is not usable: " + fine.error().message);
  }

  void read_code() {
    const std::string relative = get_string(in_, "code");
    const auto folder = reader_.folder(relative, at("code"));
    if (!folder) return;
    spec_.code_folder = folder->string();
    auto found = guess_code(*folder, spec_.config.runtime, spec_.config.handler);
    if (!found) {
      const std::string_view blamed = in_.contains("handler") ? "handler" : "code";
      reader_.problem(at(blamed), fmt::format("does not fit: the folder `{}` {}", relative, found.error().message));
      return;
    }
    spec_.config.runtime = std::move(found->runtime);
    spec_.config.handler = std::move(found->handler);
  }

  ProjectReader& reader_;
  const JsonObject& in_;
  std::string pointer_;
  FunctionOrigin origin_;
  FunctionSpec spec_;
};

const JsonSchema& function_schema() {
  static const JsonSchema schema = [] {
    Json text = *parse_json(project_schema_text());
    JsonObject& definitions = text.as_object()["$defs"].as_object();
    JsonObject& function = definitions["function"].as_object();
    function.erase("required");
    function["properties"].as_object().erase("code");
    return *JsonSchema::compile(JsonObject{{"$defs", definitions}, {"$ref", "#/$defs/function"}});
  }();
  return schema;
}

Json egress_json(const function::Egress& egress) {
  using enum function::Egress::Mode;
  if (egress.mode == None) return "none";
  if (egress.mode == Open) return "open";
  JsonArray allow;
  for (const std::string& pattern : egress.allow) allow.emplace_back(pattern);
  return JsonObject{{"allow", std::move(allow)}};
}

Result<FunctionSpec> read_plain(const std::string& name, const Json& value) {
  if (const auto ref = function::parse_function_ref(name); !ref || ref->name != name || !ref->qualifier.empty())
    return fail("function.invalid_name", "a function's name has 1 to 64 letters, digits, '-' and '_'");
  const std::string pointer = "/" + escape_pointer_token(name);
  ProjectReader reader(YamlDocument{.value = JsonObject{{name, value}}, .positions = {}, .key_positions = {}}, "", "");
  if (!value.is_object()) reader.problem(pointer, "must be an object");
  for (const std::string& sentence : function_schema().validate(value)) report_violation(reader, pointer, sentence);
  FunctionSpec spec;
  if (!reader.failed()) spec = read_function(reader, name, value.get_object(), pointer, FunctionOrigin::Request);
  std::string all;
  for (const SpecProblem& problem : reader.take_problems()) all += (all.empty() ? "" : "; ") + problem.message;
  if (!all.empty()) return fail("function.invalid", "the function is not usable: " + all);
  return spec;
}

}  // namespace

FunctionSpec read_function(ProjectReader& reader, const std::string& name, const JsonObject& in, const std::string& pointer,
                           FunctionOrigin origin) {
  return FunctionReader(reader, in, pointer, origin).read(name);
}

Result<FunctionSpec> function_from_json(const std::string& name, const Json& value) {
  auto spec = read_plain(name, value);
  if (!spec) return spec;
  if (auto fine = check_rules(*spec); !fine) return fail(fine.error());
  return spec;
}

JsonObject to_json(const FunctionSpec& spec, Secrets secrets) {
  const function::FunctionConfig& config = spec.config;
  JsonObject out{{"runtime", config.runtime},        {"handler", config.handler}, {"memory", config.memory_mb},
                 {"timeout", plain(config.timeout)}, {"tmp", config.tmp_mb},      {"egress", egress_json(config.egress)}};
  if (!config.description.empty()) out["description"] = config.description;
  JsonObject environment;
  for (const auto& [name, value] : config.environment) environment[name] = secrets == Secrets::Shown ? value : "***";
  if (!environment.empty()) out["environment"] = std::move(environment);
  JsonArray preload;
  for (const std::string& module : config.preload) preload.emplace_back(module);
  if (!preload.empty()) out["preload"] = std::move(preload);
  if (config.durable)
    out["durable"] = JsonObject{{"execution_timeout", plain(config.durable->execution_timeout)},
                                {"retention", fmt::format("{}d", config.durable->retention_days)}};
  JsonObject concurrency;
  if (spec.reserved) concurrency["reserved"] = *spec.reserved;
  if (spec.provisioned > 0) concurrency["provisioned"] = spec.provisioned;
  if (config.per_process_max > 1) concurrency["per_process"] = config.per_process_max;
  if (!concurrency.empty()) out["concurrency"] = std::move(concurrency);
  if (spec.url) out["url"] = JsonObject{{"auth", spec.url->needs_iam ? "iam" : "none"}, {"stream", spec.url->streams}};
  if (spec.async) {
    JsonObject async{{"retries", spec.async->retries_max}, {"max_age", plain(spec.async->age_max)}};
    if (!spec.async->on_success.empty()) async["on_success"] = spec.async->on_success;
    if (!spec.async->on_failure.empty()) async["on_failure"] = spec.async->on_failure;
    out["async"] = std::move(async);
  }
  if (!config.tool_description.empty()) {
    JsonObject tool{{"description", config.tool_description}};
    if (!config.tool_parameters.is_null()) tool["parameters"] = config.tool_parameters;
    out["tool"] = std::move(tool);
  }
  return out;
}

Result<FunctionSpec> function_of_folder(const std::string& folder, const std::string& name, const JsonObject& settings) {
  auto spec = read_plain(name, settings);
  if (!spec) return spec;
  std::error_code code;
  const fs::path path = fs::weakly_canonical(folder, code);
  if (code || !fs::is_directory(path, code))
    return fail("function.no_code", fmt::format("`{}` is no folder; give the folder that holds the function's files", folder));
  auto found = guess_code(path, spec->config.runtime, spec->config.handler);
  if (!found) return fail(found.error().code, fmt::format("the folder `{}` {}", folder, found.error().message));
  spec->config.runtime = std::move(found->runtime);
  spec->config.handler = std::move(found->handler);
  spec->code_folder = path.string();
  if (auto fine = check_rules(*spec); !fine) return fail(fine.error());
  return spec;
}

}  // namespace mayfly::agent
