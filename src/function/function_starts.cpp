#include "function/function_starts.h"

#include <algorithm>

namespace mayfly::function {
namespace {

void put(JsonObject& out, std::string_view key, const std::string& text) {
  if (!text.empty()) out[key] = text;
}

JsonObject base_input(std::string_view kind, const ResolvedFunction& function, RunInput& input) {
  JsonObject out{{"kind", kind}, {"version", function.version}, {"payload", std::move(input.payload)}};
  put(out, "tenant", input.tenant_id);
  return out;
}

engine::StartRequest base_start(const ResolvedFunction& function, const RunInput& input) {
  engine::StartRequest out;
  out.program = program_name(function.revision->config.name);
  out.version = function.revision->number;
  out.traceparent = traceparent_of(input.trace_header);
  return out;
}

bool is_hex(std::string_view text) {
  return std::ranges::all_of(text, [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

/// The value of `name` in "Root=…;Parent=…;Sampled=1".
std::string_view field(std::string_view header, std::string_view name) {
  while (!header.empty()) {
    const auto end = header.find(';');
    std::string_view part = header.substr(0, end);
    header.remove_prefix(end == std::string_view::npos ? header.size() : end + 1);
    while (part.starts_with(' ')) part.remove_prefix(1);
    if (part.starts_with(name) && part.substr(name.size()).starts_with('=')) return part.substr(name.size() + 1);
  }
  return {};
}

}  // namespace

FunctionLookup lookup_of(const FunctionServiceDependencies& dependencies) {
  if (dependencies.lookup.resolve) return dependencies.lookup;
  FunctionRegistry* registry = dependencies.registry;
  return {[registry](const FunctionRef& ref) { return registry->resolve(ref); },
          [registry](const std::string& name, std::int64_t number) { return registry->revision(name, number); }};
}

engine::StartRequest durable_start(const ResolvedFunction& function, std::string name, RunInput input) {
  engine::StartRequest out = base_start(function, input);
  const auto& durable = function.revision->config.durable;
  JsonObject body = base_input("durable", function, input);
  body["name"] = std::move(name);
  if (durable) {
    body["timeout"] = durable->execution_timeout.count();
    body["retention_days"] = durable->retention_days;
    out.wall_time_max = std::chrono::duration_cast<Millis>(durable->execution_timeout);
  }
  out.input = std::move(body);
  return out;
}

engine::StartRequest async_start(const ResolvedFunction& function, RunInput input) {
  engine::StartRequest out = base_start(function, input);
  JsonObject body = base_input("async", function, input);
  put(body, "invoked_arn", input.invoked_arn);
  put(body, "client_context", input.client_context);
  put(body, "request_id", input.request_id);
  body["retries_max"] = function.async.retries_max;
  body["age_max"] = function.async.age_max.count();
  put(body, "on_success", function.async.on_success);
  put(body, "on_failure", function.async.on_failure);
  put(body, "dead_letter", function.revision->config.dead_letter_arn);
  out.input = std::move(body);
  return out;
}

engine::StartRequest call_start(const ResolvedFunction& function, RunInput input) {
  engine::StartRequest out = base_start(function, input);
  JsonObject body = base_input("call", function, input);
  if (input.answer_as_value) body["as_value"] = true;
  put(body, "invoked_arn", input.invoked_arn);
  put(body, "request_id", input.request_id);
  out.input = std::move(body);
  return out;
}

engine::StartRequest event_start(const ResolvedFunction& function, std::string name, RunInput input) {
  return function.revision->config.durable ? durable_start(function, std::move(name), std::move(input))
                                           : async_start(function, std::move(input));
}

JsonObject invoke_json(const engine::StartRequest& start, std::string_view target) {
  JsonObject out{{"program", start.program}, {"version", start.version}, {"input", start.input}, {"target", target}};
  put(out, "session", start.session_key);
  if (start.wall_time_max.count() > 0) out["wall_time_ms"] = start.wall_time_max.count();
  return out;
}

std::string traceparent_of(std::string_view trace_header) {
  const std::string_view root = field(trace_header, "Root"), parent = field(trace_header, "Parent");
  // "1-" eight digits "-" twenty-four.
  if (root.size() != 35 || !root.starts_with("1-") || root[10] != '-') return {};
  const std::string trace = std::string(root.substr(2, 8)) + std::string(root.substr(11));
  const std::string span = parent.size() == 16 ? std::string(parent) : std::string("0000000000000001");
  if (!is_hex(trace) || !is_hex(span)) return {};
  return "00-" + trace + "-" + span + (field(trace_header, "Sampled") == "1" ? "-01" : "-00");
}

std::string trace_header_of(std::string_view traceparent) {
  if (traceparent.size() != 55 || traceparent[2] != '-' || traceparent[35] != '-' || traceparent[52] != '-') return {};
  const std::string_view trace = traceparent.substr(3, 32);
  return "Root=1-" + std::string(trace.substr(0, 8)) + "-" + std::string(trace.substr(8)) +
         ";Parent=" + std::string(traceparent.substr(36, 16)) + ";Sampled=" + (traceparent.ends_with('1') ? "1" : "0");
}

Result<void> check_execution_name(std::string_view name) {
  const bool valid = !name.empty() && name.size() <= 64 && std::ranges::all_of(name, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
  });
  if (!valid) return fail("execution.invalid_name", "the name of a durable execution has 1 to 64 characters of [a-zA-Z0-9-_]");
  return {};
}

}  // namespace mayfly::function
