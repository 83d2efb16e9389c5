#include "server/lambda/lambda_config.h"

#include "base/hash.h"
#include "function/async/destination.h"
#include "server/lambda/lambda_call.h"

namespace mayfly::lambda {
namespace {

JsonArray to_array(const std::vector<std::string>& texts) {
  JsonArray out;
  for (const std::string& text : texts) out.emplace_back(text);
  return out;
}

void refuse_unsupported(Fields& in) {
  in.refuse("VpcConfig", "a function's network is set by the tag mayfly:egress");
  in.refuse("Layers", "put the layer's files into the zip file");
  in.refuse("FileSystemConfigs", "there is no file system to attach");
  in.refuse("ImageConfig", "container images are not run; give a zip file");
  in.refuse("KMSKeyArn", "the environment is encrypted with the key of the data directory");
  in.refuse("CodeSigningConfigArn", "code signatures are not checked here");
  in.refuse("CapacityProviderConfig", "functions run on this server only");
  in.refuse("AcceleratorConfig", "there are no accelerators here");
  in.refuse("PublishTo", "publish a version instead");
}

void read_nested(Fields& in, function::FunctionConfig& config) {
  if (const auto* environment = in.object("Environment")) {
    Fields fields(*environment);
    config.environment = fields.map("Variables").value_or(std::map<std::string, std::string>());
    if (const auto done = fields.done(); !done) in.fail_with(done.error());
  }
  if (const auto* storage = in.object("EphemeralStorage")) {
    Fields fields(*storage);
    if (const auto size = fields.integer("Size")) config.tmp_mb = *size;
    if (const auto done = fields.done(); !done) in.fail_with(done.error());
  }
  if (const auto* dead_letter = in.object("DeadLetterConfig")) {
    Fields fields(*dead_letter);
    config.dead_letter_arn = fields.text("TargetArn").value_or("");
    if (!config.dead_letter_arn.empty())
      if (const auto ok = function::check_destination(config.dead_letter_arn); !ok) in.fail_with(ok.error());
    if (const auto done = fields.done(); !done) in.fail_with(done.error());
  }
  if (const auto* durable = in.object("DurableConfig")) {
    Fields fields(*durable);
    if (!config.durable) config.durable.emplace();
    if (const auto timeout = fields.integer("ExecutionTimeout")) config.durable->execution_timeout = std::chrono::seconds{*timeout};
    if (const auto days = fields.integer("RetentionPeriodInDays")) config.durable->retention_days = *days;
    fields.refuse("KMSKeyArn", "executions are stored as they are in the data directory");
    if (const auto done = fields.done(); !done) in.fail_with(done.error());
  }
}

/// Settings of which only some values are possible.
void read_choices(Fields& in, function::FunctionConfig& config) {
  const auto only = [&](std::string_view object, std::string_view member, std::string_view refused, std::string_view why) {
    const auto* found = in.object(object);
    if (found && get_string(*found, member) == refused)
      in.fail_with({"aws.InvalidParameterValueException",
                    std::string(object) + "." + std::string(member) + " " + std::string(refused) + " is not supported: " + std::string(why),
                    Retry::Never});
  };
  only("SnapStart", "ApplyOn", "PublishedVersions", "processes start from a warmed interpreter already");
  only("LoggingConfig", "LogFormat", "JSON", "what a function prints is kept as it is; use Text");
  if (const auto* tenancy = in.object("TenancyConfig"))
    config.tenant_isolation = get_string(*tenancy, "TenantIsolationMode") == "PER_TENANT";
  if (const auto type = in.text("PackageType"); type && *type != "Zip")
    in.fail_with(
        {"aws.InvalidParameterValueException", "PackageType " + type->substr(0, 20) + " is not supported: give a zip file", Retry::Never});
}

}  // namespace

std::string lambda_time(TimePoint time) {
  std::string out = to_rfc3339(time);
  if (out.ends_with('Z')) out.replace(out.size() - 1, 1, "+0000");
  return out;
}

EnvironmentValues environment_values_for(const Principal& principal) {
  return principal.scopes.intersects({Scope::Deploy, Scope::Admin}) ? EnvironmentValues::Shown : EnvironmentValues::Hidden;
}

JsonObject configuration_view(const function::ResolvedFunction& function, EnvironmentValues values) {
  const function::FunctionRevision& revision = *function.revision;
  const function::FunctionConfig& config = revision.config;
  const bool is_latest = function.version == function::kLatest;
  const std::string qualifier = function.qualifier.empty() && !is_latest ? function.version : function.qualifier;
  JsonObject out{{"FunctionName", config.name},
                 {"FunctionArn", function::function_arn(config.name, qualifier)},
                 {"Runtime", config.runtime},
                 {"Role", config.role},
                 {"Handler", config.handler},
                 {"CodeSize", revision.code_bytes},
                 {"Description", config.description},
                 {"Timeout", config.timeout.count()},
                 {"MemorySize", config.memory_mb},
                 {"LastModified", lambda_time(revision.modified)},
                 {"CodeSha256", revision.code_sha256},
                 {"Version", function.version},
                 {"TracingConfig", JsonObject{{"Mode", "PassThrough"}}},
                 {"RevisionId", revision.revision_id},
                 {"State", "Active"},
                 {"LastUpdateStatus", "Successful"},
                 {"PackageType", "Zip"},
                 {"Architectures", config.architectures.empty() ? JsonArray{"x86_64"} : to_array(config.architectures)},
                 {"EphemeralStorage", JsonObject{{"Size", config.tmp_mb}}},
                 {"SnapStart", JsonObject{{"ApplyOn", "None"}, {"OptimizationStatus", "Off"}}},
                 {"LoggingConfig", JsonObject{{"LogFormat", "Text"}, {"LogGroup", "/aws/lambda/" + config.name}}}};
  if (!config.environment.empty() && values == EnvironmentValues::Hidden) {
    out["Environment"] = JsonObject{
        {"Error", JsonObject{{"ErrorCode", "AccessDeniedException"}, {"Message", "values are shown to keys with the scope 'deploy' only"}}}};
  } else if (!config.environment.empty()) {
    JsonObject variables;
    for (const auto& [name, value] : config.environment) variables[name] = value;
    out["Environment"] = JsonObject{{"Variables", std::move(variables)}};
  }
  if (!config.dead_letter_arn.empty()) out["DeadLetterConfig"] = JsonObject{{"TargetArn", config.dead_letter_arn}};
  if (config.tenant_isolation) out["TenancyConfig"] = JsonObject{{"TenantIsolationMode", "PER_TENANT"}};
  if (config.durable)
    out["DurableConfig"] = JsonObject{{"ExecutionTimeout", config.durable->execution_timeout.count()},
                                      {"RetentionPeriodInDays", config.durable->retention_days}};
  return out;
}

JsonObject alias_view(const std::string& function, const function::Alias& alias) {
  JsonObject out{{"AliasArn", function::function_arn(function, alias.name)},
                 {"Name", alias.name},
                 {"FunctionVersion", alias.version},
                 {"Description", alias.description},
                 {"RevisionId", alias.revision_id}};
  if (!alias.additional_weights.empty()) {
    JsonObject weights;
    for (const auto& [version, weight] : alias.additional_weights) weights[version] = weight;
    out["RoutingConfig"] = JsonObject{{"AdditionalVersionWeights", std::move(weights)}};
  }
  return out;
}

Result<void> read_configuration(const JsonObject& body, function::FunctionConfig* config) {
  Fields in(body);
  if (const auto value = in.text("Runtime")) config->runtime = *value;
  if (const auto value = in.text("Role")) config->role = *value;
  if (const auto value = in.text("Handler")) config->handler = *value;
  if (const auto value = in.text("Description")) config->description = *value;
  if (const auto value = in.integer("Timeout")) config->timeout = std::chrono::seconds{*value};
  if (const auto value = in.integer("MemorySize")) config->memory_mb = *value;
  if (const auto value = in.texts("Architectures")) config->architectures = *value;
  read_nested(in, *config);
  read_choices(in, *config);
  refuse_unsupported(in);
  return in.done();
}

Result<function::CodePackage> read_code(const JsonObject& code) {
  Fields in(code);
  in.refuse("S3Bucket", "there is no object store to take code from; give the zip file itself as ZipFile");
  in.refuse("ImageUri", "container images are not run; give a zip file as ZipFile");
  in.refuse("SourceKMSKeyArn", "give the zip file unencrypted");
  const auto text = in.text("ZipFile");
  if (const auto done = in.done(); !done) return fail(done.error());
  if (!text || text->empty()) return invalid_parameter("Please provide a source for function code: the zip file as ZipFile.");
  auto zip = from_base64(*text);
  if (!zip) return aws_error("SerializationException", "'ZipFile' must be base64");
  return function::CodePackage{std::move(*zip)};
}

}  // namespace mayfly::lambda
