#include "mcp/server/protocol.h"

#include <algorithm>
#include <charconv>

#include <fmt/format.h>

namespace mayfly::mcp {
namespace {

constexpr Millis kListTtl{5'000}, kReadTtl{0}, kDiscoverTtl{60'000};
constexpr std::size_t kCompletionsMax = 100;

/// Offsets are cursors: lists are made anew for every page, in the same order.
std::optional<std::size_t> read_offset(const JsonObject& params) {
  const std::string cursor = get_string(params, "cursor");
  if (cursor.empty()) return params.contains("cursor") ? std::nullopt : std::optional<std::size_t>(0);
  std::size_t out = 0;
  const auto [end, error] = std::from_chars(cursor.data(), cursor.data() + cursor.size(), out);
  if (error != std::errc() || end != cursor.data() + cursor.size()) return std::nullopt;
  return out;
}

Reply bad_cursor() {
  return Reply::error(rpc_code::kInvalidParams, "the cursor is not one that this server gave out; list again without a cursor");
}

JsonObject resource_json(const ResourceInfo& info, std::string_view uri_key) {
  JsonObject out{{uri_key, info.uri}, {"name", info.name}};
  if (!info.title.empty()) out["title"] = info.title;
  if (!info.description.empty()) out["description"] = info.description;
  if (!info.mime_type.empty()) out["mimeType"] = info.mime_type;
  if (info.size && uri_key == "uri") out["size"] = *info.size;
  return out;
}

bool is_listed(const ToolInfo& tool, const std::set<std::string>& toolsets) {
  if (toolsets.empty()) return tool.by_default;
  return toolsets.contains("all") || toolsets.contains(tool.toolset) || (tool.by_default && toolsets.contains("default"));
}

}  // namespace

JsonObject to_json(const ToolInfo& tool) {
  JsonObject out{{"name", tool.name}};
  if (!tool.title.empty()) out["title"] = tool.title;
  out["description"] = tool.description;
  out["inputSchema"] = tool.input_schema;
  if (tool.output_schema) out["outputSchema"] = *tool.output_schema;
  JsonObject hints{{"readOnlyHint", tool.read_only}};
  // The other hints mean something only for tools that change something.
  if (!tool.read_only) {
    hints["destructiveHint"] = tool.destructive;
    hints["idempotentHint"] = tool.idempotent;
  }
  hints["openWorldHint"] = tool.open_world;
  out["annotations"] = std::move(hints);
  if (!tool.meta.empty()) out["_meta"] = tool.meta;
  return out;
}

Protocol::Protocol(const Offer& offer, TaskPort* tasks, Clock& clock, StateSeal seal, ProtocolOptions options)
    : offer_(offer), tasks_(tasks), clock_(clock), seal_(std::move(seal)), options_(std::move(options)) {}

JsonObject Protocol::server_info() const { return {{"name", options_.server_name}, {"version", options_.server_version}}; }

JsonObject Protocol::capabilities(const Client& client) const {
  JsonObject out;
  if (!offer_.tools.empty()) out["tools"] = JsonObject{{"listChanged", true}};
  if (!offer_.resources.empty()) out["resources"] = JsonObject{{"subscribe", true}, {"listChanged", true}};
  if (!offer_.prompts.empty()) out["prompts"] = JsonObject{{"listChanged", true}};
  if (!offer_.prompts.empty() || !offer_.resources.empty()) out["completions"] = JsonObject();
  out["logging"] = JsonObject();
  if (client.stateless && tasks_) out["extensions"] = JsonObject{{kTasksExtension, JsonObject()}};
  return out;
}

bool Protocol::has_tasks(const JsonObject& capabilities) {
  const auto* extensions = get_object(capabilities, "extensions");
  return extensions && get_object(*extensions, kTasksExtension);
}

JsonObject Protocol::finish(const Client& client, JsonObject result, std::optional<Millis> ttl) const {
  if (!client.stateless) return result;
  if (!result.contains("resultType")) result["resultType"] = "complete";
  if (ttl) {
    result["ttlMs"] = static_cast<std::int64_t>(ttl->count());
    result["cacheScope"] = "private";
  }
  JsonObject meta;
  if (const auto* given = get_object(result, "_meta")) meta = *given;
  meta[kServerInfoKey] = server_info();
  result["_meta"] = std::move(meta);
  return result;
}

std::optional<Protocol::Found> Protocol::find_tool(const Caller& caller, std::string_view name) const {
  for (ToolProvider* provider : offer_.tools)
    if (auto tool = provider->tool(caller, name)) return Found{provider, *std::move(tool)};
  return std::nullopt;
}

ResourceProvider* Protocol::owner_of(std::string_view uri) const {
  const auto found = std::ranges::find_if(offer_.resources, [&](const auto* provider) { return provider->owns(uri); });
  return found == offer_.resources.end() ? nullptr : *found;
}

Reply Protocol::not_found(const Client& client, const std::string& uri) const {
  return Reply::error(client.stateless ? rpc_code::kInvalidParams : rpc_code::kResourceNotFound, "there is no resource " + uri,
                      JsonObject{{"uri", uri}});
}

Task<Reply> Protocol::handle(Client client, RpcRequest request, Exchange* exchange, CancelToken cancel) {
  const std::string method = request.method;
  JsonObject params = std::move(request.params);
  if (client.stateless && method == "server/discover") co_return co_await discover(std::move(client));
  if (method == "tools/list") co_return co_await list_tools(std::move(client), std::move(params));
  if (method == "tools/call") co_return co_await call_tool(std::move(client), std::move(params), exchange, cancel);
  if (!offer_.resources.empty()) {
    if (method == "resources/list") co_return co_await list_resources(std::move(client), std::move(params));
    if (method == "resources/templates/list") co_return co_await list_templates(std::move(client), std::move(params));
    if (method == "resources/read") co_return co_await read_resource(std::move(client), std::move(params), exchange, cancel);
  }
  if (!offer_.prompts.empty()) {
    if (method == "prompts/list") co_return co_await list_prompts(std::move(client), std::move(params));
    if (method == "prompts/get") co_return co_await get_prompt(std::move(client), std::move(params), exchange, cancel);
  }
  if (method == "completion/complete") co_return co_await complete(std::move(client), std::move(params));
  if (client.stateless && tasks_ && (method == "tasks/get" || method == "tasks/update" || method == "tasks/cancel"))
    co_return co_await task_method(std::move(client), method, std::move(params));
  co_return Reply::error(rpc_code::kMethodNotFound, "this server has no method " + to_utf8_lossy(method), std::nullopt, 404);
}

Task<Reply> Protocol::discover(Client client) {
  JsonObject out{{"supportedVersions", JsonArray{kVersionStateless}}, {"capabilities", capabilities(client)}};
  if (!options_.instructions.empty()) out["instructions"] = options_.instructions;
  co_return Reply::of(finish(client, std::move(out), kDiscoverTtl));
}

Task<Reply> Protocol::list_tools(Client client, JsonObject params) {
  const auto offset = read_offset(params);
  if (!offset) co_return bad_cursor();
  JsonArray page;
  std::set<std::string> seen;
  std::size_t index = 0, bytes = 0;
  bool more = false;
  for (ToolProvider* provider : offer_.tools) {
    for (const ToolInfo& tool : provider->tools(client.caller)) {
      if (!is_listed(tool, client.toolsets) || !seen.insert(tool.name).second || index++ < *offset) continue;
      JsonObject view = to_json(tool);
      bytes += to_text(view).size();
      more = page.size() >= options_.page_items_max || (bytes > options_.page_bytes_max && !page.empty());
      if (more) break;
      page.push_back(std::move(view));
    }
    if (more) break;
  }
  JsonObject out;
  if (more) out["nextCursor"] = std::to_string(*offset + page.size());
  out["tools"] = std::move(page);
  co_return Reply::of(finish(client, std::move(out), kListTtl));
}

/// A cursor is "PROVIDER:WHAT THE PROVIDER SAID".
Task<Reply> Protocol::list_resources(Client client, JsonObject params) {
  std::string cursor = get_string(params, "cursor", "0:");
  const auto colon = cursor.find(':');
  std::size_t index = 0;
  const auto [end, error] = std::from_chars(cursor.data(), cursor.data() + std::min(colon, cursor.size()), index);
  if (colon == std::string::npos || error != std::errc() || end != cursor.data() + colon || index >= offer_.resources.size())
    co_return bad_cursor();
  std::string after = cursor.substr(colon + 1);
  JsonArray page;
  std::string next;
  for (; index < offer_.resources.size() && page.size() < options_.page_items_max; ++index) {
    auto listed = co_await offer_.resources[index]->list(client.caller, std::exchange(after, {}));
    if (!listed) co_return Reply::error(rpc_code::kInvalidParams, listed.error().message);
    for (const ResourceInfo& info : listed->resources) page.push_back(resource_json(info, "uri"));
    if (listed->next.empty()) continue;
    next = fmt::format("{}:{}", index, listed->next);
    break;
  }
  if (next.empty() && index < offer_.resources.size()) next = fmt::format("{}:", index);
  JsonObject out{{"resources", std::move(page)}};
  if (!next.empty()) out["nextCursor"] = next;
  co_return Reply::of(finish(client, std::move(out), kListTtl));
}

Task<Reply> Protocol::list_templates(Client client, JsonObject params) {
  const auto offset = read_offset(params);
  if (!offset) co_return bad_cursor();
  JsonArray page;
  std::size_t index = 0;
  bool more = false;
  for (ResourceProvider* provider : offer_.resources)
    for (const ResourceInfo& info : provider->templates(client.caller)) {
      if (index++ < *offset) continue;
      if (page.size() < options_.page_items_max)
        page.push_back(resource_json(info, "uriTemplate"));
      else
        more = true;
    }
  JsonObject out;
  if (more) out["nextCursor"] = std::to_string(*offset + page.size());
  out["resourceTemplates"] = std::move(page);
  co_return Reply::of(finish(client, std::move(out), kListTtl));
}

Task<Reply> Protocol::read_resource(Client client, JsonObject params, Exchange* exchange, CancelToken cancel) {
  const std::string uri = get_string(params, "uri");
  if (uri.empty()) co_return Reply::error(rpc_code::kInvalidParams, "resources/read needs a uri");
  ResourceProvider* owner = owner_of(uri);
  if (!owner) co_return not_found(client, uri);
  auto read = co_await owner->read(context_of(client, params, exchange, cancel), uri);
  if (!read && read.error().code == "mcp.resource_not_found") co_return not_found(client, uri);
  if (!read) co_return Reply::error(rpc_code::kInternal, read.error().message, JsonObject{{"uri", uri}, {"code", read.error().code}});
  co_return Reply::of(finish(client, JsonObject{{"contents", std::move(*read)}}, kReadTtl));
}

Task<Reply> Protocol::list_prompts(Client client, JsonObject params) {
  const auto offset = read_offset(params);
  if (!offset) co_return bad_cursor();
  JsonArray page;
  std::size_t index = 0;
  bool more = false;
  for (PromptProvider* provider : offer_.prompts)
    for (const PromptInfo& info : provider->prompts(client.caller)) {
      if (index++ < *offset) continue;
      if (page.size() >= options_.page_items_max) {
        more = true;
        continue;
      }
      JsonObject view{{"name", info.name}};
      if (!info.title.empty()) view["title"] = info.title;
      if (!info.description.empty()) view["description"] = info.description;
      if (!info.arguments.empty()) view["arguments"] = info.arguments;
      page.push_back(std::move(view));
    }
  JsonObject out;
  if (more) out["nextCursor"] = std::to_string(*offset + page.size());
  out["prompts"] = std::move(page);
  co_return Reply::of(finish(client, std::move(out), kListTtl));
}

Task<Reply> Protocol::complete(Client client, JsonObject params) {
  const auto* ref = get_object(params, "ref");
  const auto* argument = get_object(params, "argument");
  if (!ref || !argument || get_string(*argument, "name").empty())
    co_return Reply::error(rpc_code::kInvalidParams, "completion/complete needs ref and argument {name, value}");
  const std::string name = get_string(*argument, "name"), text = get_string(*argument, "value");
  const std::string type = get_string(*ref, "type");
  std::vector<std::string> values;
  bool known = false;
  if (type == "ref/prompt") {
    const std::string prompt = get_string(*ref, "name");
    for (PromptProvider* provider : offer_.prompts) {
      const auto prompts = provider->prompts(client.caller);
      if (std::ranges::find(prompts, prompt, &PromptInfo::name) == prompts.end()) continue;
      known = true;
      auto found = co_await provider->complete(client.caller, prompt, name, text);
      if (!found) co_return Reply::error(rpc_code::kInvalidParams, found.error().message);
      values = std::move(*found);
      break;
    }
  } else if (type == "ref/resource") {
    const std::string uri = get_string(*ref, "uri");
    for (ResourceProvider* provider : offer_.resources) {
      const auto templates = provider->templates(client.caller);
      if (std::ranges::find(templates, uri, &ResourceInfo::uri) == templates.end()) continue;
      known = true;
      auto found = co_await provider->complete(client.caller, uri, name, text);
      if (!found) co_return Reply::error(rpc_code::kInvalidParams, found.error().message);
      values = std::move(*found);
      break;
    }
  }
  if (!known) co_return Reply::error(rpc_code::kInvalidParams, "ref names no prompt and no resource template of this server");
  const std::size_t total = values.size();
  JsonArray shown;
  for (std::size_t i = 0; i < std::min(total, kCompletionsMax); ++i) shown.emplace_back(values[i]);
  JsonObject completion{{"values", std::move(shown)}, {"total", total}, {"hasMore", total > kCompletionsMax}};
  co_return Reply::of(finish(client, JsonObject{{"completion", std::move(completion)}}));
}

Task<Reply> Protocol::task_method(Client client, std::string method, JsonObject params) {
  if (!has_tasks(client.capabilities))
    co_return Reply::error(rpc_code::kMissingRequiredClientCapability, "declare the extension io.modelcontextprotocol/tasks to use tasks",
                           JsonObject{{"requiredCapabilities", JsonObject{{"extensions", JsonObject{{kTasksExtension, JsonObject()}}}}}},
                           400);
  const std::string id = get_string(params, "taskId");
  if (id.empty()) co_return Reply::error(rpc_code::kInvalidParams, method + " needs a taskId");
  const auto refused = [](const Error& error) { return Reply::error(rpc_code::kInvalidParams, error.message); };
  if (method == "tasks/get") {
    auto task = co_await tasks_->get(client.caller, id);
    if (!task) co_return refused(task.error());
    co_return Reply::of(finish(client, task_view(*task, true)));
  }
  Result<void> done;
  if (method == "tasks/cancel") {
    done = co_await tasks_->cancel(client.caller, id);
  } else {
    const auto* responses = get_object(params, "inputResponses");
    if (!responses) co_return Reply::error(rpc_code::kInvalidParams, "tasks/update needs inputResponses, an object");
    done = co_await tasks_->update(client.caller, id, *responses);
  }
  if (!done) co_return refused(done.error());
  co_return Reply::of(finish(client, JsonObject()));
}

JsonObject Protocol::task_view(const TaskState& task, bool detailed) const {
  using Status = TaskState::Status;
  const auto name = [&]() -> std::string_view {
    switch (task.status) {
      case Status::Working: return "working";
      case Status::InputRequired: return "input_required";
      case Status::Completed: return "completed";
      case Status::Failed: return "failed";
      case Status::Cancelled: return "cancelled";
    }
    return "working";
  };
  JsonObject out{{"taskId", task.id},
                 {"status", name()},
                 {"createdAt", to_rfc3339(task.created)},
                 {"lastUpdatedAt", to_rfc3339(task.updated)},
                 {"ttlMs", static_cast<std::int64_t>(options_.task_ttl.count())},
                 {"pollIntervalMs", static_cast<std::int64_t>(options_.task_poll.count())}};
  if (!task.message.empty()) out["statusMessage"] = task.message;
  if (!detailed) return out;
  if (task.status == Status::InputRequired) out["inputRequests"] = task.input_requests;
  if (task.status == Status::Completed) {
    JsonObject result = task.result;
    result["resultType"] = "complete";
    out["result"] = std::move(result);
  }
  if (task.status == Status::Failed) {
    const RpcError error = task.error.value_or(RpcError{rpc_code::kInternal, "the run failed", std::nullopt});
    JsonObject fields{{"code", error.code}, {"message", error.message}};
    if (error.data) fields["data"] = *error.data;
    out["error"] = std::move(fields);
  }
  return out;
}

}  // namespace mayfly::mcp
