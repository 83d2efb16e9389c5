#include "server/api_functions.h"

#include <charconv>

#include "base/hash.h"
#include "function/supervisor.h"
#include "sandbox/sandbox.h"
#include "server/api.h"
#include "server/body_reader.h"
#include "server/problem.h"

namespace mayfly {
namespace {

constexpr std::size_t kFunctionsPerDeployMax = 100;
constexpr std::size_t kUploadBytesMax = 80ull << 20;  // 50 MiB as base64, and some
constexpr std::size_t kLogLinesDefault = 100, kLogLinesMax = 10'000;
constexpr std::string_view kTaken = "instances";  // a path of this API

std::unexpected<Error> invalid(std::string message) { return fail("request.invalid", std::move(message)); }

/// Takes `zip` out of the definition.
Result<std::optional<function::CodePackage>> take_code(JsonObject& definition) {
  const Json* zip = get(definition, "zip");
  if (!zip) return std::nullopt;
  auto bytes = zip->is_string() ? from_base64(zip->get_string()) : std::nullopt;
  if (!bytes || bytes->empty()) return invalid("\"zip\" must be a zip archive in base64");
  definition.erase("zip");
  return function::CodePackage{.zip = *std::move(bytes)};
}

Result<void> functions_are_on(const AppContext& app) {
  if (app.functions && app.function_service && app.supervisor) return {};
  return fail("function.unavailable", "this server runs no functions; enable them in its configuration and start it again");
}

/// NAME or NAME:QUALIFIER of the path, with ?qualifier=.
Result<function::FunctionRef> read_ref(const Call& call) {
  auto ref = function::parse_function_ref(call.parameter("function"));
  if (!ref) return ref;
  if (const auto qualifier = call.request.query_parameter("qualifier")) {
    if (!ref->qualifier.empty() && ref->qualifier != *qualifier)
      return invalid("the path and ?qualifier= name different qualifiers; give one");
    return function::parse_function_ref(ref->name + ":" + *qualifier);
  }
  return ref;
}

Result<bool> read_switch(const net::Request& request, std::string_view name) {
  const auto text = request.query_parameter(name);
  if (!text || *text == "0" || *text == "false") return false;
  if (*text == "1" || *text == "true") return true;
  return invalid("?" + std::string(name) + "= must be 1 or 0");
}

Result<std::size_t> read_lines(const net::Request& request) {
  const auto text = request.query_parameter("lines");
  if (!text) return kLogLinesDefault;
  std::size_t lines = 0;
  const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), lines);
  if (error != std::errc() || end != text->data() + text->size() || lines < 1 || lines > kLogLinesMax)
    return invalid("?lines= must be a whole number of 1 to " + std::to_string(kLogLinesMax));
  return lines;
}

JsonObject instance_view(const function::InstanceInfo& instance) {
  return {{"id", instance.id},
          {"function", instance.function},
          {"revision", instance.revision},
          {"state", instance.state},
          {"pid", instance.pid},
          {"memory_bytes", instance.memory_bytes},
          {"started", to_rfc3339(instance.started)},
          {"invocations", instance.invocations}};
}

Task<Result<net::Response>> list_functions(AppContext& app, Call&) {
  if (auto on = functions_are_on(app); !on) co_return fail(on.error());
  JsonArray out;
  for (const function::FunctionRecord* record : app.functions->list())
    if (const auto latest = app.functions->revision(record->name, record->latest)) out.push_back(function_view(*record, *latest));
  co_return json_response(200, JsonObject{{"functions", std::move(out)}});
}

Task<Result<net::Response>> get_function(AppContext& app, Call& call) {
  if (auto on = functions_are_on(app); !on) co_return fail(on.error());
  const auto ref = read_ref(call);
  if (!ref) co_return fail(ref.error());
  const auto found = app.functions->resolve(*ref);
  if (!found) co_return fail(found.error());
  const function::FunctionRecord& record = *app.functions->record(ref->name);
  JsonObject out = function_view(record, *found->revision);
  out["version"] = found->version;
  out["spec"] = agent::to_json(spec_of(record, *found->revision), agent::Secrets::Hidden);
  JsonArray versions;
  for (const auto& [number, revision] : record.versions) versions.emplace_back(number);
  JsonObject aliases;
  for (const auto& [name, alias] : record.aliases) aliases[name] = alias.version;
  JsonArray instances;
  for (const function::InstanceInfo& instance : app.supervisor->instances())
    if (instance.function == ref->name) instances.push_back(instance_view(instance));
  out["versions"] = std::move(versions);
  out["aliases"] = std::move(aliases);
  out["instances"] = std::move(instances);
  co_return json_response(200, std::move(out));
}

Task<Result<net::Response>> put_function(AppContext& app, Call& call) {
  if (auto on = functions_are_on(app); !on) co_return fail(on.error());
  const std::string& name = call.parameter("function");
  if (name == kTaken) co_return fail("function.invalid_name", "a function cannot be called 'instances': the API has a path of that name");
  auto body = parse_json(call.request.body, {.bytes_max = kUploadBytesMax});
  if (!body) co_return fail(body.error());
  if (!body->is_object()) co_return invalid("the body must be a JSON object: the function as in mayfly.yaml, with \"zip\" for its code");
  auto code = take_code(body->get_object());
  if (!code) co_return fail(code.error());
  auto spec = agent::function_from_json(name, *body);
  if (!spec) co_return fail(spec.error());
  const bool is_new = !app.functions->record(name);
  if (is_new && !*code) co_return invalid("the function '" + name + "' is new: send its code as \"zip\", a zip archive in base64");
  auto deployed = co_await deploy_function(&app, *std::move(spec), *std::move(code));
  if (!deployed) co_return fail(deployed.error());
  co_return json_response(is_new ? 201 : 200, function_view(*app.functions->record(name), *deployed->revision));
}

Task<Result<net::Response>> remove_function(AppContext& app, Call& call) {
  if (auto on = functions_are_on(app); !on) co_return fail(on.error());
  auto removed = co_await app.functions->remove(call.parameter("function"), std::string());
  if (!removed) co_return fail(removed.error());
  co_return net::Response{204, {}, {}};
}

Task<Result<net::Response>> invoke_function(AppContext& app, Call& call) {
  if (auto on = functions_are_on(app); !on) co_return fail(on.error());
  const auto ref = read_ref(call);
  if (!ref) co_return fail(ref.error());
  const auto later = read_switch(call.request, "async");
  if (!later) co_return fail(later.error());
  const auto want_log = read_switch(call.request, "log");
  if (!want_log) co_return fail(want_log.error());
  if (!call.request.body.empty())
    if (const auto event = parse_json(call.request.body); !event) co_return fail(event.error());
  function::Invoke invoke;
  invoke.function = *ref;
  invoke.payload = call.request.body.empty() ? "{}" : std::move(call.request.body);
  invoke.execution_name = call.request.headers.get("idempotency-key");
  if (invoke.execution_name.size() > 1 && invoke.execution_name.starts_with('"') && invoke.execution_name.ends_with('"'))
    invoke.execution_name = invoke.execution_name.substr(1, invoke.execution_name.size() - 2);
  invoke.want_log_tail = *want_log;
  if (!*later) invoke.cancel = call.request.disconnected;
  auto invoked =
      *later ? co_await app.function_service->invoke_async(std::move(invoke)) : co_await app.function_service->invoke(std::move(invoke));
  if (!invoked) co_return fail(invoked.error());
  if (!*later) co_return json_response(200, invocation_view(*invoked));
  JsonObject out{{"status", "ACCEPTED"}, {"request_id", invoked->result.request_id}};
  if (!invoked->durable_execution_arn.empty()) out["execution"] = invoked->durable_execution_arn;
  co_return json_response(202, std::move(out));
}

Task<Result<net::Response>> get_log(AppContext& app, Call& call) {
  if (auto on = functions_are_on(app); !on) co_return fail(on.error());
  const auto ref = read_ref(call);
  if (!ref) co_return fail(ref.error());
  if (!app.functions->record(ref->name))
    if (auto missing = app.functions->resolve(*ref); !missing) co_return fail(missing.error());
  const auto lines = read_lines(call.request);
  if (!lines) co_return fail(lines.error());
  JsonArray out;
  for (const std::string& line : co_await app.supervisor->log(ref->name, *lines)) out.emplace_back(to_utf8_lossy(line));
  co_return json_response(200, JsonObject{{"function", ref->name}, {"lines", std::move(out)}});
}

Task<Result<net::Response>> list_instances(AppContext& app, Call&) {
  if (auto on = functions_are_on(app); !on) co_return fail(on.error());
  JsonArray out;
  for (const function::InstanceInfo& instance : app.supervisor->instances()) out.push_back(instance_view(instance));
  co_return json_response(200, JsonObject{{"instances", std::move(out)}});
}

Task<Result<net::Response>> get_sandbox(AppContext& app, Call&) {
  JsonArray layers;
  bool any = false;
  for (const sandbox::LayerState& state : app.sandbox ? app.sandbox->layers() : std::vector<sandbox::LayerState>()) {
    any |= state.active;
    layers.push_back(JsonObject{{"layer", sandbox::to_string(state.layer)}, {"active", state.active}, {"detail", state.detail}});
  }
  co_return json_response(200, JsonObject{{"available", any}, {"layers", std::move(layers)}});
}

}  // namespace

Result<std::vector<FunctionUpload>> functions_from_json(const Json& value, Code code) {
  if (!value.is_object()) return invalid("\"functions\" must be an object of functions by name, as in mayfly.yaml");
  if (value.get_object().size() > kFunctionsPerDeployMax) return invalid("at most 100 functions can be deployed at once");
  std::vector<FunctionUpload> out;
  for (const auto& member : value.get_object()) {
    const std::string name(member.key());
    const auto named = [&](const Error& error) { return fail({error.code, "function '" + name + "': " + error.message, error.retry}); };
    if (!member.value().is_object()) return invalid("function '" + name + "' must be an object");
    JsonObject definition = member.value().get_object();
    auto package = take_code(definition);
    if (!package) return named(package.error());
    if (!*package && code == Code::Required) return invalid("function '" + name + "' has no \"zip\": its code as a zip archive in base64");
    auto spec = agent::function_from_json(name, definition);
    if (!spec) return named(spec.error());
    out.push_back({*std::move(spec), std::move(*package).value_or(function::CodePackage())});
  }
  return out;
}

JsonObject function_view(const function::FunctionRecord& record, const function::FunctionRevision& revision) {
  const function::FunctionConfig& config = revision.config;
  JsonObject out{{"name", record.name},
                 {"arn", function::function_arn(record.name)},
                 {"description", config.description},
                 {"runtime", config.runtime},
                 {"handler", config.handler},
                 {"memory_mb", config.memory_mb},
                 {"timeout_s", static_cast<std::int64_t>(config.timeout.count())},
                 {"durable", config.durable.has_value()},
                 {"revision", revision.number},
                 {"code_sha256", revision.code_sha256},
                 {"code_bytes", revision.code_bytes},
                 {"modified", to_rfc3339(revision.modified)}};
  const auto url = record.urls.find("");
  out["url"] = url == record.urls.end() ? Json(nullptr) : Json("/lambda-url/" + url->second.id + "/");
  return out;
}

JsonObject invocation_view(const function::Invoked& invoked) {
  const function::InvocationResult& result = invoked.result;
  const bool failed = !result.function_error.empty();
  auto payload = parse_json(result.payload.empty() ? "null" : result.payload);
  // A function may answer with what is no JSON: shown as a text.
  Json value = payload ? *std::move(payload) : Json(to_utf8_lossy(result.payload));
  JsonObject out{{"status", failed ? "FAILED" : "SUCCEEDED"},
                 {"result", failed ? Json(nullptr) : value},
                 {"error", failed ? std::move(value) : Json(nullptr)},
                 {"version", invoked.executed_version},
                 {"request_id", result.request_id},
                 {"cold", result.cold},
                 {"duration_ms", static_cast<std::int64_t>(result.duration.count())},
                 {"billed_ms", static_cast<std::int64_t>(result.billed.count())},
                 {"init_ms", static_cast<std::int64_t>(result.init.count())},
                 {"memory_peak_bytes", result.memory_peak_bytes}};
  if (failed) out["error_type"] = result.error_type;
  if (!result.log_tail.empty()) out["log"] = to_utf8_lossy(result.log_tail);
  if (!invoked.durable_execution_arn.empty()) out["execution"] = invoked.durable_execution_arn;
  return out;
}

void add_function_routes(Router& router) {
  router.add("GET", "/v1/functions", {{Scope::Read, Scope::Invoke}}, list_functions);
  router.add("GET", "/v1/functions/instances", {{Scope::Read}}, list_instances);
  router.add("GET", "/v1/functions/{function}", {{Scope::Read}}, get_function);
  router.add("PUT", "/v1/functions/{function}", {{Scope::Deploy}}, put_function);
  router.add("DELETE", "/v1/functions/{function}", {{Scope::Deploy}}, remove_function);
  router.add("POST", "/v1/functions/{function}/invoke", {{Scope::Invoke}}, invoke_function);
  router.add("GET", "/v1/functions/{function}/logs", {{Scope::Read}}, get_log);
  router.add("GET", "/v1/sandbox", {{Scope::Read}}, get_sandbox);
}

}  // namespace mayfly
