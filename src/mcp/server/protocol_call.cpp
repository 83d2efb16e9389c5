#include <algorithm>
#include <array>

#include <fmt/format.h>

#include "base/hash.h"
#include "mcp/server/protocol.h"

/// Calls that may take several rounds: tools and prompts that ask the client for something before they answer.
namespace mayfly::mcp {
namespace {

constexpr int kRoundsMax = 16;
constexpr std::size_t kInputRequestsMax = 32;
constexpr std::size_t kCompiledMax = 2'000;
constexpr std::size_t kProblemsShown = 8;

constexpr auto kLevels = std::to_array<std::string_view>({"debug", "info", "notice", "warning", "error", "critical", "alert", "emergency"});

std::string_view capability_of(std::string_view method) {
  if (method == "elicitation/create") return "elicitation";
  if (method == "sampling/createMessage") return "sampling";
  if (method == "roots/list") return "roots";
  return {};
}

Reply lacks(const JsonObject& missing) {
  std::string names;
  for (const auto& member : missing) names += (names.empty() ? "" : ", ") + std::string(member.key());
  return Reply::error(rpc_code::kMissingRequiredClientCapability, "this needs a client that declares " + names,
                      JsonObject{{"requiredCapabilities", missing}}, 400);
}

JsonObject error_result(std::string text) {
  return {{"content", JsonArray{JsonObject{{"type", "text"}, {"text", std::move(text)}}}}, {"isError", true}};
}

JsonObject result_json(CallResult result, bool stateless) {
  JsonObject out{{"content", std::move(result.content)}};
  if (result.structured && (stateless || result.structured->is_object())) out["structuredContent"] = *std::move(result.structured);
  if (result.is_error) out["isError"] = true;
  if (!result.meta.empty()) out["_meta"] = std::move(result.meta);
  return out;
}

/// Progress is only ever told upwards, as the specification wants it.
std::function<void(double, std::optional<double>, std::string)> progress_to(Exchange* exchange, const JsonObject& meta) {
  const Json* token = get(meta, "progressToken");
  if (!token || !exchange) return {};
  return [exchange, token = *token, last = std::optional<double>()](double progress, std::optional<double> total,
                                                                    std::string message) mutable {
    if (last && progress <= *last) return;
    last = progress;
    const auto number = [](double value) {
      return value == static_cast<double>(static_cast<std::int64_t>(value)) ? Json(static_cast<std::int64_t>(value)) : Json(value);
    };
    JsonObject params{{"progressToken", token}, {"progress", number(progress)}};
    if (total) params["total"] = number(*total);
    if (!message.empty()) params["message"] = std::move(message);
    exchange->notify("notifications/progress", std::move(params));
  };
}

std::function<void(std::string, std::string, Json)> log_to(Exchange* exchange, const std::string& wanted) {
  const auto lowest = std::ranges::find(kLevels, wanted);
  if (!exchange || lowest == kLevels.end()) return {};
  return [exchange, lowest](std::string level, std::string logger, Json data) {
    const auto found = std::ranges::find(kLevels, level);
    if (found < lowest || found == kLevels.end()) return;
    JsonObject params{{"level", level}, {"data", std::move(data)}};
    if (!logger.empty()) params["logger"] = std::move(logger);
    exchange->notify("notifications/message", std::move(params));
  };
}

/// What a request that is repeated must have in common with the first.
std::string binding_of(const Client& client, std::string_view method, const std::string& name, const JsonObject& arguments) {
  return fmt::format("mcp/{}/{}/{}/{}", client.caller.id, method, name, sha256_hex(to_canonical_text(arguments)));
}

}  // namespace

JsonObject missing_capabilities(const JsonObject& requests, const JsonObject& capabilities) {
  JsonObject out;
  for (const auto& member : requests) {
    const auto* request = member.value().if_object();
    const std::string_view needed = request ? capability_of(get_string(*request, "method")) : std::string_view();
    if (!needed.empty() && !get_object(capabilities, needed)) out[needed] = JsonObject();
  }
  return out;
}

CallContext Protocol::context_of(const Client& client, const JsonObject& params, Exchange* exchange, CancelToken cancel) const {
  CallContext out;
  out.caller = client.caller;
  out.cancel = std::move(cancel);
  if (const auto* meta = get_object(params, "_meta")) out.meta = *meta;
  out.client_capabilities = client.capabilities;
  out.traceparent = client.traceparent;
  out.progress = progress_to(exchange, out.meta);
  out.log = log_to(exchange, client.log_level);
  if (exchange) out.pause = [exchange] { exchange->pause(); };
  return out;
}

std::expected<std::string, RpcError> Protocol::read_round(const JsonObject& params, const std::string& binding,
                                                          CallContext* context) const {
  const auto invalid = [](std::string message) {
    return std::unexpected(RpcError{rpc_code::kInvalidParams, std::move(message), std::nullopt});
  };
  if (const Json* responses = get(params, "inputResponses")) {
    const auto* object = responses->if_object();
    if (!object || object->size() > kInputRequestsMax)
      return invalid("inputResponses must be an object of answers by the names of the requests");
    for (const auto& member : *object)
      if (!member.value().is_object())
        return invalid("inputResponses." + std::string(member.key()) + " must be an object: the client's result");
    context->input_responses = *object;
  }
  const Json* state = get(params, "requestState");
  if (!state) return std::string();
  auto opened = state->is_string() ? seal_.unseal(std::string(state->get_string()), binding) : Result<std::string>(fail("mcp.state", ""));
  auto read = opened ? parse_json(*opened) : Result<Json>(fail("mcp.state", ""));
  if (!read || !read->is_object())
    return invalid("requestState is not what this server gave for this request; send the request again without it");
  const JsonObject& fields = read->get_object();
  if (clock_.now() > TimePoint(Millis{get_int(fields, "until")}))
    return invalid("requestState has expired; send the request again without it");
  context->request_state = get_string(fields, "state");
  return get_string(fields, "run");
}

JsonObject Protocol::input_required(const JsonObject& requests, const std::string& state, const std::string& run,
                                    const std::string& binding) const {
  JsonObject out{{"resultType", "input_required"}, {"inputRequests", requests}};
  if (state.empty() && run.empty()) return out;
  const auto until = std::chrono::duration_cast<Millis>((clock_.now() + options_.state_ttl).time_since_epoch()).count();
  JsonObject fields{{"state", state}, {"until", until}};
  if (!run.empty()) fields["run"] = run;
  out["requestState"] = seal_.seal(to_text(fields), binding);
  return out;
}

Task<std::expected<JsonObject, RpcError>> Protocol::ask_all(JsonObject requests, Exchange* exchange) {
  JsonObject out;
  for (const auto& member : requests) {
    const auto* request = member.value().if_object();
    if (!request) continue;
    const auto* params = get_object(*request, "params");
    auto answer = co_await exchange->ask(get_string(*request, "method"), params ? *params : JsonObject());
    if (!answer) co_return std::unexpected(answer.error());
    out[member.key()] = std::move(*answer);
  }
  co_return out;
}

std::optional<std::string> Protocol::check_arguments(const ToolInfo& tool, const JsonObject& arguments) {
  auto found = compiled_.find(tool.name);
  if (found == compiled_.end() || found->second.schema != tool.input_schema) {
    if (compiled_.size() >= kCompiledMax) compiled_.clear();
    auto compiled = JsonSchema::compile(tool.input_schema);
    found =
        compiled_.insert_or_assign(tool.name, Compiled{tool.input_schema, compiled ? std::optional(std::move(*compiled)) : std::nullopt})
            .first;
  }
  if (!found->second.validator) return std::nullopt;
  const auto problems = found->second.validator->validate(arguments);
  if (problems.empty()) return std::nullopt;
  std::string out = "The arguments do not fit the tool's schema:";
  for (std::size_t i = 0; i < std::min(problems.size(), kProblemsShown); ++i) out += "\n- " + problems[i];
  return out;
}

Task<Reply> Protocol::call_tool(Client client, JsonObject params, Exchange* exchange, CancelToken cancel) {
  const std::string name = get_string(params, "name");
  if (name.empty()) co_return Reply::error(rpc_code::kInvalidParams, "tools/call needs the tool's name");
  const Json* given = get(params, "arguments");
  if (given && !given->is_object()) co_return Reply::error(rpc_code::kInvalidParams, "arguments must be an object");
  JsonObject arguments = given ? given->get_object() : JsonObject();
  auto tool = find_tool(client.caller, name);
  if (!tool)
    co_return Reply::error(rpc_code::kInvalidParams,
                           "there is no tool " + name + " for this caller; tools/list shows those that there are");
  JsonObject missing;
  for (const auto& member : tool->info.requires_client)
    if (!get_object(client.capabilities, member.key())) missing[member.key()] = member.value();
  if (tool->info.tasks == ToolInfo::Tasks::Required && client.stateless && !has_tasks(client.capabilities))
    missing["extensions"] = JsonObject{{kTasksExtension, JsonObject()}};
  if (!missing.empty() && client.stateless) co_return lacks(missing);
  if (!missing.empty()) {
    JsonObject refused = error_result("This tool needs a client that declares: " + to_text(missing));
    co_return Reply::of(std::move(refused));
  }
  const std::string binding = binding_of(client, "tools/call", name, arguments);
  CallContext context = context_of(client, params, exchange, cancel);
  auto run = read_round(params, binding, &context);
  if (!run) co_return Reply{run.error(), 200};
  if (!run->empty()) {
    auto updated = co_await tasks_->update(client.caller, *run, context.input_responses.value_or(JsonObject()));
    if (!updated) co_return Reply::error(rpc_code::kInvalidParams, updated.error().message);
    std::string id = std::move(*run);
    co_return co_await follow_run(std::move(client), *std::move(tool), std::move(id), std::move(context), binding, exchange);
  }
  if (auto problem = check_arguments(tool->info, arguments)) {
    JsonObject refused = error_result(*std::move(problem));
    co_return Reply::of(finish(client, std::move(refused)));
  }
  co_return co_await run_tool(std::move(client), *std::move(tool), std::move(context), std::move(arguments), binding, exchange);
}

Task<Reply> Protocol::run_tool(Client client, Found tool, CallContext context, JsonObject arguments, std::string binding,
                               Exchange* exchange) {
  for (int round = 0; round < kRoundsMax; ++round) {
    auto result = co_await tool.provider->call(context, tool.info.name, arguments);
    if (!result) {
      const bool is_callers = result.error().code == "mcp.unknown_tool" || result.error().code == "mcp.invalid_params";
      if (is_callers) co_return Reply::error(rpc_code::kInvalidParams, result.error().message);
      JsonObject failed = error_result(result.error().message);
      co_return Reply::of(finish(client, std::move(failed)));
    }
    if (!result->run.empty())
      co_return co_await follow_run(std::move(client), std::move(tool), result->run, std::move(context), binding, exchange);
    if (!result->input_requests) {
      JsonObject done = result_json(*std::move(result), client.stateless);
      co_return Reply::of(finish(client, std::move(done)));
    }
    const JsonObject missing = missing_capabilities(*result->input_requests, client.capabilities);
    if (client.stateless) {
      if (!missing.empty()) co_return lacks(missing);
      JsonObject wanted = input_required(*result->input_requests, result->request_state, {}, binding);
      co_return Reply::of(finish(client, std::move(wanted)));
    }
    if (!missing.empty()) {
      JsonObject refused = error_result("This tool asks the client for something that it does not offer: " + to_text(missing));
      co_return Reply::of(std::move(refused));
    }
    auto answers = co_await ask_all(*result->input_requests, exchange);
    if (!answers) {
      JsonObject refused = error_result("The client did not answer what the tool asked for: " + answers.error().message);
      co_return Reply::of(std::move(refused));
    }
    context.input_responses = std::move(*answers);
    context.request_state = result->request_state;
  }
  JsonObject refused = error_result(fmt::format("The tool asked for input {} times without coming to an end.", kRoundsMax));
  co_return Reply::of(finish(client, std::move(refused)));
}

Task<Reply> Protocol::follow_run(Client client, Found tool, std::string run, CallContext context, std::string binding, Exchange* exchange) {
  using Status = TaskState::Status;
  if (!tasks_) co_return Reply::error(rpc_code::kInternal, "this server keeps no tasks");
  if (client.stateless && has_tasks(client.capabilities) && tool.info.tasks != ToolInfo::Tasks::Forbidden) {
    auto task = co_await tasks_->get(client.caller, run);
    if (!task) co_return Reply::error(rpc_code::kInternal, task.error().message);
    JsonObject created = task_view(*task, false);
    created["resultType"] = "task";
    co_return Reply::of(finish(client, std::move(created)));
  }
  for (int round = 0; round < kRoundsMax; ++round) {
    auto task = co_await tasks_->wait(client.caller, run, context.progress, context.cancel);
    if (!task) co_return Reply::error(rpc_code::kInternal, task.error().message);
    if (task->status == Status::Completed) {
      JsonObject done = task->result;
      co_return Reply::of(finish(client, std::move(done)));
    }
    if (task->status != Status::InputRequired) {
      std::string why = task->status == Status::Cancelled ? "The run was cancelled."
                        : task->error                     ? task->error->message
                                                          : "The run failed.";
      // Who went away gets nothing any more; the run goes on.
      if (task->status == Status::Working) why = "The run " + run + " goes on; ask for it with run_get.";
      JsonObject failed = error_result(std::move(why));
      co_return Reply::of(finish(client, std::move(failed)));
    }
    const JsonObject missing = missing_capabilities(task->input_requests, client.capabilities);
    if (!missing.empty()) {
      JsonObject waiting =
          error_result("The run " + run + " waits for answers that this client cannot give: " + to_text(task->input_requests));
      co_return Reply::of(finish(client, std::move(waiting)));
    }
    if (client.stateless) {
      JsonObject wanted = input_required(task->input_requests, {}, run, binding);
      co_return Reply::of(finish(client, std::move(wanted)));
    }
    auto answers = co_await ask_all(task->input_requests, exchange);
    if (!answers) {
      JsonObject refused = error_result("The client did not answer what the run " + run + " asked for: " + answers.error().message);
      co_return Reply::of(std::move(refused));
    }
    if (auto updated = co_await tasks_->update(client.caller, run, std::move(*answers)); !updated)
      co_return Reply::error(rpc_code::kInternal, updated.error().message);
  }
  co_return Reply::error(rpc_code::kInternal, "the run asked for input too often");
}

Task<Reply> Protocol::get_prompt(Client client, JsonObject params, Exchange* exchange, CancelToken cancel) {
  const std::string name = get_string(params, "name");
  const Json* given = get(params, "arguments");
  if (name.empty() || (given && !given->is_object()))
    co_return Reply::error(rpc_code::kInvalidParams, "prompts/get needs a name, and arguments that are an object");
  JsonObject arguments = given ? given->get_object() : JsonObject();
  PromptProvider* owner = nullptr;
  std::string absent;
  for (PromptProvider* provider : offer_.prompts) {
    const auto prompts = provider->prompts(client.caller);
    const auto found = std::ranges::find(prompts, name, &PromptInfo::name);
    if (found == prompts.end()) continue;
    owner = provider;
    for (const Json& argument : found->arguments)
      if (const auto* wanted = argument.if_object();
          wanted && get_bool(*wanted, "required") && !arguments.contains(get_string(*wanted, "name")))
        absent = get_string(*wanted, "name");
    break;
  }
  if (!owner) co_return Reply::error(rpc_code::kInvalidParams, "there is no prompt " + name + "; prompts/list shows those that there are");
  if (!absent.empty()) co_return Reply::error(rpc_code::kInvalidParams, "the prompt " + name + " needs the argument " + absent);
  const std::string binding = binding_of(client, "prompts/get", name, arguments);
  CallContext context = context_of(client, params, exchange, cancel);
  if (auto run = read_round(params, binding, &context); !run) co_return Reply{run.error(), 200};
  for (int round = 0; round < kRoundsMax; ++round) {
    auto result = co_await owner->get(context, name, arguments);
    if (!result) {
      const bool is_callers = result.error().code == "mcp.unknown_prompt" || result.error().code == "mcp.invalid_params";
      co_return Reply::error(is_callers ? rpc_code::kInvalidParams : rpc_code::kInternal, result.error().message);
    }
    const auto* requests = get_object(*result, "inputRequests");
    if (!requests) {
      JsonObject done = std::move(*result);
      co_return Reply::of(finish(client, std::move(done)));
    }
    const JsonObject missing = missing_capabilities(*requests, client.capabilities);
    if (!missing.empty() && client.stateless) co_return lacks(missing);
    if (!missing.empty()) co_return Reply::error(rpc_code::kInvalidParams, "this prompt needs a client that declares: " + to_text(missing));
    if (client.stateless) {
      JsonObject wanted = input_required(*requests, get_string(*result, "requestState"), {}, binding);
      co_return Reply::of(finish(client, std::move(wanted)));
    }
    auto answers = co_await ask_all(*requests, exchange);
    if (!answers) co_return Reply{answers.error(), 200};
    context.input_responses = std::move(*answers);
    context.request_state = get_string(*result, "requestState");
  }
  co_return Reply::error(rpc_code::kInternal, "the prompt asked for input too often");
}

}  // namespace mayfly::mcp
