#include "server/mcp/published_tools.h"

#include "function/function_service.h"
#include "server/json_views.h"
#include "server/mcp/mcp_function.h"
#include "server/targets.h"

namespace mayfly {
namespace {

using mcp::CallResult;
using mcp::ToolInfo;

constexpr std::string_view kAgent = "agent_", kFunction = "function_";

JsonObject schema_of(JsonObject properties, JsonArray required) {
  return {{"type", "object"}, {"properties", std::move(properties)}, {"required", std::move(required)}, {"additionalProperties", false}};
}
JsonObject text_of(std::string_view description) { return {{"type", "string"}, {"description", description}}; }

ToolInfo agent_tool(const agent::AgentSpec& spec) {
  ToolInfo out;
  out.name = std::string(kAgent) + spec.name;
  out.description = spec.description.empty() ? "The agent " + spec.name + "." : spec.description;
  JsonObject properties{{"input", text_of("What the agent is asked or told.")}};
  JsonArray required{"input"};
  if (spec.session.keyed) {
    properties["session"] = text_of("Names the conversation that this belongs to; the agent remembers what was said in it.");
    required.emplace_back("session");
  }
  out.input_schema = schema_of(std::move(properties), std::move(required));
  out.destructive = true;
  out.open_world = true;
  out.toolset = "agents";
  out.tasks = ToolInfo::Tasks::Optional;
  return out;
}

ToolInfo function_tool(const function::FunctionConfig& config) {
  ToolInfo out;
  out.name = std::string(kFunction) + config.name;
  out.description = config.tool_description;
  out.input_schema = config.tool_parameters.is_object() ? config.tool_parameters : Json(JsonObject{{"type", "object"}});
  out.destructive = true;
  out.open_world = config.egress.mode != function::Egress::Mode::None;
  out.toolset = "functions";
  return out;
}

std::vector<ToolInfo> run_tools(const mcp::Caller& caller) {
  std::vector<ToolInfo> out;
  const JsonObject run = text_of("The run's id: run_…");
  const auto add = [&](std::string name, std::string description, JsonObject schema, bool read_only) {
    ToolInfo info;
    info.name = std::move(name);
    info.description = std::move(description);
    info.input_schema = std::move(schema);
    info.read_only = read_only;
    info.destructive = !read_only;
    info.idempotent = true;
    info.toolset = "runs";
    out.push_back(std::move(info));
  };
  if (caller.may("read"))
    add("run_get", "Shows a run: its status, what it waits for, its result or error, tokens and cost.", schema_of({{"run", run}}, {"run"}),
        true);
  if (caller.may("invoke")) add("run_cancel", "Stops a run. What it has done stays done.", schema_of({{"run", run}}, {"run"}), false);
  if (caller.may("answer"))
    add("run_answer", "Answers the question that a run asks a person.",
        schema_of({{"run", run},
                   {"decision", text_of("approve or deny, one of the options, or any text, as the question wants it.")},
                   {"comment", text_of("Told to the agent where it helps.")}},
                  {"run", "decision"}),
        false);
  return out;
}

CallResult refused(const Error& error) { return CallResult::text(error.message, true); }

class PublishedTools final : public mcp::ToolProvider {
 public:
  explicit PublishedTools(AppContext& app) : app_(app) {}

  std::vector<ToolInfo> tools(const mcp::Caller& caller) override {
    std::vector<ToolInfo> out;
    // Who may touch one workspace only has no business with agents.
    if (!caller.workspace.empty()) return out;
    if (caller.may("invoke")) {
      for (const agent::AgentVersion& version : app_.registry->list()) out.push_back(agent_tool(version.spec));
      if (app_.functions && app_.function_service)
        for (const function::FunctionRecord* record : app_.functions->list())
          if (const auto latest = app_.functions->revision(record->name, record->latest);
              latest && !latest->config.tool_description.empty())
            out.push_back(function_tool(latest->config));
    }
    for (ToolInfo& info : run_tools(caller)) out.push_back(std::move(info));
    return out;
  }

  std::optional<ToolInfo> tool(const mcp::Caller& caller, std::string_view name) override {
    if (!caller.workspace.empty()) return std::nullopt;
    if (name.starts_with(kAgent) && caller.may("invoke")) {
      const auto version = app_.registry->current(std::string(name.substr(kAgent.size())));
      return version ? std::optional(agent_tool(version->spec)) : std::nullopt;
    }
    if (name.starts_with(kFunction) && caller.may("invoke") && app_.functions && app_.function_service) {
      const auto* record = app_.functions->record(std::string(name.substr(kFunction.size())));
      const auto latest = record ? app_.functions->revision(record->name, record->latest) : nullptr;
      return latest && !latest->config.tool_description.empty() ? std::optional(function_tool(latest->config)) : std::nullopt;
    }
    if (!name.starts_with("run_")) return std::nullopt;
    for (ToolInfo& each : run_tools(caller))
      if (each.name == name) return std::move(each);
    return std::nullopt;
  }

  Task<Result<CallResult>> call(mcp::CallContext context, std::string tool, JsonObject arguments) override {
    if (tool.starts_with(kAgent)) co_return co_await start_agent(std::move(context), tool.substr(kAgent.size()), std::move(arguments));
    if (tool.starts_with(kFunction))
      co_return co_await call_function(std::move(context), tool.substr(kFunction.size()), std::move(arguments));
    const std::string run = get_string(arguments, "run");
    if (tool == "run_get") co_return co_await show(run);
    if (tool == "run_cancel") {
      auto done = co_await app_.engine->cancel(run, "cancelled by " + context.caller.label);
      co_return done ? CallResult::text("The run " + run + " was cancelled.") : refused(done.error());
    }
    if (tool == "run_answer") {
      agent::PersonAnswer answer;
      answer.decision = get_string(arguments, "decision");
      answer.comment = get_string(arguments, "comment");
      answer.by = context.caller.label;
      auto done = co_await app_.service->answer(run, 0, std::move(answer));
      co_return done ? CallResult::text("The answer was given to the run " + run + ".") : refused(done.error());
    }
    co_return fail("mcp.unknown_tool", "there is no tool " + tool);
  }

 private:
  Task<Result<CallResult>> start_agent(mcp::CallContext context, std::string name, JsonObject arguments) {
    const Json* input = get(arguments, "input");
    if (!input) co_return fail("mcp.invalid_params", "an agent needs an input");
    auto start = agent_start(*app_.registry, name, *input, get_string(arguments, "session"));
    if (!start) co_return refused(start.error());
    start->traceparent = context.traceparent;
    auto started = co_await app_.engine->start(*std::move(start));
    if (!started) co_return refused(started.error());
    CallResult out;
    out.run = started->run;
    co_return out;
  }

  Task<Result<CallResult>> call_function(mcp::CallContext context, std::string name, JsonObject arguments) {
    auto answer = co_await invoke_for_mcp(&app_, nullptr, std::move(name), &context, std::move(arguments));
    if (!answer) co_return call_result_of(answer.error());
    co_return call_result_of(*std::move(answer));
  }

  Task<Result<CallResult>> show(std::string run) {
    auto found = co_await app_.engine->get(std::move(run));
    if (!found) co_return refused(found.error());
    auto view = co_await run_view(*app_.engine, *std::move(found), Detail::Full);
    if (!view) co_return refused(view.error());
    CallResult out = CallResult::text(to_pretty_text(*view));
    out.structured = *std::move(view);
    co_return out;
  }

  AppContext& app_;
};

}  // namespace

std::unique_ptr<mcp::ToolProvider> make_published_tools(AppContext& app) { return std::make_unique<PublishedTools>(app); }

}  // namespace mayfly
