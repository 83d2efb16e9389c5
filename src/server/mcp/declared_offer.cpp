#include "server/mcp/declared_offer.h"

#include <algorithm>

#include "base/log.h"
#include "mcp/server/declared.h"
#include "mcp/server/protocol.h"
#include "server/mcp/mcp_function.h"
#include "server/mcp/task_program.h"

namespace mayfly {
namespace {

using mcp::CallResult;
using mcp::ToolInfo;

constexpr std::string_view kPrefix = "meta/mcp/";

ToolInfo tool_of(std::string_view name, const JsonObject& in) {
  ToolInfo out;
  out.name = std::string(name);
  out.title = get_string(in, "title");
  out.description = get_string(in, "description");
  const Json* input = mayfly::get(in, "input");
  out.input_schema = input ? *input : Json(JsonObject{{"type", "object"}});
  if (const Json* output = mayfly::get(in, "output")) out.output_schema = *output;
  out.read_only = get_bool(in, "read_only");
  out.destructive = get_bool(in, "destructive", true);
  out.idempotent = get_bool(in, "idempotent");
  out.open_world = get_bool(in, "open_world", true);
  out.toolset = get_string(in, "toolset", "project");
  out.by_default = get_bool(in, "listed", true);
  const std::string tasks = get_string(in, "tasks");
  out.tasks = tasks == "required"   ? ToolInfo::Tasks::Required
              : tasks == "optional" ? ToolInfo::Tasks::Optional
                                    : ToolInfo::Tasks::Forbidden;
  if (const auto* wanted = get_array(in, "requires"))
    for (const Json& each : *wanted)
      if (each.is_string()) out.requires_client[each.get_string()] = JsonObject();
  return out;
}

mcp::ResourceInfo resource_of(std::string_view name, const JsonObject& in) {
  return {.uri = get_string(in, "uri"),
          .name = std::string(name),
          .title = get_string(in, "title"),
          .description = get_string(in, "description"),
          .mime_type = get_string(in, "mime_type"),
          .size = {}};
}

bool sees_resources(const mcp::Caller& caller) { return caller.workspace.empty() && (caller.may("read") || caller.may("invoke")); }

std::vector<std::string> beginning_with(const JsonArray& values, const std::string& text) {
  std::vector<std::string> out;
  for (const Json& value : values)
    if (value.is_string() && value.get_string().starts_with(text)) out.emplace_back(value.get_string());
  return out;
}

}  // namespace

class DeclaredOffer::Watching final : public mcp::ResourceProvider::Watch {
 public:
  Watching(DeclaredOffer& owner, std::string uri, std::function<void()> changed) : owner_(owner), changed_(std::move(changed)) {
    at_ = owner_.watching_.emplace(std::move(uri), this);
  }
  ~Watching() override { owner_.watching_.erase(at_); }
  const std::function<void()>& changed() const { return changed_; }

 private:
  DeclaredOffer& owner_;
  std::function<void()> changed_;
  std::multimap<std::string, Watching*>::iterator at_;
};

DeclaredOffer::DeclaredOffer(AppContext& app, McpCalls& calls) : app_(app), calls_(calls) {}

Task<Result<void>> DeclaredOffer::load() {
  auto rows = co_await app_.store->scan(KeyRange::prefix(kPrefix), 16, Direction::Forward);
  if (!rows) co_return fail(rows.error());
  for (const Record& row : *rows) {
    auto value = parse_json(row.value);
    if (value && value->is_object())
      set(row.key.substr(kPrefix.size()), value->get_object());
    else
      log::warn("a declaration of the MCP server cannot be read", {{"key", row.key}});
  }
  co_return Result<void>{};
}

Task<Result<void>> DeclaredOffer::put(std::string section, JsonObject definitions) {
  if (auto fine = mcp::check_section(section, definitions); !fine) co_return fine;
  Batch batch;
  batch.puts.push_back({std::string(kPrefix) + section, to_text(definitions)});
  auto done = co_await app_.store->commit(std::move(batch));
  if (!done) co_return fail(done.error());
  set(section, std::move(definitions));
  using List = mcp::Changes::List;
  calls_.changes.tell(section == "tools" ? List::Tools : section == "prompts" ? List::Prompts : List::Resources);
  co_return Result<void>{};
}

void DeclaredOffer::set(const std::string& section, JsonObject definitions) {
  if (section == "tools") {
    tools_.clear();
    for (const auto& member : definitions)
      if (member.value().is_object()) tools_.push_back(tool_of(member.key(), member.value().get_object()));
  }
  sections_[section] = std::move(definitions);
}

void DeclaredOffer::updated(const std::string& uri) {
  std::vector<std::function<void()>> calls;
  const auto [first, last] = watching_.equal_range(uri);
  for (auto each = first; each != last; ++each) calls.push_back(each->second->changed());
  for (const auto& call : calls) call();
}

const JsonObject* DeclaredOffer::definition(std::string_view section, std::string_view name) const {
  const auto found = sections_.find(section);
  return found == sections_.end() ? nullptr : get_object(found->second, name);
}

std::vector<ToolInfo> DeclaredOffer::tools(const mcp::Caller& caller) {
  return caller.may("invoke") && caller.workspace.empty() ? tools_ : std::vector<ToolInfo>();
}

std::optional<ToolInfo> DeclaredOffer::tool(const mcp::Caller& caller, std::string_view name) {
  if (!caller.may("invoke") || !caller.workspace.empty()) return std::nullopt;
  const auto found = std::ranges::find(tools_, name, &ToolInfo::name);
  return found == tools_.end() ? std::nullopt : std::optional(*found);
}

Task<Result<CallResult>> DeclaredOffer::call(mcp::CallContext context, std::string tool, JsonObject arguments) {
  const auto* found = definition("tools", tool);
  if (!found) co_return fail("mcp.unknown_tool", "there is no tool " + tool);
  const JsonObject declared = *found;
  const std::string function = get_string(declared, "function");
  const bool as_task = mcp::Protocol::has_tasks(context.client_capabilities) && get_string(declared, "tasks", "forbidden") != "forbidden" &&
                       (!get_bool(declared, "input_first") || context.input_responses);
  JsonObject event = mcp_event(context, "tools/call", tool, std::move(arguments));
  if (as_task) {
    auto start = mcp_call_start(function, tool, context.caller.id, std::move(event));
    start.traceparent = context.traceparent;
    auto started = co_await app_.engine->start(std::move(start));
    if (!started) co_return call_result_of(started.error());
    CallResult out;
    out.run = started->run;
    co_return out;
  }
  auto answer = co_await invoke_for_mcp(&app_, &calls_, function, &context, std::move(event));
  if (!answer) co_return call_result_of(answer.error());
  co_return call_result_of(*std::move(answer));
}

std::optional<DeclaredOffer::Source> DeclaredOffer::source_of(std::string_view uri) const {
  if (const auto resources = sections_.find("resources"); resources != sections_.end())
    for (const auto& member : resources->second)
      if (const auto* each = member.value().if_object(); each && get_string(*each, "uri") == uri) return Source{each, {}};
  if (const auto templates = sections_.find("templates"); templates != sections_.end())
    for (const auto& member : templates->second)
      if (const auto* each = member.value().if_object())
        if (auto variables = mcp::match_template(get_string(*each, "uri"), uri)) return Source{each, *std::move(variables)};
  return std::nullopt;
}

bool DeclaredOffer::owns(std::string_view uri) const { return source_of(uri).has_value(); }

Task<Result<mcp::ResourcePage>> DeclaredOffer::list(mcp::Caller caller, std::string) {
  mcp::ResourcePage out;
  const auto resources = sections_.find("resources");
  if (resources == sections_.end() || !sees_resources(caller)) co_return out;
  for (const auto& member : resources->second)
    if (const auto* each = member.value().if_object()) out.resources.push_back(resource_of(member.key(), *each));
  co_return out;
}

std::vector<mcp::ResourceInfo> DeclaredOffer::templates(const mcp::Caller& caller) {
  std::vector<mcp::ResourceInfo> out;
  const auto found = sections_.find("templates");
  if (found == sections_.end() || !sees_resources(caller)) return out;
  for (const auto& member : found->second)
    if (const auto* each = member.value().if_object()) out.push_back(resource_of(member.key(), *each));
  return out;
}

Task<Result<JsonArray>> DeclaredOffer::read(mcp::CallContext context, std::string uri) {
  const auto source = source_of(uri);
  if (!source || !sees_resources(context.caller)) co_return fail("mcp.resource_not_found", "there is no resource " + uri);
  const JsonObject declared = *source->definition;
  const JsonObject variables = source->variables;
  JsonObject content{{"uri", uri}};
  if (const std::string type = get_string(declared, "mime_type"); !type.empty()) content["mimeType"] = type;
  for (const std::string_view key : {"text", "blob"})
    if (const Json* value = mayfly::get(declared, key)) {
      content[key] = mcp::fill(*value, variables);
      co_return JsonArray{std::move(content)};
    }
  JsonObject event = mcp_event(context, "resources/read", uri, {});
  event["variables"] = variables;
  auto answer = co_await invoke_for_mcp(&app_, &calls_, get_string(declared, "function"), &context, std::move(event));
  if (!answer) co_return fail(answer.error());
  if (answer->is_null()) co_return fail("mcp.resource_not_found", "there is no resource " + uri);
  if (const auto* object = answer->if_object())
    if (const auto* contents = get_array(*object, "contents")) co_return *contents;
  content["text"] = answer->is_string() ? std::string(answer->get_string()) : to_text(*answer);
  co_return JsonArray{std::move(content)};
}

Task<Result<std::unique_ptr<mcp::ResourceProvider::Watch>>> DeclaredOffer::watch(mcp::Caller caller, std::string uri,
                                                                                 std::function<void()> changed) {
  if (!owns(uri) || !sees_resources(caller)) co_return fail("mcp.resource_not_found", "there is no resource " + uri);
  std::unique_ptr<Watch> out = std::make_unique<Watching>(*this, std::move(uri), std::move(changed));
  co_return out;
}

std::vector<mcp::PromptInfo> DeclaredOffer::prompts(const mcp::Caller& caller) {
  std::vector<mcp::PromptInfo> out;
  const auto found = sections_.find("prompts");
  if (found == sections_.end() || !sees_resources(caller)) return out;
  for (const auto& member : found->second) {
    const auto* each = member.value().if_object();
    if (!each) continue;
    mcp::PromptInfo info{.name = std::string(member.key()),
                         .title = get_string(*each, "title"),
                         .description = get_string(*each, "description"),
                         .arguments = {}};
    if (const auto* arguments = get_array(*each, "arguments"))
      for (const Json& argument : *arguments) {
        JsonObject view = argument.as_object();
        view.erase("values");
        info.arguments.emplace_back(std::move(view));
      }
    out.push_back(std::move(info));
  }
  return out;
}

Task<Result<JsonObject>> DeclaredOffer::get(mcp::CallContext context, std::string prompt, JsonObject arguments) {
  const auto* found = definition("prompts", prompt);
  if (!found) co_return fail("mcp.unknown_prompt", "there is no prompt " + prompt);
  const JsonObject declared = *found;
  if (const Json* messages = mayfly::get(declared, "messages"))
    co_return JsonObject{{"description", get_string(declared, "description")}, {"messages", mcp::fill(*messages, arguments)}};
  JsonObject event = mcp_event(context, "prompts/get", prompt, std::move(arguments));
  auto answer = co_await invoke_for_mcp(&app_, &calls_, get_string(declared, "function"), &context, std::move(event));
  if (!answer) co_return fail(answer.error());
  const auto* object = answer->if_object();
  if (!object || (!get_array(*object, "messages") && !get_object(*object, "inputRequests")))
    co_return fail("mcp.invalid_prompt",
                   "the function of the prompt " + prompt + " must answer {\"messages\": […]} or {\"inputRequests\": {…}}");
  co_return *object;
}

Task<Result<std::vector<std::string>>> DeclaredOffer::complete(mcp::Caller, std::string what, std::string argument, std::string text) {
  if (const auto* prompt = definition("prompts", what))
    if (const auto* arguments = get_array(*prompt, "arguments"))
      for (const Json& each : *arguments)
        if (const auto* fields = each.if_object(); fields && get_string(*fields, "name") == argument)
          if (const auto* values = get_array(*fields, "values")) co_return beginning_with(*values, text);
  if (const auto templates = sections_.find("templates"); templates != sections_.end())
    for (const auto& member : templates->second)
      if (const auto* each = member.value().if_object(); each && get_string(*each, "uri") == what)
        if (const auto* values = get_object(*each, "values"))
          if (const auto* known = get_array(*values, argument)) co_return beginning_with(*known, text);
  co_return std::vector<std::string>();
}

}  // namespace mayfly
