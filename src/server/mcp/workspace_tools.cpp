#include "server/mcp/workspace_tools.h"

#include <map>

#include "server/mcp/workspace_toolkit.h"

namespace mayfly {
namespace {

namespace kit = workspace_tools;

constexpr std::size_t kTextBytesMax = 96 * 1024;

class WorkspaceTools final : public mcp::ToolProvider {
 public:
  explicit WorkspaceTools(AppContext& app) : app_(app) {
    for (const kit::Tool& tool : kit::all_tools()) {
      infos_.push_back(info_of(tool));
      tools_.emplace(std::string(tool.name), tool);
    }
  }

  std::vector<mcp::ToolInfo> tools(const mcp::Caller& caller) override {
    if (!app_.workspaces || (!caller.may("read") && !caller.may("files"))) return {};
    const bool writes = caller.may("files");
    std::vector<mcp::ToolInfo> out;
    for (const mcp::ToolInfo& info : infos_)
      if (writes || info.read_only) out.push_back(info);
    return out;
  }

  Task<Result<mcp::CallResult>> call(mcp::CallContext context, std::string name, JsonObject arguments) override {
    const auto found = tools_.find(name);
    const bool visible = found != tools_.end() && (context.caller.may("files") || (context.caller.may("read") && found->second.hint == kit::Tool::Hint::Reads));
    if (!app_.workspaces || !visible) co_return fail("mcp.unknown_tool", "there is no tool '" + name.substr(0, 64) + "' for this caller; see tools/list");
    const std::string detail = get_string(arguments, "detail", "standard");
    auto shown = co_await found->second.handler(kit::Call(app_, std::move(context), std::move(arguments)));
    if (!shown) co_return refusal_of(shown.error());
    mcp::CallResult out = mcp::CallResult::text(detail == "full" ? shown->text + "\n```json\n" + to_pretty_text(Json(shown->structured)) + "\n```" : cut(std::move(shown->text)));
    out.structured = Json(std::move(shown->structured));
    if (detail == "terse") out.content.front().as_object()["text"] = first_line(get_string(out.content.front().as_object(), "text"));
    co_return out;
  }

 private:
  static mcp::ToolInfo info_of(const kit::Tool& tool) {
    mcp::ToolInfo info;
    info.name = tool.name;
    info.title = tool.title;
    info.description = tool.description;
    JsonObject schema = kit::schema_of(tool.fields);
    schema["properties"].as_object()["detail"] = JsonObject{{"type", "string"}, {"enum", {"terse", "standard", "full"}}};
    info.input_schema = std::move(schema);
    info.read_only = tool.hint == kit::Tool::Hint::Reads;
    info.destructive = tool.hint == kit::Tool::Hint::Destroys;
    info.idempotent = info.read_only;
    info.open_world = tool.name == "import_url" || tool.name.starts_with("webhook_");
    info.toolset = tool.toolset;
    info.by_default = tool.by_default;
    return info;
  }
  static std::string cut(std::string text) {
    if (text.size() <= kTextBytesMax) return text;
    std::size_t end = kTextBytesMax;
    while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xc0) == 0x80) --end;
    text.resize(end);
    return text + "\n… (cut; ask for less at once)";
  }
  static std::string first_line(const std::string& text) { return text.substr(0, text.find('\n')); }
  static mcp::CallResult refusal_of(const workspace::Refusal& refusal) {
    mcp::CallResult out = mcp::CallResult::text(refusal.code + ": " + refusal.message, true);
    JsonObject error{{"code", refusal.code}, {"message", refusal.message}, {"retry", to_string(refusal.retry)}};
    for (const auto& [name, value] : refusal.details) error[name] = value;
    if (const std::string diff = get_string(refusal.details, "diff"); !diff.empty())
      out.content.push_back(JsonObject{{"type", "text"}, {"text", "What changed since:\n```diff\n" + diff + "```"}});
    out.structured = Json(JsonObject{{"error", std::move(error)}});
    return out;
  }

  AppContext& app_;
  std::vector<mcp::ToolInfo> infos_;
  std::map<std::string, kit::Tool, std::less<>> tools_;
};

}  // namespace

std::unique_ptr<mcp::ToolProvider> make_workspace_tools(AppContext& context) { return std::make_unique<WorkspaceTools>(context); }

}  // namespace mayfly
